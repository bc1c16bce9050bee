//! The times of each line: when it was sent, and when the last reader had it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

/// The times of each line: when it was sent, and when the last reader had it.
pub struct Times {
    clock: Instant,
    begin: Notify,
    /// The log's index before the first line.
    base: AtomicU64,
    lines: Vec<LineTimes>,
}

/// Times in nanoseconds on the clock.
#[derive(Default)]
struct LineTimes {
    sent: AtomicU64,
    last: AtomicU64,
    readers: AtomicU32,
}

impl Times {
    /// Times for `lines` lines.
    pub fn new(lines: usize) -> Arc<Self> {
        let lines = std::iter::repeat_with(LineTimes::default).take(lines).collect();
        Arc::new(Self { clock: Instant::now(), begin: Notify::new(), base: AtomicU64::new(u64::MAX), lines })
    }

    /// Lets the sender begin. Its lines follow this index of the log.
    pub fn begin(&self, base: u64) {
        self.base.store(base, Ordering::SeqCst);
        self.begin.notify_one();
    }

    /// Waits for [`begin`](Self::begin).
    pub async fn begun(&self) {
        self.begin.notified().await;
    }

    /// The number of lines.
    pub fn lines(&self) -> u64 {
        self.lines.len() as u64
    }

    /// The index of the `n`-th line.
    pub fn index(&self, n: u64) -> u64 {
        self.base.load(Ordering::Relaxed).saturating_add(n)
    }

    /// Records that the `n`-th line, from 1, is sent.
    pub fn sent(&self, n: u64) {
        if let Some(line) = self.lines.get(n as usize - 1) {
            line.sent.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Records that a reader has the entries from index `first` to `last`.
    pub fn delivered(&self, first: u64, last: u64) {
        let now = self.now();
        let base = self.base.load(Ordering::Relaxed);
        for index in first..=last {
            let Some(place) = index.checked_sub(base).and_then(|n| n.checked_sub(1)) else { continue };
            if let Some(line) = self.lines.get(place as usize) {
                line.last.fetch_max(now, Ordering::Relaxed);
                line.readers.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Whether `readers` readers have the last line.
    pub fn complete(&self, readers: usize) -> bool {
        self.lines.iter().rev().all(|line| line.readers.load(Ordering::Acquire) as usize == readers)
    }

    /// Microseconds from sending to the last delivery, for each line.
    pub fn micros(&self) -> Vec<f64> {
        let span = |line: &LineTimes| {
            let (sent, last) = (line.sent.load(Ordering::Relaxed), line.last.load(Ordering::Relaxed));
            last.saturating_sub(sent) as f64 / 1e3
        };
        self.lines.iter().map(span).collect()
    }
}
