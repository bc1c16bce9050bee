//! The network: TCP links, and the driver that owns the [`Node`].
//!
//! ```text
//!   listener ──▶ door ──greeted──┐                         ┌──▶ writer ──▶ socket
//!   socket ──▶ reader ──frames──▶│ one bounded queue ──▶ driver (Node, Store)
//!   dialler ─────────socket─────▶┘                         └──▶ notices ──▶ frontends
//! ```
//!
//! One task owns the node and its store and does what the node says, in order. Readers decode, writers coalesce; both
//! are bounded in bytes by the constants of [`limits`], so that a fast, slow, silent or hostile peer is slowed down by
//! TCP itself or loses its own link, and nobody else notices.
//!
//! In a room with a key every link begins with a handshake ([`greeting`], [`noise`]), in the dialler's task and in the
//! door's, and carries its frames in sealed records.

mod accept;
mod dial;
mod driver;
#[cfg(feature = "forger")]
mod forger;
mod frames;
pub mod greeting;
mod inbox;
mod keyring;
pub mod limits;
mod link;
mod links;
mod look;
mod meter;
pub mod noise;
mod notices;
mod preamble;
mod rekeying;
mod strangers;
mod task;
#[cfg(test)]
mod tests;
mod whispers;
mod witness;

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context as _;
pub use keyring::{Keyring, Keys, Secrets};
pub use look::{Doing, Met, Unmet, hello_at, meet_at};
pub use meter::Meter;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use accept::Door;
use driver::{Clock, Commands, Driver};
use inbox::Inbox;
use limits::{COMMANDS_MAX, KEYS_CHANGED_MAX, NOTICE_BATCHES_MAX};
use links::Links;
use noise::Own;
use notices::Notices;
use rekeying::RoomKeys;
use task::Task;
use whispers::Whispers;

use crate::key::RoomKey;
use crate::ring::{
    Config, Entry, Event, Index, Lamport, Member, Node, Order, Saying, Start, Status, Stop, Survey, Text, Unsaid,
    WhisperId,
};
use crate::store::{Health, LogMark, Store};

/// What a frontend wants of the node.
#[derive(Debug)]
pub enum Command {
    /// Submit a line. Who gives a sender is answered with its number in this run's session; where it was not taken, the
    /// sender is dropped.
    Say(Saying, Option<oneshot::Sender<u64>>),
    /// Have something done to somebody; answered with whether a line says so now. In order, as [`Self::Say`].
    Order(Order, oneshot::Sender<bool>),
    /// Draw a new key for the room, and say so with this line; answered with whether a line says so now. In order, as
    /// [`Self::Say`].
    Rekey(Text, oneshot::Sender<bool>),
    /// Say this to one member alone: sealed for that one, and written nowhere. Answered with which message it is and for
    /// whom, or why it was not sent; what becomes of it is told with [`Event::Whispered`]. It need not stand in line: nothing of it is ordered.
    Whisper {
        /// A name, or an author's id or enough of its first digits.
        to: String,
        /// The words.
        text: Text,
        /// The answer.
        answer: oneshot::Sender<Result<(WhisperId, Member), Unsaid>>,
    },
    /// Answer with how all members are doing: within [`SURVEY_WAIT`](crate::ring::limits::SURVEY_WAIT) with what the
    /// leader says, or else with what this node knows by itself.
    Survey(oneshot::Sender<Survey>),
    /// Leave the room; a second time: at once.
    Leave,
    /// So far the log that people read is written.
    Logged(LogMark),
    /// Answer with the node's state at this moment.
    Status(oneshot::Sender<Status>),
    /// Answer with entries of the history.
    Past {
        /// The first.
        from: Index,
        /// As many as fit into [`BATCH_BYTES_MAX`](crate::ring::limits::BATCH_BYTES_MAX), at least one if there is one.
        answer: oneshot::Sender<Vec<Arc<Entry>>>,
    },
}

/// What a frontend is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Something happened in the room.
    Event(Event),
    /// A member has said this to this node's owner alone.
    Whisper {
        /// Whose words they are: proven by the seal. Which name an author has, nobody proves.
        from: Member,
        /// The words.
        text: Text,
    },
    /// The node's clock, before a notice that carries no timestamp of its own; only when it has changed.
    Clock(Lamport),
    /// The history's store.
    Health(Health),
    /// A peer broke the protocol, was refused or could not keep up, and lost its link. At most one per peer's IP
    /// address and [`limits::NOTICE_PAUSE`].
    PeerDropped {
        /// Its address; for the one notice about a listener that cannot accept, the listener's.
        peer: String,
        /// What was wrong: short, and fit for a terminal.
        why: String,
    },
}

/// A node at work.
///
/// It goes on when the frontends drop their ends of the channels; dropping or aborting [`done`](Self::done)'s task is a
/// crash: all sockets close and nobody is told.
#[derive(Debug)]
pub struct Running {
    /// Commands, in order. None is taken while the node's outbox has no room, so that whoever sends lines waits.
    pub commands: mpsc::Sender<Command>,
    /// Commands that do not stand in line behind what was said: for [`Command::Status`], [`Command::Survey`],
    /// [`Command::Past`], [`Command::Logged`] and [`Command::Whisper`], and for a [`Command::Leave`] that must not wait
    /// until everything said so far has found room.
    pub urgent: mpsc::Sender<Command>,
    /// What happened, in order and without a gap: the node waits while this is full.
    pub notices: mpsc::Receiver<Vec<Notice>>,
    /// Ends with the node: why it stopped, or the store's error.
    pub done: JoinHandle<anyhow::Result<Stop>>,
    /// What the network holds and has done.
    pub meter: Arc<Meter>,
    /// The room's keys, for new links.
    pub keyring: Keyring,
    /// The room's key, whenever it has changed: to be kept.
    pub rekeyed: mpsc::Receiver<RoomKey>,
}

/// What a handshake needs of this end.
#[derive(Clone, Debug)]
struct Locks {
    own: Arc<Own>,
    keyring: Keyring,
}

/// Starts a node on these listeners, within the current tokio runtime.
///
/// # Errors
/// A listener cannot be handed to the runtime, or the system gives no random numbers.
///
/// # Panics
/// The configured author is not the one whose identity is handed in.
pub fn start<S>(
    config: Config,
    store: S,
    listeners: Vec<std::net::TcpListener>,
    secrets: Secrets,
) -> anyhow::Result<Running>
where
    S: Store + Send + 'static,
    S::Error: Into<anyhow::Error>,
{
    assert_eq!(config.author, secrets.identity.author(), "a node speaks for its owner");
    let config = Config { key: secrets.key.as_ref().map(RoomKey::digest), ..config };
    let locks = Locks { own: Arc::new(Own::new(&secrets.identity)?), keyring: Keyring::new(secrets.key) };
    let whispers = Whispers::new(&secrets.identity);
    let keyring = locks.keyring.clone();
    let (changed, rekeyed) = mpsc::channel(KEYS_CHANGED_MAX);
    let listeners = listeners.into_iter().map(listen).collect::<anyhow::Result<Vec<_>>>()?;
    let meter = Arc::new(Meter::default());
    let entered = witness::Entered::default();
    let (inbox, arrivals) = Inbox::new(entered.clone());
    // A founder, and whoever comes back, is in its room from the start.
    if let Some(room) = config.saved.room.or(match config.start {
        Start::Found(room) => Some(room),
        Start::Join(_) | Start::Reopen | Start::Return => None,
    }) {
        let _ = entered.set(room);
    }
    let (command_sender, ordered) = mpsc::channel(COMMANDS_MAX);
    let (urgent_sender, urgent) = mpsc::channel(COMMANDS_MAX);
    let (notice_sender, notices) = mpsc::channel(NOTICE_BATCHES_MAX);
    let timing = config.timing;
    let door = Door::new(listeners, inbox.clone(), timing, locks.clone(), Arc::clone(&meter));
    let clock = Clock::start();
    let driver = Driver {
        node: Node::new(config),
        store,
        clock,
        now: clock.now(),
        said: Vec::new(),
        links: Links::new(inbox, timing, locks, Arc::clone(&meter)),
        notices: Notices::new(notice_sender),
        arrivals,
        commands: Commands { ordered, urgent },
        soon: VecDeque::new(),
        leaving: false,
        stop: None,
        meter: Arc::clone(&meter),
        persisted: mpsc::channel(1),
        entered,
        whispers,
        surveys: Vec::new(),
        keys: RoomKeys::new(keyring.clone(), changed),
        tend: tokio::time::Instant::now(),
    };
    let door = Task::spawn(door.run());
    let done = tokio::spawn(driver.run(door));
    Ok(Running { commands: command_sender, urgent: urgent_sender, notices, done, meter, keyring, rekeyed })
}

fn listen(listener: std::net::TcpListener) -> anyhow::Result<TcpListener> {
    let listening = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    listening.context("cannot listen on a socket that was handed over")
}
