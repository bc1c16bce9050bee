//! A node in some state receives any inputs that its peers can cause.
//!
//! The first byte chooses the [`Scene`]: its lower half the state of the node, its upper half how the node's dials end.
//! The other bytes are lines; the target skips a line that is not in this table.
//!
//! | line | what happens |
//! |---|---|
//! | `0{"ping":1}` | a frame arrives on the node's first connection (`0` to `9`, `a` to `z`, in the order of their ids) |
//! | `~250` | so many milliseconds pass |
//! | `@` | a peer connects |
//! | `-0` | the first connection closes |
//! | `+hello` | the node's user types a line |
//! | `!` | the node's user leaves |
//!
//! On a connection without a greeting, the expected peer greets before any other frame arrives.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use dist_chat::ring::{ConnId, Frame, Hello, Input, Output, RoomId, Start, Text, Uid};

use super::room::{Host, Room, stranger, uid};

/// The most lines of one input that the target plays; it ignores the rest.
const LINES_MAX: usize = 400;
/// The most dials that may follow from one input: one for each node that a node may know.
const DIALS_MAX: usize = 4096;
/// The most milliseconds that pass in one run.
const MS_MAX: u64 = 20_000;
/// The host that receives the fuzzer's inputs.
const SUBJECT: usize = 1;
/// The slot of the first stranger; the others follow.
const STRANGERS: usize = 20;

/// A node in some state, and the peers that may be at the other ends of its connections.
#[derive(Clone, Debug)]
pub struct Scene {
    /// A word for what the node does.
    pub name: &'static str,
    host: Host,
    hellos: BTreeMap<Uid, Hello>,
    strangers: usize,
    refuses: bool,
    ms: u64,
}

/// A function that reaches a scene. The [`Room`] can go on from there, to record real frames.
type Reach = fn() -> Room;

const SCENES: [(&str, Reach); 9] = [
    ("follows", || Room::of(3, 2)),
    ("leads", || Room::of(3, SUBJECT)),
    ("asks", || lost(|_, frame| matches!(frame, Frame::LeaderPoll))),
    ("elects", || lost(|from, frame| from == SUBJECT && matches!(frame, Frame::Token(_)))),
    ("knocks", || newcomer(|from, frame| from == 3 && matches!(frame, Frame::LeaderPoll))),
    ("joins", || newcomer(|from, frame| from == 3 && matches!(frame, Frame::Join(_)))),
    ("fetches", fetches),
    ("leaves", || {
        let mut room = Room::of(3, SUBJECT);
        room.say(SUBJECT, "good-bye");
        room.leave(SUBJECT);
        room
    }),
    ("reopens", || {
        let mut room = Room::of(3, 2);
        room.crash(SUBJECT);
        room.pass(10);
        room.start(SUBJECT, Start::Reopen);
        room
    }),
];

/// A room whose leader has died, at the first frame that `until` accepts.
fn lost(until: impl FnMut(usize, &Frame) -> bool) -> Room {
    let mut room = Room::of(3, 2);
    room.say(SUBJECT, "a line that waits");
    room.crash(2);
    assert!(room.pass_until(5_000, until), "the scene is reached");
    room
}

/// A room that a newcomer joins, at the first frame that `until` accepts.
fn newcomer(until: impl FnMut(usize, &Frame) -> bool) -> Room {
    let mut room = Room::of(3, 2);
    room.start(3, Start::Join(vec![uid(0).0]));
    assert!(room.pass_until(5_000, until), "the scene is reached");
    room
}

/// The subject has won an election and lacks lines that another host holds.
fn fetches() -> Room {
    let mut room = Room::of(3, 2);
    room.mute(2, SUBJECT);
    for k in 0..3 {
        room.say(2, &format!("line {k} that one of them lacks"));
        room.pass(20);
    }
    room.crash(2);
    assert!(room.pass_until(5_000, |from, frame| from == SUBJECT && matches!(frame, Frame::Fetch(_))), "the scene");
    room
}

/// The slot of the host that a scene is about.
fn subject(name: &str) -> usize {
    if matches!(name, "knocks" | "joins") { 3 } else { SUBJECT }
}

/// All scenes; the first call makes them.
pub fn scenes() -> &'static [Scene] {
    static ALL: OnceLock<Vec<Scene>> = OnceLock::new();
    ALL.get_or_init(|| SCENES.iter().map(|(name, reach)| Scene::at(name, &reach())).collect())
}

/// The inputs that reach the subject of each scene while the room goes on by itself; they are the seeds of this target.
pub fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let scenes = (0_u8..).zip(SCENES);
    scenes
        .map(|(number, (name, reach))| {
            let mut room = reach();
            room.record = Some((subject(name), Vec::new()));
            room.pass(300);
            room.say(0, "and on it goes");
            room.pass(700);
            let lines = room.record.take().map(|(_, lines)| lines).unwrap_or_default();
            let mut bytes = vec![number];
            lines.iter().take(60).for_each(|line| bytes.extend_from_slice(format!("{line}\n").as_bytes()));
            (name, bytes)
        })
        .collect()
}

/// The character that stands for a connection in a line.
pub fn letter(place: usize) -> char {
    u32::try_from(place).ok().and_then(|place| char::from_digit(place, 36)).unwrap_or('z')
}

/// Plays an input.
pub fn run(bytes: &[u8]) {
    let Some((&first, lines)) = bytes.split_first() else { return };
    let all = scenes();
    let mut scene = all[usize::from(first & 0x0f) % all.len()].clone();
    scene.refuses(first & 0x80 != 0);
    scene.begin();
    for line in lines.split(|byte| *byte == b'\n').take(LINES_MAX) {
        scene.play(line);
    }
    scene.pass(300);
}

impl Scene {
    fn at(name: &'static str, room: &Room) -> Self {
        let host = room.host(subject(name)).clone();
        Self { name, host, hellos: room.hellos.clone(), strangers: STRANGERS, refuses: false, ms: 0 }
    }

    /// The subject in its present state.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Tells the checker that the fuzzer chooses the inputs from now on.
    pub fn begin(&mut self) {
        self.host.begin();
    }

    /// Sets whether the node's dials fail.
    pub fn refuses(&mut self, refuses: bool) {
        self.refuses = refuses;
    }

    /// A node of the room connects.
    pub fn connect_as(&mut self, uid: Uid) -> ConnId {
        let id = self.host.accept(Some(uid));
        self.step(Input::Accepted(id));
        id
    }

    /// Closes every connection of the node.
    pub fn close_all(&mut self) {
        for id in std::mem::take(&mut self.host.conns).into_keys() {
            self.step(Input::Closed(id));
        }
    }

    /// The node's user types a line.
    pub fn say(&mut self, text: &str) {
        if let Ok(text) = Text::parse(text) {
            self.step(Input::Submit(vec![text.into()]));
        }
    }

    fn play(&mut self, line: &[u8]) {
        let Some((&first, rest)) = line.split_first() else { return };
        let word = || std::str::from_utf8(rest).ok();
        match first {
            b'~' => {
                if let Some(ms) = word().and_then(|word| word.parse().ok()) {
                    self.pass(ms);
                }
            }
            b'+' => {
                if let Some(text) = word() {
                    self.say(text);
                }
            }
            b'!' => self.step(Input::Leave),
            b'@' => {
                let id = self.host.accept(None);
                self.step(Input::Accepted(id));
            }
            b'-' => {
                if let Some(id) = rest.first().and_then(|letter| self.conn(*letter)) {
                    self.host.conns.remove(&id);
                    self.step(Input::Closed(id));
                }
            }
            letter => {
                if let (Some(id), Ok(frame)) = (self.conn(letter), Frame::decode(rest)) {
                    self.frame(id, frame);
                }
            }
        }
    }

    fn conn(&self, letter: u8) -> Option<ConnId> {
        let place = char::from(letter).to_digit(36)? as usize;
        self.host.conns.keys().nth(place).copied()
    }

    /// A frame arrives; the peer greets before it if it has not greeted yet.
    pub fn frame(&mut self, id: ConnId, frame: Frame) {
        if self.host.opening.contains(&id) {
            self.step(Input::Dialled(id));
        }
        if !self.host.greeted.contains(&id) && !matches!(frame, Frame::Hello(_)) {
            let hello = self.greeting(id);
            self.step(Input::Frame(id, Frame::Hello(hello)));
        }
        self.step(Input::Frame(id, frame));
    }

    /// The hello of the peer at the other end of this connection.
    fn greeting(&mut self, id: ConnId) -> Hello {
        let expected = self.host.conns.get(&id).copied().flatten();
        if let Some(hello) = expected.and_then(|uid| self.hellos.get(&uid)) {
            return hello.clone();
        }
        self.strangers = STRANGERS + (self.strangers + 1 - STRANGERS) % 200;
        let hello = stranger(self.strangers, Some(RoomId(7)));
        let uid = expected.unwrap_or(hello.uid);
        Hello { uid, ..hello }
    }

    /// Gives the node an input and obeys its outputs.
    pub fn step(&mut self, input: Input) {
        let outputs = self.host.step(input);
        self.obey(outputs);
    }

    /// Executes the node's outputs; each dial ends at once.
    fn obey(&mut self, outputs: Vec<Output>) {
        let mut dialled: Vec<ConnId> = outputs.iter().filter_map(dials).collect();
        for _ in 0..DIALS_MAX {
            let Some(id) = dialled.pop() else { return };
            let input = match self.refuses {
                true => {
                    self.host.conns.remove(&id);
                    Input::DialFailed { conn: id, refused: true }
                }
                false => Input::Dialled(id),
            };
            dialled.extend(self.host.step(input).iter().filter_map(dials));
        }
        panic!("the node dials without end");
    }

    /// Lets so many milliseconds pass.
    pub fn pass(&mut self, ms: u64) {
        let ms = ms.min(MS_MAX.saturating_sub(self.ms));
        self.ms += ms;
        let until = self.host.now + 1000 * ms;
        while !self.host.stopped {
            self.host.now = self.host.node.deadline().0.max(self.host.now);
            if self.host.now > until {
                break;
            }
            let outputs = self.host.tick();
            self.obey(outputs);
        }
        self.host.now = until;
    }
}

fn dials(output: &Output) -> Option<ConnId> {
    if let Output::Dial(id, _) = output { Some(*id) } else { None }
}
