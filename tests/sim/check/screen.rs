//! Invariant 7: nobody is shown the same line twice in one run, and nobody misses one.

use std::collections::HashSet;

use super::Verdict;
use super::history::LineNo;

#[derive(Clone, Debug, Default)]
struct Person {
    shown: HashSet<LineNo>,
    logged: HashSet<LineNo>,
    /// Lines from this one on were typed after this run entered the room.
    entered: Option<usize>,
}

/// What each person has been shown.
#[derive(Clone, Debug)]
pub struct Screen {
    people: Vec<Person>,
    typed: usize,
}

impl Screen {
    pub fn new(hosts: usize) -> Self {
        Self { people: vec![Person::default(); hosts], typed: 0 }
    }

    pub fn started(&mut self, slot: usize) {
        self.people[slot] = Person::default();
    }

    pub fn ended(&mut self, slot: usize) {
        self.people[slot] = Person::default();
    }

    pub fn submitted(&mut self, count: usize) {
        self.typed = count;
    }

    /// The run is in the room, when so many lines have been typed.
    pub fn entered(&mut self, slot: usize, count: usize) {
        self.people[slot].entered.get_or_insert(count);
    }

    pub fn has_entered(&self, slot: usize) -> bool {
        self.people[slot].entered.is_some()
    }

    /// A line is shown.
    pub fn shown(&mut self, slot: usize, line: LineNo) -> Verdict {
        if self.people[slot].shown.insert(line) {
            Ok(())
        } else {
            Err(format!("invariant 7: line {line} is shown twice"))
        }
    }

    /// A line is written to the log that people read.
    pub fn logged(&mut self, slot: usize, line: LineNo) -> Verdict {
        if self.people[slot].logged.insert(line) {
            Ok(())
        } else {
            Err(format!("invariant 7: line {line} is logged twice"))
        }
    }

    /// Whoever is in the room was shown what was typed since then and stands in its log.
    pub fn all_shown(&self, slot: usize, stands: impl Fn(LineNo) -> bool) -> Verdict {
        let person = &self.people[slot];
        let Some(entered) = person.entered else { return Ok(()) };
        let missed = (entered..self.typed)
            .map(|line| line as LineNo)
            .find(|line| stands(*line) && !(person.shown.contains(line) && person.logged.contains(line)));
        match missed {
            Some(line) => Err(format!("promise 3: line {line} stands in a log and was never shown or logged there")),
            None => Ok(()),
        }
    }
}
