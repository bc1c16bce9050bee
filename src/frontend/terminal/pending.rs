//! The user's own lines that the log does not have yet. The terminal shows them while they wait for a leader.

use std::collections::VecDeque;

use crate::feed::parse::{self, Intent, SocialAct};
use crate::present::values::{FeedLine, LineKind};

/// Most lines remembered; the oldest ones go first.
const PENDING_LINES_MAX: usize = 256;

/// The pending lines, the oldest first.
#[derive(Debug, Default)]
pub struct Pending {
    lines: VecDeque<PendingLine>,
    /// The node has said that own lines wait, and has not yet said that none does.
    waits: bool,
}

#[derive(Debug)]
struct PendingLine {
    kind: LineKind,
    /// As typed, trimmed.
    text: String,
}

impl Pending {
    /// Remembers an entered line. Returns the texts to show as waiting at once: this one, if own lines wait already.
    pub fn enter(&mut self, line: &str) -> Vec<String> {
        let (kind, text) = match parse::read(line) {
            Intent::Say(words) => (LineKind::Say, words),
            Intent::Act(doing) => match doing {
                SocialAct::Me => (LineKind::Me, line),
                SocialAct::Reply(..) => (LineKind::Reply, line),
                SocialAct::React { .. } => (LineKind::React, line),
                SocialAct::Nick(_) => (LineKind::Nick, line),
                SocialAct::Topic => (LineKind::Topic, line),
                SocialAct::Away => (LineKind::Away, line),
            },
            // These wait for no leader; commands of moderation do, but are rare and may be refused.
            Intent::Nothing
            | Intent::Leave
            | Intent::Help(_)
            | Intent::Who(_)
            | Intent::Status
            | Intent::Ring
            | Intent::Recall(_)
            | Intent::Save(_)
            | Intent::Clear
            | Intent::Private(..)
            | Intent::AskTopic
            | Intent::Join(_)
            | Intent::Part
            | Intent::List
            | Intent::Ignore(_)
            | Intent::Order(..)
            | Intent::Rekey
            | Intent::Wrong(_)
            | Intent::Misused(_)
            | Intent::Unknown(_) => return Vec::new(),
        };
        self.push(kind, text)
    }

    /// As [`enter`](Self::enter), for a line that is a message even if it looks like a command.
    pub fn say(&mut self, text: &str) -> Vec<String> {
        self.push(LineKind::Say, text)
    }

    fn push(&mut self, kind: LineKind, text: &str) -> Vec<String> {
        let text = text.trim().to_owned();
        if self.lines.len() == PENDING_LINES_MAX {
            self.lines.pop_front();
        }
        let shown = if self.waits { vec![text.clone()] } else { Vec::new() };
        self.lines.push_back(PendingLine { kind, text });
        shown
    }

    /// Forgets an own line that has come back, and all older ones: the leader keeps their order, so older ones were
    /// refused or left out.
    pub fn came(&mut self, line: &FeedLine) {
        let is_it = |entered: &PendingLine| {
            // Only messages compare by text: the node may add to a reply or reaction which line it means.
            entered.kind == line.kind && (line.kind != LineKind::Say || entered.text == line.text.trim())
        };
        if line.own
            && !line.past
            && let Some(place) = self.lines.iter().position(is_it)
        {
            self.lines.drain(..=place);
        }
    }

    /// Takes the number of own lines that wait, of this frontend and others. Returns the texts to show as waiting.
    pub fn wait(&mut self, lines: u64) -> Vec<String> {
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        // The oldest ones beyond that number are in the log, although they have not come back here.
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

    fn own(kind: LineKind, text: &str) -> FeedLine {
        FeedLine {
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
        pending.came(&own(LineKind::Say, "one"));
        pending.came(&FeedLine { own: false, ..own(LineKind::Say, "two") });
        pending.came(&own(LineKind::React, "👍"));
        assert_eq!(pending.wait(3), ["/me waves", "two", "/etc/hosts is a file"]);
        assert_eq!(pending.enter("/say three"), ["three"]);
        assert!(pending.enter("/status").is_empty());
        // The line before it has not come back, and no longer waits.
        pending.came(&own(LineKind::Say, "two"));
        assert_eq!(pending.wait(2), ["/etc/hosts is a file", "three"]);
        assert!(pending.wait(0).is_empty());
        assert!(pending.enter("four").is_empty());
        pending.say("/nick zed");
        assert_eq!(pending.wait(1), ["/nick zed"]);
        pending.came(&own(LineKind::Say, "/nick zed"));
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
