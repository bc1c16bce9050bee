//! The transport: from bytes on TCP connections to frames whose signatures are checked.
//!
//! `listener` takes connections in and `dial` opens them; both shake hands (`greeting`, `noise`) where the room
//! has a key. A `link` is one open connection, with a reader and a writer. Everything that a reader, a dialler or the
//! listener has for the driver goes through one bounded queue, the `inbox`, as an `arrival::Arrival`. The transport
//! knows neither the driver nor the store.

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
