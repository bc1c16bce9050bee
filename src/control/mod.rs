//! The Unix sockets of a running node: other processes of the same user ask over them, and frontends attach to them.
//!
//! An asker writes one word on a line, and the node answers with one line: to `status` with a
//! [`Report`](crate::present::report::Report) in JSON, to `key` with the key as it is kept in files, or `open`.
//!
//! A frontend writes `attach` and a [`Wanted`](crate::feed::follow::Wanted) as JSON. From then on each side writes objects,
//! one a line: the node [`Told`](crate::present::values::Told), the frontend [`Asked`](crate::present::values::Asked).
//! When the frontend ends its side, the node says good-bye and ends the other.
//!
//! `server` and `frontend` are the node's side, `client` and `attach` the other one.

pub mod attach;
pub mod client;
mod frontend;
mod protocol;
pub mod server;
mod socket;
