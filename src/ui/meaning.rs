//! What a typed line means.

use super::commands;
use crate::history::{self, Recall};
use crate::ring::Verb;

/// What a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// It is blank.
    Nothing,
    /// These words are to be said.
    Say(&'a str),
    /// Somebody wants to leave.
    Leave,
    /// What is there to type, or more about one command.
    Help(&'a str),
    /// Who is here.
    Who,
    /// How the node is doing.
    Status,
    /// The ring, drawn.
    Ring,
    /// Older lines.
    Recall(Recall<'a>),
    /// All lines, into a file.
    Save(&'a str),
    /// The screen is to be emptied.
    Clear,
    /// Show no more of this member, or again; nobody: whom?
    Ignore(&'a str),
    /// Something is to be done to this member.
    Order(Verb, &'a str),
    /// A new key for the room.
    Rekey,
    /// A command that lacks something, or has too much.
    Misused(&'static commands::Command),
    /// No command.
    Unknown(&'a str),
}

/// Reads a line that a person has typed on a terminal.
pub fn read(line: &str) -> Meaning<'_> {
    if line.trim().is_empty() {
        return Meaning::Nothing;
    }
    if !line.starts_with('/') {
        return Meaning::Say(line);
    }
    let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let Some(command) = commands::find(word) else {
        // What has a second slash is a path, no command.
        return match word[1..].contains('/') {
            true => Meaning::Say(line),
            false => Meaning::Unknown(word),
        };
    };
    let whom = rest.split_whitespace().next().unwrap_or(rest);
    let alone = |meaning| if rest.is_empty() { meaning } else { Meaning::Misused(command) };
    let taking = |meaning| if rest.is_empty() { Meaning::Misused(command) } else { meaning };
    match command.name {
        "/exit" => alone(Meaning::Leave),
        "/help" => Meaning::Help(rest),
        "/who" => alone(Meaning::Who),
        "/status" => alone(Meaning::Status),
        "/ring" => alone(Meaning::Ring),
        "/clear" => alone(Meaning::Clear),
        "/rekey" => alone(Meaning::Rekey),
        "/history" if rest.is_empty() => Meaning::Recall(Recall::Newest(history::RECALL_LINES)),
        "/history" => rest.parse().map_or(Meaning::Misused(command), |lines| Meaning::Recall(Recall::Newest(lines))),
        "/search" => taking(Meaning::Recall(Recall::Words(rest))),
        "/save" => taking(Meaning::Save(rest)),
        "/ignore" => Meaning::Ignore(whom),
        "/kick" => taking(Meaning::Order(Verb::Kick, whom)),
        "/ban" => taking(Meaning::Order(Verb::Ban, whom)),
        "/unban" => taking(Meaning::Order(Verb::Unban, whom)),
        "/say" => taking(Meaning::Say(rest)),
        _ => Meaning::Unknown(word),
    }
}
