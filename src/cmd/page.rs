//! A page of the manual: the text about a command beside its flags. Each command has its page in its own file.

/// Paragraphs.
pub(crate) type Says = &'static [&'static str];

/// A page of the manual.
#[derive(Debug)]
pub(crate) struct ManualPage {
    /// The subcommand; empty: the program itself.
    pub command: &'static str,
    /// How to call it.
    pub usage: Says,
    /// What it does.
    pub says: Says,
    /// Pairs of an example's purpose and its command line.
    pub examples: &'static [(&'static str, &'static str)],
    /// The exit codes that the command can end with; see [`EXITS`].
    pub exits: &'static [&'static str],
    /// The text of `--help`. It fits a terminal of 24 lines and 80 columns.
    pub help: &'static str,
}

/// The exit codes of the program.
pub(crate) const EXITS: [(&str, &str); 8] = [
    ("0", "done, or left as asked"),
    ("1", "a mistake of the program"),
    ("2", "usage: the command line, the environment or the configuration makes no sense"),
    ("3", "cannot listen: the address is not of this machine, or the port is taken"),
    ("4", "nobody is reachable, or no node of yours runs there, or it has ended without a good-bye"),
    ("5", "refused: a taken name, another room, another key, another version, a ban, a full room"),
    ("6", "files are unusable: locked by another node, damaged, not writable"),
    ("7", "left with lines that no leader has ordered; they are kept in the files"),
];
