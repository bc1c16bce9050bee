//! The entries of the log: lines of authors and notes of leaders.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ring::log::channel::Channel;
use crate::ring::log::emoji::Emoji;
use crate::ring::types::id::{Epoch, Index, Lamport, LineId, Name, Tail, Text, Uid, WallMs};
use crate::ring::types::limits::{ACT_OVERHEAD_BYTES, LINE_OVERHEAD_BYTES, SEAL_OVERHEAD_BYTES};
use crate::ring::types::proof::{AuthorId, Digest, Signature};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The epoch in which a leader sequenced it.
    pub epoch: Epoch,
    /// Its position, from 1.
    pub index: Index,
    /// Its timestamp, above every earlier one in the log.
    pub lamport: Lamport,
    /// The leader's wall clock when it sequenced the entry.
    pub wall: WallMs,
    /// A line or a note.
    pub body: Body,
}

impl Entry {
    /// The tail of a log that ends with this entry.
    pub fn tail(&self) -> Tail {
        Tail { epoch: Some(self.epoch), index: self.index }
    }

    /// The weight of this entry in bytes, for limits on memory and windows: its text and a flat rate for the rest.
    pub fn weight(&self) -> usize {
        match &self.body {
            Body::Line(line) => line.weight(),
            Body::Note(_) => Line::OVERHEAD,
        }
    }

    /// The line; `None`: the entry is a note.
    pub fn line(&self) -> Option<&Line> {
        match &self.body {
            Body::Line(line) => Some(line),
            Body::Note(_) => None,
        }
    }
}

/// A line of an author, or a note of a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// A line has an id, counts in a watermark, and survives a cut.
    Line(Arc<Line>),
    /// A note belongs to its leader: it has no id, counts in no watermark, and a cut drops it for good.
    Note(Note),
}

/// An author's line, from the moment when the author submits it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Line {
    /// The line's identity.
    pub id: LineId,
    /// The author's clock when it submitted the line; after a cut the timestamp that the line had.
    #[serde(rename = "t")]
    pub lamport: Lamport,
    /// The author's name at that time.
    #[serde(rename = "by")]
    pub name: Name,
    /// The author's address at that time.
    #[serde(rename = "at")]
    pub uid: Uid,
    /// The text as the author typed it, including the command that names the act.
    #[serde(rename = "say")]
    pub text: Text,
    /// The line's channel; `None`: the lobby.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// What the line does beside being text.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The line ends a run: its author's signature of the run.
    #[serde(rename = "seal", default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<RunSignature>,
}

/// What a line does. If its author may not do that, the line has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Only these authors may moderate. Has an effect only as the first line of a room.
    Moderators(Vec<AuthorId>),
    /// Removes this member; it may join again.
    Kick(Subject),
    /// Removes this author, who may not join again.
    Ban(Subject),
    /// Lets this author join again.
    Unban(Subject),
    /// The room has another key from here on, with this hash.
    Rekey(Digest),
    /// The line tells what its author does.
    Me,
    /// The line answers this line.
    Reply(LineId),
    /// The author sets or withdraws a reaction to another line.
    React {
        /// The other line.
        to: LineId,
        /// The reaction.
        with: Emoji,
        /// The author sets it; `false`: the author withdraws it.
        on: bool,
    },
    /// The author has this name from here on, if it is free.
    Nick(Name),
    /// The text is the topic of its channel from here on; without a text the channel has no topic.
    Topic,
    /// The author is away, for the reason in the text; without a text the author is back.
    Away,
}

impl Act {
    /// Whether every member may do it at any time: the act does not moderate.
    pub const fn is_social(&self) -> bool {
        match self {
            Self::Me | Self::Reply(_) | Self::React { .. } | Self::Nick(_) | Self::Topic | Self::Away => true,
            Self::Moderators(_) | Self::Kick(_) | Self::Ban(_) | Self::Unban(_) | Self::Rekey(_) => false,
        }
    }
}

/// The member that an act concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The member's author.
    pub author: AuthorId,
    /// The name under which the author was known, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

impl Line {
    /// The flat rate in bytes for everything except the text.
    pub const OVERHEAD: usize = LINE_OVERHEAD_BYTES;

    /// The weight of this line in bytes, for limits on memory and windows.
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

    /// The text without the command that names the act. For a reaction this is the reaction itself (empty if the author
    /// withdraws it), for a name the name. It comes from the author, as the text does: sanitise it.
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

/// The text after a first word that begins with a slash; without such a word, the whole text.
fn after_command(text: &str) -> &str {
    if !text.starts_with('/') {
        return text;
    }
    text.split_once(char::is_whitespace).map_or("", |(_, words)| words.trim())
}

/// The text after a first word that is a number, if any text follows it.
fn after_number(words: &str) -> &str {
    match words.split_once(char::is_whitespace) {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest.trim_start(),
        Some(_) | None => words,
    }
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunSignature {
    /// The number of lines of the run: this line and those right before it.
    pub of: u32,
    /// The author's signature of the run.
    pub by: Signature,
}

impl RunSignature {
    /// The flat rate in bytes for a signature, for limits on memory and windows.
    pub const OVERHEAD: usize = SEAL_OVERHEAD_BYTES;
}

/// A leader's note about the room. The view results from applying all notes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Note {
    /// The first entry of an epoch; the entry's epoch names the leader.
    Elected(Member),
    /// This member is here from now on. An earlier member at the same uid has left.
    Joined(Member),
    /// The member at this uid has gone.
    Left {
        /// The member's uid.
        uid: Uid,
        /// The member went without a good-bye.
        lost: bool,
    },
    /// The member at this uid relayed forged lines, and is removed.
    Forged {
        /// The member's uid.
        uid: Uid,
        /// The author in whose name the lines were forged.
        of: Option<Name>,
    },
}

/// One member of the room.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Its address, which is its place in the ring.
    pub uid: Uid,
    /// Its name in the room.
    pub name: Name,
    /// Its owner.
    pub author: AuthorId,
}

/// Consecutive entries of one epoch.
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
