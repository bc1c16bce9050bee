//! A reaction to a line counts once per author.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ChildStdin;

use serde_json::{Value, json};

use crate::harness::{Room, poll, quiet, soon, turn};

/// The number of likes that all members give together.
const LIKES: u64 = 10_000;
const LINE: &str = "shall we deploy?";

/// Five members like the same line over and over.
#[test]
fn proof_22_likes() {
    let _turn = turn();
    let room = Room::of(5, 2);
    room.nodes[0].say(LINE);
    let agreed = room.nodes.iter().map(|node| {
        node.shows(LINE, soon(20));
        let history = node.history().unwrap();
        history.iter().find(|line| line["text"] == LINE).unwrap()["ts"].as_u64().unwrap()
    });
    let stamps: Vec<u64> = agreed.collect();
    let ts = stamps[0];
    assert!(stamps.iter().all(|other| *other == ts), "{stamps:?}");

    let mut leashes: Vec<_> = room.nodes.iter().map(|node| node.attached()).collect();
    let mut ins: Vec<ChildStdin> = leashes.iter_mut().map(|leash| leash.0.stdin.take().unwrap()).collect();
    let watchers = leashes.iter_mut().map(|leash| {
        let out = BufReader::new(leash.0.stdout.take().unwrap());
        // Each watcher returns the last total that its node reported.
        std::thread::spawn(move || {
            let objects = out.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
            let totals = objects.filter(|object| object["type"] == "reactions" && object["ts"] == ts);
            totals.map(|object| object["reactions"].clone()).last()
        })
    });
    let watchers: Vec<_> = watchers.collect();
    let each = LIKES / ins.len() as u64;
    let typists: Vec<_> = ins
        .drain(..)
        .map(|mut stdin| {
            std::thread::spawn(move || {
                let line = like(ts, true).repeat(each as usize);
                stdin.write_all(line.as_bytes()).unwrap();
                stdin
            })
        })
        .collect();
    let mut ins: Vec<ChildStdin> = typists.into_iter().map(|typist| typist.join().unwrap()).collect();
    let all = room.all();
    poll("every like is ordered", soon(120), || {
        let ordered = |node: &&crate::harness::Node| node.status().ok()?["log"]["last"].as_u64();
        all.iter().map(ordered).all(|last| last.is_some_and(|last| last > LIKES)).then_some(())
    });
    quiet(&all, soon(60));
    for node in &all {
        assert_eq!(total(node.history().unwrap()), json!([{"with": "👍", "count": 5}]), "{}", node.name);
    }
    // One member withdraws its like.
    ins[1].write_all(like(ts, false).as_bytes()).unwrap();
    poll("one like less, everywhere", soon(60), || {
        let less = json!([{"with": "👍", "count": 4}]);
        all.iter().all(|node| node.history().is_ok_and(|history| total(history) == less)).then_some(())
    });
    quiet(&all, soon(20));
    // The programs detach at the end of their input.
    drop(ins);
    for watcher in watchers {
        assert_eq!(watcher.join().unwrap(), Some(json!([{"with": "👍", "count": 4}])));
    }
    println!(
        "proof 22: {LIKES} likes of 5 members on one line: a total of 5 in every history; one taken back: 4 in every \
         history and at each of the 5 who looked on"
    );
}

fn like(ts: u64, on: bool) -> String {
    let command = if on { "like" } else { "unlike" };
    format!("{}\n", json!({"v": 1, "type": "type", "line": format!("/{command} {ts}")}))
}

fn total(history: Vec<Value>) -> Value {
    history.into_iter().find(|line| line["text"] == LINE).map(|mut line| line["reactions"].take()).unwrap_or_default()
}
