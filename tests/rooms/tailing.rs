//! Programs that follow a room through a member show each line once and in order.

use std::io::{BufRead as _, BufReader};
use std::process::ChildStdout;
use std::time::Instant;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

use crate::harness::{Room, quiet, setting, soon, turn};

/// A long file runs through a pipe into one member. Two programs follow the room at another member; one of them does
/// not read meanwhile.
#[test]
fn proof_21_tails() {
    let lines = setting("PROOF_TAIL_LINES").unwrap_or(20_000);
    let _turn = turn();
    let room = Room::of(2, 1);
    let (piped, other) = (&room.nodes[0], &room.nodes[1]);
    piped.say("before");
    other.shows("before", soon(20));
    let port = other.addr.port().to_string();
    let args = ["tail", "-f", "--json", "-n", "1", "-p", &port];
    let mut tails = [other.beside(&args), other.beside(&args)];
    let mut outs = tails.each_mut().map(|tail| BufReader::new(tail.0.stdout.take().unwrap()));
    // A program that has shown a line follows the room.
    outs.iter_mut().for_each(|out| assert_eq!(next(out), "before"));
    let still = Pid::from_child(&tails[1].0);
    kill_process(still, Signal::STOP).unwrap();
    let (_, stopped) = waitpid(Some(still), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(stopped.stopped());

    let begun = Instant::now();
    let keyboard = piped.keyboard();
    let text: String = (1..=lines).map(|n| format!("{n}\n")).collect();
    let typist = std::thread::spawn(move || keyboard.bytes(text.as_bytes()).unwrap());
    let all_of = |out: &mut BufReader<ChildStdout>| {
        for n in 1..=lines {
            assert_eq!(next(out), n.to_string());
        }
        begun.elapsed()
    };
    let steady = all_of(&mut outs[0]);
    typist.join().unwrap();
    kill_process(still, Signal::CONT).unwrap();
    let late = all_of(&mut outs[1]);
    quiet(&room.all(), soon(20));
    // The next line shows that no earlier line comes again.
    piped.say("after");
    outs.iter_mut().for_each(|out| assert_eq!(next(out), "after"));
    println!(
        "proof 21: {lines} lines piped into one member: `tail -f --json` at the other told all of them, in order, each once, \
         after {:.2} s; another one that stood still meanwhile too, after {:.2} s",
        steady.as_secs_f64(),
        late.as_secs_f64(),
    );
}

fn next(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let object: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&object["v"], &object["type"]), (&1.into(), &"line".into()), "{line}");
    object["text"].as_str().unwrap().to_owned()
}
