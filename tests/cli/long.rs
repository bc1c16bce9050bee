//! A room with a long history. `PROOF_LINES` is its number of lines (`scripts/proofs` sets a million).

#![expect(clippy::print_stdout, reason = "a proof says what it saw")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dist_chat::identity::Identity;
use dist_chat::ring::{
    Body, Entry, Epoch, Index, Lamport, Line, LineId, Member, Name, Nonce, Note, Record, RoomId, SessionId, Tail, Text,
    Uid, WallMs, sign_runs,
};
use dist_chat::store::{LogMark, Reader, Sqlite, file_in};

use crate::harness::{Dir, Node, program, until};

/// The default number of lines: more than fit in memory.
const LINES: u64 = 60_000;
/// The number of lines that one write appends.
const BATCH: u64 = 100;

fn lines() -> u64 {
    std::env::var("PROOF_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(LINES)
}

/// Whether the test checks times: not in a build without optimization, and not beside other tests.
fn held_to_time() -> bool {
    std::env::var_os("PROOF_LINES").is_some()
}

/// Writes the file of a node that has led a room alone for a long time.
fn fill(path: &Path, uid: Uid, count: u64) {
    let mut file = Sqlite::open(path).unwrap();
    let identity = Identity::of_seed([1; 32]);
    let (author, session) = (identity.author(), SessionId(2));
    file.set_fact("identity", &dist_chat::ring::hex::text(&identity.seed())).unwrap();
    file.enter(None, author, session).unwrap();
    let epoch = Epoch { round: 1, leader: uid, nonce: Nonce(3) };
    let name = Name::parse("ann").unwrap();
    let entry = |index: u64, body: Body| {
        Arc::new(Entry {
            epoch,
            index: Index(index),
            lamport: Lamport(index),
            wall: WallMs(1_700_000_000_000 + index),
            body,
        })
    };
    let elected = Note::Elected(Member { uid, name: name.clone(), author });
    file.write(&[Record::Room(RoomId(4)), Record::Append(vec![entry(1, Body::Note(elected))])]).unwrap();
    for first in (1..=count).step_by(BATCH as usize) {
        let batch = (first..(first + BATCH).min(count + 1)).map(|n| {
            let rare = if n == count / 3 { "needle" } else { "hay" };
            let text = Text::parse(&format!("old line {n} of a long past, with some {rare} in it")).unwrap();
            let id = LineId { author, session, n };
            Line { id, lamport: Lamport(n), name: name.clone(), uid, text, channel: None, act: None, signature: None }
        });
        let mut batch: Vec<Line> = batch.collect();
        sign_runs(RoomId(4), &mut batch, &identity);
        let entries = batch.into_iter().map(|line| entry(line.id.n + 1, Body::Line(Arc::new(line))));
        file.write(&[Record::Append(entries.collect())]).unwrap();
    }
    // The chat log already holds all lines.
    let tail = Tail { epoch: Some(epoch), index: Index(count + 1) };
    assert!(file.set_log_mark(LogMark { tail, bytes: 0 }).unwrap());
    file.shrink().unwrap();
}

/// The largest number of bytes that the process has held in memory.
fn memory(node: &Node) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

fn last(node: &Node) -> u64 {
    let port = node.port.to_string();
    let mut command = program(&node.dir.0, &["status", "-p", &port, "--json"]);
    let output = command.output().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    status["log"]["last"].as_u64().unwrap_or(0)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn proof_15_a_long_past() {
    let count = lines();
    let dir = Dir::new();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let path = file_in(&dir.0, port);
    fill(&path, Uid(([127, 0, 0, 1], port).into()), count);

    let begun = Instant::now();
    let command = program(&dir.0, &["-l", "-p", &port.to_string(), "-n", "ann"]);
    let mut ann = Node::spawn(dir, command);
    let prompt = begun.elapsed();
    let indexing = Instant::now();
    let indexed = || Reader::open(&path).unwrap().unwrap().indexed().is_ok_and(|(indexed, end)| indexed == end);
    while !indexed() {
        assert!(indexing.elapsed() < Duration::from_secs(300), "the index does not come to its end");
        std::thread::sleep(Duration::from_millis(50));
    }
    let indexing = indexing.elapsed();
    let begun = Instant::now();
    let mut command = program(&ann.dir.0, &["history", "-p", &port.to_string(), "--grep", "needle"]);
    let found = command.output().unwrap();
    let grep = begun.elapsed();
    assert!(String::from_utf8(found.stdout).unwrap().contains(&format!("old line {} of", count / 3)));

    // Eve is in the room already, and two users talk.
    let mut eve = Node::join("eve", &ann);
    until("eve holds all", || last(&eve) == last(&ann));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let talker = {
        let (stop, mut keyboard) = (stop.clone(), ann.take_stdin());
        std::thread::spawn(move || {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                use std::io::Write as _;
                writeln!(keyboard, "live {n}").unwrap();
                n += 1;
                // The pause sets the pace of the talk; the test waits for nothing with it.
                std::thread::sleep(Duration::from_millis(20));
            }
            (n, keyboard)
        })
    };
    let heard = {
        let lines = eve.take_lines();
        std::thread::spawn(move || {
            let (mut last, mut longest, mut count) = (None::<Instant>, Duration::ZERO, 0u32);
            for line in lines {
                if line.contains("]: live ") {
                    longest = last.map_or(Duration::ZERO, |at| longest.max(at.elapsed()));
                    (last, count) = (Some(Instant::now()), count + 1);
                } else if line.contains("]: the end") {
                    break;
                }
            }
            (longest, count)
        })
    };
    let begun = Instant::now();
    let mut new = Node::join("new", &ann);
    let shown = new.wait_for("]: old line ");
    assert!(shown.contains(&format!("old line {} of", count - 999)) || shown.contains("old line"), "{shown}");
    new.feed("I am new here\n");
    ann.wait_for("]: I am new here");
    let talks = begun.elapsed();
    until("the newcomer holds all", || last(&new) + 200 > count && last(&new) >= last(&ann) - 20);
    let holds = begun.elapsed();
    stop.store(true, std::sync::atomic::Ordering::Release);
    let (said, mut keyboard) = talker.join().unwrap();
    {
        use std::io::Write as _;
        writeln!(keyboard, "the end").unwrap();
    }
    let (longest, heard) = heard.join().unwrap();
    assert_eq!(heard, said, "eve has heard every line");
    let held = memory(&ann).max(memory(&new));
    println!(
        "proof 15: {count} entries: prompt after {} ms, {} MiB at most in memory, indexed after {:.1} s, --grep \
         {} ms; a joiner talks after {} ms and holds all after {:.1} s; meanwhile {said} lines, the longest gap {} ms",
        prompt.as_millis(),
        held / (1024 * 1024),
        indexing.as_secs_f64(),
        grep.as_millis(),
        talks.as_millis(),
        holds.as_secs_f64(),
        longest.as_millis(),
    );
    assert!(held < 100 * 1024 * 1024, "{held} bytes in memory");
    if held_to_time() {
        assert!(prompt < Duration::from_secs(1) && talks < Duration::from_secs(1), "{prompt:?} {talks:?}");
        assert!(holds < Duration::from_secs(30) && grep < Duration::from_millis(200), "{holds:?} {grep:?}");
        // The other members declare a node lost if it stays silent for longer than this.
        assert!(longest < Duration::from_millis(1500), "a gap of {longest:?} in what others say");
    }
}
