//! The decisions of the members: who may moderate, who is banned, which key the room has. They result from applying the
//! acts of all lines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ring::log::entry::{Act, Line, Subject};
use crate::ring::types::id::{Name, Text};
use crate::ring::types::limits::{BANS_MAX, EVICTION_REASON_CHARS_MAX, MODERATORS_MAX};
use crate::ring::types::proof::{AuthorId, Digest};

/// Why a member was evicted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EvictionReason {
    /// The moderator's name.
    pub by: Name,
    /// The moderator's line.
    pub say: Text,
}

/// The rules of a room up to some index of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// The moderators; empty: every member may moderate.
    moderators: Vec<AuthorId>,
    /// The banned authors, with the reasons.
    #[serde(with = "pairs")]
    banned: BTreeMap<AuthorId, Ban>,
    /// The hash of the room's current key; `None`: the key with which the room was created.
    key: Option<Digest>,
}

/// A ban of an author.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ban {
    /// The name under which the author was known, if there is one.
    pub name: Option<Name>,
    /// The moderator and the reason.
    pub verdict: EvictionReason,
}

/// The effect of a line on the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// None: the line is only text.
    None,
    /// None, because the author may not do that.
    NotAllowed,
    /// All members of this author are removed.
    Evicted {
        /// The author.
        subject: Subject,
        /// The author is banned; `false`: kicked.
        banned: bool,
    },
    /// This author may join again.
    Unbanned(Subject),
    /// From here on only the named moderators may moderate.
    ModeratorsSet,
    /// The room has another key from here on.
    Rekeyed(Digest),
}

impl Rules {
    /// Whether this author may moderate.
    pub fn may(&self, author: AuthorId) -> bool {
        !self.banned.contains_key(&author) && (self.moderators.is_empty() || self.moderators.contains(&author))
    }

    /// The reason of this author's ban; `None`: the author is not banned.
    pub fn banned(&self, author: AuthorId) -> Option<&EvictionReason> {
        self.banned.get(&author).map(|ban| &ban.verdict)
    }

    /// All banned authors.
    pub fn all_banned(&self) -> impl Iterator<Item = (AuthorId, &Ban)> {
        self.banned.iter().map(|(&author, ban)| (author, ban))
    }

    /// The number of banned authors.
    pub fn bans(&self) -> usize {
        self.banned.len()
    }

    /// The hash of the room's key, if the key was ever changed.
    pub fn key(&self) -> Option<Digest> {
        self.key
    }

    /// The effect that this line would have next; `first`: it would be the room's first line.
    pub fn effect(&self, line: &Line, first: bool) -> Effect {
        let Some(act) = line.act.as_ref().filter(|act| !act.is_social()) else { return Effect::None };
        if !self.may(line.id.author) {
            return Effect::NotAllowed;
        }
        match act {
            Act::Moderators(authors) if first && !authors.is_empty() && authors.len() <= MODERATORS_MAX => {
                Effect::ModeratorsSet
            }
            Act::Moderators(_) => Effect::NotAllowed,
            Act::Kick(subject) => Effect::Evicted { subject: subject.clone(), banned: false },
            Act::Ban(subject) if self.banned.len() < BANS_MAX || self.banned.contains_key(&subject.author) => {
                Effect::Evicted { subject: subject.clone(), banned: true }
            }
            Act::Ban(_) => Effect::NotAllowed,
            Act::Unban(subject) => Effect::Unbanned(subject.clone()),
            Act::Rekey(key) => Effect::Rekeyed(*key),
            Act::Me | Act::Reply(_) | Act::React { .. } | Act::Nick(_) | Act::Topic | Act::Away => Effect::None,
        }
    }

    /// Applies the next line.
    pub fn apply(&mut self, line: &Line, first: bool) -> Effect {
        let effect = self.effect(line, first);
        match (&effect, &line.act) {
            (Effect::Evicted { subject, banned: true }, _) => {
                let ban = Ban { name: subject.name.clone(), verdict: EvictionReason::of(line) };
                self.banned.insert(subject.author, ban);
            }
            (Effect::Unbanned(subject), _) => {
                self.banned.remove(&subject.author);
            }
            (Effect::ModeratorsSet, Some(Act::Moderators(authors))) => self.moderators.clone_from(authors),
            (Effect::Rekeyed(key), _) => self.key = Some(*key),
            (Effect::None | Effect::NotAllowed | Effect::Evicted { banned: false, .. } | Effect::ModeratorsSet, _) => {}
        }
        effect
    }
}

impl EvictionReason {
    /// The reason that this line gives, for the evicted member.
    pub fn of(line: &Line) -> Self {
        let text = line.text.as_str();
        let end = text.char_indices().nth(EVICTION_REASON_CHARS_MAX).map_or(text.len(), |(end, _)| end);
        let say = Text::parse(&text[..end]).unwrap_or_else(|_| line.text.clone());
        Self { by: line.name.clone(), say }
    }
}

/// A map as a list of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{AuthorId, Ban};

    pub fn serialize<S: Serializer>(map: &BTreeMap<AuthorId, Ban>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<AuthorId, Ban>, D::Error> {
        Ok(Vec::<(AuthorId, Ban)>::deserialize(from)?.into_iter().collect())
    }
}
