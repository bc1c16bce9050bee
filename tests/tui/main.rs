//! The full screen as text: each test compares pictures with files. `UPDATE=1` writes the files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod flood;
mod harness;
mod keys;
mod ring;
