//! What is said to one reader: it arrives once, at that one alone, and its author is told. And how all are doing.

use dist_chat::ring::{AuthorId, Ciphertext, Event, Frame, Input, PmError, PmId, PmOutcome, Role, Span, Start, Uid};

use crate::settle::{gathered, settle, told, well};
use crate::world::actions::Rewind;
use crate::world::{MS, SECOND, World, name};

fn room(hosts: usize) -> World {
    gathered(World::new(17, hosts, 100, 0))
}

#[track_caller]
fn pm(world: &mut World, slot: usize, whom: &str, words: &str) -> PmId {
    match world.pm(slot, whom, words) {
        Some(id) => id,
        None => panic!("{slot} cannot whisper to {whom}"),
    }
}

/// What became of a message, as often as that was told.
fn fates(world: &World, id: PmId) -> Vec<PmOutcome> {
    let told = world.slots.iter().flat_map(|slot| &slot.fates);
    told.filter(|(of, _)| *of == id).map(|(_, outcome)| *outcome).collect()
}

#[track_caller]
fn assert_heard(world: &World, slot: usize, from: &str, words: &str) {
    for (other, here) in world.slots.iter().enumerate() {
        let expected = if other == slot { vec![(name(from), words.to_owned())] } else { Vec::new() };
        assert_eq!(here.heard, expected, "at {other}");
    }
}

#[test]
fn a_private_message_is_heard_once_by_its_reader_alone_and_stands_nowhere() {
    for (from, to) in [(1, 2), (0, 2), (2, 0)] {
        let mut world = room(4);
        let by = world.slots[from].name.as_str().to_owned();
        let whom = world.slots[to].name.as_str().to_uppercase();
        let before = world.slots[to].disk.store().log().len();
        let id = pm(&mut world, from, &whom, "for you alone");
        world.run_to(world.now + 10 * SECOND);
        well(&world);
        assert_heard(&world, to, &by, "for you alone");
        assert_eq!(fates(&world, id), [PmOutcome::Delivered]);
        assert_eq!(world.slots[to].disk.store().log().len(), before, "nothing is ordered");
    }
}

#[test]
fn a_private_message_goes_on_through_the_next_leader() {
    // What the leader passes on is lost with it; what the reader answers is.
    for (from, to) in [(0, 2), (2, 0)] {
        let mut world = room(4);
        world.block(from, to);
        let id = pm(&mut world, 1, "c", "before it dies");
        world.run_to(world.now + 5 * MS);
        assert_eq!(world.slots[2].heard.len(), usize::from(from == 2), "the story is the one that is meant");
        assert!(fates(&world, id).is_empty());
        world.crash(0);
        world.heal();
        world.run_to(world.now + 10 * SECOND);
        well(&world);
        assert_heard(&world, 2, "b", "before it dies");
        assert_eq!(fates(&world, id), [PmOutcome::Delivered]);
    }
}

#[test]
fn a_private_message_said_while_nobody_leads_waits_for_the_next_leader() {
    let mut world = room(4);
    world.crash(0);
    assert!(world.run_until_told("tells LeaderLost", SECOND), "the leader is missed");
    let id = pm(&mut world, 1, "c", "in between");
    assert!(world.slots.iter().all(|slot| slot.heard.is_empty()));
    settle(&mut world, SECOND);
    well(&world);
    assert_heard(&world, 2, "b", "in between");
    assert_eq!(fates(&world, id), [PmOutcome::Delivered]);
}

#[test]
fn its_author_is_told_when_a_private_message_has_not_arrived_or_may_not_have() {
    // Its reader says good-bye in this moment.
    let mut world = room(3);
    world.leave(2);
    world.run_to(world.now + 50);
    let gone = pm(&mut world, 1, "c", "wait");
    world.run_to(world.now + SECOND);
    assert_eq!(fates(&world, gone), [PmOutcome::Gone]);
    assert_eq!(
        world.slots[1].process.as_ref().map(|process| process.node.reader("c")),
        Some(Err(PmError::Nobody("c".to_owned())))
    );

    // Its reader hears nothing, and nobody has noticed yet.
    let mut world = room(3);
    world.pause(2);
    let unknown = pm(&mut world, 1, "c", "are you there");
    world.run_to(world.now + 10 * SECOND);
    assert_eq!(fates(&world, unknown).len(), 1);
    assert!(matches!(fates(&world, unknown)[..], [PmOutcome::Unknown | PmOutcome::Gone]));
}

#[test]
fn nobody_private_messages_to_itself_to_nobody_or_without_end() {
    let mut world = room(3);
    let reader = |world: &World, whom: &str| world.slots[1].process.as_ref().map(|process| process.node.reader(whom));
    assert_eq!(reader(&world, "B"), Some(Err(PmError::Oneself)));
    assert_eq!(reader(&world, "nobody"), Some(Err(PmError::Nobody("nobody".to_owned()))));
    let digits = world.slots[2].author.to_string();
    assert!(matches!(reader(&world, &digits[..12]), Some(Ok(member)) if member.name == name("c")));
    assert!(matches!(reader(&world, &digits[..7]), Some(Err(PmError::Nobody(_)))));
    let mut sent = 0;
    for k in 0..1_000 {
        sent += usize::from(world.pm(1, "c", &format!("whisper {k}")).is_some());
        world.run_to(world.now + MS);
    }
    assert!((200..=230).contains(&sent), "{sent} have come through");
    assert_eq!(reader(&world, "c"), Some(Err(PmError::TooMany)));
    world.run_to(world.now + 2 * SECOND);
    well(&world);
    assert_eq!(world.slots[2].heard.len(), sent);
    assert!(matches!(reader(&world, "c"), Some(Ok(_))), "it goes on at the rate");
}

#[test]
fn a_private_message_comes_through_where_the_leader_is_reached_through_another() {
    let mut world = room(4);
    world.cut_link(0, 2);
    world.run_to(world.now + 5 * SECOND);
    let relay = world.slots[2].process.as_ref().and_then(|process| process.node.status().relay);
    let role = world.slots[0].process.as_ref().map(|process| process.node.status().role);
    assert!(relay.is_some() && role == Some(Role::Leader), "{relay:?} {role:?}");
    let to = pm(&mut world, 1, "c", "round the corner");
    let back = pm(&mut world, 2, "b", "and back");
    world.run_to(world.now + SECOND);
    assert_eq!((fates(&world, to), fates(&world, back)), (vec![PmOutcome::Delivered], vec![PmOutcome::Delivered]));
    assert_eq!(world.slots[2].heard, [(name("b"), "round the corner".to_owned())]);
    assert_eq!(world.slots[1].heard, [(name("c"), "and back".to_owned())]);
}

/// A leader that passes nothing on, and says that it has.
fn makes_receipts_up(frame: &mut Frame) {
    if let Frame::PmReceipt(receipt) = frame {
        receipt.reply = dist_chat::ring::PmReply::Opened(dist_chat::ring::PmProof([7; 16]));
    }
}

#[test]
fn a_leader_cannot_make_up_that_a_private_message_has_arrived() {
    let mut world = room(3);
    world.forger = Some((0, makes_receipts_up));
    let id = pm(&mut world, 1, "c", "did you get this");
    world.run_to(world.now + 10 * SECOND);
    assert_eq!(fates(&world, id), [PmOutcome::Unknown]);
    assert_heard(&world, 2, "b", "did you get this");
}

/// A leader that spoils what it passes on.
fn breaks_seals(frame: &mut Frame) {
    if let (Frame::PrivateMessage(pm), Some(broken)) = (frame, Ciphertext::new(vec![7])) {
        pm.ciphertext = broken;
    }
}

#[test]
fn a_broken_seal_is_told_of_once_in_a_while_and_nothing_is_shown() {
    let mut world = room(3);
    world.forger = Some((0, breaks_seals));
    let ids: Vec<PmId> = (0..3).map(|k| pm(&mut world, 1, "c", &format!("whisper {k}"))).collect();
    world.run_to(world.now + 10 * SECOND);
    well(&world);
    assert!(world.slots.iter().all(|slot| slot.heard.is_empty()));
    assert_eq!(told(&world, 2, "tells PmUndecryptable { of: Member { uid: b"), 1, "thirty came");
    assert!(ids.into_iter().all(|id| fates(&world, id) == [PmOutcome::Unknown]));
}

/// A member that whispers under another's name, and answers in another's.
fn speaks_for_another(frame: &mut Frame) {
    match frame {
        Frame::PrivateMessage(pm) => pm.from = AuthorId::of_bits(99),
        Frame::PmReceipt(receipt) => receipt.to = AuthorId::of_bits(99),
        _ => {}
    }
}

#[test]
fn a_peer_that_sends_or_answers_as_another_loses_its_link() {
    for (from, to, why) in [(1, 2, "sends a private message as another"), (2, 1, "answers for another")] {
        let mut world = room(3);
        world.forger = Some((1, speaks_for_another));
        let whom = world.slots[to].name.as_str().to_owned();
        pm(&mut world, from, &whom, "who am I");
        world.run_to(world.now + 100 * MS);
        assert!(told(&world, 0, why) >= 1, "{why}");
    }
}

/// Whatever dies and whatever is cut, each message is heard by its reader alone and once in a run, and its author is
/// told one thing of it, which is true.
#[test]
fn private_messages_under_faults() {
    for seed in 0..12 {
        let mut world = gathered(World::new(1_000 + seed, 5, 100, 50));
        let mut said: Vec<(usize, usize, String, PmId)> = Vec::new();
        for round in 0..60_usize {
            let dice = usize::try_from(seed).unwrap_or_default() * 31 + round * 17;
            let (from, to) = (dice % 5, (dice / 5 + round) % 5);
            let (whom, words) = (world.slots[to].name.as_str().to_owned(), format!("whisper {round}"));
            if let Some(id) = world.pm(from, &whom, &words) {
                said.push((from, to, words, id));
            }
            world.run_to(world.now + (dice % 7) as u64 * 20 * MS);
            match round % 10 {
                3 => world.crash(dice % 5),
                5 => {
                    let down = |world: &World, slot: &usize| world.slots[*slot].process.is_none();
                    let all: Vec<usize> = (0..5).filter(|slot| down(&world, slot)).collect();
                    all.into_iter().for_each(|slot| world.start(slot, Rewind::Not, Start::Reopen));
                }
                6 => world.cut_link(dice % 5, (dice + 2) % 5),
                8 => world.heal(),
                _ => {}
            }
        }
        world.heal();
        world.run_to(world.now + 15 * SECOND);
        well(&world);
        let mut arrived = 0;
        for (from, to, words, id) in &said {
            let times = |slot: usize| world.slots[slot].heard.iter().filter(|(_, heard)| heard == words).count();
            let others: usize = (0..5).filter(|slot| slot != to).map(times).sum();
            assert_eq!(others, 0, "seed {seed}: {words} is heard by another");
            let fates = fates(&world, *id);
            // Who dies is told nothing more.
            assert!(fates.len() <= 1, "seed {seed}: {words} from {from}: {fates:?}");
            match fates.first() {
                Some(PmOutcome::Delivered) => assert!(times(*to) >= 1, "seed {seed}: {words} was not heard"),
                Some(PmOutcome::Gone | PmOutcome::NoLeader) => {
                    assert_eq!(times(*to), 0, "seed {seed}: {words} was heard")
                }
                Some(PmOutcome::Unknown) | None => {}
            }
            // A reader that died before its answer arrived may hear it again in its next run.
            assert!(times(*to) <= 2, "seed {seed}: {words} was heard {} times", times(*to));
            arrived += usize::from(fates == [PmOutcome::Delivered]);
        }
        assert!(arrived * 2 > said.len(), "seed {seed}: {arrived} of {}", said.len());
    }
}

// ---- how all are doing

#[test]
fn a_follower_is_told_how_all_are_doing() {
    let mut world = room(4);
    world.run_to(world.now + SECOND);
    world.input(2, Input::HealthQuery);
    world.run_to(world.now + 10 * MS);
    let survey = world.slots[2].survey.take();
    let Some(survey) = survey else { panic!("no answer") };
    assert!(survey.from_leader);
    let uids: Vec<Uid> = world.slots.iter().map(|slot| slot.uid).collect();
    assert_eq!(survey.health.iter().map(|health| health.uid).collect::<Vec<_>>(), uids);
    for (slot, health) in survey.health.iter().enumerate() {
        assert_eq!(health.behind, Some(0), "{health:?}");
        // There and back, and what the jitter of a clock adds.
        assert!(health.rtt.is_some_and(|rtt| (150..1_000).contains(&rtt.0)), "{health:?}");
        assert_eq!(health.link.is_some_and(|link| link.up), slot != 2, "{health:?}");
        assert!(health.link.is_none_or(|link| link.silent <= Span::ms(300)), "{health:?}");
    }
    // A leader knows by itself.
    world.input(0, Input::HealthQuery);
    assert!(world.slots[0].survey.as_ref().is_some_and(|survey| survey.from_leader && survey.health.len() == 4));
}

#[test]
fn without_the_leaders_word_a_follower_says_what_it_knows() {
    let mut world = room(3);
    world.run_to(world.now + SECOND);
    world.pause(0);
    world.input(2, Input::HealthQuery);
    assert!(world.slots[2].survey.is_none(), "the leader is waited for");
    world.run_to(world.now + 600 * MS);
    let Some(survey) = world.slots[2].survey.take() else { panic!("no answer") };
    assert!(!survey.from_leader);
    assert_eq!(survey.health.len(), 3);
    assert_eq!(survey.health[1].behind, None);
}

// ---- who is gone

#[test]
fn a_leaders_death_is_told_once_and_by_name() {
    let mut world = room(4);
    world.crash(0);
    settle(&mut world, SECOND);
    well(&world);
    for slot in 1..4 {
        assert_eq!(told(&world, slot, "tells FailedOver { lost: a, lost_name: Some(Name(a))"), 1, "at {slot}");
    }
    assert_eq!((1..4).map(|slot| told(&world, slot, "tells CutOff")).sum::<usize>(), 0, "most are here");
}

#[test]
fn a_leader_that_says_good_bye_is_not_called_gone() {
    let mut world = room(4);
    world.leave(0);
    world.run_to(world.now + 3 * SECOND);
    well(&world);
    assert_eq!((1..4).map(|slot| told(&world, slot, "tells FailedOver")).sum::<usize>(), 0);
}

#[test]
fn who_is_cut_off_from_most_of_the_room_is_told_once() {
    let mut world = room(5);
    for a in 0..3 {
        (3..5).for_each(|b| world.cut_link(a, b));
    }
    world.run_to(world.now + 6 * SECOND);
    let cut_off = |world: &World| (0..5).map(|slot| told(world, slot, "tells CutOff")).collect::<Vec<_>>();
    assert_eq!(cut_off(&world), [0, 0, 0, 1, 1]);
    let event = Event::CutOff { here: 2, of: 5 };
    assert_eq!(told(&world, 4, &format!("tells {event:?}")), 1);
    world.heal();
    settle(&mut world, 5 * SECOND);
    well(&world);
    assert_eq!(cut_off(&world), [0, 0, 0, 1, 1]);
    // Again, on the other side.
    for a in [0, 1] {
        (2..5).for_each(|b| world.cut_link(a, b));
    }
    world.run_to(world.now + 6 * SECOND);
    assert_eq!(cut_off(&world), [1, 1, 0, 1, 1]);
}
