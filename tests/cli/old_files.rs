//! The program opens the files of an earlier version, and their history is whole.
//!
//! `tests/fixtures/files-of-2026.tar.gz` holds the files of two rooms as that version left them. The `.jsonl` files
//! beside it hold the output of its `history --json`. In the open room the leader died once; ann and bob were killed,
//! so their last lines stand in their journals alone; cid had left before. In the keyed room a member was kicked and
//! the key changed; dee and eva have left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dist_chat::store::{Reader, Selection, file_in};
use serde_json::Value;

use crate::harness::{Dir, Node, program, run, until};

/// A member of one of these rooms: the room, the port in the names of its files, and the number of recorded lines that
/// it holds.
const MEMBERS: [(&str, u16, usize); 5] =
    [("open", 42811, 49), ("open", 42812, 49), ("open", 42813, 47), ("keyed", 42821, 8), ("keyed", 42822, 8)];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The lines that this member holds, as the earlier version printed them.
fn recorded(room: &str, lines: usize) -> Vec<Value> {
    let text = fs::read_to_string(fixtures().join(format!("files-of-2026-{room}.jsonl"))).unwrap();
    text.lines().take(lines).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files of this member alone, in a directory of their own, for a node at port `now`.
fn files(room: &str, then: u16, now: u16) -> Dir {
    let (all, dir) = (Dir::new(), Dir::new());
    let archive = fixtures().join("files-of-2026.tar.gz");
    assert!(Command::new("tar").arg("xzf").arg(archive).arg("-C").arg(&all.0).status().unwrap().success());
    let stem = format!("chat_{then}.");
    for entry in fs::read_dir(all.0.join(room)).unwrap() {
        let entry = entry.unwrap();
        if let Some(kind) = entry.file_name().to_string_lossy().strip_prefix(&stem) {
            fs::copy(entry.path(), dir.0.join(format!("chat_{now}.{kind}"))).unwrap();
        }
    }
    dir
}

fn history(dir: &Path, port: u16) -> Vec<Value> {
    let mut command = program(dir, &["history", "--json", "-p", &port.to_string()]);
    command.env("TZ", "UTC");
    let ended = run(command, b"");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn the_history_of_old_files_is_as_it_was_recorded() {
    for (room, port, lines) in MEMBERS {
        let dir = files(room, port, port);
        let (now, then) = (history(&dir.0, port), recorded(room, lines));
        assert_eq!(then.len(), lines, "{room} {port}");
        for (now, then) in now.iter().zip(&then) {
            assert_eq!(now, then, "{room} {port}");
        }
        assert_eq!(now.len(), lines, "{room} {port}");
    }
}

#[test]
fn the_store_reads_every_line_of_old_files() {
    for (room, port, lines) in MEMBERS {
        let dir = files(room, port, port);
        let reader = Reader::open(&file_in(&dir.0, port)).unwrap().unwrap();
        let mut read = Vec::new();
        reader
            .select(&Selection::default(), |entry| {
                read.push((entry.index.0, entry.lamport.0));
                true
            })
            .unwrap();
        let number = |line: &Value, key: &str| line[key].as_u64().unwrap();
        let then = recorded(room, lines);
        let then: Vec<_> = then.iter().map(|line| (number(line, "index"), number(line, "ts"))).collect();
        assert_eq!(read, then, "{room} {port}");
    }
}

#[test]
fn old_files_go_on_and_a_newcomer_gets_every_line_and_finds_it_signed() {
    for (room, then, lines) in MEMBERS {
        let port = free_port();
        let dir = files(room, then, port);
        let log_then = dir.log(port);
        let key = dir.0.join(format!("chat_{port}.key"));
        let has_key = key.exists();
        assert_eq!(has_key, room == "keyed");
        let command = program(&dir.0, &["-l", "-p", &port.to_string()]);
        let mut node = Node::spawn(dir, command);
        node.feed("one more line\n");
        node.wait_for("]: one more line");

        // A newcomer checks the signature of each line that it receives.
        let newcomer = Dir::new();
        let through = port.to_string();
        let mut args = vec!["-p", "0", "-n", "new", "-na", "127.0.0.1", "-np", &through];
        let key = node.dir.0.join(format!("chat_{port}.key")).to_string_lossy().into_owned();
        if has_key {
            args.extend(["--key-file", &key]);
        }
        let command = program(&newcomer.0, &args);
        let mut newcomer = Node::spawn(newcomer, command);
        newcomer.feed("hello from today\n");
        node.wait_for("]: hello from today");

        let recorded = recorded(room, lines);
        for member in [&node, &newcomer] {
            let mut now = Vec::new();
            until("both lines of today are in the history", || {
                now = history(&member.dir.0, member.port);
                now.len() == lines + 2
            });
            assert_eq!(now[..lines], recorded, "{room} {then}");
            assert_eq!(
                (&now[lines]["text"], &now[lines + 1]["text"]),
                (&"one more line".into(), &"hello from today".into())
            );
        }
        let (code, _, _) = newcomer.leave();
        assert_eq!(code, 0);
        let (_, _, dir) = node.leave();
        assert!(dir.log(port).starts_with(&log_then), "the log that people read goes on where it was");
    }
}
