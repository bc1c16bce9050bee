//! The full screen: messages that can be scrolled through and searched, a line that is typed, and beside them who is
//! here, the channels, and the ring as it lives.
//!
//! ```text
//!   Told ──▶ ┌───────┐ ──▶ view::draw ──▶ terminal
//!   keys ──▶ │ Model │
//!   time ──▶ └───────┘ ──▶ Asked
//! ```
//!
//! The model decides and the view draws; neither reads a clock or writes anything. Only [`run`] has a terminal, and
//! puts it back to how it was.

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
