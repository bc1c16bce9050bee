//! Numbers near their ends, lists beyond their limits, and deeply nested values.

use dist_chat::ring::limits::{FRAME_BYTES_MAX, JUMP_MAX, MEMBERS_MAX, NUMBER_MAX, SUBMITTED_PUSH_MAX};
use dist_chat::ring::{ConnId, Frame, Role};
use serde_json::{Value, json};

use crate::frames;
use crate::targets::room::uid;
use crate::targets::step::{Scene, scenes};

pub fn scene(name: &str) -> Scene {
    let mut scene = scenes().iter().find(|scene| scene.name == name).expect("a scene").clone();
    scene.begin();
    scene
}

/// The node's connection to a host; a connection on which that host has greeted comes first.
pub fn to(scene: &Scene, slot: usize) -> ConnId {
    let to_it = scene.host().conns.iter().filter(|(_, at)| **at == Some(uid(slot))).map(|(id, _)| *id);
    to_it.max_by_key(|id| scene.host().greeted.contains(id)).expect("a connection")
}

/// Sends a frame over this connection; `true` if the connection is still there afterwards.
pub fn tell(scene: &mut Scene, conn: ConnId, frame: &Value) -> bool {
    scene.frame(conn, Frame::decode(frame.to_string().as_bytes()).expect("a frame"));
    scene.host().conns.contains_key(&conn)
}

fn clock(scene: &Scene) -> u64 {
    scene.host().node.lamport().0
}

/// An entry from the leader that follows the log, with a timestamp so far ahead of the clock.
fn entries(scene: &Scene, ahead: u64) -> Value {
    let status = scene.host().node.status();
    let tail = serde_json::to_value(status.tail).expect("a tail");
    let note = json!({"i": status.tail.index.0 + 1, "l": status.lamport.0 + ahead, "w": 1,
        "note": {"left": {"uid": "10.0.0.77:1", "lost": true}}});
    json!({"entries": {"prev": tail, "batch": {"epoch": tail["e"], "who": [], "entries": [note]}}})
}

#[test]
fn a_leader_pushes_the_clock_no_further_by_many_jumps_than_by_one() {
    let mut scene = scene("follows");
    let leader = to(&scene, 2);
    let start = clock(&scene);
    for jump in [1, JUMP_MAX / 2, 2, JUMP_MAX / 2] {
        let frame = entries(&scene, jump);
        assert!(tell(&mut scene, leader, &frame), "it may jump by {jump}");
    }
    assert_eq!(clock(&scene), start + 1 + JUMP_MAX + 2);
    let frame = entries(&scene, 2);
    assert!(tell(&mut scene, leader, &frame), "what an entry counts for is free");
    // Two of the four jumps took half of the budget each. Each of them cost two ticks less, because every entry has
    // ticks of its own.
    let frame = entries(&scene, 7);
    assert!(!tell(&mut scene, leader, &frame), "the budget is spent");
    assert_eq!(clock(&scene), start + 1 + JUMP_MAX + 4);
}

#[test]
fn a_leader_names_no_more_members_than_a_room_can_have() {
    let mut scene = scene("follows");
    let leader = to(&scene, 2);
    let mut there = true;
    for many in 0..20 {
        let frame = joins(&scene, many);
        there = there && tell(&mut scene, leader, &frame);
    }
    assert!(!there, "20 000 members");
    assert!(scene.host().node.status().members.len() <= MEMBERS_MAX);
}

/// A batch of a thousand `joined` notes; each batch names other members.
fn joins(scene: &Scene, many: u64) -> Value {
    let status = scene.host().node.status();
    let tail = serde_json::to_value(status.tail).expect("a tail");
    let author = author();
    let note = |k: u64| {
        let uid = format!("10.{}.{}.{}:1", 1 + many, k / 250, 1 + k % 250);
        json!({"i": status.tail.index.0 + 1 + k, "l": status.lamport.0 + 1 + k, "w": 1,
            "note": {"joined": {"uid": uid, "name": "m", "author": author}}})
    };
    let notes: Vec<Value> = (0..1000).map(note).collect();
    json!({"entries": {"prev": tail, "batch": {"epoch": tail["e"], "who": [], "entries": notes}}})
}

#[test]
fn submitted_stamps_push_a_leader_little_and_their_lines_are_ordered_all_the_same() {
    let mut scene = scene("leads");
    let follower = to(&scene, 0);
    let start = clock(&scene);
    for n in 2..200 {
        let stamp = clock(&scene) + JUMP_MAX;
        let who = json!({"a": "0000000000000001", "s": "00000000000f4241", "by": "n0", "at": "10.0.0.1:2428"});
        let who = serde_json::from_value::<Value>(who).expect("a speaker");
        let frame = json!({"submit": {"stream": stream(&scene), "who": [speaker(&scene, who)],
            "lines": [{"f": 0, "n": n, "t": stamp, "say": "far ahead", "seal": {"of": 1, "by": "00".repeat(64)}}]}});
        let before = scene.host().node.status().tail.index.0;
        assert!(tell(&mut scene, follower, &frame));
        assert_eq!(scene.host().node.status().tail.index.0, before + 1, "line {n} is ordered");
    }
    assert_eq!(clock(&scene), start + SUBMITTED_PUSH_MAX + 198 * 3);
}

/// The stream of the first host, which joined first.
fn stream(_: &Scene) -> u64 {
    1
}

/// The speaker of the first host's lines in the log, so that new lines continue its session.
fn speaker(scene: &Scene, template: Value) -> Value {
    let log = scene.host().store.log();
    let line = log.iter().filter_map(|entry| entry.line()).find(|line| line.uid == uid(0)).expect("it has spoken");
    let id = serde_json::to_value(line.id).expect("an id");
    let mut speaker = template;
    (speaker["a"], speaker["s"]) = (id["a"].clone(), id["s"].clone());
    speaker
}

#[test]
fn one_author_pushes_the_round_no_further_by_many_names_than_by_one() {
    let mut scene = scene("follows");
    let epoch = |round: u64| json!({"r": round, "l": "10.0.0.1:2428", "o": "0000000000000001"});
    let elected = |round: u64| json!({"elected": {"epoch": epoch(round), "ring": [], "hops": null}});
    let first = to(&scene, 0);
    assert!(tell(&mut scene, first, &elected(1 + JUMP_MAX / 2)));
    assert!(tell(&mut scene, first, &elected(1 + JUMP_MAX)));
    assert!(!tell(&mut scene, first, &elected(2 + JUMP_MAX)), "the budget is spent");
    // The same author connects again: the node still knows what that author has spent.
    let again = scene.connect_as(uid(0));
    assert!(!tell(&mut scene, again, &elected(2 + JUMP_MAX)));
    // Another author has a budget of its own.
    let other = to(&scene, 2);
    assert!(tell(&mut scene, other, &elected(2 + JUMP_MAX)));
}

#[test]
fn whoever_is_rebased_onto_names_no_absurd_round_either() {
    let mut scene = scene("fetches");
    let holder = to(&scene, 0);
    let status = scene.host().node.status();
    let tail = serde_json::to_value(status.tail).expect("a tail");
    let far = json!({"r": 2 + 2 * JUMP_MAX, "l": "10.0.0.1:2428", "o": "0000000000000001"});
    let target = json!({"e": far, "i": status.tail.index.0 + 9});
    assert!(tell(&mut scene, holder, &json!({"common": [tail["i"], target]})));
    let note = json!({"i": status.tail.index.0 + 1, "l": status.lamport.0 + 1, "w": 1,
        "note": {"left": {"uid": "10.0.0.77:1", "lost": true}}});
    let pulled = json!({"pulled": {"epoch": far, "who": [], "entries": [note]}});
    assert!(!tell(&mut scene, holder, &pulled));
}

#[test]
fn a_leader_that_claims_more_of_my_lines_than_there_are_is_not_followed() {
    let mut scene = scene("joins");
    let leader = to(&scene, 2);
    assert!(!tell(&mut scene, leader, &accept(1, NUMBER_MAX)));
}

fn accept(tail: u64, yours: u64) -> Value {
    let epoch = json!({"r": 1, "l": "10.0.0.3:2428", "o": "0000000000000001"});
    json!({"accept": {"attempt": 1, "room": "0000000000000007", "stream": 3, "epoch": epoch, "common": 0,
        "tail": {"e": epoch, "i": tail}, "name": "n3", "watermark": yours, "members": [], "lines": 3, "backlog": false}})
}

#[test]
fn a_newcomer_believes_its_leader_up_to_the_ceiling_and_lives_on_there() {
    let mut scene = scene("joins");
    let leader = to(&scene, 2);
    assert!(tell(&mut scene, leader, &accept(1, 0)));
    let epoch = accept(1, 0)["accept"]["epoch"].clone();
    let note = json!({"i": 1, "l": NUMBER_MAX, "w": 1,
        "note": {"elected": {"uid": "10.0.0.3:2428", "name": "n2", "author": author()}}});
    let first =
        json!({"entries": {"prev": {"e": null, "i": 0}, "batch": {"epoch": epoch, "who": [], "entries": [note]}}});
    assert!(tell(&mut scene, leader, &first));
    assert_eq!(clock(&scene), NUMBER_MAX);
    // The node loses all peers, leads a room of its own, and has no timestamp left for an entry.
    scene.close_all();
    scene.refuses(true);
    for _ in 0..20 {
        scene.say("nobody can order this");
        scene.pass(500);
    }
    assert_eq!(scene.host().node.status().role, Role::Leader);
    assert_eq!((clock(&scene), scene.host().node.status().tail.index.0), (NUMBER_MAX, 1));
}

#[test]
fn where_rounds_end_nobody_is_elected() {
    let mut scene = scene("joins");
    let leader = to(&scene, 2);
    let mut last = accept(1, 0);
    last["accept"]["epoch"]["r"] = json!(NUMBER_MAX);
    last["accept"]["tail"]["e"]["r"] = json!(NUMBER_MAX);
    assert!(tell(&mut scene, leader, &last));
    scene.close_all();
    scene.refuses(true);
    for _ in 0..20 {
        scene.pass(500);
    }
    assert_eq!(scene.host().node.status().role, Role::Electing);
}

fn author() -> Value {
    let log = crate::targets::room::Room::of(2, 0);
    let member = log.host(0).node.status().members.first().cloned().expect("a member");
    serde_json::to_value(member.author).expect("an author")
}

/// Copies of a frame; in each, `change` has replaced one value that it accepts.
fn variants(value: &Value, change: &dyn Fn(&Value) -> Option<Value>) -> Vec<Value> {
    let mut all: Vec<Value> = change(value).into_iter().collect();
    let places: Vec<String> = match value {
        Value::Array(list) => (0..list.len()).map(|i| format!("/{i}")).collect(),
        Value::Object(map) => map.keys().map(|key| format!("/{key}")).collect(),
        _ => Vec::new(),
    };
    for place in places {
        for changed in value.pointer(&place).map(|inner| variants(inner, change)).unwrap_or_default() {
            let mut whole = value.clone();
            if let Some(inner) = whole.pointer_mut(&place) {
                *inner = changed;
            }
            all.push(whole);
        }
    }
    all
}

/// One frame of each kind.
fn all_frames() -> Vec<Value> {
    let all: Vec<Value> =
        frames().into_iter().map(|(_, bytes)| serde_json::from_slice(&bytes).expect("a frame is JSON")).collect();
    assert!(all.len() > 30, "{} kinds of frames", all.len());
    all
}

fn decodes(frame: &Value) -> bool {
    let bytes = frame.to_string().into_bytes();
    assert!(bytes.len() < FRAME_BYTES_MAX, "only its content is to be refused");
    Frame::decode(&bytes).is_ok()
}

#[test]
fn no_number_of_any_frame_is_above_the_ceiling() {
    let mut numbers = 0;
    for frame in all_frames() {
        assert!(decodes(&frame), "{frame}");
        for above in [NUMBER_MAX + 1, u64::MAX] {
            for changed in variants(&frame, &|value| value.is_u64().then(|| json!(above))) {
                assert!(!decodes(&changed), "{changed}");
                numbers += 1;
            }
        }
    }
    assert!(numbers > 100, "{numbers} numbers");
}

#[test]
fn no_list_of_any_frame_is_without_a_limit() {
    let mut lists = 0;
    for frame in all_frames() {
        let longer = |value: &Value| value.as_array()?.first().map(|first| json!(vec![first; 3_000]));
        for changed in variants(&frame, &longer) {
            assert!(!decodes(&changed), "{}", changed.to_string().chars().take(200).collect::<String>());
            lists += 1;
        }
    }
    assert!(lists > 10, "{lists} lists");
}

#[test]
fn what_lies_deep_within_itself_is_no_frame() {
    for (open, close) in [("[", "]"), ("{\"relay\":", "}"), ("{\"a\":[", "]}")] {
        let deep = open.repeat(100_000) + &close.repeat(100_000);
        assert!(Frame::decode(&deep.as_bytes()[..deep.len().min(FRAME_BYTES_MAX)]).is_err());
    }
    // The codec skips an unknown key, however deep its value is nested, without a deeper stack.
    let more = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep = format!("{{\"ack\":{{\"stream\":1,\"index\":1,\"more\":{more}}}}}");
    assert!(Frame::decode(deep.as_bytes()).is_ok());
}
