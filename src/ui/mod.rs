//! The frontends of people: what is shown, what is typed.
//!
//! ```text
//!   notices ──▶ herald ──▶ chat log
//!                    └───▶ screen (bounded queue) ──▶ stdout, or above what is being typed
//!   stdin, or the line editor ──▶ commands
//! ```
//!
//! Commands go in, notices come out; no frontend speaks to another.

pub mod ahead;
pub mod commands;
pub mod feed;
pub mod format;
pub mod herald;
pub mod missing;
pub mod paint;
pub mod pipe;
pub mod screen;
pub mod talk;
pub mod terminal;
pub mod waiting;
