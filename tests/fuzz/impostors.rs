//! Peers lie about the leader, about themselves and about past epochs. The node follows none of them.

use dist_chat::ring::{ConnId, ForgedLine, Frame, Hello, Input, Output, Refusal, Role, Start};
use dist_chat::store::MemoryStore;
use serde_json::{Value, json};

use crate::numbers::{scene, tell, to};
use crate::targets::room::{Host, stranger, uid};
use crate::targets::step::Scene;

fn epoch(round: u64, leader: usize) -> Value {
    json!({"r": round, "l": uid(leader), "o": "0000000000000001"})
}

fn tail(index: u64) -> Value {
    json!({"e": epoch(1, 2), "i": index})
}

#[test]
fn a_stale_epoch_is_not_obeyed() {
    let mut scene = scene("follows");
    let before = scene.host().node.status();
    assert_eq!((before.role, before.epoch.map(|epoch| epoch.leader)), (Role::Follower, Some(uid(2))));
    let member = to(&scene, 0);
    for frame in [
        json!({"elected": {"epoch": epoch(0, 0), "ring": [], "hops": null}}),
        json!({"elected": {"epoch": epoch(0, 0), "ring": [uid(0), uid(1)], "hops": 2}}),
        json!({"step_down": epoch(0, 0)}),
        json!({"token": {"round": 0, "candidate": uid(0), "tail": {"e": null, "i": 0}, "holder": uid(0), "hops": 0,
            "ring": [uid(0), uid(1)]}}),
    ] {
        tell(&mut scene, member, &frame);
        let now = scene.host().node.status();
        assert_eq!((now.role, now.epoch), (before.role, before.epoch), "{frame}");
    }
    // The leader cannot do it either: when it sends entries of an epoch below the log's last epoch, it loses its link.
    let tail = serde_json::to_value(before.tail).expect("a tail");
    let note = json!({"i": before.tail.index.0 + 1, "l": before.lamport.0 + 1, "w": 1,
        "note": {"left": {"uid": uid(0), "lost": true}}});
    let frame = json!({"entries": {"prev": tail, "batch": {"epoch": epoch(0, 2), "who": [], "entries": [note]}}});
    let leader = to(&scene, 2);
    assert!(!tell(&mut scene, leader, &frame));
    assert_eq!(scene.host().node.status().tail, before.tail);
}

#[test]
fn a_forged_election_takes_nobody_from_a_leader_that_lives() {
    let mut scene = scene("follows");
    let before = scene.host().node.status();
    let member = to(&scene, 0);
    for round in 2..20 {
        for frame in [
            json!({"elected": {"epoch": epoch(round, 0), "ring": [], "hops": null}}),
            json!({"elected": {"epoch": epoch(round, 1), "ring": [uid(0), uid(1)], "hops": 3}}),
            json!({"token": {"round": round, "candidate": uid(0), "tail": tail(9_999), "holder": uid(0), "hops": 0,
                "ring": [uid(0), uid(1), uid(2)]}}),
            json!({"handover": round}),
            json!({"step_down": epoch(round, 0)}),
            json!({"poll_reply": {"state": {"leading": {"epoch": epoch(round, 0), "followers": 99}},
                "tail": tail(9_999), "round": round}}),
        ] {
            tell(&mut scene, member, &frame);
            let now = scene.host().node.status();
            assert_eq!((now.role, now.epoch), (before.role, before.epoch), "{frame}");
        }
    }
    assert_eq!(scene.host().node.status().tail, before.tail);
}

#[test]
fn nobody_speaks_for_a_member_that_is_heard() {
    let mut scene = scene("leads");
    let before = scene.host().node.status();
    let own = to(&scene, 0);
    let impostor = scene.connect_as(uid(0));
    let hello = Hello { uid: uid(0), ..stranger(7, before.room) };
    scene.step(Input::Frame(impostor, Frame::Hello(hello)));
    assert!(!scene.host().conns.contains_key(&impostor), "it is refused");
    assert!(scene.host().conns.contains_key(&own), "the member is still linked");
    assert_eq!(scene.host().node.status().members, before.members);
}

/// The outputs of a host whose dialled connection opens and brings this hello.
fn greeted_by(host: &mut Host, conn: ConnId, hello: Hello) -> Vec<Output> {
    let mut outputs = host.step(Input::Dialled(conn));
    outputs.extend(host.step(Input::Frame(conn, Frame::Hello(hello))));
    outputs
}

fn dialled(outputs: &[Output]) -> ConnId {
    let dial = outputs.iter().find_map(|output| if let Output::Dial(id, _) = output { Some(*id) } else { None });
    dial.expect("it dials")
}

#[test]
fn a_link_that_answers_for_another_is_not_followed() {
    let room = scene("follows").host().node.status().room;
    let frame = |value: &Value| Frame::decode(value.to_string().as_bytes()).expect("a frame");
    for answers in [2, 4] {
        let mut host = Host::new(5, Start::Join(vec![uid(0).0]), MemoryStore::new(), 0);
        let mut outputs = host.step(Input::Tick);
        outputs.extend(host.tick());
        let contact = dialled(&outputs);
        greeted_by(&mut host, contact, Hello { uid: uid(0), ..stranger(6, room) });
        // The contact follows the host with uid 2, so the node dials that host.
        let following = json!({"poll_reply": {"state": {"following": {"epoch": epoch(1, 2), "heard_ms": 1,
            "relay": false}}, "tail": tail(3), "round": 1}});
        let leader = dialled(&host.step(Input::Frame(contact, frame(&following))));
        // Another node answers at that address, and says that uid 2 leads and accepts the join.
        let outputs = greeted_by(&mut host, leader, Hello { uid: uid(answers), ..stranger(7, room) });
        let attempt = outputs.iter().find_map(|output| match output {
            Output::Send(_, frame) => match &**frame {
                Frame::Join(join) => Some(join.attempt),
                _ => None,
            },
            _ => None,
        });
        let accept = json!({"accept": {"attempt": attempt.expect("it asks to join"), "room": room, "stream": 1,
            "epoch": epoch(1, 2), "common": 0, "tail": tail(3), "name": "n5", "watermark": 0, "members": [],
            "lines": 0, "backlog": false}});
        host.step(Input::Frame(leader, frame(&accept)));
        let follows = host.node.status().role == Role::Follower;
        assert_eq!((follows, host.conns.contains_key(&leader)), (answers == 2, answers == 2), "{answers} answers");
    }
}

#[test]
fn nobody_is_shut_out_of_an_open_room_for_what_was_done_in_its_name() {
    let mut scene = scene("leads");
    let before = scene.host().node.status();
    let own = to(&scene, 0);
    let victim = before.members.iter().find(|member| member.uid == uid(0)).expect("a member").clone();
    let posing = |scene: &mut Scene| {
        let conn = scene.connect_as(uid(8));
        let hello = Hello { author: victim.author, uid: uid(8), ..stranger(7, before.room) };
        scene.step(Input::Frame(conn, Frame::Hello(hello)));
        conn
    };
    let impostor = posing(&mut scene);
    assert!(scene.host().conns.contains_key(&impostor), "nothing proves that it is another");
    scene.step(Input::Forged(impostor, ForgedLine { author: victim.author, name: Some(victim.name.clone()) }));
    assert!(!scene.host().conns.contains_key(&impostor));
    assert!(scene.host().conns.contains_key(&own), "the member has done nothing");
    assert_eq!(scene.host().node.status().members, before.members);
    let again = posing(&mut scene);
    assert!(scene.host().conns.contains_key(&again), "its author is free to come");
}

#[test]
fn who_comes_back_with_an_old_key_does_not_open_the_room_beside_the_others() {
    for (start, stops) in [(Start::Resume, true), (Start::Reopen, false)] {
        let mut store = scene("follows").host().store.clone();
        store.reopen();
        let mut host = Host::new(1, start, store, 0);
        let mut outputs = host.step(Input::Tick);
        outputs.extend(host.tick());
        let dialled: Vec<ConnId> = outputs
            .iter()
            .filter_map(|output| if let Output::Dial(id, _) = output { Some(*id) } else { None })
            .collect();
        assert_eq!(dialled.len(), 2);
        for conn in dialled {
            host.step(Input::DialRejected(conn, Refusal::WrongKey));
        }
        assert_eq!(host.stopped, stops);
        assert_eq!(host.node.status().role == Role::Leader, !stops);
    }
}

#[test]
fn a_leader_takes_lines_of_others_only_where_it_has_asked_for_them() {
    let mut scene = scene("leads");
    let before = scene.host().node.status().tail;
    let own = to(&scene, 0);
    let ghost = json!({"a": "ab".repeat(32), "s": "00000000000000cd", "by": "n2", "at": uid(2)});
    let frame = json!({"submit": {"stream": 1, "who": [ghost], "lines": [
        {"f": 0, "n": 1, "t": 1, "say": "who has said this?", "seal": {"of": 1, "by": "00".repeat(64)}}]}});
    assert!(!tell(&mut scene, own, &frame), "it costs the link");
    let log = scene.host().store.log();
    assert!(log.iter().filter_map(|entry| entry.line()).all(|line| line.text.as_str() != "who has said this?"));
    assert!(scene.host().node.status().tail >= before);
}
