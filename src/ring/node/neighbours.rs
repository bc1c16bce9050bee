//! Next and previous: the ring is a function of who is there.
//!
//! I dial my next; my previous dials me. A next that does not answer is linked past; a node that links to me although
//! another stands between us is told so (stabilise and rectify, as in Chord: Stoica et al. 2001, Zave 2017).
//!
//! [`Neighbours`] decides, and is tested alone; the node below it carries out the [`LinkStep`]s.

use std::collections::{BTreeMap, BTreeSet};

use super::Node;
use super::phase::Phase;
use crate::ring::Event;
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::log::view::{View, between};
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::Frame;

/// The standing links of the ring.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Neighbours {
    /// The next node, with a link that is up.
    next: Option<(Uid, ConnId)>,
    /// The node that should be next, and is being dialled.
    trying: Option<(Uid, ConnId)>,
    /// The nodes that do not answer, and when they are tried again.
    skipped: BTreeMap<Uid, Time>,
    /// The nodes that have linked to this one as their next.
    prevs: BTreeSet<(Uid, ConnId)>,
    /// The node whose link closed last, and when: a node that closes it again and again does not answer.
    closed: Option<(Uid, Time)>,
    /// The next node that was reported last.
    told: Option<Uid>,
    /// The link to the next node was lost, and not replaced yet.
    broken: bool,
}

/// What the links ask their node to do, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkStep {
    /// Tell the node at the other end whether it is the next one.
    Adjacent(ConnId, bool),
    /// Open a connection to this node, and say so with [`Neighbours::reached`].
    Reach(Uid),
    /// Report the next node. `repaired`: the link to the one before was lost.
    Report { next: Option<Uid>, repaired: bool },
}

impl Neighbours {
    pub(super) fn conns(&self) -> impl Iterator<Item = ConnId> {
        self.next.into_iter().chain(self.trying).map(|(_, conn)| conn).chain(self.prevs.iter().map(|&(_, conn)| conn))
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.skipped.values().copied().min()
    }

    /// The next node, if the link to it is up; `me` when it is alone.
    fn next(&self, me: Uid, view: &View) -> Option<Uid> {
        match self.next {
            Some((uid, _)) => Some(uid),
            None if view.ring_after(me).next().is_none() => Some(me),
            None => None,
        }
    }

    /// The closest node before `me` that has linked to it; `me` when it is alone.
    fn prev(&self, me: Uid, view: &View) -> Option<Uid> {
        let here = |uid: &Uid| view.contains(*uid);
        let prevs = || self.prevs.iter().map(|&(uid, _)| uid);
        let before = prevs().rfind(|uid| *uid < me && here(uid));
        let closest = before.or_else(|| prevs().rfind(here));
        match closest {
            Some(uid) => Some(uid),
            None if view.ring_after(me).next().is_none() => Some(me),
            None => None,
        }
    }

    /// Links to the node that the view says is next, past those that do not answer.
    fn link(&mut self, me: Uid, view: &View) -> Vec<LinkStep> {
        let mut steps = Vec::new();
        self.skipped.retain(|&uid, _| view.contains(uid));
        let wanted = view.ring_after(me).find(|uid| !self.skipped.contains_key(uid));
        let keeps = |link: Option<(Uid, ConnId)>| link.filter(|(uid, _)| view.contains(*uid));
        let kept = keeps(self.next);
        let dropped = if kept.is_none() { self.next } else { None };
        self.next = kept;
        self.trying = keeps(self.trying).filter(|(uid, _)| Some(*uid) == wanted);
        if let Some((_, conn)) = dropped {
            steps.push(LinkStep::Adjacent(conn, false));
        }
        match wanted {
            Some(uid) if self.next.is_some_and(|(next, _)| next == uid) => self.trying = None,
            Some(uid) if self.trying.is_none() => steps.push(LinkStep::Reach(uid)),
            Some(_) => {}
            None => self.trying = None,
        }
        if self.next.is_none() && wanted.is_none() {
            self.report(&mut steps);
        }
        steps
    }

    /// A connection to the wanted next is there, or is being opened.
    fn reached(&mut self, uid: Uid, conn: ConnId, is_up: bool) -> Vec<LinkStep> {
        self.trying = Some((uid, conn));
        if is_up { self.adopt(uid, conn) } else { Vec::new() }
    }

    /// A connection has greeted: perhaps it is the one to the wanted next.
    fn greeted(&mut self, conn: ConnId, uid: Uid) -> Vec<LinkStep> {
        match self.trying {
            Some((wanted, trying)) if trying == conn && wanted == uid => self.adopt(uid, conn),
            Some((_, trying)) if trying == conn => {
                self.trying = None;
                Vec::new()
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn adopt(&mut self, uid: Uid, conn: ConnId) -> Vec<LinkStep> {
        let mut steps = Vec::new();
        self.trying = None;
        let before = self.next.replace((uid, conn));
        if let Some((_, old)) = before.filter(|(_, old)| *old != conn) {
            steps.push(LinkStep::Adjacent(old, false));
        }
        steps.push(LinkStep::Adjacent(conn, true));
        self.report(&mut steps);
        steps
    }

    fn report(&mut self, steps: &mut Vec<LinkStep>) {
        let next = self.next.map(|(uid, _)| uid);
        let repaired = std::mem::take(&mut self.broken);
        if self.told != next {
            self.told = next;
            steps.push(LinkStep::Report { next, repaired });
        }
    }

    /// A connection has ended: was it that of the next, or of a previous node? `pause`: until a node that does not
    /// answer is tried again. `true`: the ring has changed.
    fn ended(&mut self, now: Time, pause: Span, ended: &ClosedConn) -> bool {
        self.prevs.retain(|(_, conn)| *conn != ended.conn);
        let (mut failed, mut changed) = (None, false);
        if let Some((uid, _)) = self.next.take_if(|(_, conn)| *conn == ended.conn) {
            self.broken = true;
            // An idle connection may have closed: a node that can still be dialled stays, but not one that closes each.
            let again = self.closed.replace((uid, now));
            let again = again.is_some_and(|(before, at)| before == uid && now < at + pause);
            failed = (again || !ended.was_up || matches!(ended.how, CloseReason::Silent)).then_some(uid);
            changed = true;
        }
        if let Some((uid, _)) = self.trying.take_if(|(_, conn)| *conn == ended.conn) {
            failed = Some(uid);
            changed = true;
        }
        if let Some(uid) = failed
            && self.skipped.len() < BOOK_NODES_MAX
        {
            self.skipped.insert(uid, now + pause);
        }
        changed
    }

    /// A node that did not answer is tried again, while the link past it stays. `true`: there is one.
    fn retry(&mut self, now: Time) -> bool {
        let before = self.skipped.len();
        self.skipped.retain(|_, again| *again > now);
        before != self.skipped.len()
    }

    /// `from` says that `me` is (or is no longer) its next. Gives the node between them, which should be its next.
    fn adjacent(&mut self, me: Uid, view: &View, conn: ConnId, from: Uid, yes: bool) -> Option<Uid> {
        // Any node may say so, perhaps before I am in its room: only those in the view count as previous.
        if !yes {
            self.prevs.remove(&(from, conn));
            return None;
        }
        if self.prevs.len() < BOOK_NODES_MAX {
            self.prevs.insert((from, conn));
        }
        view.ring_after(from).next().filter(|&uid| between(from, uid, me))
    }

    /// The next node says that `uid` stands between it and `me`: a skipped one is tried again at `soon`.
    fn next_is(&mut self, me: Uid, view: &View, uid: Uid, soon: Time) {
        if view.contains(uid)
            && self.next.is_some_and(|(next, _)| between(me, uid, next))
            && let Some(again) = self.skipped.get_mut(&uid)
        {
            // With the next beat at the earliest: it may be this node alone that it does not answer.
            *again = soon.min(*again);
        }
    }
}

impl Node {
    /// In a room: the view says who is in the ring.
    fn in_ring(&self) -> bool {
        matches!(self.phase, Phase::Leading(_) | Phase::Following(_))
    }

    /// My next, if the link to it is up; myself when I am alone.
    pub(super) fn next(&self) -> Option<Uid> {
        if self.in_ring() { self.neighbours.next(self.identity.me, &self.log.state().view) } else { None }
    }

    /// The closest node before me that has linked to me; myself when I am alone.
    pub(super) fn prev(&self) -> Option<Uid> {
        if self.in_ring() { self.neighbours.prev(self.identity.me, &self.log.state().view) } else { None }
    }

    /// Links to the node that the view says is next.
    pub(super) fn link_next(&mut self) {
        if self.in_ring() {
            let steps = self.neighbours.link(self.identity.me, &self.log.state().view);
            self.take_link_steps(steps);
        }
    }

    fn take_link_steps(&mut self, steps: Vec<LinkStep>) {
        for step in steps {
            match step {
                LinkStep::Adjacent(conn, yes) => self.send(conn, Frame::Adjacent(yes)),
                LinkStep::Report { next, repaired } => self.event(Event::NextChanged { next, repaired }),
                LinkStep::Reach(uid) => {
                    if let Some(conn) = self.reach(uid) {
                        let steps = self.neighbours.reached(uid, conn, self.links.is_up(conn));
                        self.take_link_steps(steps);
                    }
                }
            }
        }
    }

    /// A connection has greeted: perhaps it is the one to my next.
    pub(super) fn on_link_up(&mut self, conn: ConnId, uid: Uid) {
        let steps = self.neighbours.greeted(conn, uid);
        self.take_link_steps(steps);
    }

    /// A connection has ended: was it my next's, or my previous one's?
    pub(super) fn neighbour_ended(&mut self, ended: &ClosedConn) {
        if self.neighbours.ended(self.now.mono, self.settings.timing.connect, ended) {
            self.agenda.ring_may_change();
            self.agenda.deadline_moved();
        }
    }

    /// Nodes that did not answer are tried again, while the link past them stays.
    pub(super) fn retry_neighbours(&mut self) {
        if self.neighbours.retry(self.now.mono) {
            self.agenda.ring_may_change();
        }
    }

    /// A node says that I am (or am no longer) its next.
    pub(super) fn on_adjacent(&mut self, conn: ConnId, from: Uid, yes: bool) {
        let closer = self.neighbours.adjacent(self.identity.me, &self.log.state().view, conn, from, yes);
        if let Some(uid) = closer {
            self.send(conn, Frame::NextIs(uid));
        }
    }

    /// My next says that another node stands between us.
    pub(super) fn on_next_is(&mut self, uid: Uid) {
        self.learn_peer(uid);
        let soon = self.now.mono + self.settings.timing.heartbeat;
        self.neighbours.next_is(self.identity.me, &self.log.state().view, uid, soon);
        self.agenda.deadline_moved();
    }

    /// Ends a connection without telling the phase.
    pub(super) fn close_quietly(&mut self, conn: ConnId) {
        self.agenda.deadline_moved();
        for ended in self.links.close(conn, &mut self.out) {
            self.neighbour_ended(&ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::log::entry::{Member, Note};
    use crate::ring::types::id::Name;
    use crate::ring::types::proof::AuthorId;

    const NOW: Time = Time(10_000);
    const PAUSE: Span = Span(1_000);

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    fn conn(number: u64) -> ConnId {
        ConnId::dialled(number)
    }

    /// Its members: node 4 is the one under test.
    fn view(ports: &[u16]) -> View {
        let mut view = View::default();
        for &port in ports {
            let Ok(name) = Name::parse(&format!("n{port}")) else { panic!("it is a name") };
            view.apply(&Note::Joined(Member { uid: uid(port), name, author: AuthorId([port as u8; 32]) }));
        }
        view
    }

    fn ended(of: u64, how: CloseReason, was_up: bool) -> ClosedConn {
        ClosedConn { conn: conn(of), uid: None, was_up, heard: NOW, how }
    }

    /// Node 4, linked to 6 over connection 6.
    fn linked() -> Neighbours {
        let mut links = Neighbours::default();
        assert_eq!(links.link(uid(4), &view(&[2, 4, 6, 8])), [LinkStep::Reach(uid(6))]);
        let report = LinkStep::Report { next: Some(uid(6)), repaired: false };
        assert_eq!(links.reached(uid(6), conn(6), true), [LinkStep::Adjacent(conn(6), true), report]);
        links
    }

    #[test]
    fn the_view_says_which_node_is_next() {
        let me = uid(4);
        for (what, members, steps) in [
            ("nothing changes", vec![2, 4, 6, 8], vec![]),
            ("one comes between", vec![2, 4, 5, 6], vec![LinkStep::Reach(uid(5))]),
            ("the next is out", vec![2, 4, 8], vec![LinkStep::Adjacent(conn(6), false), LinkStep::Reach(uid(8))]),
            ("the end of the ring", vec![2, 4], vec![LinkStep::Adjacent(conn(6), false), LinkStep::Reach(uid(2))]),
            (
                "it is alone",
                vec![4],
                vec![LinkStep::Adjacent(conn(6), false), LinkStep::Report { next: None, repaired: false }],
            ),
        ] {
            assert_eq!(linked().link(me, &view(&members)), steps, "{what}");
        }
        assert_eq!(Neighbours::default().next(me, &view(&[4])), Some(me), "alone");
        assert_eq!(Neighbours::default().next(me, &view(&[4, 6])), None, "not linked yet");
        assert_eq!(linked().next(me, &view(&[4, 6])), Some(uid(6)));
    }

    #[test]
    fn a_link_that_ends_is_dialled_again_or_past() {
        for (what, how, was_up, times, next) in [
            ("closed once", CloseReason::Closed, true, 1, 6),
            ("closed twice", CloseReason::Closed, true, 2, 8),
            ("silent", CloseReason::Silent, true, 1, 8),
            ("never up", CloseReason::Refused, false, 1, 8),
        ] {
            let mut links = linked();
            for time in 0..times {
                assert!(links.ended(NOW, PAUSE, &ended(6, how, was_up)), "{what}");
                if time + 1 < times {
                    links.reached(uid(6), conn(6), true);
                }
            }
            assert_eq!(links.link(uid(4), &view(&[2, 4, 6, 8])), [LinkStep::Reach(uid(next))], "{what}");
        }
        assert!(!linked().ended(NOW, PAUSE, &ended(7, CloseReason::Closed, true)), "another connection");
    }

    #[test]
    fn a_node_that_did_not_answer_is_tried_again() {
        let mut links = linked();
        let _ = links.ended(NOW, PAUSE, &ended(6, CloseReason::Silent, true));
        assert_eq!(links.deadline(), Some(NOW + PAUSE));
        assert!(!links.retry(NOW), "not yet");
        let _ = links.reached(uid(8), conn(8), true);
        links.next_is(uid(4), &view(&[2, 4, 6, 8]), uid(6), NOW + Span(250));
        assert_eq!(links.deadline(), Some(NOW + Span(250)), "the next knows of it");
        assert!(links.retry(NOW + Span(250)));
        assert_eq!(links.link(uid(4), &view(&[2, 4, 6, 8])), [LinkStep::Reach(uid(6))]);
    }

    #[test]
    fn a_lost_link_that_is_replaced_is_reported_as_repaired() {
        let mut links = linked();
        let _ = links.ended(NOW, PAUSE, &ended(6, CloseReason::Silent, true));
        assert_eq!(links.reached(uid(8), conn(8), false), [], "it is being dialled");
        let report = LinkStep::Report { next: Some(uid(8)), repaired: true };
        assert_eq!(links.greeted(conn(8), uid(8)), [LinkStep::Adjacent(conn(8), true), report]);
        let _ = links.reached(uid(6), conn(6), false);
        assert_eq!(links.greeted(conn(6), uid(7)), [], "another node answers there");
        assert_eq!(links.trying, None);
    }

    #[test]
    fn a_node_that_links_past_another_hears_of_it() {
        let ring = view(&[2, 3, 4, 8]);
        for (what, from, yes, closer) in [
            ("the previous", 3, true, None),
            ("one before it", 2, true, Some(uid(3))),
            ("round the end", 8, true, Some(uid(2))),
            ("no longer", 2, false, None),
        ] {
            let mut links = Neighbours::default();
            assert_eq!(links.adjacent(uid(4), &ring, conn(1), uid(from), yes), closer, "{what}");
        }
    }

    #[test]
    fn the_closest_node_that_has_linked_is_the_previous_one() {
        let ring = view(&[2, 3, 4, 8]);
        for (what, froms, prev) in [
            ("none", vec![], None),
            ("two before", vec![2, 3], Some(uid(3))),
            ("round the end", vec![8], Some(uid(8))),
            ("one that is no member", vec![5], None),
        ] {
            let mut links = Neighbours::default();
            for from in froms {
                let _ = links.adjacent(uid(4), &ring, conn(u64::from(from)), uid(from), true);
            }
            assert_eq!(links.prev(uid(4), &ring), prev, "{what}");
        }
        assert_eq!(Neighbours::default().prev(uid(4), &view(&[4])), Some(uid(4)), "alone");
    }
}
