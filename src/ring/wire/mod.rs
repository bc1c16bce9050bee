//! What peers send each other, and how it looks as bytes.

mod batch;
pub mod codec;
pub mod frame;
pub mod private_message;
