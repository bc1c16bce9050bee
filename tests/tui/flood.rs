//! Many updates at once: how often the program draws the screen, and how many lines it keeps.

use std::time::Duration;

use dist_chat::frontend::tui::model::messages::MESSAGES_MAX;
use dist_chat::present::values::{EventKind, Update};

use crate::harness::{Screen, event, state};

#[test]
fn a_flood_is_drawn_thirty_times_a_second_at_most() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.text();
    let before = screen.stage.draws();
    // The lines arrive within two seconds.
    for n in 0..100_000 {
        screen.say("bob", &format!("line {n}"));
        screen.now += Duration::from_micros(20);
        screen.stage.turn(screen.now).unwrap();
    }
    let draws = screen.stage.draws() - before;
    assert!((50..=61).contains(&draws), "{draws} draws");
    assert_eq!(screen.stage.model().messages(), MESSAGES_MAX);
    assert!(screen.text().contains("line 99999"), "the last one is drawn");
}

#[test]
fn nothing_is_drawn_while_nothing_changes() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.told(Update::State(Box::new(state(3, Some(1)))));
    screen.told(Update::Event(event(EventKind::Joined, "somebody came")));
    // After these drawings, the screen has shown the pulse of every update.
    for _ in 0..40 {
        screen.text();
    }
    let draws = screen.stage.draws();
    for _ in 0..1_000 {
        screen.text();
    }
    assert_eq!(screen.stage.draws(), draws);
}
