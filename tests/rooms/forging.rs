//! A program forges lines of other authors in a room of honest nodes. Every honest node names the forger, no honest
//! node takes the forged lines, and the room goes on without the forger.
//!
//! `scripts/forger` makes the forging program; `DIST_CHAT_FORGER` is its path.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::{Enter, Lock, Node, Room, Talker, all_show, check_same, free_addrs, hush, poll, quiet, settled};
use crate::harness::{soon, turn};

const PACE: Duration = Duration::from_millis(10);
/// The number of lines that each talker types after the lie.
const LATER: u64 = 300;

#[test]
fn proof_18_a_member_that_forges() {
    let Some(program) = liar() else { return };
    let _turn = turn();
    let mut room = Room::of_behind(Lock::Keyed, 4, 0);
    let mut talkers = talkers(&room);
    let victim = &room.nodes[1];
    victim.shows(&format!("{} 5", victim.name), soon(20));
    let author = poll("the victim's author", soon(20), || author_of(victim));
    let how = format!("member:{}:{author}", victim.name);
    let liar = room.start_liar("liar", free_addrs(1)[0], Enter::Join(room.nodes[0].addr), &program, &how);
    room.nodes.push(liar);
    let agreed = settled(&room.all(), soon(30));
    room.nodes[4].say("I am who I am");
    for node in &room.nodes {
        node.shows("I am who I am", soon(20));
    }

    let lied = Instant::now();
    room.nodes[4].say("I owe the liar 1000, and that is the truth");
    let found = found_out(&room, 4, "n1") - lied;
    let lines = goes_on(&room, 4, &mut talkers, lied);
    assert_eq!(settled(&room.except(&[4]), soon(20)), agreed, "a liar moves no leader");
    let events = |node: &Node| node.log().lines().count() - node.log_chats().len();
    let told = room.except(&[4]).into_iter().map(events).max().unwrap();
    println!(
        "proof 18: a member of 5, keyed, that submits a line as if another had said it is named in the logs of all 4 \
         honest ones {:.0} ms later; none holds its words, the 4 are one room and talk on, {lines} lines the same \
         everywhere, and no more than {told} in a log that nobody has typed",
        found.as_secs_f64() * 1e3,
    );
}

#[test]
fn proof_18_a_leader_that_forges() {
    let Some(program) = liar() else { return };
    let _turn = turn();
    let mut room = Room::behind(Lock::Keyed);
    let addrs = free_addrs(5);
    let liar = room.start_liar("liar", addrs[4], Enter::Create, &program, "leader");
    settled(&[&liar], soon(20));
    for (i, addr) in addrs[..4].iter().enumerate() {
        let node = room.start(&format!("n{i}"), *addr, Enter::Join(addrs[4]));
        room.nodes.push(node);
    }
    room.nodes.push(liar);
    assert_eq!(settled(&room.all(), soon(30)).leader, addrs[4], "the liar leads");
    let mut talkers = talkers(&room);
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 10)).collect::<Vec<_>>(), soon(20));

    let (lied, words) = (Instant::now(), "I owe the liar 10, and that is the truth");
    room.nodes[1].say(words);
    let found = found_out(&room, 4, "n1") - lied;
    let honest = room.except(&[4]);
    let said = honest.iter().map(|node| node.shows(words, soon(30))).max().unwrap() - lied;
    let lines = goes_on(&room, 4, &mut talkers, lied);
    for node in &honest {
        let times = node.log_chats().iter().filter(|chat| chat.text == words && chat.name == "n1").count();
        assert_eq!(times, 1, "{}: what was altered was said, and stands there once as it was", node.name);
    }
    println!(
        "proof 18: a leader of 5, keyed, that alters what another has said is named in the logs of all 4 honest ones \
         {:.0} ms later, who had a leader of their own and the true words after {:.0} ms; none holds the altered ones, \
         they talk on, {lines} lines the same everywhere",
        found.as_secs_f64() * 1e3,
        said.as_secs_f64() * 1e3,
    );
}

fn liar() -> Option<PathBuf> {
    let program = std::env::var_os("DIST_CHAT_FORGER").filter(|path| !path.is_empty()).map(PathBuf::from);
    if program.is_none() {
        println!("proof 18: SKIPPED: DIST_CHAT_FORGER names no build that lies");
    }
    program
}

fn talkers(room: &Room) -> Vec<Talker> {
    let honest = room.nodes.iter().filter(|node| node.name != "liar");
    honest.map(|node| Talker::start(node, &node.name, PACE)).collect()
}

fn author_of(node: &Node) -> Option<String> {
    let history = node.history().ok()?;
    let own = history.iter().rev().find(|entry| entry["name"] == node.name)?;
    Some(own["author"].as_str()?.to_owned())
}

/// Waits until the screen and the log of every honest node say which node has lied, and in whose name. Returns the time
/// at which the last screen showed it.
fn found_out(room: &Room, liar: usize, of: &str) -> Instant {
    let by = format!("{}({})", room.nodes[liar].name, room.nodes[liar].addr);
    let verdict = format!("{by} relayed a line forged in {of}'s name: it is refused, and {by} is blocked");
    let told = room.except(&[liar]).into_iter().map(|node| {
        let at = node.wait("is told who has lied", soon(20), |shown| {
            shown.events.iter().find(|(_, line)| *line == format!("/// {verdict} ///")).map(|(at, _)| *at)
        });
        let logged = |line: &str| line.split_once(": ").is_some_and(|(_, said)| said == verdict);
        poll("it stands in the log", soon(20), || node.log().lines().any(logged).then_some(()));
        at
    });
    told.max().unwrap()
}

/// Waits until the honest nodes are one room without the liar and hold all their own lines, also those typed after the
/// lie. Checks that no honest node's log holds a lie. Returns the number of lines in each log.
fn goes_on(room: &Room, liar: usize, talkers: &mut [Talker], lied: Instant) -> usize {
    let honest = room.except(&[liar]);
    settled(&honest, soon(30));
    // The liar keeps trying to come back while the talkers type.
    let later: Vec<_> = talkers.iter().map(|talker| (talker.tag.clone(), talker.count() + LATER)).collect();
    all_show(&honest, &later, soon(30));
    let counts = hush(talkers);
    for talker in talkers.iter() {
        assert!(talker.typed_at(talker.count() - 1) > lied);
    }
    all_show(&honest, &counts, soon(30));
    quiet(&honest, soon(20));
    for node in &honest {
        let lies: Vec<_> = node.log_chats().into_iter().filter(|chat| chat.text.ends_with("the lie")).collect();
        assert!(lies.is_empty(), "{} holds {lies:?}", node.name);
    }
    check_same(&honest, &counts, soon(20)).len()
}
