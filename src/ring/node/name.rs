//! Members change their names, by lines in the log like any other.

use super::Node;
use crate::ring::Event;
use crate::ring::log::entry::{Act, Line, Member};
use crate::ring::log::view::Renaming;
use crate::ring::types::id::{Index, Name};

impl Node {
    /// What a line does to its author's name: asked before it stands.
    pub(super) fn renaming_of(&self, line: &Line) -> Option<Renaming> {
        let Some(Act::Nick(name)) = &line.act else { return None };
        Some(self.log.state().view.renaming(line.id.author, line.uid, name))
    }

    /// A line that is about its author's name has got its place.
    pub(super) fn take_name(&mut self, index: Index, renaming: Renaming) {
        let news = self.display.is_news(index);
        match renaming {
            Renaming::None => {}
            Renaming::Taken { member, name } => {
                if news && self.is_me(&member) {
                    self.event(Event::NameTaken(name));
                }
            }
            Renaming::Done { was, name } => {
                // What stood there when I came (again) was counted by whoever let me in, and named me.
                let mine = self.is_me(&was) && self.display.has_entered() && self.moderation.concerns_me(index);
                // Who let me in may have given me the name already.
                let told = self.is_me(&was) && self.identity.name == name;
                if mine {
                    self.identity.name = name.clone();
                }
                if news && !told {
                    self.event(Event::Renamed { was, name: name.clone() });
                }
                if mine
                    && !told
                    && let Some(room) = self.room
                {
                    self.event(Event::Entered { name, room });
                }
            }
        }
    }

    /// The name to ask a leader for: mine, or the one that I have wanted since and of which I have not heard.
    pub(super) fn wanted_name(&self) -> Name {
        let wanted = self.outbox.lines().rev().find_map(|line| match &line.act {
            Some(Act::Nick(name)) => Some(name),
            Some(_) | None => None,
        });
        wanted.filter(|_| self.display.has_entered()).unwrap_or(&self.identity.name).clone()
    }

    /// Whether this member is this node.
    pub fn is_me(&self, member: &Member) -> bool {
        self.identity.is_me(member)
    }

    /// The node's name.
    pub fn name(&self) -> &Name {
        &self.identity.name
    }
}
