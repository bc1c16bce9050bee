//! Two leaders meet: the heavier goes on, the other yields, and its side rebases.

use super::Node;
use super::phase::{LeaderSearch, Phase};
use crate::ring::Event;
use crate::ring::types::id::{ConnId, Epoch, Uid};
use crate::ring::wire::frame::{Frame, MergeOffer, MergeRank};

impl Node {
    fn merge_rank(&self) -> Option<MergeRank> {
        let leading = self.leading().filter(|leading| leading.retiring.is_none())?;
        // A leader that knows of a gap must not push aside one that has these entries, and may come back any moment.
        let light = leading.known_gap.as_ref().is_some_and(|known_gap| self.now.mono < known_gap.light_until);
        let followers = if light { 0 } else { self.live_followers(&leading.followers) };
        Some(MergeRank { followers, established: leading.established, epoch: leading.epoch })
    }

    /// I have heard of another leader: over a straight link we compare.
    pub(super) fn propose_merge(&mut self, conn: ConnId, theirs: Epoch) {
        if theirs.leader == self.identity.me || !self.admit_round(conn, theirs.round) {
            return;
        }
        self.learn_peer(theirs.leader);
        let Some(mine) = self.merge_rank() else { return };
        let busy = matches!(&self.phase, Phase::Leading(leading) if leading.merging.is_some());
        if busy {
            return;
        }
        if let Some(conn) = self.reach(theirs.leader) {
            self.open_merge(conn, theirs, mine);
        }
    }

    fn open_merge(&mut self, conn: ConnId, theirs: Epoch, mine: MergeRank) {
        let now = self.now.mono;
        if let Phase::Leading(leading) = &mut self.phase {
            leading.merging = Some((theirs.leader, now));
            self.agenda.deadline_moved();
            self.event(Event::OtherLeader(theirs));
            self.send(conn, Frame::MergeOffer(MergeOffer { mine, yours: None }));
        }
    }

    /// A member names another leader. One that does not answer me is met through that member.
    pub(super) fn on_rival_leader(&mut self, conn: ConnId, from: Uid, theirs: Epoch) {
        let Some(mine) = self.merge_rank() else { return };
        if theirs.leader == self.identity.me || !self.admit_round(conn, theirs.round) {
            return;
        }
        let Phase::Leading(leading) = &self.phase else { return };
        if leading.merging.is_some() {
            return;
        }
        if !leading.unmergeable.contains(&theirs.leader) || self.links.up(theirs.leader).is_some() {
            return self.propose_merge(conn, theirs);
        }
        let Some(carrier) = self.links.up(from) else { return };
        let hello = self.identity.hello(self.room);
        if let Some(conn) = self.links.through(self.now.mono, carrier, theirs.leader, hello, &mut self.out) {
            self.open_merge(conn, theirs, mine);
        }
    }

    /// Another leader says how heavy it is (and how heavy it thinks I am).
    pub(super) fn on_merge_offer(&mut self, conn: ConnId, from: Uid, meet: MergeOffer) {
        let theirs = meet.mine;
        if theirs.epoch.leader != from {
            return self.protocol_violation(conn, "speaks for another leader");
        }
        if !self.admit_round(conn, theirs.epoch.round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        let Some(now) = self.merge_rank() else {
            // I do not lead (any more): it learns whom I follow.
            return self.on_poll(conn, from);
        };
        let mine = match meet.yours {
            Some(said) if said.epoch == now.epoch => said,
            Some(_) => return self.merge_over(from),
            None => {
                // Both have opened: the larger uid's opening counts.
                let opened = matches!(&self.phase, Phase::Leading(leading) if leading.merging.is_some_and(|(with, _)| with == from));
                if opened && self.identity.me > from {
                    return;
                }
                now
            }
        };
        self.merge_over(from);
        if mine < theirs {
            self.send(conn, Frame::MergeAccepted(MergeOffer { mine, yours: Some(theirs) }));
            self.step_down_for(conn, theirs.epoch);
        } else if meet.yours.is_none() {
            self.send(conn, Frame::MergeOffer(MergeOffer { mine, yours: Some(theirs) }));
        }
    }

    fn merge_over(&mut self, with: Uid) {
        if let Phase::Leading(leading) = &mut self.phase {
            leading.merging.take_if(|(other, _)| *other == with);
            leading.unmergeable.remove(&with);
        }
    }

    /// The other has yielded by that pair. If its epoch is the higher one, mine is renewed above it.
    pub(super) fn on_merge_accepted(&mut self, conn: ConnId, from: Uid, pair: MergeOffer) {
        if pair.mine.epoch.leader != from || !self.admit_round(conn, pair.mine.epoch.round) {
            return;
        }
        self.merge_over(from);
        if let Some(mine) = self.merge_rank()
            && mine.epoch < pair.mine.epoch
        {
            self.bump_epoch(pair.mine.epoch.round);
        }
    }

    /// I yield: my followers are told, and I join the other like everybody.
    fn step_down_for(&mut self, conn: ConnId, epoch: Epoch) {
        let Phase::Leading(leading) = &self.phase else { return };
        let conns: Vec<ConnId> = leading.followers.values().map(|follower| follower.conn).collect();
        for follower in conns {
            self.send(follower, Frame::StepDown(epoch));
        }
        self.adopt_epoch(epoch);
        self.join_over(conn, epoch.leader, Some(epoch), LeaderSearch::default());
    }
}
