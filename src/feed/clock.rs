//! What the node's clock says, for whoever stamps what people read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::Lamport;

/// The node's clock as far as the frontends know it: never behind any line that was shown.
#[derive(Clone, Debug, Default)]
pub struct FeedClock(Arc<AtomicU64>);

impl FeedClock {
    /// What it says now.
    pub fn now(&self) -> Lamport {
        Lamport(self.0.load(Ordering::Relaxed))
    }

    /// It is at least this late.
    pub fn witness(&self, lamport: Lamport) {
        self.0.fetch_max(lamport.0, Ordering::Relaxed);
    }
}
