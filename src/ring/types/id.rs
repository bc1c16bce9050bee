//! The identifiers and numbers of the protocol, one type for each kind.
//!
//! A type here is made from foreign text only by parsing. A parsed value is valid.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ring::types::hex;
use crate::ring::types::limits::{NAME_CHARS_MAX, TEXT_BYTES_MAX};
use crate::ring::types::parse::{ParseVisitor, number};
use crate::ring::types::proof::AuthorId;
use crate::ring::types::time::Time;

/// A node's clocks at the moment of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// The monotonic clock. The node measures every deadline on it.
    pub mono: Time,
    /// The wall clock, in milliseconds since the Unix epoch. Stored with an entry for people, never compared.
    pub wall: WallMs,
}

/// Milliseconds since the Unix epoch on some node's wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallMs(#[serde(deserialize_with = "number")] pub u64);

/// A node's place in the ring: its advertised address, compared as numbers (IPv4 before IPv6, then IP, then port).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub SocketAddr);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Uid {
    type Err = std::net::AddrParseError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse().map(Uid)
    }
}

impl Serialize for Uid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Uid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("an IP:PORT", |s| s.parse::<Uid>().ok()))
    }
}

/// 64 random bits. In JSON they are a string of 16 hexadecimal digits, because a browser's numbers end at 2^53.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(hex::write(&self.0.to_be_bytes(), &mut [0; 16]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(ParseVisitor("16 hexadecimal digits", |s| hex::read(s).map(u64::from_be_bytes).map($name)))
            }
        }
    };
}

random_id!(
    /// One run of an author's program: 64 random bits drawn at each process start.
    SessionId
);
random_id!(
    /// A room's identity, generated when the room is created. A node never merges with another room.
    RoomId
);
random_id!(
    /// Distinguishes two epochs of one leader in one round: 64 random bits for each win.
    Nonce
);
random_id!(
    /// Identifies a private message: 64 random bits chosen by its author's node.
    PmId
);

/// One run of an author's program. The lines of a run are numbered together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// The author.
    #[serde(rename = "a")]
    pub author: AuthorId,
    /// The run of the author's program.
    #[serde(rename = "s")]
    pub session: SessionId,
}

/// A line's identity. `n` counts 1, 2, 3 ... within the session, by the session's own counter and never by the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LineId {
    /// The author.
    #[serde(rename = "a")]
    pub author: AuthorId,
    /// The run of the author's program.
    #[serde(rename = "s")]
    pub session: SessionId,
    /// The line's number in that run, from 1.
    #[serde(deserialize_with = "number")]
    pub n: u64,
}

impl LineId {
    /// The session that numbers this line.
    pub const fn key(self) -> SessionKey {
        SessionKey { author: self.author, session: self.session }
    }
}

/// One leader's term. Ordered by round, then leader, then nonce.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// The number of the election round.
    #[serde(rename = "r", deserialize_with = "number")]
    pub round: u64,
    /// The leader.
    #[serde(rename = "l")]
    pub leader: Uid,
    /// Distinguishes the leader's wins.
    #[serde(rename = "o")]
    pub nonce: Nonce,
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.round, self.leader)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.round, self.leader)
    }
}

/// A position in the log, from 1. Zero is before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(#[serde(deserialize_with = "number")] pub u64);

impl Index {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A Lamport timestamp (Lamport 1978). It strictly rises along a log and is the same at every member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lamport(#[serde(deserialize_with = "number")] pub u64);

/// The end of a log: the epoch and index of its last entry. `epoch` is `None` for an empty log.
///
/// Ordered by epoch, then index: the best tail is the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tail {
    /// The last entry's epoch.
    #[serde(rename = "e")]
    pub epoch: Option<Epoch>,
    /// The last entry's index.
    #[serde(rename = "i")]
    pub index: Index,
}

/// A connection, as the core and its driver name it. No number is used twice in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(u64);

impl ConnId {
    /// The id of the `n`-th connection that a peer opened to this node (the driver counts).
    pub const fn accepted(n: u64) -> Self {
        Self(n << 2)
    }

    /// The id of the `n`-th connection that the core dials (the core counts).
    pub const fn dialled(n: u64) -> Self {
        Self(n << 2 | 1)
    }

    /// The id of the `n`-th connection that another member relays (the core counts; the driver never sees it).
    pub(crate) const fn relayed(n: u64) -> Self {
        Self(n << 2 | 2)
    }

    /// Whether no other member relays the connection.
    pub(crate) const fn is_direct(self) -> bool {
        self.0 & 2 == 0
    }
}

/// A sync that the core has requested from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncId(pub u64);

/// A read that the core has requested from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u64);

/// One stream of entries from a leader to a follower, tied to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(#[serde(deserialize_with = "number")] pub u64);

/// A user's name in the room: 1 to 32 letters, digits, `_`, `-`, `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(std::sync::Arc<str>);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more than [`NAME_CHARS_MAX`] characters.
    TooLong,
    /// It holds this character.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a name has at least one character"),
            Self::TooLong => write!(f, "a name has at most {NAME_CHARS_MAX} characters"),
            Self::Character(c) => {
                write!(f, "a name is made of letters, digits, '_', '-' and '.', not {:?}", c)
            }
        }
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// [`NameError`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(NameError::TooLong);
        }
        match text.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))) {
            Some(c) => Err(NameError::Character(c)),
            None => Ok(Self(text.into())),
        }
    }

    /// The stand-in for an unknown name.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared: case does not matter.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }

    /// The `k`-th alternative to this name: `ann-2`, `ann-3` ... Shortened if it would be too long.
    #[must_use]
    pub fn numbered(&self, k: u32) -> Self {
        let suffix = format!("-{k}");
        let keep = NAME_CHARS_MAX - suffix.len();
        let stem: String = self.0.chars().take(keep).collect();
        Self(format!("{stem}{suffix}").into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("a name", |s| Name::parse(s).ok()))
    }
}

/// The text of a line: 1 to [`TEXT_BYTES_MAX`] bytes of UTF-8, not blank, without a newline.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text(Box<str>);

/// Why an input is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextError {
    /// It is empty or white space only.
    Blank,
    /// It has more than [`TEXT_BYTES_MAX`] bytes.
    TooLong {
        /// How many bytes it has.
        bytes: usize,
    },
    /// It holds a line feed.
    Newline,
}

impl Text {
    /// Parses a line's text.
    ///
    /// # Errors
    /// [`TextError`] names the broken rule.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.len() > TEXT_BYTES_MAX {
            Err(TextError::TooLong { bytes: text.len() })
        } else if text.trim().is_empty() {
            Err(TextError::Blank)
        } else if text.bytes().any(|b| b == b'\n') {
            Err(TextError::Newline)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The text as a string. It may come from a stranger: sanitise it before it reaches a terminal or a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ParseVisitor("a line of text", |s| Text::parse(s).ok()))
    }
}
