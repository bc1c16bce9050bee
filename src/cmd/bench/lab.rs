//! The threads of a benchmark: one group for the measured side and one for the readers.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::payload::text;
use super::plan::LOOPBACK;
use crate::identity::Identity;
use crate::key::RoomKey;
use crate::net::{self, Command, RunningDriver, Secrets};
use crate::ring::limits::BACKLOG_LINES;
use crate::ring::{Config, Name, Rate, RoomId, SavedState, SessionId, Start, Stop, Timing, Uid};
use crate::store::MemoryStore;

/// The longest wait for a step that should be quick.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two checks of a condition that gives no event.
const POLL: Duration = Duration::from_millis(5);
/// Different texts, submitted in turn.
const TEXTS: u64 = 1024;

/// The threads of a benchmark.
pub struct Lab {
    /// The measured side: a leader with its driver, or a bare loop.
    pub room: Runtime,
    /// The thin readers.
    pub readers: Runtime,
}

impl Lab {
    /// Starts threads for the measured side and for the readers, one per core for each.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = |name: &str| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(cores()).thread_name(name).enable_all().build().context("cannot start threads")
        };
        Ok(Self { room: runtime("room")?, readers: runtime("readers")? })
    }
}

/// The number of cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Blocks the directing thread until `done` returns `true`.
///
/// # Errors
/// `done` fails, or does not return `true` in time.
pub fn wait_until(what: &str, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let start = Instant::now();
    while !done()? {
        anyhow::ensure!(start.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A room's leader in this process: the real node and its driver, with a store in memory. Dropping it ends the node.
pub struct Leader {
    /// The leader's address.
    pub address: SocketAddr,
    room: Handle,
    running: Option<JoinHandle<anyhow::Result<Stop>>>,
    commands: mpsc::Sender<Command>,
    _urgent: mpsc::Sender<Command>,
    tasks: JoinSet<()>,
}

/// Starts a node in this process, with a history in memory and no rate limit.
///
/// # Errors
/// The system gives no socket.
pub fn start_node(
    lab: &Lab,
    name: &str,
    start: Start,
    key: Option<RoomKey>,
) -> anyhow::Result<(SocketAddr, RunningDriver)> {
    let listener = TcpListener::bind((LOOPBACK, 0)).context("cannot listen on the loopback interface")?;
    let address = listener.local_addr()?;
    let identity = Identity::fresh()?;
    let config = Config {
        uid: Uid(address),
        name: Name::parse(name)?,
        rename: false,
        author: identity.author(),
        signer: Arc::new(identity.clone()),
        session: SessionId(getrandom::u64()?),
        seed: getrandom::u64()?,
        start,
        saved: SavedState::default(),
        key: None,
        rate: Rate::UNLIMITED,
        moderators: Vec::new(),
        backlog: BACKLOG_LINES,
        timing: Timing::default(),
    };
    let _within = lab.room.enter();
    let running = net::start(config, MemoryStore::new(), vec![listener], Secrets { identity, key })?;
    Ok((address, running))
}

impl Leader {
    /// Founds a room.
    ///
    /// # Errors
    /// The system gives no socket.
    pub fn start(lab: &Lab) -> anyhow::Result<Self> {
        let (address, running) = start_node(lab, "leader", Start::Create(RoomId(getrandom::u64()?)), None)?;
        let mut tasks = JoinSet::new();
        let mut notices = running.notices;
        // This task discards the notices, since the node waits while its channel is full.
        tasks.spawn_on(async move { while notices.recv().await.is_some() {} }, lab.room.handle());
        let room = lab.room.handle().clone();
        let (commands, urgent) = (running.commands, running.urgent);
        Ok(Self { address, room, running: Some(running.done), commands, _urgent: urgent, tasks })
    }

    /// Submits lines forever, as fast as the room takes them.
    ///
    /// # Errors
    /// None in practice: the texts are valid.
    pub fn talk(&mut self, lab: &Lab) -> anyhow::Result<()> {
        let texts = (0..TEXTS).map(text).collect::<anyhow::Result<Vec<_>>>()?;
        let commands = self.commands.clone();
        self.tasks.spawn_on(
            async move {
                for text in texts.iter().cycle() {
                    if commands.send(Command::Say(text.clone().into(), None)).await.is_err() {
                        return;
                    }
                }
            },
            lab.room.handle(),
        );
        Ok(())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            // Freeing a long history takes a while. It must not disturb the next measurement.
            let _ = self.room.block_on(running);
        }
    }
}
