//! The targets panic when a promise is broken, and the scenes begin in the state that their names say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dist_chat::ring::{Entry, Frame, Output, Record, Role};

use crate::targets;
use crate::targets::room::{Room, uid};
use crate::targets::step::scenes;
use crate::targets::watch::Watch;

/// The complaint of [`Watch`] about the entries of a log after this change; empty if there is none.
fn complaint(change: impl FnOnce(&mut Vec<Arc<Entry>>)) -> String {
    let mut log = Room::of(2, 0).host(0).store.log().to_vec();
    change(&mut log);
    let mut watch = Watch::default();
    let told = catch_unwind(AssertUnwindSafe(|| watch.output(uid(0), &Output::Save(Record::Append(log)))));
    let words = |panic: Box<dyn std::any::Any + Send>| match panic.downcast_ref::<&str>() {
        Some(words) => (*words).to_owned(),
        None => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
    };
    told.err().map(words).unwrap_or_default()
}

fn changed(entry: &Arc<Entry>, change: impl FnOnce(&mut Entry)) -> Arc<Entry> {
    let mut entry = Entry::clone(entry);
    change(&mut entry);
    Arc::new(entry)
}

#[test]
fn a_log_that_cannot_be_is_complained_of() {
    assert_eq!(complaint(|_| {}), "");
    assert!(complaint(|log| log.swap(0, 1)).contains("invariant 2"));
    assert!(complaint(|log| log[2] = changed(&log[2], |entry| entry.lamport = log[1].lamport)).contains("invariant 5"));
    assert!(complaint(|log| log[1] = changed(&log[1], |entry| entry.epoch.round += 1)).contains("invariant 2"));
}

#[test]
fn each_scene_is_what_it_is_called() {
    for scene in scenes() {
        let role = scene.host().node.status().role;
        let expected = match scene.name {
            "follows" => Role::Follower,
            "leads" | "leaves" => Role::Leader,
            "asks" | "elects" | "fetches" | "reopens" => Role::Electing,
            "knocks" | "joins" => Role::Joining,
            other => panic!("{other} is no scene"),
        };
        assert_eq!(role, expected, "{}", scene.name);
    }
}

#[test]
fn what_is_recorded_reaches_what_it_is_about() {
    let said = |scene: &str, word: &str| {
        let all = targets::step::recorded();
        let bytes = all.into_iter().find(|(name, _)| *name == scene).map(|(_, bytes)| bytes).unwrap_or_default();
        assert!(String::from_utf8_lossy(&bytes).contains(&format!("\"{word}\"")), "{word} in {scene}");
    };
    for (scene, word) in [
        ("follows", "entries"),
        ("leads", "submit"),
        ("asks", "poll_reply"),
        ("elects", "token"),
        ("knocks", "poll_reply"),
    ] {
        said(scene, word);
    }
    for (scene, word) in [("joins", "accept"), ("fetches", "common"), ("fetches", "pulled"), ("reopens", "accept")] {
        said(scene, word);
    }
}

#[test]
fn a_history_that_is_sound_is_read() {
    assert_eq!(targets::store::lines_of_a_sound_file(), 2);
}

#[test]
fn a_relay_in_a_relay_is_no_frame() {
    let ask = r#"{"relay":{"from":"10.0.0.1:1","to":"10.0.0.2:1","opener":true,"frame":"leader_poll"}}"#;
    assert!(Frame::decode(ask.as_bytes()).is_ok());
    assert!(Frame::decode(ask.replace("\"leader_poll\"", ask).as_bytes()).is_err());
}

#[test]
fn of_those_who_call_the_untouched_are_let_in() {
    let let_in = |name: &str| {
        let (_, bytes) = targets::handshake::recorded().into_iter().find(|(seed, _)| *seed == name).unwrap_or_default();
        targets::handshake::is_let_in(&bytes[1..])
    };
    for name in ["untouched", "untouched-torn", "says-own-hello", "hello-twice"] {
        assert!(let_in(name), "{name}");
    }
    for name in ["other-key", "answer-flipped", "third-cut", "says-for-another", "says-ask"] {
        assert!(!let_in(name), "{name}");
    }
}
