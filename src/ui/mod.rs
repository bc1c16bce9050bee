//! The frontends of people: what is shown, what is typed.
//!
//! ```text
//!   notices ──▶ herald ──▶ chat log
//!                    └───▶ hub ──▶ screen (bounded queue) ──▶ stdout as text
//!                           └────▶ sessions ──▶ values ──▶ terminal, full screen, JSON, sockets
//!   stdin as lines ──▶ commands
//!   what is typed, objects ──▶ sessions ──▶ commands
//! ```
//!
//! Commands go in, notices come out; no frontend speaks to another.

pub mod ahead;
pub mod answers;
pub mod away;
pub mod clock;
pub mod commands;
pub mod desk;
pub mod feed;
pub mod follow;
pub mod format;
pub mod herald;
pub mod hub;
pub mod json;
pub mod likes;
pub mod loneliness;
pub mod marks;
pub mod meaning;
pub mod missing;
pub mod outlet;
pub mod own;
pub mod paint;
pub mod pipe;
pub mod receipts;
pub mod screen;
pub mod session;
pub mod shown;
pub mod succession;
pub mod talk;
pub mod terminal;
pub mod tui;
pub mod view;
pub mod waiting;
