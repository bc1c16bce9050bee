//! Private messages, as they travel beside the log: encrypted, through the leader, and never stored.
//!
//! The core carries ciphertext; its driver encrypts and decrypts. The ciphertext holds a [`PmProof`] that the reader
//! returns in a [`PmReceipt`]. So a leader that has not passed a message on cannot claim that it has arrived.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ring::log::entry::Member;
use crate::ring::types::hex;
use crate::ring::types::id::PmId;
use crate::ring::types::limits::PM_BYTES_MAX;
use crate::ring::types::parse::ParseVisitor;
use crate::ring::types::proof::AuthorId;

/// A message that only `to` can read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PrivateMessage {
    /// The id of the message: 64 random bits.
    pub id: PmId,
    /// The author.
    pub from: AuthorId,
    /// The reader.
    pub to: AuthorId,
    /// The encrypted text.
    pub ciphertext: Ciphertext,
}

/// The outcome of a [`PrivateMessage`], on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PmReceipt {
    /// The id of the message.
    pub id: PmId,
    /// The author of the message.
    pub from: AuthorId,
    /// The reader of the message.
    pub to: AuthorId,
    /// The outcome.
    pub reply: PmReply,
}

/// Whether a [`PrivateMessage`] has reached its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PmReply {
    /// The reader has decrypted it, and returns the proof inside.
    Opened(PmProof),
    /// The leader knows no such member.
    UnknownRecipient,
}

/// Encrypted bytes: at most [`PM_BYTES_MAX`]. In JSON a string of hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ciphertext(Box<[u8]>);

impl Ciphertext {
    /// Takes at most [`PM_BYTES_MAX`] bytes; `None`: there are more.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= PM_BYTES_MAX).then(|| Self(bytes.into()))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Ciphertext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sealed bytes", self.0.len())
    }
}

impl Serialize for Ciphertext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::text(&self.0))
    }
}

impl<'de> Deserialize<'de> for Ciphertext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |digits: &str| hex::read_at_most(digits, PM_BYTES_MAX).and_then(Self::new);
        deserializer.deserialize_str(ParseVisitor("hexadecimal digits of not too many bytes", read))
    }
}

/// 128 random bits that only the author and the reader know. In JSON a string of 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PmProof(pub [u8; 16]);

impl fmt::Debug for PmProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PmProof(..)")
    }
}

impl Serialize for PmProof {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(hex::write(&self.0, &mut [0; 32]))
    }
}

impl<'de> Deserialize<'de> for PmProof {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("32 hexadecimal digits", |s| hex::read(s).map(Self)))
    }
}

/// A private message that this node sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutgoingPm {
    /// The id of the message.
    pub id: PmId,
    /// The reader.
    pub to: Member,
    /// The encrypted text and proof.
    pub ciphertext: Ciphertext,
    /// The proof that the reader will return.
    pub token: PmProof,
}

/// The outcome of a private message that this node sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PmOutcome {
    /// The reader has it.
    Delivered,
    /// The leader says that the reader is no member any more.
    Gone,
    /// There was no leader all the time: the reader does not have it.
    NoLeader,
    /// The reader has not answered in time: it may have arrived.
    Unknown,
}

/// Why a private message is not sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PmError {
    /// No member has this name or author id, or several have.
    Nobody(String),
    /// The reader would be the author.
    Oneself,
    /// The author has sent too many in a short time.
    TooMany,
    /// This node is not in a room, or is leaving it.
    NotNow,
    /// The reader's author id is no key, so nothing can be encrypted for it.
    NoKey,
}
