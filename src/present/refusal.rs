//! Why a room refuses a node, in words.

use crate::failure::{Exit, Failure};
use crate::ring::limits::{BOOK_NODES_MAX, PROTOCOL_VERSION};
use crate::ring::{Name, Refusal};

/// What a person reads when a room refuses a node of this name: what, why, what to try.
pub fn explain(refusal: &Refusal, name: &Name) -> Failure {
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
            "everybody on the network path can read the messages there",
            "try again without the key, if that is what you want; or another member with -na".to_owned(),
        ),
        Refusal::Forger => new(
            "the room has put this node out".to_owned(),
            "it relayed lines that their authors have not signed",
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
