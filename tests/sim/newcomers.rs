//! Newcomers whose leader is silent before they have all that it has ordered.

use dist_chat::ring::{Entry, Role, Start};

use crate::settle::{settle, well, whole_within};
use crate::world::actions::Rewind;
use crate::world::{MS, SECOND, World};

/// Lines that a room has when somebody comes: several windows full.
const LINES: usize = 3_000;

fn log(world: &World, slot: usize) -> Vec<Entry> {
    world.slots[slot].disk.store().log().iter().map(|entry| Entry::clone(entry)).collect()
}

fn leads(world: &World, slot: usize) -> bool {
    world.slots[slot].process.as_ref().is_some_and(|process| process.node.status().role == Role::Leader)
}

/// The first host's room, in the moment in which all others have something of its log and none has all of it.
fn half_way(hosts: usize) -> World {
    let mut world = World::new(7, hosts, 10_000, 0);
    world.found(0);
    world.run_to(MS);
    let lines: Vec<String> = (0..LINES).map(|k| format!("{k} {}", "x".repeat(1_000))).collect();
    for some in lines.chunks(100) {
        assert!(world.say_all(0, some));
        world.run_to(world.now + MS);
    }
    (1..hosts).for_each(|slot| world.join(slot, &[0]));
    let whole = log(&world, 0).len();
    assert!(whole > LINES, "all is ordered");
    let deadline = world.now + SECOND;
    while (1..hosts).any(|slot| log(&world, slot).is_empty()) {
        assert!(world.now < deadline, "the log comes");
        world.run_to(world.now + MS);
    }
    assert!((1..hosts).all(|slot| log(&world, slot).len() < whole), "somebody has all of it already");
    world
}

/// What the first host had ordered keeps its place and its time, and the first host leads.
#[track_caller]
fn assert_kept(world: &World, before: &[Entry]) {
    assert!(leads(world, 0), "who has the whole log leads");
    assert!(log(world, 0).starts_with(before), "what was ordered was ordered anew");
}

#[test]
fn a_newcomer_that_lacks_entries_gives_way_to_who_has_them() {
    let mut world = half_way(2);
    let before = log(&world, 0);
    world.pause(0);
    world.run_to(world.now + 8 * SECOND);
    assert!(leads(&world, 1), "the room is always open");
    assert!(world.say(1, "meanwhile"));
    world.resume(0);
    whole_within(&mut world, 10 * SECOND);
    well(&world);
    assert_kept(&world, &before);
    settle(&mut world, 5 * SECOND);
    well(&world);
}

#[test]
fn newcomers_that_all_lack_entries_give_way_to_who_has_them() {
    let mut world = half_way(4);
    let before = log(&world, 0);
    world.pause(0);
    world.run_to(world.now + 8 * SECOND);
    assert!((1..4).any(|slot| leads(&world, slot)), "the room is always open");
    (1..4).for_each(|slot| assert!(world.say(slot, "meanwhile")));
    world.resume(0);
    whole_within(&mut world, 10 * SECOND);
    well(&world);
    assert_kept(&world, &before);
    settle(&mut world, 5 * SECOND);
    well(&world);
}

/// In the end the many are the room.
#[test]
fn newcomers_that_have_gone_on_for_long_give_way_no_more() {
    let mut world = half_way(4);
    world.pause(0);
    world.run_to(world.now + 70 * SECOND);
    (1..4).for_each(|slot| assert!(world.say(slot, "meanwhile")));
    world.run_to(world.now + SECOND);
    let many = (1..4).find(|&slot| leads(&world, slot));
    world.resume(0);
    whole_within(&mut world, 10 * SECOND);
    well(&world);
    assert_eq!((0..4).find(|&slot| leads(&world, slot)), many);
    settle(&mut world, 5 * SECOND);
    well(&world);
}

#[test]
fn a_newcomer_whose_leader_is_dead_goes_on_with_what_it_has() {
    let mut world = half_way(2);
    world.crash(0);
    let deadline = world.now + 2 * SECOND;
    while !leads(&world, 1) {
        assert!(world.now < deadline, "nobody leads");
        world.run_to(world.now + 10 * MS);
    }
    assert!(world.say(1, "I go on"));
    world.run_to(world.now + SECOND);
    // Who had the whole log comes back and finds a room: nothing is lost.
    world.start(0, Rewind::Not, Start::Reopen);
    settle(&mut world, 5 * SECOND);
    well(&world);
    let lines = log(&world, 1).iter().filter(|entry| entry.line().is_some()).count();
    assert!(lines > LINES, "{lines} lines are there");
}
