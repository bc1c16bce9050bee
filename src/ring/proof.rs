//! What proves something: keys, signatures, hashes; and what must not be shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::ParseVisitor;
use super::limits::SECRET_BYTES_MAX;

/// The lasting identity of a node's owner: an Ed25519 public key (RFC 8032). Its owner's files hold the other half.
///
/// In JSON it is a string of 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorId(pub [u8; 32]);

impl AuthorId {
    /// An identity that is no key and can prove nothing: for what is never proven.
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

    /// What 64 hexadecimal digits say.
    pub fn parse(digits: &str) -> Option<Self> {
        let mut id = [0; 32];
        parse_hex_into(digits, &mut id).then_some(Self(id))
    }

    /// The first 8 digits: enough to tell people apart, not to know who they are.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        f.write_str(hex_into(&self.0, &mut digits))
    }
}

impl fmt::Debug for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl Serialize for AuthorId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 64];
        serializer.serialize_str(hex_into(&self.0, &mut digits))
    }
}

impl<'de> Deserialize<'de> for AuthorId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("64 hexadecimal digits", Self::parse))
    }
}

/// A SHA-256 hash (FIPS 180-4). In JSON it is a string of 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(#[serde(with = "hex_32")] pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", AuthorId(self.0))
    }
}

/// 32 bytes as hexadecimal digits.
mod hex_32 {
    use super::{AuthorId, Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        AuthorId(*bytes).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        AuthorId::deserialize(deserializer).map(|id| id.0)
    }
}

/// What members alone may know, as text. It is not shown.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Secret(Box<str>);

impl Secret {
    /// At most [`SECRET_BYTES_MAX`] bytes.
    pub fn new(text: &str) -> Option<Self> {
        (text.len() <= SECRET_BYTES_MAX).then(|| Self(text.into()))
    }

    /// The text: to be shown to nobody.
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
        let mut digits = [0; 16];
        write!(f, "{}..", hex_into(&self.0[..8], &mut digits))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 128];
        serializer.serialize_str(hex_into(&self.0, &mut digits))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |s: &str| {
            let mut bytes = [0; 64];
            parse_hex_into(s, &mut bytes).then_some(Self(bytes))
        };
        deserializer.deserialize_str(ParseVisitor("128 hexadecimal digits", parse))
    }
}

/// The digits of `bytes`, in `into`, which has room for two each.
fn hex_into<'a>(bytes: &[u8], into: &'a mut [u8]) -> &'a str {
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    str::from_utf8(into).unwrap_or_default()
}

/// Reads exactly as many bytes as `into` has room for; false: these are not their digits.
fn parse_hex_into(digits: &str, into: &mut [u8]) -> bool {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let digits = digits.as_bytes();
    digits.len() == 2 * into.len()
        && into.iter_mut().zip(digits.chunks_exact(2)).all(|(byte, pair)| match (nibble(pair[0]), nibble(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        })
}
