//! Strangers flood the ports of a keyed room from another namespace; the members talk on without harm.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::harness::{Enter, Lock, Net, Node, Rng, Room, Talker, all_show, check_log, check_same, check_suffix, hush};
use crate::harness::{quiet, setting, settled, soon, turn};
use crate::hostile::allow_files;
use crate::intruders::Between;

/// The time between two lines of a member.
const PACE: Duration = Duration::from_millis(10);
/// The number of open connections that never send a byte, and how many new ones the attacker opens in a second. The
/// attacker closes the oldest for each new one.
const SILENT: usize = 2000;
const SILENT_RATE: u32 = 1000;
/// The number of open connections that send a byte a second.
const SLOW: usize = 200;
/// The number of handshakes that the attacker begins in a second. Half of them have random bytes as their first
/// message, the others have a recorded first message.
const HANDSHAKES_RATE: u32 = 1000;
/// The factor by which the delay that 99 of a hundred lines keep may grow during the flood. A stranger costs a node
/// arithmetic, which is faster in an optimized build.
const SLOWER_MAX: u32 = if cfg!(debug_assertions) { 5 } else { 2 };
const GROWTH_BYTES_MAX: u64 = 32 * 1024 * 1024;
const FIRST_WORDS_BYTES: usize = 18 + 50;

#[test]
fn proof_19_a_flood() {
    let _turn = turn();
    let net = match Net::new(4, 4) {
        Ok(net) => net,
        Err(why) => {
            println!("proof 19: SKIPPED: no network namespaces here: {why}");
            return;
        }
    };
    let lasts = Duration::from_secs(setting("PROOF_FLOOD_SECONDS").unwrap_or(10));
    let mut room = Room::behind(Lock::Keyed);
    for i in 0..3 {
        let enter = if i == 0 { Enter::Create } else { Enter::Join(net.addr(0)) };
        let node = room.start_in(&format!("n{i}"), net.addr(i), enter, Some(net.name(i)));
        room.nodes.push(node);
        settled(&room.all(), soon(30));
    }
    let outside = Outside::enter(net.name(3));
    let first = recorded(&net, &room, &outside);
    let agreed = settled(&room.all(), soon(60));
    assert!(allow_files(SILENT + SLOW + 500) >= SILENT + SLOW + 100, "the attacker may open its connections");

    let mut talkers: Vec<Talker> = room.nodes.iter().map(|node| Talker::steady(node, &node.name, PACE)).collect();
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 100)).collect::<Vec<_>>(), soon(20));
    let before: Vec<_> = room.nodes.iter().map(Node::memory).collect();
    let calm = Instant::now();
    // This sleep is the calm time, and the loop below is the flood: both last for the full time.
    std::thread::sleep(lasts);
    let flooded = Instant::now();
    let doors: Vec<SocketAddr> = room.nodes.iter().map(|node| node.addr).collect();
    let flood = outside.flood(&doors, &first);
    let mut highest = vec![0; room.nodes.len()];
    while flooded.elapsed() < lasts {
        std::thread::sleep(Duration::from_millis(250));
        for (node, highest) in room.nodes.iter().zip(&mut highest) {
            *highest = node.memory().map_or(0, |(now, _)| now).max(*highest);
        }
    }
    let over = Instant::now();
    // A node with the key can join during the flood.
    let friend = SocketAddr::new(net.addr(2).ip(), 2429);
    let friend = room.start_in("friend", friend, Enter::Join(net.addr(0)), Some(net.name(2)));
    room.nodes.push(friend);
    assert_eq!(settled(&room.all(), soon(30)), agreed, "a flood moves no leader");
    let done = flood.stop();

    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(20));
    quiet(&room.all(), soon(20));
    let log = check_same(&room.all()[..3], &counts, soon(20));
    check_suffix("friend", &check_log(&room.nodes[3], soon(20)), &log);
    let grown = highest.iter().zip(&before).map(|(highest, before)| highest.saturating_sub(before.map_or(0, |b| b.0)));
    let grown = grown.max().unwrap_or(0);
    let (calm, flooded) = (Times::of(&room, &talkers, calm, flooded), Times::of(&room, &talkers, flooded, over));
    println!(
        "proof 19: a keyed room of 3 under {} silent connections ({SILENT} held), {} of a byte a second ({SLOW} held), {} \
         handshakes with random and {} with recorded first messages, in {:.0} s from elsewhere: the delay of {} lines was \
         {flooded}, of {} in the same time before {calm}; memory grew by {:.1} MiB at most; a friend came in, same epoch, \
         {} lines the same everywhere",
        done[0],
        done[1],
        done[2],
        done[3],
        lasts.as_secs_f64(),
        flooded.0.len(),
        calm.0.len(),
        grown as f64 / 1024.0 / 1024.0,
        log.len(),
    );
    assert!(done.iter().all(|done| *done > 0), "{done:?}");
    assert!(grown < GROWTH_BYTES_MAX, "memory grew by {grown} bytes");
    let (was, is) = (calm.at(99), flooded.at(99));
    assert!(is <= was * SLOWER_MAX, "the slowest of a hundred lines took {is:?}, and {was:?} before");
}

/// The times from the typing of a line to its display, for each line at each member, sorted.
struct Times(Vec<Duration>);

impl Times {
    /// The times of the lines that a talker typed between `from` and `to`.
    fn of(room: &Room, talkers: &[Talker], from: Instant, to: Instant) -> Self {
        let mut times = Vec::new();
        for node in &room.nodes[..talkers.len()] {
            node.screen.look(|shown| {
                for (chat, at) in shown.chats.iter().zip(&shown.at) {
                    let Some((tag, n)) = chat.numbered() else { continue };
                    let typed = talkers.iter().find(|talker| talker.tag == tag).map(|talker| talker.typed_at(n));
                    times.extend(typed.filter(|typed| (from..to).contains(typed)).map(|typed| *at - typed));
                }
            });
        }
        times.sort_unstable();
        assert!(!times.is_empty(), "somebody has spoken");
        Self(times)
    }

    /// The time that this percentage of the lines did not exceed.
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms", ms(self.at(50)), ms(self.at(99)), ms(self.at(100)))
    }
}

/// The first message of a visitor that has the key, came from outside, and has left again.
fn recorded(net: &Net, room: &Room, outside: &Outside) -> Vec<u8> {
    let door = net.addr(0);
    let between = outside.spawn(move || Between::start(door, None)).join().unwrap();
    let visitor = room.start_in("visitor", net.addr(3), Enter::Join(between.addr), Some(net.name(3)));
    visitor.say("visitor 0");
    all_show(&room.all(), &[("visitor".into(), 1)], soon(20));
    visitor.end_input();
    visitor.ended(soon(20));
    between.kept()[0][0][..FIRST_WORDS_BYTES].to_vec()
}

/// A network namespace for threads of this process.
struct Outside(Arc<File>);

/// The attacker's threads, which run until the test stops them; each returns the number of connections that it opened.
struct Flood {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<usize>>,
}

impl Outside {
    fn enter(netns: &str) -> Self {
        Self(Arc::new(File::open(format!("/run/netns/{netns}")).unwrap()))
    }

    fn spawn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let netns = Arc::clone(&self.0);
        std::thread::spawn(move || {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            f()
        })
    }

    fn flood(&self, doors: &[SocketAddr], first: &[u8]) -> Flood {
        let over = Arc::<AtomicBool>::default();
        let each = |knock: fn(&mut Knocks) -> usize, rate: u32| {
            let begun = Instant::now();
            let mut knocks = Knocks {
                doors: doors.to_vec(),
                first: first.to_vec(),
                over: Arc::clone(&over),
                begun,
                rate,
                turns: 0,
                done: 0,
            };
            self.spawn(move || knock(&mut knocks))
        };
        let threads = vec![
            each(silence, SILENT_RATE),
            each(drip, u32::try_from(SLOW).unwrap()),
            each(|knocks| handshakes(knocks, true), HANDSHAKES_RATE / 2),
            each(|knocks| handshakes(knocks, false), HANDSHAKES_RATE / 2),
        ];
        Flood { over, threads }
    }
}

impl Flood {
    fn stop(self) -> Vec<usize> {
        self.over.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

/// Opens connections to each member's port in turn.
struct Knocks {
    doors: Vec<SocketAddr>,
    first: Vec<u8>,
    over: Arc<AtomicBool>,
    begun: Instant,
    rate: u32,
    turns: u32,
    done: usize,
}

impl Knocks {
    /// Waits until the next connection or byte is due; `false` if the flood is over.
    fn turn(&mut self) -> bool {
        let due = Duration::from_secs(1) / self.rate * self.turns;
        std::thread::sleep(due.saturating_sub(self.begun.elapsed()));
        self.turns += 1;
        !self.over.load(Ordering::Relaxed)
    }

    fn open(&mut self) -> Option<TcpStream> {
        let door = self.doors[self.done % self.doors.len()];
        let stream = TcpStream::connect_timeout(&door, Duration::from_secs(1)).ok()?;
        self.done += 1;
        Some(stream)
    }

    /// Opens the next connection when it is due; `None` if the flood is over.
    fn next(&mut self) -> Option<TcpStream> {
        while self.turn() {
            if let Some(stream) = self.open() {
                return Some(stream);
            }
        }
        None
    }
}

fn silence(knocks: &mut Knocks) -> usize {
    let mut held = VecDeque::new();
    while let Some(stream) = knocks.next() {
        held.push_back(stream);
        if held.len() > SILENT {
            held.pop_front();
        }
    }
    knocks.done
}

/// Serves the connections in turn, `SLOW` of them a second, so that each sends a byte a second. Opens a new connection
/// for each one that a node has closed.
fn drip(knocks: &mut Knocks) -> usize {
    let mut held: VecDeque<(TcpStream, usize)> = VecDeque::new();
    while knocks.turn() {
        let oldest = if held.len() < SLOW { None } else { held.pop_front() };
        let goes_on = oldest.and_then(|(mut stream, said)| {
            let byte = knocks.first.get(said..=said)?;
            stream.write_all(byte).ok().map(|()| (stream, said + 1))
        });
        held.extend(goes_on.or_else(|| Some((knocks.open()?, 0))));
    }
    knocks.done
}

/// Begins handshakes that lead nowhere, and reads the nodes' answers.
fn handshakes(knocks: &mut Knocks, random: bool) -> usize {
    let mut rng = Rng::from(19);
    while let Some(mut stream) = knocks.next() {
        let mut said = knocks.first.clone();
        if random {
            let message = said.len() - 48;
            said[message..].iter_mut().for_each(|byte| *byte = u8::try_from(rng.below(256)).unwrap());
        }
        let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
        let _ = stream.write_all(&said);
        let _ = stream.read(&mut [0; 512]);
    }
    knocks.done
}
