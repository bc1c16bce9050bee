//! Nodes freeze for a while and come back. No other node waits for them, and they find their place again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::harness::{Chat, Lock, Room, Talker, all_show, check_log, check_same, hush, quiet, settled, soon, turn};

#[test]
fn proof_05_frozen_leader() {
    frozen_leader(Lock::usual());
}

#[test]
fn proof_05_frozen_leader_keyed() {
    frozen_leader(Lock::Keyed);
}

/// The leader freezes for ten seconds. Within two seconds the others talk again; when the leader thaws it is a member
/// like any other.
fn frozen_leader(lock: Lock) {
    const FROZEN: Duration = Duration::from_secs(10);
    let _turn = turn();
    let room = Room::of_behind(lock, 5, 2);
    let leader = room.place(settled(&room.all(), soon(20)).leader);
    let (sleeper, others) = (&room.nodes[leader], room.except(&[leader]));
    let mut talkers: Vec<Talker> =
        others.iter().map(|node| Talker::start(node, &node.name, Duration::from_millis(20))).collect();
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 20)).collect::<Vec<_>>(), soon(20));

    sleeper.freeze();
    let frozen = Instant::now();
    for node in &others {
        node.say(&format!("after the freeze, from {}", node.name));
    }
    let mut heard = frozen;
    for node in &others {
        for author in &others {
            heard = heard.max(node.shows(&format!("after the freeze, from {}", author.name), soon(30)));
        }
    }
    let went_on = heard - frozen;
    assert!(went_on < Duration::from_secs(2), "the room went on only {went_on:?} after the freeze");
    settled(&others, soon(20));

    // This sleep is the rest of the freeze; it must last for the full time.
    std::thread::sleep(FROZEN.saturating_sub(frozen.elapsed()));
    sleeper.thaw();
    let thawed = Instant::now();
    sleeper.say("back again");
    let agreed = settled(&room.all(), soon(30));
    let back = thawed.elapsed();
    assert_ne!(agreed.leader, sleeper.addr, "a leader back from the dead leads nobody");
    for node in room.all() {
        node.shows("back again", soon(20));
    }
    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(30));
    quiet(&room.all(), soon(20));
    let log = check_same(&others, &counts, soon(20));
    // Before it froze, the sleeper may have sequenced lines that it had sent to no node. The new leader sequenced them
    // again, and the sleeper's text file keeps them at their first places. So the test compares sets.
    let lines = |log: &[Chat]| log.iter().map(|chat| (chat.addr, chat.text.clone())).collect::<BTreeSet<_>>();
    assert_eq!(lines(&check_log(sleeper, soon(20))), lines(&log), "the sleeper holds the same lines, each once");
    println!(
        "proof  5{lock}: leader of 5 frozen for {} s: every line went everywhere again after {:.0} ms; the sleeper was a \
         member {:.0} ms after it thawed; {} lines, the same at all five",
        FROZEN.as_secs(),
        went_on.as_secs_f64() * 1e3,
        back.as_secs_f64() * 1e3,
        log.len(),
    );
}

/// A member freezes while 8 MB of text pass: no other node waits, and the leader does not collect the text in memory.
#[test]
fn proof_06_frozen_member() {
    const LINES: u64 = 2000;
    const LINE_BYTES: usize = 4096;
    const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;
    // A room that waited for a silent member would wait for 1.5 s, until it gives the member up.
    const GAP_MAX: Duration = Duration::from_millis(1400);
    let _turn = turn();
    let room = Room::of(5, 2);
    let leader = room.place(settled(&room.all(), soon(20)).leader);
    let (asleep, author) = ((leader + 1) % 5, (leader + 2) % 5);
    let (sleeper, others) = (&room.nodes[asleep], room.except(&[asleep]));
    let before = room.nodes[leader].memory();

    sleeper.freeze();
    let padding = "x".repeat(LINE_BYTES);
    let begun = Instant::now();
    for n in 0..LINES {
        let head = format!("long {n} ");
        room.nodes[author].say(&format!("{head}{}", &padding[head.len()..]));
    }
    let counts = [("long".to_owned(), LINES)];
    all_show(&others, &counts, soon(60));
    let taken = begun.elapsed();
    let gap = others.iter().map(|node| node.screen.look(|shown| longest_gap(begun, &shown.at))).max().unwrap();
    assert!(gap < GAP_MAX, "somebody waited {gap:?} for a line");
    let grown = before.zip(room.nodes[leader].memory()).map(|((now, _), (_, highest))| highest.saturating_sub(now));
    assert!(grown.unwrap_or(0) < GROWTH_BYTES_MAX, "the leader's memory grew by {grown:?} bytes");

    sleeper.thaw();
    let thawed = Instant::now();
    all_show(&[sleeper], &counts, soon(60));
    let caught_up = thawed.elapsed();
    quiet(&room.all(), soon(30));
    let log = check_same(&room.all(), &counts, soon(20));
    assert_eq!(log.len() as u64, LINES);
    println!(
        "proof  6: a member of 5 frozen while {LINES} lines of 4 kB pass: the others had all after {:.2} s, longest gap \
         {:.0} ms; the leader's memory grew by {}; the sleeper had all {:.0} ms after it thawed",
        taken.as_secs_f64(),
        gap.as_secs_f64() * 1e3,
        grown.map_or("an unknown amount".into(), |bytes| format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)),
        caught_up.as_secs_f64() * 1e3,
    );
}

fn longest_gap(begun: Instant, at: &[Instant]) -> Duration {
    let starts = std::iter::once(&begun).chain(at);
    at.iter().zip(starts).map(|(here, before)| here.saturating_duration_since(*before)).max().unwrap_or_default()
}
