//! Sends the lines of a pipe to the node. A few commands leave the room; every other line is a message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::pipe::InputLine;
use crate::failure::complain;
use crate::feed::own_lines::OwnLines;
use crate::net::Command;
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::ring::{Text, TextError};

/// Sends typed lines in order, and blocks while the node's queue is full.
#[derive(Debug)]
pub struct StdinSender {
    /// The node's queue.
    pub commands: mpsc::Sender<Command>,
    /// Set once the node is leaving; further lines are dropped.
    pub leaving: Arc<AtomicBool>,
    /// Counts the lines sent.
    pub lines: OwnLines,
}

/// Whether a line typed in a pipe or terminal leaves the room.
pub fn leaves(line: &str) -> bool {
    matches!(line.trim(), "//exit" | "/exit")
}

impl StdinSender {
    /// Sends one line of input. `false`: the caller can stop reading.
    pub fn take(&self, typed: &InputLine) -> bool {
        match typed {
            _ if self.leaving.load(Ordering::Acquire) => false,
            InputLine::Line(line) => !leaves(line) && self.say(line),
            InputLine::TooLong { bytes } => {
                refuse(*bytes);
                true
            }
        }
    }

    fn say(&self, line: &str) -> bool {
        match Text::parse(line) {
            Ok(text) => {
                self.lines.say();
                self.commands.blocking_send(Command::Say(text.into(), None)).is_ok()
            }
            Err(TextError::Blank) => true,
            Err(TextError::Newline) => line.lines().all(|line| self.say(line)),
            Err(TextError::TooLong { bytes }) => {
                refuse(bytes as u64);
                true
            }
        }
    }
}

/// Reports a line that is too long, on standard error.
pub fn refuse(bytes: u64) {
    complain(format_args!("dist-chat: a line of {bytes} bytes was not sent: at most {TEXT_BYTES_MAX} are allowed"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_a_pipe_only_exit_is_a_command() {
        for (line, expected) in
            [("/etc/hosts", false), ("/who", false), ("//exit", true), ("/exit ", true), ("say /exit", false)]
        {
            assert_eq!(leaves(line), expected, "{line}");
        }
    }
}
