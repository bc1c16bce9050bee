//! The system kills a node while programs send and follow through it. No good-bye comes, and the programs report that.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::ChildStdout;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Node, until};
use crate::pty::Term;
use crate::tail::{Reader, ask};

/// The program's message when lines may be lost.
const LOST: &str = "dist-chat: the node has ended\n  it may not have taken everything\n  try `dist-chat status`, and say \
                    again what `dist-chat history` does not show\n";

/// A frontend at a node that holds one line; returns once the frontend has shown that line.
fn at(node: &Node, args: &[&str]) -> (Reader, Lines<BufReader<ChildStdout>>) {
    let mut front = Reader::start(&node.dir.0, &[args, &["-p", &node.port.to_string()]].concat());
    let mut out = BufReader::new(front.0.stdout.take().unwrap()).lines();
    assert!(out.any(|line| line.unwrap().contains("before")));
    (front, out)
}

fn node() -> Node {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "before", "--wait"], "").code, 0);
    ann
}

#[test]
fn who_is_attached_tells_a_crash_from_a_good_bye() {
    for (args, ends_input) in
        [(&["attach"][..], false), (&["attach"], true), (&["attach", "--json"], false), (&["attach", "--json"], true)]
    {
        let ann = node();
        let (mut front, out) = at(&ann, args);
        // From now on the node takes no line from its socket.
        ann.freeze();
        let mut typing = front.0.stdin.take().unwrap();
        writeln!(typing, "{{\"v\":1,\"type\":\"say\",\"text\":\"unheard\"}}").unwrap();
        let typing = (!ends_input).then_some(typing);
        let _dir = ann.kill();
        assert_eq!(front.end(), (4, LOST.to_owned()), "{args:?}");
        let objects = out.map(|line| line.unwrap()).filter(|line| line.starts_with('{'));
        let types: Vec<Value> =
            objects.map(|line| serde_json::from_str::<Value>(&line).unwrap()["type"].clone()).collect();
        assert!(!types.iter().any(|kind| kind == "bye"), "a good-bye that nobody said: {types:?}");
        drop(typing);
    }
}

#[test]
fn a_node_that_says_good_bye_ends_who_is_attached_with_0() {
    for args in [&["attach"][..], &["attach", "--json"], &["tail", "-f"]] {
        let ann = node();
        let (front, out) = at(&ann, args);
        ann.signal(Signal::TERM);
        assert_eq!(ann.wait().0, 0);
        let (code, said) = front.end();
        let last = out.map(|line| line.unwrap()).last().unwrap_or_default();
        assert!(code == 0 && (said + &last).contains("left the room"), "{args:?}");
    }
}

#[test]
fn a_tail_says_that_the_node_has_ended_in_words_of_its_own() {
    let ann = node();
    let (tail, _out) = at(&ann, &["tail", "-f"]);
    let _dir = ann.kill();
    let words = "dist-chat: the node has ended\n  it said no good-bye: it was killed, or could not go on\n  try \
                 `dist-chat status`\n";
    assert_eq!(tail.end(), (4, words.to_owned()));
}

#[test]
fn who_sends_while_the_node_is_killed_says_what_may_be_lost() {
    let ann = node();
    let mut send = Reader::start(&ann.dir.0, &["send", "-p", &ann.port.to_string()]);
    let mut typing = send.0.stdin.take().unwrap();
    writeln!(typing, "heard").unwrap();
    // Once the node holds the line, `send` is connected to it.
    until("it is said", || ask(&ann.dir.0, ann.port, &["tail"], "").out.contains("]: heard"));
    let _dir = ann.kill();
    // `send` may still write the first line without an error, so the test types many lines.
    for _ in 0..100 {
        let _ = writeln!(typing, "unheard");
    }
    drop(typing);
    assert_eq!(send.end(), (4, LOST.to_owned()));
}

#[test]
fn a_terminal_is_given_back_and_the_crash_told() {
    for more in [&[][..], &["--tui"]] {
        let ann = node();
        let (port, runtime) = (ann.port.to_string(), ann.dir.0.to_str().unwrap().to_owned());
        let args = [&["attach", "-p", &port], more].concat();
        let mut term = Term::start(&args, &[("XDG_RUNTIME_DIR", &runtime)]);
        term.wait_row("before");
        let _dir = ann.kill();
        assert_eq!(term.ended(), 4, "{more:?}");
        let said = || term.look(|seen| seen.rows().join("\n"));
        until("it is told last", || {
            said().ends_with("say again what `dist-chat history` does not\nshow") || said().ends_with("does not show")
        });
        let said = said();
        assert!(said.contains("dist-chat: the node has ended\n  it may not have taken everything\n"), "{said}");
        assert!(term.look(|seen| !seen.is_full_screen()), "{more:?}");
    }
}
