//! How far the log that people read has come: which entry stood last when so many bytes had been handed over.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ring::Tail;

/// Which entry stood last in the log when so many bytes had been handed to it.
#[derive(Clone, Debug, Default)]
pub struct LogCheckpoints(Arc<Mutex<VecDeque<(u64, Tail)>>>);

/// Marks that wait until the file has taken what they mark; beyond, the last one stands for several.
const MARKS_MAX: usize = 64;

impl LogCheckpoints {
    fn marks(&self) -> MutexGuard<'_, VecDeque<(u64, Tail)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes had been handed over when this entry stood last.
    pub(crate) fn push(&self, handed: u64, tail: Tail) {
        let mut marks = self.marks();
        if marks.len() >= MARKS_MAX {
            marks.pop_back();
        }
        marks.push_back((handed, tail));
    }

    /// The last mark among the first `flushed` bytes, and how many bytes those were; it and those before are taken.
    pub fn reached(&self, flushed: u64) -> Option<(u64, Tail)> {
        let mut marks = self.marks();
        let mut last = None;
        while marks.front().is_some_and(|(handed, _)| *handed <= flushed) {
            last = marks.pop_front();
        }
        last
    }
}
