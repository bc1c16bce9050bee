//! The node's own lines: how many were said in this run, and how far they have come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// How many lines were said in this run, how many of them stand in the log, and how many another member holds too.
#[derive(Clone, Debug)]
pub struct OwnLines(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    said: AtomicU64,
    ordered: AtomicU64,
    held: watch::Sender<u64>,
}

impl Default for OwnLines {
    fn default() -> Self {
        let held = watch::Sender::new(0);
        Self(Arc::new(Counts { said: AtomicU64::new(0), ordered: AtomicU64::new(0), held }))
    }
}

impl OwnLines {
    /// One more was handed to the node.
    pub fn say(&self) {
        self.0.said.fetch_add(1, Ordering::AcqRel);
    }

    /// The log holds the line of this number: lines are numbered from 1 in the order in which they were said.
    pub fn witness(&self, n: u64) {
        self.0.ordered.fetch_max(n, Ordering::AcqRel);
    }

    /// What was said up to this number stands in the log, on the disk, and with another member if there is any.
    pub fn hold(&self, n: u64) {
        self.0.held.send_if_modified(|held| std::mem::replace(held, n.max(*held)) < n);
    }

    /// The number up to which that is so.
    pub fn held(&self) -> watch::Receiver<u64> {
        self.0.held.subscribe()
    }

    /// The number of the last one in the log.
    pub fn ordered(&self) -> u64 {
        self.0.ordered.load(Ordering::Acquire)
    }

    /// How many are not in the log.
    pub fn waiting(&self) -> u64 {
        self.0.said.load(Ordering::Acquire).saturating_sub(self.ordered())
    }
}
