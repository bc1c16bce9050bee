//! The picture of the ring.

use dist_chat::frontend::input::keys::Key;
use dist_chat::present::values::{EventKind, FeedEvent, Update};

use crate::harness::{Screen, event, name, state, uid};

#[test]
fn rings_of_every_size() {
    for members in [1, 2, 3, 5, 12] {
        let mut screen = Screen::in_room(80, 24, members, members / 2);
        screen.shows(&format!("ring_{members}"));
        screen.key(Key::F(4));
        screen.shows(&format!("ring_{members}_large"));
    }
}

#[test]
fn a_pulse_runs_along_a_link_that_was_heard_and_along_no_other() {
    let mut screen = Screen::in_room(80, 24, 5, 1);
    screen.key(Key::F(4));
    let quiet = screen.text();
    assert!(!quiet.contains('•'));
    screen.told(Update::State(Box::new(state(5, Some(1)))));
    screen.wait(160);
    screen.shows("pulse");
    screen.wait(1_000);
    assert_eq!(screen.text(), quiet, "it is over");
    // No frame came meanwhile: the links have been silent for longer.
    let mut silent = state(5, Some(1));
    silent.members.iter_mut().filter_map(|member| member.link.as_mut()).for_each(|link| link.silent_ms = 1_280);
    screen.told(Update::State(Box::new(silent)));
    screen.wait(160);
    assert_eq!(screen.text(), quiet);
}

/// The leader dies, a token passes this node, and another node leads.
#[test]
fn an_election() {
    let mut screen = Screen::in_room(80, 24, 5, 4);
    screen.say("bob", "who leads?");
    screen.told(Update::Event(FeedEvent { address: Some(uid(4)), ..event(EventKind::LeaderLost, "emil is gone") }));
    screen.told(Update::Event(FeedEvent {
        address: Some(uid(4)),
        name: Some(name("emil")),
        ..event(EventKind::Lost, "")
    }));
    // An answer from the time before the loss changes nothing.
    screen.told(Update::State(Box::new(state(5, None))));
    let mut now = state(4, None);
    now.last = 121;
    screen.told(Update::State(Box::new(now.clone())));
    screen.wait(500);
    screen.shows("election_1_lost");
    screen.told(Update::Event(FeedEvent { round: Some(4), ..event(EventKind::ElectionStarted, "") }));
    let token =
        FeedEvent { address: Some(uid(3)), to: Some(uid(1)), round: Some(4), ..event(EventKind::TokenPassed, "") };
    screen.told(Update::Event(token));
    screen.wait(210);
    screen.shows("election_2_token");
    screen.wait(500);
    assert!(screen.text().contains("◆ dora"), "it rests where it went");
    screen.told(Update::Event(FeedEvent {
        address: Some(uid(3)),
        round: Some(4),
        ..event(EventKind::Leader, "dora leads now, 12 ms")
    }));
    now = state(4, Some(3));
    screen.told(Update::State(Box::new(now)));
    screen.wait(600);
    screen.shows("election_3_leader");
    screen.wait(20_000);
    assert!(!screen.text().contains("✗"), "who is lost is forgotten");
}

#[test]
fn the_room_is_looked_at_more_often_while_the_ring_is_shown() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    let asked = |screen: &mut Screen| {
        let mut count = 0;
        for _ in 0..120 {
            screen.wait(50);
            screen.stage.turn(screen.now).unwrap();
            screen.stage.ask(|_| {
                count += 1;
                None
            });
        }
        count
    };
    assert!((11..=13).contains(&asked(&mut screen)));
    screen.key(Key::F(4));
    screen.key(Key::F(4));
    assert!((1..=3).contains(&asked(&mut screen)));
}
