//! The driver: owns the node and its store.

mod commands;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::api::Command;
use super::links::{Connections, overflowed};
use super::notices::Notices;
use super::pm_crypto::PmCrypto;
use super::room_keys::RoomKeys;
use super::transport::arrival::Arrival;
use super::transport::arrival::Failed;
use super::transport::limits::{TURN_COMMANDS_MAX, TURN_FRAMES_MAX};
use super::transport::meter::Meter;
use super::transport::task::Task;
use super::transport::verify::RoomCell;
use crate::ring::{
    ConnId, Event, Frame, Input, Member, Node, Now, Output, PrivateMessage, ReadReply, ReadRequest, Record, Refusal,
    RoomHealth, Secret, Stop, SyncId, Time, WallMs,
};
use crate::store::Store;

/// Time between two maintenance calls to the store.
const TEND: Duration = Duration::from_millis(200);

/// A sync request, and whether the data is now on the medium.
type Persisted = (SyncId, bool);

/// The one task that steps the node.
#[derive(Debug)]
pub(super) struct Driver<S> {
    pub(super) node: Node,
    pub(super) store: S,
    pub(super) clock: NodeClock,
    pub(super) links: Connections,
    pub(super) notices: Notices,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) commands: Commands,
    /// Commands of this turn.
    pub(super) said: Vec<Command>,
    /// The clocks, read once for all inputs that were ready together.
    pub(super) now: Now,
    /// Inputs that the node gets before all others: first the store's answers, then the ends of connections that were
    /// cut.
    pub(super) soon: VecDeque<Input>,
    /// The user wants to leave. The driver still takes later lines, and the node refuses them.
    pub(super) leaving: bool,
    pub(super) stop: Option<Stop>,
    pub(super) meter: Arc<Meter>,
    /// The store reports here what it has synced.
    pub(super) persisted: (mpsc::Sender<Persisted>, mpsc::Receiver<Persisted>),
    /// The time of the next maintenance call to the store.
    pub(super) tend: Instant,
    pub(super) keys: RoomKeys,
    /// The node's room, shared with the readers that verify signatures.
    pub(super) entered: RoomCell,
    pub(super) pms: PmCrypto,
    /// Open requests for the health of all members.
    pub(super) surveys: Vec<oneshot::Sender<RoomHealth>>,
}

/// The sources of commands.
#[derive(Debug)]
pub(super) struct Commands {
    pub(super) ordered: mpsc::Receiver<Command>,
    pub(super) urgent: mpsc::Receiver<Command>,
}

/// The node's clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeClock(Instant);

impl NodeClock {
    /// A clock that starts now.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (mono, wall) = (self.0.elapsed().as_micros(), wall.as_millis());
        Now { mono: Time(mono.try_into().unwrap_or(u64::MAX)), wall: WallMs(wall.try_into().unwrap_or(u64::MAX)) }
    }

    /// The instant of a core time. If it is out of range, an instant in the far future.
    fn instant(self, time: Time) -> Instant {
        const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
        self.0 + Duration::from_micros(time.0).min(YEARS)
    }
}

/// The reason why the driver woke up.
enum Woken {
    Urgent(Option<Command>),
    Arrival(Option<Arrival>),
    Commands,
    Persisted(Option<Persisted>),
    Deadline,
}

impl<S> Driver<S>
where
    S: Store,
    S::Error: Into<anyhow::Error>,
{
    /// Drives the node until it stops.
    ///
    /// # Errors
    /// The store has failed.
    pub(super) async fn run(mut self, door: Task) -> anyhow::Result<Stop> {
        self.step(Input::Tick)?;
        loop {
            self.finish_turn()?;
            self.links.flush();
            self.notices.deliver().await;
            if let Some(stop) = self.stop {
                drop(door);
                self.links.finish().await;
                wrote(self.store.finish())?;
                return Ok(stop);
            }
            let woken = self.wait().await;
            self.turn(woken).await?;
        }
    }

    /// Writes what the node has saved, and then sends and shows what followed from it.
    fn finish_turn(&mut self) -> anyhow::Result<()> {
        wrote(self.store.commit())?;
        let now = Instant::now();
        if self.tend <= now {
            self.tend = now + TEND;
            for health in wrote(self.store.tend())? {
                self.notices.health(health);
            }
        }
        Ok(())
    }

    /// Waits for something to do.
    async fn wait(&mut self) -> Woken {
        let deadline = self.clock.instant(self.node.deadline());
        let room = self.command_room();
        if deadline <= Instant::now() {
            // The node has gathered output. The readers get one chance to hand over what else has arrived.
            tokio::task::yield_now().await;
            return Woken::Deadline;
        }
        let Commands { ordered, urgent } = &mut self.commands;
        tokio::select! {
            biased;
            command = urgent.recv(), if !(urgent.is_closed() && urgent.is_empty()) => Woken::Urgent(command),
            persisted = self.persisted.1.recv() => Woken::Persisted(persisted),
            arrival = self.arrivals.recv() => Woken::Arrival(arrival),
            _ = ordered.recv_many(&mut self.said, room), if room > 0 && !(ordered.is_closed() && ordered.is_empty()) => {
                Woken::Commands
            }
            () = tokio::time::sleep_until(deadline) => Woken::Deadline,
        }
    }

    /// Steps a bounded number of the inputs that are ready, then ticks the node if its deadline has passed.
    async fn turn(&mut self, woken: Woken) -> anyhow::Result<()> {
        self.now = self.clock.now();
        let (mut frames, mut urgent) = (0, 0);
        match woken {
            Woken::Urgent(command) => command.map_or(Ok(()), |command| self.command(command))?,
            Woken::Arrival(arrival) => frames += arrival.map_or(Ok(0), |arrival| self.arrived(arrival))?,
            Woken::Persisted(done) => done.map_or(Ok(()), |(id, kept)| self.step(Input::Persisted { id, kept }))?,
            Woken::Commands | Woken::Deadline => {}
        }
        while self.stop.is_none() && urgent < TURN_COMMANDS_MAX {
            let Ok(command) = self.commands.urgent.try_recv() else { break };
            self.command(command)?;
            urgent += 1;
        }
        while self.stop.is_none() && frames < TURN_FRAMES_MAX {
            let Ok(arrival) = self.arrivals.try_recv() else { break };
            self.now = self.clock.now();
            frames += self.arrived(arrival)?;
        }
        self.take_commands().await?;
        self.now = self.clock.now();
        if self.stop.is_none() && self.node.deadline() <= self.now.mono {
            self.step(Input::Tick)?;
        }
        self.meter.turned();
        Ok(())
    }

    /// Decrypts a private message to this node's owner and shows it. A message that does not decrypt is dropped.
    fn open(&mut self, from: Member, pm: &PrivateMessage) {
        let opened = self.entered.get().and_then(|&room| self.pms.open(room, pm));
        let (id, author) = (pm.id, pm.from);
        let token = opened.map(|(token, text)| {
            self.notices.pm(from, text);
            token
        });
        self.answer(Input::PmOpened { id, from: author, token });
    }

    /// Steps an arrival. Returns the number of frames that it counts as.
    fn arrived(&mut self, arrival: Arrival) -> anyhow::Result<usize> {
        match arrival {
            Arrival::Frames { conn, frames, cost: _cost } => {
                let count = frames.len();
                for frame in frames {
                    // The node may close a connection while frames from it are still queued.
                    if self.links.peer(conn).is_none() || self.stop.is_some() {
                        break;
                    }
                    self.step(Input::Frame(conn, frame))?;
                }
                return Ok(count);
            }
            Arrival::Gone { conn, why } => self.gone(conn, why)?,
            Arrival::Forged { conn, forged } => {
                if self.links.peer(conn).is_some() {
                    self.step(Input::Forged(conn, forged))?;
                }
            }
            Arrival::Dialled { conn, result: Ok(connected) } => {
                if self.links.dialled(conn, *connected) {
                    self.step(Input::Dialled(conn))?;
                }
            }
            Arrival::Dialled { conn, result: Err(failed) } => self.dial_failed(conn, failed)?,
            Arrival::Greeted { connected, peer, hello } => {
                let late = connected.session.as_ref().filter(|session| session.late);
                if late.is_some_and(|session| !self.node.is_member(session.author)) {
                    self.notices.turned_away(Instant::now(), peer, "has the room key of before, and was not here");
                    let conn = self.links.accept(peer, *connected);
                    self.send(&[conn], &Frame::Refuse(Refusal::WrongKey));
                    self.close(conn);
                    return Ok(1);
                }
                let conn = self.links.accept(peer, *connected);
                self.step(Input::Accepted(conn))?;
                if self.links.peer(conn).is_some() && self.stop.is_none() {
                    self.step(Input::Frame(conn, *hello))?;
                }
            }
            Arrival::TurnedAway { peer, why } => self.notices.turned_away(Instant::now(), peer, &why),
        }
        Ok(1)
    }

    fn dial_failed(&mut self, conn: ConnId, failed: Failed) -> anyhow::Result<()> {
        // Absent: the node no longer waits for this connection.
        let Some(link) = self.links.remove(conn) else { return Ok(()) };
        let mut tell = |why: &str| self.notices.turned_away(Instant::now(), link.peer(), why);
        let input = match failed {
            Failed::Refused => Input::DialFailed { conn, refused: true },
            Failed::Unreachable => Input::DialFailed { conn, refused: false },
            Failed::TurnedAway(refusal) => {
                tell(&answered(&refusal));
                Input::DialRejected(conn, refusal)
            }
            Failed::Broken(why) => {
                tell(&why);
                Input::DialFailed { conn, refused: false }
            }
        };
        self.step(input)
    }

    fn gone(&mut self, conn: ConnId, why: Option<String>) -> anyhow::Result<()> {
        // Absent: the node has closed the connection and ignores the rest.
        let Some(link) = self.links.remove(conn) else { return Ok(()) };
        if let Some(why) = why {
            self.notices.dropped(Instant::now(), link.peer(), &why);
        }
        self.step(Input::Closed(conn))
    }

    /// Steps an input, then the queued inputs that follow from it.
    fn step(&mut self, input: Input) -> anyhow::Result<()> {
        let mut next = Some(input);
        while let Some(input) = next {
            let outputs = self.node.step(self.now, input);
            self.notices.set_clock(self.node.lamport());
            for output in outputs {
                self.obey(output)?;
            }
            if let Some(wanted) = self.node.key_wanted()
                && self.keys.take(wanted)
            {
                self.soon.push_back(Input::KeyInstalled(wanted));
            }
            next = if self.stop.is_none() { self.soon.pop_front() } else { None };
        }
        Ok(())
    }

    fn obey(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Save(record) => {
                if let Record::Room(room) = record {
                    let _ = self.entered.set(room);
                }
                wrote(self.store.save(&record))?;
            }
            Output::Sync => wrote(self.store.sync())?,
            Output::Persist(id) => {
                let done = self.persisted.0.clone();
                // The node asks for one sync at a time, so the channel has room.
                wrote(self.store.persist(Box::new(move |kept| {
                    let _ = done.try_send((id, kept));
                })))?;
            }
            Output::Read(id, wanted) => {
                let found = self.read(&wanted)?;
                self.answer(Input::Read(id, found));
            }
            Output::Cut(keep) => {
                let cut = wrote(self.store.cut(keep))?;
                // The node must know first which entries are left.
                self.soon.push_front(Input::Cut(cut));
            }
            Output::Dial(conn, to) => self.links.dial(conn, to),
            Output::Send(conns, frame) => {
                self.send(&conns, &frame);
            }
            Output::GiveKey(conn) => self.send_key(&[conn], self.keys.present()),
            Output::OfferKey(conns) => self.send_key(&conns, self.keys.newest()),
            Output::TakeKey(secret) => self.keys.offer_sent(&secret),
            Output::OpenPm(from, pm) => self.open(from, &pm),
            Output::HealthReply(survey) => {
                for answer in self.surveys.drain(..) {
                    let _ = answer.send(RoomHealth::clone(&survey));
                }
            }
            Output::Close(conn) => {
                // Closing may send the connection's queued frames at once. What they depend on is written first.
                wrote(self.store.commit())?;
                self.close(conn);
            }
            Output::Event(Event::ProtocolViolation { conn, why }) => {
                if let Some(peer) = self.links.peer(conn) {
                    self.notices.dropped(Instant::now(), peer, why);
                }
            }
            Output::Event(event) => {
                if let Event::Renamed { was, name } = &event
                    && self.node.is_me(was)
                    && self.node.name() == name
                {
                    self.store.renamed(name);
                }
                self.notices.event(event);
            }
            Output::Stop(stop) => self.stop = Some(stop),
        }
        Ok(())
    }

    fn send_key(&mut self, conns: &[ConnId], key: Option<Secret>) {
        if let Some(key) = key {
            self.send(conns, &Frame::Key(key));
        }
    }

    fn send(&mut self, conns: &[ConnId], frame: &Frame) {
        for cut in self.links.send(conns, frame) {
            self.notices.dropped(Instant::now(), cut.peer, &overflowed());
            self.soon.push_back(Input::Closed(cut.conn));
        }
    }

    fn read(&mut self, wanted: &ReadRequest) -> anyhow::Result<ReadReply> {
        self.store.read(wanted).map_err(|error| error.into().context("cannot read the history"))
    }

    /// Queues what the store has read: behind its earlier answers, before the ends of connections.
    fn answer(&mut self, read: Input) {
        let answers = self.soon.iter().take_while(|input| !matches!(input, Input::Closed(_))).count();
        self.soon.insert(answers, read);
    }

    fn close(&mut self, conn: ConnId) {
        self.links.close(conn);
        // The connection may have been cut a moment ago.
        self.soon.retain(|input| !matches!(input, Input::Closed(closed) if *closed == conn));
    }
}

/// The text of a notice about a peer that refuses this node.
fn answered(refusal: &Refusal) -> String {
    match refusal {
        Refusal::WrongKey => "says that its room has another key".to_owned(),
        Refusal::NoKey => "says that its room has no key".to_owned(),
        Refusal::KeyNeeded => "says that its room has a key".to_owned(),
        Refusal::Version(theirs) => format!("speaks version {theirs} of the protocol"),
        Refusal::SameAddress => "is this node itself, or sends back what it is sent".to_owned(),
        Refusal::Room(_)
        | Refusal::Name(_)
        | Refusal::Full
        | Refusal::Forger
        | Refusal::Kicked(_)
        | Refusal::Banned(_)
        | Refusal::Protocol => "refuses this node".to_owned(),
    }
}

fn wrote<T, E: Into<anyhow::Error>>(result: Result<T, E>) -> anyhow::Result<T> {
    result.map_err(Into::into).context("cannot write the history")
}
