//! The social state of a room: the lines and topics of channels, and the users that are away. It results from applying
//! all lines, and is the same at all members with the same log.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ring::log::channel::Channel;
use crate::ring::log::entry::{Act, Line};
use crate::ring::log::view::View;
use crate::ring::types::id::{Index, Name, Text};
use crate::ring::types::limits::{AWAY_CHARS_MAX, CHANNELS_MAX, TOPIC_CHARS_MAX};
use crate::ring::types::proof::AuthorId;

/// Channels and absences, up to some index of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Social {
    lobby: ChannelActivity,
    channels: BTreeMap<Channel, ChannelActivity>,
    /// Only current members are in it.
    away: BTreeMap<AuthorId, Text>,
}

/// The activity in one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelActivity {
    /// The number of its lines. If the channel was forgotten meanwhile, the lines since then.
    pub lines: u64,
    /// The index of its last line.
    pub last: Index,
    /// Its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
}

/// A channel's topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Topic {
    /// The text: at most [`TOPIC_CHARS_MAX`] characters.
    pub text: Text,
    /// The name of the author who set it.
    pub by: Name,
}

impl Social {
    /// For a log with so many lines, all from before channels existed.
    pub fn of_old(lines: u64, last: Index) -> Self {
        Self { lobby: ChannelActivity { lines, last, topic: None }, ..Self::default() }
    }

    /// Applies the line at this index.
    pub fn apply(&mut self, index: Index, line: &Line, view: &View) {
        match &line.act {
            // These concern a member or another line, in whatever channel they stand.
            Some(Act::React { .. } | Act::Nick(_)) => {}
            Some(Act::Away) => {
                let author = line.id.author;
                match beginning(line.words(), AWAY_CHARS_MAX) {
                    Some(why) if view.has(author) => self.away.insert(author, why),
                    Some(_) | None => self.away.remove(&author),
                };
            }
            Some(Act::Topic) => {
                let text = beginning(line.words(), TOPIC_CHARS_MAX);
                self.said(index, line.channel.as_ref()).topic = text.map(|text| Topic { text, by: line.name.clone() });
            }
            Some(
                Act::Me
                | Act::Reply(_)
                | Act::Moderators(_)
                | Act::Kick(_)
                | Act::Ban(_)
                | Act::Unban(_)
                | Act::Rekey(_),
            )
            | None => {
                self.said(index, line.channel.as_ref());
            }
        }
    }

    /// Counts a line.
    fn said(&mut self, index: Index, place: Option<&Channel>) -> &mut ChannelActivity {
        let talk = match place {
            None => &mut self.lobby,
            Some(channel) => {
                if self.channels.len() >= CHANNELS_MAX && !self.channels.contains_key(channel) {
                    let silent = self.channels.iter().min_by_key(|(_, talk)| talk.last).map(|(name, _)| name.clone());
                    silent.map(|name| self.channels.remove(&name));
                }
                self.channels.entry(channel.clone()).or_default()
            }
        };
        talk.lines += 1;
        talk.last = index;
        talk
    }

    /// The members have changed: removes absences of former members.
    pub fn keep_members(&mut self, view: &View) {
        if !self.away.is_empty() {
            let here: BTreeSet<AuthorId> = view.members().map(|member| member.author).collect();
            self.away.retain(|author, _| here.contains(author));
        }
    }

    /// All known channels: the lobby, then the others by name.
    pub fn channels(&self) -> impl Iterator<Item = (Option<&Channel>, &ChannelActivity)> {
        std::iter::once((None, &self.lobby)).chain(self.channels.iter().map(|(name, talk)| (Some(name), talk)))
    }

    /// The number of channels beside the lobby: at most [`CHANNELS_MAX`].
    pub fn count(&self) -> usize {
        self.channels.len()
    }

    /// Authors that are away, with their reasons.
    pub fn away(&self) -> impl ExactSizeIterator<Item = (AuthorId, &Text)> {
        self.away.iter().map(|(&author, why)| (author, why))
    }

    /// Whether this can be the state of a log with so many lines and members.
    pub fn is_valid(&self, lines: u64, members: usize) -> bool {
        let said = self.channels().try_fold(0_u64, |sum, (_, talk)| sum.checked_add(talk.lines));
        said.is_some_and(|said| said <= lines) && self.count() <= CHANNELS_MAX && self.away.len() <= members
    }
}

/// The first so many characters; `None`: there is no text.
fn beginning(words: &str, chars_max: usize) -> Option<Text> {
    let end = words.char_indices().nth(chars_max).map_or(words.len(), |(end, _)| end);
    Text::parse(words[..end].trim_end()).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::ring::log::emoji::Emoji;
    use crate::ring::log::entry::{Member, Note};
    use crate::ring::types::id::{Lamport, LineId, SessionId};

    /// A log of lines of one author, and its social state.
    struct Room {
        social: Social,
        view: View,
        n: u64,
    }

    impl Room {
        fn new() -> Self {
            let mut view = View::default();
            view.apply(&Note::Joined(member(1)));
            Self { social: Social::default(), view, n: 0 }
        }

        fn says(&mut self, channel: &str, text: &str, act: Option<Act>) {
            self.n += 1;
            let line = Line {
                id: LineId { author: AuthorId::of_bits(1), session: SessionId(1), n: self.n },
                lamport: Lamport(self.n),
                name: member(1).name,
                uid: member(1).uid,
                text: Text::parse(text).unwrap(),
                channel: Channel::parse(channel).unwrap(),
                act,
                signature: None,
            };
            self.social.apply(Index(self.n), &line, &self.view);
        }

        fn lines(&self, name: &str) -> Option<u64> {
            let named = |(place, _): &(Option<&Channel>, &ChannelActivity)| Channel::name_of(*place) == name;
            self.social.channels().find(named).map(|(_, talk)| talk.lines)
        }

        fn topic(&self, name: &str) -> Option<String> {
            let named = |(place, _): &(Option<&Channel>, &ChannelActivity)| Channel::name_of(*place) == name;
            let (_, talk) = self.social.channels().find(named)?;
            talk.topic.as_ref().map(|topic| topic.text.as_str().to_owned())
        }
    }

    fn member(bits: u64) -> Member {
        let uid = format!("10.0.0.{bits}:2428").parse().unwrap();
        Member { uid, name: Name::parse("ann").unwrap(), author: AuthorId::of_bits(bits) }
    }

    #[test]
    fn lines_are_counted_where_they_are_said() {
        let mut room = Room::new();
        room.says("lobby", "hello", None);
        room.says("ops", "hello", None);
        room.says("ops", "/me waves", Some(Act::Me));
        let to = LineId { author: AuthorId::of_bits(1), session: SessionId(1), n: 1 };
        room.says("dev", "/like 1", Some(Act::React { to, with: Emoji::like(), on: true }));
        room.says("dev", "/away", Some(Act::Away));
        assert_eq!((room.lines("lobby"), room.lines("ops"), room.lines("dev")), (Some(1), Some(2), None));
        assert!(room.social.is_valid(3, 0) && !room.social.is_valid(2, 0));
    }

    #[test]
    fn a_topic_holds_until_the_next_and_is_short() {
        let mut room = Room::new();
        room.says("ops", "/topic Deploy at six", Some(Act::Topic));
        assert_eq!((room.topic("ops"), room.topic("lobby")), (Some("Deploy at six".to_owned()), None));
        room.says("ops", &format!("/topic {}", "é".repeat(TOPIC_CHARS_MAX + 1)), Some(Act::Topic));
        assert_eq!(room.topic("ops"), Some("é".repeat(TOPIC_CHARS_MAX)));
        room.says("ops", "/topic", Some(Act::Topic));
        assert_eq!(room.topic("ops"), None);
        assert_eq!(room.lines("ops"), Some(3));
    }

    #[test]
    fn the_channel_that_was_silent_for_longest_makes_room() {
        let mut room = Room::new();
        (0..CHANNELS_MAX).for_each(|k| room.says(&format!("c{k}"), "hello", None));
        room.says("c0", "again", None);
        room.says("one-more", "hello", None);
        assert_eq!(room.social.count(), CHANNELS_MAX);
        assert_eq!((room.lines("c0"), room.lines("c1"), room.lines("one-more")), (Some(2), None, Some(1)));
        room.says("lobby", "hello", None);
        assert_eq!((room.lines("lobby"), room.social.count()), (Some(1), CHANNELS_MAX));
    }

    #[test]
    fn who_is_away_is_so_until_it_says_or_goes() {
        let mut room = Room::new();
        room.says("lobby", "/away for lunch", Some(Act::Away));
        let why = |room: &Room| room.social.away().map(|(_, why)| why.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(why(&room), ["for lunch"]);
        room.says("lobby", "/away", Some(Act::Away));
        assert!(why(&room).is_empty());
        room.says("lobby", "/away again", Some(Act::Away));
        room.view.apply(&Note::Left { uid: member(1).uid, lost: true });
        room.social.keep_members(&room.view);
        assert!(why(&room).is_empty());
        room.says("lobby", "/away and gone", Some(Act::Away));
        assert!(why(&room).is_empty(), "it is no member");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut room = Room::new();
        room.says("ops", "/topic Deploy at six", Some(Act::Topic));
        room.says("lobby", "/away for lunch", Some(Act::Away));
        let json = serde_json::to_string(&room.social).unwrap();
        assert_eq!(serde_json::from_str::<Social>(&json).unwrap(), room.social, "{json}");
    }
}
