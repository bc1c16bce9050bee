//! A room in good health: all logs have one order, no line is lost, and no line stands twice.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::harness::{Room, all_show, check_same, quiet, soon, turn};

/// Five members talk at once: five logs hold the same lines in the same order, and their timestamps rise.
#[test]
fn proof_01_five_talkers() {
    const LINES: u64 = 100;
    let _turn = turn();
    let room = Room::of(5, 2);
    let barrier = Barrier::new(room.nodes.len());
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for node in &room.nodes {
            scope.spawn(|| {
                barrier.wait();
                for n in 0..LINES {
                    node.say(&format!("{} {n}", node.name));
                    // Each thread types almost as fast as a pipe takes lines; the pause gives the other threads their
                    // turn.
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
    });
    let counts: Vec<(String, u64)> = room.nodes.iter().map(|node| (node.name.clone(), LINES)).collect();
    all_show(&room.all(), &counts, soon(30));
    let taken = begun.elapsed();
    quiet(&room.all(), soon(20));
    let log = check_same(&room.all(), &counts, soon(20));
    assert_eq!(log.len(), 500);
    let authors: Vec<&str> = log.iter().map(|chat| chat.name.as_str()).collect();
    let turns = authors.windows(2).filter(|pair| pair[0] != pair[1]).count();
    println!(
        "proof  1: 5 talkers x {LINES} lines: 5 logs with the same {} chat lines, TS rising from {} to {}, the author \
         changes {turns} times; all shown everywhere after {:.0} ms",
        log.len(),
        log[0].ts,
        log[log.len() - 1].ts,
        taken.as_secs_f64() * 1e3,
    );
}

/// A long file runs through a pipe into one member: every node holds all of it, and that member leaves by itself at its
/// end.
#[test]
fn proof_02_piped_lines() {
    const LINES: u64 = 10_000;
    let _turn = turn();
    let room = Room::of(5, 1);
    let piped = &room.nodes[4];
    let text: String = (0..LINES).map(|n| format!("pipe {n}\n")).collect();
    let begun = Instant::now();
    piped.keyboard().bytes(text.as_bytes()).unwrap();
    piped.end_input();
    let counts = [("pipe".to_owned(), LINES)];
    all_show(&room.all(), &counts, soon(60));
    let taken = begun.elapsed();
    let code = piped.ended(soon(20));
    assert_eq!(code.code(), Some(0), "it left as asked: {}", piped.stderr());
    quiet(&room.except(&[4]), soon(20));
    let log = check_same(&room.all(), &counts, soon(20));
    assert_eq!(log.len() as u64, LINES);
    println!(
        "proof  2: {LINES} lines piped into one of 5: all at all five, in order, after {:.2} s; it then left with code 0",
        taken.as_secs_f64(),
    );
}
