//! Connections: opened, greeted, watched, closed.
//!
//! Two nodes may have a connection in each direction; either carries any frame. The node decides what a connection is
//! for (next, leader, probe); here it opens, greets, sends heartbeats and ends. A third node that reaches both ends may
//! relay a connection ([`Frame::Relay`]): for all users of this module it is a connection like any other.

mod conn;
mod detector;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use crate::ring::links::conn::{CloseReason, ClosedConn};
use crate::ring::links::conn::{Conn, ConnRoute, ConnState};
use crate::ring::links::detector::Detector;
use crate::ring::timing::Timing;
use crate::ring::types::id::{ConnId, RoomId, Uid};
use crate::ring::types::limits::{CONNS_MAX, DIAL_FRAMES_MAX, DIALLED_MAX, RELAYS_MAX, RELAYS_OVER_ONE_MAX};
use crate::ring::types::proof::AuthorId;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::{Frame, Hello, Relay};
use crate::ring::{Link, Output};

/// All connections of a node.
#[derive(Clone, Debug, Hash)]
pub struct Links {
    me: Uid,
    timing: Timing,
    conns: BTreeMap<ConnId, Conn>,
    /// All connections to a uid, also those that are still opening.
    by_uid: BTreeMap<Uid, BTreeSet<ConnId>>,
    dialled: u64,
    /// How many of the connections this node has dialled.
    outward: usize,
    relayed: u64,
}

impl Links {
    /// No connections yet.
    pub fn new(me: Uid, timing: Timing) -> Self {
        Self { me, timing, conns: BTreeMap::new(), by_uid: BTreeMap::new(), dialled: 0, outward: 0, relayed: 0 }
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    /// How many of them this node has dialled.
    pub fn outward(&self) -> usize {
        self.outward
    }

    /// How many of them other members relay.
    pub fn relays(&self) -> usize {
        self.conns.values().filter(|conn| matches!(conn.way, ConnRoute::Through { .. })).count()
    }

    fn relays_over(&self, over: ConnId) -> usize {
        let over = |conn: &&Conn| matches!(conn.way, ConnRoute::Through { carrier, .. } if carrier == over);
        self.conns.values().filter(over).count()
    }

    /// The longest queue of a connection that is not open yet.
    pub fn longest_queue(&self) -> usize {
        let queued = self.conns.values().map(|conn| match &conn.state {
            ConnState::Opening { queue, .. } => queue.len(),
            ConnState::Greeting { .. } | ConnState::Up(_) => 0,
        });
        queued.max().unwrap_or(0)
    }

    /// The peer's hello, once it has greeted.
    pub fn peer(&self, conn: ConnId) -> Option<&Hello> {
        self.conns.get(&conn)?.peer.as_ref()
    }

    /// The uid at the other end, or the one that was dialled.
    pub fn uid(&self, conn: ConnId) -> Option<Uid> {
        let conn = self.conns.get(&conn)?;
        conn.peer.as_ref().map(|peer| peer.uid).or(conn.target)
    }

    /// Whether the peer has greeted and has not been silent for too long.
    pub fn is_up(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_some_and(|conn| matches!(conn.state, ConnState::Up(_)))
    }

    /// All connections to authors with this property.
    pub fn to_authors(&self, such: impl Fn(AuthorId) -> bool) -> Vec<ConnId> {
        let to = |conn: &Conn| conn.peer.as_ref().is_some_and(|peer| such(peer.author));
        self.conns.iter().filter(|(_, conn)| to(conn)).map(|(&id, _)| id).collect()
    }

    /// Whether the connection exists.
    pub fn contains(&self, conn: ConnId) -> bool {
        self.conns.contains_key(&conn)
    }

    /// The member that relays this connection, if one does.
    pub fn carrier(&self, conn: ConnId) -> Option<Uid> {
        match self.conns.get(&conn)?.way {
            ConnRoute::Through { carrier, .. } => self.uid(carrier),
            ConnRoute::Dialled | ConnRoute::Accepted => None,
        }
    }

    /// The connection that carries this one, if another member relays it.
    pub fn carried_by(&self, conn: ConnId) -> Option<ConnId> {
        match self.conns.get(&conn)?.way {
            ConnRoute::Through { carrier, .. } => Some(carrier),
            ConnRoute::Dialled | ConnRoute::Accepted => None,
        }
    }

    /// Whether the peer has echoed within two heartbeats.
    pub fn fresh(&self, conn: ConnId, now: Time) -> bool {
        self.detector(conn).is_some_and(|detector| detector.fresh(now, &self.timing))
    }

    /// How long ago the peer has echoed.
    pub fn echo_age(&self, conn: ConnId, now: Time) -> Option<Span> {
        self.detector(conn).map(|detector| detector.echo_age(now))
    }

    /// The health of the most telling connection to `uid`: one that is up before one that is not, a direct one before a
    /// relayed one; with its smoothed round trip, once known.
    pub fn health(&self, uid: Uid, now: Time) -> Option<(Link, Option<Span>)> {
        let conns = self.by_uid.get(&uid)?.iter().filter_map(|id| self.conns.get(id).map(|conn| (id, conn)));
        let (_, conn) = conns.max_by_key(|(id, conn)| (matches!(conn.state, ConnState::Up(_)), id.is_direct()))?;
        Some(match &conn.state {
            ConnState::Up(detector) => {
                let known = Some(detector.round_trip()).filter(|span| *span > Span(0));
                (Link { up: true, silent: now - detector.last_heard() }, known)
            }
            ConnState::Opening { .. } | ConnState::Greeting { .. } => {
                (Link { up: false, silent: now - conn.used }, None)
            }
        })
    }

    /// The longest smoothed round trip of all connections.
    pub fn round_trip(&self) -> Span {
        let up = self.conns.values().filter_map(|conn| match &conn.state {
            ConnState::Up(detector) => Some(detector.round_trip()),
            ConnState::Opening { .. } | ConnState::Greeting { .. } => None,
        });
        up.max().unwrap_or_default()
    }

    fn detector(&self, conn: ConnId) -> Option<&Detector> {
        match &self.conns.get(&conn)?.state {
            ConnState::Up(detector) => Some(detector),
            ConnState::Opening { .. } | ConnState::Greeting { .. } => None,
        }
    }

    /// A direct connection to `uid` that is up.
    pub fn up(&self, uid: Uid) -> Option<ConnId> {
        self.direct(uid).find(|&conn| self.is_up(conn))
    }

    fn direct(&self, uid: Uid) -> impl Iterator<Item = ConnId> {
        let conns = self.by_uid.get(&uid).into_iter().flatten().copied();
        conns.filter(|conn| {
            self.conns.get(conn).is_some_and(|conn| match conn.way {
                ConnRoute::Dialled | ConnRoute::Accepted => true,
                ConnRoute::Through { .. } => false,
            })
        })
    }

    /// A direct connection to `uid`: one that is up, else one that is opening, else a new one.
    ///
    /// `None`: no more connections are allowed.
    pub fn reach(&mut self, now: Time, uid: Uid, out: &mut Vec<Output>) -> Option<ConnId> {
        if let Some(conn) = self.up(uid).or_else(|| self.direct(uid).find(|conn| self.mine(*conn))) {
            return Some(conn);
        }
        self.dial(now, uid, out)
    }

    fn mine(&self, conn: ConnId) -> bool {
        self.conns.get(&conn).is_some_and(|conn| conn.way == ConnRoute::Dialled)
    }

    /// Whether this node has opened the connection.
    pub fn is_mine(&self, conn: ConnId) -> bool {
        self.conns
            .get(&conn)
            .is_some_and(|conn| matches!(conn.way, ConnRoute::Dialled | ConnRoute::Through { mine: true, .. }))
    }

    /// A new connection to `uid`.
    fn dial(&mut self, now: Time, uid: Uid, out: &mut Vec<Output>) -> Option<ConnId> {
        if self.conns.len() >= CONNS_MAX || self.outward >= DIALLED_MAX {
            return None;
        }
        self.dialled += 1;
        self.outward += 1;
        let id = ConnId::dialled(self.dialled);
        let state = ConnState::Opening { until: now + self.timing.connect, queue: Vec::new() };
        self.add(id, Conn { way: ConnRoute::Dialled, state, target: Some(uid), peer: None, used: now });
        out.push(Output::Dial(id, uid.0));
        Some(id)
    }

    /// Opens a connection to `uid` through the peer of `carrier`, and waits for the greeting of the other end.
    pub fn through(
        &mut self,
        now: Time,
        carrier: ConnId,
        uid: Uid,
        hello: Hello,
        out: &mut Vec<Output>,
    ) -> Option<ConnId> {
        if self.relays() >= RELAYS_MAX {
            return None;
        }
        self.relayed += 1;
        let id = ConnId::relayed(self.relayed);
        let state = ConnState::Greeting { until: now + self.timing.connect };
        let way = ConnRoute::Through { carrier, mine: true };
        self.add(id, Conn { way, state, target: Some(uid), peer: None, used: now });
        self.send(now, id, Frame::Hello(hello), out);
        Some(id)
    }

    /// A peer has opened a connection.
    pub fn accepted(&mut self, now: Time, id: ConnId, out: &mut Vec<Output>) {
        if self.conns.len() >= CONNS_MAX {
            out.push(Output::Close(id));
            return;
        }
        let state = ConnState::Greeting { until: now + self.timing.connect };
        self.add(id, Conn { way: ConnRoute::Accepted, state, target: None, peer: None, used: now });
    }

    /// The connection for frames of `from` that the peer of `carrier` relays: the one that this node has opened
    /// (`mine`), or that `from` has. There may be several connections to the carrier; frames may take any of them.
    pub fn relayed_from(&self, carrier: ConnId, from: Uid, mine: bool) -> Option<ConnId> {
        let through = self.uid(carrier)?;
        let conns = self.by_uid.get(&from)?;
        conns.iter().copied().find(|&id| {
            let way = self.conns.get(&id).map(|conn| conn.way);
            matches!(way, Some(ConnRoute::Through { mine: by_me, .. }) if by_me == mine)
                && self.carrier(id) == Some(through)
        })
    }

    /// `from` has opened a connection through `carrier`.
    pub fn accepted_through(&mut self, now: Time, carrier: ConnId, from: Uid) -> Option<ConnId> {
        if self.relays() >= RELAYS_MAX || self.relays_over(carrier) >= RELAYS_OVER_ONE_MAX {
            return None;
        }
        self.relayed += 1;
        let id = ConnId::relayed(self.relayed);
        let state = ConnState::Greeting { until: now + self.timing.connect };
        let way = ConnRoute::Through { carrier, mine: false };
        self.add(id, Conn { way, state, target: Some(from), peer: None, used: now });
        Some(id)
    }

    fn add(&mut self, id: ConnId, conn: Conn) {
        if let Some(uid) = conn.target {
            self.by_uid.entry(uid).or_default().insert(id);
        }
        self.conns.insert(id, conn);
    }

    /// A connection that this node dialled is open: sends the hello and the waiting frames.
    pub fn opened(&mut self, now: Time, id: ConnId, hello: Hello, out: &mut Vec<Output>) {
        let until = now + self.timing.connect;
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let ConnState::Opening { queue, .. } = std::mem::replace(&mut conn.state, ConnState::Greeting { until }) else {
            return;
        };
        out.push(Output::Send(vec![id], Arc::new(Frame::Hello(hello))));
        out.extend(queue.into_iter().map(|frame| Output::Send(vec![id], frame)));
    }

    /// The peer has greeted. `false`: it had greeted before.
    pub fn greeted(&mut self, now: Time, id: ConnId, hello: Hello) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        match conn.state {
            ConnState::Greeting { .. } => {}
            ConnState::Opening { .. } | ConnState::Up(_) => return false,
        }
        if let Some(target) = conn.target.filter(|&target| target != hello.uid)
            && let Some(conns) = self.by_uid.get_mut(&target)
        {
            conns.remove(&id);
            if conns.is_empty() {
                self.by_uid.remove(&target);
            }
        }
        self.by_uid.entry(hello.uid).or_default().insert(id);
        conn.target = Some(hello.uid);
        conn.peer = Some(hello);
        conn.state = ConnState::Up(Detector::new(now));
        true
    }

    /// The peer has entered this room.
    pub fn entered(&mut self, id: ConnId, room: RoomId) {
        if let Some(peer) = self.conns.get_mut(&id).and_then(|conn| conn.peer.as_mut()) {
            peer.room = Some(room);
        }
    }

    /// All connections but this one.
    pub fn others(&self, id: ConnId) -> Vec<ConnId> {
        self.conns.keys().copied().filter(|&other| other != id).collect()
    }

    /// Bytes have arrived. `idle`: they do not count as use of the connection.
    pub fn heard(&mut self, now: Time, id: ConnId, idle: bool) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if !idle {
            conn.used = now;
        }
        if let ConnState::Up(detector) = &mut conn.state {
            detector.heard(now);
        }
    }

    /// A heartbeat came back.
    pub fn echoed(&mut self, now: Time, id: ConnId, sent: Time) {
        if let Some(Conn { state: ConnState::Up(detector), .. }) = self.conns.get_mut(&id) {
            detector.echoed(now, sent, &self.timing);
        }
    }

    /// Sends a frame on a connection, or keeps it until the connection is open.
    pub fn send(&mut self, now: Time, id: ConnId, frame: Frame, out: &mut Vec<Output>) {
        self.send_all(now, &[id], &Arc::new(frame), out);
    }

    /// Sends one frame on many connections.
    pub fn send_all(&mut self, now: Time, ids: &[ConnId], frame: &Arc<Frame>, out: &mut Vec<Output>) {
        let mut straight = Vec::with_capacity(ids.len());
        for &id in ids {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            if !matches!(**frame, Frame::Ping(_) | Frame::Pong(_)) {
                conn.used = now;
            }
            match (&mut conn.state, conn.way) {
                (ConnState::Opening { queue, .. }, _) => {
                    if queue.len() < DIAL_FRAMES_MAX {
                        queue.push(Arc::clone(frame));
                    }
                }
                (ConnState::Greeting { .. } | ConnState::Up(_), ConnRoute::Through { carrier, mine }) => {
                    let Some(to) = conn.target else { continue };
                    let relay = Relay { from: self.me, to, opener: mine, frame: Some(Box::new(Frame::clone(frame))) };
                    out.push(Output::Send(vec![carrier], Arc::new(Frame::Relay(relay))));
                }
                (ConnState::Greeting { .. } | ConnState::Up(_), ConnRoute::Dialled | ConnRoute::Accepted) => {
                    straight.push(id)
                }
            }
        }
        if !straight.is_empty() {
            out.push(Output::Send(straight, Arc::clone(frame)));
        }
    }

    /// Closes a connection and all connections that it carries.
    pub fn close(&mut self, id: ConnId, out: &mut Vec<Output>) -> Vec<ClosedConn> {
        self.hang_up(id, out);
        self.ended(id, CloseReason::Dropped)
    }

    /// Tells the peer, or the driver, that the connection is over.
    fn hang_up(&self, id: ConnId, out: &mut Vec<Output>) {
        let Some(conn) = self.conns.get(&id) else { return };
        match conn.way {
            ConnRoute::Dialled | ConnRoute::Accepted => out.push(Output::Close(id)),
            ConnRoute::Through { carrier, mine } => {
                if let Some(to) = conn.target.filter(|_| self.contains(carrier)) {
                    let relay = Relay { from: self.me, to, opener: mine, frame: None };
                    out.push(Output::Send(vec![carrier], Arc::new(Frame::Relay(relay))));
                }
            }
        }
    }

    /// A connection has ended: forgets it and all connections that it carried, and returns them.
    pub fn ended(&mut self, id: ConnId, how: CloseReason) -> Vec<ClosedConn> {
        let Some(conn) = self.conns.remove(&id) else { return Vec::new() };
        self.outward -= usize::from(conn.way == ConnRoute::Dialled);
        if let Some(uid) = conn.target
            && let Some(conns) = self.by_uid.get_mut(&uid)
        {
            conns.remove(&id);
            if conns.is_empty() {
                self.by_uid.remove(&uid);
            }
        }
        let (was_up, heard) = match &conn.state {
            ConnState::Up(detector) => (true, detector.last_heard()),
            ConnState::Opening { .. } | ConnState::Greeting { .. } => (false, conn.used),
        };
        let mut all = vec![ClosedConn { conn: id, uid: conn.target, was_up, heard, how }];
        let over: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, conn)| matches!(conn.way, ConnRoute::Through { carrier, .. } if carrier == id))
            .map(|(&over, _)| over)
            .collect();
        for over in over {
            all.extend(self.ended(over, CloseReason::Closed));
        }
        all
    }

    /// This node was stalled: gives all peers that much more time.
    pub fn forgive(&mut self, now: Time, stalled: Span) {
        for conn in self.conns.values_mut() {
            match &mut conn.state {
                ConnState::Opening { until, .. } | ConnState::Greeting { until } => *until = *until + stalled,
                ConnState::Up(detector) => detector.forgive(now, stalled),
            }
        }
    }

    /// Sends a heartbeat on every connection that is up.
    pub fn beat(&mut self, now: Time, out: &mut Vec<Output>) {
        let up: Vec<ConnId> =
            self.conns.iter().filter(|(_, conn)| matches!(conn.state, ConnState::Up(_))).map(|(&id, _)| id).collect();
        self.send_all(now, &up, &Arc::new(Frame::Ping(now.0)), out);
    }

    /// Ends connections that have been silent, or opening, for too long, and those that this node opened and has not
    /// used for [`Timing::probe_max`], except those in `held`.
    pub fn expire(&mut self, now: Time, held: &BTreeSet<ConnId>, out: &mut Vec<Output>) -> Vec<ClosedConn> {
        let over = |id: ConnId, conn: &Conn| match &conn.state {
            ConnState::Opening { until, .. } | ConnState::Greeting { until } => {
                (*until <= now).then_some(CloseReason::Unreachable)
            }
            ConnState::Up(detector) if detector.dead_at(&self.timing) <= now => Some(CloseReason::Silent),
            ConnState::Up(_) => {
                let opened_here = matches!(conn.way, ConnRoute::Dialled | ConnRoute::Through { mine: true, .. });
                let idle = opened_here && conn.used + self.timing.probe_max <= now && !held.contains(&id);
                idle.then_some(CloseReason::Dropped)
            }
        };
        let over: Vec<(ConnId, CloseReason)> =
            self.conns.iter().filter_map(|(&id, conn)| over(id, conn).map(|how| (id, how))).collect();
        let mut ended = Vec::new();
        for (id, how) in over {
            self.hang_up(id, out);
            ended.extend(self.ended(id, how));
        }
        ended
    }

    /// The earliest time at which [`expire`](Self::expire) may end a connection, idle ones apart.
    pub fn deadline(&self) -> Option<Time> {
        let each = self.conns.values().map(|conn| match &conn.state {
            ConnState::Opening { until, .. } | ConnState::Greeting { until } => *until,
            ConnState::Up(detector) => detector.dead_at(&self.timing),
        });
        each.min()
    }
}
