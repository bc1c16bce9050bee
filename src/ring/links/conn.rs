//! One connection: how it reaches its other end, its state, and how it ended.

use std::sync::Arc;

use super::detector::Detector;
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::types::time::Time;
use crate::ring::wire::frame::{Frame, Hello};

/// One connection.
#[derive(Clone, Debug, Hash)]
pub struct Conn {
    pub(super) way: ConnRoute,
    pub(super) state: ConnState,
    /// The uid at the other end, known in advance if this node opened the connection.
    pub(super) target: Option<Uid>,
    pub(super) peer: Option<Hello>,
    pub(super) used: Time,
}

/// How a connection reaches its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnRoute {
    /// This node opened it.
    Dialled,
    /// The other end opened it.
    Accepted,
    /// The peer of the connection `carrier` relays it; `mine`: this node opened it.
    Through { carrier: ConnId, mine: bool },
}

#[derive(Clone, Debug, Hash)]
pub(super) enum ConnState {
    /// Not open yet: frames wait in the queue.
    Opening { until: Time, queue: Vec<Arc<Frame>> },
    /// Open, but the peer has not greeted.
    Greeting { until: Time },
    /// In use.
    Up(Detector),
}

/// A connection that has ended.
#[derive(Clone, Copy, Debug)]
pub struct ClosedConn {
    /// The connection.
    pub conn: ConnId,
    /// The uid at the other end, or the one that was dialled.
    pub uid: Option<Uid>,
    /// The peer had greeted.
    pub was_up: bool,
    /// When the last bytes arrived over it.
    pub heard: Time,
    /// Why it has ended.
    pub how: CloseReason,
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// No process listens there.
    Refused,
    /// No answer to a dial or a greeting.
    Unreachable,
    /// The peer, or the network, closed it.
    Closed,
    /// No bytes came for too long.
    Silent,
    /// This node closed it.
    Dropped,
}
