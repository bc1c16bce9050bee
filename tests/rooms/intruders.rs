//! Strangers without the key, and attackers between members: none of them gets in, and the room talks on.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::{Enter, Lock, Rng, Room, Talker, all_show, check_log, check_same, free_addrs, hush, poll, quiet};
use crate::harness::{setting, settled, soon, turn, write_key};

/// The number of lines a second that all members type together.
const RATE: u32 = 1000;
/// The number of lines in the session that the attacker records.
const TOLD: u64 = 20;
/// The longest answer of a node to a first message that the attacker recorded on its way to another node: the second
/// message of the handshake.
const ANSWER_BYTES_MAX: usize = 194;
/// The bytes that a dialling node sends before it knows its peer: the preamble and the first message.
const FIRST_WORDS_BYTES: usize = 18 + 50;
/// The largest number of bytes that pass between two altered bytes.
const SPARED_BYTES_MAX: usize = 8000;

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn proof_17_intruders() {
    let _turn = turn();
    let (mut rng, seed) = Rng::new();
    println!("seed {seed}");
    let room = Room::of_behind(Lock::Keyed, 3, 0);
    let leader = room.nodes[0].addr;
    let pace = Duration::from_secs(1) * 3 / RATE;
    let mut talkers: Vec<Talker> = room.nodes.iter().map(|node| Talker::steady(node, &node.name, pace)).collect();
    let begun = Instant::now();

    // The attacker records a valid session. The test then kills the node of that session, so that the members dial its
    // address.
    let recorder = Between::start(leader, None);
    let told = room.start("told", free_addrs(1)[0], Enter::Join(recorder.addr));
    let everybody: Vec<_> = room.all().into_iter().chain([&told]).collect();
    let agreed = settled(&everybody, soon(30));
    for n in 0..TOLD {
        told.say(&format!("told {n}"));
        told.shows(&format!("told {n}"), soon(20));
    }
    all_show(&everybody, &[("told".into(), TOLD)], soon(20));
    told.kill();
    let fake = TcpListener::bind(told.addr).unwrap();
    let recorded = recorder.kept().swap_remove(0);
    drop(recorder);
    assert!(recorded.iter().all(|bytes| bytes.len() > 2000), "the session went over it");

    // The attacker plays the recording to each node, and to each member that dials the dead node.
    for node in &room.nodes {
        for bytes in &recorded {
            let answer = play(TcpStream::connect(node.addr).unwrap(), bytes);
            assert!(answer.len() <= ANSWER_BYTES_MAX, "{} says {} bytes to a recording", node.name, answer.len());
        }
    }
    fake.set_nonblocking(true).unwrap();
    for bytes in [&recorded[1], &recorded[0], &recorded[1]] {
        let dialler = poll("somebody dials the dead one", soon(30), || fake.accept().ok()).0;
        dialler.set_nonblocking(false).unwrap();
        let said = play(dialler, bytes);
        assert!(said.len() <= FIRST_WORDS_BYTES, "a member says {} bytes to a recording", said.len());
    }
    drop(fake);

    // Strangers try another key, and no key.
    let other = write_key(room.runtime().join("other.key"));
    let rounds = usize::try_from(setting("PROOF_ROUNDS").unwrap_or(1)).unwrap();
    let mut refused = 0;
    for node in room.nodes.iter().cycle().take(rounds * room.nodes.len()) {
        for key in [Some(other.as_path()), None] {
            let stranger = room.start_with("stranger", free_addrs(1)[0], Enter::Join(node.addr), key);
            stranger.say("let me in");
            assert_eq!(stranger.ended(soon(30)).code(), Some(5), "{}", stranger.stderr());
            refused += 1;
        }
    }

    // An attacker between a member and the leader alters bytes that pass.
    let mut friends = Vec::new();
    let (mut altered, mut cut) = (0, 0);
    for i in 0..8 * rounds {
        let between = Between::start(leader, Some(rng.next()));
        let friend = room.start(&format!("friend{i}"), free_addrs(1)[0], Enter::Join(between.addr));
        // The altered byte may belong to the handshake: the friend then reports a wrong key and ends.
        poll("something is altered, and cut off for it", soon(30), || {
            (!friend.alive() || between.altered() > 0 && between.open() == 0).then_some(())
        });
        friend.end_input();
        friend.ended(soon(30));
        altered += between.altered();
        cut += between.kept().len();
        friends.push(friend);
    }

    poll("the last of them is forgotten", soon(60), || {
        let status = room.nodes[0].status().ok()?;
        (status["members"].as_array()?.len() == 3).then_some(())
    });
    assert_eq!(settled(&room.all(), soon(30)), agreed, "none of them moves a leader");
    let counts = hush(&mut talkers);
    let lasted = begun.elapsed();
    all_show(&room.all(), &counts, soon(30));
    quiet(&room.all(), soon(30));
    let log = check_same(&room.all(), &counts, soon(20));
    let lines: u64 = counts.iter().map(|(_, count)| count).sum();
    assert_eq!(log.len() as u64, lines + TOLD, "nobody else has said anything");
    let mut latest = Duration::ZERO;
    for (talker, node) in talkers.iter().zip(&room.nodes) {
        node.screen.look(|shown| {
            for (chat, at) in shown.chats.iter().zip(&shown.at) {
                if let Some((_, n)) = chat.numbered().filter(|(tag, _)| *tag == talker.tag) {
                    latest = latest.max(*at - talker.typed_at(n));
                }
            }
        });
    }
    for friend in &friends {
        for chat in check_log(friend, soon(20)) {
            let at = log.binary_search_by_key(&chat.ts, |chat| chat.ts);
            assert!(at.is_ok_and(|at| log[at] == chat), "{} was told {chat:?}, which nobody has said", friend.name);
        }
    }
    println!(
        "proof 17: a keyed room of 3 at {:.0} lines/s for {:.1} s (seed {seed}): {refused} strangers with another key or \
         none refused with code 5; a recorded session of {} and {} bytes played at each door and to whoever dialled its \
         owner, {altered} bytes altered on {cut} connections: none got in, same epoch, {} lines the same everywhere, \
         none lost, no more than {:.0} ms late",
        lines as f64 / lasted.as_secs_f64(),
        lasted.as_secs_f64(),
        recorded[0].len(),
        recorded[1].len(),
        log.len(),
        latest.as_secs_f64() * 1e3,
    );
}

/// Sends these bytes until the peer closes the connection; returns the peer's answer.
fn play(mut stream: TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return answer,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("a recording keeps its link"),
            // The node closed the connection with unread bytes in it.
            Err(_) => return answer,
        }
    }
}

/// An attacker on the way to a node: it keeps all bytes that pass, and may alter them.
pub struct Between {
    pub addr: SocketAddr,
    /// For each connection, the bytes from the dialling node and the bytes to it.
    kept: Arc<Mutex<Vec<[Vec<u8>; 2]>>>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    altered: AtomicU64,
    open: AtomicU64,
    over: AtomicBool,
}

impl Between {
    /// Starts the attacker in front of `node`. With a seed, the attacker alters a byte now and then, at places that it
    /// draws from the seed.
    pub fn start(node: SocketAddr, seed: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let kept: Arc<Mutex<Vec<[Vec<u8>; 2]>>> = Arc::default();
        let state = Arc::<State>::default();
        let (keeping, states) = (Arc::clone(&kept), Arc::clone(&state));
        std::thread::spawn(move || {
            let mut seeds = seed.map(Rng::from);
            for which in 0.. {
                let Ok((dialler, _)) = listener.accept() else { return };
                if states.over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(door) = TcpStream::connect(node) else { continue };
                keeping.lock().unwrap().push(Default::default());
                let ways = [(&dialler, &door), (&door, &dialler)];
                for (way, (from, to)) in ways.into_iter().enumerate() {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (keeping, state) = (Arc::clone(&keeping), Arc::clone(&states));
                    let rng = seeds.as_mut().map(|seeds| Rng::from(seeds.next()));
                    state.open.fetch_add(1, Ordering::SeqCst);
                    std::thread::spawn(move || {
                        pass(&from, &to, rng, &state, |bytes| {
                            keeping.lock().unwrap()[which][way].extend_from_slice(bytes);
                        });
                        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
                        state.open.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { addr, kept, state }
    }

    pub fn kept(&self) -> Vec<[Vec<u8>; 2]> {
        self.kept.lock().unwrap().clone()
    }

    fn altered(&self) -> u64 {
        self.state.altered.load(Ordering::SeqCst)
    }

    /// The number of directions, over all connections, that have not ended yet.
    fn open(&self) -> u64 {
        self.state.open.load(Ordering::SeqCst)
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.addr);
    }
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, mut rng: Option<Rng>, state: &State, keep: impl Fn(&[u8])) {
    let mut buffer = vec![0; 1 << 16];
    let mut spared = rng.as_mut().map(|rng| rng.below(SPARED_BYTES_MAX));
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..read];
        keep(bytes);
        let mut at = 0;
        while let (Some(next), Some(rng)) = (spared, &mut rng) {
            if at + next >= bytes.len() {
                spared = Some(at + next - bytes.len());
                break;
            }
            at += next;
            bytes[at] ^= u8::try_from(1 + rng.below(255)).unwrap();
            state.altered.fetch_add(1, Ordering::SeqCst);
            at += 1;
            spared = Some(rng.below(SPARED_BYTES_MAX));
        }
        if to.write_all(bytes).is_err() {
            return;
        }
    }
}
