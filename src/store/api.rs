//! The boundary: what the node asks of a store, and what people hear of it.

use crate::ring::{Cut, Index, Name, ReadReply, ReadRequest, Record, SavedState, Tail};

/// A callback, called once: `true` when the data is on the medium, `false` when that has failed.
pub type Done = Box<dyn FnOnce(bool) + Send>;

/// How far the chat log is known to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogMark {
    /// The last entry in the chat log.
    pub tail: Tail,
    /// The length of the chat log up to there, in bytes.
    pub bytes: u64,
}

/// The state of a store, as users should know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreHealth {
    /// The store cannot write; new records stay in memory.
    Failing {
        /// The cause, as a text for people.
        why: String,
        /// The store will try again.
        again: bool,
    },
    /// The store works; it has written the records that were in memory.
    Well,
}

/// Keeps one node's history.
pub trait Store {
    /// Errors of this kind of store. A store in memory has none.
    type Error;

    /// The saved state with which a node starts.
    ///
    /// # Errors
    /// The content cannot be read.
    fn saved(&self) -> Result<SavedState, Self::Error>;

    /// Adds a record to the group that the next [`commit`](Self::commit) writes.
    ///
    /// # Errors
    /// The store can hold no more.
    fn save(&mut self, record: &Record) -> Result<(), Self::Error>;

    /// Writes the group, whole or not at all. The end of the process cannot lose it afterwards.
    ///
    /// # Errors
    /// The group is not written, and the store cannot keep it otherwise.
    fn commit(&mut self) -> Result<(), Self::Error>;

    /// Syncs everything saved so far to the medium.
    ///
    /// # Errors
    /// The content of the medium is unknown; the store has failed for good.
    fn sync(&mut self) -> Result<(), Self::Error>;

    /// Like [`sync`](Self::sync), but does not wait: the store calls `done` from any thread when the sync has ended.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    fn persist(&mut self, done: Done) -> Result<(), Self::Error>;

    /// Reads entries or pending lines, including everything saved before.
    ///
    /// # Errors
    /// The content cannot be read.
    fn read(&mut self, wanted: &ReadRequest) -> Result<ReadReply, Self::Error>;

    /// Removes all entries after `keep`, moves their lines to the front of the pending queue, and syncs.
    ///
    /// # Errors
    /// The log is not cut; the store is unchanged.
    fn cut(&mut self, keep: Index) -> Result<Cut, Self::Error>;

    /// Ends the run and writes everything that can be written.
    ///
    /// # Errors
    /// Records are lost with the process that the store should have kept.
    fn finish(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Stores how far the chat log is written. A crash may lose this.
    fn logged(&mut self, _: LogMark) {}

    /// Stores the owner's new name for the next run. A crash may lose this.
    fn renamed(&mut self, _: &Name) {}

    /// Maintains the store; call it several times a second. Returns changes of its state that users should know.
    ///
    /// # Errors
    /// The store can hold no more.
    fn tend(&mut self) -> Result<Vec<StoreHealth>, Self::Error> {
        Ok(Vec::new())
    }
}
