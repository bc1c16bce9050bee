//! The view: the members, in ring order.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ring::log::entry::{Member, Note};
use crate::ring::types::id::{Name, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::proof::AuthorId;

/// The members of the room, by ascending uid, which is the ring's order. Notes change the view, and so do lines that
/// rename or evict members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    members: BTreeMap<Uid, Member>,
    /// Lost members, in the order of their loss. Their names are reserved for them.
    lost: Vec<Member>,
}

/// The outcome of a member's wish for another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// No change: it is no member, or has that name already.
    None,
    /// No change: the name belongs to another member.
    Taken {
        /// The member with the wish.
        member: Member,
        /// The name.
        name: Name,
    },
    /// The member has the name.
    Done {
        /// The member with its old name.
        was: Member,
        /// The new name.
        name: Name,
    },
}

impl View {
    /// Applies the next note.
    pub fn apply(&mut self, note: &Note) {
        match note {
            Note::Elected(member) | Note::Joined(member) => {
                if let Some(before) = self.members.insert(member.uid, member.clone())
                    && before.author != member.author
                {
                    self.lose(before);
                }
                let folded = member.name.folded();
                self.lost.retain(|lost| lost.author != member.author && lost.name.folded() != folded);
            }
            Note::Left { uid, lost: true } => {
                if let Some(member) = self.members.remove(uid) {
                    self.lose(member);
                }
            }
            Note::Left { uid, lost: false } | Note::Forged { uid, .. } => {
                self.members.remove(uid);
            }
        }
    }

    fn lose(&mut self, member: Member) {
        self.lost.retain(|lost| lost.author != member.author);
        if self.lost.len() >= BOOK_NODES_MAX {
            self.lost.remove(0);
        }
        self.lost.push(member);
    }

    /// Removes all members of this author and frees their names.
    pub fn expel(&mut self, author: AuthorId) {
        self.members.retain(|_, member| member.author != author);
        self.lost.retain(|lost| lost.author != author);
    }

    /// The lost members with their names, the first lost first.
    pub fn lost(&self) -> impl Iterator<Item = (&Name, AuthorId)> {
        self.lost.iter().map(|lost| (&lost.name, lost.author))
    }

    /// A view from stored members and lost members.
    pub fn restored(members: Vec<Member>, lost: Vec<Member>) -> Self {
        Self { members: members.into_iter().map(|member| (member.uid, member)).collect(), lost }
    }

    /// The lost members, to be stored.
    pub fn all_lost(&self) -> &[Member] {
        &self.lost
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

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member at this uid.
    pub fn get(&self, uid: Uid) -> Option<&Member> {
        self.members.get(&uid)
    }

    /// Whether a member has this uid.
    pub fn contains(&self, uid: Uid) -> bool {
        self.members.contains_key(&uid)
    }

    /// How many members have a larger uid.
    pub fn larger_than(&self, uid: Uid) -> usize {
        self.members.range((Bound::Excluded(uid), Bound::Unbounded)).count()
    }

    /// All other members in ring order, beginning after `uid`.
    pub fn ring_after(&self, uid: Uid) -> impl Iterator<Item = Uid> {
        let after = self.members.range((Bound::Excluded(uid), Bound::Unbounded));
        after.chain(self.members.range(..uid)).map(|(&uid, _)| uid)
    }

    /// Whether this author has a member here.
    pub fn has(&self, author: AuthorId) -> bool {
        self.members.values().any(|member| member.author == author)
    }

    /// The outcome if this author's member (the one at `uid`, if there are several) wanted this name.
    pub fn renaming(&self, author: AuthorId, uid: Uid, name: &Name) -> Renaming {
        let there = self.get(uid).filter(|member| member.author == author);
        let Some(member) = there.or_else(|| self.members().find(|member| member.author == author)) else {
            return Renaming::None;
        };
        if member.name == *name {
            return Renaming::None;
        }
        let folded = name.folded();
        match self.others(member.uid, author).any(|other| other.name.folded() == folded) {
            true => Renaming::Taken { member: member.clone(), name: name.clone() },
            false => Renaming::Done { was: member.clone(), name: name.clone() },
        }
    }

    /// Gives this author's member the name, if it is free.
    pub fn rename(&mut self, author: AuthorId, uid: Uid, name: &Name) {
        if let Renaming::Done { was, name } = self.renaming(author, uid, name) {
            let folded = name.folded();
            self.lost.retain(|lost| lost.name.folded() != folded);
            if let Some(member) = self.members.get_mut(&was.uid) {
                member.name = name;
            }
        }
    }

    /// The members whose names this author cannot have at `uid`.
    fn others(&self, uid: Uid, author: AuthorId) -> impl Iterator<Item = &Member> {
        self.members().chain(&self.lost).filter(move |other| other.uid != uid && other.author != author)
    }

    /// The name, or its first numbered form, that this author can have at `uid`. A name belongs to the author that had
    /// it last while that author is a member, and is reserved while it is lost. A node that takes a lost member's
    /// address takes its name too. Case does not matter.
    pub fn free_name(&self, name: &Name, uid: Uid, author: AuthorId) -> Name {
        let taken: std::collections::BTreeSet<String> = self.others(uid, author).map(|o| o.name.folded()).collect();
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
