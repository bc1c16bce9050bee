//! What people tell a node, and what they are told.

use std::sync::Arc;

use crate::ring::log::channel::Channel;
use crate::ring::log::entry::{Act, Entry, Member};
use crate::ring::types::id::{ConnId, Epoch, Index, Name, PmId, RoomId, Text, Uid};
use crate::ring::types::proof::Digest;
use crate::ring::types::time::Span;
use crate::ring::wire::private_message::PmOutcome;

/// A line that somebody says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The words, as they were typed.
    pub text: Text,
    /// Where; `None`: in the lobby.
    pub channel: Option<Channel>,
    /// What it does beside being said: nothing that moderates ([`Act::is_social`]). Else see [`ModerationCommand`].
    pub act: Option<Act>,
}

impl Draft {
    /// Whether it may be said like this.
    pub fn is_valid(&self) -> bool {
        self.act.as_ref().is_none_or(Act::is_social)
    }
}

/// Said in the lobby, and no more.
impl From<Text> for Draft {
    fn from(text: Text) -> Self {
        Self { text, channel: None, act: None }
    }
}

/// What somebody wants done to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModerationCommand {
    /// What.
    pub verb: ModerationVerb,
    /// To whom: a name, or an author's id or enough of its first digits.
    pub whom: String,
    /// The line that says so.
    pub text: Text,
}

/// What can be done to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModerationVerb {
    /// Out of the room.
    Kick,
    /// Out for good.
    Ban,
    /// In again.
    Unban,
}

/// Why something cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommandError {
    /// Only some may do that.
    NotModerator,
    /// There is no leader at the moment.
    NotNow,
    /// The room is open: it has no key that could be changed.
    NoKey,
    /// Nobody is known by this name or id, or several are.
    UnknownMember(String),
}

/// What people want to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A line to be shown and logged, once.
    Line(Arc<Entry>),
    /// A line to be logged, but not to be shown: it was already, or is one of many that were missed.
    LogOnly(Arc<Entry>),
    /// The newest lines of a room, ahead of all others, to be shown.
    Backlog {
        /// The lines.
        entries: Vec<Arc<Entry>>,
        /// To be logged too: I am new, and my log begins with them. Else each of them follows at its place.
        logged: bool,
    },
    /// I was here before, and what I missed follows until [`Event::CaughtUp`]. `lines`: so many were missed, of which
    /// the newest follow; `None`: all of them follow.
    CatchUp {
        /// How many lines.
        lines: Option<u64>,
    },
    /// What comes from here on is new.
    CaughtUp,
    /// I am in the room, under this name.
    Entered {
        /// My name: not always the one that I asked for.
        name: Name,
        /// The room.
        room: RoomId,
    },
    /// A member has another name from here on. Where it is this node, [`Event::Entered`] follows.
    Renamed {
        /// Who it was.
        was: Member,
        /// What it is called now.
        name: Name,
    },
    /// I wanted this name, and somebody else has it: I keep mine.
    NameTaken(Name),
    /// Somebody came.
    Joined(Member),
    /// Somebody went.
    Left {
        /// Who.
        member: Member,
        /// Without good-bye.
        lost: bool,
    },
    /// I obey another epoch.
    Leader(Epoch),
    /// I have lost the leader.
    LeaderLost(Uid),
    /// Another leads in the place of one that I have lost. Told right after [`Event::Leader`] of the same epoch.
    FailedOver {
        /// Who was lost.
        lost: Uid,
        /// Its name, where that is known.
        lost_name: Option<Name>,
        /// The epoch that is obeyed now.
        epoch: Epoch,
        /// The new leader's name, where that is known.
        name: Option<Name>,
        /// How long I had no leader.
        took: Span,
    },
    /// Within a short time more members were lost than are left: I am cut off from most of the room, or most of it is
    /// down. Told once, until most of them are here again.
    CutOff {
        /// Members that are here, I among them.
        here: usize,
        /// Members that there were.
        of: usize,
    },
    /// What became of a message of mine for one reader.
    PmSettled {
        /// Which.
        id: PmId,
        /// For whom it was.
        to: Member,
        /// What became of it.
        outcome: PmOutcome,
    },
    /// A message for me was dropped, since its seal is broken. Told once in a while.
    PmUndecryptable {
        /// Whose it says that it is.
        of: Member,
        /// Who has handed it on.
        through: Uid,
    },
    /// A contact of a newcomer answers, and its leader is asked to let me in. Told once.
    ContactAnswered(Uid),
    /// I ask whom others follow.
    LeaderPoll {
        /// How many I ask.
        nodes: usize,
    },
    /// I start a round of the election.
    ElectionStarted {
        /// Which.
        round: u64,
    },
    /// I pass a candidate on.
    TokenPassed {
        /// In this round.
        round: u64,
        /// This candidate.
        candidate: Uid,
        /// To this node.
        to: Uid,
    },
    /// My neighbour has changed; `repaired`: because the one before does not answer.
    NextChanged {
        /// Who it is now; `None`: nobody but me.
        next: Option<Uid>,
        /// It took the place of one that does not answer.
        repaired: bool,
    },
    /// I have found another part of the room, led by another.
    OtherLeader(Epoch),
    /// I follow through another member, since I cannot reach the leader.
    Relayed {
        /// Who carries my frames.
        through: Uid,
        /// To this leader.
        leader: Uid,
    },
    /// At the address of a member there is another room now.
    OtherRoom(Uid),
    /// My log was cut: this many lines go back into the queue.
    Rebased {
        /// Lines.
        lines: u64,
        /// The last entry that stands.
        keep: Index,
    },
    /// Everything that I wrote up to this number of my session stands in my log and at another member
    /// (alone: in my log), and is on my medium: no loss of power takes it.
    Confirmed {
        /// The number of the last line.
        n: u64,
        /// Nobody but me holds it.
        alone: bool,
    },
    /// A connection was cut because its peer broke the protocol.
    ProtocolViolation {
        /// Which.
        conn: ConnId,
        /// What was wrong.
        why: &'static str,
    },
    /// Somebody has handed on lines that nobody has said. They are refused, and so is it from now on.
    Forged {
        /// Who has.
        by: Member,
        /// In whose name; `None`: in nobody's who could be named.
        of: Option<Name>,
    },
    /// I say more than the leader takes from one author: what is left goes out as it can, and none of it is lost. Told
    /// once in a while.
    Throttled,
    /// Somebody was put out by a member's line.
    Evicted {
        /// Who.
        member: Member,
        /// By whom.
        by: Name,
        /// For good.
        banned: bool,
    },
    /// A line was to do something that its author may not do: nothing has happened.
    NotAllowed {
        /// Whose line.
        by: Name,
    },
    /// The room has another key.
    Rekeyed {
        /// Who has changed it.
        by: Name,
        /// Its hash.
        key: Digest,
    },
    /// What was wanted cannot be done, and nothing was said.
    CommandFailed(CommandError),
    /// A line was submitted although the outbox had no room, or after the good-bye.
    SubmitRejected(Text),
    /// A contact answers, but cannot let me in yet.
    StillElecting,
}
