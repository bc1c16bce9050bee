//! The effects of keys.

use dist_chat::frontend::input::keys::Key;
use dist_chat::present::values::{Request, Update};

use crate::harness::{Screen, state};

#[test]
fn enter_sends_and_interrupt_clears_and_then_leaves() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.keys("hello");
    screen.key(Key::Enter);
    screen.key(Key::Enter);
    screen.keys("/who");
    screen.key(Key::Enter);
    assert_eq!(screen.typed(), ["hello", "/who"]);
    screen.keys("draft");
    screen.key(Key::Ctrl('c'));
    assert_eq!((screen.typed(), screen.stage.model().typed()), (Vec::new(), ""));
    screen.key(Key::Ctrl('c'));
    assert_eq!(screen.typed(), ["leave"]);
    assert!(screen.text().contains("leaving"));
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.keys("ab");
    screen.key(Key::Left);
    screen.key(Key::Ctrl('d'));
    assert_eq!(screen.stage.model().typed(), "a");
    screen.key(Key::Backspace);
    screen.key(Key::Ctrl('d'));
    assert_eq!(screen.typed(), ["leave"]);
}

#[test]
fn tab_completes_names_commands_and_channels() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    for (typed, completed) in [("b", "bob: "), ("hi ca", "hi carl"), ("/he", "/help "), ("/join #lo", "/join #lobby")] {
        screen.keys(typed);
        screen.key(Key::Tab);
        assert_eq!(screen.stage.model().typed(), completed);
        screen.key(Key::Ctrl('c'));
    }
    // Tab does not complete the user's own name.
    screen.keys("an");
    screen.key(Key::Tab);
    assert_eq!(screen.stage.model().typed(), "an");
}

#[test]
fn a_short_paste_is_typed_and_a_long_one_asks() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.key(Key::Paste("one\r\ntwo\r\n".to_owned()));
    assert_eq!(screen.stage.model().typed(), "one\ntwo");
    screen.shows("two_lines");
    screen.key(Key::Enter);
    assert_eq!(screen.typed(), ["say one", "say two"]);
    let six = "1\n2\n/exit\n\n5\n6\n".to_owned();
    screen.key(Key::Paste(six.clone()));
    screen.shows("paste");
    screen.keys("xn");
    assert_eq!(screen.typed(), Vec::<String>::new());
    screen.key(Key::Paste(six));
    screen.keys("y");
    assert_eq!(screen.typed(), ["say 1", "say 2", "say /exit", "say 5", "say 6"]);
    screen.key(Key::Paste("x\n".repeat(10_000)));
    assert!(screen.text().contains("that paste has 10000 lines"));
    screen.key(Key::Paste("x".repeat(100_000)));
    assert!(screen.text().contains("too long for one message"));
}

#[test]
fn no_line_of_a_paste_of_several_is_a_command() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    for paste in ["\n/exit\n", "/nick zed\n/exit"] {
        screen.key(Key::Paste(paste.to_owned()));
        screen.key(Key::Enter);
    }
    assert_eq!(screen.typed(), ["say /exit", "say /nick zed", "say /exit"]);
    screen.keys("/msg bob ");
    screen.key(Key::Paste("one\ntwo".to_owned()));
    assert!(screen.text().contains("not pasted: a command takes one line"));
    screen.key(Key::Paste("secret\n".to_owned()));
    screen.key(Key::Enter);
    assert_eq!(screen.typed(), ["/msg bob secret"]);
}

#[test]
fn lines_that_the_node_does_not_take_are_refused_in_time() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    for _ in 0..2_000 {
        screen.stage.key(Key::Char('x'), screen.now).unwrap();
        screen.stage.key(Key::Enter, screen.now).unwrap();
    }
    let mut taken = 0;
    screen.stage.ask(|asked| {
        taken += usize::from(matches!(asked, Request::Type { .. }));
        None
    });
    assert_eq!(taken, 1_024);
    assert!(screen.text().contains("not sent: too many lines"));
}

#[test]
fn good_bye_is_the_end() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.told(Update::State(Box::new(state(3, Some(0)))));
    screen.told(Update::Bye { text: "left the room".to_owned() });
    assert_eq!(screen.stage.model().bye(), Some("left the room"));
}
