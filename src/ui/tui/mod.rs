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
pub mod input;
pub mod keys;
pub mod layout;
pub mod model;
mod page;
mod paint;
mod shell;
pub mod stage;
pub mod view;

pub use model::{Model, Settings};
pub use shell::{End, THREAD, give_back, run};
