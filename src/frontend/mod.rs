//! Frontends for users and programs. Each turns keys, lines or JSON objects into requests to the node, and shows what
//! the node answers. No frontend uses another.

pub mod input;
pub mod json;
pub mod kind;
pub mod pipe;
pub mod stdin;
pub mod terminal;
pub mod tui;
