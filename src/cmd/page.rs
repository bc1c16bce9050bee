//! A page of the manual: what is said of a command beside its flags. Each command has one in its own file.

/// Paragraphs.
pub(crate) type Says = &'static [&'static str];

/// A page of the manual.
#[derive(Debug)]
pub(crate) struct Page {
    /// The subcommand; empty: the program itself.
    pub command: &'static str,
    /// How it is called.
    pub usage: Says,
    /// What it does.
    pub says: Says,
    /// What a line does, and the line.
    pub examples: &'static [(&'static str, &'static str)],
    /// The exit codes that it ends with, of [`EXITS`].
    pub exits: &'static [&'static str],
    /// What `--help` prints: it fits a terminal of 24 lines and 80 columns.
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
    ("7", "left with lines that nobody has ordered; they are kept in the files"),
];
