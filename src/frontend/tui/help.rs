//! The help text of the full screen.

/// The keys and their effects, one a line.
pub const HELP: [&str; 20] = [
    "Enter           say the line; /help lists the commands",
    "Alt-Enter       another line of the same message (5 at most)",
    "Tab             complete a name, a /command, a #channel",
    "Up, Down        lines typed before",
    "^A ^E ^W ^U ^K  edit as in a shell; ^Y brings back what was cut",
    "PgUp, PgDn      scroll; Home and End too, where nothing is typed",
    "^F              search; n goes to older lines, N to newer, Esc ends",
    "Alt-1 .. Alt-9  that channel; ^N the next one, ^P the one before",
    "F2 F3           hide or show the members, the channels",
    "F4              the ring: beside the messages, large, hidden",
    "F5              listen to the mouse: wheel scrolls, click picks a channel",
    "^L              draw everything again",
    "^C              forget the line; where there is none, leave",
    "^D              leave, where nothing is typed",
    "",
    "★ leads   ● follows   ○ is away   ✗ is lost   [name] is you",
    "In the ring, bright links are this node's own; what runs along one",
    "was heard there just now. A token is drawn when it passes here.",
    "",
    "Esc closes this",
];

/// The last line to which the help can scroll.
pub fn last_line() -> u16 {
    u16::try_from(HELP.len() - 1).unwrap_or(u16::MAX)
}
