//! The model bites: what a broken core, or a broken network, does somewhere on some way is found.

use std::sync::Arc;

use dist_chat::ring::{Entry, Frame, Input, Lamport, Output, Record, Role};

use crate::rules::{Rules, Spoil, Tamper};
use crate::{Case, brisk};

/// What is found where a member joins, one talks, one crashes and comes back.
fn found(tamper: Option<Tamper>, spoil: Option<Spoil>) -> String {
    let rules = Rules { joiners: vec![1], talkers: vec![1], crashes: 1, restarts: 1, tamper, spoil, ..brisk() };
    match Case::new("spoilt", 1, rules).explore() {
        Ok(_) => String::new(),
        Err(failure) => failure.what,
    }
}

#[track_caller]
fn caught(what: &str, by: &str) {
    assert!(what.contains(by), "caught by {by:?}? {what:?}");
}

#[test]
fn a_sound_core_passes() {
    assert_eq!(found(None, None), "");
}

#[test]
fn a_promise_that_is_never_written() {
    let forget: Tamper = |outputs, _, _| outputs.retain(|output| !matches!(output, Output::Save(Record::Promise(_))));
    caught(&found(Some(forget), None), "invariant 1");
}

#[test]
fn a_promise_that_is_announced_before_it_is_synced() {
    let hurry: Tamper = |outputs, _, _| outputs.retain(|output| !matches!(output, Output::Sync));
    caught(&found(Some(hurry), None), "invariant 1");
}

#[test]
fn an_entry_that_changes_on_its_way() {
    let change: Spoil = |frame, _| {
        let mut frame = frame.clone();
        if let Frame::Entries(entries) = &mut frame {
            for entry in &mut entries.batch.entries {
                *entry = Arc::new(Entry { lamport: Lamport(entry.lamport.0 + 1), ..Entry::clone(entry) });
            }
        }
        Some(frame)
    };
    caught(&found(None, Some(change)), "invariant 2");
}

#[test]
fn an_answer_that_never_arrives() {
    caught(&found(None, Some(|frame, _| (!matches!(frame, Frame::Accept(_))).then(|| frame.clone()))), "left alone");
}

/// Only who types at the wrong moment loses the line: no run finds that in which people type when all is quiet.
#[test]
fn a_line_that_is_lost_if_it_is_typed_on_the_way_into_the_room() {
    let lose: Tamper = |outputs, before, input| {
        if before.role == Role::Joining && before.room.is_some() && matches!(input, Input::Submit(_)) {
            outputs.retain(|output| !matches!(output, Output::Save(Record::Queue(_))));
        }
    };
    caught(&found(Some(lose), None), "invariant 6");
}

/// A token that has come round although a larger candidate has passed: two win.
#[test]
fn a_token_that_turns_into_its_receivers_own() {
    let crown: Spoil = |frame, to| {
        let mut frame = frame.clone();
        if let Frame::Token(token) = &mut frame {
            token.candidate = crate::world::uid(to);
        }
        Some(frame)
    };
    let rules = Rules { spoil: Some(crown), ..brisk() };
    let Err(failure) = Case::orphans("spoilt", 3, true, rules).explore() else { panic!("nothing is found") };
    caught(&failure.what, "invariant 10");
}
