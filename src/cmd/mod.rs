//! The subcommands, one file or folder each, with the command's arguments, its help, its manual page and its `run`.

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
