//! Keys, signatures and hashes, and secrets that must not be printed.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ring::types::hex;
use crate::ring::types::limits::SECRET_BYTES_MAX;
use crate::ring::types::parse::ParseVisitor;

/// The lasting identity of a node's owner: an Ed25519 public key (RFC 8032). The owner's files hold the secret key.
///
/// In JSON it is a string of 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorId(pub [u8; 32]);

impl AuthorId {
    /// An identity without a secret key, for tests and stand-ins that never prove anything.
    pub const fn of_bits(bits: u64) -> Self {
        let mut id = [0; 32];
        let bits = bits.to_be_bytes();
        let mut at = 0;
        while at < bits.len() {
            id[at] = bits[at];
            at += 1;
        }
        Self(id)
    }

    /// Parses 64 hexadecimal digits.
    pub fn parse(digits: &str) -> Option<Self> {
        hex::read(digits).map(Self)
    }

    /// The first 8 digits: enough to distinguish people, not enough to identify them.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex::write(&self.0, &mut [0; 64]))
    }
}

impl fmt::Debug for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// A SHA-256 hash (FIPS 180-4). In JSON it is a string of 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", AuthorId(self.0))
    }
}

/// A secret of the room's members, as text. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// Takes at most [`SECRET_BYTES_MAX`] bytes.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= SECRET_BYTES_MAX).then(|| Self(text.into()))
    }

    /// The text. Never print it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("a key", Self::new))
    }
}

/// An Ed25519 signature (RFC 8032). In JSON it is a string of 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", hex::write(&self.0[..8], &mut [0; 16]))
    }
}

/// Bytes that are a string of hexadecimal digits in JSON.
macro_rules! in_digits {
    ($name:ident, $digits:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(hex::write(&self.0, &mut [0; $digits]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let expected = concat!(stringify!($digits), " hexadecimal digits");
                deserializer.deserialize_str(ParseVisitor(expected, |s| hex::read(s).map(Self)))
            }
        }
    };
}

in_digits!(AuthorId, 64);
in_digits!(Digest, 64);
in_digits!(Signature, 128);
