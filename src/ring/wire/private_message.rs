//! Messages for one reader, as they travel beside the log: sealed, through the leader, and never written anywhere.
//!
//! The core carries sealed bytes; whoever drives it seals and opens them. What is sealed holds a [`PmProof`] that the
//! reader sends back in a [`PmReceipt`]: so a leader that has passed nothing on cannot say that it has arrived.

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
    /// Which: 64 random bits.
    pub id: PmId,
    /// Whose it is.
    pub from: AuthorId,
    /// For whom.
    pub to: AuthorId,
    /// The words.
    pub ciphertext: Ciphertext,
}

/// What became of a [`PrivateMessage`], on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PmReceipt {
    /// Which.
    pub id: PmId,
    /// Whose it was.
    pub from: AuthorId,
    /// For whom it was.
    pub to: AuthorId,
    /// The answer.
    pub reply: PmReply,
}

/// Whether a [`PrivateMessage`] has found its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PmReply {
    /// The reader has opened it: this was in it.
    Opened(PmProof),
    /// The leader knows no such member.
    UnknownRecipient,
}

/// Sealed bytes: at most [`PM_BYTES_MAX`]. In JSON a string of hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ciphertext(Box<[u8]>);

impl Ciphertext {
    /// `None`: more than [`PM_BYTES_MAX`].
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

/// 128 random bits. In JSON a string of 32 hexadecimal digits.
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

/// A message on its way out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OutgoingPm {
    /// Which.
    pub id: PmId,
    /// For whom.
    pub to: Member,
    /// The words, and the token.
    pub ciphertext: Ciphertext,
    /// What its reader sends back.
    pub token: PmProof,
}

/// What became of an own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PmOutcome {
    /// Its reader has it.
    Delivered,
    /// Its reader is no member any more, says the leader.
    Gone,
    /// There was no leader all the time: nobody has it.
    NoLeader,
    /// Its reader has not answered in time: it may have arrived.
    Unknown,
}

/// Why a message is not even sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PmError {
    /// This name, or author's id, is no member's, or several members'.
    Nobody(String),
    /// It is one's own.
    Oneself,
    /// Too many in too short a time.
    TooMany,
    /// This node is not in a room, or is leaving it.
    NotNow,
    /// Nothing can be sealed for that author: its id is no key.
    NoKey,
}
