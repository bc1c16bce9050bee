//! What a frontend is told, and what it asks for: values within the program, one JSON object a line elsewhere.
//!
//! Every frontend that shows more than plain lines takes [`Update`] and gives [`Request`]: the terminal, the full
//! screen, `--json`, and whoever is attached to a node over its socket. The keys are stable; `docs/json.rst` describes
//! them.

use serde::{Deserialize, Serialize};

use super::report::RoleWord;
use crate::ring::{self, Act, AuthorId, Emoji, Name, RoomId, SessionId, Status, Uid};

/// The version of the objects, in each of them as `v`. A change that breaks readers raises it; new keys and new types
/// of objects do not.
pub const VERSION: u32 = 1;

/// An object as it stands on a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// [`VERSION`].
    pub v: u32,
    /// The object.
    #[serde(flatten)]
    pub object: T,
}

/// What a frontend is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Update {
    /// The first object: who speaks.
    Hello(FeedHello),
    /// A line of the log.
    Line(Box<FeedLine>),
    /// A message for its reader alone; it stands in no log.
    Private(FeedPm),
    /// How a line is liked now.
    Reactions(FeedReactions),
    /// Something has happened in the room.
    Event(FeedEvent),
    /// How the node and its room are doing.
    State(Box<FeedState>),
    /// An answer to what was asked, or a word about it. For people.
    Note {
        /// The words: one line.
        text: String,
    },
    /// What was said with an [`Request::Say`] has come this far.
    Sent(SendResult),
    /// A longer answer: lines that belong together. For people.
    Listing {
        /// What they are.
        heading: String,
        /// They.
        lines: Vec<String>,
    },
    /// Who the node is now, and where in the room this frontend speaks.
    Here(FeedPosition),
    /// The screen is to be emptied.
    Clear,
    /// Own lines that are not in the log: told when that is worth a word, and when it is over (zero).
    Waiting {
        /// How many.
        lines: u64,
    },
    /// What follows was said while this frontend, or its node, was away, up to [`Update::CaughtUp`].
    Missed {
        /// How many lines; not always known.
        lines: Option<u64>,
    },
    /// What comes from here on is new.
    CaughtUp,
    /// Lines that this frontend has not taken in time were left out; they are in the log.
    LeftOut {
        /// How many.
        lines: u64,
    },
    /// The last object: the node has left its room.
    Bye {
        /// Why, for people.
        text: String,
    },
}

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedHello {
    /// The program's version.
    pub program: String,
    /// The node's name.
    pub name: Name,
    /// The address that it advertises.
    pub address: Uid,
    /// Its room; `null` before it is in one.
    pub room: Option<RoomId>,
    /// The file with the log that people read; `null`: none is kept.
    pub log: Option<String>,
}

/// Who the node is now, and where in the room this frontend speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPosition {
    /// The node's name.
    pub name: Name,
    /// The address that it advertises.
    pub address: Uid,
    /// The channel, without `#`.
    pub channel: String,
    /// Lines in other channels that this frontend has joined and not shown.
    pub unread: u64,
}

/// A line of the log. The keys of `dist-chat history --json`, and some more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedLine {
    /// Its place in the log.
    pub index: u64,
    /// Its Lamport timestamp.
    pub ts: u64,
    /// When it was ordered: RFC 3339, by the clock of whoever ordered it.
    pub time: String,
    /// Its author's name then.
    pub name: Name,
    /// Its author's address then.
    pub address: Uid,
    /// Its author.
    pub author: AuthorId,
    /// Its author's run of the program, ..
    pub session: SessionId,
    /// .. and its number in that.
    pub n: u64,
    /// The channel, without `#`.
    pub channel: String,
    /// What it is.
    pub kind: LineKind,
    /// The words: for anything but [`LineKind::Say`] without the command before them.
    pub text: String,
    /// All that was typed, as the log that people read has it; `None`: `text` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<String>,
    /// For [`LineKind::Reply`] and [`LineKind::React`]: the timestamp of the line that is meant, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// The node's own.
    pub own: bool,
    /// It was said before this frontend was here.
    pub past: bool,
    /// How it is liked, where that is known and not nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionCount>,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Somebody says something.
    Say,
    /// Somebody tells what it does (`/me`).
    Me,
    /// An answer to another line.
    Reply,
    /// Somebody likes another line, or no more (`text` is then empty).
    React,
    /// Somebody has another name from here on.
    Nick,
    /// The channel's topic.
    Topic,
    /// Somebody is away (`text`), or here again (empty).
    Away,
    /// `/kick`, `/ban`, `/unban`, `/rekey`, and who may do that.
    Moderate,
}

impl LineKind {
    /// What a line with this act is.
    pub const fn of(act: Option<&Act>) -> Self {
        match act {
            None => Self::Say,
            Some(Act::Me) => Self::Me,
            Some(Act::Reply(_)) => Self::Reply,
            Some(Act::React { .. }) => Self::React,
            Some(Act::Nick(_)) => Self::Nick,
            Some(Act::Topic) => Self::Topic,
            Some(Act::Away) => Self::Away,
            Some(Act::Moderators(_) | Act::Kick(_) | Act::Ban(_) | Act::Unban(_) | Act::Rekey(_)) => Self::Moderate,
        }
    }
}

impl ReactionCount {
    /// A line's counts as they are told.
    pub fn all(of: &[(Emoji, u64)]) -> Vec<Self> {
        of.iter().map(|(with, count)| Self { with: with.as_str().to_owned(), count: *count }).collect()
    }
}

/// A message for its reader alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPm {
    /// Who says it.
    pub from: Name,
    /// To whom.
    pub to: Name,
    /// The words.
    pub text: String,
    /// The node's own.
    pub own: bool,
}

/// How a line is liked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedReactions {
    /// The line's timestamp.
    pub ts: u64,
    /// Whose line it is.
    pub name: Name,
    /// How it begins.
    pub text: String,
    /// Every reaction, the most frequent first.
    pub reactions: Vec<ReactionCount>,
}

/// How many authors have put this to a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionCount {
    /// The emoji.
    pub with: String,
    /// How many.
    pub count: u64,
}

/// Something has happened in the room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedEvent {
    /// The node's clock then.
    pub ts: u64,
    /// What: one word.
    pub kind: EventKind,
    /// The same for people: one line.
    pub text: String,
    /// Worth a person's look; `false`: for the log, and for who wants to know everything.
    pub notable: bool,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Its address; for a token, the candidate's; for a leader, the leader's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Uid>,
    /// For a token: to whom it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Uid>,
    /// For elections and leaders: which round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u64>,
}

/// What has happened, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the same words as those of `ring::Event`")]
pub enum EventKind {
    Entered,
    Joined,
    Left,
    Lost,
    Leader,
    LeaderLost,
    Asking,
    ElectionStarted,
    TokenPassed,
    Next,
    Repaired,
    Succeeded,
    CutOff,
    Renamed,
    Moderated,
    Forged,
    Disk,
    #[default]
    Other,
}

/// How the node and its room are doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedState {
    /// The room; `null` while there is none.
    pub room: Option<RoomId>,
    /// The node's name.
    pub name: Name,
    /// The address that it advertises.
    pub address: Uid,
    /// `leader`, `follower`, `electing` or `joining`.
    pub role: RoleWord,
    /// Who leads.
    pub leader: Option<Uid>,
    /// Its epoch's round.
    pub round: Option<u64>,
    /// The next in the ring.
    pub next: Option<Uid>,
    /// The previous in the ring.
    pub prev: Option<Uid>,
    /// Who is here, in ring order.
    pub members: Vec<FeedMember>,
    /// The channels that are known, `lobby` first.
    pub channels: Vec<FeedChannel>,
    /// The last entry of the log.
    pub last: u64,
    /// The node's Lamport clock.
    pub lamport: u64,
    /// Own lines that are not in the log.
    pub waiting: u64,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedMember {
    /// Its address.
    pub address: Uid,
    /// Its name.
    pub name: Name,
    /// Who it is.
    pub author: AuthorId,
    /// Why it is away; `null`: it is not.
    pub away: Option<String>,
    /// The link to it: `null` where there is none, and none is needed.
    pub link: Option<FeedLink>,
    /// From a question to its answer, in microseconds: measured by the leader, or on a link of this node.
    pub rtt_us: Option<u64>,
    /// Entries of the log that it is not known to hold: known to the leader.
    pub behind: Option<u64>,
}

/// A link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedLink {
    /// It is up.
    pub up: bool,
    /// Milliseconds since anything came over it.
    pub silent_ms: u64,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedChannel {
    /// Its name, without `#`.
    pub name: String,
    /// Its topic, if it has one.
    pub topic: Option<String>,
    /// Lines said there.
    pub lines: u64,
}

/// How far something that was said has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendResult {
    /// The `id` of what was asked.
    pub id: String,
    /// It stands in the log, another member holds it (alone: this node does), and it is on the disk. `false`: it was
    /// not taken, and `why`.
    pub ordered: bool,
    /// Its timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<u64>,
    /// Why it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a frontend asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// Say this: never a command, whatever it begins with.
    Say {
        /// The words.
        text: String,
        /// Where; the frontend's own channel unless said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// With it an answer is wanted: [`Update::Sent`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// What a person has typed: a line, or a command.
    Type {
        /// The line.
        line: String,
    },
    /// Answer with [`Update::Sent`] once all that was said before is with the node (not ordered, and no `why`), and
    /// again once all of it is ordered.
    Flush {
        /// Comes back with the answers.
        id: String,
    },
    /// Answer with [`Update::State`].
    State,
    /// Leave the room, and end the node. Over a socket: end this frontend alone.
    Leave,
}

impl<T> Versioned<T> {
    /// This version's.
    pub const fn of(object: T) -> Self {
        Self { v: VERSION, object }
    }
}

impl From<&Status> for FeedState {
    fn from(status: &Status) -> Self {
        let member = |member: &ring::Member| FeedMember {
            address: member.uid,
            name: member.name.clone(),
            author: member.author,
            away: status
                .away
                .iter()
                .find(|(author, _)| *author == member.author)
                .map(|(_, why)| why.as_str().to_owned()),
            link: None,
            rtt_us: None,
            behind: None,
        };
        let mut state = Self {
            room: status.room,
            name: status.name.clone(),
            address: status.uid,
            role: status.role.into(),
            leader: status.epoch.map(|epoch| epoch.leader),
            round: status.epoch.map(|epoch| epoch.round),
            next: status.next,
            prev: status.prev,
            members: status.members.iter().map(member).collect(),
            channels: status.channels.iter().map(FeedChannel::from).collect(),
            last: status.tail.index.0,
            lamport: status.lamport.0,
            waiting: status.waiting,
        };
        state.learn(&status.health);
        state
    }
}

impl FeedState {
    /// Takes how members are doing.
    pub fn learn(&mut self, health: &[ring::Health]) {
        for known in health {
            let Some(member) = self.members.iter_mut().find(|member| member.address == known.uid) else { continue };
            member.link = known.link.map(|link| FeedLink { up: link.up, silent_ms: link.silent.0 / 1000 });
            member.rtt_us = known.rtt.map(|rtt| rtt.0);
            member.behind = known.behind;
        }
    }
}

impl From<&(Option<ring::Channel>, u64, Option<ring::Text>)> for FeedChannel {
    fn from((channel, lines, topic): &(Option<ring::Channel>, u64, Option<ring::Text>)) -> Self {
        Self {
            name: ring::Channel::name_of(channel.as_ref()).to_owned(),
            topic: topic.as_ref().map(|topic| topic.as_str().to_owned()),
            lines: *lines,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn objects_have_a_type_and_a_version() {
        let note = Versioned::of(Update::Note { text: "hello".to_owned() });
        assert_eq!(serde_json::to_string(&note).unwrap(), r#"{"v":1,"type":"note","text":"hello"}"#);
        assert_eq!(serde_json::to_string(&Versioned::of(Update::CaughtUp)).unwrap(), r#"{"v":1,"type":"caught_up"}"#);
        let asked: Versioned<Request> = serde_json::from_str(r#"{"v":1,"type":"say","text":"hi"}"#).unwrap();
        assert_eq!(asked.object, Request::Say { text: "hi".to_owned(), channel: None, id: None });
    }

    #[test]
    fn a_line_has_the_keys_of_the_history() {
        let line = FeedLine {
            index: 9,
            ts: 12,
            time: "2026-11-20T15:04:05.678+01:00".to_owned(),
            name: Name::parse("ann").unwrap(),
            address: "10.0.0.5:2428".parse().unwrap(),
            author: AuthorId::of_bits(1),
            session: SessionId(2),
            n: 3,
            channel: "lobby".to_owned(),
            kind: LineKind::Say,
            text: "hello".to_owned(),
            typed: None,
            to: None,
            own: false,
            past: false,
            reactions: Vec::new(),
        };
        let expected = concat!(
            r#"{"v":1,"type":"line","index":9,"ts":12,"time":"2026-11-20T15:04:05.678+01:00","#,
            r#""name":"ann","address":"10.0.0.5:2428","#,
            r#""author":"0000000000000001000000000000000000000000000000000000000000000000","#,
            r#""session":"0000000000000002","n":3,"channel":"lobby","kind":"say","text":"hello","own":false,"past":false}"#
        );
        let told = Versioned::of(Update::Line(Box::new(line)));
        assert_eq!(serde_json::to_string(&told).unwrap(), expected);
        assert_eq!(serde_json::from_str::<Versioned<Update>>(expected).unwrap(), told);
    }
}
