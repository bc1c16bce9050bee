//! What a typed line means, and its way to the node.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::failure::complain;
use crate::history::{self, Recall};
use crate::net::Command;
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::ring::{AuthorId, Member, Name, Order, Role, Status, Text, TextError, Verb};
use crate::ui::format::{self, Who};
use crate::ui::pipe::Typed;
use crate::ui::screen::Screen;

/// What there is to type besides lines, on a terminal.
pub const HELP: [&str; 11] = [
    "type a line and press Enter to say it",
    "/who            who is here, and who is banned",
    "/status         how this node is doing",
    "/history [N]    the newest N lines, with their time (20)",
    "/search WORDS   the lines with these words",
    "/kick NAME [WHY]     put a member out; it may come again",
    "/ban NAME [WHY]      put somebody out for good (also by author: /status)",
    "/unban NAME|AUTHOR   let a banned one in again",
    "/rekey          a new key for the room; who is not here needs an invite",
    "/exit           leave (also /quit, //exit, Ctrl-D, Ctrl-C)",
    "a line that is to begin with a slash: put a space before it",
];

/// Takes what is typed, in order, and waits while the node has no room for it.
#[derive(Debug)]
pub struct Talk {
    /// Lines go here.
    pub commands: mpsc::Sender<Command>,
    /// Questions go here.
    pub urgent: mpsc::Sender<Command>,
    /// Answers go here.
    pub screen: Screen,
    /// There is a terminal: slash commands are understood.
    pub terminal: bool,
    /// Set once the node is leaving: nothing more is said.
    pub leaving: Arc<AtomicBool>,
    /// Counts what is said.
    pub lines: OwnLines,
    /// The file with the history, if one is kept.
    pub past: Option<PathBuf>,
}

/// How many lines were typed in this run, and how many of them stand in the log.
#[derive(Clone, Debug, Default)]
pub struct OwnLines(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    said: AtomicU64,
    ordered: AtomicU64,
}

impl OwnLines {
    /// One more was handed to the node.
    pub fn say(&self) {
        self.0.said.fetch_add(1, Ordering::AcqRel);
    }

    /// The log holds the line of this number: lines are numbered from 1 in the order in which they were said.
    pub fn witness(&self, n: u64) {
        self.0.ordered.fetch_max(n, Ordering::AcqRel);
    }

    /// The number of the last one in the log.
    pub fn ordered(&self) -> u64 {
        self.0.ordered.load(Ordering::Acquire)
    }

    /// How many are not in the log.
    pub fn waiting(&self) -> u64 {
        self.0.said.load(Ordering::Acquire).saturating_sub(self.ordered())
    }
}

/// What a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning<'a> {
    Nothing,
    Say,
    Leave,
    Help,
    Who,
    Status,
    Recall(Recall<'a>),
    Order(Verb, &'a str),
    Rekey,
    /// A command that lacks something, and how it is used.
    Lacks(&'a str),
    Unknown(&'a str),
}

fn meaning(line: &str, terminal: bool) -> Meaning<'_> {
    match line.trim() {
        "" => return Meaning::Nothing,
        "//exit" | "/exit" => return Meaning::Leave,
        _ => {}
    }
    if !terminal || !line.starts_with('/') {
        return Meaning::Say;
    }
    let (command, rest) =
        line.split_once(char::is_whitespace).map_or((line, ""), |(command, rest)| (command, rest.trim()));
    match (command, rest) {
        ("/quit" | "//quit", "") => Meaning::Leave,
        ("/help" | "/?", "") => Meaning::Help,
        ("/who", "") => Meaning::Who,
        ("/status", "") => Meaning::Status,
        ("/history", "") => Meaning::Recall(Recall::Newest(history::RECALL_LINES)),
        ("/history", number) => match number.parse() {
            Ok(lines) => Meaning::Recall(Recall::Newest(lines)),
            Err(_) => Meaning::Lacks("/history takes a number of lines, as in /history 50"),
        },
        ("/rekey", "") => Meaning::Rekey,
        ("/kick", whom) if !whom.is_empty() => Meaning::Order(Verb::Kick, first_word(whom)),
        ("/ban", whom) if !whom.is_empty() => Meaning::Order(Verb::Ban, first_word(whom)),
        ("/unban", whom) if !whom.is_empty() => Meaning::Order(Verb::Unban, first_word(whom)),
        ("/kick", _) => Meaning::Lacks("/kick takes a name, as in /kick bob too many lines"),
        ("/ban", _) => Meaning::Lacks("/ban takes a name or an author's id, as in /ban bob too many lines"),
        ("/unban", _) => Meaning::Lacks("/unban takes the name or the author's id of somebody who is banned"),
        ("/search", "") => Meaning::Lacks("/search takes words, as in /search deploy"),
        ("/search", words) => Meaning::Recall(Recall::Words(words)),
        _ => Meaning::Unknown(line.trim_end()),
    }
}

fn first_word(words: &str) -> &str {
    words.split_whitespace().next().unwrap_or(words)
}

impl Talk {
    /// Takes one line of input. `false`: no more is wanted.
    pub fn take(&self, typed: &Typed) -> bool {
        let line = match typed {
            _ if self.leaving.load(Ordering::Acquire) => return false,
            Typed::Line(line) => line,
            Typed::TooLong { bytes } => {
                self.refuse(&format!("a line of {bytes} bytes was not sent: at most {TEXT_BYTES_MAX} are allowed"));
                return true;
            }
        };
        match meaning(line, self.terminal) {
            Meaning::Nothing => true,
            Meaning::Leave => false,
            Meaning::Say => self.say(line),
            Meaning::Help => {
                HELP.into_iter().for_each(|line| self.screen.event(line));
                true
            }
            Meaning::Who => self.answer(who),
            Meaning::Status => self.answer(status),
            Meaning::Recall(asked) => {
                self.recall(asked);
                true
            }
            Meaning::Order(verb, whom) => {
                self.act(line, |text, taken| Command::Order(Order { verb, whom: whom.to_owned(), text }, taken))
            }
            Meaning::Rekey => self.act(line, Command::Rekey),
            Meaning::Lacks(usage) => {
                self.screen.event(usage);
                true
            }
            Meaning::Unknown(command) => {
                let command = command.split_whitespace().next().unwrap_or(command);
                self.screen.event(&format!("{command} is no command, and was not sent; /help lists what there is"));
                true
            }
        }
    }

    fn say(&self, line: &str) -> bool {
        match Text::parse(line) {
            Ok(text) => {
                self.lines.say();
                self.commands.blocking_send(Command::Say(text)).is_ok()
            }
            Err(TextError::Blank) => true,
            // A paste of several lines.
            Err(TextError::Newline) => line.lines().all(|line| self.take(&Typed::Line(line.to_owned()))),
            Err(TextError::TooLong { bytes }) => self.take(&Typed::TooLong { bytes: bytes as u64 }),
        }
    }

    /// Has something done; the line says so to all.
    fn act(&self, line: &str, command: impl FnOnce(Text, oneshot::Sender<bool>) -> Command) -> bool {
        let Ok(text) = Text::parse(line.trim_end()) else { return true };
        let (taken, answer) = oneshot::channel();
        if self.commands.blocking_send(command(text, taken)).is_err() {
            return false;
        }
        if let Ok(true) = answer.blocking_recv() {
            self.lines.say();
        }
        true
    }

    fn recall(&self, asked: Recall<'_>) {
        let Some(past) = &self.past else {
            self.screen.event("nothing is kept here: this node runs with --ephemeral");
            return;
        };
        let (heading, lines) = history::recall(past, asked);
        let mut answer = String::new();
        format::push_screen_event(&mut answer, &heading);
        // In one piece: nothing that arrives comes in between.
        self.screen.push(&(answer + &lines));
    }

    /// A word on standard error, or, where that would tear what is being typed, above it.
    fn refuse(&self, why: &str) {
        match self.terminal {
            true => self.screen.event(why),
            false => complain(format_args!("dist-chat: {why}")),
        }
    }

    fn answer(&self, tell: fn(&Status) -> Vec<String>) -> bool {
        let (ask, answer) = oneshot::channel();
        if self.urgent.blocking_send(Command::Status(ask)).is_err() {
            return false;
        }
        if let Ok(status) = answer.blocking_recv() {
            tell(&status).iter().for_each(|line| self.screen.event(line));
        }
        true
    }
}

fn who(status: &Status) -> Vec<String> {
    let leader = status.epoch.map(|epoch| epoch.leader);
    let tell = |member: &Member| {
        let who = format!("{}, author {}", Who::from(member), member.author.short());
        match (member.uid == status.uid, Some(member.uid) == leader) {
            (true, true) => format!("{who}, you, the leader"),
            (true, false) => format!("{who}, you"),
            (false, true) => format!("{who}, the leader"),
            (false, false) => who,
        }
    };
    let banned = |(author, name): &(AuthorId, Option<Name>)| match name {
        Some(name) => format!("banned: {name}, author {}", author.short()),
        None => format!("banned: author {}", author.short()),
    };
    status.members.iter().map(tell).chain(status.banned.iter().map(banned)).collect()
}

fn status(status: &Status) -> Vec<String> {
    let room = status.room.map_or_else(|| "no room yet".to_owned(), |room| format!("room {room}"));
    let role = match status.role {
        Role::Leader => "the leader",
        Role::Follower => "a follower",
        Role::Electing => "looking for a leader",
        Role::Joining => "on the way in",
    };
    let members = status.members.len();
    vec![
        format!("{} is {role} in {room}", Who(&status.name, status.uid)),
        format!("author {}", status.author),
        format!("{members} here, {} entries in the log, {} own lines waiting", status.tail.index.0, status.waiting),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_a_pipe_only_exit_is_a_command() {
        for (line, expected) in [
            ("/etc/hosts", Meaning::Say),
            ("/who", Meaning::Say),
            ("//exit", Meaning::Leave),
            ("/exit ", Meaning::Leave),
            (" \t", Meaning::Nothing),
            ("say /exit", Meaning::Say),
        ] {
            assert_eq!(meaning(line, false), expected, "{line}");
        }
    }

    #[test]
    fn on_a_terminal_a_slash_begins_a_command() {
        for (line, expected) in [
            ("/etc/hosts", Meaning::Unknown("/etc/hosts")),
            (" /etc/hosts", Meaning::Say),
            ("/who ", Meaning::Who),
            ("/quit", Meaning::Leave),
            ("//exit", Meaning::Leave),
            ("hello /who", Meaning::Say),
            ("/who is it", Meaning::Unknown("/who is it")),
            ("/history", Meaning::Recall(Recall::Newest(20))),
            ("/history  7 ", Meaning::Recall(Recall::Newest(7))),
            ("/search  two words ", Meaning::Recall(Recall::Words("two words"))),
            ("/rekey ", Meaning::Rekey),
            ("/rekey now", Meaning::Unknown("/rekey now")),
            ("/kick bob", Meaning::Order(Verb::Kick, "bob")),
            ("/ban  bob he floods ", Meaning::Order(Verb::Ban, "bob")),
            ("/unban 0123456789", Meaning::Order(Verb::Unban, "0123456789")),
        ] {
            assert_eq!(meaning(line, true), expected, "{line}");
        }
        for line in ["/history all", "/history -1", "/search", "/search  ", "/kick", "/ban ", "/unban"] {
            assert!(matches!(meaning(line, true), Meaning::Lacks(_)), "{line}");
        }
    }
}
