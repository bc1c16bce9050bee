//! Drafts and commands of the user, and events for the user.

use std::sync::Arc;

use crate::ring::log::channel::Channel;
use crate::ring::log::entry::{Act, Entry, Member};
use crate::ring::types::id::{ConnId, Epoch, Index, Name, PmId, RoomId, Text, Uid};
use crate::ring::types::proof::Digest;
use crate::ring::types::time::Span;
use crate::ring::wire::private_message::PmOutcome;

/// A line before the node gives it a number and a timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The text as the user typed it.
    pub text: Text,
    /// The channel; `None`: the lobby.
    pub channel: Option<Channel>,
    /// What the line does beside being text. No moderation ([`Act::is_social`]); for that see [`ModerationCommand`].
    pub act: Option<Act>,
}

impl Draft {
    /// Whether the draft may be submitted: it does not moderate.
    pub fn is_valid(&self) -> bool {
        self.act.as_ref().is_none_or(Act::is_social)
    }
}

/// A plain line in the lobby.
impl From<Text> for Draft {
    fn from(text: Text) -> Self {
        Self { text, channel: None, act: None }
    }
}

/// A moderation command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModerationCommand {
    /// What to do.
    pub verb: ModerationVerb,
    /// The target: a name, or an author id or enough of its first digits.
    pub whom: String,
    /// The line that announces the command in the log.
    pub text: Text,
}

/// What a moderator can do to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModerationVerb {
    /// Remove it; it may come back.
    Kick,
    /// Remove it for good.
    Ban,
    /// Admit it again.
    Unban,
}

/// Why a command has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandError {
    /// Only moderators may do that.
    NotModerator,
    /// There is no leader right now.
    NotNow,
    /// The room is open: it has no key that could be changed.
    NoKey,
    /// No member or author matches this name or id, or several do.
    UnknownMember(String),
}

/// News for the user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A line to show and to log, once.
    Line(Arc<Entry>),
    /// A line to log, but not to show: the user has seen it, or it is one of many missed lines.
    LogOnly(Arc<Entry>),
    /// The newest lines of a room, to show ahead of all others.
    Backlog {
        /// The entries of these lines.
        entries: Vec<Arc<Entry>>,
        /// To log too: the node is a newcomer, and its chat log begins with them. `false`: each of them follows later
        /// at its place.
        logged: bool,
    },
    /// The node has come back; the lines that it has missed follow until [`Event::CaughtUp`].
    CatchUp {
        /// So many lines were missed, and only the newest of them follow; `None`: all of them follow.
        lines: Option<u64>,
    },
    /// Later lines are new.
    CaughtUp,
    /// The node is in the room.
    Entered {
        /// Its name there: not always the wanted one.
        name: Name,
        /// The room.
        room: RoomId,
    },
    /// A member has a new name. If it is this node, [`Event::Entered`] follows.
    Renamed {
        /// The member with its old name.
        was: Member,
        /// The new name.
        name: Name,
    },
    /// The wanted name belongs to another member; the node keeps its name.
    NameTaken(Name),
    /// A member has joined.
    Joined(Member),
    /// A member has left or is lost.
    Left {
        /// The former member.
        member: Member,
        /// It is lost: it went without a good-bye.
        lost: bool,
    },
    /// The node has adopted another epoch.
    Leader(Epoch),
    /// The node has lost its leader.
    LeaderLost(Uid),
    /// Another leader has taken the place of a lost one. Follows right after [`Event::Leader`] of the same epoch.
    FailedOver {
        /// The lost leader.
        lost: Uid,
        /// The lost leader's name, if known.
        lost_name: Option<Name>,
        /// The epoch of the new leader.
        epoch: Epoch,
        /// The new leader's name, if known.
        name: Option<Name>,
        /// The leaderless interval of this node.
        took: Span,
    },
    /// Within a short time more members were lost than are left: the node is cut off from most of the room, or most of
    /// it is down. Reported once, until most of them are here again.
    CutOff {
        /// Members that are here, this node among them.
        here: usize,
        /// Members before the loss.
        of: usize,
    },
    /// The outcome of a private message that this node sent.
    PmSettled {
        /// The id of the message.
        id: PmId,
        /// Its reader.
        to: Member,
        /// What happened to it.
        outcome: PmOutcome,
    },
    /// The node has dropped a private message that does not decrypt. Reported at most once a minute.
    PmUndecryptable {
        /// The author that the message names.
        of: Member,
        /// The peer that relayed it.
        through: Uid,
    },
    /// A newcomer's contact answers, and the newcomer asks its leader to join. Reported once.
    ContactAnswered(Uid),
    /// The node asks the others whom they follow.
    LeaderPoll {
        /// How many nodes it asks.
        nodes: usize,
    },
    /// The node starts an election round.
    ElectionStarted {
        /// The number of the round.
        round: u64,
    },
    /// The node forwards a token.
    TokenPassed {
        /// The token's round.
        round: u64,
        /// The token's candidate.
        candidate: Uid,
        /// The node that receives it.
        to: Uid,
    },
    /// The node's next neighbour in the ring has changed.
    NextChanged {
        /// The new neighbour; `None`: the node is alone.
        next: Option<Uid>,
        /// It replaces a neighbour that does not answer.
        repaired: bool,
    },
    /// The node has found another part of the room with another leader.
    OtherLeader(Epoch),
    /// The node follows through another member, because it cannot reach the leader.
    Relayed {
        /// The member that relays the frames.
        through: Uid,
        /// The leader behind it.
        leader: Uid,
    },
    /// Another room is now at the address of a member.
    OtherRoom(Uid),
    /// The node's log was cut.
    Rebased {
        /// So many lines go back into the queue.
        lines: u64,
        /// The index of the last remaining entry.
        keep: Index,
    },
    /// All own lines of this session up to this number count as sent: the log and another member hold them (alone: the
    /// log), and they are on this node's medium, so no loss of power takes them.
    Confirmed {
        /// The number of the last line.
        n: u64,
        /// No other member holds them.
        alone: bool,
    },
    /// The node has cut a connection because its peer broke the protocol.
    ProtocolViolation {
        /// The connection.
        conn: ConnId,
        /// The violation, as the end of a sentence about the peer.
        why: &'static str,
    },
    /// A peer relayed forged lines. The node has dropped the frame and blocks the peer for this run.
    Forged {
        /// The peer.
        by: Member,
        /// The name in which the lines were forged; `None`: no known author's.
        of: Option<Name>,
    },
    /// The user sends more than the leader takes of one author. The rest goes out as it can; no line is lost. Reported
    /// at most once a minute.
    Throttled,
    /// A member was kicked or banned.
    Evicted {
        /// The evicted member.
        member: Member,
        /// The moderator.
        by: Name,
        /// It was banned; `false`: kicked.
        banned: bool,
    },
    /// A line's act had no effect, because its author may not do that.
    NotAllowed {
        /// The author's name.
        by: Name,
    },
    /// The room has another key.
    Rekeyed {
        /// The author of the change.
        by: Name,
        /// The new key's hash.
        key: Digest,
    },
    /// The user's command has no effect, and no line was sent.
    CommandFailed(CommandError),
    /// The user submitted a line although the outbox had no room, or after leaving.
    SubmitRejected(Text),
    /// A contact answers, but cannot admit the node yet.
    StillElecting,
}
