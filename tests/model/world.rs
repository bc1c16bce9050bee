//! One state of a small world: nodes with their disks, connections with what is on its way, and what may still happen.
//!
//! There is no common clock and no random number: a state and an [`Action`] give the next state. Nodes are the real
//! ones. Copies share what a step does not touch.

#[path = "../sim/world/disk.rs"]
#[expect(dead_code, reason = "the simulator uses the rest")]
pub mod disk;

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use dist_chat::ring::{
    AuthorId, Config, ConnId, Event, Frame, Input, Name, Node, Now, Output, RoomId, SessionId, Start, Text, Time, Uid,
    WallMs,
};

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
                    | Frame::Floor(_)
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
    hash: u64,
}

impl Process {
    /// How long until its next timer; `None`: something gathered is to go out first.
    pub fn timer(&self) -> Option<u64> {
        let deadline = self.node.deadline().0;
        (deadline > self.mono).then(|| deadline - self.mono)
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

fn parsed<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
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
        self.running().all(|(_, process)| process.timer().is_some())
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

    /// What has to happen before anything else is looked at, if the world is brisk.
    fn brisk(&self) -> Option<What> {
        let head = self.heads().find(|(.., item, held)| item.is_brisk() && !held);
        let flush = || self.running().find(|(_, process)| process.timer().is_none());
        head.map(|(key, dir, ..)| What::Deliver(key, dir)).or_else(|| flush().map(|(slot, _)| What::Flush(slot)))
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
                    let others: Vec<Action> =
                        others.map(|(key, dir, ..)| dear(What::Deliver(key, dir))).collect();
                    if !others.is_empty() {
                        all.extend(oldest.map(|(key, dir)| dear(What::Hold(key, dir))));
                    }
                    all.extend(others);
                }
            }
        }
        for (slot, process) in self.running() {
            if process.timer().is_none() {
                all.push(free(What::Flush(slot)));
            }
        }
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

    /// Lets it happen; gives how many outputs it had.
    pub fn apply(&mut self, action: Action) -> Result<u32, String> {
        self.outputs = 0;
        self.doom = action.dies;
        self.left.crashes -= u8::from(action.dies.is_some());
        self.left.delays -= action.cost;
        match action.what {
            What::Deliver(key, dir) => self.deliver(key, dir)?,
            What::Hold(key, dir) => {
                if let Some(conn) = self.conns.get_mut(&key) {
                    conn.dirs[dir].held = true;
                }
            }
            What::Flush(slot) => self.step(slot, Input::Tick)?,
            What::Tick(slot) => {
                self.left.ticks -= 1;
                self.fire(slot)?;
            }
            What::Crash { slot, lossy } => {
                self.left.crashes -= 1;
                self.end(slot, lossy);
            }
            What::Join(slot) => {
                self.left.joined |= 1 << slot;
                self.start(slot, self.to_the_contacts())?;
            }
            What::Restart(slot) => {
                self.left.restarts -= 1;
                let remembers = !self.slots[slot].disk.store().log().is_empty();
                self.start(slot, if remembers { Start::Reopen } else { self.to_the_contacts() })?;
            }
            What::Say(slot) => {
                self.left.said |= 1 << slot;
                self.say(slot)?;
            }
            What::Leave(slot) => {
                self.left.went |= 1 << slot;
                self.change(slot, |process| process.leaving = true);
                self.step(slot, Input::Leave)?;
            }
        }
        if self.conns.values().all(|conn| conn.dirs.iter().all(|dir| dir.held || dir.items.is_empty())) {
            self.conns.values_mut().flat_map(|conn| &mut conn.dirs).for_each(|dir| dir.held = false);
        }
        Ok(self.outputs)
    }

    fn to_the_contacts(&self) -> Start {
        Start::Join(self.rules.contacts.iter().map(|&slot| uid(slot).0).collect())
    }

    fn change(&mut self, slot: usize, change: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut self.slots[slot].process {
            change(Rc::make_mut(process));
        }
    }

    /// A node's next timer fires; time passes for it alone, or for everybody.
    fn fire(&mut self, slot: usize) -> Result<(), String> {
        let timer = self.slots[slot].process.as_ref().and_then(|process| process.timer()).unwrap_or(0);
        if self.rules.patient {
            self.pass(timer);
        } else {
            self.change(slot, |process| process.mono += timer);
        }
        self.step(slot, Input::Tick)
    }

    fn pass(&mut self, micros: u64) {
        (0..self.slots.len()).for_each(|slot| self.change(slot, |process| process.mono += micros));
    }

    /// The earliest of all timers fires, and time passes for everybody: so many microseconds.
    pub fn next_timer(&mut self) -> Result<u64, String> {
        let timers = self.running().filter_map(|(slot, process)| Some((process.timer()?, slot)));
        let Some((timer, slot)) = timers.min() else { return Ok(0) };
        self.pass(timer);
        self.step(slot, Input::Tick)?;
        Ok(timer)
    }

    /// What happens next if nothing is out of turn: the oldest of all that is on its way arrives; if nothing is, a node
    /// sends what it has gathered.
    pub fn next_in_line(&self) -> Option<What> {
        let gathered = || self.running().find(|(_, process)| process.timer().is_none());
        let oldest = self.oldest().map(|(key, dir)| What::Deliver(key, dir));
        oldest.or_else(|| gathered().map(|(slot, _)| What::Flush(slot)))
    }

    /// Starts a process.
    pub fn start(&mut self, slot: usize, start: Start) -> Result<(), String> {
        let here = &mut self.slots[slot];
        here.runs += 1;
        let run = here.runs;
        Rc::make_mut(&mut here.disk).reopen();
        let session = (slot as u64 + 1) << 8 | u64::from(run);
        let config = Config {
            uid: uid(slot),
            name: parsed(Name::parse(&host(slot).to_string())),
            rename: true,
            author: AuthorId(slot as u64 + 1),
            session: SessionId(session),
            seed: session,
            start,
            saved: here.disk.saved(),
            timing: self.rules.timing,
        };
        Rc::make_mut(&mut self.checks).started(slot, session as u32, &config, 0);
        self.slots[slot].process = Some(Rc::new(Process {
            node: Node::new(config),
            mono: 0,
            entered: false,
            leaving: false,
            run,
            conns: BTreeMap::new(),
            hash: 0,
        }));
        self.step(slot, Input::Tick)
    }

    /// Founds a room.
    pub fn found(&mut self, slot: usize) -> Result<(), String> {
        self.start(slot, Start::Found(RoomId(1)))
    }

    /// Somebody types a line, if the node takes one.
    pub fn say(&mut self, slot: usize) -> Result<(), String> {
        let text = parsed(Text::parse(&format!("from {}", host(slot))));
        let takes = self.slots[slot].process.as_ref().is_some_and(|process| process.node.outbox_room() > 0);
        if takes {
            let tip = self.slots[slot].disk.store().log().last().map(|last| (last.epoch, last.index));
            Rc::make_mut(&mut self.facts).insert(hash_of(&("typed", slot, tip)));
            Rc::make_mut(&mut self.checks).submitted(slot, text.clone());
        }
        self.step(slot, Input::Submit(vec![text]))
    }

    /// A process ends.
    fn end(&mut self, slot: usize, lossy: bool) {
        let Some(process) = self.slots[slot].process.take() else { return };
        self.doom = None;
        let checks = Rc::make_mut(&mut self.checks);
        checks.ended(slot, 0);
        if self.rules.restarts == 0 {
            checks.gone(slot);
        }
        for &(key, side) in process.conns.values() {
            if let Some(conn) = self.conns.get_mut(&key).filter(|_| lossy) {
                let syn = matches!(conn.dirs[side].items.front(), Some((_, Item::Syn)));
                conn.dirs[side].items.truncate(usize::from(syn));
            }
            self.hang_up(key, side);
        }
    }

    /// One end of a connection is gone.
    fn hang_up(&mut self, key: Key, side: usize) {
        self.push(key, side, Item::Closed);
        let Some(conn) = self.conns.get_mut(&key) else { return };
        conn.ends[side].id = None;
        conn.dirs[1 - side] = Dir::default();
        if conn.dirs[side].items.is_empty() {
            self.conns.remove(&key);
        }
    }

    /// Puts an item behind what is on its way, if anybody is there to take it.
    fn push(&mut self, key: Key, dir: usize, item: Item) {
        let Some(conn) = self.conns.get_mut(&key) else { return };
        let knocking = matches!(conn.dirs[0].items.front(), Some((_, Item::Syn)));
        if conn.ends[1 - dir].id.is_some() || (dir == 0 && knocking) || matches!(item, Item::Syn) {
            self.stamp += 1;
            conn.dirs[dir].items.push_back((self.stamp, item));
        }
    }

    fn deliver(&mut self, key: Key, dir: usize) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&key) else { return Ok(()) };
        let Some((_, item)) = conn.dirs[dir].items.pop_front() else { return Ok(()) };
        let End { slot, id } = conn.ends[1 - dir];
        let input = match (item, id) {
            (Item::Syn, _) => return self.knock(key, slot),
            (Item::Opened, Some(id)) => Input::Dialled(id),
            (Item::Refused, Some(id)) => {
                self.forget(key, 1 - dir);
                Input::DialFailed { conn: id, refused: true }
            }
            (Item::Frame(frame), Some(id)) => {
                let frame = match self.rules.spoil {
                    Some(spoil) => spoil(&frame, slot),
                    None => Some(Frame::clone(&frame)),
                };
                let Some(frame) = frame else { return Ok(()) };
                Input::Frame(id, frame)
            }
            (Item::Closed, Some(id)) => {
                self.forget(key, 1 - dir);
                Input::Closed(id)
            }
            (_, None) => return Ok(()),
        };
        self.step(slot, input)
    }

    /// A connection of which both ends know that it is over.
    fn forget(&mut self, key: Key, side: usize) {
        if let Some(conn) = self.conns.remove(&key)
            && let Some(id) = conn.ends[side].id
        {
            self.change(conn.ends[side].slot, |process| {
                process.conns.remove(&id);
            });
        }
    }

    fn knock(&mut self, key: Key, slot: usize) -> Result<(), String> {
        if self.slots[slot].process.is_none() {
            if let Some(conn) = self.conns.get_mut(&key) {
                conn.dirs[0].items.clear();
            }
            self.push(key, 1, Item::Refused);
            // A dialler that has hung up meanwhile hears nothing of it.
            self.conns.retain(|other, conn| *other != key || conn.ends[0].id.is_some());
            return Ok(());
        }
        // Named after the dialler, not counted: two that come in any order have the same names.
        let (dialler, run, id) = key;
        let id = ConnId::accepted(hash_of(&(dialler, run, id)) >> 8);
        if let Some(conn) = self.conns.get_mut(&key) {
            conn.ends[1].id = Some(id);
        }
        self.change(slot, |process| {
            process.conns.insert(id, (key, 1));
        });
        self.push(key, 1, Item::Opened);
        self.step(slot, Input::Accepted(id))
    }

    /// One step of a node, obedience to what it wants, the store's answers, and the checks.
    fn step(&mut self, slot: usize, input: Input) -> Result<(), String> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(process) = &mut self.slots[slot].process else { return Ok(()) };
            let process = Rc::make_mut(process);
            let now = Now { mono: Time(process.mono), wall: WallMs(process.mono / 1000) };
            let node = &mut process.node;
            let before = self.rules.tamper.map(|_| (node.status(), input.clone()));
            let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.step(now, input)));
            let Ok(mut outputs) = stepped else { return Err(format!("{} panics", host(slot))) };
            if let (Some(tamper), Some((status, input))) = (self.rules.tamper, before) {
                tamper(&mut outputs, &status, &input);
            }
            for output in outputs {
                if let Some((left, lossy)) = &mut self.doom {
                    if *left == 0 {
                        let lossy = *lossy;
                        self.end(slot, lossy);
                        return Ok(());
                    }
                    *left -= 1;
                }
                self.outputs += 1;
                if self.obey(slot, output, &mut inputs)? {
                    return Ok(());
                }
            }
        }
        self.look(slot)
    }

    /// Does what a node wants. `true`: the process has ended.
    fn obey(&mut self, slot: usize, output: Output, answers: &mut VecDeque<Input>) -> Result<bool, String> {
        let checks = Rc::make_mut(&mut self.checks);
        match output {
            Output::Save(record) => {
                checks.saved(slot, &record)?;
                Rc::make_mut(&mut self.slots[slot].disk).save(&record);
            }
            Output::Sync => Rc::make_mut(&mut self.slots[slot].disk).sync(),
            Output::Read(id, wanted) => answers.push_back(Input::Read(id, self.slots[slot].disk.read(&wanted))),
            Output::Cut(keep) => {
                let disk = Rc::make_mut(&mut self.slots[slot].disk);
                answers.push_front(Input::Cut(disk.cut(keep)));
                checks.cut(slot, keep, disk)?;
            }
            Output::Dial(id, address) => {
                let Some(to) = slot_at(address).filter(|&to| to < self.slots.len()) else {
                    return Err(format!("{} dials {address}", host(slot)));
                };
                let Some(process) = &self.slots[slot].process else { return Ok(false) };
                let key = (slot, process.run, id);
                let ends = [End { slot, id: Some(id) }, End { slot: to, id: None }];
                self.conns.insert(key, Conn { ends, dirs: Default::default() });
                self.change(slot, |process| {
                    process.conns.insert(id, (key, 0));
                });
                self.push(key, 0, Item::Syn);
            }
            Output::Send(conns, frame) => {
                checks.sending(slot, &frame, &self.slots[slot].disk)?;
                let round = match &*frame {
                    Frame::Token(token) => Some(token.round),
                    Frame::Elected(elected) if frame.is_ring_message() => Some(elected.epoch.round),
                    _ => None,
                };
                if let Some(round) = round {
                    *self.ring_messages.entry(round).or_default() += 1;
                }
                for id in conns {
                    let here = self.slots[slot].process.as_ref().and_then(|process| process.conns.get(&id));
                    if let Some(&(key, side)) = here {
                        self.push(key, side, Item::Frame(Arc::clone(&frame)));
                    }
                }
            }
            Output::Close(id) => {
                let mut here = None;
                self.change(slot, |process| here = process.conns.remove(&id));
                if let Some((key, side)) = here {
                    self.hang_up(key, side);
                }
            }
            Output::Event(event) => {
                checks.event(slot, &event)?;
                self.note(slot, &event);
            }
            Output::Stop(_) => {
                self.end(slot, false);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a person was shown is remembered by the checkers.
    fn note(&mut self, slot: usize, event: &Event) {
        let run = self.slots[slot].runs;
        let facts = |entries: &[Arc<dist_chat::ring::Entry>]| -> Vec<u64> {
            entries.iter().filter_map(|entry| Some(hash_of(&("shown", slot, run, entry.line()?.id)))).collect()
        };
        match event {
            Event::Line(entry) => Rc::make_mut(&mut self.facts).extend(facts(std::slice::from_ref(entry))),
            Event::Backlog(entries) => Rc::make_mut(&mut self.facts).extend(facts(entries)),
            Event::Entered { .. } => self.change(slot, |process| process.entered = true),
            _ => {}
        }
    }

    /// The checkers see a node after its step.
    fn look(&mut self, slot: usize) -> Result<(), String> {
        let Some(process) = &mut self.slots[slot].process else { return Ok(()) };
        let process = Rc::make_mut(process);
        process.hash = hash_of(&(&process.node, process.entered, process.leaving));
        let (status, sizes) = (process.node.status(), process.node.sizes());
        self.slots[slot].disk_hash = disk_hash(&self.slots[slot].disk);
        let disk = &self.slots[slot].disk;
        let checks = Rc::make_mut(&mut self.checks);
        checks.sizes(slot, &sizes)?;
        checks.status(slot, &status, disk)?;
        let leader = status.epoch.and_then(|epoch| slot_at(epoch.leader.0));
        if leader.is_some_and(|leader| checks.same_log(leader, slot)) {
            let fact = hash_of(&("level", slot, self.slots[slot].runs));
            if !self.facts.contains(&fact) {
                Rc::make_mut(&mut self.facts).insert(fact);
            }
        }
        Ok(())
    }

    /// An action as a line of a trace, told before it happens.
    pub fn tell(&self, action: Action) -> String {
        let dies = match action.dies {
            Some((outputs, lossy)) => format!(" and dies after {outputs} outputs{}", if lossy { ", all lost" } else { "" }),
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
    (store.log(), store.room(), store.promise(), disk.promise_synced(), saved.book).hash(&mut hasher);
    store.pending().chain(store.outbox()).for_each(|line| line.hash(&mut hasher));
    hasher.finish()
}
