//! The greeting and the handshake: at the server of a keyed room, at the server of an open room, and at a dialling
//! node.
//!
//! Ephemeral keys are random, so no recording can be a whole handshake. The target dials itself, and the input says
//! what an attacker on the way changes.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use bytes::BytesMut;
use dist_chat::identity::Identity;
use dist_chat::key::RoomKey;
use dist_chat::net::Keys;
use dist_chat::net::transport::greeting::{GreetingClient, GreetingError, GreetingServer, GreetingStep};
use dist_chat::net::transport::limits::HELLO_BYTES_MAX;
use dist_chat::net::transport::noise::{LocalKeys, SecureSession};
use dist_chat::ring::limits::PROTOCOL_VERSION;
use dist_chat::ring::{AuthorId, Frame, Hello, Refusal, RoomId, SessionId, Uid};

/// The seeds of the identities at the two ends.
const DIALLER: u8 = 2;
const DOOR: u8 = 1;
/// The bytes of the longest answer to a first message, and of the longest refusal.
const ANSWER_BYTES_MAX: usize = 2 + 192;
const WORD_BYTES_MAX: usize = 64;

/// The room's present key, its former key, and the key of another room.
static KEYS: LazyLock<[Arc<RoomKey>; 3]> = LazyLock::new(|| [1, 2, 3].map(|n| Arc::new(RoomKey::new([n; 32], None))));

fn keyed() -> Keys {
    Keys { current: Some(Arc::clone(&KEYS[0])), previous: Some(Arc::clone(&KEYS[1])) }
}

/// The first byte chooses the test, and the other bytes are its input.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((0, said)) => at_a_keyed_door(said),
        Some((1, said)) => at_an_open_door(said),
        Some((2, said)) => to_who_dials(said),
        Some((_, rest)) => drop(is_let_in(rest)),
        None => {}
    }
}

/// The keys of a new process, which remembers no earlier handshake.
fn own(owner: u8) -> Arc<LocalKeys> {
    match LocalKeys::new(&Identity::of_seed([owner; 32])) {
        Ok(own) => Arc::new(own),
        Err(error) => panic!("{error}"),
    }
}

/// How the greeting of a stranger ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Greeted(AuthorId),
    Away(Vec<u8>, Option<String>),
}

/// A listening node and one stranger, whose bytes the node reads as it reads them from the network.
struct Door {
    greeting: GreetingServer,
    bytes: BytesMut,
    heard: Vec<u8>,
    answers: Vec<u8>,
    /// The plain bytes that the node decrypted behind the hello.
    behind: Vec<u8>,
    /// Whether the stranger has shown the room's former key.
    late: bool,
    fate: Option<Fate>,
}

impl Door {
    fn with(keys: Keys) -> Self {
        let (bytes, heard, answers, behind) = (BytesMut::new(), Vec::new(), Vec::new(), Vec::new());
        Self { greeting: GreetingServer::new(own(DOOR), keys), bytes, heard, answers, behind, late: false, fate: None }
    }

    fn hear(&mut self, said: &[u8], tear: usize) {
        for piece in said.chunks(tear.max(1)) {
            if self.fate.is_some() {
                return;
            }
            let piece = &piece[..piece.len().min(HELLO_BYTES_MAX - self.heard.len())];
            self.heard.extend_from_slice(piece);
            self.bytes.extend_from_slice(piece);
            self.fate = self.steps();
        }
    }

    fn steps(&mut self) -> Option<Fate> {
        loop {
            let before = self.bytes.len();
            let step = self.greeting.step(&mut self.bytes);
            assert!(self.bytes.len() <= before, "a door makes nothing up");
            match step {
                GreetingStep::Wait if self.heard.len() == HELLO_BYTES_MAX => return Some(Fate::Away(Vec::new(), None)),
                GreetingStep::Wait => return None,
                GreetingStep::Answer(answer) => {
                    assert!(self.answers.is_empty() && answer.len() <= ANSWER_BYTES_MAX, "one answer, of one length");
                    self.answers = answer;
                }
                GreetingStep::Greeted(greeted) => {
                    let Frame::Hello(hello) = &greeted.hello else { panic!("it is greeted by {:?}", greeted.hello) };
                    let proven = greeted.session.as_ref().map(|session| session.author);
                    assert!(proven.is_none_or(|proven| proven == hello.author), "it speaks for another");
                    self.behind = greeted.plain.to_vec();
                    self.late = greeted.session.as_ref().is_some_and(|session| session.late);
                    return Some(Fate::Greeted(hello.author));
                }
                GreetingStep::TurnedAway { word, why } => {
                    assert!(word.len() <= WORD_BYTES_MAX, "{} bytes for a last word", word.len());
                    return Some(Fate::Away(word, why));
                }
            }
        }
    }
}

/// The end of a stranger's greeting; checks that it is the same for every way to split the bytes.
fn fate(keys: &Keys, said: &[u8]) -> Option<Fate> {
    let once = |tear| {
        let mut door = Door::with(keys.clone());
        door.hear(said, tear);
        door.fate
    };
    let whole = once(said.len());
    for tear in [1, 7, 50] {
        assert_eq!(once(tear), whole, "in pieces of {tear} bytes");
    }
    whole
}

/// A stranger that cannot answer the message of the listening node never gets in.
fn at_a_keyed_door(said: &[u8]) {
    let fate = fate(&keyed(), said);
    assert!(!matches!(fate, Some(Fate::Greeted(_))), "a monologue opens the door");
}

/// A stranger that sends a hello gets in.
fn at_an_open_door(said: &[u8]) {
    let fate = fate(&Keys::default(), said);
    let hello = hello_in(&said[..said.len().min(HELLO_BYTES_MAX)]).map(|(author, _)| Fate::Greeted(author));
    assert_eq!(fate.filter(|fate| matches!(fate, Fate::Greeted(_))), hello);
}

/// The author of the hello in the first line, and the length of that line.
fn hello_in(said: &[u8]) -> Option<(AuthorId, usize)> {
    let end = said.iter().position(|byte| *byte == b'\n')? + 1;
    match Frame::decode(&said[..end]) {
        Ok(Frame::Hello(hello)) => Some((hello.author, end)),
        Ok(_) | Err(_) => None,
    }
}

/// A dialling node takes no answer of these for the answer of a member.
fn to_who_dials(said: &[u8]) {
    let said = &said[..said.len().min(HELLO_BYTES_MAX)];
    let once = |tear: usize| {
        let (calling, _) = begin(0);
        let ends = (1..=said.len()).filter(|end| *end == said.len() || end % tear == 0);
        let end = ends.into_iter().find(|end| GreetingClient::answered(&said[..*end]))?;
        calling.finish(&mut BytesMut::from(&said[..end])).err().or_else(|| panic!("it believes what anybody says"))
    };
    let whole = once(said.len().max(1));
    for tear in [1, 7, 50] {
        assert_eq!(once(tear), whole, "in pieces of {tear} bytes");
    }
}

fn begin(key: usize) -> (GreetingClient, Vec<u8>) {
    match GreetingClient::begin(&own(DIALLER), &KEYS[key]) {
        Ok(begun) => begun,
        Err(shut) => panic!("nothing to say: {shut:?}"),
    }
}

/// What happens to a handshake on its way.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// The length of the pieces in which the bytes arrive.
    tear: usize,
    /// The index in [`KEYS`] of the dialling node's key.
    key: usize,
    /// The part that the attacker changes: the first message, its answer, the third message, or the hello.
    part: usize,
    change: Change,
    /// The place of the change, modulo the length of the part.
    at: usize,
    /// The number of plain bytes in each encrypted record.
    record: usize,
    /// Whether the dialling node encrypts the input instead of its hello. Otherwise the input follows the hello in
    /// clear.
    says: bool,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Flip(u8),
    Insert(u8),
    Remove,
    Cut,
    Twice,
}

impl Plan {
    const BYTES: usize = 7;

    fn read(bytes: &[u8; Self::BYTES]) -> Self {
        let [tear, key, change, value, high, low, record] = bytes.map(usize::from);
        let value = value as u8;
        let change = match change % 6 {
            0 => Change::Nothing,
            1 => Change::Flip(value),
            2 => Change::Insert(value),
            3 => Change::Remove,
            4 => Change::Cut,
            _ => Change::Twice,
        };
        let (key, part, says) = (key % 3, key / 3 % 4, key / 12 % 2 == 1);
        Self { tear: tear + 1, key, part, change, at: high << 8 | low, record: record + 1, says }
    }

    /// The bytes of a part that arrive.
    fn spoil(self, part: usize, mut bytes: Vec<u8>) -> Vec<u8> {
        if part != self.part || bytes.is_empty() {
            return bytes;
        }
        let at = self.at % bytes.len();
        match self.change {
            Change::Nothing => {}
            Change::Flip(bits) => bytes[at] ^= bits,
            Change::Insert(byte) => bytes.insert(at, byte),
            Change::Remove => drop(bytes.remove(at)),
            Change::Cut => bytes.truncate(at),
            Change::Twice => bytes.extend_from_within(..),
        }
        bytes
    }
}

/// A node dials, and an attacker on the way does what the plan says. Returns whether the node gets in. It must get in
/// exactly if the listener received what a node with the key sent, and if that was the node's own hello.
pub fn is_let_in(bytes: &[u8]) -> bool {
    let Some((plan, said)) = bytes.split_first_chunk() else { return false };
    let plan = Plan::read(plan);
    let mut door = Door::with(keyed());
    let (calling, first) = begin(plan.key);
    door.hear(&plan.spoil(0, first.clone()), plan.tear);
    let due = plan.key < 2 && door.heard.starts_with(&first);
    assert_eq!(!door.answers.is_empty(), due, "who shows the key is answered, and nobody else");
    if plan.key == 2 && door.heard == first {
        let Some(Fate::Away(word, _)) = &door.fate else { panic!("another key: {:?}", door.fate) };
        let told = calling.finish(&mut BytesMut::from(&word[..])).err();
        assert_eq!(told, Some(GreetingError::Refused(Refusal::WrongKey)));
        return false;
    }
    let mut good = None;
    if let Some((mut session, third)) = due.then(|| answered(plan, calling, &door.answers)).flatten() {
        let own = hello(DIALLER);
        let plain = if plan.says { said } else { &own };
        let line = hello_in(plain).filter(|(author, _)| *author == author_of(DIALLER));
        let (mut sealed, mut needed) = (Vec::new(), None);
        for (n, record) in plain.chunks(plan.record).enumerate() {
            assert!(session.sealer.seal(record, &mut sealed).is_ok(), "this end can seal");
            if needed.is_none() && line.is_some_and(|(_, end)| (n + 1) * plan.record >= end) {
                needed = Some(sealed.len());
            }
        }
        door.hear(&plan.spoil(2, third.clone()), plan.tear);
        door.hear(&plan.spoil(3, sealed.clone()), plan.tear);
        good = needed.map(|needed| [&first[..], &third, &sealed[..needed]].concat());
        if let (Some(Fate::Greeted(_)), Some((_, end))) = (&door.fate, line) {
            assert!(plain[end..].starts_with(&door.behind), "what stands behind the hello is what was sealed");
        }
    }
    if !plan.says {
        door.hear(said, plan.tear);
    }
    let due = good.is_some_and(|good| door.heard.starts_with(&good));
    let greeted = door.fate == Some(Fate::Greeted(author_of(DIALLER)));
    assert_eq!(greeted, due, "let in: {:?}", door.fate);
    assert!(!greeted || door.late == (plan.key == 1), "which key it had is known");
    assert!(greeted || !matches!(door.fate, Some(Fate::Greeted(_))), "let in as somebody else");
    greeted
}

/// The session and the third message that the dialling node makes from the listener's answer.
fn answered(plan: Plan, calling: GreetingClient, answer: &[u8]) -> Option<(SecureSession, Vec<u8>)> {
    let arrived = plan.spoil(1, answer.to_vec());
    if !GreetingClient::answered(&arrived) {
        return None;
    }
    let met = calling.finish(&mut BytesMut::from(&arrived[..])).ok();
    assert_eq!(met.is_some(), arrived.starts_with(answer), "an answer is believed as it was given, and no other");
    assert!(met.iter().all(|(session, _)| session.author == author_of(DOOR)), "the answer is another's");
    met
}

fn author_of(owner: u8) -> AuthorId {
    Identity::of_seed([owner; 32]).author()
}

fn hello(owner: u8) -> Vec<u8> {
    let mut line = Vec::new();
    Frame::Hello(Hello {
        version: PROTOCOL_VERSION,
        room: Some(RoomId(7)),
        uid: Uid(SocketAddr::from(([10, 0, 0, 1], 2428))),
        author: author_of(owner),
        session: SessionId(2),
    })
    .encode(&mut line);
    line
}

/// The seeds of this target. The first message in two of them is good under its key, once in a process.
pub fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let (own, other) = (hello(DIALLER), hello(DOOR));
    let plan = |bytes: [u8; Plan::BYTES], said: &[u8]| [&[3], &bytes[..], said].concat();
    let says = 12;
    vec![
        ("first", [&[0], &begin(0).1[..]].concat()),
        ("first-other-key", [&[0], &begin(2).1[..]].concat()),
        ("keyed-json", [&[0], &own[..]].concat()),
        ("keyed-salt", b"\x00dist-chat 4 salt\n".to_vec()),
        ("open-hello", [&[1], &own[..], b"\"leader_poll\"\n"].concat()),
        ("open-keyed", b"\x01dist-chat 4 keyed\n".to_vec()),
        ("answer-wrong-key", b"\x02dist-chat 4 wrong key\n".to_vec()),
        ("answer-zeros", [&[2, 0, 192][..], &[0; 192]].concat()),
        ("untouched", plan([255, 0, 0, 0, 0, 0, 255], b"\0\x20more")),
        ("untouched-torn", plan([0, 1, 0, 0, 0, 0, 20], b"")),
        ("other-key", plan([60, 2, 0, 0, 0, 0, 0], b"")),
        ("answer-flipped", plan([9, 3, 1, 1, 0, 40, 99], b"")),
        ("third-cut", plan([9, 6, 4, 0, 0, 100, 99], b"and more")),
        ("hello-twice", plan([9, 9, 5, 0, 0, 0, 99], b"")),
        ("says-own-hello", plan([30, says, 0, 0, 0, 0, 50], &[&own[..], b"\"leader_poll\"\n"].concat())),
        ("says-for-another", plan([30, says, 0, 0, 0, 0, 255], &other)),
        ("says-ask", plan([30, says, 0, 0, 0, 0, 255], b"\"leader_poll\"\n")),
    ]
}
