//! The commands of a person at a terminal: one table for the help, for completion, and for what was meant.

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, without the slash.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What follows it.
    pub args: &'static str,
    /// What it does: one line.
    pub help: &'static str,
}

const fn command(name: &'static str, args: &'static str, help: &'static str) -> Command {
    Command { name, aliases: &[], args, help }
}

/// Every command, in the order in which the help lists them.
pub const COMMANDS: &[Command] = &[
    command("help", "[CMD]", "what there is to type, or how one command is used"),
    Command { name: "exit", aliases: &["quit", "q"], args: "", help: "leave (also //exit, Ctrl-D, Ctrl-C)" },
    command("who", "", "who is here: address, leader, round-trip, how far behind; who is banned"),
    command("status", "", "how this node is doing, and its author's id"),
    command("nick", "NAME", "be called NAME from here on"),
    command("me", "TEXT", "tell what you do: * ann TEXT"),
    command("msg", "NAME TEXT", "to NAME alone; nobody else keeps it"),
    command("reply", "[N] TEXT", "answer the newest line of another, or the line with timestamp N"),
    command("like", "[N]", "like the newest line of another, or the line with timestamp N"),
    command("unlike", "[N]", "take that back"),
    command("react", "EMOJI [N]", "put EMOJI to that line"),
    command("unreact", "EMOJI [N]", "take that back"),
    command("topic", "[TEXT]", "what this channel is about: show it, or set it"),
    command("away", "[TEXT]", "say that you are away, or, with nothing behind it, here again"),
    command("ignore", "[NAME]", "do not show NAME's lines here, or show them again"),
    command("join", "#CHANNEL", "go to a channel: what you type goes there"),
    command("part", "", "back to #lobby"),
    command("list", "", "the channels, their topics, and what is unread"),
    command("history", "[N]", "the newest N lines, with their time (20)"),
    command("search", "WORDS", "the lines with these words"),
    command("ring", "", "the ring: the leader, you, and how the links are"),
    command("clear", "", "clear the screen"),
    command("save", "FILE", "write the history to FILE"),
    command("say", "TEXT", "say TEXT even where it begins with a slash"),
    command("kick", "NAME [WHY]", "put a member out; it may come again"),
    command("ban", "NAME [WHY]", "put somebody out for good (also by author: /status)"),
    command("unban", "NAME", "let a banned one in again (also by author)"),
    command("rekey", "", "a new key for the room; who is not here needs an invite"),
];

/// Letters that may be wrong in a command that is still recognised.
const SLIPS_MAX: usize = 2;

/// The command with this name, or with this other name; upper and lower case alike. Without the slash.
pub fn find(word: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| names(command).any(|name| name.eq_ignore_ascii_case(word)))
}

/// What was probably meant: the command that begins like this, or the one with the fewest wrong letters.
pub fn nearest(word: &str) -> Option<&'static Command> {
    let word = word.to_lowercase();
    let begins = || COMMANDS.iter().find(|command| word.len() > 1 && command.name.starts_with(&word));
    let close = || {
        let slips = |command: &Command| names(command).map(|name| slips(&word, name)).min().unwrap_or(usize::MAX);
        // Of a short word two wrong letters leave nothing.
        let most = SLIPS_MAX.min(word.chars().count() / 2);
        COMMANDS.iter().min_by_key(|command| slips(command)).filter(|command| slips(command) <= most)
    };
    find(&word).or_else(begins).or_else(close)
}

fn names(command: &Command) -> impl Iterator<Item = &'static str> + use<> {
    std::iter::once(command.name).chain(command.aliases.iter().copied())
}

/// Letters to insert, to leave out, to change, or to swap with their neighbour, until one word is the other.
fn slips(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(32).collect(), other.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        for (word, expected) in [
            ("who", Some("who")),
            ("WHO", Some("who")),
            ("quit", Some("exit")),
            ("hsitory", Some("history")),
            ("serach", Some("search")),
            ("hist", Some("history")),
            ("wo", Some("who")),
            ("exot", Some("exit")),
            ("giraffe", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word).map(|command| command.name), expected, "{word}");
        }
    }

    #[test]
    fn no_name_stands_for_two() {
        let mut all: Vec<&str> = COMMANDS.iter().flat_map(names).collect();
        let total = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), total);
    }

    #[test]
    fn the_help_fits_a_line() {
        for command in COMMANDS {
            assert!(command.args.len() + command.name.len() <= 20 && command.help.len() <= 72, "{command:?}");
        }
    }
}
