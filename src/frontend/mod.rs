//! People and scripts: each frontend turns keys, lines or objects into requests, and what a node tells into what is
//! seen. None of them speaks to another.

pub mod input;
pub mod json;
pub mod kind;
pub mod pipe;
pub mod stdin;
pub mod terminal;
pub mod tui;
