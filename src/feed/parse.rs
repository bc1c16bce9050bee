//! What a typed line means.

use super::commands;
use crate::history::{self, RecallQuery};
use crate::ring::{Emoji, ModerationVerb, Name};

/// What a line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent<'a> {
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
    Recall(RecallQuery<'a>),
    /// All lines, into a file.
    Save(&'a str),
    /// The screen is to be emptied.
    Clear,
    /// A line that does something beside being said: what, and which line is meant where one is.
    Act(SocialAct<'a>),
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
    Misused(&'static commands::CommandHelp),
    /// No command.
    Unknown(&'a str),
}

/// What a line does that moderates nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocialAct<'a> {
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
pub fn read(line: &str) -> Intent<'_> {
    if line.trim().is_empty() {
        return Intent::Nothing;
    }
    if !line.starts_with('/') {
        return Intent::Say(line);
    }
    let (word, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(word, rest)| (word, rest.trim()));
    let Some(command) = commands::find(word) else {
        // What has a second slash is a path, no command.
        return match word[1..].contains('/') {
            true => Intent::Say(line),
            false => Intent::Unknown(word),
        };
    };
    let whom = rest.split_whitespace().next().unwrap_or(rest);
    let alone = |meaning| if rest.is_empty() { meaning } else { Intent::Misused(command) };
    let taking = |meaning| if rest.is_empty() { Intent::Misused(command) } else { meaning };
    match command.name {
        "/exit" => alone(Intent::Leave),
        "/help" => Intent::Help(rest),
        "/who" if rest != whom => Intent::Misused(command),
        "/who" => Intent::Who(rest),
        "/status" => alone(Intent::Status),
        "/ring" => alone(Intent::Ring),
        "/clear" => alone(Intent::Clear),
        "/rekey" => alone(Intent::Rekey),
        "/history" if rest.is_empty() => Intent::Recall(RecallQuery::Newest(history::RECALL_LINES)),
        "/history" => rest.parse().map_or(Intent::Misused(command), |lines| Intent::Recall(RecallQuery::Newest(lines))),
        "/search" => taking(Intent::Recall(RecallQuery::Words(rest))),
        "/save" => taking(Intent::Save(rest)),
        "/ignore" => Intent::Ignore(whom),
        "/kick" => taking(Intent::Order(ModerationVerb::Kick, whom)),
        "/ban" => taking(Intent::Order(ModerationVerb::Ban, whom)),
        "/unban" => taking(Intent::Order(ModerationVerb::Unban, whom)),
        "/say" => taking(Intent::Say(rest)),
        "/me" => taking(Intent::Act(SocialAct::Me)),
        "/away" => Intent::Act(SocialAct::Away),
        "/topic" if rest.is_empty() => Intent::AskTopic,
        "/topic" => Intent::Act(SocialAct::Topic),
        "/nick" if rest.is_empty() => Intent::Misused(command),
        "/nick" => match Name::parse(rest) {
            Ok(name) => Intent::Act(SocialAct::Nick(name)),
            Err(why) => Intent::Wrong(format!("not done: {why}")),
        },
        "/reply" => match numbered(rest) {
            (_, "") => Intent::Misused(command),
            (ts, words) => Intent::Act(SocialAct::Reply(ts, words)),
        },
        "/like" | "/unlike" => match numbered(rest) {
            (ts, "") => Intent::Act(SocialAct::React { ts, with: Emoji::like(), on: command.name == "/like" }),
            (_, _) => Intent::Misused(command),
        },
        "/react" | "/unreact" => match (Emoji::parse(whom), numbered(rest[whom.len()..].trim_start())) {
            (Ok(with), (ts, "")) => Intent::Act(SocialAct::React { ts, with, on: command.name == "/react" }),
            (Err(why), _) if !rest.is_empty() => Intent::Wrong(format!("not sent: {why}")),
            (_, _) => Intent::Misused(command),
        },
        "/msg" => match rest.split_once(char::is_whitespace) {
            Some((whom, words)) => Intent::Private(whom, words.trim_start()),
            None => Intent::Misused(command),
        },
        "/join" if rest != whom => Intent::Misused(command),
        "/join" => taking(Intent::Join(whom)),
        "/part" => alone(Intent::Part),
        "/list" => alone(Intent::List),
        _ => Intent::Unknown(word),
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
            ("/etc/hosts is text", Intent::Say("/etc/hosts is text")),
            (" /who", Intent::Say(" /who")),
            ("/who ", Intent::Who("")),
            ("/who  bob", Intent::Who("bob")),
            ("/quit", Intent::Leave),
            ("//exit", Intent::Leave),
            ("/q", Intent::Leave),
            (" \t", Intent::Nothing),
            ("hello /who", Intent::Say("hello /who")),
            ("/say /who", Intent::Say("/who")),
            ("/hsitory 5", Intent::Unknown("/hsitory")),
            ("/history", Intent::Recall(RecallQuery::Newest(20))),
            ("/history  7 ", Intent::Recall(RecallQuery::Newest(7))),
            ("/search  two words ", Intent::Recall(RecallQuery::Words("two words"))),
            ("/rekey ", Intent::Rekey),
            ("/kick bob", Intent::Order(ModerationVerb::Kick, "bob")),
            ("/ban  bob he floods ", Intent::Order(ModerationVerb::Ban, "bob")),
            ("/unban 0123456789", Intent::Order(ModerationVerb::Unban, "0123456789")),
            ("/msg bob two words", Intent::Private("bob", "two words")),
            ("/join #ops", Intent::Join("#ops")),
            ("/topic", Intent::AskTopic),
            ("/topic at six", Intent::Act(SocialAct::Topic)),
        ] {
            assert_eq!(read(line), expected, "{line}");
        }
        assert!(matches!(read("/nick a b"), Intent::Wrong(_)));
        for line in
            ["/who is it", "/rekey now", "/history all", "/search  ", "/kick", "/like x", "/nick", "/msg bob", "/me"]
        {
            assert!(matches!(read(line), Intent::Misused(_)), "{line}");
        }
    }

    #[test]
    fn a_line_is_meant_by_its_number_or_it_is_the_last() {
        let like = |ts, on| Intent::Act(SocialAct::React { ts, with: Emoji::like(), on });
        assert_eq!(read("/like"), like(None, true));
        assert_eq!(read("/like 120"), like(Some(120), true));
        assert_eq!(read("/unlike [120]"), like(Some(120), false));
        let with = Emoji::parse("🎉").unwrap();
        assert_eq!(read("/react 🎉 7"), Intent::Act(SocialAct::React { ts: Some(7), with: with.clone(), on: true }));
        assert_eq!(read("/unreact 🎉"), Intent::Act(SocialAct::React { ts: None, with, on: false }));
        assert_eq!(read("/reply 7 well done"), Intent::Act(SocialAct::Reply(Some(7), "well done")));
        assert_eq!(read("/reply well done"), Intent::Act(SocialAct::Reply(None, "well done")));
        assert_eq!(read("/me waves"), Intent::Act(SocialAct::Me));
    }
}
