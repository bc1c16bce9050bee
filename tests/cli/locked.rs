//! Keyed rooms of real processes: a node with the key joins, and a node without it reports the reason.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use dist_chat::key::generated;

use crate::harness::{Dir, Ended, Node, program, run};

/// A file with this text, which only its owner may read.
fn secret(dir: &Dir, name: &str, text: &str) -> String {
    let path = dir.0.join(name);
    fs::write(&path, format!("{text}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn found(file: Option<&str>) -> Node {
    let key: Vec<&str> = file.iter().flat_map(|file| ["--key-file", file]).collect();
    Node::start(&[&["-l", "-p", "0", "-n", "ann"][..], &key].concat())
}

fn joining<'a>(port: &'a str, file: Option<&'a str>) -> Vec<&'a str> {
    let key: Vec<&str> = file.iter().flat_map(|file| ["--key-file", *file]).collect();
    [&["-p", "0", "-n", "bob", "-na", "127.0.0.1", "-np", port][..], &key].concat()
}

fn refused(port: u16, file: Option<&str>) -> Ended {
    let dir = Dir::new();
    let ended = run(program(&dir.0, &joining(&port.to_string(), file)), b"");
    assert_eq!(ended.code, 5, "{}", ended.err);
    ended
}

fn talk(mut ann: Node, mut bob: Node) {
    ann.feed("is it you?\n");
    bob.wait_for("]: is it you?");
    bob.feed("it is\n");
    ann.wait_for("]: it is");
    assert_eq!((bob.leave().0, ann.leave().0), (0, 0));
}

#[test]
fn who_has_the_key_file_talks() {
    let dir = Dir::new();
    let file = secret(&dir, "key", &generated::fresh().unwrap());
    let ann = found(Some(&file));
    let bob = Node::start(&joining(&ann.port.to_string(), Some(&file)));
    talk(ann, bob);
}

#[test]
fn who_knows_the_passphrase_talks() {
    let dir = Dir::new();
    let file = secret(&dir, "phrase", "correct horse battery staple");
    let ann = found(Some(&file));
    let bob = Node::start(&joining(&ann.port.to_string(), Some(&file)));
    talk(ann, bob);
}

#[test]
fn who_has_not_is_told_what_why_and_what_to_try() {
    let dir = Dir::new();
    let file = secret(&dir, "key", &generated::fresh().unwrap());
    let other = secret(&dir, "other", &generated::fresh().unwrap());
    let (locked, open) = (found(Some(&file)), found(None));
    for (ended, what) in [
        (refused(locked.port, Some(&other)), "dist-chat: the room has another key\n"),
        (refused(locked.port, None), "dist-chat: the room has a key, and this program was given none\n"),
        (refused(open.port, Some(&file)), "dist-chat: the room has no key, and this program was given one\n"),
    ] {
        assert!(ended.err.contains(what), "{}", ended.err);
        let told = ended.err.split(what).nth(1).unwrap();
        assert_eq!(told.lines().filter(|line| line.starts_with("  ")).count(), 2, "{told}");
    }
    let log = locked.dir.log(locked.port);
    assert_eq!(log.matches("has another room key").count(), 1, "{log}");
}

#[test]
fn a_port_that_a_keyed_room_has_is_known_for_one() {
    let dir = Dir::new();
    let file = secret(&dir, "key", &generated::fresh().unwrap());
    let ann = found(Some(&file));
    let ended = run(program(&dir.0, &["-l", "-p", &ann.port.to_string()]), b"");
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert!(ended.err.contains("a dist-chat has that port"), "{}", ended.err);
}

/// Joins the room of that node with these files and leaves it; returns the name of the room.
fn visit(files: &Dir, port: u16, there: &Node, key: Option<&str>) -> String {
    let (port, there) = (port.to_string(), there.port.to_string());
    let key: Vec<&str> = key.iter().flat_map(|file| ["--key-file", *file]).collect();
    let args = [&["-p", &port, "-n", "bob", "-na", "127.0.0.1", "-np", &there][..], &key].concat();
    let ended = run(program(&files.0, &args), b"");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let told = ended.out.lines().find(|line| line.starts_with("/// you are bob(")).unwrap();
    told.split(" in room ").nth(1).unwrap().to_owned()
}

/// A port that no program uses at this moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn files_that_hold_several_keyed_rooms_open_the_one_that_is_joined() {
    let dir = Dir::new();
    let one = secret(&dir, "one", &generated::fresh().unwrap());
    let other = secret(&dir, "other", &generated::fresh().unwrap());
    for second in [&one, &other] {
        let (older, newer) = (found(Some(&one)), found(Some(second)));
        let (files, port) = (Dir::new(), free_port());
        let first = visit(&files, port, &older, Some(&one));
        assert_ne!(visit(&files, port, &newer, Some(second)), first);
        assert_eq!(visit(&files, port, &older, Some(&one)), first);
    }
}

#[test]
fn files_that_hold_an_open_room_are_no_hindrance_in_a_keyed_one() {
    let dir = Dir::new();
    let file = secret(&dir, "key", &generated::fresh().unwrap());
    let (open, locked) = (found(None), found(Some(&file)));
    let (files, port) = (Dir::new(), free_port());
    let first = visit(&files, port, &open, None);
    assert_ne!(visit(&files, port, &locked, Some(&file)), first);
}
