//! One member of the room: the only place where things are decided.

use super::{Config, Input, Now, Output, Status, Time};

/// One member of a room; see the [module's contract](super).
#[derive(Debug)]
pub struct Node {
    config: Config,
}

impl Node {
    /// A node that has not begun: its first [`step`](Self::step) begins.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// Takes one input; gives what must be done, in order.
    pub fn step(&mut self, _now: Now, _input: Input) -> Vec<Output> {
        Vec::new()
    }

    /// When to step with [`Input::Tick`] at the latest; in the past: as soon as nothing else has arrived.
    pub fn deadline(&self) -> Time {
        Time(0)
    }

    /// How many more lines may be submitted now.
    pub fn outbox_room(&self) -> usize {
        0
    }

    /// The node at this moment.
    pub fn status(&self) -> Status {
        let _ = &self.config;
        unreachable!()
    }

    /// Every bounded collection with its name, its size now and its limit: for the check of bounded memory.
    pub fn sizes(&self) -> Vec<(&'static str, usize, usize)> {
        Vec::new()
    }
}
