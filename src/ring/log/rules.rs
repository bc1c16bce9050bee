//! What the members have decided: who may moderate, who is out, which key the room has. The fold of the lines that do
//! something.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ring::log::entry::{Act, Line, Subject};
use crate::ring::types::id::{Name, Text};
use crate::ring::types::limits::{BANS_MAX, EVICTION_REASON_CHARS_MAX, MODERATORS_MAX};
use crate::ring::types::proof::{AuthorId, Digest};

/// Who has put somebody out, and what they have said.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EvictionReason {
    /// Whose line it was.
    pub by: Name,
    /// The line.
    pub say: Text,
}

/// The rules of a room up to some index of its log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rules {
    /// Who may moderate; nobody in particular: everybody.
    moderators: Vec<AuthorId>,
    /// Who may not come in, and why.
    #[serde(with = "pairs")]
    banned: BTreeMap<AuthorId, Ban>,
    /// The hash of the key that the room has now; none: the one that it was founded with.
    key: Option<Digest>,
}

/// Why somebody may not come in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ban {
    /// Under which name it was known, if it was.
    pub name: Option<Name>,
    /// Who has said so, and what.
    pub verdict: EvictionReason,
}

/// What a line does to the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it is said, no more.
    None,
    /// Nothing, although it was meant to: its author may not do that.
    NotAllowed,
    /// Everybody of this author is out.
    Evicted {
        /// Whom.
        subject: Subject,
        /// For good.
        banned: bool,
    },
    /// This author may come again.
    Unbanned(Subject),
    /// Only some may moderate from here on.
    ModeratorsSet,
    /// The room has another key from here on.
    Rekeyed(Digest),
}

impl Rules {
    /// Whether lines of this author may do something.
    pub fn may(&self, author: AuthorId) -> bool {
        !self.banned.contains_key(&author) && (self.moderators.is_empty() || self.moderators.contains(&author))
    }

    /// Why this author may not come in.
    pub fn banned(&self, author: AuthorId) -> Option<&EvictionReason> {
        self.banned.get(&author).map(|ban| &ban.verdict)
    }

    /// Everybody who may not come in.
    pub fn all_banned(&self) -> impl Iterator<Item = (AuthorId, &Ban)> {
        self.banned.iter().map(|(&author, ban)| (author, ban))
    }

    /// How many may not come in.
    pub fn bans(&self) -> usize {
        self.banned.len()
    }

    /// The hash of the room's key, if it was ever changed.
    pub fn key(&self) -> Option<Digest> {
        self.key
    }

    /// What a line does that comes next; `first`: no line stands before it.
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

    /// Takes the next line.
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
    /// What this line says, as those are told whom it concerns.
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
