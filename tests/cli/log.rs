//! The form of the chat log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::harness::{Dir, Node, chat_lines, program, run, until};
use crate::pty::Term;

#[test]
fn the_log_has_its_form() {
    let mut ann = Node::found("ann");
    let port = ann.port;
    ann.feed("hello\n");
    until("flushed within a second", || ann.dir.log(port).contains(&format!(": ann(127.0.0.1:{port}): hello\n")));
    let (_, _, dir) = ann.leave();
    let log = dir.log(port);
    let (dashes, rest) = log.split_once('\n').unwrap();
    assert!(!dashes.is_empty() && dashes.bytes().all(|b| b == b'-'), "{log}");
    for line in rest.lines() {
        let (ts, message) = line.split_once(": ").unwrap();
        assert!(ts.parse::<u64>().is_ok() && !message.is_empty(), "{line}");
    }
    assert_eq!(chat_lines(&log).len(), 1);
    assert!(log.ends_with('\n'));
    let path = dir.0.join(format!("chat_{port}.log"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let again = program(&dir.0, &["-l", "-p", &port.to_string()]);
    let (_, _, dir) = Node::spawn(dir, again).leave();
    let appended = dir.log(port);
    assert!(appended.starts_with(&log));
    assert_eq!(appended.lines().filter(|line| line.starts_with("---")).count(), 2, "{appended}");
}

#[test]
fn where_the_log_is_can_be_used_as_it_is_told() {
    let dir = Dir::new();
    fs::create_dir(dir.0.join("d1")).unwrap();
    let args = ["-l", "-p", "0", "-n", "ann", "--data-dir", "d1"];
    let ann = Node::spawn(Dir::new(), {
        let mut command = program(&dir.0, &args);
        command.arg("--daemon");
        command
    });
    let file = dir.0.join(format!("d1/chat_{}.log", ann.port));
    assert!(file.exists());
    let ended = run(program(&dir.0, &["attach", "--json", "--data-dir", "d1", "-p", &ann.port.to_string()]), b"");
    let hello: serde_json::Value = serde_json::from_str(ended.out.lines().next().unwrap()).unwrap();
    assert_eq!(hello["log"], file.to_str().unwrap());
    ann.signal(Signal::TERM);
    assert_eq!(ann.wait().0, 0);
    let (dir, told) = opened(dir, &args);
    assert!(told.contains("the log is d1/chat_"), "{told}");
    let (_, told) = opened(dir, &args[..5]);
    assert!(told.contains("the log is chat_"), "{told}");
}

/// The program's messages to a user that opens a room on a terminal.
fn opened(dir: Dir, args: &[&str]) -> (Dir, String) {
    let mut term = Term::start_in(dir, args, &[]);
    term.wait_row("the log is ");
    let told = term.look(|seen| seen.rows().concat());
    // The test waits for the prompt, because before it the terminal takes Ctrl+D for the end of an empty input.
    term.wait_row("> ann(");
    term.keys("\x04");
    assert_eq!(term.ended(), 0);
    (std::mem::replace(&mut term.dir, Dir::new()), told)
}

#[test]
fn events_carry_the_nodes_clock() {
    let mut ann = Node::found("ann");
    let port = ann.port;
    ann.feed("one\ntwo\n");
    ann.wait_for("]: two");
    let bob = Node::join("bob", &ann);
    ann.wait_for(" joined the ring ///");
    let bob_port = bob.port;
    let (_, _, bob_dir) = bob.leave();
    let (_, _, dir) = ann.leave();
    let ts = |line: &str| line.split_once(": ").and_then(|(ts, _)| ts.parse::<u64>().ok());
    for log in [dir.log(port), bob_dir.log(bob_port)] {
        let clocks: Vec<u64> = log.lines().filter_map(ts).collect();
        assert!(clocks.is_sorted(), "{log}");
    }
    let log = dir.log(port);
    let of = |part: &str| ts(log.lines().find(|line| line.contains(part)).unwrap()).unwrap();
    assert!(of("joined the ring") > of("): two"), "{log}");
}

#[test]
fn a_rotated_log_is_opened_anew() {
    let mut ann = Node::found("ann");
    let port = ann.port;
    let path = ann.dir.0.join(format!("chat_{port}.log"));
    ann.feed("before\n");
    until("written", || ann.dir.log(port).contains("before"));
    fs::rename(&path, ann.dir.0.join("rotated")).unwrap();
    ann.signal(Signal::HUP);
    until("opened anew", || path.exists());
    ann.feed("after\n");
    until("written", || ann.dir.log(port).contains("): after\n"));
    let rotated = fs::read_to_string(ann.dir.0.join("rotated")).unwrap();
    assert!(rotated.contains("before") && !rotated.contains("after"));
    assert!(!ann.dir.log(port).contains("before"));
}

#[test]
fn a_log_that_cannot_be_opened_anew_goes_on_in_the_old_file() {
    let mut ann = Node::found("ann");
    let port = ann.port;
    let (path, rotated) = (ann.dir.0.join(format!("chat_{port}.log")), ann.dir.0.join("rotated"));
    until("written", || ann.dir.log(port).contains("you are ann("));
    fs::rename(&path, &rotated).unwrap();
    fs::create_dir(&path).unwrap();
    ann.signal(Signal::HUP);
    ann.wait_for(&format!("/// chat_{port}.log cannot be opened anew (Is a directory"));
    ann.feed("after\n");
    until("written", || fs::read_to_string(&rotated).unwrap().contains("): after\n"));
    let (code, _, _) = ann.leave();
    assert_eq!(code, 0);
}

#[test]
fn a_hang_up_without_a_rotation_changes_nothing() {
    let mut ann = Node::found("ann");
    let port = ann.port;
    for n in 0..10 {
        ann.signal(Signal::HUP);
        ann.feed(format!("line {n}\n"));
        ann.wait_for(&format!("]: line {n}"));
    }
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    assert_eq!(chat_lines(&dir.log(port)).len(), 10);
}

#[test]
fn a_log_that_takes_nothing_is_told_once_and_the_room_goes_on() {
    let dir = Dir::new();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    std::os::unix::fs::symlink("/dev/full", dir.0.join(format!("chat_{port}.log"))).unwrap();
    let command = program(&dir.0, &["-l", "-p", &port.to_string(), "-n", "ann"]);
    let mut ann = Node::spawn(dir, command);
    ann.wait_for(&format!("/// chat_{port}.log cannot be written (No space left on device"));
    ann.feed("hello\n");
    ann.wait_for("]: hello");
    let (code, shown, _) = ann.leave();
    assert_eq!(code, 0);
    let told = shown.iter().filter(|line| line.contains("cannot be written"));
    assert!(told.count() <= 1, "{shown:?}");
}

#[test]
fn verbose_shows_the_log_lines_too() {
    let mut ann = Node::start(&["-l", "-p", "0", "-n", "ann", "-v"]);
    let mut bob = Node::join("bob", &ann);
    let port = bob.port;
    bob.feed("hello\n");
    ann.wait_for(&format!("/// bob(127.0.0.1:{port}) joined the ring ///"));
    let logged = ann.wait_for(&format!(": bob(127.0.0.1:{port}) joined the ring"));
    assert!(logged.split_once(": ").unwrap().0.parse::<u64>().is_ok(), "{logged}");
}
