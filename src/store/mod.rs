//! Where the history is kept.
//!
//! The core says what must be kept and asks for what it needs ([`Output::Save`](crate::ring::Output::Save) and its
//! neighbours); a [`Store`] obeys.
//!
//! ```text
//!   records ──▶ History ──▶ Disk ──small groups──▶ Journal ──▶ chat_<port>.journal
//!                  │          └──many at a time───▶ Sqlite ───▶ chat_<port>.db (write-ahead log)
//!                  │                                              ▲ sync, checkpoint, index
//!                  └──while the disk fails──▶ MemoryStore      Keeper, on a thread of its own
//! ```
//!
//! Everything goes through one sequence of records, and the file says how far it holds what the journal does, so a
//! store that loses its newest records holds a consistent earlier state. *Written* means that the end of the process
//! cannot take it, *synced* that the loss of power cannot.

mod disk;
mod files;
mod history;
mod journal;
mod keeper;
mod memory;
mod reader;
mod sqlite;

pub use files::{Aside, Ask, Lock, OpenError, Opened, Peeked, file_in, open, peek, remember_key, set_aside, upgrade};
pub use history::{History, OVERLAY_BYTES_MAX};
pub use memory::MemoryStore;
pub use reader::{Answer, Counter, Counts, Moment, REACTIONS_MAX, Reader, Selection, Tally};
pub use sqlite::{Error, SCHEMA_VERSION, Sqlite};

use crate::ring::{Cut, Index, Name, ReadReply, ReadRequest, Record, SavedState, Tail};

/// To be called once, when it is done: `true` where it is on the medium, `false` where that has failed.
pub type Done = Box<dyn FnOnce(bool) + Send>;

/// How far the log that people read is known to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMark {
    /// The last entry in it.
    pub tail: Tail,
    /// The bytes of the file up to there.
    pub bytes: u64,
}

/// What people should know of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Nothing more can be written, and why; it is kept in memory.
    Failing {
        /// Why.
        why: String,
        /// It is tried again.
        again: bool,
    },
    /// What was kept in memory meanwhile is written.
    Well,
}

/// A place for one node's history.
pub trait Store {
    /// What this store's content lets fail. Nothing can fail in memory.
    type Error;

    /// What the store holds, for a node's birth.
    ///
    /// # Errors
    /// The content cannot be read.
    fn saved(&self) -> Result<SavedState, Self::Error>;

    /// Takes a record into the group that the next [`commit`](Self::commit) writes.
    ///
    /// # Errors
    /// The store can hold no more.
    fn save(&mut self, record: &Record) -> Result<(), Self::Error>;

    /// Writes the group, whole or not at all, so that the end of the process cannot take it.
    ///
    /// # Errors
    /// It is not written, and cannot be kept otherwise.
    fn commit(&mut self) -> Result<(), Self::Error>;

    /// Puts everything saved so far on the medium.
    ///
    /// # Errors
    /// What is on the medium is not known; the store has failed for good.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// As [`sync`](Self::sync), but does not wait: `done` is called, from any thread, when it is done.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    fn persist(&mut self, done: Done) -> Result<(), Self::Error>;

    /// Reads entries or pending lines; what was saved before is there.
    ///
    /// # Errors
    /// The content cannot be read.
    fn read(&mut self, wanted: &ReadRequest) -> Result<ReadReply, Self::Error>;

    /// Removes all entries after `keep`, puts their lines in front of the pending queue, and syncs.
    ///
    /// # Errors
    /// Nothing was cut; the store holds what it held before.
    fn cut(&mut self, keep: Index) -> Result<Cut, Self::Error>;

    /// The run ends: what can be written is written.
    ///
    /// # Errors
    /// Something goes with the process although it was to be kept.
    fn finish(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Notes how far the log that people read is written. May be forgotten.
    fn logged(&mut self, _: LogMark) {}

    /// Notes the name that the owner has taken, for the next run. May be forgotten.
    fn renamed(&mut self, _: &Name) {}

    /// To be called several times a second: looks after what was written. Gives what people should know.
    ///
    /// # Errors
    /// The store can hold no more.
    fn tend(&mut self) -> Result<Vec<Health>, Self::Error> {
        Ok(Vec::new())
    }
}
