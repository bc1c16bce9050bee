//! The values that everything else is made of. They do not know logs, frames or nodes.

pub mod budget;
pub mod hex;
pub mod id;
pub mod limits;
pub mod parse;
pub mod proof;
pub mod rate;
pub mod time;
