//! Frames between two nodes that cannot reach each other, through a third that reaches both: one hop, no state.

use super::Node;
use crate::ring::links::CloseReason;
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::wire::frame::{Frame, Relay};

impl Node {
    pub(super) fn on_relay(&mut self, conn: ConnId, from: Uid, relay: Relay) {
        if self.links.carried_by(conn).is_some() {
            return self.protocol_violation(conn, "relays over a relayed connection");
        }
        if relay.to == self.identity.me {
            self.take_relayed(conn, relay);
        } else if relay.from == from {
            self.carry(conn, relay);
        } else {
            self.protocol_violation(conn, "speaks for another");
        }
    }

    /// A frame for me, carried by the peer of this connection.
    fn take_relayed(&mut self, carrier: ConnId, relay: Relay) {
        let known = self.links.relayed_from(carrier, relay.from, !relay.opener);
        match (relay.frame, known) {
            (None, Some(conn)) => self.end(conn, CloseReason::Closed),
            (None, None) => {}
            (Some(frame), known) => {
                // The opener greets first; the greeting that answers it opens nothing.
                let greets = relay.opener && matches!(*frame, Frame::Hello(_));
                // A new greeting on a connection that was greeted is a new connection of the same two.
                let stale = known.filter(|&conn| greets && self.links.peer(conn).is_some());
                if let Some(conn) = stale {
                    self.end(conn, CloseReason::Closed);
                }
                let conn = known.filter(|_| stale.is_none());
                let accepts = greets && relay.from != self.identity.me;
                let conn = match conn {
                    None if accepts => self.links.accepted_through(self.now.mono, carrier, relay.from),
                    conn => conn,
                };
                match conn {
                    Some(conn) => {
                        self.agenda.deadline_moved();
                        self.on_frame(conn, *frame);
                    }
                    None => self.not_carried(carrier, relay.to, relay.from, !relay.opener),
                }
            }
        }
    }

    /// A frame of this connection's peer for somebody whom I reach.
    fn carry(&mut self, conn: ConnId, relay: Relay) {
        match self.links.up(relay.to) {
            Some(on) => self.send(on, Frame::Relay(relay)),
            None if relay.frame.is_some() => self.not_carried(conn, relay.to, relay.from, !relay.opener),
            None => {}
        }
    }

    /// Tells one end that the other is not there.
    fn not_carried(&mut self, conn: ConnId, from: Uid, to: Uid, opener: bool) {
        self.send(conn, Frame::Relay(Relay { from, to, opener, frame: None }));
    }
}
