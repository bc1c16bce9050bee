//! Programs send lines to a running node and follow its room: `send`, `tail`, `--json`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Stdio};

use dist_chat::ring::limits::TEXT_BYTES_MAX;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Dir, Ended, Node, program, run, until};

/// Runs a subcommand for the node at that port.
pub fn ask(dir: &Path, port: u16, args: &[&str], input: &str) -> Ended {
    let port = port.to_string();
    run(program(dir, &[&[args[0], "-p", &port], &args[1..]].concat()), input.as_bytes())
}

/// The texts of the lines, without the stamp that stands before each in a pipe.
fn texts(out: &str) -> Vec<&str> {
    out.lines().map(|line| line.split_once("]: ").unwrap().1).collect()
}

/// A program that follows a room; the process ends together with this value.
pub struct Reader(pub Child);

impl Reader {
    pub fn start(dir: &Path, args: &[&str]) -> Self {
        let mut command = program(dir, args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits until the program has ended; returns its exit code and its standard error.
    pub fn end(mut self) -> (i32, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code().unwrap_or(-1), said)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_is_sent_through_a_node_is_seen_at_another() {
    let mut ann = Node::found("ann");
    let bob = Node::join("bob", &ann);
    ann.wait_for(" joined the ring ///");
    let sent = ask(&bob.dir.0, bob.port, &["send", "-m", "it's \"done\"", "-m", "/exit", "--wait"], "");
    assert_eq!((sent.code, sent.out.as_str(), sent.err.as_str()), (0, "", ""));
    ann.wait_for("]: it's \"done\"");
    ann.wait_for("]: /exit");
    let sent = ask(&bob.dir.0, bob.port, &["send", "--channel", "ops"], "one\n\n  \ntwo\nno line feed");
    assert_eq!((sent.code, sent.err.as_str()), (0, ""));
    ann.wait_for("]: no line feed");

    let newest = ask(&ann.dir.0, ann.port, &["tail", "-n", "3"], "");
    assert_eq!(texts(&newest.out), ["one", "two", "no line feed"]);
    assert!(newest.out.starts_with(&format!("> bob(127.0.0.1:{})[", bob.port)), "{}", newest.out);
    let lobby = ask(&ann.dir.0, ann.port, &["tail", "--channel", "#lobby"], "");
    assert_eq!(texts(&lobby.out), ["it's \"done\"", "/exit"]);
    let one = ask(&ann.dir.0, ann.port, &["tail", "--channel", "ops", "-n", "1", "--json"], "");
    let one: Value = serde_json::from_str(&one.out).unwrap();
    assert_eq!((&one["v"], &one["type"], &one["channel"]), (&1.into(), &"line".into(), &"ops".into()));
    let since = one["ts"].to_string();
    assert_eq!(texts(&ask(&ann.dir.0, ann.port, &["tail", "--since", &since], "").out), ["no line feed"]);
    assert_eq!(texts(&ask(&ann.dir.0, ann.port, &["tail", "--since", "1h"], "").out).len(), 5);

    // The files of a node that does not run give the same answers.
    let (port, bob_port) = (ann.port, bob.port);
    assert_eq!(bob.leave().0, 0);
    let (_, _, dir) = ann.leave();
    let newest = ask(&dir.0, port, &["tail", "-n", "3"], "");
    assert_eq!((texts(&newest.out), newest.code), (vec!["one", "two", "no line feed"], 0));
    assert_eq!(texts(&ask(&dir.0, port, &["tail", "--channel", "lobby", "-n", "1"], "").out), ["/exit"]);
    assert_eq!(ask(&dir.0, port, &["tail", "-f"], "").code, 4);
    assert_eq!(ask(&dir.0, bob_port, &["send", "-m", "x"], "").code, 4);
}

#[test]
fn a_question_that_makes_no_sense_is_refused() {
    let dir = Dir::new();
    let long = "x".repeat(16 * 1024 + 1);
    for args in [
        &["send", "-m", " "][..],
        &["send", "-m", "x", "-"],
        &["send", "-m", &long],
        &["send", "-m", "x", "--channel", "a b"],
        &["send", "x"],
        &["tail", "--since", "soon"],
        &["tail", "-n", "5", "--since", "1h"],
        &["tail", "--channel", ""],
        &["attach", "x"],
    ] {
        let ended = ask(&dir.0, 1, args, "");
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
    }
    for args in [&["send", "-m", "x"][..], &["tail"], &["attach"]] {
        let ended = ask(&dir.0, 1, args, "");
        assert_eq!(ended.code, 4, "{args:?}: {}", ended.err);
        assert!(ended.err.contains("no node"), "{}", ended.err);
    }
}

#[test]
fn what_nobody_orders_is_said_to_wait() {
    let mut ann = Node::found("ann");
    let bob = Node::join("bob", &ann);
    ann.wait_for(" joined the ring ///");
    ann.freeze();
    let sent = ask(&bob.dir.0, bob.port, &["send", "-m", "unheard", "--wait"], "");
    ann.signal(Signal::CONT);
    // If bob is alone in the room by then, bob's log holds the line, and `send` ends with code 0.
    assert!([0, 7].contains(&sent.code), "{}", sent.err);
    assert_eq!(sent.code == 7, sent.err.contains("not all of it is ordered"), "{}", sent.err);
}

#[test]
fn a_tail_that_stands_still_for_a_while_gets_each_line_once() {
    // More lines than a node queues for one frontend and than the frontend's pipe and sockets hold together.
    const LINES: usize = 30_000;
    let mut ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--rate-limit", "0"]);
    let port = ann.port.to_string();
    ann.feed("before\n");
    ann.wait_for("]: before");
    let args = ["tail", "-f", "-n", "1", "--json", "-p", &port];
    let mut tails: Vec<_> = (0..2).map(|_| Reader::start(&ann.dir.0, &args)).collect();
    let mut outs: Vec<_> = tails.iter_mut().map(|tail| BufReader::new(tail.0.stdout.take().unwrap()).lines()).collect();
    let next = |out: &mut dyn Iterator<Item = std::io::Result<String>>| {
        serde_json::from_str::<Value>(&out.next().unwrap().unwrap()).unwrap()["text"].as_str().unwrap().to_owned()
    };
    // A program that has shown a line follows the room.
    outs.iter_mut().for_each(|out| assert_eq!(next(out), "before"));
    tails[1].signal(Signal::STOP);
    let mut typing = ann.take_stdin();
    let typed: String = (1..=LINES).map(|n| format!("{n} {}\n", "x".repeat(100))).collect();
    let typist = std::thread::spawn(move || {
        typing.write_all(typed.as_bytes()).unwrap();
        typing
    });
    let number = |text: String| text.split(' ').next().unwrap().parse::<usize>().unwrap();
    (1..=LINES).for_each(|n| assert_eq!(number(next(&mut outs[0])), n));
    tails[1].signal(Signal::CONT);
    (1..=LINES).for_each(|n| assert_eq!(number(next(&mut outs[1])), n));
    // Both programs show the next line as it comes, and report the node's end.
    let mut typing = typist.join().unwrap();
    typing.write_all(b"last\n").unwrap();
    outs.iter_mut().for_each(|out| assert_eq!(next(out), "last"));
    drop(typing);
    for (tail, out) in tails.into_iter().zip(outs) {
        assert_eq!(out.count(), 0);
        assert_eq!(tail.end(), (0, "dist-chat: left the room\n".to_owned()));
    }
    assert_eq!(ann.wait().0, 0);
}

#[test]
fn a_slow_reader_of_json_lacks_nothing() {
    const LINES: usize = 20_000;
    for keeps in [&[][..], &["--ephemeral"]] {
        let dir = Dir::new();
        let args = [&["-l", "-p", "0", "-n", "ann", "--json", "--rate-limit", "0"], keeps].concat();
        let mut ann = Reader::start(&dir.0, &args);
        let out = ann.0.stdout.take().unwrap();
        let mut typing = ann.0.stdin.take().unwrap();
        for n in 1..=LINES {
            writeln!(typing, r#"{{"v":1,"type":"say","text":"{n} {}"}}"#, "x".repeat(100)).unwrap();
        }
        writeln!(typing, "nonsense").unwrap();
        let receipt = r#"{"v":1,"type":"say","text":"last","id":"the last"}"#;
        writeln!(typing, "{receipt}").unwrap();
        // The test has read no object so far, and the log holds all lines.
        let status = || {
            let said = std::fs::read_dir(dir.0.join("dist-chat")).ok()?.next()?.ok()?.file_name().into_string().ok()?;
            let port = said.strip_suffix(".sock")?.rsplit(':').next()?.parse().ok()?;
            let report: Value = serde_json::from_str(&ask(&dir.0, port, &["status", "--json"], "").out).ok()?;
            report["log"]["last"].as_u64()
        };
        until("all of it is ordered", || status() > Some(LINES as u64));
        let objects = BufReader::new(out).lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let (mut read, mut typing, mut noted, mut sent) = (0, Some(typing), false, false);
        for object in objects {
            match object["type"].as_str().unwrap() {
                "line" => {
                    read += 1;
                    let text = object["text"].as_str().unwrap();
                    match read > LINES {
                        true => assert_eq!(text, "last"),
                        false => assert_eq!(text.split(' ').next().unwrap(), read.to_string()),
                    }
                    if read > LINES {
                        typing = None;
                    }
                }
                "note" => noted |= object["text"].as_str().unwrap().contains("line 20001 of standard input"),
                "sent" => {
                    sent = true;
                    assert_eq!((&object["id"], &object["ordered"]), (&"the last".into(), &true.into()));
                    assert!(object["ts"].as_u64().unwrap() > LINES as u64);
                }
                "left_out" => panic!("{object}"),
                _ => {}
            }
        }
        drop(typing);
        assert_eq!((read, noted, sent), (LINES + 1, true, true));
        let (code, said) = ann.end();
        assert_eq!((code, said.lines().count()), (0, 1), "{said}");
        assert!(said.contains("line 20001 of standard input is not understood"), "{said}");
    }
}

#[test]
fn a_node_that_has_left_still_tells_what_was_not_read() {
    const LINES: u64 = 20_000;
    for keeps in [&[][..], &["--ephemeral"]] {
        let dir = Dir::new();
        let args = [&["-l", "-p", "0", "-n", "ann", "--json", "--rate-limit", "0"], keeps].concat();
        let mut ann = Reader::start(&dir.0, &args);
        let mut typing = ann.0.stdin.take().unwrap();
        for n in 1..=LINES {
            writeln!(typing, r#"{{"v":1,"type":"say","text":"{n} {}"}}"#, "x".repeat(100)).unwrap();
        }
        drop(typing);
        let sockets = || std::fs::read_dir(dir.0.join("dist-chat")).map_or(1, |sockets| sockets.count());
        until("the node has left", || sockets() == 0);
        let (mut next, mut left_out, mut last) = (1, 0, String::new());
        for line in BufReader::new(ann.0.stdout.take().unwrap()).lines() {
            let object: Value = serde_json::from_str(&line.unwrap()).unwrap();
            last = object["type"].as_str().unwrap().to_owned();
            if last == "line" {
                assert_eq!(object["text"].as_str().unwrap().split(' ').next().unwrap(), next.to_string());
                next += 1;
            }
            left_out += object["lines"].as_u64().filter(|_| last == "left_out").unwrap_or(0);
        }
        // The node counts the lines that it keeps nowhere.
        assert_eq!((next - 1 + left_out, left_out == 0), (LINES, keeps.is_empty()));
        assert_eq!((last.as_str(), ann.end()), ("bye", (0, String::new())));
    }
}

#[test]
fn a_line_is_the_same_text_wherever_it_is_read() {
    let mut ann = Node::found("ann");
    let typed = ["tea?", "/like", "/me waves", "/reply to all?", "/away", "/away lunch", "/topic tea"];
    let objects = typed.map(|line| format!("{}\n", serde_json::json!({ "v": 1, "type": "type", "line": line })));
    let bob = Node::join("bob", &ann);
    let port = bob.port.to_string();
    ann.feed("hello\n");
    ann.wait_for("]: hello");
    until("bob has it", || ask(&bob.dir.0, bob.port, &["tail"], "").out.contains("]: hello"));
    let args = ["attach", "--json", "-p", &port];
    assert_eq!(run(program(&bob.dir.0, &args), objects.concat().as_bytes()).code, 0);
    let mut shown: Vec<String> = typed.iter().map(|_| ann.wait_for("> bob(")).collect();
    let texts = texts_of(&shown);
    assert!(texts[1].starts_with("/like ") && texts[3].starts_with("/reply ") && texts[4] == "/away", "{texts:?}");
    let (tail, history) =
        (ask(&ann.dir.0, ann.port, &["tail"], "").out, ask(&ann.dir.0, ann.port, &["history"], "").out);
    for line in shown.drain(..) {
        assert!(tail.lines().any(|told| told == line), "{line} is not in {tail}");
        assert!(history.lines().any(|told| told.ends_with(&line[1..])), "{line} is not in {history}");
    }
}

fn texts_of(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| line.split_once("]: ").unwrap().1).collect()
}

#[test]
fn an_output_that_takes_nothing_is_complained_of() {
    let ann = Node::found("ann");
    let port = ann.port.to_string();
    let place = format!("127.0.0.1:{port}");
    for args in [
        &["status", "-p", &port][..],
        &["history", "-p", &port],
        &["tail", "-p", &port],
        &["doctor", &place],
        &["doctor", &place, "--json"],
    ] {
        let mut command = program(&ann.dir.0, args);
        command.stdin(Stdio::null()).stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(ask(&ann.dir.0, ann.port, &["send", "-m", "x", "--wait"], "").code, 0);
        let ended = command.stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(6), "{args:?}");
        assert!(said.starts_with("dist-chat: cannot write what was found\n"), "{args:?}: {said}");
    }
}

#[test]
fn an_output_that_is_closed_ends_every_program_well() {
    let mut ann = Node::found("ann");
    let port = ann.port.to_string();
    ann.feed((0..2000).map(|n| format!("{n} {}\n", "x".repeat(100))).collect::<String>());
    ann.wait_for("]: 1999 ");
    for args in [
        &["history", "-p", &port][..],
        &["tail", "-p", &port, "-n", "2000"],
        &["tail", "-f", "-p", &port],
        &["tail", "-f", "--json", "-p", &port, "-n", "2000"],
        &["status", "-p", &port],
        &["--help"],
    ] {
        let mut reader = Reader::start(&ann.dir.0, args);
        let mut line = String::new();
        let mut out = BufReader::new(reader.0.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{args:?}");
        // The program ends without another line from the node.
        drop(out);
        assert_eq!(reader.end(), (0, String::new()), "{args:?}");
    }
    let said = ask(&ann.dir.0, ann.port, &["send"], "still here\n");
    assert_eq!(said.code, 0);
    ann.wait_for("]: still here");
}

#[test]
fn a_line_that_is_too_long_is_not_said_and_makes_the_exit_code() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    for (input, what) in [
        (format!("one\n{long}\ntwo\n"), "dist-chat: 1 line was not said\n"),
        (format!("{long}\nthree\n{long}"), "dist-chat: 2 lines were not said\n"),
    ] {
        let sent = ask(&ann.dir.0, ann.port, &["send", "--wait"], &input);
        assert!(sent.code == 2 && sent.err.contains(what), "{}: {}", sent.code, sent.err);
    }
    assert_eq!(texts(&ask(&ann.dir.0, ann.port, &["tail"], "").out), ["one", "two", "three"]);
}

#[test]
fn what_cannot_be_read_is_not_taken_for_the_end_of_the_node() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    let mut send = program(&ann.dir.0, &["send", "-p", &ann.port.to_string()]);
    let ended = send.stdin(std::fs::File::open("/").unwrap()).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(6) && said.starts_with("dist-chat: cannot read standard input"), "{said}");
}

#[test]
fn an_object_that_is_none_is_told_with_its_own_line_alone() {
    let ann = Node::start(&["-l", "-p", "0", "-n", "ann", "--daemon"]);
    let ended = ask(&ann.dir.0, ann.port, &["attach", "--json"], "\n{\"v\":1,\nnonsense\n");
    let places: Vec<_> = ended.err.lines().filter(|line| line.contains("is not understood")).collect();
    assert!(places.len() == 2 && places[1].contains("line 3 of standard input"), "{places:?}");
    assert!(places.iter().all(|said| said.matches("line ").count() == 1 && said.contains(" at column ")), "{places:?}");
}
