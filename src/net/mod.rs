//! The network: TCP links, and the driver that owns the [`Node`].
//!
//! ```text
//!   listener ──▶ door ──greeted──┐                         ┌──▶ writer ──▶ socket
//!   socket ──▶ reader ──frames──▶│ one bounded queue ──▶ driver (Node, Store)
//!   dialler ─────────socket─────▶┘                         └──▶ notices ──▶ frontends
//! ```
//!
//! The folder [`transport`] turns bytes into verified frames. This folder runs the node. One task, the driver, owns the
//! node and its store, and executes the node's outputs in order. Readers decode frames, and writers coalesce them. The
//! constants of [`transport::limits`] bound the bytes of both. So TCP slows a fast peer down, and a slow, silent or
//! hostile peer loses its own link. Other peers are not affected.
//!
//! In a room with a key, every link begins with a handshake ([`transport::greeting`], [`transport::noise`]). It runs in
//! the dialler's task and in the listener's. The link then carries its frames in encrypted records.

mod api;
mod driver;
#[cfg(feature = "forger")]
mod forger;
mod links;
mod notices;
mod pm_crypto;
mod probe;
pub mod reach;
mod room_keys;
#[cfg(test)]
mod tests;
pub mod transport;

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Context as _;
pub use api::{Command, Notice};
pub use probe::{PeerInfo, PeerState, ProbeError, hello_at, meet_at};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
pub use transport::keyring::{Keyring, Keys, Secrets};
pub use transport::meter::Meter;

use driver::{Commands, Driver, NodeClock};
use links::Connections;
use notices::Notices;
use pm_crypto::PmCrypto;
use room_keys::RoomKeys;
use transport::inbox::Inbox;
use transport::keyring::HandshakeConfig;
use transport::limits::{COMMANDS_MAX, KEYS_CHANGED_MAX, NOTICE_BATCHES_MAX};
use transport::listener::Listener;
use transport::task::Task;
use transport::verify::RoomCell;

use crate::key::RoomKey;
use crate::ring::{Config, Node, Start, Stop};
use crate::store::Store;

/// A running node.
///
/// The node goes on when the frontends drop their ends of the channels. Dropping or aborting the task of
/// [`done`](Self::done) is a crash: all sockets close, and no peer gets a goodbye.
#[derive(Debug)]
pub struct RunningDriver {
    /// Commands, in order. The driver takes none while the node's outbox is full, so that a frontend that sends lines
    /// waits.
    pub commands: mpsc::Sender<Command>,
    /// Commands that do not wait behind lines: [`Command::Status`], [`Command::Survey`], [`Command::Past`],
    /// [`Command::Logged`] and [`Command::SendPm`]. Also a [`Command::Leave`] that must not wait until all earlier
    /// lines have found room.
    pub urgent: mpsc::Sender<Command>,
    /// The node's notices, in order and without a gap. The node waits while this channel is full.
    pub notices: mpsc::Receiver<Vec<Notice>>,
    /// Ends with the node. Returns why the node stopped, or the store's error.
    pub done: JoinHandle<anyhow::Result<Stop>>,
    /// Counters of the network.
    pub meter: Arc<Meter>,
    /// The room's keys, for new links.
    pub keyring: Keyring,
    /// Brings each new key of the room, so that a task can store it.
    pub rekeyed: mpsc::Receiver<RoomKey>,
}

/// Starts a node on these listeners, within the current tokio runtime.
///
/// # Errors
/// The runtime does not take a listener, or the system gives no random numbers.
///
/// # Panics
/// The configured author is not the author of the given identity.
pub fn start<S>(
    config: Config,
    store: S,
    listeners: Vec<std::net::TcpListener>,
    secrets: Secrets,
) -> anyhow::Result<RunningDriver>
where
    S: Store + Send + 'static,
    S::Error: Into<anyhow::Error>,
{
    assert_eq!(config.author, secrets.identity.author(), "a node speaks for its owner");
    let config = Config { key: secrets.key.as_ref().map(RoomKey::digest), ..config };
    let locks = HandshakeConfig::new(&secrets.identity, secrets.key)?;
    let pms = PmCrypto::new(&secrets.identity);
    let keyring = locks.keyring.clone();
    let (changed, rekeyed) = mpsc::channel(KEYS_CHANGED_MAX);
    let listeners = listeners.into_iter().map(listen).collect::<anyhow::Result<Vec<_>>>()?;
    let meter = Arc::new(Meter::default());
    let entered = RoomCell::default();
    let (inbox, arrivals) = Inbox::new(entered.clone());
    // A founder, or a node that comes back, is in its room from the start.
    if let Some(room) = config.saved.room.or(match config.start {
        Start::Create(room) => Some(room),
        Start::Join(_) | Start::Reopen | Start::Resume => None,
    }) {
        let _ = entered.set(room);
    }
    let (command_sender, ordered) = mpsc::channel(COMMANDS_MAX);
    let (urgent_sender, urgent) = mpsc::channel(COMMANDS_MAX);
    let (notice_sender, notices) = mpsc::channel(NOTICE_BATCHES_MAX);
    let timing = config.timing;
    let door = Listener::new(listeners, inbox.clone(), timing, locks.clone(), Arc::clone(&meter));
    let clock = NodeClock::start();
    let driver = Driver {
        node: Node::new(config),
        store,
        clock,
        now: clock.now(),
        said: Vec::new(),
        links: Connections::new(inbox, timing, locks, Arc::clone(&meter)),
        notices: Notices::new(notice_sender),
        arrivals,
        commands: Commands { ordered, urgent },
        soon: VecDeque::new(),
        leaving: false,
        stop: None,
        meter: Arc::clone(&meter),
        persisted: mpsc::channel(1),
        entered,
        pms,
        surveys: Vec::new(),
        keys: RoomKeys::new(keyring.clone(), changed),
        tend: tokio::time::Instant::now(),
    };
    let door = Task::spawn(door.run());
    let done = tokio::spawn(driver.run(door));
    Ok(RunningDriver { commands: command_sender, urgent: urgent_sender, notices, done, meter, keyring, rekeyed })
}

fn listen(listener: std::net::TcpListener) -> anyhow::Result<TcpListener> {
    let listening = listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
    listening.context("cannot listen on a socket that was handed over")
}
