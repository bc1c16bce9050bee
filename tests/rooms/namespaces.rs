//! A partition in a real network: two bridges join the nodes' namespaces, and the test pulls the cable between the
//! bridges.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::harness::{Chat, Lock, Net, Rng, Talker, all_show, check_log, check_order, check_same, check_whole};
use crate::harness::{hush, quiet, setting, settled, soon, turn};

#[test]
fn proof_08_two_halves() {
    two_halves(Lock::usual());
}

#[test]
fn proof_08_two_halves_keyed() {
    two_halves(Lock::Keyed);
}

/// Five nodes in two parts talk on for twenty seconds without each other. Within ten seconds of the repair they are one
/// room again, and every node has shown every line of both sides once.
fn two_halves(lock: Lock) {
    const CUT: Duration = Duration::from_secs(20);
    const HEALED_MAX: Duration = Duration::from_secs(10);
    let _turn = turn();
    let net = match Net::new(5, 2) {
        Ok(net) => net,
        Err(why) => {
            println!("proof  8: SKIPPED: no network namespaces here: {why}");
            return;
        }
    };
    let room = net.room_behind(lock);
    let (left, right) = (room.except(&[2, 3, 4]), room.except(&[0, 1]));
    let mut talkers: Vec<Talker> =
        room.nodes.iter().map(|node| Talker::start(node, &node.name, Duration::from_millis(50))).collect();
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 10)).collect::<Vec<_>>(), soon(20));

    net.cable("down");
    let cut = Instant::now();
    let leaders = [settled(&left, soon(20)).leader, settled(&right, soon(20)).leader];
    let apart = cut.elapsed();
    assert_ne!(leaders[0], leaders[1], "each half has a leader of its own");
    // This sleep is the rest of the cut; it must last for the full time.
    std::thread::sleep(CUT.saturating_sub(cut.elapsed()));
    let counts: Vec<(String, u64)> = talkers.iter().map(|talker| (talker.tag.clone(), talker.count())).collect();
    all_show(&left, &counts[..2], soon(5));
    all_show(&right, &counts[2..], soon(5));

    net.cable("up");
    let healed = Instant::now();
    let until = healed + HEALED_MAX;
    all_show(&room.all(), &counts, until);
    let read = healed.elapsed();
    settled(&room.all(), until);
    let one = healed.elapsed();

    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(20));
    quiet(&room.all(), soon(20));
    let logs: Vec<Vec<Chat>> = room.nodes.iter().map(|node| check_log(node, soon(20))).collect();
    let owed: BTreeSet<String> =
        counts.iter().flat_map(|(tag, n)| (0..*n).map(move |i| format!("{tag} {i}"))).collect();
    for (node, log) in room.nodes.iter().zip(&logs) {
        let lines: BTreeSet<String> = log.iter().map(|chat| chat.text.clone()).collect();
        let missing: Vec<_> = owed.difference(&lines).take(5).collect();
        assert!(missing.is_empty(), "{} lacks {} lines, among them {missing:?}", node.name, owed.len() - lines.len());
        assert_eq!(log.len(), owed.len(), "{} has lines that nobody typed, or some twice", node.name);
    }
    // The lines of the larger part have kept their places.
    check_order("n2", &logs[2]);
    assert!(logs[2] == logs[3] && logs[3] == logs[4], "the heavier half's logs are the same");
    println!(
        "proof  8{lock}: 5 nodes in namespaces cut into 2 and 3 (two leaders after {:.1} s) for {} s, then healed: all lines of \
         both sides read by all five after {:.1} s, one leader and one ring after {:.1} s; {} lines, each once in each log",
        apart.as_secs_f64(),
        CUT.as_secs(),
        read.as_secs_f64(),
        one.as_secs_f64(),
        owed.len(),
    );
}

/// Only the link between the leader and the highest uid is bad. That node stays in the room through a relay, and the
/// leader stays leader.
#[test]
fn one_bad_link() {
    let _turn = turn();
    let net = match Net::new(5, 2) {
        Ok(net) => net,
        Err(why) => {
            println!("one bad link: SKIPPED: no network namespaces here: {why}");
            return;
        }
    };
    let room = net.room();
    let agreed = settled(&room.all(), soon(30));
    assert_eq!(agreed.leader, net.addr(0));
    let mut talkers: Vec<Talker> =
        room.nodes.iter().map(|node| Talker::start(node, &node.name, Duration::from_millis(50))).collect();
    net.unroute(4, 0);
    net.unroute(0, 4);
    let cut = Instant::now();
    let later =
        |talkers: &[Talker]| talkers.iter().map(|talker| (talker.tag.clone(), talker.count() + 5)).collect::<Vec<_>>();
    // Every timeout is over by then, so a line that arrives now has come another way.
    std::thread::sleep(Duration::from_secs(4));
    all_show(&room.all(), &later(&talkers), soon(20));
    let relayed = cut.elapsed();
    for node in room.all() {
        let status = node.status().unwrap();
        assert_eq!(status["leader"], agreed.leader.to_string(), "{status}");
        assert_eq!(status["epoch"], agreed.epoch, "nobody was deposed: {status}");
    }
    net.route(4, 0);
    net.route(0, 4);
    settled(&room.all(), soon(30));
    all_show(&room.all(), &later(&talkers), soon(20));
    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(20));
    quiet(&room.all(), soon(20));
    let lines = check_same(&room.all(), &counts, soon(20)).len();
    println!("one bad link: everybody read everybody {relayed:?} after it broke, in the same epoch; {lines} lines");
}

/// The cable between two halves fails and works again several times, then works for good.
#[test]
fn a_flapping_cable() {
    let _turn = turn();
    let net = match Net::new(5, 2) {
        Ok(net) => net,
        Err(why) => {
            println!("a flapping cable: SKIPPED: no network namespaces here: {why}");
            return;
        }
    };
    let (mut rng, seed) = Rng::new();
    println!("seed {seed}");
    let room = net.room();
    let mut talkers: Vec<Talker> =
        room.nodes.iter().map(|node| Talker::start(node, &node.name, Duration::from_millis(20))).collect();
    for _ in 0..setting("PROOF_FLAPS").unwrap_or(5) {
        for state in ["down", "up"] {
            net.cable(state);
            // This sleep is the length of the fault; it must last for the full time.
            std::thread::sleep(Duration::from_millis(200 + rng.next() % 2800));
        }
    }
    let calm = Instant::now();
    settled(&room.all(), soon(10));
    let one = calm.elapsed();
    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(20));
    quiet(&room.all(), soon(20));
    let owed: u64 = counts.iter().map(|(_, count)| count).sum();
    for node in room.all() {
        let log = check_log(node, soon(20));
        for (tag, count) in &counts {
            check_whole(&node.name, &log, tag, *count);
        }
        assert_eq!(log.len() as u64, owed, "{} has lines that nobody typed", node.name);
    }
    println!(
        "a flapping cable (seed {seed}): one ring {one:?} after the last flap; {owed} lines, each once in each log"
    );
}
