//! Newcomers whose leader is silent before they have all that it has ordered.

use dist_chat::ring::{Entry, Role, Start};

use crate::settle::{settle, told, well, whole_within};
use crate::world::actions::Rewind;
use crate::world::rng::Rng;
use crate::world::{MS, SECOND, World};

/// Lines that a room has when somebody comes: several windows full.
const LINES: usize = 300;

fn log(world: &World, slot: usize) -> Vec<Entry> {
    world.slots[slot].disk.store().log().iter().map(|entry| Entry::clone(entry)).collect()
}

fn leads(world: &World, slot: usize) -> bool {
    world.slots[slot].process.as_ref().is_some_and(|process| process.node.status().role == Role::Leader)
}

/// The first host's room and all that was said in it; nobody else is there.
fn old_room(seed: u64, hosts: usize, delay: u64) -> World {
    let mut world = World::new(seed, hosts, delay, 0);
    world.found(0);
    world.run_to(MS);
    let lines: Vec<String> = (0..LINES).map(|k| format!("{k} {}", "x".repeat(10_000))).collect();
    for some in lines.chunks(50) {
        assert!(world.say_all(0, some));
        world.run_to(world.now + MS);
    }
    assert!(log(&world, 0).len() > LINES, "all is ordered");
    world
}

/// The first host's room, in the moment in which all others have something of its log and none has all of it.
fn half_way(hosts: usize) -> World {
    let mut world = old_room(7, hosts, 10 * MS);
    (1..hosts).for_each(|slot| world.join(slot, &[0]));
    let whole = log(&world, 0).len();
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
    give_way(2);
}

#[test]
fn newcomers_that_all_lack_entries_give_way_to_who_has_them() {
    give_way(4);
}

/// Of so many nodes all but the first are newcomers, which lead while the first is silent, and give way when it is back.
fn give_way(nodes: usize) {
    let mut world = half_way(nodes);
    let before = log(&world, 0);
    world.pause(0);
    world.run_to(world.now + 8 * SECOND);
    assert!((1..nodes).any(|slot| leads(&world, slot)), "the room is always open");
    (1..nodes).for_each(|slot| assert!(world.say(slot, "meanwhile")));
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

/// Who had the whole log comes back from its files and finds a room that lacks some of it.
#[test]
fn who_comes_back_with_the_whole_log_is_asked_for_what_is_lacking() {
    for (nodes, contact) in [(2, false), (2, true), (4, false), (4, true)] {
        let mut world = half_way(nodes);
        let before = log(&world, 0);
        world.crash(0);
        let deadline = world.now + 2 * SECOND;
        while !(1..nodes).any(|slot| leads(&world, slot)) {
            assert!(world.now < deadline, "nobody leads");
            world.run_to(world.now + 10 * MS);
        }
        (1..nodes).for_each(|slot| assert!(world.say(slot, "I go on")));
        world.run_to(world.now + SECOND);
        assert!((1..nodes).all(|slot| log(&world, slot).len() < before.len()), "they lack some of it");
        match contact {
            true => world.join(0, &[1]),
            false => world.start(0, Rewind::Not, Start::Reopen),
        }
        settle(&mut world, 5 * SECOND);
        well(&world);
        for slot in 0..nodes {
            assert!(log(&world, slot).starts_with(&before), "what was ordered was ordered anew at {slot} of {nodes}");
        }
        assert!((1..nodes).any(|slot| leads(&world, slot)), "who leads goes on");
    }
}

/// A room of some, and others that begin to come; and the last of those who are in it.
fn some_come(seed: u64, rng: &mut Rng) -> (World, usize) {
    let hosts = 2 + rng.index(4);
    let old = rng.index(hosts - 1);
    let mut world = old_room(seed, hosts, rng.range(MS, 20 * MS));
    (1..=old).for_each(|slot| world.join(slot, &[0]));
    if old > 0 {
        world.run_to(world.now + SECOND);
    }
    (old + 1..hosts).for_each(|slot| world.join(slot, &[0]));
    (world, old)
}

/// Some come, the network or a host fails while they take the log over, perhaps twice; then all is well again.
#[test]
fn whatever_happens_while_they_come_the_room_is_whole_again() {
    for seed in 1..=60 {
        let mut rng = Rng::new(seed);
        let (mut world, _) = some_come(seed, &mut rng);
        let hosts = world.slots.len();
        for _ in 0..1 + rng.index(2) {
            world.run_to(world.now + rng.range(MS, 300 * MS));
            let apart: Vec<usize> = (0..hosts).filter(|_| rng.percent(40)).collect();
            match rng.index(3) {
                0 => apart.iter().for_each(|&slot| world.pause(slot)),
                1 => world.pause(0),
                _ => {
                    for a in 0..hosts {
                        for b in 0..a {
                            if apart.contains(&a) != apart.contains(&b) {
                                world.cut_link(a, b);
                            }
                        }
                    }
                }
            }
            world.run_to(world.now + rng.range(SECOND, 12 * SECOND));
            for slot in world.running() {
                world.say(slot, &format!("{slot} meanwhile"));
            }
            world.heal();
        }
        // Who could not come in has given up.
        let out: Vec<usize> = (0..hosts).filter(|&slot| !world.up(slot)).collect();
        out.into_iter().for_each(|slot| world.join(slot, &[0]));
        settle(&mut world, 3 * SECOND);
        assert!(world.failure.is_none(), "seed {seed}: {:?}", world.failure);
        well(&world);
    }
}

#[test]
fn a_newcomer_tells_once_that_somebody_answers() {
    let mut world = World::new(7, 3, MS, 0);
    world.trace = Some(Vec::new());
    world.found(0);
    world.join(1, &[0]);
    settle(&mut world, SECOND);
    // The leader is silent: who follows it answers, and the leader does not let anybody in.
    world.pause(0);
    world.join(2, &[1]);
    world.run_to(world.now + 500 * MS);
    assert_eq!((told(&world, 2, "tells ContactAnswered(b)"), told(&world, 2, "tells Entered")), (1, 0));
    // Another leads meanwhile, and the newcomer asks again.
    world.run_to(world.now + 8 * SECOND);
    assert_eq!((told(&world, 2, "tells ContactAnswered"), told(&world, 2, "tells Entered")), (1, 1));
    world.resume(0);
    settle(&mut world, 5 * SECOND);
    well(&world);
}

/// The old members die while newcomers take the log over, and come back, perhaps to die again; nothing is lost, and in the
/// end all is well.
#[test]
fn whoever_dies_while_they_come_may_come_back() {
    for seed in 1..=60 {
        let mut rng = Rng::new(seed);
        let (mut world, old) = some_come(seed, &mut rng);
        let hosts = world.slots.len();
        world.run_to(world.now + rng.range(MS, 300 * MS));
        (0..=old).for_each(|slot| world.crash(slot));
        for _ in 0..2 + rng.index(3) {
            world.run_to(world.now + rng.range(MS, 4 * SECOND));
            for slot in world.running() {
                world.say(slot, &format!("{slot} meanwhile"));
            }
            let slot = rng.index(hosts);
            match world.up(slot) {
                true if rng.percent(50) => world.crash(slot),
                true => {}
                false if rng.percent(50) || log(&world, slot).is_empty() => world.join(slot, &[(slot + 1) % hosts]),
                false => world.start(slot, Rewind::Not, Start::Reopen),
            }
        }
        for slot in 0..hosts {
            match world.up(slot) {
                true => {}
                // Who never came in has nothing to come back to.
                false if log(&world, slot).is_empty() => world.join(slot, &[0]),
                false => world.start(slot, Rewind::Not, Start::Reopen),
            }
        }
        settle(&mut world, 3 * SECOND);
        assert!(world.failure.is_none(), "seed {seed}: {:?}", world.failure);
        well(&world);
    }
}
