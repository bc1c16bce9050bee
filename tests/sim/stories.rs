//! Stories that were found by attacking the design, each told once and for all.

use dist_chat::ring::{Role, Start, Status};

use crate::settle::{gathered, settle, well, whole_within};
use crate::world::actions::Rewind;
use crate::world::disk::{Disk, Op};
use crate::world::{MS, SECOND, SlowStore, World, slot_at};

/// A room of so many, whole, led by its first host, on links of 100 microseconds.
fn room(hosts: usize) -> World {
    gathered(World::new(7, hosts, 100, 0))
}

/// The room becomes whole, with every line in every log, and stays so.
#[track_caller]
fn assert_settles(world: &mut World) {
    settle(world, 5 * SECOND);
    well(world);
}

fn status(world: &World, slot: usize) -> Status {
    match &world.slots[slot].process {
        Some(process) => process.node.status(),
        None => panic!("nobody runs there"),
    }
}

fn leader(world: &World) -> usize {
    let leads = |slot: &usize| status(world, *slot).role == Role::Leader;
    world.running().into_iter().find(leads).unwrap_or_else(|| panic!("nobody leads"))
}

/// How often a line with these words stands in a host's log.
fn times(world: &World, slot: usize, words: &str) -> usize {
    let log = world.slots[slot].disk.store().log();
    log.iter().filter(|entry| entry.line().is_some_and(|line| line.text.as_str() == words)).count()
}

#[track_caller]
fn assert_everywhere(world: &World, words: &str) {
    for slot in world.running() {
        assert_eq!(times(world, slot, words), 1, "{words:?} at {slot}");
    }
}

fn split(world: &mut World, left: &[usize], right: &[usize]) {
    for &a in left {
        for &b in right {
            world.cut_link(a, b);
        }
    }
}

#[test]
fn cut_notes_leave_no_hole_and_do_not_come_back() {
    let mut world = room(5);
    split(&mut world, &[0, 1, 2], &[3, 4]);
    world.run_to(world.now + 4 * SECOND);
    assert!(world.say(3, "from the lighter side"));
    assert!(world.say(1, "from the heavier side"));
    world.run_to(world.now + SECOND);
    let lost = status(&world, 3).epoch;
    assert!(lost.is_some() && lost != status(&world, 0).epoch, "the lighter side has its own leader");
    world.heal();
    assert_settles(&mut world);
    assert_everywhere(&world, "from the lighter side");
    assert_everywhere(&world, "from the heavier side");
    for slot in 0..5 {
        let log = world.slots[slot].disk.store().log();
        assert!(log.iter().all(|entry| Some(entry.epoch) != lost), "a note of the epoch that was cut came back");
    }
}

#[test]
fn a_line_that_only_a_dead_leader_claimed_to_have_is_sent_again() {
    let mut world = room(3);
    // The leader orders the line, but what it says no longer reaches its author.
    world.block(0, 2);
    world.block(0, 1);
    assert!(world.say(2, "claimed"));
    world.run_to(world.now + 50 * MS);
    assert_eq!(times(&world, 0, "claimed"), 1);
    assert_eq!(times(&world, 2, "claimed"), 0);
    // The author rejoins, hears "I have yours up to 1", and the leader dies for good before it sends the entry.
    for conn in 0..world.net.conns.len() {
        world.reset(conn);
    }
    world.heal();
    assert!(world.run_until_told("a -> c {accept", 5 * SECOND), "c rejoins");
    world.run_to(world.now + 100);
    world.power_off(0);
    world.checks.gone(0);
    assert_settles(&mut world);
    assert_everywhere(&world, "claimed");
}

/// The power goes everywhere at once, and takes whatever was not synced, the moment a line is called sent.
#[test]
fn what_is_called_sent_outlives_the_power_of_all() {
    for author in [0, 2] {
        let mut world = room(3);
        // Stores that take their time: what is only written is not synced by chance.
        world.slow_store = SlowStore { percent: 100, delay_max: 20 * MS };
        assert!(world.say(author, "sent"));
        assert!(world.run_until_told("tells Confirmed { n: 1, alone: false }", 5 * SECOND), "it is called sent");
        well(&world);
        (0..3).for_each(|slot| world.power_off(slot));
        for slot in [1, 2, 0] {
            let synced = world.slots[slot].disk.synced();
            world.start(slot, Rewind::To(synced), Start::Reopen);
        }
        assert_settles(&mut world);
        assert_everywhere(&world, "sent");
    }
}

#[test]
fn a_leader_yields_to_one_that_half_of_its_members_cannot_reach() {
    let mut world = room(6);
    split(&mut world, &[0, 1, 2], &[3, 4, 5]);
    world.run_to(world.now + 4 * SECOND);
    let (one, two) = (leader(&world), status(&world, 4).epoch.and_then(|epoch| slot_at(epoch.leader.0)));
    let Some(two) = two else { panic!("the second half has no leader") };
    assert_ne!(one, two);
    // Only the two leaders, and one member of each half, can reach everybody again.
    for (a, b) in [(one, two), (0, 3), (0, 4), (0, 5), (3, 1), (3, 2)] {
        world.heal_link(a, b);
    }
    for slot in 0..6 {
        assert!(world.say(slot, &format!("half healed {slot}")));
    }
    world.run_to(world.now + 12 * SECOND);
    well(&world);
    for slot in 0..6 {
        assert_everywhere(&world, &format!("half healed {slot}"));
    }
    world.heal();
    assert_settles(&mut world);
}

#[test]
fn one_bad_link_between_leader_and_highest_uid_deposes_nobody() {
    let mut world = room(5);
    let epoch = status(&world, 0).epoch;
    world.cut_link(0, 4);
    world.run_to(world.now + 6 * SECOND);
    well(&world);
    for slot in 0..5 {
        assert_eq!(status(&world, slot).epoch, epoch, "{slot} follows another");
        assert!(world.say(slot, &format!("across {slot}")));
    }
    world.run_to(world.now + 2 * SECOND);
    for slot in 0..5 {
        assert_everywhere(&world, &format!("across {slot}"));
    }
    world.heal();
    assert_settles(&mut world);
    assert_eq!(status(&world, 0).epoch, epoch, "the leader was deposed");
}

#[test]
fn the_same_round_and_uid_are_won_twice_after_an_old_backup() {
    let mut world = room(2);
    world.crash(1);
    world.run_to(world.now + SECOND);
    world.crash(0);
    let backup = world.slots[0].disk.ops().len();
    world.start(0, Rewind::Not, Start::Reopen);
    assert!(world.run_until_told("tells Entered", 10 * SECOND));
    let first = status(&world, 0).epoch;
    world.start(1, Rewind::Not, Start::Reopen);
    whole_within(&mut world, 10 * SECOND);
    assert!(world.say(0, "first reign"));
    world.run_to(world.now + 100 * MS);
    let rounds = (first, status(&world, 0).epoch);
    world.crash(1);
    world.crash(0);
    world.start(0, Rewind::To(backup), Start::Reopen);
    assert!(world.run_until_told("tells Entered", 10 * SECOND));
    assert!(world.say(0, "second reign"));
    world.run_to(world.now + 100 * MS);
    let Some(second) = status(&world, 0).epoch else { panic!("it does not lead") };
    assert!(
        [rounds.0, rounds.1].iter().flatten().any(|epoch| epoch.round == second.round && epoch.leader == second.leader),
        "the same round is won again: {rounds:?}, {second:?}"
    );
    world.start(1, Rewind::Not, Start::Reopen);
    assert_settles(&mut world);
    assert_everywhere(&world, "first reign");
    assert_everywhere(&world, "second reign");
}

#[test]
fn an_author_restored_from_an_old_backup_talks_alone_then_merges() {
    let mut world = room(3);
    assert!(world.say(2, "before the backup"));
    world.run_to(world.now + 100 * MS);
    let backup = world.slots[2].disk.ops().len();
    for k in 0..5 {
        assert!(world.say(2, &format!("after the backup {k}")));
    }
    world.run_to(world.now + 100 * MS);
    world.crash(2);
    split(&mut world, &[2], &[0, 1]);
    world.start(2, Rewind::To(backup), Start::Reopen);
    assert!(world.run_until_told("c    tells Entered", 10 * SECOND));
    for k in 0..5 {
        assert!(world.say(2, &format!("alone {k}")));
    }
    world.run_to(world.now + SECOND);
    world.heal();
    assert_settles(&mut world);
    for k in 0..5 {
        assert_everywhere(&world, &format!("after the backup {k}"));
        assert_everywhere(&world, &format!("alone {k}"));
    }
}

#[test]
fn the_best_tails_epoch_is_above_the_winners_round() {
    let mut world = room(4);
    // Alone, the second highest wins round after round.
    split(&mut world, &[2], &[0, 1, 3]);
    for _ in 0..4 {
        world.crash(2);
        world.start(2, Rewind::Not, Start::Reopen);
        assert!(world.run_until_told("c    tells Entered", 10 * SECOND));
    }
    assert!(world.say(2, "in a high round"));
    world.run_to(world.now + 100 * MS);
    let high = status(&world, 2).epoch.map(|epoch| epoch.round);
    world.run_to(world.now + 2 * SECOND);
    let low = status(&world, 0).epoch.map(|epoch| epoch.round);
    assert!(high > low, "{high:?} {low:?}");
    // It loses its epoch (a restart), and everybody elects at once.
    world.crash(2);
    world.crash(0);
    world.heal();
    world.start(2, Rewind::Not, Start::Reopen);
    world.start(0, Rewind::Not, Start::Reopen);
    assert_settles(&mut world);
    assert_everywhere(&world, "in a high round");
}

#[test]
fn a_laptop_that_keeps_losing_its_link_deposes_nobody() {
    let mut world = room(4);
    for k in 0..6 {
        split(&mut world, &[3], &[0, 1, 2]);
        world.run_to(world.now + 4 * SECOND);
        assert!(world.say(3, &format!("offline {k}")));
        assert!(world.say(1, &format!("online {k}")));
        world.heal();
        whole_within(&mut world, 10 * SECOND);
        well(&world);
        for slot in 0..4 {
            assert_eq!(
                status(&world, slot).epoch.and_then(|epoch| slot_at(epoch.leader.0)),
                Some(0),
                "the room's leader stays"
            );
        }
    }
    assert_settles(&mut world);
    for k in 0..6 {
        assert_everywhere(&world, &format!("offline {k}"));
        assert_everywhere(&world, &format!("online {k}"));
    }
}

/// Log and outbox are one journal: every prefix of it is a moment that really was. A log that is torn further back than
/// its outbox cannot be written down: a line leaves the outbox by the very record that puts it into the log, and a cut
/// puts lines into the queue by the operation that takes them out of the log.
#[test]
fn a_log_cannot_be_torn_further_back_than_its_outbox() {
    let mut world = room(3);
    for k in 0..20 {
        world.say(k % 3, &format!("line {k}"));
    }
    split(&mut world, &[2], &[0, 1]);
    world.run_to(world.now + 4 * SECOND);
    for k in 20..40 {
        world.say(k % 3, &format!("line {k}"));
    }
    world.run_to(world.now + SECOND);
    world.heal();
    assert_settles(&mut world);
    for slot in 0..3 {
        let whole = &world.slots[slot].disk;
        assert!(whole.ops().iter().any(|op| matches!(op, Op::Save(_))));
        for keep in 0..=whole.ops().len() {
            let mut torn: Disk = whole.clone();
            torn.rewind(keep);
            let store = torn.store();
            let mut held: Vec<_> = store.log().iter().filter_map(|entry| Some(entry.line()?.id)).collect();
            held.extend(store.pending().chain(store.outbox()).map(|line| line.id));
            let count = held.len();
            held.sort();
            held.dedup();
            assert_eq!(count, held.len(), "a line stands in the log and waits too");
            for id in &held {
                let before = dist_chat::ring::LineId { n: id.n - 1, ..*id };
                assert!(id.n == 1 || held.binary_search(&before).is_ok(), "{id:?} is here and the one before is not");
            }
        }
    }
}

#[test]
fn a_node_back_from_the_dead_has_a_stale_election_ring() {
    let mut world = room(6);
    world.crash(0);
    assert!(world.run_until_told("{token", 5 * SECOND));
    // It stops in the middle of the election; meanwhile others go and come.
    world.pause(3);
    world.run_to(world.now + 4 * SECOND);
    world.crash(4);
    world.start(0, Rewind::Not, Start::Reopen);
    world.run_to(world.now + 4 * SECOND);
    assert!(world.say(1, "while it slept"));
    world.run_to(world.now + 100 * MS);
    world.resume(3);
    assert_settles(&mut world);
    assert_everywhere(&world, "while it slept");
}

#[test]
fn two_candidates_tokens_cross_and_the_smaller_has_the_better_tail() {
    let mut world = World::new(11, 4, 100, 0);
    world.trace = Some(Vec::new());
    world.timing.poll_stagger = dist_chat::ring::Span(0);
    world.found(0);
    world.run_to(MS);
    (1..4).for_each(|slot| world.join(slot, &[0]));
    whole_within(&mut world, 10 * SECOND);
    // The last words of the leader reach the smallest of the rest alone.
    world.block(0, 2);
    world.block(0, 3);
    assert!(world.say(0, "last words"));
    world.run_to(world.now + 10 * MS);
    assert_eq!((times(&world, 1, "last words"), times(&world, 3, "last words")), (1, 0));
    world.crash(0);
    world.heal();
    assert_settles(&mut world);
    assert_everywhere(&world, "last words");
    assert_eq!(leader(&world), 3, "the largest wins");
    let rebased = world.trace.iter().flatten().filter(|line| line.contains("tells Rebased")).count();
    assert_eq!(rebased, 0, "who held the better tail had to cut it");
}

#[test]
fn a_leader_leaves_while_somebody_joins() {
    for after in (0..3_000).step_by(100) {
        let mut world = room(3);
        assert!(world.say(1, "before"));
        world.crash(2);
        world.run_to(world.now + 100 * MS);
        world.start(2, Rewind::Erase, Start::Join(vec![crate::world::address(0), crate::world::address(1)]));
        world.run_to(world.now + after);
        assert!(world.say(0, "good-bye"));
        world.leave(0);
        world.run_to(world.now + 6 * SECOND);
        assert!(!world.up(0), "the leader is gone");
        assert_settles(&mut world);
        assert_everywhere(&world, "before");
        assert_everywhere(&world, "good-bye");
    }
}

#[test]
fn two_leaders_whose_mutual_link_alone_is_bad() {
    let mut world = room(6);
    split(&mut world, &[0, 1, 2], &[3, 4, 5]);
    world.run_to(world.now + 4 * SECOND);
    let Some(two) = status(&world, 4).epoch.and_then(|epoch| slot_at(epoch.leader.0)) else {
        panic!("no second leader")
    };
    for slot in 0..6 {
        assert!(world.say(slot, &format!("apart {slot}")));
    }
    world.heal();
    world.cut_link(0, two);
    world.run_to(world.now + 15 * SECOND);
    well(&world);
    let leaders: Vec<usize> = (0..6).filter(|&slot| status(&world, slot).role == Role::Leader).collect();
    assert_eq!(leaders.len(), 1, "{leaders:?}");
    for slot in 0..6 {
        assert_everywhere(&world, &format!("apart {slot}"));
    }
    world.heal();
    assert_settles(&mut world);
}

#[test]
fn two_hundred_lose_their_leader_at_once() {
    let mut world = room(200);
    world.trace = None;
    let before = world.tally;
    world.crash(0);
    let took = whole_within(&mut world, 10 * SECOND);
    well(&world);
    let asks = world.tally.asks - before.asks;
    println!("200 members lose their leader: {asks} asks, whole after {} ms", took / MS);
    assert!(asks <= 4 * 200, "{asks} asks are a storm");
}

#[test]
fn another_rooms_node_is_refused() {
    let mut world = World::new(3, 4, 100, 0);
    world.trace = Some(Vec::new());
    world.found(0);
    world.found(2);
    world.run_to(MS);
    world.join(1, &[0]);
    world.join(3, &[2]);
    world.run_to(world.now + 2 * SECOND);
    well(&world);
    // The second of each room comes back with the other room's member as its contact.
    world.crash(3);
    world.start(3, Rewind::Not, Start::Join(vec![crate::world::address(1)]));
    world.run_to(world.now + 8 * SECOND);
    well(&world);
    let rooms: Vec<_> = [0, 1, 2].iter().map(|&slot| status(&world, slot).room).collect();
    assert_eq!(rooms[0], rooms[1]);
    assert_ne!(rooms[0], rooms[2]);
    assert_eq!(status(&world, 0).members.len(), 2, "nobody of another room came in");
    if world.up(3) {
        assert_eq!(status(&world, 3).room, rooms[2], "it stays in its own room");
    }
}
