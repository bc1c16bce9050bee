//! Lines that the log holds ahead of the history.
//!
//! A full disk may take a line into the log that it does not take into the history. Such a line ends with its process
//! for the history, not for the log, and may be ordered again, at another place: it is logged once.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::ring::RoomId;
use crate::text;

/// Chat lines of the log that the history has not met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOrphans {
    /// Each line's content in short, and its timestamp.
    lines: BTreeSet<(u64, u64)>,
}

/// The same for each room that the log tells of.
pub type OrphansByRoom = BTreeMap<RoomId, LogOrphans>;

/// A chat line's timestamp, and what else it says: `NAME(IP:PORT): text`.
fn parse(line: &str) -> Option<(u64, &str)> {
    let (stamp, rest) = line.trim_end_matches('\n').split_once(": ")?;
    text::is_chat_shaped(rest).then_some((stamp.parse().ok()?, rest))
}

fn short(rest: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    rest.hash(&mut hasher);
    hasher.finish()
}

impl LogOrphans {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line of the log. Whether it is a chat line: no others are.
    pub fn add(&mut self, line: &str) -> bool {
        let Some((stamp, rest)) = parse(line) else { return false };
        self.lines.insert((short(rest), stamp));
        true
    }

    /// Adds all of these.
    pub fn join(&mut self, mut others: Self) {
        self.lines.append(&mut others.lines);
    }

    /// Takes out this very line. Whether it was there.
    pub fn take_same(&mut self, line: &str) -> bool {
        parse(line).is_some_and(|(stamp, rest)| self.lines.remove(&(short(rest), stamp)))
    }

    /// Whether this very line is there.
    pub fn has_same(&self, line: &str) -> bool {
        parse(line).is_some_and(|(stamp, rest)| self.lines.contains(&(short(rest), stamp)))
    }

    /// Takes out this line, or the oldest that differs in nothing but the timestamp: what was lost and is ordered again
    /// has another. Whether there was one.
    pub fn take(&mut self, line: &str) -> bool {
        let Some((stamp, rest)) = parse(line) else { return false };
        let short = short(rest);
        if self.lines.remove(&(short, stamp)) {
            return true;
        }
        let oldest = self.lines.range((short, 0)..=(short, u64::MAX)).next().copied();
        oldest.is_some_and(|oldest| self.lines.remove(&oldest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&str; 3] = ["5: ann(10.0.0.5:1): ok\n", "7: ann(10.0.0.5:1): ok\n", "8: bob(10.0.0.6:1): it: is\n"];

    fn all() -> LogOrphans {
        let mut ahead = LogOrphans::default();
        assert!(LINES.iter().all(|line| ahead.add(line)));
        ahead
    }

    #[test]
    fn a_line_is_taken_once_for_each_time_that_it_stands_there() {
        let mut ahead = all();
        let taken = (0..3).filter(|_| ahead.take("9: ann(10.0.0.5:1): ok\n")).count();
        assert_eq!(taken, 2);
        assert!(!ahead.take("8: ann(10.0.0.5:1): it: is\n"), "somebody else's");
        assert!(ahead.take("8: bob(10.0.0.6:1): it: is\n") && ahead.is_empty());
    }

    #[test]
    fn the_same_timestamp_goes_first() {
        let mut ahead = all();
        assert!(!ahead.take_same("6: ann(10.0.0.5:1): ok\n"));
        assert!(ahead.take(LINES[1]) && !ahead.take_same(LINES[1]) && ahead.take_same(LINES[0]));
    }

    #[test]
    fn events_and_dashes_never_come_again() {
        let mut ahead = LogOrphans::default();
        for line in ["5: ann(10.0.0.5:1) joined the ring\n", "-----\n", "x: ann(10.0.0.5:1): ok\n", "\n"] {
            assert!(!ahead.add(line), "{line}");
        }
        assert!(ahead.is_empty());
    }
}
