//! The frames between peers, and their form as bytes.

mod batch;
pub mod codec;
pub mod frame;
pub mod private_message;
