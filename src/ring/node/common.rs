//! What all chapters share: saying, reaching, closing, remembering.

use std::collections::BTreeSet;

use super::Node;
use super::phase::Phase;
use super::requests::ReadPurpose;
use crate::ring::links::CloseReason;
use crate::ring::types::id::{ConnId, Epoch, Uid};
use crate::ring::wire::frame::{Frame, Refusal};
use crate::ring::{Event, Output, ReadRequest, Record};

impl Node {
    /// Sets the phase; gives the one before.
    pub(super) fn set_phase(&mut self, phase: Phase) -> Phase {
        self.agenda.deadline_moved();
        self.agenda.ring_may_change();
        std::mem::replace(&mut self.phase, phase)
    }

    pub(super) fn save(&mut self, record: Record) {
        self.out.push(Output::Save(record));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(super) fn send(&mut self, conn: ConnId, frame: Frame) {
        self.links.send(self.now.mono, conn, frame, &mut self.out);
    }

    /// A direct connection to `uid`, opened if need be.
    pub(super) fn reach(&mut self, uid: Uid) -> Option<ConnId> {
        self.agenda.deadline_moved();
        if uid == self.identity.me || self.blocklist.is_blocked(uid) {
            None
        } else {
            self.links.reach(self.now.mono, uid, &mut self.out)
        }
    }

    /// Sends a frame to a uid, over a connection that is opened if need be.
    pub(super) fn send_to(&mut self, uid: Uid, frame: Frame) -> Option<ConnId> {
        let conn = self.reach(uid)?;
        self.send(conn, frame);
        Some(conn)
    }

    pub(super) fn close(&mut self, conn: ConnId) {
        self.agenda.deadline_moved();
        for ended in self.links.close(conn, &mut self.out) {
            self.on_end(ended);
        }
    }

    pub(super) fn end(&mut self, conn: ConnId, how: CloseReason) {
        for ended in self.links.ended(conn, how) {
            self.on_end(ended);
        }
    }

    /// A peer has broken the protocol: it loses this connection, and nothing else happens.
    pub(super) fn protocol_violation(&mut self, conn: ConnId, why: &'static str) {
        self.event(Event::ProtocolViolation { conn, why });
        self.send(conn, Frame::Refuse(Refusal::Protocol));
        self.close(conn);
    }

    /// Counts a round that the peer of this connection names. `false`: it is absurd.
    pub(super) fn admit_round(&mut self, conn: ConnId, round: u64) -> bool {
        let author = self.links.peer(conn).map(|peer| peer.author);
        self.clocks.admit_round(author, round)
    }

    /// Obeys an epoch: nothing lower is obeyed from now on.
    pub(super) fn adopt_epoch(&mut self, epoch: Epoch) {
        self.clocks.adopt_round(epoch.round);
        if self.promise < Some(epoch) {
            self.promise = Some(epoch);
            self.save(Record::Promise(epoch));
            // Whatever relies on it leaves after this.
            self.out.push(Output::Sync);
        }
    }

    /// Writes a uid into the book.
    pub(super) fn learn_peer(&mut self, uid: Uid) {
        if uid == self.identity.me {
            return;
        }
        if let Some(forgotten) = self.book.learn_peer(uid) {
            self.save(Record::LearnPeer(uid));
            if let Some(forgotten) = forgotten {
                self.save(Record::ForgetPeer(forgotten));
            }
        }
    }

    pub(super) fn read(&mut self, wanted: ReadRequest, what: ReadPurpose) {
        let id = self.requests.start_read(what);
        self.out.push(Output::Read(id, wanted));
    }

    /// Connections that must not be closed for being idle.
    pub(super) fn conns_in_use(&self) -> BTreeSet<ConnId> {
        let mut held: BTreeSet<ConnId> = self.neighbours.conns().collect();
        match &self.phase {
            Phase::Following(following) => {
                held.insert(following.conn);
            }
            Phase::Joining(joining) => {
                held.insert(joining.conn);
            }
            Phase::Leading(leading) => held.extend(leading.followers.values().map(|follower| follower.conn)),
            Phase::Synchronizing(synchronizing) => {
                held.extend(synchronizing.fetch.conn());
                held.extend(synchronizing.joins.iter().map(|(conn, _)| *conn));
            }
            Phase::Bootstrapping(bootstrap) => held.extend(bootstrap.conn),
            Phase::NotStarted
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Stopped => {}
        }
        // What carries another connection lives as long as that one.
        let carried: Vec<ConnId> = held.iter().filter_map(|&conn| self.links.carried_by(conn)).collect();
        held.extend(carried);
        held
    }
}
