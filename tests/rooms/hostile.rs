//! Strangers connect to the room's ports; the room talks on, and they cost it nothing that a user notices.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};

use crate::harness::{Enter, Lock, Node, Rng, Room, Talker, all_show, check_log, check_same, check_suffix};
use crate::harness::{free_addrs, hush, quiet, settled, soon, turn};

const IDLE: usize = 500;
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;

#[test]
fn proof_10_strangers() {
    strangers(Lock::usual());
}

#[test]
fn proof_10_strangers_keyed() {
    strangers(Lock::Keyed);
}

/// Every port gets random bytes, a line of 64 MiB, an HTTP request and 500 silent connections, all at once.
fn strangers(lock: Lock) {
    let _turn = turn();
    let (mut rng, seed) = Rng::new();
    println!("seed {seed}");
    let mut room = Room::of_behind(lock, 3, 1);
    let idle_each = allow_files(IDLE * room.nodes.len() + 200) / room.nodes.len();
    let idle_each = idle_each.min(IDLE);
    let agreed = settled(&room.all(), soon(20));
    let mut talkers: Vec<Talker> =
        room.nodes.iter().map(|node| Talker::start(node, &node.name, Duration::from_millis(10))).collect();
    let before: Vec<_> = room.nodes.iter().map(Node::memory).collect();
    let words: Vec<usize> = room.nodes.iter().map(other_lines).collect();

    let begun = Instant::now();
    let mut idle = Vec::new();
    for node in &room.nodes {
        idle.extend((0..idle_each).map(|_| TcpStream::connect(node.addr).unwrap()));
    }
    let mut taken_max = 0;
    for node in &room.nodes {
        let noise: Vec<u8> = (0..1 << 17).flat_map(|_| rng.next().to_le_bytes()).collect();
        shout(node.addr, &noise, 1);
        shout(node.addr, b"GET / HTTP/1.1\r\nHost: room\r\nAccept: */*\r\n\r\n", 1);
        taken_max = taken_max.max(shout(node.addr, &[b'a'; 1 << 20], 64));
    }
    assert!(taken_max < 8 << 20, "somebody took {taken_max} bytes of an endless line");
    let counts: Vec<(String, u64)> = talkers.iter().map(|talker| (talker.tag.clone(), talker.count())).collect();
    all_show(&room.all(), &counts, soon(20));
    // A node that knows the protocol can still join.
    let friend = room.start("friend", free_addrs(1)[0], Enter::Join(room.nodes[0].addr));
    friend.say("friend 0");
    room.nodes.push(friend);
    let after = settled(&room.all(), soon(30));
    assert_eq!(after, agreed, "strangers move no leader");
    let held = idle.iter().filter(|stream| is_open(stream)).count();
    drop(idle);
    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(20));
    all_show(&room.all(), &[("friend".into(), 1)], soon(20));
    quiet(&room.all(), soon(20));
    let log = check_same(&room.all()[..3], &counts, soon(20));
    check_suffix("friend", &check_log(&room.nodes[3], soon(20)), &log);

    let mut grown_max = 0;
    let mut said_max = 0;
    for ((node, before), words) in room.nodes.iter().zip(before).zip(words) {
        let grown = before.zip(node.memory()).map_or(0, |((now, _), (_, highest))| highest.saturating_sub(now));
        assert!(grown < GROWTH_BYTES_MAX, "{}'s memory grew by {grown} bytes", node.name);
        grown_max = grown_max.max(grown);
        // The friend's arrival also adds lines to the log; the ten lines more in the limit below are for them.
        let said = other_lines(node) - words;
        let allowed = idle_each + 3 + 10;
        assert!(said <= allowed, "{} wrote {said} lines about {} strangers", node.name, idle_each + 3);
        said_max = said_max.max(said);
    }
    let cut_off = format!("{} MiB", taken_max / (1 << 20) + 1);
    println!(
        "proof 10{lock}: noise, HTTP, a line of 64 MiB (cut off within its first {}) and {idle_each} idle connections at \
         each of 3 ports (seed {seed}): the room talked on for {:.1} s, {} lines the same everywhere, same epoch; memory \
         grew by {:.1} MiB at most, the log by {said_max} lines that are no chat; {held} idle ones were still open",
        cut_off,
        begun.elapsed().as_secs_f64(),
        log.len(),
        grown_max as f64 / 1024.0 / 1024.0,
    );
}

/// The number of log lines that no user typed.
fn other_lines(node: &Node) -> usize {
    node.log().lines().count() - node.log_chats().len()
}

/// Sends these bytes `times` times and then a line feed, until the node closes the connection. Returns the number of
/// bytes that the node took.
fn shout(addr: SocketAddr, bytes: &[u8], times: usize) -> usize {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut told = 0;
    for _ in 0..times {
        if stream.write_all(bytes).is_err() {
            return told;
        }
        told += bytes.len();
    }
    let _ = stream.write_all(b"\n");
    // The answer does not matter; the node must close the connection.
    let mut answer = Vec::new();
    let ended = stream.take(1 << 20).read_to_end(&mut answer);
    let waits = ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock));
    assert!(!waits, "a stranger that breaks the protocol keeps its link");
    told
}

fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    loop {
        match (&*stream).read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// Raises this process's limit of open files; its children keep their limit, because they started before. Returns how
/// many more files this process may open.
pub fn allow_files(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = wanted as u64;
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)).max(limit.current.unwrap_or(wanted));
    let raised = rustix::process::Rlimit { current: Some(allowed), maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { allowed } else { limit.current.unwrap_or(allowed) };
    usize::try_from(now).unwrap() - 100
}
