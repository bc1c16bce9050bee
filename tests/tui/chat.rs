//! The look of lines on the full screen.

use dist_chat::frontend::input::keys::Key;
use dist_chat::present::paint::Paint;
use dist_chat::present::values::{EventKind, FeedLink, FeedPm, FeedPosition, FeedReactions, LineKind, Update};

use crate::harness::{Screen, channel, count, event, name, state, uid};

fn talk(screen: &mut Screen) {
    screen.say("bob", "hello, is anybody there?");
    screen.say("ann", "I am");
    screen.told(Update::Event(event(EventKind::Joined, "carl(10.0.0.3:2428) joined the ring")));
    screen
        .say("carl", "Good morning, Ann! This line is long enough that it does not fit one row of the screen by far.");
    let me = Update::Line(Box::new(dist_chat::present::values::FeedLine {
        kind: LineKind::Me,
        ..screen.line("bob", "waves")
    }));
    screen.told(me);
}

#[test]
fn an_empty_room() {
    Screen::new(80, 24).shows("on_the_way_in");
    Screen::in_room(80, 24, 1, 0).shows("empty_room");
}

#[test]
fn a_chat() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    talk(&mut screen);
    screen.keys("what I am typing");
    screen.shows("chat");
}

#[test]
fn colours_are_there_and_without_them_none() {
    for colours in [Paint::Many, Paint::Sixteen, Paint::Plain] {
        let mut screen = Screen::painted(80, 24, colours);
        screen.told(Update::State(Box::new(state(3, Some(1)))));
        talk(&mut screen);
        screen.text();
        let buffer = screen.stage.terminal().backend().buffer().clone();
        let reset = ratatui::style::Color::Reset;
        let coloured = buffer.content().iter().any(|cell| cell.fg != reset || cell.bg != reset);
        assert_eq!(coloured, colours != Paint::Plain);
        // The user's own name in another author's line stands out with and without colours.
        let stands_out = |cell: &ratatui::buffer::Cell| cell.modifier.contains(ratatui::style::Modifier::REVERSED);
        assert!((2..20).any(|y| (0..50).any(|x| buffer[(x, y)].symbol() == "A" && stands_out(&buffer[(x, y)]))));
    }
}

#[test]
fn wide_combined_and_right_to_left_text() {
    let mut screen = Screen::in_room(80, 24, 2, 0);
    screen.say("bob", "日本語のテキストはセルを二つ使いますから、行の終わりで半分にされてはいけません。");
    screen.say("bob", "e\u{301}a\u{300}\u{316}o\u{308} and 👩‍👩‍👧 and 🇩🇪 and ☕");
    screen.say("bob", "שלום לכולם, مرحبا بالجميع");
    screen.say("bob", &format!("x{}y", "\u{301}".repeat(500)));
    screen.say("bob", "forged\u{1b}[2J\u{202e}\nbob: not a line");
    screen.keys("語🇩🇪e\u{301}");
    screen.shows("letters");
}

#[test]
fn scrolled_up_with_new_lines_below() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    for n in 1..=60 {
        screen.say("bob", &format!("line {n}"));
    }
    screen.key(Key::PageUp);
    screen.key(Key::PageUp);
    for n in 61..=63 {
        screen.say("bob", &format!("line {n}"));
    }
    screen.shows("scrolled");
    screen.key(Key::Home);
    assert!(screen.text().contains("line 1\n") || screen.text().contains("line 1 "));
    screen.key(Key::PageDown);
    let text = screen.text();
    assert!(text.contains("line 21 ") && !text.contains("line 1 "), "{text}");
    screen.key(Key::End);
    assert!(screen.text().contains("line 63") && !screen.text().contains("End"));
}

#[test]
fn scrolling_goes_row_by_row_and_ends_where_it_should() {
    let mut screen = Screen::in_room(40, 10, 3, 1);
    for n in 1..=9 {
        screen.say("bob", &format!("line {n} {}", "is long ".repeat(6)));
    }
    let newest = screen.text();
    for _ in 0..20 {
        screen.key(Key::WheelUp);
    }
    assert!(screen.text().contains("line 1 "));
    for _ in 0..20 {
        screen.key(Key::WheelDown);
    }
    assert_eq!(screen.text(), newest);
    screen.key(Key::WheelUp);
    screen.key(Key::WheelDown);
    assert_eq!(screen.text(), newest);
}

#[test]
fn search() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    for n in 1..=60 {
        screen.say("bob", &if n % 20 == 0 { format!("the Needle is {n}") } else { format!("hay {n}") });
    }
    screen.key(Key::Ctrl('f'));
    screen.shows("search_begins");
    screen.keys("needle");
    screen.key(Key::Enter);
    screen.keys("n");
    screen.shows("search");
    screen.keys("n");
    assert!(screen.text().contains("Needle is 20"));
    screen.keys("n");
    assert!(screen.text().contains("Needle is 20"), "there is no older one");
    screen.keys("NN");
    assert!(screen.text().contains("Needle is 60"));
    screen.key(Key::Escape);
    screen.key(Key::Escape);
    screen.keys("n");
    assert_eq!(screen.stage.model().typed(), "n");
}

#[test]
fn reactions_stand_with_their_line_and_replies_show_what_they_answer() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    let ts = screen.say("bob", "shall we meet at noon?");
    let mut reply = screen.line("carl", "yes, at the old place");
    (reply.kind, reply.to) = (LineKind::Reply, Some(ts));
    screen.told(Update::Line(Box::new(reply)));
    let mut lost = screen.line("carl", "and bring that");
    (lost.kind, lost.to) = (LineKind::Reply, Some(1));
    screen.told(Update::Line(Box::new(lost)));
    for reactions in [vec![count("👍", 1)], vec![count("👍", 2), count("❤", 1)]] {
        let text = "shall we".to_owned();
        screen.told(Update::Reactions(FeedReactions { ts, name: name("bob"), text, reactions }));
    }
    let (text, reactions) = ("an old line".to_owned(), vec![count("👍", 1)]);
    screen.told(Update::Reactions(FeedReactions { ts: 7, name: name("dora"), text, reactions }));
    screen.shows("reactions");
}

#[test]
fn private_messages() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    let text = "between us".to_owned();
    screen.told(Update::Private(FeedPm { from: name("bob"), to: name("ann"), text, own: false }));
    let text = "I say nothing".to_owned();
    screen.told(Update::Private(FeedPm { from: name("ann"), to: name("bob"), text, own: true }));
    screen.shows("private");
}

#[test]
fn what_was_missed_is_set_apart() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.told(Update::Missed { lines: Some(3) });
    for text in ["first", "second"] {
        let mut line = screen.line("bob", text);
        line.past = true;
        screen.told(Update::Line(Box::new(line)));
    }
    let mut elsewhere = screen.line("bob", "in another channel");
    (elsewhere.past, elsewhere.channel) = (true, "rust".to_owned());
    screen.told(Update::Line(Box::new(elsewhere)));
    screen.told(Update::CaughtUp);
    screen.say("bob", "third");
    screen.told(Update::LeftOut { lines: 12 });
    screen.say("bob", "fourth");
    screen.shows("missed");
}

#[test]
fn own_lines_that_wait_are_at_the_bottom() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.told(Update::State(Box::new(state(3, None))));
    for text in ["is this heard?", "or this?"] {
        screen.keys(text);
        screen.key(Key::Enter);
    }
    assert!(!screen.text().contains("waits"), "not yet worth a word");
    screen.told(Update::Waiting { lines: 2 });
    screen.told(Update::Event(event(EventKind::Other, "no leader for 3 s: lines wait")));
    screen.shows("waiting");
    screen.say("ann", "is this heard?");
    screen.told(Update::Waiting { lines: 1 });
    let text = screen.text();
    assert!(text.contains("or this? (waits)") && !text.contains("heard? (waits)"), "{text}");
    screen.told(Update::Waiting { lines: 0 });
    assert!(!screen.text().contains("(waits)"));
}

#[test]
fn cut_off_is_said() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    let mut cut = state(3, None);
    cut.members
        .iter_mut()
        .filter_map(|member| member.link.as_mut())
        .for_each(|link| *link = FeedLink { up: false, silent_ms: 9_000 });
    screen.told(Update::State(Box::new(cut)));
    screen.shows("cut_off");
}

#[test]
fn channels_count_what_is_unread() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    let mut now = state(3, Some(1));
    now.channels = vec![channel("lobby", 20), channel("rust", 7), channel("a-channel-with-a-long-name", 1)];
    now.channels[1].topic = Some("what does not compile".to_owned());
    screen.told(Update::State(Box::new(now)));
    for text in ["one", "two"] {
        let mut line = screen.line("carl", text);
        line.channel = "rust".to_owned();
        screen.told(Update::Line(Box::new(line)));
    }
    screen.say("bob", "in the lobby");
    screen.shows("channels");
    screen.key(Key::Alt('2'));
    assert_eq!(screen.typed(), ["/join #rust"]);
    assert!(screen.text().starts_with(" #lobby"), "it has not been joined yet");
    screen.here("rust");
    screen.shows("other_channel");
    screen.key(Key::Ctrl('p'));
    screen.key(Key::Ctrl('n'));
    screen.key(Key::Click(60, 7));
    screen.key(Key::Click(60, 8));
    let long = "/join #a-channel-with-a-long-name";
    assert_eq!(screen.typed(), ["/join #lobby", long, "/join #lobby"], "one is in #rust already");
}

#[test]
fn who_is_spoken_to_in_another_channel_hears_it() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    for text in ["nothing for others", "ask Ann"] {
        let mut line = screen.line("carl", text);
        line.channel = "rust".to_owned();
        screen.told(Update::Line(Box::new(line)));
    }
    let text = screen.text();
    assert!(text.contains("#rust carl: ask Ann") && !text.contains("nothing for"), "{text}");
}

#[test]
fn the_node_says_who_and_where_one_is_and_may_empty_the_screen() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    talk(&mut screen);
    screen.told(Update::Here(FeedPosition {
        name: name("anna"),
        address: uid(0),
        channel: "rust".to_owned(),
        unread: 0,
    }));
    let text = screen.text();
    assert!(text.contains("anna>") && text.starts_with(" #rust"), "{text}");
    screen.told(Update::Clear);
    let lines = vec!["/help  what there is to type".to_owned()];
    screen.told(Update::Listing { heading: "commands".to_owned(), lines });
    let text = screen.text();
    assert!(text.contains("\n  /help  what there is") && !text.contains("joined the ring"), "{text}");
}

#[test]
fn the_bell_rings_for_who_is_meant() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    screen.say("bob", "nobody in particular");
    screen.say("ann", "ann herself");
    assert!(!screen.stage.take_rings());
    screen.say("bob", "ann?");
    assert!(screen.stage.take_rings() && !screen.stage.take_rings());
}

#[test]
fn panes_are_hidden_one_by_one() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    talk(&mut screen);
    screen.key(Key::F(2));
    screen.shows("no_members");
    screen.key(Key::F(3));
    screen.shows("ring_alone");
    screen.key(Key::F(4));
    screen.key(Key::F(4));
    screen.shows("no_panes");
    screen.key(Key::F(2));
    screen.shows("members_alone");
}

#[test]
fn members_and_how_they_are() {
    let mut screen = Screen::in_room(80, 24, 12, 4);
    let mut now = state(12, Some(4));
    now.members[1].away = Some("lunch".to_owned());
    now.members[2].behind = Some(17);
    now.members[3].link = Some(FeedLink { up: false, silent_ms: 4_000 });
    screen.told(Update::State(Box::new(now)));
    screen.key(Key::F(3));
    screen.key(Key::F(4));
    screen.key(Key::F(4));
    screen.shows("members");
}

#[test]
fn small_windows() {
    for (columns, rows, picture) in [(40, 10, "small"), (20, 5, "smaller")] {
        let mut screen = Screen::in_room(columns, rows, 3, 1);
        talk(&mut screen);
        screen.keys("what I am typing is longer than this");
        screen.shows(picture);
    }
}

#[test]
fn no_size_and_no_key_breaks_it() {
    let mut screen = Screen::in_room(80, 24, 5, 1);
    talk(&mut screen);
    screen.say("bob", "日本語🇩🇪 x");
    let keys = [Key::F(4), Key::F(1), Key::F(1), Key::PageUp, Key::Home, Key::Ctrl('f'), Key::Char('x'), Key::Enter];
    let keys = keys.into_iter().chain([
        Key::Escape,
        Key::Paste("1\n2\n3\n4\n5\n6\n7".to_owned()),
        Key::Char('n'),
        Key::F(4),
        Key::Char('語'),
    ]);
    for key in keys {
        screen.key(key);
        for columns in [0, 1, 2, 3, 7, 20, 59, 60, 61, 90, 200] {
            for rows in [0, 1, 2, 3, 4, 5, 8, 12, 40] {
                screen.stage.terminal().backend_mut().resize(columns, rows);
                screen.key(Key::Resize(columns, rows));
                screen.key(Key::PageUp);
                screen.key(Key::WheelDown);
                screen.text();
            }
        }
    }
}

#[test]
fn help() {
    let mut screen = Screen::in_room(80, 24, 3, 1);
    talk(&mut screen);
    screen.key(Key::F(1));
    screen.shows("help");
    screen.key(Key::Escape);
    assert!(!screen.text().contains("Alt-Enter"));
    let mut small = Screen::in_room(40, 10, 3, 1);
    small.key(Key::F(1));
    small.key(Key::Down);
    small.shows("help_small");
}
