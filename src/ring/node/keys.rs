//! The room's key is changed: the log says which one holds, by its hash; members hand the key itself on, link by link.
//!
//! The key never stands in the log, where whoever comes later would read it for ever. Who is a member when the line
//! gets its place is given the key by whom it follows; who is not, and was not given it by people, stays outside.

use super::Node;
use super::phase::Phase;
use crate::ring::types::id::ConnId;
use crate::ring::types::proof::{Digest, Secret};
use crate::ring::wire::frame::{Frame, Hello};
use crate::ring::{Act, CommandError, Event, Output, Text};

impl Node {
    /// The room is to have another key: this is its hash.
    pub(super) fn on_rekey(&mut self, key: Digest, text: Text) {
        if !self.key.is_keyed() {
            return self.event(Event::CommandFailed(CommandError::NoKey));
        }
        // The key goes ahead of the line: whoever orders it has it, whatever becomes of me.
        let conns = match &self.phase {
            Phase::Following(following) => vec![following.conn],
            Phase::Leading(_) => self.members(),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Stopped => return self.event(Event::CommandFailed(CommandError::NotNow)),
        };
        self.on_act(text, |node| {
            node.out.push(Output::OfferKey(conns));
            Some(Act::Rekey(key))
        });
    }

    /// The driver holds the key with this hash.
    pub(super) fn on_key_held(&mut self, key: Digest) {
        self.key.hold(key);
        if matches!(self.phase, Phase::Leading(_)) && self.log.state().rules.key() == Some(key) {
            // Nobody has to ask.
            self.members().into_iter().for_each(|conn| self.out.push(Output::GiveKey(conn)));
        }
        // Who is no member, and was not given the new key, has no link from before it.
        for conn in self.links.to_authors(|author| !self.is_member(author)) {
            self.close(conn);
        }
    }

    /// The hash of the key that the room has and I have not.
    pub fn key_wanted(&self) -> Option<Digest> {
        self.key.wanted(self.log.state().rules.key()).filter(|_| !self.display.is_catching_up())
    }

    /// Asks those who may have it: my leader, or, leading, everybody; with every heartbeat until it is here.
    pub(super) fn ask_for_key(&mut self) {
        let Some(key) = self.key_wanted() else { return };
        let conns: Vec<ConnId> = match &self.phase {
            Phase::Following(following) => vec![following.conn],
            Phase::Leading(leading) => leading.followers.values().map(|follower| follower.conn).collect(),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Stopped => Vec::new(),
        };
        for conn in conns {
            self.send(conn, Frame::KeyRequest(key));
        }
    }

    /// Somebody asks for the room's key. A member gets it, nobody else.
    pub(super) fn on_key_wanted(&mut self, conn: ConnId, key: Digest) {
        if self.is_members(conn) && self.key.can_give(key, self.log.state().rules.key()) {
            self.out.push(Output::GiveKey(conn));
        }
    }

    /// Somebody gives me what it says is the room's key, or will be. Whether it is, its hash and the log say.
    pub(super) fn on_key(&mut self, conn: ConnId, secret: Secret) {
        if self.key.is_keyed() && self.is_members(conn) {
            self.out.push(Output::TakeKey(secret));
        }
    }

    /// This link leads to a member.
    fn is_members(&self, conn: ConnId) -> bool {
        let view = &self.log.state().view;
        let member = |peer: &Hello| view.get(peer.uid).is_some_and(|member| member.author == peer.author);
        self.links.peer(conn).is_some_and(member)
    }

    /// My followers that are members.
    fn members(&self) -> Vec<ConnId> {
        let Phase::Leading(leading) = &self.phase else { return Vec::new() };
        let conns = leading.followers.values().map(|follower| follower.conn);
        conns.filter(|&conn| self.is_members(conn)).collect()
    }
}
