//! Whether the node's log is complete: whether it has held, in this run, everything that a leader had.
//!
//! Only such a node's word counts when a new leader asks whether entries may be missing ("caught up" on the wire). A
//! newcomer that leads before it has everything keeps the gap as [`KnownGap`](super::phase::KnownGap).

use std::collections::BTreeMap;

use crate::ring::types::id::{Epoch, Index, Tail};

/// The node's progress towards a complete log.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Completeness {
    /// Where the log of the leader that the node has joined last ended then, until the node holds all of it.
    target: Option<Tail>,
    /// Has been fully caught up with a leader in this run.
    caught_up: bool,
}

impl Completeness {
    /// The node catches up with a log that ends at `target`.
    pub(super) fn aim(&mut self, target: Tail) {
        self.target = Some(target);
    }

    /// The node's log has these last indexes of each epoch now.
    pub(super) fn reached(&mut self, epochs: &BTreeMap<Epoch, Index>) {
        let holds = |target: &mut Tail| target.epoch.is_none_or(|epoch| epochs.get(&epoch) >= Some(&target.index));
        self.caught_up |= self.target.take_if(holds).is_some();
    }

    /// The node leads. `vouched`: a node that is caught up has voted for it or follows it, so its log is complete.
    /// Otherwise returns where the missing entries end, if some are missing.
    pub(super) fn lead(&mut self, vouched: bool) -> Option<Tail> {
        let gap = self.target.take().filter(|_| !vouched);
        self.caught_up |= gap.is_none();
        gap
    }

    /// A node that is caught up follows this one, so this node's log is complete.
    pub(super) fn vouch(&mut self, caught_up: bool) {
        self.caught_up |= caught_up;
    }

    /// Whether the node has been fully caught up with a leader in this run.
    pub(super) fn is_caught_up(&self) -> bool {
        self.caught_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::{Nonce, Uid};

    fn epoch(round: u64) -> Epoch {
        Epoch { round, leader: Uid(([127, 0, 0, 1], 1).into()), nonce: Nonce(1) }
    }

    fn tail(round: u64, index: u64) -> Tail {
        Tail { epoch: Some(epoch(round)), index: Index(index) }
    }

    #[test]
    fn a_node_is_caught_up_once_it_holds_all_that_its_leader_had() {
        let table = [
            ("less of the epoch", vec![(1, 4)], false),
            ("another epoch", vec![(2, 9)], false),
            ("exactly that", vec![(1, 5)], true),
            ("more of the epoch", vec![(1, 6), (2, 9)], true),
        ];
        for (case, epochs, caught_up) in table {
            let mut completeness = Completeness::default();
            completeness.aim(tail(1, 5));
            completeness.reached(&epochs.iter().map(|&(round, index)| (epoch(round), Index(index))).collect());
            assert_eq!(completeness.is_caught_up(), caught_up, "{case}");
        }
        let mut empty = Completeness::default();
        empty.aim(Tail::default());
        empty.reached(&BTreeMap::new());
        assert!(empty.is_caught_up(), "an empty log has nothing to send");
    }

    #[test]
    fn a_leader_knows_its_gap_unless_somebody_vouches_for_its_log() {
        // Target, vouched for, the gap, caught up afterwards.
        let table = [
            (None, false, None, true),
            (Some(tail(1, 5)), true, None, true),
            (Some(tail(1, 5)), false, Some(tail(1, 5)), false),
        ];
        for (target, vouched, gap, caught_up) in table {
            let mut completeness = Completeness { target, caught_up: false };
            assert_eq!(completeness.lead(vouched), gap, "{target:?}, {vouched}");
            assert_eq!(completeness.is_caught_up(), caught_up, "{target:?}, {vouched}");
            completeness.vouch(true);
            assert!(completeness.is_caught_up());
        }
    }
}
