//! Entries and events as text for people and as values for programs. Pure: no IO and no clock.

pub mod builder;
pub mod format;
pub mod history_lines;
pub mod paint;
pub mod refusal;
pub mod report;
pub mod values;
