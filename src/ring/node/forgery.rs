//! Blocks peers that relay lines whose signatures do not verify.
//!
//! The leader finds a member that forges a line; every member finds a leader that alters or invents one. A node checks
//! the frames that it relays, so the peer at the other end of the connection is at fault. In a keyed room the node blocks
//! that peer's author for this run, and a leader notes it in the log. In an open room links do not prove an author: there
//! the peer loses its connection, and if this node had dialled it, the node blocks the run at that address.

use super::Node;
use super::blocklist::BlockedPeer;
use super::phase::Phase;
use crate::ring::log::entry::{Member, Note};
use crate::ring::log::run_signature::ForgedLine;
use crate::ring::types::id::{ConnId, Name};
use crate::ring::wire::frame::{Hello, Refusal};
use crate::ring::{Event, Record};

impl Node {
    /// Lines have come that their author has not said.
    pub(super) fn on_forged(&mut self, conn: ConnId, forged: &ForgedLine) {
        let Some(Hello { uid, author, session, .. }) = self.links.peer(conn).cloned() else {
            return self.protocol_violation(conn, "hands on what nobody has said");
        };
        let known = self.log.state().view.get(uid).filter(|member| member.author == author).cloned();
        let member = known.clone().unwrap_or_else(|| Member { uid, name: Name::unknown(), author });
        self.event(Event::Forged { by: member, of: forged.name.clone() });
        // Without a key a link proves nothing but an address that I have dialled myself: nobody is to be shut out for
        // what somebody else did in its name.
        let proven = self.key.is_keyed();
        if !proven && !self.links.is_mine(conn) {
            return self.refuse(conn, Refusal::Forger, "hands on what nobody has said");
        }
        let peer = if proven { BlockedPeer::Author(author) } else { BlockedPeer::Run(session) };
        self.blocklist.block(peer, uid);
        if let Some(search) = self.search_mut() {
            search.gone.insert(uid);
        }
        if self.book.forget(uid) {
            self.save(Record::ForgetPeer(uid));
        }
        self.refuse(conn, Refusal::Forger, "hands on what nobody has said");
        for other in self.links.to_authors(|at| at == author).into_iter().filter(|_| proven) {
            self.close(other);
        }
        let leads = matches!(&self.phase, Phase::Leading(leading) if leading.retiring.is_none());
        if known.is_some() && leads {
            if let Phase::Leading(leading) = &mut self.phase {
                leading.absent.remove(&uid);
            }
            self.note(Note::Forged { uid, of: forged.name.clone() });
        }
    }

    /// Why this one may not speak here.
    pub(super) fn refusal_if_blocked(&self, hello: &Hello) -> Option<Refusal> {
        if self.blocklist.blocks(hello.author, hello.session) {
            return Some(Refusal::Forger);
        }
        let log_state = self.log.state();
        if let Some(verdict) = log_state.rules.banned(hello.author) {
            return Some(Refusal::Banned(verdict.clone()));
        }
        // Whoever comes to a member's address takes its place, but not as long as that one is heard there.
        let owner = log_state.view.get(hello.uid).filter(|member| member.author != hello.author)?;
        let heard = |&conn: &ConnId| self.links.uid(conn) == Some(hello.uid) && self.links.fresh(conn, self.now.mono);
        self.links.to_authors(|author| author == owner.author).iter().any(heard).then_some(Refusal::Protocol)
    }
}
