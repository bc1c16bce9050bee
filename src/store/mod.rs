//! The store: keeps a node's history.
//!
//! The core says what to keep and what it needs ([`Output::Save`](crate::ring::Output::Save) and its neighbours); a
//! [`Store`] executes that.
//!
//! ```text
//!   records ──▶ History ──▶ Disk ──small groups──▶ Journal ──▶ chat_<port>.journal
//!                  │          └──many at a time───▶ Sqlite ───▶ chat_<port>.db (write-ahead log)
//!                  │                                              ▲ sync, checkpoint, index
//!                  └──while the disk fails──▶ MemoryStore      Maintenance, on a thread of its own
//! ```
//!
//! All records form one sequence, and the file stores how far it holds the journal's records. So a store that loses its
//! newest records holds a consistent earlier state. *Written* means: the end of the process cannot lose it. *Synced*
//! means: a loss of power cannot lose it.

mod api;
mod disk;
mod error;
mod files;
mod history;
mod journal;
mod lock;
mod maintenance;
mod memory;
mod reader;
mod sqlite;

pub use api::{Done, LogMark, Store, StoreHealth};
pub use error::Error;
pub use files::{OpenRequest, Opened, Peeked, Quarantined, file_in, open, peek, remember_key, set_aside, upgrade};
pub use history::{History, OVERLAY_BYTES_MAX};
pub use lock::{Lock, OpenError};
pub use memory::MemoryStore;
pub use reader::{
    Moment, REACTIONS_MAX, ReactionCounts, ReactionReader, ReactionSnapshot, ReadOutcome, Reader, Selection,
};
pub use sqlite::{SCHEMA_VERSION, Sqlite};
