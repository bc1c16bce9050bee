//! The one queue into the driver, bounded in places and in bytes.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::dial::Failed;
use super::limits::{ARRIVALS_MAX, HANDOVER_BYTES_MIN, READ_CONN_BYTES_MAX, READ_TOTAL_BYTES_MAX};
use super::link::Connected;
use super::witness::{Entered, Witness};
use crate::ring::{ConnId, Forged, Frame};

/// What readers, diallers and the door hand over.
#[derive(Debug)]
pub(super) enum Arrival {
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
        forged: Forged,
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
pub(super) struct Cost {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// The budget of one connection.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

impl Budget {
    /// A full one.
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(READ_CONN_BYTES_MAX)))
    }
}

/// The driver has ended.
#[derive(Debug)]
pub(super) struct Ended;

/// An end to put arrivals into.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    queue: mpsc::Sender<Arrival>,
    total: Arc<Semaphore>,
    entered: Entered,
}

impl Inbox {
    /// An empty queue into a node of this room.
    pub(super) fn new(entered: Entered) -> (Self, mpsc::Receiver<Arrival>) {
        let (queue, arrivals) = mpsc::channel(ARRIVALS_MAX);
        (Self { queue, total: Arc::new(Semaphore::new(READ_TOTAL_BYTES_MAX)), entered }, arrivals)
    }

    /// Waits until the budgets have room for a hand-over of this size.
    pub(super) async fn afford(&self, budget: &Budget, bytes: usize) -> Result<Cost, Ended> {
        let own = bytes.clamp(HANDOVER_BYTES_MIN, READ_CONN_BYTES_MAX) as u32;
        let all = bytes.min(READ_TOTAL_BYTES_MAX) as u32;
        let own = Arc::clone(&budget.0).acquire_many_owned(own).await.map_err(|_| Ended)?;
        let all = Arc::clone(&self.total).acquire_many_owned(all).await.map_err(|_| Ended)?;
        Ok(Cost { _own: own, _all: all })
    }

    /// Somebody who looks through what comes over one connection.
    pub(super) fn witness(&self) -> Witness {
        Witness::new(Arc::clone(&self.entered))
    }

    /// Puts it at the queue's end if there is a place: for what can be left out.
    pub(super) fn mention(&self, arrival: Arrival) -> Result<(), Ended> {
        match self.queue.try_send(arrival) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Ended),
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
        }
    }

    /// Puts it at the queue's end, when there is a place.
    pub(super) async fn put(&self, arrival: Arrival) -> Result<(), Ended> {
        self.queue.send(arrival).await.map_err(|_| Ended)
    }
}
