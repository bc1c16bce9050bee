//! The full screen: messages to scroll through and search, an input line, and at the side the members, the channels,
//! and the ring in motion.
//!
//! ```text
//! Update ──▶ ┌───────┐ ──▶ view::draw ──▶ terminal
//!   keys ──▶ │ Model │
//!   time ──▶ └───────┘ ──▶ Request
//! ```
//!
//! The model decides and the view draws; neither reads a clock or writes anything. Only [`run`] has a terminal, and
//! restores it at the end.

mod cells;
mod help;
pub mod input;
pub mod layout;
mod message_rows;
pub mod model;
pub mod pacing;
mod paint;
mod terminal;
pub mod view;

pub use model::{Model, TuiSettings};
pub use terminal::{THREAD, TuiEnd, give_back, run};
