//! What is answered to a person who asks about the node and its room, as lines.

use std::time::Duration;

use super::commands::{self, COMMANDS, CommandHelp};
use super::view::ClientView;
use crate::present::report::RoleWord;
use crate::present::values::{self, FeedMember, FeedState};
use crate::ring::{AuthorId, Channel, Name};
use crate::text;

/// A span as people say it: `12 ms`, `1.5 s`.
pub fn span(span: Duration) -> String {
    match span.as_micros() {
        0..1_000 => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        1_000..1_000_000 => format!("{} ms", span.as_millis()),
        1_000_000..60_000_000 => format!("{:.1} s", span.as_secs_f64()),
        _ => format!("{} min", span.as_secs() / 60),
    }
}

fn lines(count: u64) -> String {
    match count {
        1 => "one line".to_owned(),
        _ => format!("{count} lines"),
    }
}

/// `/help`: every command, or one of them.
pub fn help(about: &str) -> Result<(String, Vec<String>), String> {
    if about.is_empty() {
        let width = COMMANDS.iter().map(|command| command.usage().len()).max().unwrap_or(0);
        let tell = |command: &CommandHelp| format!("{:width$}  {}", command.usage(), command.does);
        return Ok((
            "type a line and press Enter to say it; what begins with a slash is a command".to_owned(),
            COMMANDS.iter().map(tell).collect(),
        ));
    }
    let name = format!("/{}", about.trim_start_matches('/'));
    let command = commands::find(&name).or_else(|| commands::find(&format!("/{name}")));
    let Some(command) = command else { return Err(unknown(&name)) };
    let mut more: Vec<String> = command.more.iter().map(|&line| line.to_owned()).collect();
    if !command.aliases.is_empty() {
        more.push(format!("also: {}", command.aliases.join(", ")));
    }
    Ok((format!("{}: {}", command.usage(), command.does), more))
}

/// No such command.
pub fn unknown(name: &str) -> String {
    match commands::nearest(name) {
        Some(nearest) => format!("{name} is no command, and was not sent; did you mean {nearest}?"),
        None => format!("{name} is no command, and was not sent; /help lists what there is, /say says it as it is"),
    }
}

/// How a command is used.
pub fn misused(command: &CommandHelp) -> String {
    format!("use: {} ({})", command.usage(), command.does)
}

/// `/who`.
pub fn who(state: &FeedState, banned: &[(AuthorId, Option<Name>)]) -> (String, Vec<String>) {
    let names = state.members.iter().map(|member| format!("{}({})", member.name, member.address));
    let width = names.clone().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut told: Vec<String> = state
        .members
        .iter()
        .zip(names)
        .map(|(member, name)| format!("{name:width$}  author {}{}", member.author.short(), marks(state, member)))
        .collect();
    told.extend(banned.iter().map(|(author, name)| match name {
        Some(name) => format!("banned: {name}, author {}", author.short()),
        None => format!("banned: author {}", author.short()),
    }));
    (format!("{} here", state.members.len()), told)
}

/// `/who NAME`.
///
/// # Errors
/// Nobody of that name is here.
pub fn who_is(state: &FeedState, name: &str) -> Result<(String, Vec<String>), String> {
    let folded = name.to_lowercase();
    let found: Vec<&FeedMember> = state.members.iter().filter(|member| member.name.folded() == folded).collect();
    match found.first() {
        // Two programs of one author may have one name.
        Some(first) => Ok((
            format!("{}, in full", first.name),
            found
                .into_iter()
                .map(|member| {
                    format!("{}({})  author {}{}", member.name, member.address, member.author, marks(state, member))
                })
                .collect(),
        )),
        None => Err(format!("nobody here is called {}; /who lists all", text::visible(name))),
    }
}

fn marks(state: &FeedState, member: &FeedMember) -> String {
    let mut marks = String::new();
    let mut mark = |what: &str| {
        marks.push_str(", ");
        marks.push_str(what);
    };
    if member.address == state.address {
        mark("you");
    }
    if Some(member.address) == state.leader {
        mark("the leader");
    }
    if let Some(rtt) = member.rtt_us {
        mark(&format!("round trip {}", span(Duration::from_micros(rtt))));
    }
    match member.behind {
        None | Some(0) => {}
        Some(behind) => mark(&format!("{behind} behind")),
    }
    if let Some(why) = &member.away {
        mark(&match why.as_str() {
            "" => "away".to_owned(),
            why => format!("away: {}", text::visible(why)),
        });
    }
    marks
}

/// `/status`.
pub fn status(state: &FeedState, author: AuthorId) -> (String, Vec<String>) {
    let room = state.room.map_or_else(|| "no room yet".to_owned(), |room| format!("room {room}"));
    let role = match state.role {
        RoleWord::Leader => "the leader",
        RoleWord::Follower => "a follower",
        RoleWord::Electing => "looking for a leader",
        RoleWord::Joining => "on the way in",
    };
    let leader = state.leader.map_or_else(|| "nobody leads".to_owned(), |leader| format!("{leader} leads"));
    let told = vec![
        format!("author {author}"),
        match state.round {
            Some(round) => format!("{leader}, since election {round}"),
            None => leader,
        },
        format!(
            "{} here, {} entries in the log, {} of your own waiting",
            state.members.len(),
            state.last,
            lines(state.waiting)
        ),
    ];
    (format!("{}({}) is {role} in {room}", state.name, state.address), told)
}

/// `/list`: the channels, with what is unread there.
pub fn list(state: &FeedState, view: &ClientView) -> (String, Vec<String>) {
    let here = Channel::name_of(view.channel());
    let tell = |channel: &values::FeedChannel| {
        let mut told = format!("#{}  {}", channel.name, lines(channel.lines));
        if channel.name == here {
            told.push_str(", you are here");
        }
        match view.unread_in(&channel.name) {
            0 => {}
            unread => told.push_str(&format!(", {unread} unread")),
        }
        if let Some(topic) = &channel.topic {
            told.push_str(": ");
            text::push_visible(&mut told, topic);
        }
        told
    };
    let heading = match state.channels.len() {
        1 => "one channel; /join #NAME makes another".to_owned(),
        count => format!("{count} channels"),
    };
    (heading, state.channels.iter().map(tell).collect())
}

/// `/ring`: the members in ring order, each with the link to it.
pub fn ring(state: &FeedState) -> (String, Vec<String>) {
    let count = state.members.len();
    let mut told = Vec::with_capacity(2 * count);
    for (place, member) in state.members.iter().enumerate() {
        let corner = match (place, count) {
            (_, 1) => "o",
            (0, _) => "┌▶",
            (place, count) if place + 1 == count => "└─",
            _ => "│ ",
        };
        let mark = if Some(member.address) == state.leader { '*' } else { ' ' };
        told.push(format!("{corner} {mark} {}({}){}", member.name, member.address, place_marks(state, member)));
        if place + 1 < count {
            told.push("│  ▼".to_owned());
        }
    }
    let leader = if state.leader.is_some() { "* leads" } else { "nobody leads" };
    (format!("the ring of {count}, each to the next; {leader}"), told)
}

fn place_marks(state: &FeedState, member: &FeedMember) -> String {
    let mut marks = String::new();
    if member.address == state.address {
        marks.push_str(", you");
    } else if Some(member.address) == state.next {
        marks.push_str(", next to you");
    } else if Some(member.address) == state.prev {
        marks.push_str(", before you");
    }
    if let Some(link) = member.link {
        match link.up {
            true if link.silent_ms == 0 => marks.push_str(": link up, heard just now"),
            true => marks.push_str(&format!(": link up, heard {} ago", span(Duration::from_millis(link.silent_ms)))),
            false => marks.push_str(": link down"),
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    fn state() -> FeedState {
        let member = |n: u16, name: &str| FeedMember {
            address: format!("10.0.0.{n}:2428").parse().unwrap(),
            name: Name::parse(name).unwrap(),
            author: AuthorId::of_bits(n.into()),
            away: None,
            link: None,
            rtt_us: None,
            behind: None,
        };
        let members = vec![member(5, "ann"), member(6, "bob"), member(7, "cat")];
        FeedState {
            room: None,
            name: members[1].name.clone(),
            address: members[1].address,
            role: RoleWord::Follower,
            leader: Some(members[0].address),
            round: Some(3),
            next: Some(members[2].address),
            prev: Some(members[0].address),
            members,
            channels: Vec::new(),
            last: 12,
            lamport: 20,
            waiting: 1,
        }
    }

    #[test]
    fn the_ring_is_drawn_from_each_to_the_next() {
        let (heading, told) = ring(&state());
        assert_eq!(heading, "the ring of 3, each to the next; * leads");
        let expected = [
            "┌▶ * ann(10.0.0.5:2428), before you",
            "│  ▼",
            "│    bob(10.0.0.6:2428), you",
            "│  ▼",
            "└─   cat(10.0.0.7:2428), next to you",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn who_is_here_and_how() {
        let mut state = state();
        state.members[2].rtt_us = Some(340);
        state.members[2].behind = Some(7);
        state.members[2].away = Some("lunch".to_owned());
        let (_, told) = who(&state, &[]);
        let author = |n| AuthorId::of_bits(n).short();
        assert_eq!(told[1], format!("bob(10.0.0.6:2428)  author {}, you", author(6)));
        assert_eq!(
            told[2],
            format!("cat(10.0.0.7:2428)  author {}, round trip 0.3 ms, 7 behind, away: lunch", author(7))
        );
    }

    #[test]
    fn who_somebody_is_is_told_with_all_of_the_authors_id() {
        let (state, bob) = (state(), AuthorId::of_bits(6));
        let (heading, told) = who_is(&state, "BOB").unwrap();
        assert_eq!((heading.as_str(), told.len()), ("bob, in full", 1));
        assert_eq!(told[0], format!("bob(10.0.0.6:2428)  author {bob}, you"));
        assert_eq!(bob.to_string().len(), 64);
        assert_eq!(who_is(&state, "dan\u{7}").unwrap_err(), "nobody here is called dan\\x07; /who lists all");
    }

    #[test]
    fn help_tells_of_every_command_and_more_of_one() {
        let (_, all) = help("").unwrap();
        assert_eq!(all.len(), COMMANDS.len());
        assert!(all.iter().all(|line| line.chars().count() < 80), "{all:#?}");
        let (exit, more) = help("exit").unwrap();
        assert!(exit.contains("an attached terminal") && more.len() == 3, "{exit}");
        assert!(help("/exti").unwrap_err().contains("did you mean /exit?"));
    }
}
