//! The node's own lines: how many were said in this run, and how far they have come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::ring::Lamport;

/// Lines whose timestamps are remembered, once somebody has asked for any: the newest.
const STAMPS_MAX: usize = 64 * 1024;

/// How many lines were said in this run, how many of them stand in the log, and how many another member holds too.
#[derive(Clone, Debug)]
pub struct OwnLines(Arc<OwnLineCounts>);

#[derive(Debug)]
struct OwnLineCounts {
    said: AtomicU64,
    ordered: AtomicU64,
    held: watch::Sender<u64>,
    /// Somebody wants timestamps.
    stamped: AtomicBool,
    stamps: Mutex<BTreeMap<u64, Lamport>>,
}

impl Default for OwnLines {
    fn default() -> Self {
        let held = watch::Sender::new(0);
        Self(Arc::new(OwnLineCounts {
            said: AtomicU64::new(0),
            ordered: AtomicU64::new(0),
            held,
            stamped: AtomicBool::new(false),
            stamps: Mutex::default(),
        }))
    }
}

impl OwnLines {
    /// One more was handed to the node.
    pub fn say(&self) {
        self.0.said.fetch_add(1, Ordering::AcqRel);
    }

    /// How many were.
    pub fn said(&self) -> u64 {
        self.0.said.load(Ordering::Acquire)
    }

    /// The log holds the line of this number, with this timestamp: lines are numbered from 1 in the order in which they
    /// were said.
    pub fn witness(&self, n: u64, stamp: Lamport) {
        if self.0.stamped.load(Ordering::Acquire) {
            let mut stamps = self.0.stamps.lock().unwrap_or_else(PoisonError::into_inner);
            stamps.insert(n, stamp);
            if stamps.len() > STAMPS_MAX {
                stamps.pop_first();
            }
        }
        self.0.ordered.fetch_max(n, Ordering::AcqRel);
    }

    /// From now on the timestamps of lines that are said are remembered.
    pub fn remember_stamps(&self) {
        self.0.stamped.store(true, Ordering::Release);
    }

    /// The timestamp of the line of this number, where it is remembered.
    pub fn stamp(&self, n: u64) -> Option<Lamport> {
        self.0.stamps.lock().unwrap_or_else(PoisonError::into_inner).get(&n).copied()
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
        self.said().saturating_sub(self.ordered())
    }
}
