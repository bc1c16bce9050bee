//! Lines that do something for people: likes count once wherever they were said, and a name belongs to one.

use std::collections::BTreeSet;

use dist_chat::ring::{Act, Channel, Draft, Emoji, LineId, Name, Reactions, Role, Start, Status, Text};

use crate::settle::{gathered, settle, well};
use crate::world::actions::Rewind;
use crate::world::{MS, SECOND, World, name};

fn room(hosts: usize) -> World {
    gathered(World::new(29, hosts, 100, 0))
}

#[track_caller]
fn says(world: &mut World, slot: usize, text: &str, act: Act) {
    let Ok(text) = Text::parse(text) else { panic!("{text} is a line") };
    assert!(world.submit(slot, vec![Draft { text, channel: None, act: Some(act) }]), "{slot} takes no line");
}

fn nick(world: &mut World, slot: usize, wanted: &str) {
    says(world, slot, &format!("/nick {wanted}"), Act::Nick(name(wanted)));
}

fn react(to: LineId, on: bool) -> Act {
    Act::React { to, with: Emoji::like(), on }
}

fn status(world: &World, slot: usize) -> Status {
    match &world.slots[slot].process {
        Some(process) => process.node.status(),
        None => panic!("nobody runs there"),
    }
}

fn called(world: &World, slot: usize) -> Name {
    status(world, slot).name
}

fn split(world: &mut World) {
    for (left, right) in [(0, 3), (0, 4), (1, 3), (1, 4), (2, 3), (2, 4)] {
        world.cut_link(left, right);
    }
    world.run_to(world.now + 4 * SECOND);
}

/// The line with these words.
fn line(world: &World, slot: usize, words: &str) -> LineId {
    let mut lines = world.slots[slot].disk.store().log().iter().filter_map(|entry| entry.line());
    match lines.find(|line| line.text.as_str() == words) {
        Some(line) => line.id,
        None => panic!("nobody says {words}"),
    }
}

/// How many likes a line has at each host.
fn likes(world: &World, line: LineId) -> BTreeSet<u64> {
    let count = |slot: &usize| {
        let mut all = Reactions::default();
        world.slots[*slot].disk.store().log().iter().filter_map(|entry| entry.line()).for_each(|line| all.apply(line));
        all.of(line).first().map_or(0, |(_, count)| *count)
    };
    world.running().iter().map(count).collect()
}

/// How often something was told in which all of this stands.
fn told(world: &World, words: &[&str]) -> usize {
    let trace = world.trace.as_deref().unwrap_or_default();
    trace.iter().filter(|line| words.iter().all(|words| line.contains(words))).count()
}

#[test]
fn likes_from_both_sides_of_a_partition_count_once_for_each_author() {
    let mut world = room(5);
    assert!(world.say(0, "we made it"));
    world.run_to(world.now + SECOND);
    let liked = line(&world, 0, "we made it");
    says(&mut world, 4, "/like", react(liked, true));
    world.run_to(world.now + SECOND);
    split(&mut world);
    says(&mut world, 1, "/like", react(liked, true));
    says(&mut world, 3, "/like", react(liked, true));
    // It has said so before the split, and does again.
    says(&mut world, 4, "/like", react(liked, true));
    says(&mut world, 2, "/like", react(liked, true));
    says(&mut world, 2, "/unlike", react(liked, false));
    world.run_to(world.now + SECOND);
    assert_eq!(likes(&world, liked), BTreeSet::from([2]), "each side has counted its own");
    world.heal();
    settle(&mut world, SECOND);
    well(&world);
    assert_eq!(likes(&world, liked), BTreeSet::from([3]), "b, d and e");
}

#[test]
fn ten_thousand_likes_on_one_line_come_to_the_same_total_everywhere() {
    let mut world = room(5);
    world.trace = None;
    assert!(world.say(0, "the line"));
    world.run_to(world.now + SECOND);
    let liked = line(&world, 0, "the line");
    let mut said = 0_u32;
    while said < 10_000 {
        for slot in 0..5 {
            let like = |k: u32| {
                // The last word of the first three hosts is yes.
                let on = if said + 200 >= 10_000 { slot < 3 } else { (said + k).is_multiple_of(3) };
                Text::parse("/like").ok().map(|text| Draft { text, channel: None, act: Some(react(liked, on)) })
            };
            let all: Vec<Draft> = (0..40).filter_map(like).collect();
            assert!(world.submit(slot, all));
        }
        said += 200;
        world.run_to(world.now + 20 * MS);
    }
    settle(&mut world, SECOND);
    well(&world);
    let log = world.slots[4].disk.store().log();
    assert_eq!(log.iter().filter(|entry| entry.line().is_some_and(|line| line.act.is_some())).count(), 10_000);
    assert_eq!(likes(&world, liked), BTreeSet::from([3]));
}

#[test]
fn a_member_that_takes_another_name_has_it_everywhere() {
    let mut world = room(4);
    nick(&mut world, 2, "Carl");
    world.run_to(world.now + SECOND);
    well(&world);
    assert_eq!(called(&world, 2), name("Carl"));
    assert_eq!(told(&world, &["tells Renamed", "name: Name(Carl)"]), 4);
    assert_eq!(told(&world, &["tells Entered", "name: Name(Carl)"]), 1);
    // What it says next bears the name, and nobody else can have it.
    assert!(world.say(2, "it is me"));
    nick(&mut world, 0, "CARL");
    world.run_to(world.now + SECOND);
    assert_eq!(told(&world, &["tells NameTaken", "Name(CARL)"]), 1);
    assert_eq!(called(&world, 0), name("a"));
    let log = world.slots[1].disk.store().log();
    let said = log.iter().filter_map(|entry| entry.line()).find(|line| line.text.as_str() == "it is me");
    assert_eq!(said.map(|line| &line.name), Some(&name("Carl")));
    // It keeps the name when its links break and when its leader dies, and leads under it.
    (0..world.net.conns.len()).for_each(|conn| world.reset(conn));
    world.run_to(world.now + 2 * SECOND);
    [0, 1, 3].into_iter().for_each(|slot| world.crash(slot));
    world.run_to(world.now + 8 * SECOND);
    well(&world);
    assert_eq!((called(&world, 2), status(&world, 2).role), (name("Carl"), Role::Leader));
    [0, 1, 3].into_iter().for_each(|slot| world.start(slot, Rewind::Not, Start::Reopen));
    settle(&mut world, SECOND);
    well(&world);
    assert_eq!(called(&world, 2), name("Carl"));
    // It may have its old name again.
    nick(&mut world, 2, "c");
    settle(&mut world, SECOND);
    well(&world);
    assert_eq!(called(&world, 2), name("c"));
}

#[test]
fn a_name_that_is_asked_for_when_the_links_break_is_had_all_the_same() {
    for later in [0, 150, 300, 450] {
        let mut world = room(4);
        nick(&mut world, 2, "Carl");
        world.run_to(world.now + later);
        (0..world.net.conns.len()).for_each(|conn| world.reset(conn));
        settle(&mut world, SECOND);
        well(&world);
        assert_eq!(called(&world, 2), name("Carl"), "the links break after {later} us");
        assert_eq!(told(&world, &["c    tells Renamed", "name: Name(Carl)"]), 1, "the links break after {later} us");
    }
}

#[test]
fn a_name_that_waits_for_a_lost_member_is_not_free() {
    let mut world = room(4);
    world.crash(3);
    world.run_to(world.now + 3 * SECOND);
    nick(&mut world, 2, "d");
    world.run_to(world.now + SECOND);
    assert_eq!(called(&world, 2), name("c"));
    world.start(3, Rewind::Not, Start::Reopen);
    settle(&mut world, SECOND);
    well(&world);
    assert_eq!(called(&world, 3), name("d"));
}

#[test]
fn a_name_that_both_sides_of_a_partition_have_taken_is_one_members() {
    let mut world = room(5);
    split(&mut world);
    nick(&mut world, 1, "boss");
    nick(&mut world, 4, "Boss");
    world.run_to(world.now + SECOND);
    assert_eq!((called(&world, 1), called(&world, 4)), (name("boss"), name("Boss")));
    world.heal();
    settle(&mut world, SECOND);
    well(&world);
    let members = status(&world, 0).members;
    let names: BTreeSet<String> = members.iter().map(|member| member.name.folded()).collect();
    assert_eq!(names.len(), 5, "{members:?}");
    assert!((0..5).all(|slot| status(&world, slot).members == members), "all agree");
    assert_eq!(called(&world, 1), name("boss"), "the heavier side's stands");
    assert!(told(&world, &["tells NameTaken", "Name(Boss)"]) > 0, "and the other is told");
}

#[test]
fn channels_have_topics_and_members_are_away() {
    let mut world = room(3);
    let ops = Channel::parse("ops").unwrap_or_default();
    let say = |text: &str, act| Text::parse(text).map(|text| Draft { text, channel: ops.clone(), act });
    let lines =
        [say("hello", None), say("/topic Deploy at six", Some(Act::Topic)), say("/away lunch", Some(Act::Away))];
    assert!(world.submit(1, lines.into_iter().flatten().collect()));
    world.run_to(world.now + SECOND);
    for slot in 0..3 {
        let status = status(&world, slot);
        let topic = Text::parse("Deploy at six").ok();
        assert_eq!(status.channels, [(None, 0, None), (ops.clone(), 2, topic)]);
        assert_eq!(status.away.len(), 1);
    }
    world.leave(1);
    world.run_to(world.now + SECOND);
    assert!(status(&world, 0).away.is_empty(), "who is gone is not away");
    well(&world);
}
