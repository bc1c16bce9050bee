//! The transport's messages to the driver: connections, failed dials, frames, and the ends of connections.

use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use super::noise::SecureSession;
use crate::ring::{ConnId, ForgedLine, Frame, Refusal};

/// A message from a reader, a dialler or the listener.
#[derive(Debug)]
pub(in crate::net) enum Arrival {
    /// Frames of one connection, in order.
    Frames {
        /// The connection.
        conn: ConnId,
        /// The decoded frames.
        frames: Vec<Frame>,
        /// Their share of the budgets. Dropping it frees the share.
        cost: Cost,
    },
    /// A connection has ended.
    Gone {
        /// The connection.
        conn: ConnId,
        /// The fault, if the peer sent something that is not a frame.
        why: Option<String>,
    },
    /// A peer relayed forged lines. This is the last message about its connection.
    Forged {
        /// The connection.
        conn: ConnId,
        /// The forged line, with the author it names.
        forged: ForgedLine,
    },
    /// A dial has succeeded or failed.
    Dialled {
        /// The connection's id.
        conn: ConnId,
        /// The connection, or why there is none.
        result: Result<Box<Connected>, Failed>,
    },
    /// A peer has connected and said hello.
    Greeted {
        /// The connection.
        connected: Box<Connected>,
        /// The peer's address.
        peer: SocketAddr,
        /// The peer's hello.
        hello: Box<Frame>,
    },
    /// A peer has connected without a valid hello. Or a listener cannot accept connections; then `peer` is the
    /// listener's address.
    TurnedAway {
        /// The peer's address.
        peer: SocketAddr,
        /// The fault.
        why: String,
    },
}

/// The share of the connection's budget and of the total budget that one hand-over takes.
#[derive(Debug)]
pub(in crate::net) struct Cost {
    pub(super) _own: OwnedSemaphorePermit,
    pub(super) _all: OwnedSemaphorePermit,
}

/// A connection that is ready for frames.
#[derive(Debug)]
pub(in crate::net) struct Connected {
    pub(in crate::net) socket: TcpStream,
    /// In a room with a key: the peer's author, and the encryption of both directions.
    pub(in crate::net) session: Option<SecureSession>,
    /// Bytes that were already read and decrypted.
    pub(in crate::net) plain: BytesMut,
    /// Bytes that were already read and not decrypted yet.
    pub(in crate::net) sealed: BytesMut,
}

impl Connected {
    /// A connection in a room without a key. Nothing was read yet.
    pub(in crate::net) fn open(socket: TcpStream) -> Self {
        Self { socket, session: None, plain: BytesMut::new(), sealed: BytesMut::new() }
    }
}

/// Why a dial has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::net) enum Failed {
    /// The host answers that nothing listens on the port.
    Refused,
    /// No answer in time, no route, or a broken connection.
    Unreachable,
    /// The peer refuses this node.
    TurnedAway(Refusal),
    /// The other end is not a member, or something in between damages the bytes.
    Broken(String),
}
