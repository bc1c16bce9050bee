//! Own lines that were entered and have not come back: what waits can be shown.

use std::collections::VecDeque;

use crate::feed::parse::{self, Doing, Meaning};
use crate::present::values::{Kind, Line};

/// Lines that are remembered; of more, the oldest are not.
const PENDING_LINES_MAX: usize = 256;

/// What was entered, the oldest first.
#[derive(Debug, Default)]
pub struct Pending {
    lines: VecDeque<Entered>,
    /// It was told that own lines wait, and not yet that it is over.
    waits: bool,
}

#[derive(Debug)]
struct Entered {
    kind: Kind,
    /// As it was typed, without blanks around it.
    text: String,
}

impl Pending {
    /// A line was entered. What is to be shown of it at once: it waits where others do.
    pub fn enter(&mut self, line: &str) -> Vec<String> {
        let (kind, text) = match parse::read(line) {
            Meaning::Say(words) => (Kind::Say, words),
            Meaning::Act(doing) => match doing {
                Doing::Me => (Kind::Me, line),
                Doing::Reply(..) => (Kind::Reply, line),
                Doing::React { .. } => (Kind::React, line),
                Doing::Nick(_) => (Kind::Nick, line),
                Doing::Topic => (Kind::Topic, line),
                Doing::Away => (Kind::Away, line),
            },
            // They say nothing that waits for a leader; what moderates is seldom, and may be refused.
            Meaning::Nothing
            | Meaning::Leave
            | Meaning::Help(_)
            | Meaning::Who(_)
            | Meaning::Status
            | Meaning::Ring
            | Meaning::Recall(_)
            | Meaning::Save(_)
            | Meaning::Clear
            | Meaning::Private(..)
            | Meaning::AskTopic
            | Meaning::Join(_)
            | Meaning::Part
            | Meaning::List
            | Meaning::Ignore(_)
            | Meaning::Order(..)
            | Meaning::Rekey
            | Meaning::Wrong(_)
            | Meaning::Misused(_)
            | Meaning::Unknown(_) => return Vec::new(),
        };
        self.push(kind, text)
    }

    /// As [`enter`](Self::enter), of a line that is text whatever it begins with.
    pub fn say(&mut self, text: &str) -> Vec<String> {
        self.push(Kind::Say, text)
    }

    fn push(&mut self, kind: Kind, text: &str) -> Vec<String> {
        let text = text.trim().to_owned();
        if self.lines.len() == PENDING_LINES_MAX {
            self.lines.pop_front();
        }
        let shown = if self.waits { vec![text.clone()] } else { Vec::new() };
        self.lines.push_back(Entered { kind, text });
        shown
    }

    /// A line has come. One's own are ordered as they were entered: what was before it was refused, or left out.
    pub fn came(&mut self, line: &Line) {
        let is_it = |entered: &Entered| {
            // Which line is meant may have been added to what was typed.
            entered.kind == line.kind && (line.kind != Kind::Say || entered.text == line.text.trim())
        };
        if line.own
            && !line.past
            && let Some(place) = self.lines.iter().position(is_it)
        {
            self.lines.drain(..=place);
        }
    }

    /// So many own lines wait, of this frontend and others. Which of them are to be shown.
    pub fn wait(&mut self, lines: u64) -> Vec<String> {
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        // Older ones were taken and have not come here.
        let gone = self.lines.len().saturating_sub(lines);
        self.lines.drain(..gone);
        self.waits = lines > 0;
        self.lines.iter().map(|entered| entered.text.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Name, SessionId};

    fn own(kind: Kind, text: &str) -> Line {
        Line {
            index: 1,
            ts: 1,
            time: String::new(),
            name: Name::parse("ann").unwrap(),
            address: "10.0.0.5:2428".parse().unwrap(),
            author: AuthorId::of_bits(1),
            session: SessionId(1),
            n: 1,
            channel: "lobby".to_owned(),
            kind,
            text: text.to_owned(),
            typed: None,
            to: None,
            own: true,
            past: false,
            reactions: Vec::new(),
        }
    }

    #[test]
    fn what_has_not_come_back_waits() {
        let mut pending = Pending::default();
        for line in ["one ", "/who", "/like", "/me waves", "two", "/nothing", "/etc/hosts is a file"] {
            assert!(pending.enter(line).is_empty());
        }
        pending.came(&own(Kind::Say, "one"));
        pending.came(&Line { own: false, ..own(Kind::Say, "two") });
        pending.came(&own(Kind::React, "👍"));
        assert_eq!(pending.wait(3), ["/me waves", "two", "/etc/hosts is a file"]);
        assert_eq!(pending.enter("/say three"), ["three"]);
        assert!(pending.enter("/status").is_empty());
        // What came before it has not come, and does not wait.
        pending.came(&own(Kind::Say, "two"));
        assert_eq!(pending.wait(2), ["/etc/hosts is a file", "three"]);
        assert!(pending.wait(0).is_empty());
        assert!(pending.enter("four").is_empty());
        pending.say("/nick zed");
        assert_eq!(pending.wait(1), ["/nick zed"]);
        pending.came(&own(Kind::Say, "/nick zed"));
        assert!(pending.wait(1).is_empty());
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut pending = Pending::default();
        (0..=PENDING_LINES_MAX).for_each(|n| drop(pending.enter(&n.to_string())));
        let waiting = pending.wait(u64::MAX);
        assert_eq!((waiting.len(), waiting[0].as_str()), (PENDING_LINES_MAX, "1"));
    }
}
