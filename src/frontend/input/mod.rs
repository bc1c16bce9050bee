//! The keyboard of the line terminal and of the full screen: keys, the text that the user edits, and the lines that the
//! user typed before. Each of the two has its own table of key bindings and its own completion.
//!
//! Keys have two sources: [`decoder`] reads the bytes of a terminal, [`events`] translates crossterm's events.

pub mod buffer;
pub mod decoder;
pub mod events;
pub mod keys;
pub mod recall;
