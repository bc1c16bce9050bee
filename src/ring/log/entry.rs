//! What stands in the log.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ring::log::channel::Channel;
use crate::ring::log::emoji::Emoji;
use crate::ring::types::id::{Epoch, Index, Lamport, LineId, Name, Tail, Text, Uid, WallMs};
use crate::ring::types::limits::{ACT_OVERHEAD_BYTES, LINE_OVERHEAD_BYTES, SEAL_OVERHEAD_BYTES};
use crate::ring::types::proof::{AuthorId, Digest, Signature};

/// One place in the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The epoch in which it was ordered.
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
    /// The words, as they were typed: with the command that says what the line does.
    #[serde(rename = "say")]
    pub text: Text,
    /// Where it is said; `None`: in the lobby.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What it does, beside being said.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// It ends a run: its author's signature.
    #[serde(rename = "seal", default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<RunSignature>,
}

/// What a line does, or is. Where its author may not do it, it is said and does nothing.
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
    /// It tells what its author does.
    Me,
    /// It answers this line.
    Reply(LineId),
    /// Its author puts something to another line, or takes it back.
    React {
        /// To which line.
        to: LineId,
        /// What.
        with: Emoji,
        /// It is put there; `false`: it is taken back.
        on: bool,
    },
    /// Its author has this name from here on, if it is free.
    Nick(Name),
    /// Its words are the topic of its channel from here on; none: there is no topic any more.
    Topic,
    /// Its author is away, and the words say why; none: it is here again.
    Away,
}

impl Act {
    /// Whether everybody may do it at any time: it moderates nothing.
    pub const fn is_social(&self) -> bool {
        match self {
            Self::Me | Self::Reply(_) | Self::React { .. } | Self::Nick(_) | Self::Topic | Self::Away => true,
            Self::Moderators(_) | Self::Kick(_) | Self::Ban(_) | Self::Unban(_) | Self::Rekey(_) => false,
        }
    }
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
    pub const OVERHEAD: usize = LINE_OVERHEAD_BYTES;

    /// Bytes that this line counts for where memory and windows are bounded.
    pub fn weight(&self) -> usize {
        let act = match &self.act {
            Some(Act::Moderators(authors)) => 2 * size_of::<AuthorId>() * authors.len(),
            Some(
                Act::Kick(_)
                | Act::Ban(_)
                | Act::Unban(_)
                | Act::Rekey(_)
                | Act::Reply(_)
                | Act::React { .. }
                | Act::Nick(_),
            ) => ACT_OVERHEAD_BYTES,
            Some(Act::Me | Act::Topic | Act::Away) | None => 0,
        };
        let channel = self.channel.as_ref().map_or(0, |channel| channel.as_str().len());
        let seal = if self.signature.is_some() { RunSignature::OVERHEAD } else { 0 };
        Self::OVERHEAD + self.text.as_str().len() + act + channel + seal
    }

    /// What is said, without the command that says what the line does. For a reaction what is put to the other line
    /// (nothing where it is taken back), for a name the name. Foreign, as the text is.
    pub fn words(&self) -> &str {
        let text = self.text.as_str();
        match &self.act {
            Some(Act::Me | Act::Topic | Act::Away) => after_command(text),
            Some(Act::Reply(_)) => after_number(after_command(text)),
            Some(Act::React { with, on: true, .. }) => with.as_str(),
            Some(Act::React { on: false, .. }) => "",
            Some(Act::Nick(name)) => name.as_str(),
            Some(Act::Moderators(_) | Act::Kick(_) | Act::Ban(_) | Act::Unban(_) | Act::Rekey(_)) | None => text,
        }
    }
}

/// What follows a first word that begins with a slash; where there is none, all of it.
fn after_command(text: &str) -> &str {
    if !text.starts_with('/') {
        return text;
    }
    text.split_once(char::is_whitespace).map_or("", |(_, words)| words.trim())
}

/// What follows a first word that is a number, if anything does.
fn after_number(words: &str) -> &str {
    match words.split_once(char::is_whitespace) {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest.trim_start(),
        Some(_) | None => words,
    }
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunSignature {
    /// How many lines the run has: this one and those right before it.
    pub of: u32,
    /// The author's signature of the run.
    pub by: Signature,
}

impl RunSignature {
    /// The flat rate in bytes for a seal where memory and windows are bounded.
    pub const OVERHEAD: usize = SEAL_OVERHEAD_BYTES;
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

/// Entries of one epoch in a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// At most [`BATCH_ENTRIES_MAX`](crate::ring::limits::BATCH_ENTRIES_MAX), of one epoch and with rising indexes (in
    /// a backlog: with gaps).
    pub entries: Vec<Arc<Entry>>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::ring::types::id::SessionId;

    fn line(text: &str, act: Option<Act>) -> Line {
        Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(1), n: 1 },
            lamport: Lamport(1),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act,
            signature: None,
        }
    }

    #[test]
    fn the_words_are_what_is_said_without_the_command() {
        let to = LineId { author: AuthorId::of_bits(2), session: SessionId(2), n: 7 };
        let react = |on| Act::React { to, with: Emoji::like(), on };
        for (text, act, words) in [
            ("/me waves", None, "/me waves"),
            ("/me  waves ", Some(Act::Me), "waves"),
            ("waves", Some(Act::Me), "waves"),
            ("/topic Deploy at six", Some(Act::Topic), "Deploy at six"),
            ("/topic", Some(Act::Topic), ""),
            ("/away ", Some(Act::Away), ""),
            ("/reply 12 yes", Some(Act::Reply(to)), "yes"),
            ("/reply yes, 12", Some(Act::Reply(to)), "yes, 12"),
            ("/reply 12", Some(Act::Reply(to)), "12"),
            ("yes", Some(Act::Reply(to)), "yes"),
            ("/like 12", Some(react(true)), "👍"),
            ("/unlike 12", Some(react(false)), ""),
            ("/nick anna", Some(Act::Nick(Name::parse("anna").unwrap())), "anna"),
            ("/moderators 0123", Some(Act::Moderators(Vec::new())), "/moderators 0123"),
        ] {
            assert_eq!(line(text, act).words(), words, "{text}");
        }
    }

    #[test]
    fn a_line_looks_as_before_where_nothing_new_is_in_it() {
        let plain = line("hello", None);
        let json = serde_json::to_string(&plain).unwrap();
        assert!(!json.contains("\"in\"") && !json.contains("\"do\""), "{json}");
        assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), plain);
        let to = plain.id;
        let acts = [
            Act::Me,
            Act::Reply(to),
            Act::React { to, with: Emoji::like(), on: false },
            Act::Nick(plain.name.clone()),
            Act::Topic,
            Act::Away,
        ];
        for act in acts {
            assert!(act.is_social());
            let channel = Channel::parse("ops").unwrap();
            let line = Line { channel, act: Some(act), ..plain.clone() };
            let json = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line);
            assert!(line.weight() + RunSignature::OVERHEAD <= crate::ring::types::limits::OUTBOX_LINE_BYTES_MAX);
        }
        let lobby = serde_json::to_string(&plain).unwrap().replacen("\"say\"", "\"in\":\"lobby\",\"say\"", 1);
        assert!(serde_json::from_str::<Line>(&lobby).is_err(), "the lobby has one form");
    }
}
