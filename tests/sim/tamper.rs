//! The checkers bite in whole runs too: a wrapper spoils what a sound core wants done.

use std::sync::Arc;

use dist_chat::ring::{Body, Entry, Event, Frame, Lamport, Output, Record, WallMs};

use crate::settle;
use crate::world::{MS, SECOND, Tamper, World};

/// What a room of three says when one kind of output is spoiled; it talks, splits, heals and talks.
fn failure(tamper: Tamper) -> String {
    let mut world = World::new(5, 3, 100, 50);
    world.tamper = Some(tamper);
    world.found(0);
    world.run_to(MS);
    world.join(1, &[0]);
    world.join(2, &[0]);
    world.run_to(SECOND);
    for k in 0..30 {
        world.say(k % 3, &format!("line {k}"));
        world.run_to(world.now + 10 * MS);
        match k {
            10 => world.cut_link(0, 2),
            11 => world.cut_link(1, 2),
            12 => world.run_to(world.now + 4 * SECOND),
            20 => world.heal(),
            _ => {}
        }
    }
    if world.failure.is_none() {
        settle::settle(&mut world, SECOND);
    }
    world.failure.unwrap_or_default()
}

fn changed(entry: &Arc<Entry>, change: impl FnOnce(&mut Entry)) -> Arc<Entry> {
    let mut entry = Entry::clone(entry);
    change(&mut entry);
    Arc::new(entry)
}

/// Spoils the appends of a follower.
fn spoil(outputs: &mut [Output], slot: usize, change: impl Fn(&mut Vec<Arc<Entry>>)) {
    for output in outputs {
        if let (Output::Save(Record::Append(entries)), 1) = (output, slot) {
            change(entries);
        }
    }
}

#[track_caller]
fn caught(tamper: Tamper, by: &[&str]) {
    let what = failure(tamper);
    assert!(by.iter().any(|by| what.contains(by)), "caught by {by:?}? {what:?}");
}

#[test]
fn a_sound_core_passes() {
    assert_eq!(failure(|_, _, _| {}), "");
}

#[test]
fn an_append_that_is_dropped() {
    caught(
        |outputs, slot, step| {
            if slot == 1 && step > 200 {
                outputs.retain(|output| !matches!(output, Output::Save(Record::Append(_))));
            }
        },
        &["invariant 2", "invariant 6"],
    );
}

#[test]
fn entries_that_change_places() {
    caught(|outputs, slot, _| spoil(outputs, slot, |entries| entries.reverse()), &["invariant 2"]);
}

#[test]
fn an_entry_that_reads_otherwise_here() {
    caught(
        |outputs, slot, _| {
            spoil(outputs, slot, |entries| entries.iter_mut().for_each(|e| *e = changed(e, |e| e.wall = WallMs(1))));
        },
        &["invariant 2"],
    );
}

#[test]
fn a_clock_that_stands_still() {
    caught(
        |outputs, slot, _| {
            for output in outputs {
                if let (Output::Save(Record::Append(entries)), 0) = (output, slot) {
                    entries.iter_mut().for_each(|e| *e = changed(e, |e| e.lamport = Lamport(1)));
                }
            }
        },
        &["invariant 5"],
    );
}

#[test]
fn a_line_that_is_numbered_anew() {
    caught(
        |outputs, slot, _| {
            spoil(outputs, slot, |entries| {
                entries.iter_mut().for_each(|e| {
                    if let Body::Line(line) = &e.body {
                        let mut line = (**line).clone();
                        line.id.n += 1;
                        *e = changed(e, |e| e.body = Body::Line(Arc::new(line)));
                    }
                });
            });
        },
        &["invariant 2", "invariant 3"],
    );
}

#[test]
fn an_acknowledgement_of_what_is_not_there() {
    caught(
        |outputs, slot, _| {
            for output in outputs {
                if let (Output::Send(_, frame), 1) = (output, slot)
                    && let Frame::Ack(ack) = &**frame
                {
                    let mut ack = *ack;
                    ack.index = ack.index.next();
                    *frame = Arc::new(Frame::Ack(ack));
                }
            }
        },
        &["invariant 6"],
    );
}

#[test]
fn an_announcement_before_its_promise() {
    caught(|outputs, _, _| outputs.retain(|output| !matches!(output, Output::Save(Record::Promise(_)))), &["invariant 1"]);
}

#[test]
fn a_line_that_is_shown_twice() {
    caught(
        |outputs, slot, _| {
            if slot == 2 {
                let again = outputs.iter().find(|output| matches!(output, Output::Event(Event::Line(_)))).cloned();
                outputs.extend(again);
            }
        },
        &["invariant 7"],
    );
}

#[test]
fn a_line_that_is_never_shown() {
    caught(
        |outputs, slot, _| {
            if slot == 2 {
                outputs.retain(|output| !matches!(output, Output::Event(Event::Line(_))));
            }
        },
        &["promise 3"],
    );
}

#[test]
fn a_line_that_is_typed_and_not_written() {
    caught(|outputs, slot, _| outputs.retain(|o| slot != 1 || !matches!(o, Output::Save(Record::Queue(_)))), &["invariant 6"]);
}
