//! A member that puts words into another's mouth, and a leader that does: everybody finds out, and the room goes on.

use std::sync::Arc;

use dist_chat::ring::{AuthorId, Body, Digest, Entry, Frame, Line, LineId, Refusal, Role, Stop, Text};

use crate::settle::{gathered, settle, well};
use crate::world::{SECOND, World};

/// A room of four, led by the first, in which a host lies from now on.
fn room(liar: usize, lie: fn(&mut Frame)) -> World {
    let mut world = World::new(11, 4, 100, 0);
    // In a room with a key links prove who is there.
    world.slots.iter_mut().for_each(|slot| slot.key = Some(Digest([1; 32])));
    let mut world = gathered(world);
    assert!((0..4).all(|slot| world.say(slot, "the truth")));
    world.run_to(world.now + SECOND);
    world.forger = Some((liar, lie));
    world
}

/// How many hosts were told that `by` has handed on what was not said.
fn told(world: &World, by: &str) -> usize {
    let trace = world.trace.as_deref().unwrap_or_default();
    let here = |slot: usize| {
        trace.iter().any(|line| {
            line.contains(&format!("{}    tells Forged", crate::world::trace::host(slot)))
                && line.contains(&format!("uid: {by}"))
        })
    };
    (0..4).filter(|&slot| here(slot)).count()
}

fn lines(world: &World, slot: usize) -> Vec<(usize, String)> {
    let log = world.slots[slot].disk.store().log();
    let said = |line: &Line| {
        let author = world.slots.iter().position(|slot| slot.author == line.id.author);
        (author.unwrap_or(usize::MAX), line.text.as_str().to_owned())
    };
    log.iter().filter_map(|entry| entry.line()).map(said).collect()
}

fn other_words(line: &Line) -> Line {
    let words = Text::parse("a lie").ok();
    Line { text: words.unwrap_or_else(|| line.text.clone()), ..line.clone() }
}

#[test]
fn a_member_that_speaks_for_another_is_named_everywhere_and_is_out() {
    let mut world = room(2, |frame| {
        if let Frame::Submit(submit) = frame {
            let another = AuthorId::of_bits(7);
            let line = |line: &Line| Line { id: LineId { author: another, ..line.id }, ..other_words(line) };
            submit.lines.iter_mut().for_each(|said| *said = Arc::new(line(said)));
        }
    });
    world.say(2, "what the liar would have said");
    world.run_to(world.now + SECOND);
    well(&world);
    assert_eq!(told(&world, "c"), 3, "everybody but the liar is told");
    let stopped = world.slots[2].stopped.take();
    assert!(matches!(stopped, Some(Stop::Refused(Refusal::Forger))), "it is told so: {stopped:?}");
    world.forger = None;
    assert!(world.say(1, "good riddance"));
    settle(&mut world, SECOND);
    well(&world);
    for slot in [0, 1, 3] {
        let all = lines(&world, slot);
        assert!(all.contains(&(1, "good riddance".to_owned())), "{all:?}");
        assert!(all.iter().all(|(_, words)| words != "a lie" && !words.starts_with("what the liar")), "{all:?}");
    }
}

#[test]
fn a_leader_that_alters_a_line_is_found_out_by_everybody_and_deposed() {
    let mut world = room(0, |frame| {
        let Frame::Entries(entries) = frame else { return };
        for entry in &mut entries.batch.entries {
            if let Some(line) = entry.line().filter(|line| line.text.as_str() == "pay 10") {
                let body = Body::Line(Arc::new(other_words(line)));
                *entry = Arc::new(Entry { body, ..Entry::clone(entry) });
            }
        }
    });
    assert!(world.say(3, "pay 10"));
    world.run_to(world.now + 5 * SECOND);
    well(&world);
    assert_eq!(told(&world, "a"), 3, "everybody but the liar finds out");
    let leads =
        |slot: &usize| world.slots[*slot].process.as_ref().is_some_and(|p| p.node.status().role == Role::Leader);
    let honest: Vec<usize> = (1..4).filter(leads).collect();
    assert_eq!(honest.len(), 1, "the others have a leader of their own");
    world.crash(0);
    world.forger = None;
    settle(&mut world, SECOND);
    well(&world);
    for slot in 1..4 {
        let all = lines(&world, slot);
        assert_eq!(all.iter().filter(|said| **said == (3, "pay 10".to_owned())).count(), 1, "{all:?}");
        assert!(all.iter().all(|(_, words)| words != "a lie"), "{all:?}");
    }
}
