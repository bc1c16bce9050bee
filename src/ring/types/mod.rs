//! The values that everything else is made of. They know nothing of a log, a frame or a node.

pub mod budget;
pub mod hex;
pub mod id;
pub mod limits;
pub mod parse;
pub mod proof;
pub mod rate;
pub mod time;
