//! The subcommands, one file or folder each: its arguments, its help, its page of the manual, and its `run`.

pub mod attach;
pub mod bench;
pub mod chat;
pub mod completions;
pub mod config;
pub mod doctor;
pub mod history;
pub mod invite;
pub mod key;
pub mod man;
pub mod page;
mod plain;
pub mod send;
pub mod status;
pub mod tail;
