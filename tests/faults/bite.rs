//! A checker that never complains proves nothing: each promise is broken once, by hand, and that must be noticed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check::{Verdict, judge};
use crate::evidence::{Evidence, Log, Seen};
use crate::harness::Chat;

fn entry(index: u64, text: &str) -> Value {
    json!({ "index": index, "ts": index * 10, "epoch": { "round": 1 }, "text": text })
}

fn chat(index: u64, text: &str) -> Chat {
    Chat { ts: index * 10, name: "n0".into(), addr: ([127, 0, 0, 1], 1).into(), text: text.into() }
}

fn seen(name: &str, typed: u64, begun: Instant) -> Seen {
    let texts = ["m0-0 0", "m1-0 0", "m0-0 1", "m1-0 1"];
    let shown = (1..).zip(texts).map(|(i, text)| (begun + Duration::from_secs(i), chat(i, text))).collect();
    Seen {
        name: name.into(),
        tag: format!("m{}-0", &name[1..]),
        typed: (0..typed).map(|n| begun + Duration::from_secs(2 * n) + Duration::from_millis(1)).collect(),
        shown,
        lives: true,
        kept: true,
        blind: false,
        left: false,
    }
}

/// Two who typed two lines each, all of them everywhere.
fn sound() -> Evidence {
    let whole: Vec<Value> =
        (1..).zip(["m0-0 0", "m1-0 0", "m0-0 1", "m1-0 1"]).map(|(i, text)| entry(i, text)).collect();
    let begun = Instant::now();
    let runs = vec![seen("n0", 2, begun), seen("n1", 2, begun)];
    let log = |run: &Seen| Log {
        name: run.name.clone(),
        chats: run.shown.iter().map(|(_, chat)| chat.clone()).collect(),
        since: Some(begun),
    };
    Evidence {
        histories: vec![("n0".into(), whole.clone()), ("n1".into(), whole)],
        logs: runs.iter().map(log).collect(),
        runs,
        by_hand: [].into(),
    }
}

fn spoilt(spoil: impl FnOnce(&mut Evidence)) -> Verdict {
    let mut evidence = sound();
    spoil(&mut evidence);
    judge(&evidence, true)
}

/// The same at every node.
fn everywhere(evidence: &mut Evidence, spoil: impl Fn(&mut Vec<Value>)) {
    evidence.histories.iter_mut().for_each(|(_, history)| spoil(history));
}

fn complains(verdict: &Verdict, counted: u64, word: &str) {
    assert!(counted > 0 && verdict.wrong.iter().any(|what| what.contains(word)), "{verdict:#?}");
}

#[test]
fn a_sound_room_is_sound() {
    let verdict = spoilt(|_| {});
    assert!(verdict.wrong.is_empty(), "{verdict:#?}");
    assert_eq!((verdict.typed, verdict.ordered, verdict.owed), (4, 4, 4));
    assert_eq!((verdict.moved, verdict.unlogged), (0, 0));
}

#[test]
fn what_differs_is_seen() {
    let verdict = spoilt(|room| room.histories[1].1[2]["ts"] = json!(31));
    complains(&verdict, verdict.diverged, "n0 and n1 differ at 2");
    let verdict = spoilt(|room| drop(room.histories[1].1.pop()));
    complains(&verdict, verdict.diverged, "nothing");
    let verdict = spoilt(|room| everywhere(room, |history| history[1]["ts"] = json!(35)));
    complains(&verdict, verdict.diverged, "out of order");
    let verdict = spoilt(|room| everywhere(room, |history| history[1]["epoch"]["round"] = json!(2)));
    complains(&verdict, verdict.diverged, "out of order");
}

#[test]
fn what_is_lost_is_missed() {
    let verdict = spoilt(|room| everywhere(room, |history| drop(history.pop())));
    complains(&verdict, verdict.lost, "m1-0 1");
    // Whoever was shown it has lost its files, and its author was killed: nobody owes it.
    let verdict = spoilt(|room| {
        everywhere(room, |history| drop(history.pop()));
        for run in &mut room.runs {
            (run.lives, run.kept) = (false, false);
        }
    });
    assert_eq!(verdict.lost, 0, "{verdict:#?}");
    let verdict = spoilt(|room| room.by_hand.extend([("hand".into(), 1)]));
    complains(&verdict, verdict.lost, "hand 0");
}

#[test]
fn what_stands_twice_is_seen() {
    let verdict = spoilt(|room| everywhere(room, |history| history.push(entry(5, "m0-0 0"))));
    complains(&verdict, verdict.doubled, "twice in the history");
    let verdict = spoilt(|room| {
        let again = room.runs[0].shown[0].clone();
        room.runs[0].shown.push(again);
    });
    complains(&verdict, verdict.doubled, "was shown");
    let verdict = spoilt(|room| room.logs[1].chats.push(chat(9, "m0-0 0")));
    complains(&verdict, verdict.doubled, "twice in its chat log");
}

#[test]
fn what_nobody_typed_is_seen() {
    let verdict = spoilt(|room| everywhere(room, |history| history.push(entry(5, "m0-0 2"))));
    complains(&verdict, verdict.diverged, "nobody typed");
}

#[test]
fn what_stands_out_of_its_order_is_seen() {
    let swap = |history: &mut Vec<Value>| {
        (history[0], history[2]) = (entry(1, "m0-0 1"), entry(3, "m0-0 0"));
    };
    let verdict = spoilt(|room| everywhere(room, swap));
    complains(&verdict, verdict.diverged, "was due");
    // n1 had read the first line of n0 before it typed its second.
    let reply = |history: &mut Vec<Value>| {
        let texts = ["m1-0 0", "m1-0 1", "m0-0 0", "m0-0 1"];
        *history = (1..).zip(texts).map(|(i, text)| entry(i, text)).collect();
    };
    let verdict = spoilt(|room| everywhere(room, reply));
    complains(&verdict, verdict.diverged, "which its author had read");
    complains(&verdict, verdict.moved, "has moved");
}

#[test]
fn what_the_chat_log_lacks_is_missed() {
    let verdict = spoilt(|room| drop(room.logs[0].chats.remove(1)));
    complains(&verdict, verdict.unlogged, "\"m1-0 0\" (20) is missing");
    // Who was not there yet when it was typed need not have it.
    let verdict = spoilt(|room| {
        room.logs[0].chats.remove(1);
        room.logs[0].since = Some(room.runs[0].typed[0]);
    });
    assert_eq!((verdict.unlogged, verdict.wrong.len()), (0, 0));
}
