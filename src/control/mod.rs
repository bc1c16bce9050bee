//! The Unix sockets of a running node. Other processes of the same user query the node over them, and frontends attach
//! to it.
//!
//! A client writes one word on a line, and the node answers with one line. To `status` it answers with a
//! [`Report`](crate::present::report::Report) in JSON. To `key` it answers with the key in the form of key files, or
//! `open`.
//!
//! A frontend writes `attach` and a [`Wanted`](crate::feed::follow::Wanted) as JSON. From then on each side writes
//! objects, one a line: the node writes [`Told`](crate::present::values::Told), the frontend writes
//! [`Asked`](crate::present::values::Asked). When the frontend closes its side, the node says goodbye and closes the
//! other.
//!
//! `server` and `frontend` are the node's side, `client` and `attach` are the other side.

pub mod attach;
pub mod client;
mod frontend;
mod protocol;
pub mod server;
mod socket;
