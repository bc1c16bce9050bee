//! Next and previous: the ring is a function of who is there.
//!
//! I dial my next; my previous dials me. A next that does not answer is linked past; who links to me although somebody
//! stands between us is told (stabilise and rectify, as in Chord: Stoica et al. 2001, Zave 2017).

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::phase::Phase;
use crate::ring::Event;
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::log::view::between;
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::Time;
use crate::ring::wire::frame::Frame;

/// The standing links of the ring.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Neighbours {
    /// My next, with a link that is up.
    next: Option<(Uid, ConnId)>,
    /// Who should be my next, and is being dialled.
    trying: Option<(Uid, ConnId)>,
    /// Who does not answer, and when it is tried again.
    skipped: BTreeMap<Uid, Time>,
    /// Who has linked to me as its next.
    prevs: BTreeSet<(Uid, ConnId)>,
    /// Whose link closed last, and when: who closes it again and again does not answer.
    closed: Option<(Uid, Time)>,
    /// What people were told last.
    told: Option<Uid>,
    /// The link to my next was lost, and not replaced yet.
    broken: bool,
}

impl Neighbours {
    pub(super) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.next.into_iter().chain(self.trying).map(|(_, conn)| conn).chain(self.prevs.iter().map(|&(_, conn)| conn))
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.skipped.values().copied().min()
    }
}

impl Node {
    /// In a room: the view says who is in the ring.
    fn in_ring(&self) -> bool {
        matches!(self.phase, Phase::Leading(_) | Phase::Following(_))
    }

    /// My next, if the link to it is up; myself when I am alone.
    pub(super) fn next(&self) -> Option<Uid> {
        if !self.in_ring() {
            return None;
        }
        match self.neighbours.next {
            Some((uid, _)) => Some(uid),
            None if self.log.state().view.ring_after(self.me).next().is_none() => Some(self.me),
            None => None,
        }
    }

    /// The closest node before me that has linked to me; myself when I am alone.
    pub(super) fn prev(&self) -> Option<Uid> {
        if !self.in_ring() {
            return None;
        }
        let view = &self.log.state().view;
        let here = |uid: &Uid| view.contains(*uid);
        let prevs = || self.neighbours.prevs.iter().map(|&(uid, _)| uid);
        let before = prevs().rfind(|uid| *uid < self.me && here(uid));
        let closest = before.or_else(|| prevs().rfind(here));
        match closest {
            Some(uid) => Some(uid),
            None if view.ring_after(self.me).next().is_none() => Some(self.me),
            None => None,
        }
    }

    /// Links to whom the view says is next, past those who do not answer.
    pub(super) fn link_next(&mut self) {
        if !self.in_ring() {
            return;
        }
        let view = &self.log.state().view;
        self.neighbours.skipped.retain(|&uid, _| view.contains(uid));
        let wanted = view.ring_after(self.me).find(|uid| !self.neighbours.skipped.contains_key(uid));
        let keeps = |link: Option<(Uid, ConnId)>| link.filter(|(uid, _)| view.contains(*uid));
        let kept = keeps(self.neighbours.next);
        let dropped = if kept.is_none() { self.neighbours.next } else { None };
        self.neighbours.next = kept;
        self.neighbours.trying = keeps(self.neighbours.trying).filter(|(uid, _)| Some(*uid) == wanted);
        if let Some((_, conn)) = dropped {
            self.send(conn, Frame::Adjacent(false));
        }
        match wanted {
            Some(uid) if self.neighbours.next.is_some_and(|(next, _)| next == uid) => self.neighbours.trying = None,
            Some(uid) if self.neighbours.trying.is_none() => self.try_next(uid),
            Some(_) => {}
            None => self.neighbours.trying = None,
        }
        if self.neighbours.next.is_none() && wanted.is_none() {
            self.send_adjacent();
        }
    }

    fn try_next(&mut self, uid: Uid) {
        let Some(conn) = self.reach(uid) else { return };
        self.neighbours.trying = Some((uid, conn));
        if self.links.is_up(conn) {
            self.adopt_next(uid, conn);
        }
    }

    /// A connection has greeted: perhaps it is the one to my next.
    pub(super) fn on_link_up(&mut self, conn: ConnId, uid: Uid) {
        if let Some((wanted, trying)) = self.neighbours.trying
            && trying == conn
        {
            if wanted == uid {
                self.adopt_next(uid, conn);
            } else {
                self.neighbours.trying = None;
            }
        }
    }

    fn adopt_next(&mut self, uid: Uid, conn: ConnId) {
        self.neighbours.trying = None;
        let before = self.neighbours.next.replace((uid, conn));
        if let Some((_, old)) = before.filter(|(_, old)| *old != conn) {
            self.send(old, Frame::Adjacent(false));
        }
        self.send(conn, Frame::Adjacent(true));
        self.send_adjacent();
    }

    fn send_adjacent(&mut self) {
        let next = self.neighbours.next.map(|(uid, _)| uid);
        let repaired = std::mem::take(&mut self.neighbours.broken);
        if self.neighbours.told != next {
            self.neighbours.told = next;
            self.event(Event::Next { next, repaired });
        }
    }

    /// A connection has ended: was it my next's, or my previous one's?
    pub(super) fn neighbour_ended(&mut self, ended: &ClosedConn) {
        let now = self.now.mono;
        self.neighbours.prevs.retain(|(_, conn)| *conn != ended.conn);
        let mut failed = None;
        if let Some((uid, _)) = self.neighbours.next.take_if(|(_, conn)| *conn == ended.conn) {
            self.neighbours.broken = true;
            // An idle connection may have closed: whoever can still be dialled stays, but not one that closes each.
            let again = self.neighbours.closed.replace((uid, now));
            let again = again.is_some_and(|(before, at)| before == uid && now < at + self.timing.connect);
            failed = (again || !ended.was_up || matches!(ended.how, CloseReason::Silent)).then_some(uid);
            self.ring_changed = true;
        }
        if let Some((uid, _)) = self.neighbours.trying.take_if(|(_, conn)| *conn == ended.conn) {
            failed = Some(uid);
            self.ring_changed = true;
        }
        if let Some(uid) = failed
            && self.neighbours.skipped.len() < BOOK_NODES_MAX
        {
            self.neighbours.skipped.insert(uid, self.now.mono + self.timing.connect);
            self.rearm = true;
        }
    }

    /// Who did not answer is tried again, while the link past it stays.
    pub(super) fn retry_neighbours(&mut self) {
        let now = self.now.mono;
        let before = self.neighbours.skipped.len();
        self.neighbours.skipped.retain(|_, again| *again > now);
        self.ring_changed |= before != self.neighbours.skipped.len();
    }

    /// Somebody says that I am (or am no longer) its next.
    pub(super) fn on_adjacent(&mut self, conn: ConnId, from: Uid, yes: bool) {
        // Whoever it is, perhaps before I am in its room: only those in the view count as previous.
        if !yes {
            self.neighbours.prevs.remove(&(from, conn));
            return;
        }
        if self.neighbours.prevs.len() < BOOK_NODES_MAX {
            self.neighbours.prevs.insert((from, conn));
        }
        let view = &self.log.state().view;
        let closer = view.ring_after(from).next().filter(|&uid| between(from, uid, self.me));
        if let Some(uid) = closer {
            self.send(conn, Frame::NextIs(uid));
        }
    }

    /// My next says that somebody stands between us.
    pub(super) fn on_next_is(&mut self, uid: Uid) {
        self.learn_peer(uid);
        let known = self.log.state().view.contains(uid);
        if known && self.neighbours.next.is_some_and(|(next, _)| between(self.me, uid, next)) {
            // Tried again with the next beat at the earliest: it may be me alone whom it does not answer.
            let soon = self.now.mono + self.timing.heartbeat;
            if let Some(again) = self.neighbours.skipped.get_mut(&uid) {
                *again = soon.min(*again);
                self.rearm = true;
            }
        }
    }

    /// Ends a connection without telling the phase.
    pub(super) fn close_quietly(&mut self, conn: ConnId) {
        self.rearm = true;
        for ended in self.links.close(conn, &mut self.out) {
            self.neighbour_ended(&ended);
        }
    }
}
