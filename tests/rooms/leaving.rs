//! Nodes that join for a single line, and nodes that leave.

use std::time::Duration;

use crate::harness::{
    Enter, Room, Talker, all_show, check_log, check_same, free_addrs, hush, quiet, settled, soon, turn,
};

/// `echo hello | dist-chat ...` works in a script.
#[test]
fn one_line_from_a_script() {
    let _turn = turn();
    let room = Room::of(2, 0);
    let script = room.start("script", free_addrs(1)[0], Enter::Join(room.nodes[1].addr));
    script.say("hello");
    script.end_input();
    for node in room.all() {
        node.shows("hello", soon(20));
    }
    assert_eq!(script.ended(soon(20)).code(), Some(0), "{}", script.stderr());
    settled(&room.all(), soon(20));
    assert_eq!(check_log(&script, soon(5)).len(), 1, "the script's own log holds its line");
}

/// The leader leaves while all others talk: no line is lost, and the leader ends with code 0.
#[test]
fn leader_leaves_under_traffic() {
    let _turn = turn();
    let room = Room::of(4, 1);
    let leader = room.place(settled(&room.all(), soon(20)).leader);
    let others = room.except(&[leader]);
    let mut talkers: Vec<Talker> =
        others.iter().map(|node| Talker::start(node, &node.name, Duration::from_millis(5))).collect();
    all_show(&room.all(), &talkers.iter().map(|talker| (talker.tag.clone(), 20)).collect::<Vec<_>>(), soon(20));
    room.nodes[leader].say("//exit");
    assert_eq!(room.nodes[leader].ended(soon(20)).code(), Some(0), "{}", room.nodes[leader].stderr());
    settled(&others, soon(20));
    let counts = hush(&mut talkers);
    all_show(&others, &counts, soon(20));
    quiet(&others, soon(20));
    check_same(&others, &counts, soon(20));
}

/// All nodes type a line and leave at once. Each ends in time and with code 0; only a node whose line no other node
/// holds may end with code 7.
#[test]
fn everybody_leaves() {
    let _turn = turn();
    let room = Room::of(4, 1);
    let line = |node: &crate::harness::Node| format!("good-bye from {}", node.name);
    for node in room.all() {
        node.say(&line(node));
    }
    for node in room.all() {
        node.end_input();
    }
    let codes: Vec<Option<i32>> = room.all().iter().map(|node| node.ended(soon(20)).code()).collect();
    for (node, code) in room.all().iter().zip(codes) {
        let others = room.all().into_iter().filter(|other| other.name != node.name);
        let held = others.filter(|other| check_log(other, soon(5)).iter().any(|chat| chat.text == line(node))).count();
        let owed = if held > 0 { Some(0) } else { Some(7) };
        assert!(
            code == Some(0) || code == owed,
            "{} ends with {code:?}, {held} others have its line: {}",
            node.name,
            node.stderr()
        );
    }
}
