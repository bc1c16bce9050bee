//! `history` shows the lines of nodes that run and of nodes that do not.

use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;

use dist_chat::text;
use rustix::process::{Signal, geteuid};
use serde_json::Value;

use crate::harness::{Dir, Ended, Node, program, run, until};

fn ask(dir: &Path, port: u16, args: &[&str]) -> Ended {
    let port = port.to_string();
    let args: Vec<&str> = ["history", "-p", &port].into_iter().chain(args.iter().copied()).collect();
    let mut command = program(dir, &args);
    command.env("TZ", "UTC");
    run(command, b"")
}

/// The texts of the lines that `history` finds; checks that it succeeds.
fn texts(dir: &Path, port: u16, args: &[&str]) -> Vec<String> {
    let ended = ask(dir, port, args);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
    ended.out.lines().map(|line| line.split_once("]: ").unwrap().1.to_owned()).collect()
}

fn json(dir: &Path, port: u16, args: &[&str]) -> Vec<Value> {
    let ended = ask(dir, port, &[&["--json"], args].concat());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A room of two: ann typed these lines, then bob typed one. Ann's file holds all of them.
fn room(lines: &[&str]) -> (Node, Node) {
    let mut ann = Node::found("ann");
    let mut bob = Node::join("bob", &ann);
    ann.feed(lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    bob.wait_for(&text::visible(lines.last().unwrap()));
    bob.feed("good night, ann\n");
    ann.wait_for("]: good night, ann");
    (ann, bob)
}

#[test]
fn the_past_of_a_running_node_of_a_killed_one_and_of_one_that_has_left() {
    let (ann, bob) = room(&["one", "two \x1b[2J", "three"]);
    let all = ["one", "two \\x1b[2J", "three", "good night, ann"];
    let (ann_port, bob_port) = (ann.port, bob.port);
    assert_eq!(texts(&ann.dir.0, ann_port, &[]), all);
    let ended = ask(&ann.dir.0, ann_port, &[]);
    let first = ended.out.lines().next().unwrap();
    let (time, rest) = first.split_at("2026-11-20 15:04:05".len());
    assert!(time.bytes().all(|byte| byte.is_ascii_digit() || b"-: ".contains(&byte)), "{first}");
    assert!(rest.starts_with(&format!(" > ann(127.0.0.1:{ann_port})[")) && rest.ends_with("]: one"), "{first}");

    ann.signal(Signal::KILL);
    let (_, _, dir) = ann.wait();
    assert_eq!(texts(&dir.0, ann_port, &[]), all);
    assert_eq!(texts(Path::new("/"), ann_port, &["--data-dir", &dir.0.to_string_lossy()]), all);
    let (code, _, dir) = bob.leave();
    assert_eq!(code, 0);
    until("bob's file is closed", || texts(&dir.0, bob_port, &[]) == all);
}

#[test]
fn the_json_has_stable_keys() {
    let (ann, bob) = room(&["tab\there \u{202e}"]);
    let lines = json(&ann.dir.0, ann.port, &[]);
    assert_eq!(lines.len(), 2);
    let keys: Vec<&String> = lines[0].as_object().unwrap().keys().collect();
    let mut expected =
        ["index", "ts", "time", "epoch", "name", "address", "author", "session", "n", "text", "channel", "kind"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let epoch = lines[0]["epoch"].as_object().unwrap();
    assert_eq!(epoch.keys().collect::<Vec<_>>(), ["leader", "round"]);
    let ann_at = format!("127.0.0.1:{}", ann.port);
    assert_eq!((&epoch["round"], &epoch["leader"]), (&1.into(), &ann_at.clone().into()));
    assert_eq!(lines[0]["text"], "tab\there \u{202e}");
    assert_eq!((&lines[0]["name"], &lines[0]["address"]), (&"ann".into(), &ann_at.into()));
    assert_eq!((&lines[0]["n"], &lines[1]["n"]), (&1.into(), &1.into()));
    for (key, digits) in [("author", 64), ("session", 16)] {
        let id = lines[0][key].as_str().unwrap();
        assert!(id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_ne!(lines[0][key], lines[1][key]);
    }
    assert!(lines[0]["ts"].as_u64() < lines[1]["ts"].as_u64());
    assert!(lines[0]["index"].as_u64() < lines[1]["index"].as_u64());
    let time = lines[0]["time"].as_str().unwrap();
    assert!(time.len() == "2026-11-20T15:04:05.678+00:00".len() && time.ends_with("+00:00"), "{time}");
    // Bob's file holds the same lines as ann's.
    until("bob's file has it", || json(&bob.dir.0, bob.port, &[]) == lines);
}

#[test]
fn questions_narrow_it_down() {
    let (ann, _bob) = room(&["deploy on monday", "the DEPLOYMENT failed", "crème brûlée", "明日東京に行きます 🦀"]);
    let (dir, port) = (&ann.dir.0, ann.port);
    let all = texts(dir, port, &[]);
    let lines = json(dir, port, &[]);
    let stamp = |n: usize| lines[n]["ts"].to_string();
    let time = |n: usize| lines[n]["time"].as_str().unwrap().to_owned();
    assert_eq!(texts(dir, port, &["--since", &stamp(1), "--until", &stamp(2)]), all[1..=2]);
    assert_eq!(texts(dir, port, &["--until", &stamp(0)]), all[..1]);
    // Several lines may have the same millisecond.
    let within = |from: &str, to: &str| {
        let between = |line: &&Value| (from..=to).contains(&line["time"].as_str().unwrap());
        lines.iter().filter(between).map(|line| line["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(dir, port, &["--since", &time(2)]), within(&time(2), "9"));
    assert_eq!(texts(dir, port, &["--until", &time(2)]), within("0", &time(2)));
    assert_eq!(texts(dir, port, &["--since", "1h", "--until", "0s"]), all);
    assert_eq!(texts(dir, port, &["--since", &time(0)[..10], "--until", &time(4)[..10]]), all);
    assert!(texts(dir, port, &["--until", "2 days"]).is_empty());

    assert_eq!(texts(dir, port, &["--from", "BOB"]), ["good night, ann"]);
    assert!(texts(dir, port, &["--from", "carl"]).is_empty());
    assert_eq!(texts(dir, port, &["--grep", "deploy"]), all[..2]);
    assert_eq!(texts(dir, port, &["--grep", "monday Deploy"]), all[..1]);
    assert_eq!(texts(dir, port, &["--grep", "creme"]), all[2..3]);
    assert_eq!(texts(dir, port, &["--grep", "東京"]), all[3..4]);
    assert_eq!(texts(dir, port, &["--grep", "🦀"]), all[3..4]);
    assert!(texts(dir, port, &["--grep", "zebra"]).is_empty());
    assert_eq!(texts(dir, port, &["--channel", "#Lobby"]), all);
    assert!(texts(dir, port, &["--channel", "ops"]).is_empty());
    assert_eq!(texts(dir, port, &["-n", "2"]), all[3..]);
    assert_eq!(texts(dir, port, &["-n", "1", "--grep", "deploy", "--from", "ann"]), all[1..2]);
    assert!(texts(dir, port, &["-n", "0"]).is_empty());
}

#[test]
fn what_cannot_be_answered_is_said() {
    let dir = Dir::new();
    let ended = ask(&dir.0, 5001, &[]);
    assert_eq!((ended.code, ended.out.as_str()), (4, ""));
    assert!(ended.err.starts_with("dist-chat: no history at ./chat_5001.db\n  there is no such file"), "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 3);
    for (flag, bad) in [("--since", "soon"), ("--until", "25:00"), ("--from", "a b")] {
        let ended = ask(&dir.0, 5001, &[flag, bad]);
        assert_eq!((ended.code, ended.err.lines().count()), (2, 3), "{}", ended.err);
        assert!(ended.err.contains(&format!("`{bad}`")) && ended.err.contains("\n  try `"), "{}", ended.err);
    }
    std::fs::write(dir.0.join("chat_5001.db"), "what is this?".repeat(1000)).unwrap();
    let ended = ask(&dir.0, 5001, &[]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.lines().count()), (6, "", 3), "{}", ended.err);
    assert!(ended.err.contains("damaged"), "{}", ended.err);
}

#[test]
fn a_reader_that_has_had_enough_is_no_harm() {
    let mut ann = Node::found("ann");
    let text = "x".repeat(1000);
    ann.feed((0..2_000).map(|n| format!("{n} {text}\n")).collect::<String>());
    ann.wait_for("]: 1999 x");
    let port = ann.port.to_string();
    for format in [&["history", "-p", &port][..], &["history", "-p", &port, "--json"]] {
        let mut command = program(&ann.dir.0, format);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut some = [0; 100];
        child.stdout.take().unwrap().read_exact(&mut some).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
    }
    // The node runs on after the reader has gone.
    assert_eq!(texts(&ann.dir.0, ann.port, &["-n", "1"]), [format!("1999 {text}")]);
    ann.leave();
}

/// Root may write to every directory, so if the test runs as root, another user asks.
#[test]
fn a_file_in_a_directory_that_cannot_be_written_is_read() {
    let mut ann = Node::found("ann");
    ann.feed("hello\n");
    ann.wait_for("]: hello");
    let port = ann.port;
    let (code, _, dir) = ann.leave();
    assert_eq!(code, 0);
    let nobody = geteuid().is_root().then_some(65534);
    let mode = |path: &Path, mode: u32| {
        let mut permissions = path.metadata().unwrap().permissions();
        permissions.set_mode(mode);
        std::fs::set_permissions(path, permissions).unwrap();
    };
    // These characters have a meaning of their own in a URI.
    let odd = dir.0.join("odd %41?#");
    std::fs::create_dir(&odd).unwrap();
    let file = odd.join(format!("chat_{port}.db"));
    std::fs::rename(dir.0.join(format!("chat_{port}.db")), &file).unwrap();
    if let Some(uid) = nobody {
        chown(&file, Some(uid), None).unwrap();
    }
    let ask = || {
        mode(&odd, 0o555);
        let mut command = program(&dir.0, &["history", "-p", &port.to_string()]);
        command.arg("--data-dir").arg(&odd);
        if let Some(uid) = nobody {
            command.uid(uid);
        }
        let ended = run(command, b"");
        mode(&odd, 0o755);
        ended
    };
    let ended = ask();
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.ends_with("]: hello\n"), "{}", ended.out);

    // A node may be running in this directory: the file alone may not hold all lines.
    std::fs::write(file.with_extension("db-wal"), "").unwrap();
    let ended = ask();
    assert_eq!((ended.code, ended.err.lines().count()), (6, 3), "{}", ended.err);
    assert!(ended.err.contains("\n  try a copy of "), "{}", ended.err);
}

#[test]
fn help_says_it_all() {
    let dir = Dir::new();
    let ended = run(program(&dir.0, &["history", "--help"]), b"");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.out.starts_with("  dist-chat history [-p PORT]"), "{}", ended.out);
}
