//! What a typed line means.

use super::commands;
use crate::history::{self, Recall};
use crate::ring::{Emoji, ModerationVerb, Name};

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
    Who(&'a str),
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
    /// A line that does something beside being said: what, and which line is meant where one is.
    Act(Doing<'a>),
    /// To be read by this member alone.
    Private(&'a str, &'a str),
    /// What is the topic?
    AskTopic,
    /// Go to this channel.
    Join(&'a str),
    /// Back to the lobby.
    Part,
    /// Which channels are there?
    List,
    /// Show no more of this member, or again; nobody: whom?
    Ignore(&'a str),
    /// Something is to be done to this member.
    Order(ModerationVerb, &'a str),
    /// A new key for the room.
    Rekey,
    /// A command with something that cannot be: why, for people.
    Wrong(String),
    /// A command that lacks something, or has too much.
    Misused(&'static commands::Command),
    /// No command.
    Unknown(&'a str),
}

/// What a line does that moderates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doing<'a> {
    /// Tell what one does.
    Me,
    /// Answer the line with this timestamp, or the last one, with these words.
    Reply(Option<u64>, &'a str),
    /// Put this to the line with this timestamp, or to the last one; or take it back.
    React {
        /// The line.
        ts: Option<u64>,
        /// What.
        with: Emoji,
        /// `false`: take it back.
        on: bool,
    },
    /// Have another name.
    Nick(Name),
    /// Set the channel's topic.
    Topic,
    /// Be away, or back.
    Away,
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
        "/who" if rest != whom => Meaning::Misused(command),
        "/who" => Meaning::Who(rest),
        "/status" => alone(Meaning::Status),
        "/ring" => alone(Meaning::Ring),
        "/clear" => alone(Meaning::Clear),
        "/rekey" => alone(Meaning::Rekey),
        "/history" if rest.is_empty() => Meaning::Recall(Recall::Newest(history::RECALL_LINES)),
        "/history" => rest.parse().map_or(Meaning::Misused(command), |lines| Meaning::Recall(Recall::Newest(lines))),
        "/search" => taking(Meaning::Recall(Recall::Words(rest))),
        "/save" => taking(Meaning::Save(rest)),
        "/ignore" => Meaning::Ignore(whom),
        "/kick" => taking(Meaning::Order(ModerationVerb::Kick, whom)),
        "/ban" => taking(Meaning::Order(ModerationVerb::Ban, whom)),
        "/unban" => taking(Meaning::Order(ModerationVerb::Unban, whom)),
        "/say" => taking(Meaning::Say(rest)),
        "/me" => taking(Meaning::Act(Doing::Me)),
        "/away" => Meaning::Act(Doing::Away),
        "/topic" if rest.is_empty() => Meaning::AskTopic,
        "/topic" => Meaning::Act(Doing::Topic),
        "/nick" if rest.is_empty() => Meaning::Misused(command),
        "/nick" => match Name::parse(rest) {
            Ok(name) => Meaning::Act(Doing::Nick(name)),
            Err(why) => Meaning::Wrong(format!("not done: {why}")),
        },
        "/reply" => match numbered(rest) {
            (_, "") => Meaning::Misused(command),
            (ts, words) => Meaning::Act(Doing::Reply(ts, words)),
        },
        "/like" | "/unlike" => match numbered(rest) {
            (ts, "") => Meaning::Act(Doing::React { ts, with: Emoji::like(), on: command.name == "/like" }),
            (_, _) => Meaning::Misused(command),
        },
        "/react" | "/unreact" => match (Emoji::parse(whom), numbered(rest[whom.len()..].trim_start())) {
            (Ok(with), (ts, "")) => Meaning::Act(Doing::React { ts, with, on: command.name == "/react" }),
            (Err(why), _) if !rest.is_empty() => Meaning::Wrong(format!("not sent: {why}")),
            (_, _) => Meaning::Misused(command),
        },
        "/msg" => match rest.split_once(char::is_whitespace) {
            Some((whom, words)) => Meaning::Private(whom, words.trim_start()),
            None => Meaning::Misused(command),
        },
        "/join" if rest != whom => Meaning::Misused(command),
        "/join" => taking(Meaning::Join(whom)),
        "/part" => alone(Meaning::Part),
        "/list" => alone(Meaning::List),
        _ => Meaning::Unknown(word),
    }
}

/// A line's number before what follows, if there is one: `120` or `[120]`.
fn numbered(text: &str) -> (Option<u64>, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let digits = first.strip_prefix('[').and_then(|first| first.strip_suffix(']')).unwrap_or(first);
    match digits.parse() {
        Ok(ts) => (Some(ts), rest.trim_start()),
        Err(_) => (None, text),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn a_slash_begins_a_command_and_a_second_one_a_path() {
        for (line, expected) in [
            ("/etc/hosts is text", Meaning::Say("/etc/hosts is text")),
            (" /who", Meaning::Say(" /who")),
            ("/who ", Meaning::Who("")),
            ("/who  bob", Meaning::Who("bob")),
            ("/quit", Meaning::Leave),
            ("//exit", Meaning::Leave),
            ("/q", Meaning::Leave),
            (" \t", Meaning::Nothing),
            ("hello /who", Meaning::Say("hello /who")),
            ("/say /who", Meaning::Say("/who")),
            ("/hsitory 5", Meaning::Unknown("/hsitory")),
            ("/history", Meaning::Recall(Recall::Newest(20))),
            ("/history  7 ", Meaning::Recall(Recall::Newest(7))),
            ("/search  two words ", Meaning::Recall(Recall::Words("two words"))),
            ("/rekey ", Meaning::Rekey),
            ("/kick bob", Meaning::Order(ModerationVerb::Kick, "bob")),
            ("/ban  bob he floods ", Meaning::Order(ModerationVerb::Ban, "bob")),
            ("/unban 0123456789", Meaning::Order(ModerationVerb::Unban, "0123456789")),
            ("/msg bob two words", Meaning::Private("bob", "two words")),
            ("/join #ops", Meaning::Join("#ops")),
            ("/topic", Meaning::AskTopic),
            ("/topic at six", Meaning::Act(Doing::Topic)),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        assert!(matches!(read("/nick a b"), Meaning::Wrong(_)));
        for line in
            ["/who is it", "/rekey now", "/history all", "/search  ", "/kick", "/like x", "/nick", "/msg bob", "/me"]
        {
            assert!(matches!(read(line), Meaning::Misused(_)), "{line}");
        }
    }

    #[test]
    fn a_line_is_meant_by_its_number_or_it_is_the_last() {
        let like = |ts, on| Meaning::Act(Doing::React { ts, with: Emoji::like(), on });
        assert_eq!(read("/like"), like(None, true));
        assert_eq!(read("/like 120"), like(Some(120), true));
        assert_eq!(read("/unlike [120]"), like(Some(120), false));
        let with = Emoji::parse("🎉").unwrap();
        assert_eq!(read("/react 🎉 7"), Meaning::Act(Doing::React { ts: Some(7), with: with.clone(), on: true }));
        assert_eq!(read("/unreact 🎉"), Meaning::Act(Doing::React { ts: None, with, on: false }));
        assert_eq!(read("/reply 7 well done"), Meaning::Act(Doing::Reply(Some(7), "well done")));
        assert_eq!(read("/reply well done"), Meaning::Act(Doing::Reply(None, "well done")));
        assert_eq!(read("/me waves"), Meaning::Act(Doing::Me));
    }
}
