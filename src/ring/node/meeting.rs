//! Two leaders meet: the heavier goes on, the other yields, and its side rebases.

use super::Node;
use super::phase::{Phase, Seek};
use crate::ring::Event;
use crate::ring::types::id::{ConnId, Epoch, Uid};
use crate::ring::wire::frame::{Frame, Meet, Weight};

impl Node {
    fn weight(&self) -> Option<Weight> {
        match &self.phase {
            Phase::Leading(leading) if leading.retiring.is_none() => {
                // Who knows that it lacks entries is not to push aside who has them, and may come back any moment.
                let light = leading.lack.as_ref().is_some_and(|lack| self.now.mono < lack.light_until);
                let followers = if light { 0 } else { self.live_followers(&leading.followers) };
                Some(Weight { followers, steady: leading.steady, epoch: leading.epoch })
            }
            _ => None,
        }
    }

    /// I have heard of another leader: over a straight link we compare.
    pub(super) fn consider(&mut self, conn: ConnId, theirs: Epoch) {
        if theirs.leader == self.me || !self.saw_round(conn, theirs.round) {
            return;
        }
        self.meet(theirs.leader);
        let Some(mine) = self.weight() else { return };
        let busy = matches!(&self.phase, Phase::Leading(leading) if leading.meeting.is_some());
        if busy {
            return;
        }
        if let Some(conn) = self.reach(theirs.leader) {
            self.open_meeting(conn, theirs, mine);
        }
    }

    fn open_meeting(&mut self, conn: ConnId, theirs: Epoch, mine: Weight) {
        let now = self.now.mono;
        if let Phase::Leading(leading) = &mut self.phase {
            leading.meeting = Some((theirs.leader, now));
            self.rearm = true;
            self.event(Event::OtherLeader(theirs));
            self.send(conn, Frame::Meet(Meet { mine, yours: None }));
        }
    }

    /// A member names another leader. One that does not answer me is met through that member.
    pub(super) fn on_hint(&mut self, conn: ConnId, from: Uid, theirs: Epoch) {
        let Some(mine) = self.weight() else { return };
        if theirs.leader == self.me || !self.saw_round(conn, theirs.round) {
            return;
        }
        let Phase::Leading(leading) = &self.phase else { return };
        if leading.meeting.is_some() {
            return;
        }
        if !leading.unmet.contains(&theirs.leader) || self.links.up(theirs.leader).is_some() {
            return self.consider(conn, theirs);
        }
        let Some(carrier) = self.links.up(from) else { return };
        let hello = self.hello();
        if let Some(conn) = self.links.through(self.now.mono, carrier, theirs.leader, hello, &mut self.out) {
            self.open_meeting(conn, theirs, mine);
        }
    }

    /// Another leader says how heavy it is (and how heavy it thinks I am).
    pub(super) fn on_meet(&mut self, conn: ConnId, from: Uid, meet: Meet) {
        let theirs = meet.mine;
        if theirs.epoch.leader != from {
            return self.misbehaved(conn, "speaks for another leader");
        }
        if !self.saw_round(conn, theirs.epoch.round) {
            return self.misbehaved(conn, "names an absurd round");
        }
        let Some(now) = self.weight() else {
            // I do not lead (any more): it learns whom I follow.
            return self.on_ask(conn, from);
        };
        let mine = match meet.yours {
            Some(said) if said.epoch == now.epoch => said,
            Some(_) => return self.meeting_over(from),
            None => {
                // Both have opened: the larger uid's opening counts.
                let opened = matches!(&self.phase, Phase::Leading(leading) if leading.meeting.is_some_and(|(with, _)| with == from));
                if opened && self.me > from {
                    return;
                }
                now
            }
        };
        self.meeting_over(from);
        if mine < theirs {
            self.send(conn, Frame::Yielded(Meet { mine, yours: Some(theirs) }));
            self.yield_to(conn, theirs.epoch);
        } else if meet.yours.is_none() {
            self.send(conn, Frame::Meet(Meet { mine, yours: Some(theirs) }));
        }
    }

    fn meeting_over(&mut self, with: Uid) {
        if let Phase::Leading(leading) = &mut self.phase {
            leading.meeting.take_if(|(other, _)| *other == with);
            leading.unmet.remove(&with);
        }
    }

    /// The other has yielded by that pair. If its reign is the higher one, mine is renewed above it.
    pub(super) fn on_yielded(&mut self, conn: ConnId, from: Uid, pair: Meet) {
        if pair.mine.epoch.leader != from || !self.saw_round(conn, pair.mine.epoch.round) {
            return;
        }
        self.meeting_over(from);
        if let Some(mine) = self.weight()
            && mine.epoch < pair.mine.epoch
        {
            self.crown_again(pair.mine.epoch.round);
        }
    }

    /// I yield: my followers are told, and I join the other like everybody.
    fn yield_to(&mut self, conn: ConnId, epoch: Epoch) {
        let Phase::Leading(leading) = &self.phase else { return };
        let conns: Vec<ConnId> = leading.followers.values().map(|follower| follower.conn).collect();
        for follower in conns {
            self.send(follower, Frame::Yield(epoch));
        }
        self.obey(epoch);
        self.join_over(conn, epoch.leader, Some(epoch), Seek::default());
    }
}
