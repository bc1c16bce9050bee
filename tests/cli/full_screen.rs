//! The full screen in a terminal that tmux emulates.

use crate::harness::Node;
use crate::screen::{Terminal, ends_well};

fn shows(what: &str) -> impl Fn(&[String]) -> bool {
    move |lines| lines.iter().any(|line| line.contains(what))
}

#[test]
fn a_room_is_shown_and_the_terminal_given_back() {
    let mut bob = Node::found("bob");
    let Some(terminal) = Terminal::start(&format!("-p 0 -n ann -na 127.0.0.1 -np {} --tui", bob.port)) else { return };
    bob.wait_for(" joined the ring ///");
    terminal.wait_for(shows("members (2)"));
    terminal.keys(&["-l", "half a li"]);
    terminal.wait_for(shows("ann> half a li"));
    bob.feed("hello from bob\n");
    let lines = terminal.wait_for(shows("bob: hello from bob"));
    assert!(lines.last().is_some_and(|last| last == "ann> half a li"), "{lines:#?}");
    terminal.keys(&["-l", "ne"]);
    terminal.keys(&["Enter"]);
    bob.wait_for("half a line");
    terminal.wait_for(shows("ann: half a line"));
    terminal.keys(&["C-c"]);
    terminal.wait_for(ends_well);
}

#[test]
fn a_signal_gives_the_terminal_back_too() {
    let Some(terminal) = Terminal::start("-l -p 0 -n ann --tui") else { return };
    terminal.wait_for(shows("alone"));
    terminal.terminate();
    terminal.wait_for(ends_well);
}
