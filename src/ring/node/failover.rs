//! What people want to know when a node is lost: how long the room had no leader, and whether most members are gone.

use std::collections::BTreeMap;

use super::Node;
use crate::ring::Event;
use crate::ring::types::id::{Epoch, Name, Uid};
use crate::ring::types::limits::{BOOK_NODES_MAX, CUT_OFF_WITHIN};
use crate::ring::types::time::Time;

/// The losses that this node has seen: of its leader, and of other members.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Failover {
    /// The leader is lost, and no new one is obeyed yet.
    leaderless: Option<LeaderlessSince>,
    /// The members that were lost lately, and when.
    lost: BTreeMap<Uid, Time>,
    /// The lost members outnumber those that are here, and an event has said so.
    cut_off: bool,
}

/// A leaderless interval, as this node sees it.
#[derive(Clone, Debug, Hash)]
struct LeaderlessSince {
    lost: Uid,
    name: Option<Name>,
    since: Time,
}

impl Failover {
    /// The leader does not answer: the leaderless interval begins, unless it has begun already.
    fn leader_unreachable(&mut self, now: Time, lost: Uid, name: Option<Name>) {
        self.leaderless.get_or_insert(LeaderlessSince { lost, name, since: now });
    }

    /// The leaderless interval ends: this node, `me`, obeys `epoch`. Gives the notice for people, unless there was
    /// nothing to notice: the same leader is back, or the lost one was `me` or `has_left` the room by its own will.
    fn leader_found(
        &mut self,
        now: Time,
        me: Uid,
        epoch: Epoch,
        name: Option<Name>,
        has_left: impl Fn(Uid) -> bool,
    ) -> Option<Event> {
        let LeaderlessSince { lost, name: lost_name, since } = self.leaderless.take()?;
        let noticed = lost != epoch.leader && lost != me && !has_left(lost);
        noticed.then(|| Event::FailedOver { lost, lost_name, epoch, name, took: now - since })
    }

    /// A member was lost.
    fn member_lost(&mut self, now: Time, uid: Uid) {
        if self.lost.len() < BOOK_NODES_MAX {
            self.lost.insert(uid, now);
        }
    }

    /// A member is here, or has left the room by its own will.
    fn member_accounted_for(&mut self, uid: Uid) {
        self.lost.remove(&uid);
    }

    /// Compares the lost members with the `here` members of the view. Gives an event when the lost ones become the
    /// majority; the next such event needs a minority in between.
    fn count(&mut self, now: Time, here: usize) -> Option<Event> {
        if self.lost.is_empty() {
            self.cut_off = false;
            return None;
        }
        if !self.cut_off {
            self.lost.retain(|_, at| *at + CUT_OFF_WITHIN > now);
        }
        let lost = self.lost.len();
        let most = here < lost;
        let news = most && !self.cut_off;
        self.cut_off = most;
        news.then_some(Event::CutOff { here, of: here + lost })
    }

    /// How many members were lost lately; at most [`BOOK_NODES_MAX`].
    pub(super) fn members_lost(&self) -> usize {
        self.lost.len()
    }
}

impl Node {
    /// The connection to my leader has ended; perhaps it is there again in a moment.
    pub(super) fn leader_unreachable(&mut self, leader: Uid) {
        self.failover.leader_unreachable(self.now.mono, leader, self.name_of(leader));
    }

    /// My leader is lost.
    pub(super) fn leader_lost(&mut self, leader: Uid) {
        self.leader_unreachable(leader);
        self.event(Event::LeaderLost(leader));
    }

    /// I obey another epoch.
    pub(super) fn report_leader(&mut self, epoch: Epoch) {
        self.event(Event::Leader(epoch));
        let (name, book) = (self.name_of(epoch.leader), &self.book);
        let notice =
            self.failover.leader_found(self.now.mono, self.identity.me, epoch, name, |lost| book.has_left(lost));
        notice.into_iter().for_each(|event| self.event(event));
    }

    fn name_of(&self, uid: Uid) -> Option<Name> {
        self.log.state().view.get(uid).map(|member| member.name.clone())
    }

    /// A member was lost, now and not in a past that I am catching up with.
    pub(super) fn member_missing(&mut self, uid: Uid) {
        if !self.display.is_first_catch_up() && uid != self.identity.me {
            self.failover.member_lost(self.now.mono, uid);
        }
    }

    /// A member is here, or gone for good.
    pub(super) fn member_back(&mut self, uid: Uid) {
        self.failover.member_accounted_for(uid);
    }

    /// After the view has changed: are most of us here?
    pub(super) fn check_cut_off(&mut self) {
        let notice = self.failover.count(self.now.mono, self.log.state().view.len());
        notice.into_iter().for_each(|event| self.event(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::Nonce;
    use crate::ring::types::time::Span;

    const ME: u16 = 1;

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    fn name(name: &str) -> Option<Name> {
        Name::parse(name).ok()
    }

    fn at(ms: u64) -> Time {
        Time(0) + Span::ms(ms)
    }

    fn epoch(leader: u16) -> Epoch {
        Epoch { round: 2, leader: uid(leader), nonce: Nonce(1) }
    }

    #[test]
    fn a_new_leader_ends_the_leaderless_interval_with_a_notice_where_there_is_news() {
        let took = Span::ms(700);
        let succeeded = |lost, lost_name, leader| {
            let (lost, epoch) = (uid(lost), epoch(leader));
            Some(Event::FailedOver { lost, lost_name, epoch, name: name("new"), took })
        };
        let table = [
            ("another leader follows the lost one", vec![(100, 7)], 3, false, succeeded(7, name("old"), 3)),
            ("this node follows the lost one", vec![(100, 7)], ME, false, succeeded(7, name("old"), ME)),
            ("the first loss counts", vec![(100, 7), (500, 9)], 3, false, succeeded(7, name("old"), 3)),
            ("no leader was lost", vec![], 3, false, None),
            ("the lost leader is back", vec![(100, 7)], 7, false, None),
            ("the lost leader had said good-bye", vec![(100, 7)], 3, true, None),
            ("this node was the lost leader", vec![(100, ME)], 3, false, None),
        ];
        for (case, losses, leader, has_left, expected) in table {
            let mut failover = Failover::default();
            for (ms, lost) in losses {
                failover.leader_unreachable(at(ms), uid(lost), name("old"));
            }
            let notice = failover.leader_found(at(800), uid(ME), epoch(leader), name("new"), |_| has_left);
            assert_eq!(notice, expected, "{case}");
            let again = failover.leader_found(at(900), uid(ME), epoch(5), name("new"), |_| has_left);
            assert_eq!(again, None, "{case}: one notice for one interval");
        }
    }

    enum Step {
        Lost(u16),
        Back(u16),
        /// So many members are here; the event that this gives.
        Here(usize, Option<(usize, usize)>),
    }

    #[test]
    fn a_majority_that_is_lost_together_is_noticed_once() {
        use Step::{Back, Here, Lost};
        let within = CUT_OFF_WITHIN.0 / 1000;
        let table = [
            ("a half is no majority", vec![(0, Lost(2)), (0, Here(1, None))]),
            ("a majority is noticed", vec![(0, Lost(2)), (0, Lost(3)), (5, Here(1, Some((1, 3))))]),
            (
                "more losses are not noticed again",
                vec![(0, Lost(2)), (0, Lost(3)), (0, Here(1, Some((1, 3)))), (1, Lost(4)), (1, Here(1, None))],
            ),
            ("losses far apart are not one", vec![(0, Lost(2)), (within, Lost(3)), (within, Here(1, None))]),
            (
                "losses of a majority do not expire",
                vec![(0, Lost(2)), (0, Lost(3)), (0, Here(1, Some((1, 3)))), (2 * within, Here(1, None))],
            ),
            (
                "after a minority a majority is noticed again",
                vec![
                    (0, Lost(2)),
                    (0, Lost(3)),
                    (0, Here(1, Some((1, 3)))),
                    (1, Back(2)),
                    (1, Here(2, None)),
                    (2, Lost(2)),
                    (2, Here(1, Some((1, 3)))),
                ],
            ),
        ];
        for (case, steps) in table {
            let mut failover = Failover::default();
            for (ms, step) in steps {
                match step {
                    Lost(port) => failover.member_lost(at(ms), uid(port)),
                    Back(port) => failover.member_accounted_for(uid(port)),
                    Here(here, expected) => {
                        let expected = expected.map(|(here, of)| Event::CutOff { here, of });
                        assert_eq!(failover.count(at(ms), here), expected, "{case} at {ms} ms");
                    }
                }
            }
        }
    }
}
