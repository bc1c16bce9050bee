//! Counters for tests and measurements.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counters of one node's network. Each number is exact by itself, but they are not read at one moment.
#[derive(Debug, Default)]
pub struct Meter {
    links: AtomicUsize,
    ungreeted: AtomicUsize,
    frames_written: AtomicU64,
    writes: AtomicU64,
    turns: AtomicU64,
}

impl Meter {
    /// Connections of the core, including those being dialled.
    pub fn links_open(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }

    /// Connections that were accepted and have not said hello.
    pub fn ungreeted(&self) -> usize {
        self.ungreeted.load(Ordering::Relaxed)
    }

    /// Frames written to sockets so far.
    pub fn frames_written(&self) -> u64 {
        self.frames_written.load(Ordering::Relaxed)
    }

    /// Writes that these frames took.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Turns of the driver so far.
    pub fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    pub(in crate::net) fn links(&self, links: usize) {
        self.links.store(links, Ordering::Relaxed);
    }

    pub(in crate::net) fn pending_peers(&self, ungreeted: usize) {
        self.ungreeted.store(ungreeted, Ordering::Relaxed);
    }

    pub(in crate::net) fn wrote(&self, frames: usize, writes: usize) {
        self.frames_written.fetch_add(frames as u64, Ordering::Relaxed);
        self.writes.fetch_add(writes as u64, Ordering::Relaxed);
    }

    pub(in crate::net) fn turned(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}
