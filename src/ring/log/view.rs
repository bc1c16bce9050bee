//! Who is here, in ring order.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ring::log::entry::{Member, Note};
use crate::ring::types::id::{Name, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::proof::AuthorId;

/// The members of the room: the fold of the log's notes, and of the lines by which members change their names or put
/// others out. The ring is these, by ascending uid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct View {
    members: BTreeMap<Uid, Member>,
    /// Who was lost, in that order: their names wait for them.
    lost: Vec<Member>,
}

/// What becomes of a member that wants another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// Nothing: it is no member, or has that name.
    None,
    /// Nothing, since somebody else has it.
    Taken {
        /// Who wants it.
        member: Member,
        /// The name.
        name: Name,
    },
    /// It has it.
    Done {
        /// Who it was.
        was: Member,
        /// Its name from here on.
        name: Name,
    },
}

impl View {
    /// Takes the next note.
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

    /// Everybody of this author is out, and no name waits for it.
    pub fn expel(&mut self, author: AuthorId) {
        self.members.retain(|_, member| member.author != author);
        self.lost.retain(|lost| lost.author != author);
    }

    /// Who was lost, and under which name: the first one first.
    pub fn lost(&self) -> impl Iterator<Item = (&Name, AuthorId)> {
        self.lost.iter().map(|lost| (&lost.name, lost.author))
    }

    /// The members, and those who were lost, of a view that was written down.
    pub fn restored(members: Vec<Member>, lost: Vec<Member>) -> Self {
        Self { members: members.into_iter().map(|member| (member.uid, member)).collect(), lost }
    }

    /// Those who were lost, to be written down.
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

    /// Whether somebody of this author is a member.
    pub fn has(&self, author: AuthorId) -> bool {
        self.members.values().any(|member| member.author == author)
    }

    /// What would become of this author's member, the one at `uid` if there are several, if it wanted this name.
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

    /// This author's member has this name from here on, if it is free.
    pub fn rename(&mut self, author: AuthorId, uid: Uid, name: &Name) {
        if let Renaming::Done { was, name } = self.renaming(author, uid, name) {
            let folded = name.folded();
            self.lost.retain(|lost| lost.name.folded() != folded);
            if let Some(member) = self.members.get_mut(&was.uid) {
                member.name = name;
            }
        }
    }

    /// Those whose names this author cannot have at `uid`.
    fn others(&self, uid: Uid, author: AuthorId) -> impl Iterator<Item = &Member> {
        self.members().chain(&self.lost).filter(move |other| other.uid != uid && other.author != author)
    }

    /// The name, or the first numbered form of it, that this author can have at `uid`: a name belongs to the author that
    /// had it last as long as that one is a member, and waits for it when it was lost; who takes its address takes over
    /// that too. Upper and lower case are alike.
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
