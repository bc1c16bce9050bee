//! What a frontend has chosen to see, where it speaks, and what it has not seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::present::paint::mentions;
use crate::present::values::{FeedLine, LineKind};
use crate::ring::{Channel, LineId, Name};

/// Names that one frontend shows nothing of.
const IGNORED_MAX: usize = 256;
/// Channels of which unread lines are counted.
const UNREAD_CHANNELS_MAX: usize = 256;
/// Channels that one frontend is in at once.
const JOINED_MAX: usize = 64;
/// Lines that can be meant by their number without a look into the history.
const RECENT_LINES_MAX: usize = 1024;

/// Which lines a frontend is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelFilter {
    /// Those of the channel where it speaks, and those that mention its owner.
    Here,
    /// All of them.
    #[default]
    All,
}

/// See the module.
#[derive(Debug)]
pub struct ClientView {
    taste: ChannelFilter,
    /// Where it speaks; `None`: in the lobby.
    channel: Option<Channel>,
    /// Channels that it was in, and means to come back to; the lobby always is one.
    joined: BTreeSet<String>,
    /// Lines that it was not shown.
    unread: BTreeMap<String, u64>,
    /// Nothing of these is shown: folded names.
    ignored: BTreeSet<String>,
    recent: VecDeque<RecentLine>,
}

/// A line that may be meant by its number.
#[derive(Clone, Debug)]
struct RecentLine {
    ts: u64,
    id: LineId,
    channel: String,
    own: bool,
    /// Somebody's words, and not what somebody does to others'.
    said: bool,
}

/// Whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The owner's.
    Own,
    /// Of another who is here.
    Others,
    /// Of nobody who is here.
    Nobodys,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is shown.
    Shown,
    /// It is not.
    Hidden,
    /// It is not, and counts as unread; `first`: it is the first of its channel that does.
    Unread {
        /// Nothing was unread there before.
        first: bool,
    },
}

impl ClientView {
    /// In the lobby, with nothing unread.
    pub fn new(taste: ChannelFilter) -> Self {
        Self {
            taste,
            channel: None,
            joined: BTreeSet::new(),
            unread: BTreeMap::new(),
            ignored: BTreeSet::new(),
            recent: VecDeque::new(),
        }
    }

    /// Which lines it is told.
    pub fn taste(&self) -> ChannelFilter {
        self.taste
    }

    /// Where it speaks.
    pub fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }

    /// Lines unread in the channels that it is in.
    pub fn unread(&self) -> u64 {
        let joined = |name: &String| self.joined.contains(name) || name == crate::ring::LOBBY;
        self.unread.iter().filter(|(name, _)| joined(name)).map(|(_, count)| count).sum()
    }

    /// Lines unread in this channel.
    pub fn unread_in(&self, channel: &str) -> u64 {
        self.unread.get(channel).copied().unwrap_or(0)
    }

    /// Whether it is in this channel, besides where it speaks.
    pub fn is_in(&self, channel: &str) -> bool {
        channel == crate::ring::LOBBY || self.joined.contains(channel)
    }

    /// Takes a line that has come; `me`: the owner's name.
    pub fn take(&mut self, line: &FeedLine, me: Option<&Name>) -> Fate {
        let id = LineId { author: line.author, session: line.session, n: line.n };
        self.remember(RecentLine {
            ts: line.ts,
            id,
            channel: line.channel.clone(),
            own: line.own,
            said: said(line.kind),
        });
        if !line.own && self.ignored.contains(&line.name.folded()) {
            return Fate::Hidden;
        }
        let here = line.channel == Channel::name_of(self.channel.as_ref());
        if self.taste == ChannelFilter::All
            || here
            || line.own
            || me.is_some_and(|me| !mentions(&line.text, me.as_str()).is_empty())
        {
            return Fate::Shown;
        }
        if self.unread.len() >= UNREAD_CHANNELS_MAX && !self.unread.contains_key(&line.channel) {
            return Fate::Hidden;
        }
        let count = self.unread.entry(line.channel.clone()).or_default();
        *count += 1;
        Fate::Unread { first: *count == 1 }
    }

    /// A line that was looked up in the history, and may be meant again.
    pub fn found(&mut self, ts: u64, id: LineId) {
        self.remember(RecentLine { ts, id, channel: String::new(), own: false, said: false });
    }

    fn remember(&mut self, line: RecentLine) {
        if self.recent.len() >= RECENT_LINES_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(line);
    }

    /// The line with this timestamp, or the last one of another where it speaks, if it has come lately.
    pub fn line(&self, ts: Option<u64>) -> Option<(u64, LineId)> {
        let here = Channel::name_of(self.channel.as_ref());
        let found = match ts {
            Some(ts) => self.recent.iter().rfind(|recent| recent.ts == ts),
            None => self.recent.iter().rfind(|recent| recent.said && !recent.own && recent.channel == here),
        };
        found.map(|recent| (recent.ts, recent.id))
    }

    /// Speaks there from now on. `false`: it is in as many channels as there may be.
    pub fn join(&mut self, channel: Option<Channel>) -> bool {
        if let Some(channel) = &channel {
            if self.joined.len() >= JOINED_MAX && !self.joined.contains(channel.as_str()) {
                return false;
            }
            self.joined.insert(channel.as_str().to_owned());
        }
        self.unread.remove(Channel::name_of(channel.as_ref()));
        self.channel = channel;
        true
    }

    /// Leaves the channel where it speaks, for the lobby. The channel; `None`: that is the lobby.
    pub fn part(&mut self) -> Option<Channel> {
        let left = self.channel.take()?;
        self.joined.remove(left.as_str());
        self.unread.remove(crate::ring::LOBBY);
        Some(left)
    }

    /// Whether nothing is shown of this name.
    pub fn ignores(&self, name: &Name) -> bool {
        self.ignored.contains(&name.folded())
    }

    /// Shows no more of this name, or again; without one: of whom? What is told then; `who`: whose name it is.
    pub fn ignore(&mut self, whom: &str, who: Whose) -> String {
        let folded = whom.to_lowercase();
        if whom.is_empty() {
            let names: Vec<&str> = self.ignored.iter().map(String::as_str).collect();
            return match names.is_empty() {
                true => "you ignore nobody".to_owned(),
                false => format!("you ignore {}; /ignore NAME shows them again", names.join(", ")),
            };
        }
        if self.ignored.remove(&folded) {
            return format!("lines of {whom} are shown again");
        }
        if who == Whose::Own {
            return "that is you: what you say yourself is always shown".to_owned();
        }
        if self.ignored.len() >= IGNORED_MAX {
            return format!("not done: {IGNORED_MAX} names are ignored, which is as many as there may be");
        }
        self.ignored.insert(folded);
        let nobody = if who == Whose::Nobodys { "nobody of that name is here now; " } else { "" };
        format!("{nobody}lines of {whom} are not shown here until you leave; /ignore {whom} shows them again")
    }
}

/// Whether a line of this kind is what somebody means who means the last line.
const fn said(kind: LineKind) -> bool {
    match kind {
        LineKind::Say | LineKind::Me | LineKind::Reply => true,
        LineKind::React | LineKind::Nick | LineKind::Topic | LineKind::Away | LineKind::Moderate => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, SessionId};

    fn line(n: u64, name: &str, channel: &str, text: &str) -> FeedLine {
        FeedLine {
            index: n,
            ts: 10 * n,
            time: String::new(),
            name: Name::parse(name).unwrap(),
            address: "10.0.0.5:2428".parse().unwrap(),
            author: AuthorId::of_bits(1),
            session: SessionId(1),
            n,
            channel: channel.to_owned(),
            kind: LineKind::Say,
            text: text.to_owned(),
            typed: None,
            to: None,
            own: false,
            past: false,
            reactions: Vec::new(),
        }
    }

    #[test]
    fn what_is_said_elsewhere_is_counted_but_for_mentions() {
        let (mut view, me) = (ClientView::new(ChannelFilter::Here), Name::parse("ann").unwrap());
        assert_eq!(view.take(&line(1, "bob", "lobby", "hi"), Some(&me)), Fate::Shown);
        assert_eq!(view.take(&line(2, "bob", "ops", "down"), Some(&me)), Fate::Unread { first: true });
        assert_eq!(view.take(&line(3, "bob", "ops", "again"), Some(&me)), Fate::Unread { first: false });
        assert_eq!(view.take(&line(4, "bob", "ops", "Ann, look"), Some(&me)), Fate::Shown);
        assert_eq!((view.unread(), view.unread_in("ops")), (0, 2), "nobody has joined it");
        let ops = Channel::parse("#ops").unwrap();
        assert!(view.join(ops.clone()));
        assert_eq!(view.unread_in("ops"), 0);
        assert_eq!(view.take(&line(5, "bob", "lobby", "hi"), Some(&me)), Fate::Unread { first: true });
        assert_eq!(view.unread(), 1);
        assert_eq!(view.line(None).unwrap().0, 40, "the last one said here");
        assert_eq!(view.line(Some(50)).unwrap().0, 50);
        assert_eq!(view.line(Some(51)), None);
        let old = LineId { author: AuthorId::of_bits(2), session: SessionId(2), n: 3 };
        view.found(51, old);
        assert_eq!((view.line(Some(51)), view.line(None).unwrap().0), (Some((51, old)), 40));
        assert_eq!(view.part(), ops);
        assert_eq!((view.unread(), view.part()), (0, None));
    }

    #[test]
    fn a_mention_is_a_whole_word() {
        let ann = Name::parse("Ann").unwrap();
        for text in ["ann", "hi ann!", "ANN: look", "(ann)"] {
            assert!(!mentions(text, ann.as_str()).is_empty(), "{text}");
        }
        for text in ["anna", "joann", "ann-2 is here", "an n", ""] {
            assert!(mentions(text, ann.as_str()).is_empty(), "{text}");
        }
    }

    #[test]
    fn whoever_is_ignored_is_not_shown() {
        let mut view = ClientView::new(ChannelFilter::All);
        view.ignore("Bob", Whose::Others);
        assert_eq!(view.take(&line(1, "bob", "lobby", "ann"), None), Fate::Hidden);
        assert!(view.ignore("", Whose::Nobodys).contains("bob"));
        view.ignore("BOB", Whose::Others);
        assert_eq!(view.take(&line(2, "bob", "lobby", "ann"), None), Fate::Shown);
        assert!(view.ignore("bob", Whose::Own).starts_with("that is you"));
        assert_eq!(view.take(&line(3, "bob", "lobby", "ann"), None), Fate::Shown);
        assert!(view.ignore("bob", Whose::Nobodys).starts_with("nobody of that name is here now; lines of bob"));
        assert_eq!(view.take(&line(4, "bob", "lobby", "ann"), None), Fate::Hidden);
        assert!(view.ignore("bob", Whose::Own).contains("shown again"));
    }
}
