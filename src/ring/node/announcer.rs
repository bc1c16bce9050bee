//! How an epoch becomes known: straight to every peer, and round the ring for peers that the leader cannot reach.

use std::collections::BTreeSet;

use crate::ring::types::id::{Epoch, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::Elected;

/// The announcements that this node has made or forwarded.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Announcer {
    /// The last epoch that went round the ring from here.
    announced: Option<Epoch>,
    /// When this node last raised its epoch above a token's round.
    epoch_bumped: Time,
}

impl Announcer {
    /// The peers of `ring` to tell of this node's own `epoch`, and the announcement that then goes round all of them.
    pub(super) fn announce(&mut self, me: Uid, epoch: Epoch, ring: &BTreeSet<Uid>) -> (Vec<Uid>, Elected) {
        self.announced = Some(epoch);
        let peers: Vec<Uid> = ring.iter().copied().filter(|&uid| uid != me).take(BOOK_NODES_MAX).collect();
        let around: BTreeSet<Uid> = peers.iter().copied().chain([me]).collect();
        let around: Vec<Uid> = around.into_iter().collect();
        let hops = around.len() as u32;
        (peers, Elected { epoch, ring: around, hops: Some(hops) })
    }

    /// Whether this announcement of another leader goes on round the ring: each epoch does so once, in ascending order.
    pub(super) fn is_to_forward(&mut self, elected: &Elected) -> bool {
        let news = elected.hops.is_some() && self.announced < Some(elected.epoch);
        if news {
            self.announced = Some(elected.epoch);
        }
        news
    }

    /// Whether this leader may raise its epoch above a token's round: once in a `heartbeat`. A node whose link keeps
    /// flapping may not raise the epoch faster than the room can use it.
    pub(super) fn may_bump(&mut self, now: Time, heartbeat: Span) -> bool {
        let due = self.epoch_bumped + heartbeat <= now;
        if due {
            self.epoch_bumped = now;
        }
        due
    }
}

/// The next peer of the announcement's ring after `me`, and what it gets. `None`: the announcement has gone all the way
/// round, or has no hop left.
pub(super) fn forward(me: Uid, mut elected: Elected) -> Option<(Uid, Elected)> {
    let hops = elected.hops?.checked_sub(1)?;
    let larger = elected.ring.iter().copied().find(|&uid| uid > me);
    let next = larger.or(elected.ring.first().copied()).filter(|&uid| uid != me && uid != elected.epoch.leader)?;
    elected.hops = Some(hops);
    Some((next, elected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::Nonce;

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    fn uids(ports: &[u16]) -> Vec<Uid> {
        ports.iter().copied().map(uid).collect()
    }

    fn epoch(round: u64) -> Epoch {
        Epoch { round, leader: uid(9), nonce: Nonce(1) }
    }

    fn elected(round: u64, hops: Option<u32>) -> Elected {
        Elected { epoch: epoch(round), ring: uids(&[1, 4, 9]), hops }
    }

    #[test]
    fn an_own_epoch_goes_to_all_others_and_round_all() {
        let ring = uids(&[4, 9, 1]).into_iter().collect();
        let others = uids(&[1, 4]).into_iter().collect();
        for (case, ring) in [("a ring with this node", ring), ("a ring without it", others)] {
            let (peers, around) = Announcer::default().announce(uid(9), epoch(2), &ring);
            assert_eq!((peers, around), (uids(&[1, 4]), elected(2, Some(3))), "{case}");
        }
    }

    #[test]
    fn each_epoch_goes_round_once_and_no_lower_one_after_it() {
        let mut announcer = Announcer::default();
        let table = [
            ("a straight announcement ends here", elected(2, None), false),
            ("a new epoch goes on", elected(2, Some(3)), true),
            ("not twice", elected(2, Some(3)), false),
            ("a higher one goes on", elected(4, Some(1)), true),
            ("a lower one does not", elected(3, Some(3)), false),
        ];
        for (case, elected, expected) in table {
            assert_eq!(announcer.is_to_forward(&elected), expected, "{case}");
        }
        announcer.announce(uid(9), epoch(7), &BTreeSet::new());
        assert!(!announcer.is_to_forward(&elected(6, Some(3))), "an own epoch counts too");
    }

    #[test]
    fn an_announcement_ends_before_its_leader_and_where_its_hops_end() {
        let table = [
            ("to the next larger", 1, Some(3), Some((4, 2))),
            ("a node that is not in the ring", 2, Some(3), Some((4, 2))),
            ("past the largest to the smallest", 9, Some(3), Some((1, 2))),
            ("the last hop", 1, Some(1), Some((4, 0))),
            ("no hop left", 1, Some(0), None),
            ("a straight announcement", 1, None, None),
            ("the leader comes next", 4, Some(3), None),
        ];
        for (case, me, hops, expected) in table {
            let next = forward(uid(me), elected(2, hops));
            assert_eq!(next, expected.map(|(to, hops)| (uid(to), elected(2, Some(hops)))), "{case}");
        }
        let alone = Elected { ring: uids(&[1]), ..elected(2, Some(3)) };
        assert_eq!(forward(uid(1), alone), None, "nobody else is there");
    }

    #[test]
    fn an_epoch_is_raised_once_in_a_heartbeat() {
        let (mut announcer, heartbeat) = (Announcer::default(), Span::ms(250));
        for (ms, expected) in
            [(1_000, true), (1_001, false), (1_249, false), (1_250, true), (1_400, false), (9_000, true)]
        {
            assert_eq!(announcer.may_bump(Time(0) + Span::ms(ms), heartbeat), expected, "at {ms} ms");
        }
    }
}
