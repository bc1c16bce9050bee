//! The commands that a person can type on a terminal: one table for the help, for completion and for whoever mistypes.

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandHelp {
    /// Its name, with its slash.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What it takes, as people write it.
    pub takes: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// More about it, in whole lines.
    pub more: &'static [&'static str],
}

const fn command(name: &'static str, takes: &'static str, does: &'static str) -> CommandHelp {
    CommandHelp { name, aliases: &[], takes, does, more: &[] }
}

impl CommandHelp {
    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn more(self, more: &'static [&'static str]) -> Self {
        Self { more, ..self }
    }

    /// How it is used: its name and what it takes.
    pub fn usage(&self) -> String {
        match self.takes {
            "" => self.name.to_owned(),
            takes => format!("{} {takes}", self.name),
        }
    }
}

/// All of them, in the order in which the help shows them.
pub const COMMANDS: [CommandHelp; 28] = [
    command("/help", "[CMD]", "what there is to type, or more of one command").or(&["/?"]),
    command("/exit", "", "leave the room; an attached terminal: that terminal alone")
        .or(&["//exit", "/quit", "//quit", "/q"])
        .more(&[
            "Ctrl-D on an empty line does the same, and so does Ctrl-C.",
            "What you said is ordered first, for 5 s at most; the rest is kept in the files.",
        ]),
    command("/who", "[NAME]", "who is here, and how far behind").more(&[
        "With a name: that member, with all of its author's id, of which the list shows the beginning.",
        "The round trip and what a member has not confirmed yet are measured by the leader, or on a link of this node.",
        "Who is banned stands at the end, with its author's id for /unban.",
    ]),
    command("/status", "", "how this node is doing"),
    command("/ring", "", "the ring, drawn, and how its links are"),
    command("/say", "TEXT", "say a line that begins with a slash").more(&["A space before the slash does it too."]),
    command("/me", "TEXT", "tell what you do: /me waves"),
    command("/msg", "NAME TEXT", "say something to one member alone").or(&["/w"]).more(&[
        "It is sealed to the reader's key, goes through the leader, and stands in nobody else's history.",
        "It is not kept for somebody who is not here. You see whether it has arrived.",
    ]),
    command("/reply", "[TS] TEXT", "answer the line with this number, or the last").or(&["/r"]),
    command("/like", "[TS]", "like the line with this number, or the last").more(&[
        "It counts once per author and line, however often it is typed, and wherever the room was apart meanwhile.",
    ]),
    command("/unlike", "[TS]", "take that back"),
    command("/react", "EMOJI [TS]", "put another emoji to a line: /react 🎉 120"),
    command("/unreact", "EMOJI [TS]", "take that back"),
    command("/nick", "NAME", "have another name"),
    command("/away", "[WHY]", "say that you are away; without a reason: that you are back"),
    command("/topic", "[TEXT]", "the channel's topic: read it, or set it"),
    command("/join", "#CHANNEL", "go to a channel; the first message there creates it").more(&[
        "Everybody has every channel's lines: a channel is a part of the one history, not a secret.",
        "While you are elsewhere its lines are counted, and those that mention you are shown.",
    ]),
    command("/part", "", "leave the channel, for the lobby"),
    command("/list", "", "the channels, their topics, what is unread"),
    command("/ignore", "[NAME]", "show no more of somebody here; again: show it"),
    command("/history", "[N]", "the newest N lines, with their time (20)")
        .more(&["Those of the channel where you are, without likes and the like."]),
    command("/search", "WORDS", "the lines with these words")
        .more(&["Those of all channels: a line of another one begins with its name."]),
    command("/save", "FILE", "write the whole history into a new file")
        .more(&["A name is one where this terminal is, attached or not; ~/NAME one in the home directory."]),
    command("/clear", "", "empty the screen"),
    command("/kick", "NAME [WHY]", "put a member out; it may come again"),
    command("/ban", "NAME [WHY]", "put somebody out for good (also by author: /who)"),
    command("/unban", "NAME|AUTHOR", "let a banned one in again"),
    command("/rekey", "", "a new key; who is not here needs an invite"),
];

/// The command of this name, or alias.
pub fn find(name: &str) -> Option<&'static CommandHelp> {
    COMMANDS.iter().find(|command| command.name == name || command.aliases.contains(&name))
}

/// The likeness (1: the same) from which on another name is worth a word.
const ALIKE: f64 = 0.75;

/// The name that somebody may have meant.
pub fn nearest(name: &str) -> Option<&'static str> {
    // A slash alone is like every one of them.
    let typed = name.strip_prefix('/').filter(|typed| !typed.is_empty())?;
    let alike = |name: &str| strsim::jaro_winkler(name.trim_start_matches('/'), typed);
    let names = COMMANDS.iter().flat_map(|command| [command.name].into_iter().chain(command.aliases.iter().copied()));
    let best = names.filter(|name| !name.starts_with("//")).max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(best) >= ALIKE).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|command| [command.name].into_iter().chain(command.aliases.iter().copied()))
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.iter().all(|name| name.starts_with('/')));
    }

    #[test]
    fn whoever_mistypes_is_told_the_nearest() {
        for (typed, meant) in [
            ("/hsitory", "/history"),
            ("/whoo", "/who"),
            ("/stauts", "/status"),
            ("/exot", "/exit"),
            ("/quti", "/quit"),
        ] {
            assert_eq!(nearest(typed), Some(meant));
        }
        assert_eq!((nearest("/xyzzy"), nearest("/")), (None, None));
    }
}
