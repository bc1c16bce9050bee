//! The full screen, as text: each picture is compared with a file. `UPDATE=1` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod flood;
mod harness;
mod keys;
mod ring;
