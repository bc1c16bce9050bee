//! A small room of real nodes, without a clock and without chance: every frame arrives at once and in order.
//!
//! It makes the states in which the `step` target begins, and records the frames that members send each other there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use dist_chat::ring::{
    AuthorId, Config, ConnId, Frame, Hello, Input, Name, Node, Now, Output, PmProof, Rate, RoomId, SavedState,
    SessionId, Signature, Signer, Start, Time, Timing, Uid, WallMs,
};
use dist_chat::store::{MemoryStore, Store as _};

use super::watch::Watch;

/// A node that asks for so many ticks at one moment is in an endless loop.
const SPINS_MAX: u32 = 1_000;

/// The address of the `slot`-th host; addresses ascend.
pub fn uid(slot: usize) -> Uid {
    Uid(([10, 0, 0, u8::try_from(slot + 1).expect("a small room")], 2428).into())
}

/// A signer whose signatures are empty: the core never checks one, because a driver checks them before.
#[derive(Debug)]
struct Mute;

impl Signer for Mute {
    fn sign(&self, _: &[u8]) -> Signature {
        Signature([0; 64])
    }
}

/// The configuration of the `slot`-th host.
pub fn config(slot: usize, start: Start, saved: SavedState) -> Config {
    let number = slot as u64 + 1;
    Config {
        uid: uid(slot),
        name: Name::parse(&format!("n{slot}")).expect("a name"),
        rename: true,
        author: AuthorId::of_bits(number),
        signer: Arc::new(Mute),
        session: SessionId(number),
        seed: number,
        start,
        saved,
        key: None,
        rate: Rate::UNLIMITED,
        moderators: Vec::new(),
        backlog: 10,
        timing: Timing::default(),
    }
}

/// A node, its store, and the checker that watches it.
#[derive(Clone, Debug)]
pub struct Host {
    /// The core.
    pub node: Node,
    /// The records that the node has written.
    pub store: MemoryStore,
    /// For each connection, the uid of the node at its other end, if there is one.
    pub conns: BTreeMap<ConnId, Option<Uid>>,
    /// The connections that the node dials and that are not open yet.
    pub opening: BTreeSet<ConnId>,
    /// The connections on which the peer has greeted.
    pub greeted: BTreeSet<ConnId>,
    /// The present time in microseconds.
    pub now: u64,
    /// Whether the node has stopped.
    pub stopped: bool,
    watch: Watch,
    accepted: u64,
}

impl Host {
    /// A node before its first step.
    pub fn new(slot: usize, start: Start, store: MemoryStore, now: u64) -> Self {
        let saved = store.saved().unwrap_or_default();
        // Two runs never have the same session.
        let session = SessionId(now + slot as u64 + 1);
        let node = Node::new(Config { session, ..config(slot, start, saved) });
        let mut watch = Watch::default();
        store.log().iter().for_each(|entry| watch.output(uid(slot), &Output::Save(append(entry))));
        Self {
            node,
            store,
            conns: BTreeMap::new(),
            opening: BTreeSet::new(),
            greeted: BTreeSet::new(),
            now,
            stopped: false,
            watch,
            accepted: 0,
        }
    }

    /// Tells the checker that the fuzzer chooses the inputs from now on.
    pub fn begin(&mut self) {
        self.watch.begin(&self.node);
    }

    /// A peer connects; its uid is `from`, if the room knows it.
    pub fn accept(&mut self, from: Option<Uid>) -> ConnId {
        self.accepted += 1;
        let id = ConnId::accepted(self.accepted);
        self.conns.insert(id, from);
        id
    }

    /// Gives the node an input, executes the outputs that concern this node alone, and returns the others.
    pub fn step(&mut self, input: Input) -> Vec<Output> {
        let mut inputs = VecDeque::from([input]);
        let mut rest = Vec::new();
        let mut cut_after = None;
        while let Some(input) = inputs.pop_front() {
            if self.stopped {
                break;
            }
            self.before(&input);
            if matches!(input, Input::Cut(_))
                && let Some(keep) = cut_after.take()
            {
                self.watch.cut(keep);
            }
            let now = Now { mono: Time(self.now), wall: WallMs(1_700_000_000_000 + self.now / 1000) };
            let me = self.node.status().uid;
            for output in self.node.step(now, input) {
                self.watch.output(me, &output);
                match output {
                    Output::Save(record) => self.store.save(&record).unwrap_or_else(|never| match never {}),
                    Output::Persist(id) => inputs.push_back(Input::Persisted { id, kept: true }),
                    Output::Read(id, wanted) => {
                        let found = self.store.read(&wanted).unwrap_or_else(|never| match never {});
                        inputs.push_back(Input::Read(id, found));
                    }
                    Output::Cut(keep) => {
                        let cut = self.store.cut(keep).unwrap_or_else(|never| match never {});
                        cut_after = Some(keep);
                        inputs.push_front(Input::Cut(cut));
                    }
                    Output::Stop(_) => self.stopped = true,
                    Output::Sync => {}
                    Output::Dial(..) | Output::Send(..) | Output::Close(_) | Output::Event(_) => rest.push(output),
                    // These rooms are open, so they have no key.
                    Output::GiveKey(_) | Output::OfferKey(_) | Output::TakeKey(_) => {}
                    // These rooms encrypt nothing: the ciphertext is the proof itself if it has the right length.
                    Output::OpenPm(_, pm) => {
                        let token = pm.ciphertext.bytes().try_into().ok().map(PmProof);
                        inputs.push_front(Input::PmOpened { id: pm.id, from: pm.from, token });
                    }
                    Output::HealthReply(_) => {}
                }
            }
            self.watch.after(&self.node);
        }
        for output in &rest {
            match output {
                Output::Dial(id, address) => {
                    self.conns.insert(*id, Some(Uid(*address)));
                    self.opening.insert(*id);
                }
                Output::Close(id) => {
                    self.conns.remove(id);
                }
                _ => {}
            }
        }
        rest
    }

    fn before(&mut self, input: &Input) {
        match input {
            Input::Frame(id, Frame::Hello(hello)) => {
                self.greeted.insert(*id);
                self.watch.greeted(hello);
            }
            Input::Frame(_, Frame::Relay(relay)) => {
                if let Some(Frame::Hello(hello)) = relay.frame.as_deref() {
                    self.watch.greeted(hello);
                }
            }
            Input::Dialled(id) | Input::DialFailed { conn: id, .. } => {
                self.opening.remove(id);
            }
            _ => {}
        }
        self.watch.stepped();
    }

    /// Gives the node the ticks that are due by now.
    pub fn tick(&mut self) -> Vec<Output> {
        let mut rest = Vec::new();
        for _ in 0..SPINS_MAX {
            if self.stopped || self.node.deadline().0 > self.now {
                return rest;
            }
            rest.extend(self.step(Input::Tick));
        }
        panic!("the node spins at {}", self.now);
    }
}

fn append(entry: &Arc<dist_chat::ring::Entry>) -> dist_chat::ring::Record {
    dist_chat::ring::Record::Append(vec![Arc::clone(entry)])
}

/// An input on its way to the end of a connection.
#[derive(Debug)]
enum Item {
    Opened,
    Refused,
    Accepted,
    Frame(Arc<Frame>),
    Closed,
}

/// The hosts, and the inputs on their way between them.
#[derive(Debug, Default)]
pub struct Room {
    hosts: BTreeMap<usize, Host>,
    ends: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    way: VecDeque<(usize, ConnId, Item)>,
    /// Pairs of hosts: no frame of the first reaches the second, but their connections stay open.
    mute: Vec<(usize, usize)>,
    now: u64,
    /// The hello of each node that has greeted.
    pub hellos: BTreeMap<Uid, Hello>,
    /// The host whose inputs the room records, and the records, in the form that the `step` target reads.
    pub record: Option<(usize, Vec<String>)>,
}

impl Room {
    /// A room of `n` hosts, created by `founder`, in which every user has typed a line.
    pub fn of(n: usize, founder: usize) -> Self {
        let mut room = Self { now: 1_000_000, ..Self::default() };
        room.start(founder, Start::Create(RoomId(7)));
        for slot in (0..n).filter(|slot| *slot != founder) {
            room.start(slot, Start::Join(vec![uid(founder).0]));
            room.pass(50);
        }
        room.pass(2_000);
        for slot in 0..n {
            room.say(slot, &format!("line of n{slot}"));
            room.pass(20);
        }
        room.pass(500);
        room
    }

    /// Starts a host, with its store if it ran before.
    pub fn start(&mut self, slot: usize, start: Start) {
        let store = self.hosts.remove(&slot).map(|host| host.store).unwrap_or_default();
        let mut host = Host::new(slot, start, store, self.now);
        let outputs = host.step(Input::Tick);
        self.hosts.insert(slot, host);
        self.obey(slot, outputs);
    }

    /// A host dies; its connections close.
    pub fn crash(&mut self, slot: usize) {
        let ids: Vec<ConnId> = self.host(slot).conns.keys().copied().collect();
        ids.into_iter().for_each(|id| self.close(slot, id));
        self.host_mut(slot).stopped = true;
    }

    /// Drops all further frames from one host to another.
    pub fn mute(&mut self, from: usize, to: usize) {
        self.mute.push((from, to));
    }

    /// The user of a host types a line.
    pub fn say(&mut self, slot: usize, text: &str) {
        let text = dist_chat::ring::Text::parse(text).expect("a line");
        self.note(slot, || format!("+{}", text.as_str()));
        self.input(slot, Input::Submit(vec![text.into()]));
    }

    /// The user of a host leaves.
    pub fn leave(&mut self, slot: usize) {
        self.note(slot, || "!".to_owned());
        self.input(slot, Input::Leave);
    }

    /// The host in its present state.
    pub fn host(&self, slot: usize) -> &Host {
        &self.hosts[&slot]
    }

    fn host_mut(&mut self, slot: usize) -> &mut Host {
        self.hosts.get_mut(&slot).expect("a host")
    }

    /// Lets so many milliseconds pass.
    pub fn pass(&mut self, ms: u64) {
        self.pass_until(ms, |_, _| false);
    }

    /// Lets time pass until a host sends a frame that `sends` accepts, at most so many milliseconds. Returns whether a
    /// host has sent one.
    pub fn pass_until(&mut self, ms: u64, mut sends: impl FnMut(usize, &Frame) -> bool) -> bool {
        let until = self.now + 1000 * ms;
        loop {
            while let Some((slot, id, item)) = self.way.pop_front() {
                if let Item::Frame(frame) = &item
                    && let Some(&(from, _)) = self.ends.get(&(slot, id))
                    && sends(from, frame)
                {
                    self.way.push_front((slot, id, item));
                    return true;
                }
                self.deliver(slot, id, item);
            }
            let live = self.hosts.values().filter(|host| !host.stopped);
            let next = live.map(|host| host.node.deadline().0).min().unwrap_or(u64::MAX).max(self.now);
            if next > until {
                self.time(until);
                return false;
            }
            self.time(next);
            let slots: Vec<usize> = self.hosts.keys().copied().collect();
            for slot in slots {
                if self.host(slot).node.deadline().0 <= self.now {
                    self.note(slot, || "~0".to_owned());
                }
                let outputs = self.host_mut(slot).tick();
                self.obey(slot, outputs);
            }
        }
    }

    fn time(&mut self, now: u64) {
        let passed = (now - self.now) / 1000;
        if let Some((slot, _)) = self.record
            && passed > 0
        {
            self.note(slot, || format!("~{passed}"));
        }
        self.now = now;
        self.hosts.values_mut().for_each(|host| host.now = now);
    }

    fn note(&mut self, at: usize, line: impl FnOnce() -> String) {
        if let Some((slot, lines)) = &mut self.record
            && *slot == at
        {
            lines.push(line());
        }
    }

    fn deliver(&mut self, slot: usize, id: ConnId, item: Item) {
        let Some(host) = self.hosts.get(&slot).filter(|host| !host.stopped) else { return };
        let Some(place) = host.conns.keys().position(|conn| *conn == id) else { return };
        let place = super::step::letter(place);
        let input = match item {
            Item::Opened => Input::Dialled(id),
            Item::Accepted => {
                self.note(slot, || "@".to_owned());
                Input::Accepted(id)
            }
            Item::Refused => {
                self.host_mut(slot).conns.remove(&id);
                self.note(slot, || format!("-{place}"));
                Input::DialFailed { conn: id, refused: true }
            }
            Item::Closed => {
                self.host_mut(slot).conns.remove(&id);
                self.note(slot, || format!("-{place}"));
                Input::Closed(id)
            }
            Item::Frame(frame) => {
                if let Frame::Hello(hello) = &*frame {
                    self.hellos.insert(hello.uid, hello.clone());
                }
                let mut bytes = Vec::new();
                frame.encode(&mut bytes);
                self.note(slot, || format!("{place}{}", String::from_utf8_lossy(&bytes).trim_end()));
                Input::Frame(id, Frame::clone(&frame))
            }
        };
        self.input(slot, input);
    }

    fn input(&mut self, slot: usize, input: Input) {
        let outputs = self.host_mut(slot).step(input);
        self.obey(slot, outputs);
    }

    fn obey(&mut self, slot: usize, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Dial(id, address) => self.dial(slot, id, Uid(address)),
                Output::Send(ids, frame) => {
                    for id in ids {
                        if let Some(&(to, other)) = self.ends.get(&(slot, id))
                            && !self.mute.contains(&(slot, to))
                        {
                            self.way.push_back((to, other, Item::Frame(Arc::clone(&frame))));
                        }
                    }
                }
                Output::Close(id) => self.close(slot, id),
                _ => {}
            }
        }
    }

    fn dial(&mut self, slot: usize, id: ConnId, target: Uid) {
        let to = self.hosts.iter().find(|(to, host)| uid(**to) == target && !host.stopped).map(|(&to, _)| to);
        let Some(to) = to else { return self.way.push_back((slot, id, Item::Refused)) };
        let other = self.host_mut(to).accept(Some(uid(slot)));
        self.ends.insert((slot, id), (to, other));
        self.ends.insert((to, other), (slot, id));
        self.way.push_back((slot, id, Item::Opened));
        self.way.push_back((to, other, Item::Accepted));
    }

    fn close(&mut self, slot: usize, id: ConnId) {
        if let Some((to, other)) = self.ends.remove(&(slot, id)) {
            self.way.push_back((to, other, Item::Closed));
        }
    }
}

/// The hello of a node that no host knows; it comes from a node that a user starts with a contact.
pub fn stranger(slot: usize, room: Option<RoomId>) -> Hello {
    let mut host = Host::new(slot, Start::Join(vec![uid(0).0]), MemoryStore::new(), 0);
    let mut dialled = host.step(Input::Tick).into_iter().chain(host.tick());
    let id = dialled.find_map(|output| if let Output::Dial(id, _) = output { Some(id) } else { None });
    let outputs = host.step(Input::Dialled(id.expect("a node that joins dials")));
    let hello = outputs.into_iter().find_map(|output| match output {
        Output::Send(_, frame) => match &*frame {
            Frame::Hello(hello) => Some(hello.clone()),
            _ => None,
        },
        _ => None,
    });
    Hello { room, ..hello.expect("who dials greets") }
}
