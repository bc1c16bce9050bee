//! Who is here, in ring order.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::{Member, Note};
use super::id::{Name, Uid};

/// The members of the room: the fold of the log's notes. The ring is these, by ascending uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    members: BTreeMap<Uid, Member>,
}

impl View {
    /// Takes the next note.
    pub fn apply(&mut self, note: &Note) {
        match note {
            Note::Elected(member) | Note::Joined(member) => {
                self.members.insert(member.uid, member.clone());
            }
            Note::Left { uid, .. } | Note::Forged { uid, .. } => {
                self.members.remove(uid);
            }
        }
    }

    /// The members by ascending uid.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &Member> {
        self.members.values()
    }

    /// The uids, ascending.
    pub fn uids(&self) -> impl ExactSizeIterator<Item = Uid> {
        self.members.keys().copied()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member at this uid.
    pub fn get(&self, uid: Uid) -> Option<&Member> {
        self.members.get(&uid)
    }

    /// Whether somebody is at this uid.
    pub fn contains(&self, uid: Uid) -> bool {
        self.members.contains_key(&uid)
    }

    /// How many members have a larger uid.
    pub fn larger_than(&self, uid: Uid) -> usize {
        self.members.range((Bound::Excluded(uid), Bound::Unbounded)).count()
    }

    /// Everybody else in ring order, the one after `uid` first.
    pub fn ring_after(&self, uid: Uid) -> impl Iterator<Item = Uid> {
        let after = self.members.range((Bound::Excluded(uid), Bound::Unbounded));
        after.chain(self.members.range(..uid)).map(|(&uid, _)| uid)
    }

    /// The name, or the first numbered form of it, that nobody but `uid` has. Upper and lower case are alike.
    pub fn free_name(&self, name: &Name, uid: Uid) -> Name {
        let taken: std::collections::BTreeSet<String> =
            self.members().filter(|member| member.uid != uid).map(|member| member.name.folded()).collect();
        let mut free = name.clone();
        let mut k = 1;
        while taken.contains(&free.folded()) {
            k += 1;
            free = name.numbered(k);
        }
        free
    }
}

/// Whether `uid` stands strictly between `from` and `to` on a ring of ascending uids.
pub fn between(from: Uid, uid: Uid, to: Uid) -> bool {
    if from < to { from < uid && uid < to } else { uid != from && uid != to && (uid > from || uid < to) }
}
