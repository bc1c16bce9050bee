//! A room changes its key: who is there gets it, whatever happens meanwhile; who is not has to be given it by people.

use dist_chat::ring::{AuthorId, CommandError, Digest, Event, Input, Text};

use crate::settle::{gathered, settle, well};
use crate::world::{SECOND, World};

const FIRST: Digest = Digest([1; 32]);
const SECOND_KEY: Digest = Digest([2; 32]);

fn room(seed: u64, hosts: usize, moderators: &[AuthorId]) -> World {
    let mut world = World::new(seed, hosts, 100, 50);
    world.moderators = moderators.to_vec();
    world.slots.iter_mut().for_each(|slot| slot.key = Some(FIRST));
    gathered(world)
}

/// A driver draws a key, tells the core its hash, and holds it once the core wants it.
fn rekey(world: &mut World, slot: usize, key: Digest) {
    let Ok(text) = Text::parse("/rekey") else { return };
    world.slots[slot].drawn = Some(key);
    world.input(slot, Input::Rekey(key, text));
}

fn holders(world: &World, key: Digest) -> usize {
    world.slots.iter().filter(|slot| slot.key == Some(key)).count()
}

#[test]
fn everybody_who_is_there_gets_the_key_whoever_changes_it() {
    for slot in 0..4 {
        let mut world = room(19, 4, &[]);
        rekey(&mut world, slot, SECOND_KEY);
        world.run_to(world.now + SECOND);
        well(&world);
        assert_eq!(holders(&world, SECOND_KEY), 4, "changed by {slot}");
        settle(&mut world, SECOND);
        well(&world);
    }
}

#[test]
fn the_last_of_two_changes_holds() {
    let mut world = room(19, 5, &[]);
    rekey(&mut world, 1, SECOND_KEY);
    rekey(&mut world, 3, Digest([3; 32]));
    world.run_to(world.now + 2 * SECOND);
    well(&world);
    let last = world.slots[0].key;
    assert!(last.is_some() && last != Some(FIRST));
    assert!(world.slots.iter().all(|slot| slot.key == last));
}

#[test]
fn a_leader_that_dies_meanwhile_takes_it_from_nobody() {
    for (seed, after) in (0..20).map(|k| (100 + k, 50 * k)) {
        let mut world = room(seed, 5, &[]);
        rekey(&mut world, 2, SECOND_KEY);
        world.run_to(world.now + after);
        world.crash(0);
        world.run_to(world.now + 5 * SECOND);
        well(&world);
        let living = (1..5).filter(|&slot| world.slots[slot].key == Some(SECOND_KEY)).count();
        assert_eq!(living, 4, "seed {seed}, the leader dies {after} microseconds after");
        settle(&mut world, SECOND);
        well(&world);
    }
}

#[test]
fn an_open_room_has_no_key_to_change_and_not_everybody_may() {
    let mut world = room(19, 3, &[AuthorId::of_bits(9)]);
    rekey(&mut world, 1, SECOND_KEY);
    world.slots.iter_mut().for_each(|slot| slot.drawn = None);
    world.run_to(world.now + SECOND);
    let said = |world: &World, event: &Event| {
        let words = format!("{event:?}");
        world.trace.as_deref().unwrap_or_default().iter().any(|line| line.contains(&words))
    };
    assert!(said(&world, &Event::CommandFailed(CommandError::NotModerator)));
    assert_eq!(holders(&world, FIRST), 3);

    let mut open = World::new(19, 2, 100, 0);
    open.trace = Some(Vec::new());
    open.found(0);
    open.run_to(SECOND);
    rekey(&mut open, 0, SECOND_KEY);
    assert!(said(&open, &Event::CommandFailed(CommandError::NoKey)));
}

#[test]
fn who_changes_the_key_and_leaves_or_dies_leaves_the_key_behind() {
    for dies in [false, true] {
        for slot in 0..4 {
            let mut world = room(19, 4, &[]);
            rekey(&mut world, slot, SECOND_KEY);
            world.leave(slot);
            if dies {
                // The line has left, and is not ordered yet.
                world.run_to(world.now + 120);
                world.crash(slot);
            }
            world.run_to(world.now + 5 * SECOND);
            well(&world);
            let changed =
                world.slots.iter().enumerate().filter(|(at, host)| *at != slot && host.key == Some(SECOND_KEY));
            let count = changed.count();
            assert!(count == 3 || dies && count == 0, "{slot} is gone, {count} have the key");
        }
    }
}
