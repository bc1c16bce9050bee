//! The frames: what nodes send to each other, one JSON object a line. The comments of frames speak in the sender's
//! voice.
//!
//! Every list of a frame has a limit in [`limits`](crate::ring::limits), and no number is above
//! [`NUMBER_MAX`](crate::ring::types::limits::NUMBER_MAX). Decoding checks both, so no later code sees a longer list or
//! a larger number.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use crate::ring::log::entry::{Batch, Line};
use crate::ring::log::log_state::EpochBound;
use crate::ring::log::rules::EvictionReason;
use crate::ring::types::id::{Epoch, Index, Lamport, LineId, Name, RoomId, SessionId, StreamId, Tail, Uid};
use crate::ring::types::limits::PROTOCOL_VERSION;
use crate::ring::types::parse::{number, number_if_any};
use crate::ring::types::proof::{AuthorId, Digest, Secret};
use crate::ring::wire::private_message::{PmReceipt, PrivateMessage};

/// One message from a node to a peer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// This is who I am. The first frame in each direction of a connection.
    Hello(Hello),
    /// I close this connection, for this reason. The last frame.
    Refuse(Refusal),
    /// Are you there? The peer echoes it as [`Frame::Pong`] at once.
    Ping(#[serde(deserialize_with = "number")] u64),
    /// The echo of [`Frame::Ping`].
    Pong(#[serde(deserialize_with = "number")] u64),
    /// You are (or are no longer) my next in the ring.
    Adjacent(bool),
    /// I am not your next; this one stands between us.
    NextIs(Uid),

    /// Whom do you follow, and how fresh is it?
    LeaderPoll,
    /// The answer to [`Frame::LeaderPoll`].
    PollReply(PollReply),

    /// I want to follow you.
    Join(Join),
    /// None of your epochs is in my log: send older ones.
    MoreEpochBounds,
    /// You follow me now; cut your log to the part that we share.
    Accept(Accept),
    /// I do not lead; this one does.
    Redirect(Uid),
    /// I lead, but cannot answer a join yet; wait.
    Wait,
    /// I do not lead, and know no leader.
    NoLeader,
    /// The newest lines, only to be shown.
    Backlog(Backlog),
    /// Entries of the log, in order.
    Entries(Entries),
    /// My log holds everything of this stream up to here.
    Ack(Ack),
    /// Every member holds the log up to here.
    StableIndex(Index),
    /// A cut has removed these lines from my log; which of them do you lack?
    Offer(Offer),
    /// Send me these lines of your offer, by their place in it.
    Want(Want),
    /// Lines to be sequenced.
    Submit(Submit),
    /// I lack the room's key, which has this hash.
    KeyRequest(Digest),
    /// The room's key.
    Key(Secret),
    /// You send more than I take from one author: wait, then continue from here.
    Throttle(Throttle),
    /// I leave the room.
    Leave(StreamId),

    /// Chang-Roberts: a candidate on its way around the ring.
    Token(Token),
    /// I have received this candidate's token of this round.
    TokenAck {
        /// The token's round.
        #[serde(deserialize_with = "number")]
        round: u64,
        /// The token's candidate.
        candidate: Uid,
    },
    /// I have swallowed your token of this round.
    Swallowed {
        /// The token's round.
        #[serde(deserialize_with = "number")]
        round: u64,
        /// The highest round I know.
        #[serde(deserialize_with = "number")]
        known: u64,
        /// My leader's epoch, and how many milliseconds ago the leader echoed me.
        #[serde(deserialize_with = "following")]
        following: Option<(Epoch, u64)>,
    },
    /// This leader has won an election.
    Elected(Elected),

    /// Where does my log differ from yours?
    Fetch(Vec<EpochBound>),
    /// Our logs differ after this index (zero: from the start), and mine goes on to this tail. `None`: send older
    /// epochs.
    Common(Option<(Index, Tail)>),
    /// Send me the entries after this index.
    Pull(Index),
    /// The entries after the index that you named.
    Pulled(Batch),

    /// We both lead: let us compare our ranks.
    MergeOffer(MergeOffer),
    /// My rank in this pair is the lower one: I step down.
    MergeAccepted(MergeOffer),
    /// To followers: follow this leader instead.
    StepDown(Epoch),
    /// To the leader: this node leads too.
    RivalLeader(Epoch),
    /// I leave: lead in my place, with at least this round.
    Handover(#[serde(deserialize_with = "number")] u64),

    /// An encrypted message for one reader.
    PrivateMessage(PrivateMessage),
    /// The outcome of a private message.
    PmReceipt(PmReceipt),
    /// How are all members?
    HealthQuery,
    /// The health of each member: at most [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    HealthReply(Vec<HealthReport>),

    /// A frame between two nodes that cannot reach each other, through a third.
    Relay(Relay),
}

/// Reads a leader's epoch and an age, or `null`.
fn following<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(Epoch, u64)>, D::Error> {
    #[derive(Deserialize)]
    struct Aged(Epoch, #[serde(deserialize_with = "number")] u64);
    Ok(Option::<Aged>::deserialize(deserializer)?.map(|Aged(epoch, age)| (epoch, age)))
}

/// A node's identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The sender's [`PROTOCOL_VERSION`].
    pub version: u32,
    /// The sender's room; `None`: it is in no room yet.
    pub room: Option<RoomId>,
    /// The sender's advertised address.
    pub uid: Uid,
    /// The sender's owner.
    pub author: AuthorId,
    /// The sender's run.
    pub session: SessionId,
}

/// Why a connection or a join is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// I speak this version of the protocol, not yours.
    Version(u32),
    /// I am in this room, not in yours.
    Room(RoomId),
    /// Another member has that name; this one is free.
    Name(Name),
    /// The room has the most members that it can hold.
    Full,
    /// You have my own address.
    SameAddress,
    /// You relayed forged lines.
    Forger,
    /// A moderator has kicked you.
    Kicked(EvictionReason),
    /// A moderator has banned you.
    Banned(EvictionReason),
    /// A newer connection of yours replaces this one, or you broke the protocol.
    Protocol,
    /// My room has a key, and you have not proved that you hold it.
    KeyNeeded,
    /// My room has another key.
    WrongKey,
    /// My room has no key.
    NoKey,
}

/// The answer to a leader poll.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PollReply {
    /// What I am doing.
    pub state: NodeState,
    /// The end of my log.
    pub tail: Tail,
    /// The highest round I know.
    #[serde(deserialize_with = "number")]
    pub round: u64,
}

/// A node's state, as it reports it to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// I lead.
    Leading {
        /// My epoch.
        epoch: Epoch,
        /// Followers whose link is fresh.
        followers: u32,
    },
    /// I follow.
    Following {
        /// My leader's epoch.
        epoch: Epoch,
        /// Milliseconds since my leader echoed me.
        #[serde(deserialize_with = "number")]
        heard_ms: u64,
        /// I can relay frames between my leader and you.
        relay: bool,
    },
    /// I search a leader, or take part in an election.
    Electing,
    /// I join a leader, or my files hold a room that I will reopen.
    Joining,
    /// I search a room myself, and know none.
    Bootstrapping,
}

/// A request to follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Join {
    /// Counts my requests; the answer names its request.
    #[serde(deserialize_with = "number")]
    pub attempt: u64,
    /// The name that I want.
    pub name: Name,
    /// I accept another name.
    pub rename: bool,
    /// My log's epochs, newest first: at most [`EPOCH_BOUNDS_MAX`](crate::ring::types::limits::EPOCH_BOUNDS_MAX).
    pub epoch_bounds: Vec<EpochBound>,
    /// These epochs go back to the start of my log.
    pub complete: bool,
    /// The last index of my log.
    pub tail: Index,
    /// I have been fully caught up with a leader in this run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caught_up: bool,
    /// The highest epoch that I have adopted.
    pub promise: Option<Epoch>,
    /// My Lamport clock.
    pub lamport: Lamport,
    /// If I lack many lines: send me so many of the newest ones ahead of the log.
    pub backlog: Option<u32>,
}

/// A leader admits a follower.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Accept {
    /// The number of the answered request.
    #[serde(deserialize_with = "number")]
    pub attempt: u64,
    /// The room.
    pub room: RoomId,
    /// The stream that this connection carries from now on.
    pub stream: StreamId,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The last index that both logs share; zero if they share nothing.
    pub common: Index,
    /// The end of the leader's log.
    pub tail: Tail,
    /// The follower's name in the room.
    pub name: Name,
    /// The number of the last line of the follower's session that the leader holds.
    #[serde(deserialize_with = "number")]
    pub watermark: u64,
    /// The members and the lost members: at most [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    pub members: Vec<Uid>,
    /// The number of lines in the leader's log.
    #[serde(deserialize_with = "number")]
    pub lines: u64,
    /// The newest lines follow ahead of the log.
    pub backlog: bool,
}

/// The newest lines, ahead of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backlog {
    /// The lines of this part.
    pub batch: Batch,
    /// The first so many lines are too old to be shown. They are here because a signed run must be whole.
    pub skip: u32,
    /// This is the last part.
    pub last: bool,
}

/// Entries from a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entries {
    /// The tail of the log before these entries.
    pub prev: Tail,
    /// The entries.
    pub batch: Batch,
}

/// An acknowledgement: how far a follower's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ack {
    /// The stream of the entries.
    pub stream: StreamId,
    /// The follower has written all entries up to here.
    pub index: Index,
}

/// Ids of lines that a cut has removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// The follower's stream.
    pub stream: StreamId,
    /// At most [`OFFER_LINES_MAX`](crate::ring::types::limits::OFFER_LINES_MAX), in order.
    pub lines: Vec<LineId>,
}

/// The lines of an offer that the leader lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Want {
    /// The follower's stream.
    pub stream: StreamId,
    /// Places in the offer, from 0, rising.
    pub places: Vec<u32>,
}

/// Lines to be sequenced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Submit {
    /// The follower's stream.
    pub stream: StreamId,
    /// At most [`BATCH_ENTRIES_MAX`](crate::ring::types::limits::BATCH_ENTRIES_MAX), in order.
    pub lines: Vec<Arc<Line>>,
}

/// A leader makes a follower wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Throttle {
    /// The follower's stream.
    pub stream: StreamId,
    /// The number of the last line of the follower's session that the leader holds. It has dropped later ones.
    #[serde(deserialize_with = "number")]
    pub after: u64,
    /// How long to wait, in milliseconds.
    #[serde(deserialize_with = "number")]
    pub wait_ms: u64,
}

/// A candidate on its way around the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The number of the election round.
    #[serde(deserialize_with = "number")]
    pub round: u64,
    /// The largest uid so far.
    pub candidate: Uid,
    /// The best tail so far.
    pub tail: Tail,
    /// The node with that tail.
    pub holder: Uid,
    /// A node that the token has passed has been fully caught up with a leader in this run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caught_up: bool,
    /// How many links the token has passed.
    pub hops: u32,
    /// The election ring: the nodes that the token has passed or that are known to be there. At most
    /// [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    pub ring: Vec<Uid>,
}

/// The announcement of a win.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Elected {
    /// The new epoch.
    pub epoch: Epoch,
    /// The winner's election ring. At most [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    pub ring: Vec<Uid>,
    /// How many links it may still pass from next to next; `None`: it comes directly from the winner.
    pub hops: Option<u32>,
}

/// The rank by which two leaders are compared when they merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MergeRank {
    /// Followers with a live link; zero for a leader that began with a known gap a short time ago.
    pub followers: u32,
    /// The epoch was not opened alone by a node that had been down, nor by a node with a known gap. A leader that
    /// stayed up with a complete log keeps its order.
    pub established: bool,
    /// The epoch.
    pub epoch: Epoch,
}

/// The ranks of two leaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MergeOffer {
    /// The sender's rank.
    pub mine: MergeRank,
    /// The receiver's rank, as the receiver has reported it; `None` opens the exchange.
    pub yours: Option<MergeRank>,
}

/// A member's health, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HealthReport {
    /// The member.
    #[serde(rename = "u")]
    pub uid: Uid,
    /// The round-trip time of heartbeats, in microseconds.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none", deserialize_with = "number_if_any")]
    pub round_trip: Option<u64>,
    /// How many entries the member is not known to hold.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none", deserialize_with = "number_if_any")]
    pub behind: Option<u64>,
}

/// A frame that a member relays for two others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Relay {
    /// The sender.
    pub from: Uid,
    /// The receiver.
    pub to: Uid,
    /// The sender has opened this connection.
    pub opener: bool,
    /// The relayed frame, never itself a relay; `None` closes the connection.
    pub frame: Option<Box<Frame>>,
}

impl Frame {
    /// Whether Chang and Roberts would count this frame: a token, or an announcement on its way from next to next.
    pub fn is_ring_message(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Elected(Elected { hops: Some(_), .. }))
    }
}

impl Hello {
    /// Whether the sender speaks this program's version.
    pub const fn version_fits(&self) -> bool {
        self.version == PROTOCOL_VERSION
    }
}
