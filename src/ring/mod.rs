//! The pure core: one member of a room as a state machine.
//!
//! # The contract
//!
//! Nothing here opens a socket, reads a file, looks at a clock, starts a thread or draws a random number that was not
//! handed in. A driver owns a [`Node`] and does the rest:
//!
//! ```text
//!                 Input                          Output
//!   sockets  ──▶ Accepted Dialled Frame Closed    Dial Send Close       ──▶ sockets
//!   store    ──▶ Read, Cut, Persisted   ┌──────┐  Save Sync Read Cut .. ──▶ store
//!   person   ──▶ Submit, Leave     ───▶ │ Node │  Event                 ──▶ screen, chat log
//!   clock    ──▶ Tick                   └──────┘  Stop                  ──▶ the end
//! ```
//!
//! * [`Node::step`] never fails and never blocks. Its outputs are to be obeyed in order: what must be durable before a
//!   frame leaves stands before that frame.
//! * [`Node::deadline`] says when to step with [`Input::Tick`] at the latest. While it lies in the past, the node has
//!   gathered something (entries, acknowledgements) that goes out with the next tick: a driver first steps whatever
//!   has already arrived and then ticks, so that a burst leaves as one frame.
//! * A frame for many is one [`Output::Send`]: to be encoded once.
//! * The store is not remembered here. The core keeps the newest entries ([`limits::RECENT_BYTES_MAX`]); what else it
//!   needs it asks for with [`Output::Read`] and goes on without waiting.
//!
//! # The folders
//!
//! `types` (values) < `log` (entries and what they amount to) < `wire` (frames) < `links` (connections) < `node` (the
//! state machine). Each imports only from those before it.
//!
//! The invariants that hold after every step are those of `docs/protocol.rst`; the simulator under `tests/sim` checks
//! them.

#![warn(clippy::wildcard_enum_match_arm)]

mod event;
mod links;
mod log;
mod node;
mod timing;
mod types;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

pub use event::{CommandError, Draft, Event, ModerationCommand, ModerationVerb};
pub use log::channel::{Channel, ChannelError, LOBBY};
pub use log::emoji::{Emoji, EmojiError};
pub use log::entry::Batch;
pub use log::entry::RunSignature;
pub use log::entry::{Act, Body, Entry, Line, Member, Note, Subject};
pub use log::log_state::EpochBound;
pub use log::log_state::LogState;
pub use log::reactions::Reactions;
pub use log::rules::EvictionReason;
pub use log::rules::{Ban, Effect, Rules};
pub use log::run_signature::{ForgedLine, Signer, sign_runs};
pub use log::social::{ChannelActivity, Social, Topic};
pub use log::view::{Renaming, View, between};
pub use node::Node;
pub use timing::Timing;
pub use types::id::{
    ConnId, Epoch, Index, Lamport, LineId, Name, NameError, Nonce, Now, PmId, ReadId, RoomId, SessionId, SessionKey,
    StreamId, SyncId, Tail, Text, TextError, Uid, WallMs,
};
pub use types::proof::{AuthorId, Digest, Secret, Signature};
pub use types::rate::Rate;
pub use types::time::{Span, Time};
pub use types::{hex, limits};
pub use wire::codec::DecodeError;
pub use wire::frame::{
    Accept, Ack, Backlog, Elected, Entries, Frame, HealthReport, Hello, Join, MergeOffer, MergeRank, NodeState, Offer,
    PollReply, Refusal, Relay, Submit, Throttle, Token, Want,
};
pub use wire::private_message::{
    Ciphertext, OutgoingPm, PmError, PmOutcome, PmProof, PmReceipt, PmReply, PrivateMessage,
};

/// Everything that a node is told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its advertised address.
    pub uid: Uid,
    /// The name it would like.
    pub name: Name,
    /// Whether another name (`ann-2`) will do when that one is taken.
    pub rename: bool,
    /// Its owner's lasting identity.
    pub author: AuthorId,
    /// Signs for it.
    pub signer: Arc<dyn Signer>,
    /// 64 random bits for this run. Two runs never share one.
    pub session: SessionId,
    /// Where its own pseudo-random numbers (nonces, jitter) start: 64 bits from the system's generator.
    pub seed: u64,
    /// How it begins.
    pub start: Start,
    /// What its store holds.
    pub saved: SavedState,
    /// The hash of the room's key; none: the room is open. Whoever holds the key fills it in.
    pub key: Option<Digest>,
    /// What it takes from one author when it leads.
    pub rate: Rate,
    /// Who may moderate a room that it founds, besides its owner; nobody in particular: everybody.
    pub moderators: Vec<AuthorId>,
    /// The newest lines that it wants to be shown of what it missed: at most [`limits::BACKLOG_LINES_MAX`].
    pub backlog: u32,
    /// The protocol's times.
    pub timing: Timing,
}

/// How a node begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// Create a room with this identity and lead it.
    Create(RoomId),
    /// Join through one of these, asked in turn.
    Join(Vec<SocketAddr>),
    /// The store remembers a room: ask its members; if none answers within [`Timing::reopen`], reopen it alone.
    Reopen,
    /// The same, but where members answer that the room has another key, and none lets me in, do not reopen it beside
    /// them.
    Resume,
}

/// What a store held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// The room.
    pub room: Option<RoomId>,
    /// The fold of the log.
    pub log_state: LogState,
    /// For each session the number of its last line that waits in the pending queue. The outbox of earlier runs counts
    /// as the end of that queue.
    pub pending: std::collections::BTreeMap<SessionKey, u64>,
    /// The highest epoch that was obeyed.
    pub promise: Option<Epoch>,
    /// Every uid ever seen in the room.
    pub book: Vec<Uid>,
    /// What earlier runs have shown beyond what the log tells.
    pub shown: Shown,
}

/// Which lines a person has been shown, or is not to be shown, where the log alone does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shown {
    /// What stands up to here was there before its owner came for the first time: it was in a backlog, or is too old.
    pub up_to: Index,
    /// For each session the number of the last line that was shown although it does not stand in the log (yet).
    pub lines: std::collections::BTreeMap<SessionKey, u64>,
}

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; see [`Node::deadline`].
    Tick,
    /// A connection that the core asked for is open.
    Dialled(ConnId),
    /// A connection that the core asked for could not be opened.
    DialFailed {
        /// Which.
        conn: ConnId,
        /// The host answered that nobody listens there. `false`: no answer, or no route.
        refused: bool,
    },
    /// Who answers a connection that the core asked for will not have this node; it is not open.
    DialRejected(ConnId, Refusal),
    /// Somebody has opened this connection.
    Accepted(ConnId),
    /// A frame has arrived.
    Frame(ConnId, Frame),
    /// On this connection lines have come that their author has not said ([`Frame::verify`]): its peer has forged them,
    /// or handed them on without looking. Nothing more comes over it.
    Forged(ConnId, ForgedLine),
    /// The connection is gone, by the peer's will or by an error. Never follows an [`Output::Close`] of the same.
    Closed(ConnId),
    /// What [`Output::Read`] asked for.
    Read(ReadId, ReadReply),
    /// What [`Output::Persist`] asked for is done.
    Persisted {
        /// Which.
        id: SyncId,
        /// It is on the medium. `false`: the store cannot put it there now; it may be asked again.
        kept: bool,
    },
    /// What [`Output::Cut`] left. The very next input after the outputs that held it.
    Cut(Cut),
    /// Somebody typed these lines. No more than [`Node::outbox_room`] says; the rest is dropped with an event each.
    Submit(Vec<Draft>),
    /// Somebody wants something done to another.
    Moderate(ModerationCommand),
    /// The room is to have the key with this hash; the line that says so.
    Rekey(Digest, Text),
    /// The key with this hash is here, and in use.
    KeyInstalled(Digest),
    /// Somebody has said this to one reader; [`Node::reader`] has named that one just now.
    SendPm(OutgoingPm),
    /// What [`Output::OpenPm`] held: its token, or nothing, since its seal is broken.
    PmOpened {
        /// Which.
        id: PmId,
        /// Whose, as it says.
        from: AuthorId,
        /// What was in it beside the words.
        token: Option<PmProof>,
    },
    /// How are all members doing? Answered with [`Output::HealthReply`].
    HealthQuery,
    /// The person wants to leave; again: at once.
    Leave,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadReply {
    /// Entries in order, from the index that was asked for; empty where the log has ended.
    Log(Vec<Arc<Entry>>),
    /// Pending lines in order with their places; empty at the end of the queue.
    Pending(Vec<(PendingPosition, Arc<Line>)>),
}

/// A place in the pending queue; cut lines get lower ones than whatever waits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PendingPosition(pub i64);

/// What a store holds after a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The fold of what is left.
    pub log_state: LogState,
    /// As [`SavedState::pending`].
    pub pending: std::collections::BTreeMap<SessionKey, u64>,
}

/// What a node wants done, in this order.
#[derive(Clone, Debug, Hash)]
pub enum Output {
    /// Write this. Written means that the end of the process cannot take it.
    Save(Record),
    /// Everything saved so far must be on the medium before what follows is done.
    Sync,
    /// Everything saved so far is to be put on the medium; what follows does not wait. Answered with
    /// [`Input::Persisted`].
    Persist(SyncId),
    /// Read from the store and answer with [`Input::Read`].
    Read(ReadId, ReadRequest),
    /// Remove all entries after this index, put their lines, in order, in front of the pending queue, drop their notes,
    /// make it durable, and answer with [`Input::Cut`].
    Cut(Index),
    /// Open a connection.
    Dial(ConnId, SocketAddr),
    /// Put the frame behind what is queued on each of these connections.
    Send(Vec<ConnId>, Arc<Frame>),
    /// Send the room's key over this connection, as [`Frame::Key`].
    GiveKey(ConnId),
    /// Send the key that was drawn, and is to be the room's, over these connections, as [`Frame::Key`].
    OfferKey(Vec<ConnId>),
    /// Here is a key. Once its hash is [`Node::key_wanted`] it is the room's: that is answered with
    /// [`Input::KeyInstalled`].
    TakeKey(Secret),
    /// Open this message for me, show it, and answer with [`Input::PmOpened`] before anything else.
    OpenPm(Member, PrivateMessage),
    /// How all members are doing, for whoever has asked with [`Input::HealthQuery`] so far.
    HealthReply(Box<RoomHealth>),
    /// Write what is queued (within a short time), then close.
    Close(ConnId),
    /// Something that people want to know.
    Event(Event),
    /// The node is done. Nothing follows.
    Stop(Stop),
}

/// What a store keeps. A store that loses its newest records holds a consistent earlier state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The room that everything else belongs to.
    Room(RoomId),
    /// Entries after the log's end. A line that stands here leaves pending and outbox.
    Append(Vec<Arc<Entry>>),
    /// Lines of my own that are not in the log yet, in the order of their numbers.
    Queue(Vec<Arc<Line>>),
    /// The highest epoch that I have obeyed.
    Promise(Epoch),
    /// A uid of the room, new in the book.
    LearnPeer(Uid),
    /// A uid that is to be forgotten.
    ForgetPeer(Uid),
    /// What was shown beyond what the log tells. A cut changes it as well: what was in the log has been shown.
    Shown(Shown),
}

/// What a core wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadRequest {
    /// Entries from this index on, of at most this weight in all (but at least one) and at most
    /// [`limits::BATCH_ENTRIES_MAX`].
    Log {
        /// The first.
        from: Index,
        /// The most bytes, by [`Entry::weight`].
        bytes_max: usize,
    },
    /// The newest entries that are lines up to this index, in order: at most `lines` and at most this weight.
    Newest {
        /// The last index that counts.
        to: Index,
        /// The most lines.
        lines: usize,
        /// The most bytes, by [`Entry::weight`].
        bytes_max: usize,
    },
    /// Pending lines after this place (`None`: from the first): at most [`limits::OFFER_LINES_MAX`], and of at most
    /// [`limits::BATCH_BYTES_MAX`] in all (but at least one).
    Pending {
        /// The last place already read.
        after: Option<PendingPosition>,
    },
}

/// Why a node is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// It left.
    Left {
        /// Lines of its own that nobody has ordered, or that nobody else holds although there were others.
        waiting: u64,
    },
    /// None of its contacts has answered.
    Unreachable,
    /// The room would not have it.
    Refused(Refusal),
}

/// A node's role, as people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Orders the lines.
    Leader,
    /// Follows the leader.
    Follower,
    /// Looks for a leader.
    Electing,
    /// Is on its way into the room.
    Joining,
}

/// How a member is doing, as far as a node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Health {
    /// Who.
    pub uid: Uid,
    /// This node's link to it; none: there is none, as a rule since none is needed.
    pub link: Option<Link>,
    /// The smoothed time from a heartbeat to its echo: on the leader's link to it where that is known, else on this
    /// node's.
    pub rtt: Option<Span>,
    /// Entries of the leader's log that it is not known to hold. The leader alone knows.
    pub behind: Option<u64>,
}

/// A link as one of its ends sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// It is in use; else it is being opened.
    pub up: bool,
    /// Since anything came over it, or since it is being opened.
    pub silent: Span,
}

/// How a room is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomHealth {
    /// How each member is doing, in ring order.
    pub health: Vec<Health>,
    /// The leader has said what it knows; else this is what this node knows by itself.
    pub from_leader: bool,
}

/// A node at one moment, for `status` and for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The room.
    pub room: Option<RoomId>,
    /// The name.
    pub name: Name,
    /// Its owner.
    pub author: AuthorId,
    /// The address.
    pub uid: Uid,
    /// The role.
    pub role: Role,
    /// The epoch that is obeyed; none while there is no leader.
    pub epoch: Option<Epoch>,
    /// The next in the ring, if the link to it is up; itself when alone.
    pub next: Option<Uid>,
    /// The previous in the ring, if it has a link to this node; itself when alone.
    pub prev: Option<Uid>,
    /// The members.
    pub members: Vec<Member>,
    /// How each of them is doing, in the same order, as far as this node knows by itself.
    pub health: Vec<Health>,
    /// Who may not come in.
    pub banned: Vec<(AuthorId, Option<Name>)>,
    /// The channels that are known, the lobby (`None`) first: how many lines were said there, and what it is about.
    pub channels: Vec<(Option<Channel>, u64, Option<Text>)>,
    /// Who is away, and why.
    pub away: Vec<(AuthorId, Text)>,
    /// The log's end.
    pub tail: Tail,
    /// The node's clock.
    pub lamport: Lamport,
    /// Own lines that are not in the log.
    pub waiting: u64,
    /// What every member is known to hold.
    pub floor: Index,
    /// The member that carries frames to the leader, where there is no link to it.
    pub relay: Option<Uid>,
}
