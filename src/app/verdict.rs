//! Turns the end of a run into a message for the user and an exit code.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::net::reach;
use crate::present::refusal;
use crate::ring::Stop;
use crate::settings::Chat;

/// Judges a node's end. `unordered`: own lines that are not in the log.
///
/// # Errors
/// Every end, except that the node left with nothing waiting.
pub fn of(stop: Stop, unordered: u64, chat: &Chat, contacts: &[SocketAddr], lived: Duration) -> Result<(), Failure> {
    match stop {
        Stop::Left { waiting } => match waiting.max(unordered) {
            0 => Ok(()),
            lines => Err(waiting_lines(lines, chat.ephemeral)),
        },
        Stop::Unreachable => Err(reach::unreachable(contacts, lived)),
        Stop::Refused(why) => Err(refusal::explain(&why, &chat.name)),
    }
}

/// The failure when standard output took no more although it had a reader.
pub(super) fn unwritten(error: &io::Error) -> Failure {
    Failure::new(
        Exit::Files,
        "cannot write standard output any more; left the room",
        error.to_string(),
        "what was typed has been said; what was told stands in the history",
    )
}

fn waiting_lines(lines: u64, ephemeral: bool) -> Failure {
    let what = match lines {
        1 => "left with one line that nobody else has".to_owned(),
        _ => format!("left with {lines} lines that nobody else has"),
    };
    Failure::new(
        Exit::Waiting,
        what,
        "no leader ordered them, or no other member took them, in time",
        match ephemeral {
            true => "they are gone: nothing is kept with --ephemeral",
            false => "they are kept in the files: start again, and they go out first",
        },
    )
}
