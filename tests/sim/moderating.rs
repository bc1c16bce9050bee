//! A room defends itself: who is put out goes, who is banned stays out, and all agree since it stands in the log.

use dist_chat::ring::{
    AuthorId, CommandError, Event, Input, ModerationCommand, ModerationVerb, Rate, Refusal, Role, Start, Stop, Text,
};

use crate::settle::{gathered, settle, well};
use crate::world::actions::Rewind;
use crate::world::{MS, SECOND, World, name};

fn room(hosts: usize, moderators: &[AuthorId]) -> World {
    let mut world = World::new(13, hosts, 100, 0);
    world.moderators = moderators.to_vec();
    gathered(world)
}

fn order(world: &mut World, slot: usize, verb: ModerationVerb, whom: &str) {
    let Ok(text) = Text::parse(&format!("{verb:?} {whom}, since it floods")) else { return };
    world.input(slot, Input::Moderate(ModerationCommand { verb, whom: whom.to_owned(), text }));
}

fn refusal(world: &World, slot: usize) -> Option<&Refusal> {
    match &world.slots[slot].stopped {
        Some(Stop::Refused(refusal)) => Some(refusal),
        _ => None,
    }
}

fn told(world: &World, event: &Event) -> bool {
    let words = format!("{event:?}").replace('"', "");
    world.trace.as_deref().unwrap_or_default().iter().any(|line| line.contains(&words))
}

fn members(world: &World, slot: usize) -> usize {
    world.slots[slot].process.as_ref().map_or(0, |process| process.node.status().members.len())
}

#[test]
fn who_is_kicked_goes_and_may_come_again() {
    let mut world = room(4, &[]);
    order(&mut world, 1, ModerationVerb::Kick, "C");
    world.run_to(world.now + SECOND);
    well(&world);
    assert!(matches!(refusal(&world, 2), Some(Refusal::Kicked(verdict)) if verdict.by == name("b")));
    assert!([0, 1, 3].iter().all(|&slot| members(&world, slot) == 3));
    world.start(2, Rewind::Not, Start::Reopen);
    settle(&mut world, SECOND);
    well(&world);
    assert!((0..4).all(|slot| members(&world, slot) == 4), "the line that has put it out is past");
}

#[test]
fn a_leader_that_is_kicked_hands_the_room_over() {
    let mut world = room(4, &[]);
    order(&mut world, 3, ModerationVerb::Kick, "a");
    assert!(world.say(3, "and on we go"));
    world.run_to(world.now + SECOND);
    well(&world);
    assert!(matches!(refusal(&world, 0), Some(Refusal::Kicked(_))), "{:?}", world.slots[0].stopped);
    world.slots[0].stopped = None;
    settle(&mut world, SECOND);
    well(&world);
    assert!((1..4).all(|slot| members(&world, slot) == 3));
}

#[test]
fn who_is_banned_stays_out_until_it_is_let_in_again() {
    let mut world = room(4, &[]);
    order(&mut world, 0, ModerationVerb::Ban, "c");
    world.run_to(world.now + SECOND);
    for contact in [0, 1, 3] {
        assert!(matches!(refusal(&world, 2), Some(Refusal::Banned(_))), "{:?}", world.slots[2].stopped);
        world.slots[2].stopped = None;
        world.join(2, &[contact]);
        world.run_to(world.now + SECOND);
        well(&world);
    }
    world.start(2, Rewind::Not, Start::Reopen);
    world.run_to(world.now + 3 * SECOND);
    assert!(matches!(refusal(&world, 2), Some(Refusal::Banned(_))), "{:?}", world.slots[2].stopped);
    order(&mut world, 3, ModerationVerb::Unban, "C");
    world.run_to(world.now + SECOND);
    // Nobody remembers one that has said nothing: all its digits are needed.
    let all = world.slots[2].author.to_string();
    order(&mut world, 0, ModerationVerb::Ban, &all);
    world.run_to(world.now + SECOND);
    world.start(2, Rewind::Not, Start::Reopen);
    world.run_to(world.now + 3 * SECOND);
    assert!(matches!(refusal(&world, 2), Some(Refusal::Banned(_))), "{:?}", world.slots[2].stopped);
    order(&mut world, 3, ModerationVerb::Unban, &all[..8]);
    world.run_to(world.now + SECOND);
    world.start(2, Rewind::Not, Start::Reopen);
    settle(&mut world, SECOND);
    well(&world);
    assert!((0..4).all(|slot| members(&world, slot) == 4));
}

#[test]
fn a_ban_that_one_side_of_a_partition_has_said_holds_for_both() {
    let mut world = room(5, &[]);
    for (left, right) in [(0, 3), (0, 4), (1, 3), (1, 4), (2, 3), (2, 4)] {
        world.cut_link(left, right);
    }
    world.run_to(world.now + 4 * SECOND);
    order(&mut world, 3, ModerationVerb::Ban, "b");
    assert!(world.say(1, "it has not heard yet"));
    world.run_to(world.now + SECOND);
    world.heal();
    world.run_to(world.now + 10 * SECOND);
    well(&world);
    assert!(matches!(refusal(&world, 1), Some(Refusal::Banned(_))), "{:?}", world.slots[1].stopped);
    world.slots[1].stopped = None;
    settle(&mut world, SECOND);
    well(&world);
}

#[test]
fn only_moderators_moderate_where_the_founder_says_so() {
    // The third host's author, drawn by the world's seed.
    let third = World::new(13, 4, 100, 0).slots[2].author;
    let mut world = room(4, &[third]);
    order(&mut world, 1, ModerationVerb::Kick, "d");
    world.run_to(world.now + SECOND);
    assert!(told(&world, &Event::CommandFailed(CommandError::NotModerator)));
    assert_eq!(members(&world, 0), 4, "nothing has happened");
    order(&mut world, 2, ModerationVerb::Kick, "nobody");
    assert!(told(&world, &Event::CommandFailed(CommandError::UnknownMember("nobody".to_owned()))));
    order(&mut world, 2, ModerationVerb::Kick, "d");
    world.run_to(world.now + SECOND);
    assert!(matches!(refusal(&world, 3), Some(Refusal::Kicked(_))));
    order(&mut world, 0, ModerationVerb::Kick, "b");
    world.run_to(world.now + SECOND);
    assert!(matches!(refusal(&world, 1), Some(Refusal::Kicked(_))), "who has founded it moderates too");
    [1, 3].into_iter().for_each(|slot| world.slots[slot].stopped = None);
    settle(&mut world, SECOND);
    well(&world);
}

#[test]
fn a_name_waits_for_whom_a_crash_has_taken() {
    let mut world = room(4, &[]);
    world.crash(3);
    world.run_to(world.now + 3 * SECOND);
    world.crash(2);
    world.run_to(world.now + 3 * SECOND);
    // Somebody else asks for the name of one that was lost.
    world.slots[2].name = name("d");
    world.start(2, Rewind::Not, Start::Reopen);
    world.run_to(world.now + 3 * SECOND);
    let called =
        |world: &World, slot: usize| world.slots[slot].process.as_ref().map(|process| process.node.status().name);
    assert_eq!(called(&world, 2), Some(name("d-2")));
    world.start(3, Rewind::Not, Start::Reopen);
    settle(&mut world, SECOND);
    well(&world);
    assert_eq!(called(&world, 3), Some(name("d")));
    let leads =
        |slot: &usize| world.slots[*slot].process.as_ref().is_some_and(|p| p.node.status().role == Role::Leader);
    assert_eq!((0..4).filter(leads).count(), 1);
}

#[test]
fn who_says_too_much_is_told_to_wait_and_loses_nothing() {
    let mut world = World::new(17, 3, 100, 0);
    world.rate = Rate { lines: 100, lines_burst: 200, bytes: 1 << 30, bytes_burst: 1 << 30 };
    let mut world = gathered(world);
    let flood = |slot: usize| (0..600).map(move |k| format!("{slot} says {k}"));
    let mut left = [flood(0), flood(1)];
    let begin = world.now;
    let mut quiet = 0;
    while left
        .iter_mut()
        .zip(0..)
        .map(|(lines, slot)| {
            // As a driver does: no more than there is room for.
            let room = world.slots[slot].process.as_ref().map_or(0, |process| process.node.outbox_room());
            let some: Vec<Text> =
                lines.by_ref().take(room.min(50)).filter_map(|line| Text::parse(&line).ok()).collect();
            let said = some.len();
            if said > 0 {
                world.input(slot, Input::Submit(some.into_iter().map(Into::into).collect()));
            }
            said
        })
        .sum::<usize>()
        > 0
        || quiet < 700
    {
        quiet += 1;
        if quiet % 50 == 0 {
            assert!(world.say(2, &format!("a calm word {quiet}")));
        }
        world.run_to(world.now + 10 * MS);
        well(&world);
    }
    assert!(told(&world, &Event::Throttled));
    settle(&mut world, SECOND);
    well(&world);
    assert!(world.now - begin >= 3 * SECOND, "400 lines more than the burst, at 100 a second");
    for slot in 0..3 {
        let log = world.slots[slot].disk.store().log();
        let count = |who: &str| {
            log.iter().filter_map(|entry| entry.line()).filter(|line| line.text.as_str().starts_with(who)).count()
        };
        assert_eq!((count("0 says"), count("1 says")), (600, 600));
        // Who says little waits for nobody.
        let calm = log.iter().filter(|entry| entry.line().is_some_and(|line| line.text.as_str().starts_with("a calm")));
        assert!(
            calm.clone().all(|entry| entry.line().is_some_and(|line| line.lamport < entry.lamport)) && calm.count() > 5
        );
    }
}

#[test]
fn the_lowest_rate_is_a_rate_and_not_the_end() {
    let mut world = World::new(17, 3, 100, 0);
    world.rate = Rate::of(1);
    world.rate.lines_burst = 10;
    let mut world = gathered(world);
    // More than the burst in one frame: the wait is longer than a leader can ask for at once.
    let lines: Vec<String> = (0..60).map(|k| format!("1 says {k}")).collect();
    assert!(world.say_all(1, &lines));
    world.run_to(world.now + SECOND);
    assert!(world.say_all(1, &lines[..20]));
    world.run_to(world.now + 40 * SECOND);
    assert_eq!(world.slots[0].disk.store().log_state().lines, 60, "what came first is not paid for yet");
    world.run_to(world.now + 30 * SECOND);
    well(&world);
    assert_eq!(world.slots[0].disk.store().log_state().lines, 80);
}
