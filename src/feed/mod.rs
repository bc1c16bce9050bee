//! One publisher, many subscribers: what a running node tells the log, standard output and every frontend, and what
//! frontends ask of it.
//!
//! ```text
//!   notices ──▶ publisher ──▶ chat log
//!                       └───▶ broadcaster ──▶ screen (bounded queue) ──▶ stdout as text
//!                                     └─────▶ sessions ──▶ values ──▶ terminal, full screen, JSON, sockets
//!   requests of frontends ──▶ sessions ──▶ commands for the node
//! ```
//!
//! Commands go in, notices come out; no frontend speaks to another.

pub mod answers;
pub mod broadcaster;
pub mod catch_up;
pub mod clock;
pub mod commands;
pub mod failover_notice;
pub mod follow;
pub mod leader_watch;
pub mod node_handle;
pub mod own_lines;
pub mod parse;
pub mod publisher;
pub mod reactions;
pub mod receipts;
pub mod screen;
pub mod session;
pub mod stall_notice;
pub mod stdout;
pub mod view;
