//! The one queue into the driver, bounded in places and in bytes.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::arrival::{Arrival, Cost};
use super::limits::{ARRIVALS_MAX, HANDOVER_BYTES_MIN, READ_CONN_BYTES_MAX, READ_TOTAL_BYTES_MAX};
use super::verify::{FrameVerifier, RoomCell};

/// The budget of one connection.
#[derive(Clone, Debug)]
pub(in crate::net) struct InboxBudget(Arc<Semaphore>);

impl InboxBudget {
    /// A full budget.
    pub(in crate::net) fn new() -> Self {
        Self(Arc::new(Semaphore::new(READ_CONN_BYTES_MAX)))
    }
}

/// The driver has ended.
#[derive(Debug)]
pub(in crate::net) struct DriverGone;

/// The sending end of the driver's queue.
#[derive(Clone, Debug)]
pub(in crate::net) struct Inbox {
    queue: mpsc::Sender<Arrival>,
    total: Arc<Semaphore>,
    entered: RoomCell,
}

impl Inbox {
    /// An empty queue into the node of this room.
    pub(in crate::net) fn new(entered: RoomCell) -> (Self, mpsc::Receiver<Arrival>) {
        let (queue, arrivals) = mpsc::channel(ARRIVALS_MAX);
        (Self { queue, total: Arc::new(Semaphore::new(READ_TOTAL_BYTES_MAX)), entered }, arrivals)
    }

    /// Waits until the budgets have room for a hand-over of this size.
    pub(in crate::net) async fn afford(&self, budget: &InboxBudget, bytes: usize) -> Result<Cost, DriverGone> {
        let own = bytes.clamp(HANDOVER_BYTES_MIN, READ_CONN_BYTES_MAX) as u32;
        let all = bytes.min(READ_TOTAL_BYTES_MAX) as u32;
        let own = Arc::clone(&budget.0).acquire_many_owned(own).await.map_err(|_| DriverGone)?;
        let all = Arc::clone(&self.total).acquire_many_owned(all).await.map_err(|_| DriverGone)?;
        Ok(Cost { _own: own, _all: all })
    }

    /// A verifier for the frames of one connection.
    pub(in crate::net) fn witness(&self) -> FrameVerifier {
        FrameVerifier::new(Arc::clone(&self.entered))
    }

    /// Queues an arrival if there is a place. For arrivals that may be lost.
    pub(in crate::net) fn mention(&self, arrival: Arrival) -> Result<(), DriverGone> {
        match self.queue.try_send(arrival) {
            Err(mpsc::error::TrySendError::Closed(_)) => Err(DriverGone),
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
        }
    }

    /// Queues an arrival. Waits until there is a place.
    pub(in crate::net) async fn put(&self, arrival: Arrival) -> Result<(), DriverGone> {
        self.queue.send(arrival).await.map_err(|_| DriverGone)
    }
}
