//! Where the history is kept.
//!
//! The core says what must be kept and asks for what it needs ([`Output::Save`](crate::ring::Output::Save) and its
//! neighbours); a [`Store`] obeys. A store that loses its newest records holds a consistent earlier state, because
//! everything goes through one sequence of records.

mod memory;

pub use memory::MemoryStore;

use crate::ring::{Cut, Found, Index, Record, Saved, Wanted};

/// A place for one node's history.
pub trait Store {
    /// What this store's content lets fail. Nothing can fail in memory.
    type Error;

    /// What the store holds, for a node's birth.
    ///
    /// # Errors
    /// The content cannot be read.
    fn saved(&self) -> Result<Saved, Self::Error>;

    /// Writes a record, so that the end of the process cannot take it.
    ///
    /// # Errors
    /// It is not written; the store holds what it held before.
    fn save(&mut self, record: &Record) -> Result<(), Self::Error>;

    /// Puts everything written so far on the medium.
    ///
    /// # Errors
    /// What is on the medium is not known; the store has failed for good.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// Reads entries or pending lines.
    ///
    /// # Errors
    /// The content cannot be read.
    fn read(&self, wanted: &Wanted) -> Result<Found, Self::Error>;

    /// Removes all entries after `keep`, puts their lines in front of the pending queue, and syncs.
    ///
    /// # Errors
    /// Nothing was cut; the store holds what it held before.
    fn cut(&mut self, keep: Index) -> Result<Cut, Self::Error>;
}
