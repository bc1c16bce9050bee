//! One state of a small world: nodes with their disks, connections with what is on its way, and what may still happen.
//!
//! There is no common clock and no random number: a state and an [`Action`] give the next state. Nodes are the real
//! ones. Copies share what a step does not touch.

#[path = "../../sim/world/disk.rs"]
#[expect(dead_code, reason = "the simulator uses the rest")]
pub mod disk;
mod driver;
#[path = "../../sim/world/hand.rs"]
#[expect(dead_code, reason = "the simulator uses the rest")]
pub mod hand;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use dist_chat::ring::{ConnId, Frame, Node, SyncId, Uid};

use crate::check::Checks;
use crate::rules::{Left, Rules};
use disk::Disk;

/// A connection's name: who dialled it (host and run), and how that process calls it.
pub type Key = (usize, u32, ConnId);

/// The uid of the `slot`-th host. Uids ascend with the slot.
pub fn uid(slot: usize) -> Uid {
    let last = u8::try_from(slot + 1).unwrap_or(u8::MAX);
    Uid(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 2428))
}

/// The host at this address.
pub fn slot_at(address: SocketAddr) -> Option<usize> {
    match address.ip() {
        IpAddr::V4(ip) => usize::from(ip.octets()[3]).checked_sub(1),
        IpAddr::V6(_) => None,
    }
}

/// The short name of a host.
pub fn host(slot: usize) -> char {
    char::from(b'a' + u8::try_from(slot).unwrap_or(25))
}

/// A hash that is the same in every run.
pub fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What travels on a connection.
#[derive(Clone, Debug, Hash)]
pub enum Item {
    /// The dialler knocks at the other host.
    Syn,
    /// The other host has let it in.
    Opened,
    /// Nobody listens there.
    Refused,
    /// A frame.
    Frame(Arc<Frame>),
    /// The other end is gone.
    Closed,
}

impl Item {
    /// What opens and keeps a connection, and tells neighbours: brisk worlds deliver it as soon as it is first in line.
    fn is_brisk(&self) -> bool {
        match self {
            Item::Syn | Item::Opened | Item::Refused => true,
            Item::Closed => false,
            Item::Frame(frame) => matches!(
                **frame,
                Frame::Hello(_)
                    | Frame::Ping(_)
                    | Frame::Pong(_)
                    | Frame::Adjacent(_)
                    | Frame::NextIs(_)
                    | Frame::StableIndex(_)
                    | Frame::TokenAck { .. }
            ),
        }
    }

    fn name(&self) -> String {
        match self {
            Item::Frame(frame) => format!("{frame:?}"),
            other => format!("{other:?}"),
        }
    }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Hash)]
struct End {
    slot: usize,
    /// As the process there calls it, while it holds it.
    id: Option<ConnId>,
}

/// What is on its way in one direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Dir {
    /// First in, first out; each with its place in the order of all sending.
    pub items: VecDeque<(u64, Item)>,
    /// Nothing of it is delivered while there is anything else to deliver.
    pub held: bool,
}

/// A connection; the dialler's end and direction are number 0.
#[derive(Clone, Debug)]
pub struct Conn {
    ends: [End; 2],
    pub dirs: [Dir; 2],
}

/// A running dist-chat.
#[derive(Clone, Debug)]
pub struct Process {
    /// The core.
    pub node: Node,
    /// Its own clock, in microseconds.
    pub mono: u64,
    /// It is in the room.
    pub entered: bool,
    /// Its person wants to leave.
    pub leaving: bool,
    run: u32,
    conns: BTreeMap<ConnId, (Key, usize)>,
    /// What is being put on the medium: so many operations of the disk.
    syncs: VecDeque<(SyncId, usize)>,
    hash: u64,
}

impl Process {
    /// How long until its next timer; `None`: something gathered is to go out first.
    pub fn timer(&self) -> Option<u64> {
        let deadline = self.node.deadline().0;
        (deadline > self.mono).then(|| deadline - self.mono)
    }

    /// Nothing has been gathered, and nothing is on its way to the medium.
    fn idle(&self) -> bool {
        self.timer().is_some() && self.syncs.is_empty()
    }
}

/// A host.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What runs there.
    pub process: Option<Rc<Process>>,
    /// What is written there.
    pub disk: Rc<Disk>,
    disk_hash: u64,
    /// How many processes have run there.
    runs: u32,
}

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The first in line of this direction arrives.
    Deliver(Key, usize),
    /// The first in line of this direction, and what follows it, stays on its way until nothing else is.
    Hold(Key, usize),
    /// What a node has gathered goes out.
    Flush(usize),
    /// What a node has written so far is on its medium.
    Synced(usize),
    /// A node's next timer fires.
    Tick(usize),
    /// A node dies; `lossy`: what it had sent is lost with it.
    Crash { slot: usize, lossy: bool },
    /// A node starts and joins.
    Join(usize),
    /// A node that has died starts again with its files.
    Restart(usize),
    /// Somebody types a line.
    Say(usize),
    /// Somebody wants to leave.
    Leave(usize),
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    pub what: What,
    /// The process that acts dies after so many of its outputs; `true`: what it had sent is lost.
    pub dies: Option<(u32, bool)>,
    /// What it takes from the budget of delays.
    pub cost: u8,
}

/// A state.
#[derive(Clone, Debug)]
pub struct State {
    pub slots: Vec<Slot>,
    pub conns: BTreeMap<Key, Conn>,
    /// What may still happen.
    pub left: Left,
    /// Who watches.
    pub checks: Rc<Checks>,
    /// What the checkers remember and nothing else in the state tells.
    facts: Rc<BTreeSet<u64>>,
    /// Tokens and announcements from next to next, by round.
    pub ring_messages: BTreeMap<u64, u32>,
    pub rules: Rc<Rules>,
    stamp: u64,
    outputs: u32,
    doom: Option<(u32, bool)>,
}

impl State {
    /// Hosts with empty disks, on which nothing runs.
    pub fn new(hosts: usize, rules: Rules) -> Self {
        let disk = Rc::new(Disk::default());
        let slot = Slot { process: None, disk_hash: disk_hash(&disk), disk, runs: 0 };
        Self {
            slots: vec![slot; hosts],
            conns: BTreeMap::new(),
            left: Left::default(),
            checks: Rc::new(Checks::new(hosts)),
            facts: Rc::default(),
            ring_messages: BTreeMap::new(),
            rules: Rc::new(rules),
            stamp: 0,
            outputs: 0,
            doom: None,
        }
    }

    /// Who runs.
    pub fn running(&self) -> impl Iterator<Item = (usize, &Process)> {
        self.slots.iter().enumerate().filter_map(|(slot, here)| Some((slot, &**here.process.as_ref()?)))
    }

    /// Whether a process has ever run there.
    pub fn has_run(&self, slot: usize) -> bool {
        self.slots[slot].runs > 0
    }

    /// Names the state, its clocks and budgets included.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for slot in &self.slots {
            match &slot.process {
                Some(process) => (process.hash, process.mono, slot.disk_hash).hash(&mut hasher),
                // Without a return its disk is of no more use.
                None if self.rules.restarts == 0 => slot.runs.hash(&mut hasher),
                None => (slot.runs, slot.disk_hash).hash(&mut hasher),
            }
        }
        let mut stamps: Vec<u64> = Vec::new();
        for (key, conn) in &self.conns {
            (key, &conn.ends).hash(&mut hasher);
            for dir in &conn.dirs {
                (dir.items.len(), dir.held).hash(&mut hasher);
                for (stamp, item) in &dir.items {
                    item.hash(&mut hasher);
                    stamps.push(*stamp);
                }
            }
        }
        if self.rules.delays.is_some() {
            // The order of sending decides what comes next.
            let mut order: Vec<usize> = (0..stamps.len()).collect();
            order.sort_unstable_by_key(|&at| stamps[at]);
            order.hash(&mut hasher);
        }
        (&self.left, &*self.facts, &self.ring_messages).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether nothing is on its way and nobody has gathered anything.
    pub fn quiet(&self) -> bool {
        self.running().all(|(_, process)| process.idle())
            && self.conns.values().all(|conn| conn.dirs.iter().all(|dir| dir.items.is_empty()))
    }

    /// The direction in which the oldest item is on its way, those held back last.
    pub fn oldest(&self) -> Option<(Key, usize)> {
        let heads = self.heads().map(|(key, dir, stamp, _, held)| ((held, stamp), (key, dir)));
        heads.min().map(|(_, head)| head)
    }

    fn heads(&self) -> impl Iterator<Item = (Key, usize, u64, &Item, bool)> {
        self.conns.iter().flat_map(|(&key, conn)| {
            conn.dirs.iter().enumerate().filter_map(move |(at, dir)| {
                let (stamp, item) = dir.items.front()?;
                Some((key, at, *stamp, item, dir.held))
            })
        })
    }

    /// What happens between a node and its own machine.
    fn inner(&self) -> impl Iterator<Item = What> {
        self.running().flat_map(|(slot, process)| {
            let synced = (!process.syncs.is_empty()).then_some(What::Synced(slot));
            let flush = process.timer().is_none().then_some(What::Flush(slot));
            synced.into_iter().chain(flush)
        })
    }

    /// What has to happen before anything else is looked at, if the world is brisk.
    fn brisk(&self) -> Option<What> {
        let head = self.heads().find(|(.., item, held)| item.is_brisk() && !held);
        head.map(|(key, dir, ..)| What::Deliver(key, dir)).or_else(|| self.inner().next())
    }

    /// Everything that can happen next.
    pub fn actions(&self) -> Vec<Action> {
        let free = |what| Action { what, dies: None, cost: 0 };
        if self.rules.brisk
            && let Some(what) = self.brisk()
        {
            return vec![free(what)];
        }
        let mut all = Vec::new();
        match self.rules.delays {
            None => all.extend(self.heads().map(|(key, dir, ..)| free(What::Deliver(key, dir)))),
            Some(_) => {
                let oldest = self.oldest();
                all.extend(oldest.map(|(key, dir)| free(What::Deliver(key, dir))));
                if self.left.delays > 0 {
                    let dear = |what| Action { what, dies: None, cost: 1 };
                    let others = self.heads().filter(|(key, dir, .., held)| Some((*key, *dir)) != oldest && !held);
                    let others: Vec<Action> = others.map(|(key, dir, ..)| dear(What::Deliver(key, dir))).collect();
                    if !others.is_empty() {
                        all.extend(oldest.map(|(key, dir)| dear(What::Hold(key, dir))));
                    }
                    all.extend(others);
                }
            }
        }
        all.extend(self.inner().map(free));
        self.timers(&mut all);
        all.extend(self.left.others(self).into_iter().map(free));
        all
    }

    /// The timers that may fire now.
    fn timers(&self, all: &mut Vec<Action>) {
        if self.left.ticks == 0 || (self.rules.patient && !self.quiet()) {
            return;
        }
        let next = self.running().filter_map(|(_, process)| process.timer()).min();
        for (slot, process) in self.running() {
            let timer = process.timer();
            if timer.is_some() && (!self.rules.patient || timer == next) {
                all.push(Action { what: What::Tick(slot), dies: None, cost: 0 });
            }
        }
    }

    /// What happens next if nothing is out of turn: the oldest of all that is on its way arrives; if nothing is, a node
    /// sends what it has gathered.
    pub fn next_in_line(&self) -> Option<What> {
        let oldest = self.oldest().map(|(key, dir)| What::Deliver(key, dir));
        oldest.or_else(|| self.inner().next())
    }

    /// An action as a line of a trace, told before it happens.
    pub fn tell(&self, action: Action) -> String {
        let dies = match action.dies {
            Some((outputs, lossy)) => {
                format!(" and dies after {outputs} outputs{}", if lossy { ", all lost" } else { "" })
            }
            None => String::new(),
        };
        let what = match action.what {
            What::Deliver(key, dir) | What::Hold(key, dir) => {
                let Some(conn) = self.conns.get(&key) else { return "nothing".into() };
                let item = conn.dirs[dir].items.front().map(|(_, item)| item.name()).unwrap_or_default();
                let verb = if matches!(action.what, What::Hold(..)) { "does not get yet" } else { "gets" };
                let (from, to) = (conn.ends[dir].slot, conn.ends[1 - dir].slot);
                format!("{} {verb} from {} {item}", host(to), host(from))
            }
            What::Flush(slot) => format!("{} sends what it has gathered", host(slot)),
            What::Synced(slot) => format!("{} has it on the medium", host(slot)),
            What::Tick(slot) => format!("{}'s timer fires", host(slot)),
            What::Crash { slot, lossy } => {
                format!("{} crashes{}", host(slot), if lossy { ", and what it sent is lost" } else { "" })
            }
            What::Join(slot) => format!("{} starts and joins", host(slot)),
            What::Restart(slot) => format!("{} starts again with its files", host(slot)),
            What::Say(slot) => format!("{} types", host(slot)),
            What::Leave(slot) => format!("{} wants to leave", host(slot)),
        };
        format!("{what}{dies}")
    }
}

/// Names what is written: nothing of it is in a process that does not run.
fn disk_hash(disk: &Disk) -> u64 {
    let (store, saved) = (disk.store(), disk.saved());
    let mut hasher = DefaultHasher::new();
    (store.log(), store.room(), store.promise(), disk.promise_synced(), saved.book, saved.shown).hash(&mut hasher);
    store.pending().for_each(|line| line.hash(&mut hasher));
    store.outbox().for_each(|line| (line, disk.is_synced(line.id)).hash(&mut hasher));
    hasher.finish()
}
