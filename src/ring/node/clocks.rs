//! The clocks: the node's Lamport clock (Lamport 1978) and the highest election round that it knows.
//!
//! The room itself moves both by small steps. A peer that names a number far ahead may know more (a partition has
//! ended), or may lie. So each author has a [`Budget`] for each clock, and the lines that a leader sequences have one
//! together. See "Numbers near their end" in `docs/protocol.rst`.

use crate::ring::types::budget::Budget;
use crate::ring::types::id::{Index, Lamport};
use crate::ring::types::limits::{
    JUMP_MAX, NUMBER_MAX, OUTBOX_LINES_MAX, PUSHERS_MAX, SUBMITTED_PUSH_MAX, TICKS_PER_LINE,
};
use crate::ring::types::proof::AuthorId;

/// The node's Lamport clock and round, and how far others may still push them.
#[derive(Clone, Debug, Hash)]
pub(super) struct Clocks {
    lamport: Lamport,
    /// The highest round that any node has named.
    round: u64,
    /// How far each author's peers have pushed the Lamport clock.
    lamport_pushed: Budget,
    /// How far each author's peers have pushed the round.
    round_pushed: Budget,
    /// How far submitted lines have pushed the Lamport clock while this node led.
    submitted_pushed: u64,
    /// Started with an empty log: timestamps up to this index are accepted unchecked, for lack of anything to compare
    /// them with.
    trusted_until: Option<Index>,
}

impl Clocks {
    /// A node that starts with a log that ends at `tail` with the clock `lamport`, and knows `round`.
    pub(super) fn new(tail: Index, lamport: Lamport, round: u64) -> Self {
        Self {
            lamport,
            round,
            lamport_pushed: Budget::default(),
            round_pushed: Budget::default(),
            submitted_pushed: 0,
            trusted_until: (tail == Index(0)).then_some(Index(NUMBER_MAX)),
        }
    }

    // ---- the Lamport clock

    pub(super) fn lamport(&self) -> Lamport {
        self.lamport
    }

    /// The log holds an entry with this timestamp.
    pub(super) fn witness(&mut self, lamport: Lamport) {
        self.lamport = self.lamport.max(lamport);
    }

    /// The timestamp with which this node submits its next line.
    pub(super) fn submit(&mut self) -> Lamport {
        self.lamport = Lamport(self.lamport.0.saturating_add(1));
        self.lamport
    }

    /// The timestamp of the next entry that this node, leading, sequences: max(own clock, submitted) + 1, where the
    /// submitted value counts only within its budget. `None`: timestamps have come to their end.
    pub(super) fn sequence(&mut self, submitted: Lamport) -> Option<Lamport> {
        let ahead = submitted.0.saturating_sub(self.lamport.0);
        let far = ahead.saturating_sub(TICKS_PER_LINE).min(SUBMITTED_PUSH_MAX - self.submitted_pushed);
        self.submitted_pushed += far;
        let next =
            self.lamport.0.checked_add(ahead.min(TICKS_PER_LINE) + far + 1).filter(|next| *next <= NUMBER_MAX)?;
        self.lamport = Lamport(next);
        Some(self.lamport)
    }

    /// Whether the clock is so near its end that no more lines can be taken: each line must be sequenced as well.
    pub(super) fn is_spent(&self) -> bool {
        self.lamport.0 > NUMBER_MAX - 2 * OUTBOX_LINES_MAX as u64
    }

    /// Whether a timestamp is so far ahead that no peer can know it honestly.
    pub(super) fn jumps(&self, lamport: Lamport) -> bool {
        lamport.0 > self.lamport.0.saturating_add(JUMP_MAX)
    }

    /// Counts entries of an author's peer that push the clock by `far` ticks more than they may. `false`: the budget is
    /// spent, or the peer's author is unknown.
    pub(super) fn admit_push(&mut self, author: Option<AuthorId>, far: u64) -> bool {
        author.map_or(far == 0, |author| self.lamport_pushed.spend(author, far))
    }

    // ---- the round

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// Counts a round that an author's peer names, and takes it over. `false`: the budget is spent, or the peer's author is
    /// unknown and the round is news.
    pub(super) fn admit_round(&mut self, author: Option<AuthorId>, round: u64) -> bool {
        let ahead = round.saturating_sub(self.round);
        let Some(author) = author else { return ahead == 0 };
        let admitted = self.round_pushed.spend(author, ahead);
        if admitted {
            self.round = self.round.max(round);
        }
        admitted
    }

    /// This node has started a round, or has adopted an epoch of it.
    pub(super) fn adopt_round(&mut self, round: u64) {
        self.round = self.round.max(round);
    }

    /// The round after the highest known one. `None`: rounds have come to their end.
    pub(super) fn next_round(&self) -> Option<u64> {
        self.round.checked_add(1).filter(|next| *next <= NUMBER_MAX)
    }

    // ---- a log that began empty

    /// Whether the timestamps of the next entries are accepted unchecked.
    pub(super) fn trusts(&self) -> bool {
        self.trusted_until.is_some()
    }

    /// The node joins a leader whose log ends at `tail`; its own log ends at `own`. Later entries are checked.
    pub(super) fn trust_up_to(&mut self, tail: Index, own: Index) {
        self.trusted_until = self.trusted_until.map(|until| until.min(tail)).filter(|until| *until > own);
    }

    /// The node's log ends at `own` now.
    pub(super) fn reached(&mut self, own: Index) {
        self.trusted_until.take_if(|until| *until <= own);
    }

    /// The node leads: from now on it checks everything.
    pub(super) fn trust_no_more(&mut self) {
        self.trusted_until = None;
    }

    /// The bounded collections; see [`Node::sizes`](super::Node::sizes).
    pub(super) fn sizes(&self) -> [(&'static str, usize, usize); 2] {
        [
            ("authors that push the clock", self.lamport_pushed.len(), PUSHERS_MAX),
            ("authors that push the round", self.round_pushed.len(), PUSHERS_MAX),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Option<AuthorId> = Some(AuthorId::of_bits(1));
    const BOB: Option<AuthorId> = Some(AuthorId::of_bits(2));

    fn clocks(lamport: u64, round: u64) -> Clocks {
        Clocks::new(Index(1), Lamport(lamport), round)
    }

    #[test]
    fn a_leader_sequences_above_its_clock_and_above_what_was_submitted() {
        let table = [
            ("nothing submitted, as for a note", 10, 0, Some(11)),
            ("an older timestamp", 10, 7, Some(11)),
            ("the same timestamp", 10, 10, Some(11)),
            ("a later one", 10, 15, Some(16)),
            (
                "one beyond the budget",
                10,
                10 + 2 * SUBMITTED_PUSH_MAX,
                Some(10 + TICKS_PER_LINE + SUBMITTED_PUSH_MAX + 1),
            ),
            ("the last one", NUMBER_MAX - 1, 0, Some(NUMBER_MAX)),
            ("the end", NUMBER_MAX, 0, None),
        ];
        for (case, lamport, submitted, next) in table {
            let mut clocks = clocks(lamport, 1);
            assert_eq!(clocks.sequence(Lamport(submitted)), next.map(Lamport), "{case}");
            assert_eq!(clocks.lamport(), Lamport(next.unwrap_or(lamport)), "{case}");
        }
    }

    #[test]
    fn submitted_timestamps_have_one_budget_together() {
        let mut clocks = clocks(0, 1);
        let far = Lamport(u64::from(u32::MAX) * 1024);
        let first = clocks.sequence(far).map_or(0, |lamport| lamport.0);
        let second = clocks.sequence(far).map_or(0, |lamport| lamport.0);
        assert!(first > SUBMITTED_PUSH_MAX);
        assert_eq!(second - first, TICKS_PER_LINE + 1, "the budget is spent: a line counts for its ticks alone");
    }

    #[test]
    fn each_author_has_a_budget_for_each_clock() {
        // Author, the round that its peer names, admitted?, the round afterwards.
        let table = [
            (ALICE, 5, true, 5),
            (ALICE, 4, true, 5),
            (None, 5, true, 5),
            (None, 6, false, 5),
            (ALICE, 5 + JUMP_MAX, false, 5),
            (ALICE, JUMP_MAX, true, JUMP_MAX),
            (ALICE, JUMP_MAX + 5, false, JUMP_MAX),
            (BOB, JUMP_MAX + 5, true, JUMP_MAX + 5),
        ];
        let mut clocks = clocks(1, 1);
        for (author, round, admitted, after) in table {
            assert_eq!(clocks.admit_round(author, round), admitted, "{author:?} names {round}");
            assert_eq!(clocks.round(), after, "{author:?} names {round}");
        }
        for (author, far, admitted) in [(ALICE, JUMP_MAX, true), (ALICE, 1, false), (BOB, 1, true), (None, 1, false)] {
            assert_eq!(clocks.admit_push(author, far), admitted, "{author:?} pushes by {far}");
        }
        assert_eq!(clocks.sizes().map(|(_, size, _)| size), [2, 2]);
    }

    #[test]
    fn numbers_near_their_end_are_refused() {
        for (lamport, spent) in [(1, false), (NUMBER_MAX - 2 * OUTBOX_LINES_MAX as u64, false), (NUMBER_MAX, true)] {
            assert_eq!(clocks(lamport, 1).is_spent(), spent, "the clock is {lamport}");
        }
        for (lamport, jumps) in [(9, false), (10 + JUMP_MAX, false), (11 + JUMP_MAX, true), (u64::MAX, true)] {
            assert_eq!(clocks(10, 1).jumps(Lamport(lamport)), jumps, "a peer names {lamport}");
        }
        for (round, next) in [(1, Some(2)), (NUMBER_MAX - 1, Some(NUMBER_MAX)), (NUMBER_MAX, None), (u64::MAX, None)] {
            assert_eq!(clocks(1, round).next_round(), next, "the round is {round}");
        }
    }

    #[test]
    fn only_a_log_that_began_empty_trusts_timestamps_and_only_up_to_the_leaders_tail() {
        assert!(!clocks(1, 1).trusts());
        let new = || Clocks::new(Index(0), Lamport(0), 0);
        let mut clocks = new();
        clocks.reached(Index(5));
        assert!(clocks.trusts(), "before it has joined");
        clocks.trust_up_to(Index(9), Index(5));
        clocks.reached(Index(8));
        assert!(clocks.trusts(), "the leader's log at that time ends at 9");
        clocks.reached(Index(9));
        assert!(!clocks.trusts(), "everything is there");
        let mut full = new();
        full.trust_up_to(Index(9), Index(9));
        assert!(!full.trusts(), "nothing was missing");
        let mut leader = new();
        leader.trust_no_more();
        assert!(!leader.trusts(), "a leader checks");
    }
}
