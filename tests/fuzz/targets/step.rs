//! A node in the middle of something hears whatever its peers like to say.
//!
//! The first byte chooses the [`Scene`]: its lower half what the node is doing, its upper half how its dials end. Lines
//! follow; what is none is left out.
//!
//! | line | what happens |
//! |---|---|
//! | `0{"ping":1}` | a frame arrives on the node's first connection (`0` to `9`, `a` to `z`, in the order of their ids) |
//! | `~250` | so many milliseconds pass |
//! | `@` | somebody connects |
//! | `-0` | the first connection closes |
//! | `+hello` | the node's person says something |
//! | `!` | the node's person wants to leave |
//!
//! A connection on which nobody has greeted greets before anything else, as whoever should be there.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use dist_chat::ring::{ConnId, Frame, Hello, Input, Output, RoomId, Start, Text, Uid};

use super::room::{Host, Room, stranger, uid};

/// What is done with one input at most: a longer one is cut.
const LINES_MAX: usize = 400;
/// Dials that follow from one another: everybody whom a node may know, once.
const DIALS_MAX: usize = 4096;
/// Milliseconds that pass in one run at most.
const MS_MAX: u64 = 20_000;
/// The host that is told what the fuzzer likes.
const SUBJECT: usize = 1;
/// Strangers have these numbers and the following.
const STRANGERS: usize = 20;

/// A node in the middle of something, and who could be at the other ends.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it is doing.
    pub name: &'static str,
    host: Host,
    hellos: BTreeMap<Uid, Hello>,
    strangers: usize,
    refuses: bool,
    ms: u64,
}

/// How a scene is reached; [`Room`] goes on from there when real frames are recorded.
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

/// The leader is lost.
fn lost(until: impl FnMut(usize, &Frame) -> bool) -> Room {
    let mut room = Room::of(3, 2);
    room.say(SUBJECT, "a line that waits");
    room.crash(2);
    assert!(room.pass_until(5_000, until), "the scene is reached");
    room
}

/// Somebody new comes, to an old room.
fn newcomer(until: impl FnMut(usize, &Frame) -> bool) -> Room {
    let mut room = Room::of(3, 2);
    room.start(3, Start::Join(vec![uid(0).0]));
    assert!(room.pass_until(5_000, until), "the scene is reached");
    room
}

/// The subject has won, and lacks what another has.
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

/// The host that a scene is about.
fn subject(name: &str) -> usize {
    if matches!(name, "knocks" | "joins") { 3 } else { SUBJECT }
}

/// All scenes, made once.
pub fn scenes() -> &'static [Scene] {
    static ALL: OnceLock<Vec<Scene>> = OnceLock::new();
    ALL.get_or_init(|| SCENES.iter().map(|(name, reach)| Scene::at(name, &reach())).collect())
}

/// What reaches the subject of each scene while the room goes on by itself: inputs of this target, to begin with.
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

/// A connection's place, as a line names it.
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

    /// The node, and what it has.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// From here on it is told what somebody likes.
    pub fn begin(&mut self) {
        self.host.begin();
    }

    /// Whether nobody takes its calls.
    pub fn refuses(&mut self, refuses: bool) {
        self.refuses = refuses;
    }

    /// Somebody who is known connects.
    pub fn connect_as(&mut self, uid: Uid) -> ConnId {
        let id = self.host.accept(Some(uid));
        self.step(Input::Accepted(id));
        id
    }

    /// Every connection closes.
    pub fn close_all(&mut self) {
        for id in std::mem::take(&mut self.host.conns).into_keys() {
            self.step(Input::Closed(id));
        }
    }

    /// Its person says something.
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

    /// A frame arrives, after a greeting.
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

    /// What whoever is at the other end says first.
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

    /// Something happens.
    pub fn step(&mut self, input: Input) {
        let outputs = self.host.step(input);
        self.obey(outputs);
    }

    /// Dials end at once.
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

    /// So many milliseconds pass.
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
