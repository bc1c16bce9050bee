//! The pure core: one member of a room as a state machine.
//!
//! # The contract
//!
//! Nothing here opens a socket, reads a file, looks at a clock, starts a thread or draws a random number. A driver owns
//! a [`Node`] and does the rest:
//!
//! ```text
//!                 Input                          Output
//!   sockets  ──▶ Accepted Dialled Frame Closed    Dial Send Close       ──▶ sockets
//!   store    ──▶ Read, Cut, Persisted   ┌──────┐  Save Sync Read Cut .. ──▶ store
//!   person   ──▶ Submit, Leave     ───▶ │ Node │  Event                 ──▶ screen, chat log
//!   clock    ──▶ Tick                   └──────┘  Stop                  ──▶ the end
//! ```
//!
//! * [`Node::step`] never fails and never blocks. The driver executes its outputs in order: a record that must be
//!   durable before a frame leaves stands before that frame.
//! * [`Node::deadline`] says when to step with [`Input::Tick`] at the latest. While it lies in the past, the node has
//!   gathered entries or acknowledgements that leave with the next tick. So a driver first steps all inputs that have
//!   arrived and then ticks, and a burst leaves as one frame.
//! * A frame for many peers is one [`Output::Send`], to be encoded once.
//! * The core does not hold the store's content. It keeps the newest entries ([`limits::RECENT_BYTES_MAX`]), asks for
//!   older ones with [`Output::Read`], and goes on without waiting.
//!
//! # The folders
//!
//! `types` (values) < `log` (entries and their state) < `wire` (frames) < `links` (connections) < `node` (the state
//! machine). Each imports only from those before it.
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

/// Everything that a node needs at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The advertised address.
    pub uid: Uid,
    /// The wanted name.
    pub name: Name,
    /// Whether another name (`ann-2`) is acceptable if the wanted one is taken.
    pub rename: bool,
    /// The lasting identity of the node's owner.
    pub author: AuthorId,
    /// Signs the owner's lines.
    pub signer: Arc<dyn Signer>,
    /// 64 random bits for this run. No two runs share them.
    pub session: SessionId,
    /// The seed of the node's pseudo-random numbers (nonces, jitter): 64 bits from the system's generator.
    pub seed: u64,
    /// How the node starts.
    pub start: Start,
    /// The content of its store.
    pub saved: SavedState,
    /// The hash of the room's key; `None`: the room is open. The driver, which holds the key, fills it in.
    pub key: Option<Digest>,
    /// The rate limit for each author while this node leads.
    pub rate: Rate,
    /// The moderators of a room that this node creates, beside its owner; empty: every member may moderate.
    pub moderators: Vec<AuthorId>,
    /// How many of the newest missed lines the user wants to see: at most [`limits::BACKLOG_LINES_MAX`].
    pub backlog: u32,
    /// The protocol's times.
    pub timing: Timing,
}

/// How a node starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// Creates a room with this identity and leads it.
    Create(RoomId),
    /// Joins through one of these contacts, asked in turn.
    Join(Vec<SocketAddr>),
    /// The store holds a room: asks its members, and if none answers within [`Timing::reopen`], reopens it alone.
    Reopen,
    /// The same. But if members answer that the room has another key and none admits the node, it does not reopen the
    /// room beside them.
    Resume,
}

/// The content of a store when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// The room.
    pub room: Option<RoomId>,
    /// The state of the log.
    pub log_state: LogState,
    /// For each session the number of its last line in the pending queue. The outbox of earlier runs is the end of that
    /// queue.
    pub pending: std::collections::BTreeMap<SessionKey, u64>,
    /// The highest epoch that the node has adopted.
    pub promise: Option<Epoch>,
    /// The address book: every uid ever seen in the room.
    pub book: Vec<Uid>,
    /// Lines that earlier runs have shown beyond what the log tells.
    pub shown: Shown,
}

/// The lines that a user has seen, or must not see, where the log alone does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Entries up to here were in the log before the user came for the first time: they were in a backlog, or are too
    /// old.
    pub up_to: Index,
    /// For each session the number of the last line that was shown although it is not in the log (yet).
    pub lines: std::collections::BTreeMap<SessionKey, u64>,
}

/// An event outside the node.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; see [`Node::deadline`].
    Tick,
    /// A connection that the node dialled is open.
    Dialled(ConnId),
    /// A dial has failed.
    DialFailed {
        /// The connection of the dial.
        conn: ConnId,
        /// The host answered that no process listens there. `false`: no answer, or no route.
        refused: bool,
    },
    /// The peer at a dialled address rejects this node; the connection is not open.
    DialRejected(ConnId, Refusal),
    /// A peer has opened this connection.
    Accepted(ConnId),
    /// A frame has arrived over a connection.
    Frame(ConnId, Frame),
    /// Lines whose signatures do not verify ([`Frame::verify`]) have arrived over this connection: its peer has forged
    /// them, or relayed them unchecked. No later input concerns the connection.
    Forged(ConnId, ForgedLine),
    /// The connection has ended, by the peer or by an error. Never follows an [`Output::Close`] of the same connection.
    Closed(ConnId),
    /// The answer to an [`Output::Read`].
    Read(ReadId, ReadReply),
    /// The answer to an [`Output::Persist`].
    Persisted {
        /// The id of the sync.
        id: SyncId,
        /// The data is on the medium. `false`: the store cannot put it there now; the node may ask again.
        kept: bool,
    },
    /// The store's content after an [`Output::Cut`]. It is the very next input after the outputs that held the cut.
    Cut(Cut),
    /// The user has typed these lines. At most [`Node::outbox_room`]; the node rejects the rest with an event each.
    Submit(Vec<Draft>),
    /// The user gives a moderation command.
    Moderate(ModerationCommand),
    /// The user changes the room's key to the one with this hash; the text is the line that says so.
    Rekey(Digest, Text),
    /// The driver holds and uses the key with this hash.
    KeyInstalled(Digest),
    /// The user sends a private message; [`Node::reader`] has just named its reader.
    SendPm(OutgoingPm),
    /// The driver has opened a private message, or it does not decrypt.
    PmOpened {
        /// The id of the message.
        id: PmId,
        /// Its author, as the message says.
        from: AuthorId,
        /// The proof inside the ciphertext; `None`: the message does not decrypt.
        token: Option<PmProof>,
    },
    /// The user asks how all members are. The node answers with [`Output::HealthReply`].
    HealthQuery,
    /// The user leaves; a second time: at once.
    Leave,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadReply {
    /// Entries in order, from the requested index; empty at the end of the log.
    Log(Vec<Arc<Entry>>),
    /// Pending lines in order, with their places; empty at the end of the queue.
    Pending(Vec<(PendingPosition, Arc<Line>)>),
}

/// A place in the pending queue. Cut lines get places below all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PendingPosition(pub i64);

/// A store's content after a cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The state of the remaining log.
    pub log_state: LogState,
    /// As [`SavedState::pending`].
    pub pending: std::collections::BTreeMap<SessionKey, u64>,
}

/// A command for the driver. The driver executes the outputs of a step in order.
#[derive(Clone, Debug, Hash)]
pub enum Output {
    /// Write this record. After that the end of the process cannot lose it.
    Save(Record),
    /// Sync everything saved so far; the following outputs wait for that.
    Sync,
    /// Sync everything saved so far; the following outputs do not wait. The answer is [`Input::Persisted`].
    Persist(SyncId),
    /// Read from the store; the answer is [`Input::Read`].
    Read(ReadId, ReadRequest),
    /// Remove all entries after this index, put their lines in order to the front of the pending queue, drop their
    /// notes, sync, and answer with [`Input::Cut`].
    Cut(Index),
    /// Open a connection to this address.
    Dial(ConnId, SocketAddr),
    /// Append the frame to the queue of each of these connections.
    Send(Vec<ConnId>, Arc<Frame>),
    /// Send the room's key over this connection, as [`Frame::Key`].
    GiveKey(ConnId),
    /// Send the new key, which the user has drawn, over these connections, as [`Frame::Key`].
    OfferKey(Vec<ConnId>),
    /// Keep this key. Once its hash is [`Node::key_wanted`] it is the room's key; the driver then answers with
    /// [`Input::KeyInstalled`].
    TakeKey(Secret),
    /// Decrypt this private message, show it, and answer with [`Input::PmOpened`] before any other input.
    OpenPm(Member, PrivateMessage),
    /// How all members are: the answer to every [`Input::HealthQuery`] so far.
    HealthReply(Box<RoomHealth>),
    /// Write the queued frames (within a short time), then close the connection.
    Close(ConnId),
    /// News for the user.
    Event(Event),
    /// The node has ended. No output follows.
    Stop(Stop),
}

/// A record for the store. A store that loses its newest records holds a consistent earlier state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// The room of all later records.
    Room(RoomId),
    /// Entries at the log's end. Their lines leave the pending queue and the outbox.
    Append(Vec<Arc<Entry>>),
    /// Own lines that are not in the log yet, in the order of their numbers.
    Queue(Vec<Arc<Line>>),
    /// The highest epoch that the node has adopted.
    Promise(Epoch),
    /// A new uid in the address book.
    LearnPeer(Uid),
    /// A uid that leaves the address book.
    ForgetPeer(Uid),
    /// The lines shown beyond what the log tells. A cut changes this too: the user has seen every line that was in the
    /// log.
    Shown(Shown),
}

/// A request to read from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadRequest {
    /// Entries from an index on: at most [`limits::BATCH_ENTRIES_MAX`], and at most `bytes_max` in all but at least one
    /// entry.
    Log {
        /// The index of the first entry.
        from: Index,
        /// The most bytes, as [`Entry::weight`] counts them.
        bytes_max: usize,
    },
    /// The newest lines up to an index, in order.
    Newest {
        /// The last index to look at.
        to: Index,
        /// The most lines.
        lines: usize,
        /// The most bytes, as [`Entry::weight`] counts them.
        bytes_max: usize,
    },
    /// Pending lines after a place (`None`: from the first): at most [`limits::OFFER_LINES_MAX`], and at most
    /// [`limits::BATCH_BYTES_MAX`] in all but at least one line.
    Pending {
        /// The last place that was already read.
        after: Option<PendingPosition>,
    },
}

/// Why a node has ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The node has left the room.
    Left {
        /// Own lines that no leader has sequenced, or that no other member holds although there were others.
        waiting: u64,
    },
    /// No contact has answered.
    Unreachable,
    /// The room has refused the node.
    Refused(Refusal),
}

/// A node's role, in the words of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sequences the lines.
    Leader,
    /// Follows a leader.
    Follower,
    /// Looks for a leader.
    Electing,
    /// Joins the room.
    Joining,
}

/// How a member is, as far as a node knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Health {
    /// The member's address.
    pub uid: Uid,
    /// This node's link to it; `None`: there is none, usually because none is needed.
    pub link: Option<Link>,
    /// The smoothed round-trip time of heartbeats: on the leader's link to the member if known, else on this node's
    /// link.
    pub rtt: Option<Span>,
    /// Entries of the leader's log that the member is not known to hold. Only the leader knows it.
    pub behind: Option<u64>,
}

/// A link, as seen from one end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The link is in use; `false`: it is being opened.
    pub up: bool,
    /// Time since the last byte arrived, or since the dial.
    pub silent: Span,
}

/// How all members of a room are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoomHealth {
    /// Each member, in ring order.
    pub health: Vec<Health>,
    /// The leader has said what it knows; else this is what this node knows by itself.
    pub from_leader: bool,
}

/// A snapshot of a node, for `status` and for tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The room.
    pub room: Option<RoomId>,
    /// The node's name in the room.
    pub name: Name,
    /// The node's owner.
    pub author: AuthorId,
    /// The advertised address.
    pub uid: Uid,
    /// The role.
    pub role: Role,
    /// The adopted epoch; `None` while there is no leader.
    pub epoch: Option<Epoch>,
    /// The next node in the ring, if the link to it is up; the node itself when alone.
    pub next: Option<Uid>,
    /// The previous node in the ring, if it has a link to this node; the node itself when alone.
    pub prev: Option<Uid>,
    /// The members, in ring order.
    pub members: Vec<Member>,
    /// How each member is, in the same order, as far as this node knows by itself.
    pub health: Vec<Health>,
    /// Banned authors, with their last names where known.
    pub banned: Vec<(AuthorId, Option<Name>)>,
    /// The known channels, the lobby (`None`) first, each with its number of lines and its topic.
    pub channels: Vec<(Option<Channel>, u64, Option<Text>)>,
    /// Authors that are away, and their reasons.
    pub away: Vec<(AuthorId, Text)>,
    /// The end of the log.
    pub tail: Tail,
    /// The node's Lamport clock.
    pub lamport: Lamport,
    /// Own lines that are not in the log.
    pub waiting: u64,
    /// The index up to which every member is known to hold the log.
    pub stable_index: Index,
    /// The member that relays frames to the leader, if there is no direct link.
    pub relay: Option<Uid>,
}
