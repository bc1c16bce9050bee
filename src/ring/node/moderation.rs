//! What moderation asks of this node: to name the first moderators of a room, and to leave when it is evicted.

use crate::ring::Refusal;
use crate::ring::types::id::Index;
use crate::ring::types::proof::AuthorId;

/// The moderators of a new room, and the eviction of this node.
#[derive(Clone, Debug, Hash)]
pub(super) struct Moderation {
    /// Who may moderate a room that this node founds, beside its founder; empty: every member.
    moderators: Vec<AuthorId>,
    /// What stands in the log up to here happened before this node came (again).
    seen_to: Index,
    /// This node was kicked or banned, and has not left yet.
    eviction: Option<Refusal>,
}

impl Moderation {
    /// A room that this node founds is to be moderated by these authors, and by its founder.
    pub(super) fn new(moderators: Vec<AuthorId>) -> Self {
        Self { moderators, seen_to: Index(0), eviction: None }
    }

    /// The moderators of the room that `founder` has just founded, ascending; `None`: every member moderates it, or
    /// they were named already.
    pub(super) fn take_moderators(&mut self, founder: AuthorId) -> Option<Vec<AuthorId>> {
        let mut authors = std::mem::take(&mut self.moderators);
        if authors.is_empty() {
            return None;
        }
        authors.push(founder);
        authors.sort_unstable();
        authors.dedup();
        Some(authors)
    }

    /// This node is in the room (again), and the log ends here: what stands there concerns an earlier stay.
    pub(super) fn enter(&mut self, tail: Index) {
        self.seen_to = tail;
    }

    /// Whether an entry at this index concerns this stay in the room.
    pub(super) fn concerns_me(&self, index: Index) -> bool {
        index > self.seen_to
    }

    /// A line at this index kicks or bans this node, which leaves unless that is past.
    pub(super) fn evict(&mut self, index: Index, reason: Refusal) {
        if self.concerns_me(index) {
            self.eviction = Some(reason);
        }
    }

    /// Whether this node is to leave.
    pub(super) fn is_evicted(&self) -> bool {
        self.eviction.is_some()
    }

    /// Why this node has to leave. It does so once.
    pub(super) fn take_eviction(&mut self) -> Option<Refusal> {
        self.eviction.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eviction_counts_only_in_the_stay_that_it_ends() {
        // The log ends here when this node enters; the line that evicts it stands there; whether this node leaves.
        let table = [(0, 1, true), (5, 6, true), (5, 5, false), (5, 1, false)];
        for (tail, index, leaves) in table {
            let case = format!("entered at {tail}, evicted at {index}");
            let mut moderation = Moderation::new(Vec::new());
            moderation.enter(Index(tail));
            assert!(!moderation.is_evicted(), "{case}: nothing has happened");
            moderation.evict(Index(index), Refusal::Protocol);
            assert_eq!(moderation.is_evicted(), leaves, "{case}");
            assert_eq!(moderation.take_eviction(), leaves.then_some(Refusal::Protocol), "{case}");
            assert!(!moderation.is_evicted(), "{case}: it leaves once");
        }
    }

    #[test]
    fn an_eviction_that_was_not_served_outlasts_the_next_entry() {
        let mut moderation = Moderation::new(Vec::new());
        moderation.evict(Index(3), Refusal::Protocol);
        moderation.enter(Index(9));
        assert!(moderation.is_evicted());
    }

    #[test]
    fn a_founder_names_the_moderators_once_and_itself_among_them() {
        let [a, b, c] = [1, 2, 3].map(AuthorId::of_bits);
        let table = [
            ("nobody is named: everybody moderates", vec![], b, None),
            ("the founder is added in order", vec![c, a], b, Some(vec![a, b, c])),
            ("nobody is named twice", vec![b, a, b], b, Some(vec![a, b])),
        ];
        for (case, named, founder, expected) in table {
            let mut moderation = Moderation::new(named);
            assert_eq!(moderation.take_moderators(founder), expected, "{case}");
            assert_eq!(moderation.take_moderators(founder), None, "{case}: once");
        }
    }
}
