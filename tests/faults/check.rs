//! What must hold once everything is healed: the simulator's invariants, seen from outside.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Instant;

use serde_json::Value;

use crate::evidence::{Evidence, Log, Seen};
use crate::harness::Chat;
use crate::tally::Tally;
use crate::world::World;

/// More complaints would say nothing new.
const COMPLAINTS_MAX: usize = 20;

/// Checks a world whose talkers are silent and whose nodes are one quiet room; panics with what it found wrong.
/// `nobody_moves`: no line that anybody was shown may have moved.
pub fn check(world: &World, nobody_moves: bool, tally: &mut Tally) {
    let evidence = Evidence::of(world);
    let verdict = judge(&evidence, nobody_moves);
    tally.add(&verdict);
    assert!(verdict.wrong.is_empty(), "broken promises:\n  {}", verdict.wrong.join("\n  "));
}

/// What the evidence says.
#[derive(Debug, Default)]
pub struct Verdict {
    pub typed: u64,
    pub ordered: u64,
    pub owed: u64,
    pub lost: u64,
    pub doubled: u64,
    pub diverged: u64,
    pub moved: u64,
    pub unlogged: u64,
    pub elections: u64,
    /// The first complaints; empty: all is well.
    pub wrong: Vec<String>,
}

impl Verdict {
    fn say(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.len() < COMPLAINTS_MAX {
            self.wrong.push(what());
        }
    }

    fn lost(&mut self, what: impl FnOnce() -> String) {
        self.lost += 1;
        self.say(what);
    }

    fn doubled(&mut self, what: impl FnOnce() -> String) {
        self.doubled += 1;
        self.say(what);
    }

    fn diverged(&mut self, what: impl FnOnce() -> String) {
        self.diverged += 1;
        self.say(what);
    }

    fn unlogged(&mut self, what: impl FnOnce() -> String) {
        self.unlogged += 1;
        self.say(what);
    }
}

/// A line of the history.
struct Line<'a> {
    ts: u64,
    text: &'a str,
}

/// The history's lines, and where each text stands.
struct AddressBook<'a> {
    lines: Vec<Line<'a>>,
    places: HashMap<&'a str, usize>,
}

/// Judges the evidence.
pub fn judge(evidence: &Evidence, nobody_moves: bool) -> Verdict {
    let mut verdict = Verdict::default();
    let whole = same(evidence, &mut verdict);
    shape(whole, &mut verdict);
    verdict.elections = whole.last().and_then(round).unwrap_or(1).saturating_sub(1);

    let line = |entry: &'_ Value| Some((entry["ts"].as_u64()?, entry["text"].as_str()?.to_owned()));
    let texts: Vec<(u64, String)> = whole.iter().filter_map(line).collect();
    let mut book = AddressBook { lines: Vec::new(), places: HashMap::new() };
    for (ts, text) in &texts {
        if book.places.insert(text, book.lines.len()).is_some() {
            verdict.doubled(|| format!("{text:?} stands twice in the history"));
        }
        book.lines.push(Line { ts: *ts, text });
    }
    verdict.ordered = book.lines.len() as u64;

    authors(evidence, &book, &mut verdict);
    let owed = owed(evidence);
    verdict.owed = owed.len() as u64;
    for text in owed.iter().filter(|text| !book.places.contains_key(text.as_str())) {
        verdict.lost(|| format!("{text:?} was acknowledged and is lost"));
    }
    for run in &evidence.runs {
        screen(run, &book, nobody_moves, &mut verdict);
        causes(run, &book, &mut verdict);
    }
    let typed_at = evidence.runs.iter().map(|run| (run.tag.as_str(), run.typed.as_slice())).collect();
    for log in &evidence.logs {
        chat_log(log, &book, &typed_at, &mut verdict);
    }
    verdict
}

/// All histories are the same; returns it.
fn same<'a>(evidence: &'a Evidence, verdict: &mut Verdict) -> &'a [Value] {
    let Some(((first, whole), others)) = evidence.histories.split_first() else { return &[] };
    for (name, other) in others {
        if let Some(i) = (0..whole.len().max(other.len())).find(|i| whole.get(*i) != other.get(*i)) {
            let entry = |log: &[Value]| log.get(i).map_or("nothing".into(), Value::to_string);
            verdict.diverged(|| format!("{first} and {name} differ at {i}: {} and {}", entry(whole), entry(other)));
        }
    }
    whole
}

fn round(entry: &Value) -> Option<u64> {
    entry["epoch"]["round"].as_u64()
}

/// Indexes and timestamps rise, epochs do not fall.
fn shape(whole: &[Value], verdict: &mut Verdict) {
    for pair in whole.windows(2) {
        let rises = |key: &str| pair[0][key].as_u64() < pair[1][key].as_u64();
        if !rises("index") || !rises("ts") || round(&pair[0]) > round(&pair[1]) {
            verdict.diverged(|| format!("out of order: {} before {}", pair[0], pair[1]));
        }
    }
}

/// Every line was typed, and each author's lines stand in the order of their typing, none left out.
fn authors(evidence: &Evidence, book: &AddressBook, verdict: &mut Verdict) {
    let talked = evidence.runs.iter().map(|run| (run.tag.as_str(), run.typed.len() as u64));
    let by_hand = evidence.by_hand.iter().map(|(tag, count)| (tag.as_str(), *count));
    let typed: HashMap<&str, u64> = talked.chain(by_hand).collect();
    verdict.typed = typed.values().sum();
    let mut next: HashMap<&str, u64> = HashMap::new();
    let mut seen = HashSet::new();
    for text in book.lines.iter().map(|line| line.text).filter(|text| seen.insert(*text)) {
        let Some((tag, n)) = Chat::number(text).filter(|(tag, n)| typed.get(tag).is_some_and(|count| n < count)) else {
            verdict.diverged(|| format!("nobody typed {text:?}"));
            continue;
        };
        let due = next.entry(tag).or_default();
        if n != *due {
            verdict.diverged(|| format!("{tag} {n} stands where {tag} {due} was due"));
        }
        *due = n + 1;
    }
}

/// What must be there: all that anybody was shown who still has its files, and all that was typed by those who live or
/// left as asked.
fn owed(evidence: &Evidence) -> BTreeSet<String> {
    let by_hand = evidence.by_hand.iter().flat_map(|(tag, count)| (0..*count).map(move |n| format!("{tag} {n}")));
    let mut owed: BTreeSet<String> = by_hand.collect();
    for run in &evidence.runs {
        // What was written to a full disk and nowhere else does not outlive its process.
        let holds = run.lives || (run.kept && !run.blind);
        if holds {
            owed.extend(run.shown.iter().map(|(_, chat)| chat.text.clone()));
        }
        if run.lives || (holds && run.left) {
            owed.extend((0..run.typed.len()).map(|n| format!("{} {n}", run.tag)));
        }
    }
    owed
}

/// Nothing was shown twice in one run, and counts what has moved since.
fn screen(run: &Seen, book: &AddressBook, nobody_moves: bool, verdict: &mut Verdict) {
    let mut seen = HashSet::new();
    for (_, chat) in &run.shown {
        if !seen.insert(chat.text.as_str()) {
            verdict.doubled(|| format!("{} was shown {:?} twice in its run {}", run.name, chat.text, run.tag));
        }
        let Some(ts) = book.places.get(chat.text.as_str()).map(|place| book.lines[*place].ts) else { continue };
        if ts != chat.ts {
            verdict.moved += 1;
            if nobody_moves {
                verdict.diverged(|| format!("{}: {chat:?} has moved to {ts}", run.name));
            }
        }
    }
}

/// What somebody had read stands before what it typed then.
fn causes(run: &Seen, book: &AddressBook, verdict: &mut Verdict) {
    let (mut read, mut furthest) = (0, None);
    for (n, typed_at) in run.typed.iter().enumerate() {
        while let Some((_, chat)) = run.shown.get(read).filter(|(at, _)| at <= typed_at) {
            furthest = furthest.max(book.places.get(chat.text.as_str()).copied());
            read += 1;
        }
        let text = format!("{} {n}", run.tag);
        if let (Some(mine), Some(furthest)) = (book.places.get(text.as_str()), furthest)
            && *mine < furthest
        {
            let before = book.lines[furthest].text;
            verdict.diverged(|| format!("{text:?} stands before {before:?}, which its author had read"));
        }
    }
}

/// No line stands twice in a chat log, and none is missing that was typed since its owner has been in the room.
fn chat_log(log: &Log, book: &AddressBook, typed_at: &HashMap<&str, &[Instant]>, verdict: &mut Verdict) {
    let mut seen = HashMap::new();
    for chat in &log.chats {
        if let Some(before) = seen.insert(chat.text.as_str(), chat.ts) {
            verdict.doubled(|| {
                format!("{}: {:?} stands twice in its chat log, as {before} and as {}", log.name, chat.text, chat.ts)
            });
        }
    }
    let Some(since) = log.since else { return };
    for line in book.lines.iter().filter(|line| !seen.contains_key(line.text)) {
        let at = Chat::number(line.text).and_then(|(tag, n)| typed_at.get(tag)?.get(usize::try_from(n).ok()?));
        if at.is_some_and(|at| *at > since) {
            verdict.unlogged(|| format!("{}: {:?} ({}) is missing in its chat log", log.name, line.text, line.ts));
        }
    }
}
