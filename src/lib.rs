//! dist-chat: group chat with no server.
//!
//! Every person runs the same program. The programs form a ring over TCP, elect a leader (Chang and Roberts 1979),
//! send every line through it and keep one ordered history with Lamport timestamps (Lamport 1978). Any of them may die.
//!
//! [`ring`] is the protocol: a state machine without IO. Everything else is an adapter around it.

#[cfg(feature = "program")]
pub(crate) mod app;
#[cfg(feature = "program")]
pub(crate) mod chatlog;
#[cfg(feature = "program")]
pub(crate) mod cli;
#[cfg(feature = "program")]
pub(crate) mod cmd;
#[cfg(feature = "program")]
pub(crate) mod control;
#[cfg(feature = "program")]
pub(crate) mod failure;
#[cfg(feature = "program")]
pub mod feed;
#[cfg(feature = "program")]
pub mod frontend;
#[cfg(feature = "program")]
pub(crate) mod history;
#[cfg(feature = "program")]
pub mod identity;
#[cfg(feature = "program")]
pub mod key;
#[cfg(feature = "program")]
pub mod net;
#[cfg(feature = "program")]
pub mod present;
pub mod ring;
#[cfg(feature = "program")]
pub mod settings;
#[cfg(feature = "program")]
pub mod store;
#[cfg(feature = "program")]
pub mod text;

/// Runs the program with these arguments, its own name first, and gives its exit code.
#[cfg(feature = "program")]
pub fn run(args: impl IntoIterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    cli::run(args)
}
