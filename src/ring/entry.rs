//! What stands in the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{Epoch, Index, Lamport, LineId, Name, Tail, Text, Uid, WallMs};
use super::limits::NAME_CHARS_MAX;
use super::proof::{AuthorId, Digest};
use super::seal::Seal;

/// One place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The reign in which it was ordered.
    pub epoch: Epoch,
    /// Its position, from 1.
    pub index: Index,
    /// Its timestamp, above every earlier one in the log.
    pub lamport: Lamport,
    /// The leader's wall clock when it ordered it.
    pub wall: WallMs,
    /// What it says.
    pub body: Body,
}

impl Entry {
    /// The tail of a log that ends with this entry.
    pub fn tail(&self) -> Tail {
        Tail { epoch: Some(self.epoch), index: self.index }
    }

    /// Bytes that this entry counts for where memory and windows are bounded: its text and a flat rate for the rest.
    pub fn weight(&self) -> usize {
        match &self.body {
            Body::Line(line) => line.weight(),
            Body::Note(_) => Line::OVERHEAD,
        }
    }

    /// The line, if it is one.
    pub fn line(&self) -> Option<&Line> {
        match &self.body {
            Body::Line(line) => Some(line),
            Body::Note(_) => None,
        }
    }
}

/// A line of a person or a note of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// What somebody said: has an id, is counted in a watermark, survives a cut.
    Line(Arc<Line>),
    /// The leader's own: no id, counted nowhere, dropped for good when it is cut.
    Note(Note),
}

/// What somebody said, from the moment it is typed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Line {
    /// Which line.
    pub id: LineId,
    /// The author's clock when it was typed; after a cut the timestamp it had.
    #[serde(rename = "t")]
    pub lamport: Lamport,
    /// The author's name then.
    #[serde(rename = "by")]
    pub name: Name,
    /// The author's address then.
    #[serde(rename = "at")]
    pub uid: Uid,
    /// The words.
    #[serde(rename = "say")]
    pub text: Text,
    /// What it does, beside being said.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// It ends a run: its author's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// What a line does to the room. Where its author may not do it, it is said and does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Only these may moderate. Counts as the first line of a room alone.
    Moderators(Vec<AuthorId>),
    /// This member is out; it may come again.
    Kick(Subject),
    /// This author is out, and may not come again.
    Ban(Subject),
    /// This author may come again.
    Unban(Subject),
    /// The room's key is another from here on: this is its hash.
    Rekey(Digest),
}

/// Whom an act is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// Who.
    pub author: AuthorId,
    /// Under which name it was known; for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

impl Line {
    /// The flat rate in bytes for everything but the text.
    pub const OVERHEAD: usize = 160;

    /// Bytes that this line counts for where memory and windows are bounded.
    pub fn weight(&self) -> usize {
        let act = match &self.act {
            Some(Act::Moderators(authors)) => 2 * size_of::<AuthorId>() * authors.len(),
            Some(Act::Kick(_) | Act::Ban(_) | Act::Unban(_) | Act::Rekey(_)) => {
                2 * size_of::<AuthorId>() + 4 * NAME_CHARS_MAX
            }
            None => 0,
        };
        let seal = if self.seal.is_some() { Seal::OVERHEAD } else { 0 };
        Self::OVERHEAD + self.text.as_str().len() + act + seal
    }
}

/// What a leader notes of the room. The view is the fold of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Note {
    /// The first entry of an epoch; the entry's epoch names the leader.
    Elected(Member),
    /// This member is here from now on; whoever was there at the same uid has left.
    Joined(Member),
    /// The member at this uid is gone.
    Left {
        /// Who.
        uid: Uid,
        /// It did not say good-bye.
        lost: bool,
    },
    /// The member at this uid has handed on lines that nobody has said, and is out.
    Forged {
        /// Who.
        uid: Uid,
        /// In whose name.
        of: Option<Name>,
    },
}

/// One member of the room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its place in the ring, and its address.
    pub uid: Uid,
    /// Its name.
    pub name: Name,
    /// Who it is.
    pub author: AuthorId,
}
