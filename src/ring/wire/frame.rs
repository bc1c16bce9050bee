//! What nodes say to each other: one JSON object a line.
//!
//! Every list that a frame carries is bounded by a constant of [`limits`](crate::ring::limits), and every number by
//! [`NUMBER_MAX`](crate::ring::types::limits::NUMBER_MAX); both are checked here, so that nobody behind this door sees
//! a longer or a larger one.

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

/// What one node says to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frame {
    /// Who I am: the first frame in each direction of a connection.
    Hello(Hello),
    /// Why I close this connection: the last frame.
    Refuse(Refusal),
    /// Are you there? To be echoed as [`Frame::Pong`] at once.
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
    /// Tell me of older epochs in your log: none of those that you named is in mine.
    MoreEpochBounds,
    /// You follow me now; cut your log to what we share.
    Accept(Accept),
    /// I do not lead; this one does.
    Redirect(Uid),
    /// I lead, but cannot answer a join yet; stay.
    Wait,
    /// I do not lead, and know of nobody who does.
    NoLeader,
    /// The newest lines, for display alone.
    Backlog(Backlog),
    /// Entries of the log, in order.
    Entries(Entries),
    /// My log holds everything of this stream up to here.
    Ack(Ack),
    /// Every member holds the log up to here.
    StableIndex(Index),
    /// Lines that came back from a cut; which of them do you lack?
    Offer(Offer),
    /// Send me these of the offer, by their place in it.
    Want(Want),
    /// Lines to be ordered.
    Submit(Submit),
    /// I lack the room's key, which has this hash.
    KeyRequest(Digest),
    /// The room's key.
    Key(Secret),
    /// You say more than I take from one author: go on later, and from where I am.
    Throttle(Throttle),
    /// I leave the room.
    Leave(StreamId),

    /// Chang-Roberts: a candidate on its way round.
    Token(Token),
    /// I have this candidate's token of this round.
    TokenAck {
        /// The token's round.
        #[serde(deserialize_with = "number")]
        round: u64,
        /// The token's candidate.
        candidate: Uid,
    },
    /// Your token of this round goes no further.
    Swallowed {
        /// The round that goes no further.
        #[serde(deserialize_with = "number")]
        round: u64,
        /// The highest round I know.
        #[serde(deserialize_with = "number")]
        known: u64,
        /// Whom I follow, and how many milliseconds ago it echoed me.
        #[serde(deserialize_with = "following")]
        following: Option<(Epoch, u64)>,
    },
    /// This leader has won.
    Elected(Elected),

    /// Where does my log leave yours?
    Fetch(Vec<EpochBound>),
    /// After this index (zero: from the start), and yours goes on to this tail. `None`: tell me of older epochs.
    Common(Option<(Index, Tail)>),
    /// Send me what follows this index.
    Pull(Index),
    /// What followed.
    Pulled(Batch),

    /// Two leaders: how heavy are we?
    MergeOffer(MergeOffer),
    /// I am the lighter by this pair, and yield.
    MergeAccepted(MergeOffer),
    /// To my followers: follow this one instead.
    StepDown(Epoch),
    /// To my leader: this one leads too.
    RivalLeader(Epoch),
    /// Lead from here with at least this round; I leave.
    Handover(#[serde(deserialize_with = "number")] u64),

    /// A message for one reader, sealed.
    PrivateMessage(PrivateMessage),
    /// What became of one.
    PmReceipt(PmReceipt),
    /// How are all members doing?
    HealthQuery,
    /// This is how: at most [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    HealthReply(Vec<HealthReport>),

    /// A frame between two nodes that cannot reach each other, through a third.
    Relay(Relay),
}

/// A leader and an age, or nobody.
fn following<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(Epoch, u64)>, D::Error> {
    #[derive(Deserialize)]
    struct Aged(Epoch, #[serde(deserialize_with = "number")] u64);
    Ok(Option::<Aged>::deserialize(deserializer)?.map(|Aged(epoch, age)| (epoch, age)))
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the speaker.
    pub version: u32,
    /// The room, unless it has none yet.
    pub room: Option<RoomId>,
    /// Its advertised address.
    pub uid: Uid,
    /// Its owner.
    pub author: AuthorId,
    /// Its run.
    pub session: SessionId,
}

/// Why a connection or a join is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// I speak this version of the protocol.
    Version(u32),
    /// I am in this room.
    Room(RoomId),
    /// Somebody has that name; this one is free.
    Name(Name),
    /// The room has as many members as it can hold.
    Full,
    /// You are me: the same address.
    SameAddress,
    /// You have handed on lines that nobody has said.
    Forger,
    /// You were put out.
    Kicked(EvictionReason),
    /// You may not come in.
    Banned(EvictionReason),
    /// A newer connection of yours took this one's place, or you broke the protocol.
    Protocol,
    /// My room has a key, and you have shown none.
    KeyNeeded,
    /// My room has another key.
    WrongKey,
    /// My room has no key.
    NoKey,
}

/// The answer to "whom do you follow?".
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

/// What a node is doing, as it tells others.
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
        /// Whom.
        epoch: Epoch,
        /// Milliseconds since it echoed me.
        #[serde(deserialize_with = "number")]
        heard_ms: u64,
        /// I can carry frames between it and you.
        relay: bool,
    },
    /// I look for a leader, or elect one.
    Electing,
    /// I am on my way to a leader, or I remember a room that I shall reopen.
    Joining,
    /// I look for a room myself, and know of none.
    Bootstrapping,
}

/// A request to follow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Join {
    /// Counts my requests; the answer names the one that it answers.
    #[serde(deserialize_with = "number")]
    pub attempt: u64,
    /// The name I want.
    pub name: Name,
    /// Another name will do.
    pub rename: bool,
    /// My log's epochs, newest first: at most [`EPOCH_BOUNDS_MAX`](crate::ring::types::limits::EPOCH_BOUNDS_MAX).
    pub epoch_bounds: Vec<EpochBound>,
    /// The shape goes back to the log's start.
    pub complete: bool,
    /// Where my log ends.
    pub tail: Index,
    /// I have once had all, in this run, that my leader had then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caught_up: bool,
    /// The highest epoch that I have obeyed.
    pub promise: Option<Epoch>,
    /// My clock.
    pub lamport: Lamport,
    /// If much is missing here: show me so many of the newest lines ahead of the log.
    pub backlog: Option<u32>,
}

/// A leader takes a follower.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Accept {
    /// The request that is answered.
    #[serde(deserialize_with = "number")]
    pub attempt: u64,
    /// The room.
    pub room: RoomId,
    /// Names the stream that this connection carries from now on.
    pub stream: StreamId,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The last index that both logs share; zero where they share nothing.
    pub common: Index,
    /// Where the leader's log ends.
    pub tail: Tail,
    /// The name you have.
    pub name: Name,
    /// The number of the last line of your session that the leader holds.
    #[serde(deserialize_with = "number")]
    pub watermark: u64,
    /// Who is here, and who was here and is lost: at most
    /// [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    pub members: Vec<Uid>,
    /// How many lines the leader's log holds.
    #[serde(deserialize_with = "number")]
    pub lines: u64,
    /// The newest of them are sent ahead of the log.
    pub backlog: bool,
}

/// The newest lines, ahead of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backlog {
    /// The lines.
    pub batch: Batch,
    /// The first so many lines of this batch are older than what is to be shown: they are here so that their runs are
    /// whole.
    pub skip: u32,
    /// No more follow.
    pub last: bool,
}

/// Entries from a leader.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entries {
    /// What stands before the first of them.
    pub prev: Tail,
    /// The entries.
    pub batch: Batch,
}

/// How far a follower's log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ack {
    /// In this stream.
    pub stream: StreamId,
    /// Everything up to here is written.
    pub index: Index,
}

/// Ids of lines that came back from a cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// In this stream.
    pub stream: StreamId,
    /// At most [`OFFER_LINES_MAX`](crate::ring::types::limits::OFFER_LINES_MAX), in order.
    pub lines: Vec<LineId>,
}

/// Which lines of an offer the leader lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Want {
    /// In this stream.
    pub stream: StreamId,
    /// Places in the offer, from 0, rising.
    pub places: Vec<u32>,
}

/// Lines to be ordered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Submit {
    /// In this stream.
    pub stream: StreamId,
    /// At most [`BATCH_ENTRIES_MAX`](crate::ring::types::limits::BATCH_ENTRIES_MAX), in order.
    pub lines: Vec<Arc<Line>>,
}

/// A leader asks a follower to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Throttle {
    /// In this stream.
    pub stream: StreamId,
    /// The number of the last line of your session that I hold: what came after it was dropped.
    #[serde(deserialize_with = "number")]
    pub after: u64,
    /// For so many milliseconds.
    #[serde(deserialize_with = "number")]
    pub wait_ms: u64,
}

/// A candidate on its way round the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The election's number.
    #[serde(deserialize_with = "number")]
    pub round: u64,
    /// The largest uid so far.
    pub candidate: Uid,
    /// The best tail so far.
    pub tail: Tail,
    /// Who holds it.
    pub holder: Uid,
    /// Somebody whom it has passed has once had all, in this run, that its leader had then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caught_up: bool,
    /// Links passed.
    pub hops: u32,
    /// The election ring: who was passed and who is known to be there. At most
    /// [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    pub ring: Vec<Uid>,
}

/// The news of a win.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Elected {
    /// The new epoch.
    pub epoch: Epoch,
    /// The winner's election ring. At most [`BOOK_NODES_MAX`](crate::ring::types::limits::BOOK_NODES_MAX).
    pub ring: Vec<Uid>,
    /// Links that it may still pass from next to next; `None`: it came straight from the winner.
    pub hops: Option<u32>,
}

/// What two leaders are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MergeRank {
    /// Followers with a live link; none where the leader lacked entries when it began, not long ago.
    pub followers: u32,
    /// It was not opened alone by a node that had been down, nor by one that lacked entries: whoever stayed up, and has
    /// all, keeps its order.
    pub established: bool,
    /// The epoch.
    pub epoch: Epoch,
}

/// Two leaders compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MergeOffer {
    /// The speaker's weight.
    pub mine: MergeRank,
    /// The listener's weight, as it said it; `None` opens the exchange.
    pub yours: Option<MergeRank>,
}

/// How a member is doing, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HealthReport {
    /// Who.
    #[serde(rename = "u")]
    pub uid: Uid,
    /// From a heartbeat to its echo, in microseconds.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none", deserialize_with = "number_if_any")]
    pub round_trip: Option<u64>,
    /// Entries that it is not known to hold.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none", deserialize_with = "number_if_any")]
    pub behind: Option<u64>,
}

/// A frame carried for two others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Relay {
    /// Who speaks.
    pub from: Uid,
    /// Who is meant.
    pub to: Uid,
    /// The speaker has opened this connection.
    pub opener: bool,
    /// What is said; `None` closes. Never itself a relay.
    pub frame: Option<Box<Frame>>,
}

impl Frame {
    /// A ring message as Chang-Roberts counts them: a token, or the announcement on its way from next to next.
    pub fn is_ring_message(&self) -> bool {
        matches!(self, Self::Token(_) | Self::Elected(Elected { hops: Some(_), .. }))
    }
}

impl Hello {
    /// Whether the speaker's version is ours.
    pub const fn version_fits(&self) -> bool {
        self.version == PROTOCOL_VERSION
    }
}
