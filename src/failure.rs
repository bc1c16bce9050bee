//! How the program ends: exit codes, and what a person is told when it could not do as asked.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::text;

/// Says something on standard error. Where that cannot be written, the exit code must do.
pub fn complain(what: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Standard output takes no more.
pub fn cannot_write(error: &io::Error) -> Failure {
    Failure::new(Exit::Files, "cannot write what was found", error.to_string(), "")
}

/// The program's exit codes. Scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Left as asked.
    Left = 0,
    /// A mistake of the program.
    Internal = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The address is not ours, or the port is taken.
    CannotListen = 3,
    /// No member of the room, or no node to ask, answers.
    Unreachable = 4,
    /// The room would not have us.
    Refused = 5,
    /// A file is locked, damaged or not writable.
    Files = 6,
    /// Left with lines that nobody has ordered.
    Waiting = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong, why, and what to try: three lines on standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What could not be done.
    pub what: String,
    /// Why; may have several lines.
    pub why: String,
    /// What to try; may be empty.
    pub hint: String,
}

impl Failure {
    /// A failure with all three parts; an empty part is left out when it is shown.
    pub fn new(exit: Exit, what: impl Into<String>, why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: why.into(), hint: hint.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Internal, format!("{error:#}"), "this is a mistake of the program", "")
    }
}

impl fmt::Display for Failure {
    /// Parts may quote foreign text (names of other nodes, host names): it is made visible here.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dist-chat: {}", text::visible(&self.what))?;
        for part in [&self.why, &self.hint] {
            for line in part.lines() {
                write!(f, "\n  {}", text::visible(line))?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_to_try() {
        let failure = Failure::new(
            Exit::Unreachable,
            "cannot reach 192.168.1.20:2428 (connection refused, tried for 5 s)",
            "nothing listens there, or a firewall refuses it",
            "try `dist-chat status` on that machine, or another member's address",
        );
        assert_eq!(
            failure.to_string(),
            "dist-chat: cannot reach 192.168.1.20:2428 (connection refused, tried for 5 s)\n  nothing listens there, or \
             a firewall refuses it\n  try `dist-chat status` on that machine, or another member's address"
        );
        assert!(!Failure::new(Exit::Usage, "\x1b[2J", "", "").to_string().contains('\x1b'));
    }
}
