//! The simulated world: hosts, processes, disks, a network, and one virtual clock in microseconds.
//!
//! Everything that happens is an event in one heap, ordered by time and then by the order of its making; whatever is
//! left to chance is drawn from one seed. So the same seed and the same calls give the same run, step by step.

pub mod actions;
pub mod disk;
mod driver;
pub mod hand;
pub mod net;
pub mod rng;
mod telling;
pub mod trace;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use dist_chat::ring::{
    AuthorId, ConnId, Cut, Digest, Frame, Name, Node, PmId, PmOutcome, PmProof, Rate, ReadId, ReadReply, RoomHealth,
    Stop, SyncId, Timing, Uid,
};

use crate::check::Checks;
use disk::Disk;
use net::{Item, Net};
use rng::Rng;
use trace::Short;

/// One second of virtual time.
pub const SECOND: u64 = 1_000_000;
/// One millisecond of virtual time.
pub const MS: u64 = 1_000;

/// A process's own clocks, beside the world's.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// When it started, on the world's clock.
    started: u64,
    /// What its monotonic clock said then.
    mono: u64,
    /// Millionths by which it is too fast.
    drift: i64,
    /// What its wall clock is wrong by, in milliseconds.
    wall: i64,
}

impl Clock {
    fn local(self, now: u64) -> u64 {
        let passed = i64::try_from(now - self.started).unwrap_or(i64::MAX / 2);
        let extra = passed.saturating_mul(self.drift) / 1_000_000;
        self.mono.saturating_add_signed(passed + extra)
    }

    /// The first instant at which the local clock shows at least this; at least `now`.
    fn global(self, local: u64, now: u64) -> u64 {
        let mut at = now;
        for _ in 0..4 {
            let shown = self.local(at);
            if shown >= local {
                break;
            }
            at = at.saturating_add(((local - shown) / 2).max(local - shown - (local - shown) / 64).max(1));
        }
        at
    }
}

/// What reaches a process.
#[derive(Clone, Debug)]
enum Arrival {
    Item { conn: usize, side: usize, item: Item },
    Dialled(usize),
    DialFailed { conn: usize, refused: bool },
    Read(ReadId, ReadReply),
    Persisted(SyncId, usize),
    Cut(Box<Cut>),
    KeyHeld(Digest),
    Opened { id: PmId, from: AuthorId, token: Option<PmProof> },
}

/// A running dist-chat.
#[derive(Debug)]
pub struct Process {
    /// The core.
    pub node: Node,
    /// Counts the processes of the whole world from 1.
    pub run: u32,
    /// Stopped by a signal: what arrives waits.
    pub paused: bool,
    /// Its person wants to leave.
    pub leaving: bool,
    /// It is in the room.
    pub entered: bool,
    /// What its own clocks say.
    pub clock: Clock,
    mailbox: VecDeque<Arrival>,
    conns: BTreeMap<ConnId, (usize, usize)>,
    accepted: u64,
    tick_at: Option<u64>,
    spins: (u64, u32),
    cutting: bool,
    reads_until: u64,
    steps: u64,
}

/// A host with its address, its disk and at most one process.
#[derive(Debug)]
pub struct Slot {
    /// Its address.
    pub uid: Uid,
    /// The name that its owner would like.
    pub name: Name,
    /// Its owner.
    pub author: AuthorId,
    /// The hash of the room key that it holds.
    pub key: Option<Digest>,
    /// That of a key which it has drawn for the room.
    pub drawn: Option<Digest>,
    /// Those of keys that others have drawn.
    pub offered: Vec<Digest>,
    /// What its owner was told alone, and by whom.
    pub heard: Vec<(Name, String)>,
    /// What its owner was told of what it has told others alone.
    pub fates: Vec<(PmId, PmOutcome)>,
    /// How its owner was told that all are doing, last.
    pub survey: Option<RoomHealth>,
    /// It has power.
    pub host_up: bool,
    /// What runs there.
    pub process: Option<Process>,
    /// What is written there.
    pub disk: Disk,
    /// How its last process ended by itself.
    pub stopped: Option<Stop>,
    /// The process is to die after so many more outputs; `true`: the host with it.
    pub doomed: Option<(u32, bool)>,
    /// Millionths by which its clocks are too fast.
    pub drift: i64,
    /// What its wall clock is wrong by, in milliseconds.
    pub wall: i64,
}

#[derive(Debug)]
enum Happening {
    Wake { conn: usize, dir: usize },
    Syn(usize),
    SynAck(usize),
    DialFail { conn: usize, refused: bool },
    Stored { slot: usize, run: u32, arrival: Box<Arrival> },
    Tick { slot: usize, run: u32 },
    Alarm(u64),
}

#[derive(Debug)]
struct Event {
    at: u64,
    /// Ticks come after everything else of the same instant.
    last: bool,
    number: u64,
    what: Happening,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.last, self.number).cmp(&(other.at, other.last, other.number))
    }
}

/// Numbers that a run is told by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Calls of [`Node::step`].
    pub steps: u64,
    /// Frames sent.
    pub frames: u64,
    /// Tokens and announcements from next to next.
    pub ring_messages: u64,
    /// Elections started: rounds, counted once for each starter.
    pub rounds: u64,
    /// Questions whom others follow.
    pub asks: u64,
}

/// How often a store answers late, and how late, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlowStore {
    /// In a hundred reads.
    pub percent: u64,
    /// At most.
    pub delay_max: u64,
}

/// Everything that is simulated.
#[derive(Debug)]
pub struct World {
    /// The instant.
    pub now: u64,
    /// The hosts.
    pub slots: Vec<Slot>,
    /// What is between them.
    pub net: Net,
    /// All chance.
    pub rng: Rng,
    /// Who watches.
    pub checks: Checks,
    /// What has been counted.
    pub tally: Tally,
    /// How reads are answered.
    pub slow_store: SlowStore,
    /// The protocol's times.
    pub timing: Timing,
    /// What the checkers or the world itself found wrong.
    pub failure: Option<String>,
    /// A hash over everything that has happened.
    pub hash: u64,
    /// The readable trace, if one is kept.
    pub trace: Option<Vec<String>>,
    /// Changes outputs before they are obeyed: for proofs that the checkers bite.
    pub tamper: Option<Tamper>,
    /// This host's frames are changed on their way, as if it had meant to.
    pub forger: Option<(usize, Forge)>,
    /// What a leader takes from one author.
    pub rate: Rate,
    /// Who may moderate a room that is founded.
    pub moderators: Vec<AuthorId>,
    /// Whether since the last look an election stirred anywhere.
    pub unrest: Option<String>,
    short: Short,
    heap: BinaryHeap<Reverse<Event>>,
    events: u64,
    runs: u32,
}

/// Changes a frame on its way.
pub type Forge = fn(&mut Frame);

/// A way to spoil a node's outputs.
pub type Tamper = fn(&mut Vec<dist_chat::ring::Output>, usize, u64);

/// The address of the `slot`-th host. Addresses ascend with the slot.
pub fn address(slot: usize) -> SocketAddr {
    let [high, low] = u16::try_from(slot + 1).unwrap_or(u16::MAX).to_be_bytes();
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 2428)
}

/// The host at this address.
pub fn slot_at(address: SocketAddr) -> Option<usize> {
    match address.ip() {
        IpAddr::V4(ip) => usize::from(u16::from_be_bytes([ip.octets()[2], ip.octets()[3]])).checked_sub(1),
        IpAddr::V6(_) => None,
    }
}

impl World {
    /// Hosts with power and an empty disk each, and links of this delay and jitter between them.
    pub fn new(seed: u64, hosts: usize, delay: u64, jitter: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut short = Short::default();
        let slots = (0..hosts)
            .map(|slot| {
                short.name(address(slot).to_string(), slot);
                Slot {
                    uid: Uid(address(slot)),
                    name: name(&trace::host(slot)),
                    author: AuthorId::of_bits(rng.bits()),
                    key: None,
                    drawn: None,
                    offered: Vec::new(),
                    heard: Vec::new(),
                    fates: Vec::new(),
                    survey: None,
                    host_up: true,
                    process: None,
                    disk: Disk::default(),
                    stopped: None,
                    doomed: None,
                    drift: 0,
                    wall: 0,
                }
            })
            .collect();
        Self {
            now: 0,
            slots,
            net: Net::new(hosts, delay, jitter),
            rng,
            checks: Checks::new(hosts),
            tally: Tally::default(),
            slow_store: SlowStore::default(),
            timing: Timing::default(),
            failure: None,
            hash: 0xcbf2_9ce4_8422_2325,
            trace: None,
            tamper: None,
            forger: None,
            moderators: Vec::new(),
            rate: Rate::DEFAULT,
            unrest: None,
            short,
            heap: BinaryHeap::new(),
            events: 0,
            runs: 0,
        }
    }

    /// Notes the first thing that is wrong.
    pub fn fail(&mut self, what: impl Into<String>) {
        if self.failure.is_none() {
            let what = self.shorten(&what.into());
            self.tell(|_| format!("!!! {what}"));
            self.failure = Some(format!("at {}: {what}", stamp(self.now)));
        }
    }

    /// Takes the checkers' word.
    pub fn verdict(&mut self, verdict: Result<(), String>) {
        if let Err(what) = verdict {
            self.fail(what);
        }
    }

    /// Adds a line to the trace, if one is kept.
    pub fn tell(&mut self, line: impl FnOnce(&mut Short) -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {}", stamp(self.now), line(&mut self.short)));
        }
    }

    /// Shortens addresses and ids.
    pub fn shorten(&mut self, text: &str) -> String {
        self.short.text(text)
    }

    /// Mixes into the hash.
    fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    fn at(&mut self, at: u64, what: Happening) {
        let last = matches!(what, Happening::Tick { .. });
        self.events += 1;
        self.heap.push(Reverse(Event { at: at.max(self.now), last, number: self.events, what }));
    }

    /// Asks [`run_until`](Self::run_until) to come back at this instant with this number.
    pub fn alarm(&mut self, at: u64, number: u64) {
        self.at(at, Happening::Alarm(number));
    }

    /// Lets things happen until an alarm rings (its number is given), the time has come, or something is wrong.
    pub fn run_until(&mut self, until: u64) -> Option<u64> {
        while self.failure.is_none() {
            match self.heap.peek() {
                Some(Reverse(event)) if event.at <= until => {}
                _ => {
                    self.now = self.now.max(until);
                    return None;
                }
            }
            if let Some(alarm) = self.one_more() {
                return Some(alarm);
            }
        }
        None
    }

    /// Lets the next thing happen; an alarm's number is given.
    fn one_more(&mut self) -> Option<u64> {
        let Reverse(event) = self.heap.pop()?;
        self.now = self.now.max(event.at);
        match event.what {
            Happening::Alarm(number) => return Some(number),
            Happening::Wake { conn, dir } => self.wake(conn, dir),
            Happening::Syn(conn) => self.syn(conn),
            Happening::SynAck(conn) => self.syn_ack(conn),
            Happening::DialFail { conn, refused } => {
                let end = &self.net.conns[conn].ends[0];
                let (slot, run) = (end.slot, end.run);
                self.arrive(slot, run, Arrival::DialFailed { conn, refused });
            }
            Happening::Stored { slot, run, arrival } => self.arrive(slot, run, *arrival),
            Happening::Tick { slot, run } => self.tick(slot, run),
        }
        None
    }

    /// Runs until something that the trace tells holds this text; whether it did within `limit` microseconds.
    ///
    /// # Panics
    /// If no trace is kept.
    pub fn run_until_told(&mut self, text: &str, limit: u64) -> bool {
        let until = self.now + limit;
        let mut seen = self.trace.as_ref().map_or(0, Vec::len);
        loop {
            let Some(trace) = &self.trace else { panic!("no trace is kept") };
            if trace[seen..].iter().any(|line| line.contains(text)) {
                return true;
            }
            seen = trace.len();
            if self.failure.is_some() || self.heap.peek().is_none_or(|Reverse(event)| event.at > until) {
                return false;
            }
            self.one_more();
        }
    }

    /// Runs until the time has come, whatever alarms ring.
    pub fn run_to(&mut self, until: u64) {
        while self.run_until(until).is_some() {}
    }

    /// Whether a process runs there.
    pub fn up(&self, slot: usize) -> bool {
        self.slots[slot].process.is_some()
    }

    /// The hosts on which a process runs.
    pub fn running(&self) -> Vec<usize> {
        (0..self.slots.len()).filter(|&slot| self.up(slot)).collect()
    }
}

/// A name from text that is one.
pub fn name(text: &str) -> Name {
    match Name::parse(text) {
        Ok(name) => name,
        Err(error) => panic!("{text}: {error}"),
    }
}

/// An instant in seconds.
pub fn stamp(micros: u64) -> String {
    format!("{:>3}.{:06}", micros / SECOND, micros % SECOND)
}

/// The uid of the `slot`-th host.
pub fn uid(slot: usize) -> Uid {
    Uid(address(slot))
}
