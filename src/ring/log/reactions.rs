//! Current reactions: for each line and emoji, the authors who have set it and not withdrawn it.

use std::collections::BTreeMap;

use crate::ring::log::emoji::Emoji;
use crate::ring::log::entry::{Act, Line};
use crate::ring::types::id::LineId;
use crate::ring::types::proof::AuthorId;

/// The reactions in a part of a log. It grows with the number of reactions; a store counts long parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reactions {
    words: BTreeMap<LineId, BTreeMap<(Emoji, AuthorId), bool>>,
    len: usize,
}

impl Reactions {
    /// Applies the next line.
    pub fn apply(&mut self, line: &Line) {
        if let Some(Act::React { to, with, on }) = &line.act {
            self.put(*to, with.clone(), line.id.author, *on);
        }
    }

    /// Records the author's latest act on this reaction.
    pub fn put(&mut self, to: LineId, with: Emoji, by: AuthorId, on: bool) {
        if self.words.entry(to).or_default().insert((with, by), on).is_none() {
            self.len += 1;
        }
    }

    /// Takes over what a later part of the log says of a line.
    pub fn put_all(&mut self, to: LineId, later: &Self) {
        for ((with, by), on) in later.words.get(&to).into_iter().flatten() {
            self.put(to, with.clone(), *by, *on);
        }
    }

    /// The number of latest acts of all lines: one for each author, emoji and line.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no author has ever set or withdrawn a reaction here.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of latest acts on one line.
    pub fn len_of(&self, line: LineId) -> usize {
        self.words.get(&line).map_or(0, BTreeMap::len)
    }

    /// Whether there is an act of this author on this reaction.
    pub fn knows(&self, line: LineId, with: &Emoji, by: AuthorId) -> bool {
        self.words.get(&line).is_some_and(|words| words.contains_key(&(with.clone(), by)))
    }

    /// Forgets all acts on a line.
    pub fn forget(&mut self, line: LineId) {
        self.len -= self.words.remove(&line).map_or(0, |words| words.len());
    }

    /// The current reactions to a line with their numbers of authors, the most frequent first.
    pub fn of(&self, line: LineId) -> Vec<(Emoji, u64)> {
        let mut counts: BTreeMap<&Emoji, u64> = BTreeMap::new();
        for ((with, _), _) in self.words.get(&line).into_iter().flatten().filter(|(_, on)| **on) {
            *counts.entry(with).or_default() += 1;
        }
        let mut counts: Vec<(Emoji, u64)> = counts.into_iter().map(|(with, count)| (with.clone(), count)).collect();
        counts.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
        counts
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::ring::types::id::SessionId;

    #[test]
    fn an_author_counts_once_and_may_take_it_back() {
        let line = |n| LineId { author: AuthorId::of_bits(1), session: SessionId(1), n };
        let party = || Emoji::parse("🎉").unwrap();
        let mut all = Reactions::default();
        for (n, with, by, on) in [
            (1, Emoji::like(), 1, true),
            (1, Emoji::like(), 1, true),
            (1, Emoji::like(), 2, true),
            (1, party(), 2, true),
            (1, party(), 3, true),
            (1, party(), 4, true),
            (1, Emoji::like(), 2, false),
            (2, party(), 2, false),
        ] {
            all.put(line(n), with, AuthorId::of_bits(by), on);
        }
        assert_eq!(all.of(line(1)), [(party(), 3), (Emoji::like(), 1)]);
        assert_eq!((all.of(line(2)), all.of(line(3))), (vec![], vec![]));
        let mut later = Reactions::default();
        later.put(line(1), party(), AuthorId::of_bits(2), false);
        later.put(line(1), party(), AuthorId::of_bits(3), false);
        later.put(line(2), party(), AuthorId::of_bits(3), true);
        all.put_all(line(1), &later);
        assert_eq!(all.of(line(1)), [(party(), 1), (Emoji::like(), 1)]);
        assert_eq!(all.of(line(2)), []);
    }

    #[test]
    fn a_line_is_forgotten_with_all_that_was_put_to_it() {
        let line = |n| LineId { author: AuthorId::of_bits(1), session: SessionId(1), n };
        let mut all = Reactions::default();
        for (n, by) in [(1, 1), (1, 1), (1, 2), (2, 1)] {
            all.put(line(n), Emoji::like(), AuthorId::of_bits(by), true);
        }
        assert_eq!((all.len(), all.len_of(line(1)), all.len_of(line(2)), all.len_of(line(3))), (3, 2, 1, 0));
        all.forget(line(1));
        assert_eq!((all.len(), all.of(line(1))), (1, vec![]));
        all.forget(line(1));
        all.forget(line(2));
        assert!(all.is_empty());
    }
}
