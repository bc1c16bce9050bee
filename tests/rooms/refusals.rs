//! A node that may not join shows the reason to its user, and scripts see the reason in the exit code.

use std::process::Command;

use crate::harness::{Enter, PROGRAM, Room, free_addrs, soon, turn};

#[test]
fn nobody_reachable_is_4() {
    let _turn = turn();
    let room = Room::empty();
    let addrs = free_addrs(2);
    let node = room.start("ann", addrs[0], Enter::Join(addrs[1]));
    assert_eq!(node.ended(soon(20)).code(), Some(4), "{}", node.stderr());
    let first = format!("dist-chat: cannot reach {}", addrs[1]);
    assert!(node.stderr().starts_with(&first), "{}", node.stderr());
}

#[test]
fn port_taken_is_3() {
    let _turn = turn();
    let room = Room::of(1, 0);
    let node = room.start("bob", room.nodes[0].addr, Enter::Create);
    assert_eq!(node.ended(soon(20)).code(), Some(3), "{}", node.stderr());
    assert!(node.stderr().contains("dist-chat"), "it says by whom: {}", node.stderr());
    assert!(room.nodes[0].alive());
}

#[test]
fn name_taken_is_5() {
    let _turn = turn();
    let room = Room::of(2, 0);
    let node = room.start("N1", free_addrs(1)[0], Enter::Join(room.nodes[0].addr));
    assert_eq!(node.ended(soon(20)).code(), Some(5), "{}", node.stderr());
    assert!(node.stderr().contains("-2"), "it suggests another: {}", node.stderr());
}

#[test]
fn neither_leader_nor_neighbor_is_2() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(PROGRAM).env_clear().current_dir(dir.path()).args(["-n", "ann"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("-l ") && said.contains("-na "), "both commands are shown: {said}");
}

#[test]
fn status_of_nobody_is_4() {
    let room = Room::empty();
    let (runtime, addr) = (room.runtime(), free_addrs(1)[0]);
    let mut status = Command::new(PROGRAM);
    status.env_clear().env("XDG_RUNTIME_DIR", runtime).args(["status", "-p", &addr.port().to_string(), "--json"]);
    let out = status.output().unwrap();
    assert_eq!(out.status.code(), Some(4), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(out.stdout.is_empty());
}
