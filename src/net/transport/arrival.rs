//! What the transport hands to the driver: connections, why a dial has failed, frames, and the ends of connections.

use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::noise::Session;
use crate::ring::{ConnId, ForgedLine, Frame, Refusal};

/// What readers, diallers and the door hand over.
#[derive(Debug)]
pub(in crate::net) enum Arrival {
    /// Frames of one connection, in order.
    Frames {
        /// Which.
        conn: ConnId,
        /// They.
        frames: Vec<Frame>,
        /// Their place in the budgets, free again when this is dropped.
        cost: Cost,
    },
    /// A connection has ended; `why`: its peer sent what is no frame.
    Gone {
        /// Which.
        conn: ConnId,
        /// What was wrong.
        why: Option<String>,
    },
    /// A peer has handed on lines that nobody has said. The last of its connection.
    Forged {
        /// Which.
        conn: ConnId,
        /// In whose name.
        forged: ForgedLine,
    },
    /// A dial has ended.
    Dialled {
        /// Which.
        conn: ConnId,
        /// The connection.
        result: Result<Box<Connected>, Failed>,
    },
    /// Somebody has connected and introduced itself.
    Greeted {
        /// The connection.
        connected: Box<Connected>,
        /// Its other end.
        peer: SocketAddr,
        /// Its hello.
        hello: Box<Frame>,
    },
    /// Somebody has connected and said nothing sensible, or a listener (then `peer` is its address) cannot accept.
    TurnedAway {
        /// The other end.
        peer: SocketAddr,
        /// What was wrong.
        why: String,
    },
}

/// What a hand-over takes of the budgets of its connection and of all.
#[derive(Debug)]
pub(in crate::net) struct Cost {
    pub(super) _own: OwnedSemaphorePermit,
    pub(super) _all: OwnedSemaphorePermit,
}

/// A connection that is ready for frames.
#[derive(Debug)]
pub(in crate::net) struct Connected {
    pub(in crate::net) socket: TcpStream,
    /// In a keyed room: who is at the other end, and how to seal and open.
    pub(in crate::net) session: Option<Session>,
    /// What was read already, and opened.
    pub(in crate::net) plain: BytesMut,
    /// What was read already, and not opened.
    pub(in crate::net) sealed: BytesMut,
}

impl Connected {
    /// In a room without a key; nothing was read yet.
    pub(in crate::net) fn open(socket: TcpStream) -> Self {
        Self { socket, session: None, plain: BytesMut::new(), sealed: BytesMut::new() }
    }
}

/// Why a dial has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Failed {
    /// The host answers that nobody listens there.
    Refused,
    /// No answer in time, no route, or the connection broke.
    Unreachable,
    /// Who listens there will not have this node.
    TurnedAway(Refusal),
    /// What answers is no member, or somebody in between spoils what it says.
    Broken(String),
}
