//! The program reads lines, shows lines, and ends.

use std::process::Stdio;
use std::time::{Duration, Instant};

use dist_chat::ring::limits::TEXT_BYTES_MAX;
use rustix::process::Signal;

use crate::harness::{Dir, Node, chat_lines, program, run, until};

#[test]
fn two_processes_chat_and_their_logs_agree() {
    let mut ann = Node::found("ann");
    let mut bob = Node::join("bob", &ann);
    ann.wait_for(" joined the ring ///");
    ann.feed("hello bob\n");
    let said = bob.wait_for("hello bob");
    assert!(said.starts_with(&format!("> ann(127.0.0.1:{})[", ann.port)), "{said}");
    bob.feed("hello ann\n");
    assert_eq!(bob.wait_for("hello ann"), ann.wait_for("hello ann"));
    let (ann_port, bob_port) = (ann.port, bob.port);
    let (code, _, bob_dir) = bob.leave();
    assert_eq!(code, 0);
    ann.wait_for(" left the ring ///");
    let (code, _, ann_dir) = ann.leave();
    assert_eq!(code, 0);
    let (ann_log, bob_log) = (ann_dir.log(ann_port), bob_dir.log(bob_port));
    assert_eq!(chat_lines(&ann_log).len(), 2, "{ann_log}");
    assert_eq!(chat_lines(&ann_log), chat_lines(&bob_log));
    assert!(ann_log.contains(&format!(": bob(127.0.0.1:{bob_port}) joined the ring\n")), "{ann_log}");
    assert!(ann_log.contains(&format!(": bob(127.0.0.1:{bob_port}) left the ring\n")), "{ann_log}");
    assert!(bob_log.contains(&format!(": Leader is 127.0.0.1:{ann_port} (epoch 1)\n")), "{bob_log}");
}

#[test]
fn echo_into_a_room_works() {
    let mut ann = Node::found("ann");
    let dir = Dir::new();
    let ended = run(program(&dir.0, &["-n", "bob", "-p", "0", "-na", &format!("127.0.0.1:{}", ann.port)]), b"hello\n");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    ann.wait_for("]: hello");
}

#[test]
fn ten_thousand_lines_from_a_pipe_arrive_in_order() {
    let mut ann = Node::found("ann");
    let bob = Node::join("bob", &ann);
    let lines: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
    ann.feed(&lines);
    ann.end_input();
    let (code, shown, _) = ann.wait();
    assert_eq!(code, 0);
    let texts = |shown: &[String]| -> String {
        shown.iter().filter_map(|line| line.split_once("]: ")).map(|(_, text)| format!("{text}\n")).collect()
    };
    assert!(texts(&shown) == lines);
    let (code, shown, _) = bob.leave();
    assert_eq!(code, 0);
    assert!(texts(&shown) == lines);
}

#[test]
fn no_input_leaves_at_once_and_a_daemon_stays() {
    let begun = Instant::now();
    let dir = Dir::new();
    let ended = run(program(&dir.0, &["-l", "-p", "0"]), b"");
    assert_eq!(ended.code, 0);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let mut daemon = Node::start(&["-l", "-p", "0", "--daemon"]);
    daemon.end_input();
    let mut bob = Node::join("bob", &daemon);
    bob.feed("anybody?\n");
    daemon.wait_for("anybody?");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().0, 0);
}

#[test]
fn exit_and_signals_leave_cleanly() {
    for leave in ["//exit\n", "/exit\r\n"] {
        let mut ann = Node::found("ann");
        ann.feed(format!("before\n{leave}after\n"));
        let (code, shown, _) = ann.wait();
        assert_eq!(code, 0);
        assert!(shown.iter().any(|line| line.ends_with("]: before")), "{shown:?}");
        assert!(!shown.iter().any(|line| line.contains("after")), "{shown:?}");
    }
    for signal in [Signal::INT, Signal::TERM] {
        let mut ann = Node::found("ann");
        let bob = Node::join("bob", &ann);
        bob.signal(signal);
        assert_eq!(bob.wait().0, 0);
        ann.wait_for(" left the ring ///");
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_room() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = Dir::new();
    let through = silent.local_addr().unwrap().to_string();
    let mut command = program(&dir.0, &["-p", "0", "-na", &through]);
    let mut bob = Guard(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    let _knocks = silent.accept().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_child(&bob.0), Signal::INT).unwrap();
    assert_eq!(bob.0.wait().unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn lines_that_nobody_orders_are_counted() {
    let mut ann = Node::found("ann");
    let mut bob = Node::join("bob", &ann);
    bob.feed("heard\n");
    ann.wait_for("]: heard");
    ann.freeze();
    bob.feed("unheard\n");
    until("the line is taken", || crate::status::waiting(&bob) == 1);
    bob.signal(Signal::TERM);
    bob.signal(Signal::INT);
    let said = bob.wait_for_error("left with ");
    assert_eq!(said, "dist-chat: left with one line that nobody else has");
    assert_eq!(bob.wait().0, 7);
}

#[test]
fn input_is_taken_as_it_comes() {
    let mut ann = Node::found("ann");
    let mut input = b"/etc/hosts\n\n  \t\n/who\nwith cr\r\nlatin \xe9\n".to_vec();
    input.extend_from_slice("x".repeat(TEXT_BYTES_MAX + 1).as_bytes());
    input.extend_from_slice(b"\nno line feed");
    ann.feed(&input);
    ann.end_input();
    let refused = ann.wait_for_error("not sent");
    assert!(refused.contains("16385 bytes") && refused.contains("16384"), "{refused}");
    let (code, shown, _) = ann.wait();
    assert_eq!(code, 0);
    let texts: Vec<&str> = shown.iter().filter_map(|line| line.split_once("]: ")).map(|(_, text)| text).collect();
    assert_eq!(texts, ["/etc/hosts", "/who", "with cr", "latin \u{fffd}", "no line feed"]);
}

#[test]
fn a_message_forges_neither_a_line_nor_an_escape() {
    let mut ann = Node::found("ann");
    let port = ann.port;
    let mut bob = Node::join("bob", &ann);
    bob.feed("x\r99: eve(1.2.3.4:5): y\x1b[2J\x1b]0;t\x07 \u{202e}gnp\u{9b}31m\u{2028}/// z ///\n");
    let shown = ann.wait_for("eve");
    assert!(
        shown.ends_with("x\\r99: eve(1.2.3.4:5): y\\x1b[2J\\x1b]0;t\\x07 \\u{202e}gnp\\u{9b}31m\\u{2028}/// z ///")
    );
    let (_, _, dir) = ann.leave();
    let log = dir.log(port);
    assert_eq!(chat_lines(&log).len(), 1, "{log}");
    assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log}");
}

#[test]
fn a_closed_output_ends_a_person_but_not_a_daemon() {
    let dir = Dir::new();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let mut command = program(&dir.0, &["-l", "-p", &port.to_string(), "--daemon"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
    let daemon = Guard(command.spawn().unwrap());
    let through = format!("127.0.0.1:{port}");
    for name in ["bob", "cat"] {
        let ended = run(program(&dir.0, &["-n", name, "-p", "0", "-na", &through]), b"hello\n");
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    drop(daemon);

    let mut ann = program(&dir.0, &["-l", "-p", "0"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    // This input neither ends nor holds a byte.
    let (stdin, _keyboard) = std::io::pipe().unwrap();
    ann.stdin(stdin).stdout(writer).stderr(Stdio::piped());
    let mut ann = Guard(ann.spawn().unwrap());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut ann.0.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(
        said,
        "dist-chat: nobody reads standard output, and the input does not end: the rest of it is not sent\n"
    );
    assert_eq!(ann.0.wait().unwrap().code(), Some(0));
}

#[test]
fn an_output_that_is_never_read_holds_up_neither_the_room_nor_the_end() {
    let dir = Dir::new();
    let (_unread, out) = std::io::pipe().unwrap();
    let (stdin, mut keyboard) = std::io::pipe().unwrap();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let mut command = program(&dir.0, &["-l", "-p", &port.to_string(), "-n", "ann"]);
    command.stdin(stdin).stdout(out).stderr(Stdio::piped());
    let mut ann = Guard(command.spawn().unwrap());
    let lines = 100_000;
    let text: String = (0..lines).map(|n| format!("{n} {}\n", "x".repeat(100))).collect();
    std::io::Write::write_all(&mut keyboard, text.as_bytes()).unwrap();
    drop(keyboard);
    // The node has left the room and waits for a reader; a signal ends that wait.
    let log = dir.0.join(format!("chat_{port}.log"));
    let left = || std::fs::read_to_string(&log).is_ok_and(|log| log.ends_with(": left the room\n"));
    until("the room is left", left);
    let pid = rustix::process::Pid::from_child(&ann.0);
    until("a signal ends the wait", || {
        // The signal may come before the node waits, so the test sends it again.
        let _ = rustix::process::kill_process(pid, Signal::TERM);
        ann.0.try_wait().unwrap().is_some()
    });
    let mut said = String::new();
    std::io::Read::read_to_string(&mut ann.0.stderr.take().unwrap(), &mut said).unwrap();
    assert!(said.contains(" lines not shown, since nobody reads them; they are in chat_"), "{said}");
    assert_eq!(ann.0.wait().unwrap().code(), Some(0));
    let log = dir.log(port);
    assert_eq!(chat_lines(&log).len(), lines);
}

/// Runs a member with these arguments and this input, while no program reads its standard output. Returns its exit code
/// and its standard error.
fn unheard(ann: &Node, args: &[&str], out: impl Into<Stdio>, input: &str) -> (Option<i32>, String) {
    let dir = Dir::new();
    let mut command = program(&dir.0, &["-p", "0", "-na", "127.0.0.1", "-np", &ann.port.to_string(), "--backlog", "0"]);
    command.args(args).stdin(Stdio::piped()).stdout(out).stderr(Stdio::piped());
    let mut child = Guard(command.spawn().unwrap());
    drop(command);
    std::io::Write::write_all(&mut child.0.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.0.stderr.take().unwrap(), &mut said).unwrap();
    (child.0.wait().unwrap().code(), said)
}

/// The JSON objects that send these lines.
fn objects(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{{\"v\":1,\"type\":\"say\",\"text\":\"{line}\"}}\n")).collect()
}

#[test]
fn what_is_typed_is_said_also_where_nobody_reads_what_is_told() {
    let mut ann = Node::found("ann");
    for (n, args) in [&["-n", "bob"][..], &["-n", "cat", "--json"]].into_iter().enumerate() {
        // More lines than the node takes at once.
        let lines: Vec<String> = (0..6_000).map(|line| format!("{n} {line}")).collect();
        let input = if n == 0 { lines.join("\n") } else { objects(&lines) };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(unheard(&ann, args, writer, &input), (Some(0), String::new()));
        lines.iter().for_each(|line| assert!(ann.wait_for("]: ").ends_with(&format!("]: {line}"))));
    }
}

#[test]
fn an_output_that_takes_nothing_is_told_and_costs_nothing_of_what_is_typed() {
    let mut ann = Node::found("ann");
    for (n, args) in [&["-n", "bob"][..], &["-n", "cat", "--json"]].into_iter().enumerate() {
        let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
        let lines: Vec<String> = (0..3).map(|line| format!("{n} {line}")).collect();
        let input = if n == 0 { lines.join("\n") } else { objects(&lines) };
        let (code, said) = unheard(&ann, args, full, &input);
        assert!(said.starts_with("dist-chat: cannot write standard output any more; left the room\n"), "{said}");
        assert_eq!(code, Some(6));
        lines.iter().for_each(|line| assert!(ann.wait_for("]: ").ends_with(&format!("]: {line}"))));
    }
}

#[test]
fn a_reader_that_comes_late_gets_everything() {
    for json in [false, true] {
        let dir = Dir::new();
        let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
        let mut command = program(&dir.0, &["-l", "-p", &port.to_string(), "-n", "ann"]);
        command.args(json.then_some("--json")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut ann = Guard(command.spawn().unwrap());
        // More lines than a pipe holds.
        let lines: Vec<String> = (0..4_000).map(|line| format!("line {line}")).collect();
        let input = if json { objects(&lines) } else { lines.join("\n") };
        std::io::Write::write_all(&mut ann.0.stdin.take().unwrap(), input.as_bytes()).unwrap();
        until("the room is left", || dir.log(port).ends_with(": left the room\n"));
        let mut told = String::new();
        std::io::Read::read_to_string(&mut ann.0.stdout.take().unwrap(), &mut told).unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut ann.0.stderr.take().unwrap(), &mut said).unwrap();
        assert_eq!((ann.0.wait().unwrap().code(), said.as_str()), (Some(0), ""));
        let texts: Vec<String> = told
            .lines()
            .filter_map(|line| match json {
                false => line.split_once("]: ").map(|(_, text)| text.to_owned()),
                true => {
                    let object: serde_json::Value = serde_json::from_str(line).unwrap();
                    (object["type"] == "line").then(|| object["text"].as_str().unwrap().to_owned())
                }
            })
            .collect();
        assert!(texts == lines, "{} of {}", texts.len(), lines.len());
    }
}

struct Guard(std::process::Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
