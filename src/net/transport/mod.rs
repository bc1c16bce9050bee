//! The transport: turns bytes on TCP connections into frames with verified signatures.
//!
//! `listener` accepts connections and `dial` opens them. If the room has a key, both run a handshake (`greeting`,
//! `noise`). A `link` is one open connection, with a reader and a writer. Readers, diallers and the listener send
//! everything for the driver through one bounded queue, the `inbox`, as an `arrival::Arrival`. The transport knows
//! neither the driver nor the store.

pub(super) mod arrival;
pub(super) mod dial;
pub(super) mod frames;
pub mod greeting;
pub(super) mod inbox;
pub(super) mod keyring;
pub mod limits;
pub(super) mod link;
pub(super) mod listener;
pub(super) mod meter;
pub mod noise;
pub(super) mod pending_peers;
pub(super) mod preamble;
pub(super) mod task;
pub(super) mod verify;
