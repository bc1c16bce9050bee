//! How a run ended, as the person is told.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::place;
use crate::failure::{Exit, Failure};
use crate::ring::limits::{BOOK_NODES_MAX, PROTOCOL_VERSION};
use crate::ring::{Name, Refusal, Stop};
use crate::settings::Chat;

/// Judges a node's end. `unordered`: own lines that are not in the log.
///
/// # Errors
/// Everything but having left with nothing waiting.
pub fn of(stop: Stop, unordered: u64, chat: &Chat, contacts: &[SocketAddr], lived: Duration) -> Result<(), Failure> {
    match stop {
        Stop::Left { waiting } => match waiting.max(unordered) {
            0 => Ok(()),
            lines => Err(waiting_lines(lines, chat.ephemeral)),
        },
        Stop::Unreachable => Err(place::unreachable(contacts, lived)),
        Stop::Refused(refusal) => Err(refused(&refusal, &chat.name)),
    }
}

/// Standard output has taken no more, and somebody was to read it.
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

/// What it means that a room will not have a node of this name.
pub(crate) fn refused(refusal: &Refusal, name: &Name) -> Failure {
    let new = |what: String, why: &str, hint: String| Failure::new(Exit::Refused, what, why, hint);
    let own = PROTOCOL_VERSION;
    match refusal {
        Refusal::Name(free) => new(
            format!("the name {name} is taken in this room"),
            "two members cannot share one, upper and lower case alike",
            format!("try `-n {free}`"),
        ),
        Refusal::Version(theirs) => new(
            format!("the room speaks version {theirs} of the protocol, this program version {own}"),
            "they do not understand each other",
            format!("try the program that speaks version {}", theirs),
        ),
        Refusal::Room(room) => new(
            format!("that node is in another room, {room}"),
            "a node never merges with another room",
            "try a member of your own room".to_owned(),
        ),
        Refusal::Full => new(
            "the room is full".to_owned(),
            "it has as many members as it can hold",
            format!("a room holds {BOOK_NODES_MAX}; try again when somebody has left"),
        ),
        Refusal::SameAddress => new(
            "that node has the address that this one advertises".to_owned(),
            "others could not tell the two apart",
            "try another --advertise, or another member with -na".to_owned(),
        ),
        Refusal::KeyNeeded => new(
            "the room has a key, and this program was given none".to_owned(),
            "only who knows the key is let in, and nothing is said in clear",
            "ask a member for the key file or an invite; try `--key-file FILE`".to_owned(),
        ),
        Refusal::WrongKey => new(
            "the room has another key".to_owned(),
            "the key that this program was given does not open its door",
            "ask a member for the key file or an invite of this room; try `--key-file FILE`".to_owned(),
        ),
        Refusal::NoKey => new(
            "the room has no key, and this program was given one".to_owned(),
            "what is said there can be read by anybody on the way",
            "try again without the key, if that is what you want; or another member with -na".to_owned(),
        ),
        Refusal::Forger => new(
            "the room has put this node out".to_owned(),
            "it has handed on lines that their authors have not signed",
            "look for damage on this machine's disk; the chat log of the other node says whose lines they were"
                .to_owned(),
        ),
        Refusal::Kicked(verdict) => new(
            format!("{} has put this node out of the room", verdict.by),
            verdict.say.as_str(),
            "start again to come back".to_owned(),
        ),
        Refusal::Banned(verdict) => new(
            format!("{} has banned this node from the room", verdict.by),
            verdict.say.as_str(),
            "ask a member for an `/unban`".to_owned(),
        ),
        Refusal::Protocol => new(
            "the room has cut the connection".to_owned(),
            "it found a mistake in what this program said, or a newer node has this address",
            "try again; look into the chat log of the other node".to_owned(),
        ),
    }
}
