//! Who said it: what an author signs.

use std::fmt;

use super::id::Signature;

/// Signs for the node's owner. The same message gets the same signature (as Ed25519 does, RFC 8032), so that a node
/// stays a function of what it is told.
pub trait Sign: fmt::Debug + Send + Sync {
    /// The owner's signature of this message.
    fn sign(&self, message: &[u8]) -> Signature;
}
