//! What people want to know when somebody is lost: who leads now, how long nobody did, and whether most are gone.

use std::collections::BTreeMap;

use super::Node;
use crate::ring::Event;
use crate::ring::types::id::{Epoch, Name, Time, Uid};
use crate::ring::types::limits::{BOOK_NODES_MAX, CUT_OFF_WITHIN};

/// A time without a leader, as this node sees it.
#[derive(Clone, Debug, Hash)]
pub(super) struct Interregnum {
    lost: Uid,
    name: Option<Name>,
    since: Time,
}

/// Members that were lost lately.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Missing {
    /// And when.
    lost: BTreeMap<Uid, Time>,
    /// They are more than those who are here, and that was told.
    told: bool,
}

impl Missing {
    pub(super) fn len(&self) -> usize {
        self.lost.len()
    }
}

impl Node {
    /// The connection to my leader has ended; perhaps it is there again in a moment.
    pub(super) fn leader_missing(&mut self, leader: Uid) {
        if self.interregnum.is_none() {
            let name = self.name_of(leader);
            self.interregnum = Some(Interregnum { lost: leader, name, since: self.now.mono });
        }
    }

    /// My leader is lost.
    pub(super) fn leader_lost(&mut self, leader: Uid) {
        self.leader_missing(leader);
        self.event(Event::LeaderLost(leader));
    }

    /// I obey another epoch.
    pub(super) fn tell_leader(&mut self, epoch: Epoch) {
        self.event(Event::Leader(epoch));
        let Some(Interregnum { lost, name: lost_name, since }) = self.interregnum.take() else { return };
        // Who has said good-bye is told of as one who has left.
        if lost != epoch.leader && lost != self.me && !self.book.has_left(lost) {
            let (name, took) = (self.name_of(epoch.leader), self.now.mono - since);
            self.event(Event::Succeeded { lost, lost_name, epoch, name, took });
        }
    }

    fn name_of(&self, uid: Uid) -> Option<Name> {
        self.log.summary().view.get(uid).map(|member| member.name.clone())
    }

    /// A member was lost, now and not in a past that I am catching up with.
    pub(super) fn is_missing(&mut self, uid: Uid) {
        let now = self.now.mono;
        if self.arriving || uid == self.me {
            return;
        }
        if self.missing.lost.len() < BOOK_NODES_MAX {
            self.missing.lost.insert(uid, now);
        }
    }

    /// A member is here, or gone for good.
    pub(super) fn is_not_missing(&mut self, uid: Uid) {
        self.missing.lost.remove(&uid);
    }

    /// After the view has changed: are most of us here?
    pub(super) fn count_the_missing(&mut self) {
        let now = self.now.mono;
        if self.missing.lost.is_empty() {
            return self.missing.told = false;
        }
        if !self.missing.told {
            self.missing.lost.retain(|_, at| *at + CUT_OFF_WITHIN > now);
        }
        let (here, lost) = (self.log.summary().view.len(), self.missing.lost.len());
        let most = here < lost;
        if most && !self.missing.told {
            self.event(Event::CutOff { here, of: here + lost });
        }
        self.missing.told = most;
    }
}
