//! Nodes die, the leader among them, and the remaining nodes go on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::harness::{
    Agreed, Chat, Enter, Lock, Node, Rng, Room, Talker, all_show, check_log, check_order, check_same, check_suffix,
    check_whole, hush, median_worst, quiet, setting, settled, soon, turn,
};

const PACE: Duration = Duration::from_millis(10);

#[test]
fn proof_03_leaders_killed_under_traffic() {
    leaders_killed_under_traffic(Lock::usual());
}

#[test]
fn proof_03_leaders_killed_under_traffic_keyed() {
    leaders_killed_under_traffic(Lock::Keyed);
}

/// The test kills the leader again and again while all nodes talk; each time the leader comes back as a new process.
fn leaders_killed_under_traffic(lock: Lock) {
    let _turn = turn();
    let kills = setting("PROOF_KILLS").unwrap_or(6);
    let mut room = Room::of_behind(lock, 5, 2);
    let mut talkers: Vec<Talker> = room.nodes.iter().map(|node| Talker::start(node, &node.name, PACE)).collect();
    // For each tag, the number of lines that every log must hold: a node that outlived the kill typed them.
    let mut owed: HashMap<String, u64> = HashMap::new();
    let mut joined_late = [false; 5];
    let (mut led, mut ordered) = (Vec::new(), Vec::new());
    for kill in 1..=kills {
        let Agreed { leader, .. } = settled(&room.all(), soon(30));
        let dead = room.place(leader);
        let living = room.except(&[dead]);
        let died = Instant::now();
        room.nodes[dead].kill();
        let gone = Instant::now();
        led.push(new_leader(&living, died) - died);
        ordered.push(first_line_of(&living, &talkers, gone) - died);
        settled(&living, soon(30));
        let counts: Vec<(String, u64)> = talkers
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != dead)
            .map(|(_, talker)| (talker.tag.clone(), talker.count()))
            .collect();
        all_show(&living, &counts, soon(30));
        owed.extend(counts);

        let contact = living[usize::try_from(kill).unwrap() % living.len()].addr;
        let (name, addr) = (room.nodes[dead].name.clone(), room.nodes[dead].addr);
        let again = room.start(&name, addr, Enter::Join(contact));
        talkers[dead] = Talker::start(&again, &format!("{name}.{kill}"), PACE);
        room.nodes[dead] = again;
        joined_late[dead] = true;
    }
    settled(&room.all(), soon(30));
    let counts = hush(&mut talkers);
    all_show(&room.all(), &counts, soon(30));
    quiet(&room.all(), soon(30));
    owed.extend(counts);

    let logs: Vec<Vec<Chat>> = room.nodes.iter().map(|node| check_log(node, soon(20))).collect();
    let whole = joined_late.iter().position(|late| !late).expect("somebody was never killed");
    let (name, log) = (&room.nodes[whole].name, &logs[whole]);
    check_order(name, log);
    for (tag, count) in &owed {
        check_whole(name, log, tag, *count);
    }
    for (i, other) in logs.iter().enumerate() {
        check_suffix(&room.nodes[i].name, other, log);
        assert!(joined_late[i] || other.len() == log.len(), "{} has only {}", room.nodes[i].name, other.len());
    }
    println!(
        "proof  3{lock}: {kills} leaders of 5 killed under traffic: all {} lines in every log once, same order, {} of them \
         owed to the living; time to the new leader (known to all): {}; to the first line that it ordered: {}",
        log.len(),
        owed.values().sum::<u64>(),
        median_worst(&mut led),
        median_worst(&mut ordered),
    );
}

/// The time after `since` at which the last of the living nodes announced a leader.
fn new_leader(living: &[&Node], since: Instant) -> Instant {
    let told = living.iter().map(|node| {
        node.wait("announces a new leader", soon(30), |shown| {
            let new = shown.events.iter().rev().take_while(|(at, _)| *at > since);
            new.filter(|(_, line)| line.contains("Leader is ")).map(|(at, _)| *at).last()
        })
    });
    told.max().unwrap()
}

/// The time at which any living node first showed a line that a user typed after `gone`.
fn first_line_of(living: &[&Node], talkers: &[Talker], gone: Instant) -> Instant {
    let late = |chat: &Chat| {
        let Some((tag, n)) = chat.numbered() else { return false };
        talkers.iter().find(|talker| talker.tag == tag).is_some_and(|talker| talker.typed_at(n) > gone)
    };
    let first = living.iter().map(|node| {
        node.wait("shows a line typed after the kill", soon(30), |shown| {
            let new = shown.chats.iter().zip(&shown.at).rev().take_while(|(_, at)| **at > gone);
            new.filter(|(chat, _)| late(chat)).map(|(_, at)| *at).last()
        })
    });
    first.min().unwrap()
}

/// Three neighbours in the ring die in the same instant; the middle one is the leader.
#[test]
fn proof_04_leader_and_neighbours() {
    let _turn = turn();
    let mut times = Vec::new();
    let rounds = setting("PROOF_ROUNDS").unwrap_or(1);
    let mut lines = 0;
    for _ in 0..rounds {
        let (time, count) = massacre(|room, leader| {
            let n = room.nodes.len();
            vec![(leader + n - 1) % n, leader, (leader + 1) % n]
        });
        times.push(time);
        lines += count;
    }
    println!(
        "proof  4: leader and both neighbours of 8 killed at once, {rounds} times: the 5 left form one ring, {lines} \
         lines the same everywhere, none of theirs lost; one ring again: {}",
        median_worst(&mut times)
    );
}

/// Any four nodes of a room of eight die in the same instant.
#[test]
fn proof_04_any_four_of_eight() {
    let _turn = turn();
    let (mut rng, seed) = Rng::new();
    println!("seed {seed}");
    let (mut times, mut chosen) = (Vec::new(), Vec::new());
    let rounds = setting("PROOF_ROUNDS").unwrap_or(1);
    let mut lines = 0;
    for _ in 0..rounds {
        let mut dead = rng.choose(4, 8);
        dead.sort_unstable();
        let (time, count) = massacre(|_, _| dead.clone());
        chosen.push(dead);
        times.push(time);
        lines += count;
    }
    println!(
        "proof  4: 4 of 8 killed at once (seed {seed}, places {chosen:?}; the leader stood at 3): the 4 left form one \
         ring, {lines} lines the same everywhere, none of theirs lost; one ring again: {}",
        median_worst(&mut times)
    );
}

/// Kills some nodes of a talking room of eight; `choose` gets the leader's place and names the places to kill. Returns
/// the time until the other nodes are one ring, and the number of lines in each of their logs.
fn massacre(choose: impl Fn(&Room, usize) -> Vec<usize>) -> (Duration, usize) {
    let room = Room::of(8, 3);
    let mut talkers: Vec<Talker> = room.nodes.iter().map(|node| Talker::start(node, &node.name, PACE)).collect();
    for node in room.all() {
        all_show(&[node], &talkers.iter().map(|talker| (talker.tag.clone(), 20)).collect::<Vec<_>>(), soon(20));
    }
    let leader = settled(&room.all(), soon(20)).leader;
    let dead = choose(&room, room.place(leader));
    let died = Instant::now();
    for place in &dead {
        room.nodes[*place].signal(rustix::process::Signal::KILL);
    }
    let living = room.except(&dead);
    settled(&living, soon(40));
    let time = died.elapsed();
    let counts = hush(&mut talkers);
    let mine: Vec<(String, u64)> =
        counts.into_iter().enumerate().filter(|(i, _)| !dead.contains(i)).map(|c| c.1).collect();
    all_show(&living, &mine, soon(30));
    quiet(&living, soon(30));
    (time, check_same(&living, &mine, soon(20)).len())
}

/// Six nodes join while the room looks for a new leader.
#[test]
fn proof_07_joins_during_a_failover() {
    let _turn = turn();
    let mut room = Room::of(5, 2);
    let mut talkers: Vec<Talker> = room.nodes.iter().map(|node| Talker::start(node, &node.name, PACE)).collect();
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 10)).collect::<Vec<_>>(), soon(20));
    let leader = settled(&room.all(), soon(20)).leader;
    let dead = room.place(leader);
    let contacts: Vec<_> = room.except(&[dead]).iter().map(|node| node.addr).collect();
    let addrs = crate::harness::free_addrs(6);
    room.nodes[dead].kill();
    let died = Instant::now();
    for (i, addr) in addrs.into_iter().enumerate() {
        let node = room.start(&format!("late{i}"), addr, Enter::Join(contacts[i % contacts.len()]));
        node.say(&format!("late{i} 0"));
        room.nodes.push(node);
    }
    let living = room.except(&[dead]);
    settled(&living, soon(40));
    let time = died.elapsed();
    let counts = hush(&mut talkers);
    let mut owed: Vec<(String, u64)> =
        counts.into_iter().enumerate().filter(|(i, _)| *i != dead).map(|c| c.1).collect();
    owed.extend((0..6).map(|i| (format!("late{i}"), 1)));
    all_show(&living, &owed, soon(30));
    quiet(&living, soon(30));
    let log = check_same(&living[..4], &owed, soon(20));
    for node in &living[4..] {
        check_suffix(&node.name, &check_log(node, soon(20)), &log);
    }
    println!(
        "proof  7: 6 joins during a failover of 5: one ring of 10, one log of {} lines, one leader, {:.0} ms after the \
         kill",
        log.len(),
        time.as_secs_f64() * 1e3
    );
}

/// The test kills each new leader as soon as it is announced, until two nodes of eight are left.
#[test]
fn leaders_die_in_a_row() {
    let _turn = turn();
    let room = Room::of(8, 3);
    let mut talkers: Vec<Talker> = room.nodes.iter().map(|node| Talker::start(node, &node.name, PACE)).collect();
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 10)).collect::<Vec<_>>(), soon(20));
    let mut dead = Vec::new();
    let mut leader = settled(&room.all(), soon(20)).leader;
    while dead.len() < 6 {
        let died = Instant::now();
        dead.push(room.place(leader));
        room.nodes[room.place(leader)].kill();
        let living = room.except(&dead);
        leader = living[0].wait("announces a living leader", soon(30), |shown| {
            let mut news = shown.events.iter().rev().take_while(|(at, _)| *at > died);
            news.find_map(|(_, line)| living.iter().map(|node| node.addr).find(|addr| announces(line, *addr)))
        });
    }
    let living = room.except(&dead);
    settled(&living, soon(30));
    let counts = hush(&mut talkers);
    let mine: Vec<(String, u64)> =
        counts.into_iter().enumerate().filter(|(i, _)| !dead.contains(i)).map(|c| c.1).collect();
    all_show(&living, &mine, soon(30));
    quiet(&living, soon(30));
    check_same(&living, &mine, soon(20));
}

fn announces(line: &str, addr: std::net::SocketAddr) -> bool {
    line.contains(&format!("Leader is {addr} "))
}

/// Leaders die while a long file runs through a pipe into a member: no line of it is lost, doubled or moved.
#[test]
fn a_pipe_outlives_its_leaders() {
    const LINES: u64 = 30_000;
    let _turn = turn();
    let room = Room::of(5, 2);
    // The test kills two leaders in turn. The node with the highest address leads next, so the node with the lowest
    // address, which gets the file, never leads.
    let fed = &room.nodes[0];
    let text: String = (0..LINES).map(|n| format!("pipe {n}\n")).collect();
    let counts = [("pipe".to_owned(), LINES)];
    let dead = std::thread::scope(|scope| {
        scope.spawn(|| fed.keyboard().bytes(text.as_bytes()).unwrap());
        let mut dead = Vec::new();
        for part in 1..=2 {
            all_show(&[fed], &[("pipe".to_owned(), part * LINES / 4)], soon(30));
            let status = fed.status().unwrap();
            let leader = status["leader"].as_str().and_then(|addr| addr.parse().ok()).expect("a leader");
            dead.push(room.place(leader));
            room.nodes[room.place(leader)].kill();
        }
        dead
    });
    assert!(!dead.contains(&0), "the fed one never led");
    let living = room.except(&dead);
    all_show(&living, &counts, soon(60));
    quiet(&living, soon(30));
    assert_eq!(check_same(&living, &counts, soon(20)).len() as u64, LINES);
}
