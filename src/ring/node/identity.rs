//! Who a node is, and how it runs.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::ring::log::entry::{Line, Member};
use crate::ring::log::run_signature::{Signer, sign_runs};
use crate::ring::types::id::{LineId, Name, RoomId, SessionKey, Uid};
use crate::ring::types::limits::PROTOCOL_VERSION;
use crate::ring::wire::frame::Hello;
use crate::ring::{Start, Timing};

/// How a node starts, and the times that it uses. They stay as they are for its whole run.
#[derive(Clone, Debug, Hash)]
pub(super) struct Settings {
    pub start: Start,
    pub timing: Timing,
}

/// Who a node is. Only its name changes.
#[derive(Clone, Debug, Hash)]
pub(super) struct NodeIdentity {
    /// The advertised address.
    pub me: Uid,
    pub session: SessionKey,
    signer: SharedSigner,
    /// The name in the room; before the node has entered: the wanted one.
    pub name: Name,
    /// Whether another name is acceptable if the wanted one is taken.
    pub rename: bool,
}

/// Signs the author's lines. Two nodes that differ in this alone are the same: the author determines the signer.
#[derive(Clone, Debug)]
struct SharedSigner(Arc<dyn Signer>);

impl Hash for SharedSigner {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl NodeIdentity {
    pub(super) fn new(me: Uid, session: SessionKey, signer: Arc<dyn Signer>, name: Name, rename: bool) -> Self {
        Self { me, session, signer: SharedSigner(signer), name, rename }
    }

    /// The first frame on a connection of a node that is in this room, or in none.
    pub(super) fn hello(&self, room: Option<RoomId>) -> Hello {
        let SessionKey { author, session } = self.session;
        Hello { version: PROTOCOL_VERSION, room, uid: self.me, author, session }
    }

    /// The id of line `n` of this run.
    pub(super) fn line_id(&self, n: u64) -> LineId {
        LineId { author: self.session.author, session: self.session.session, n }
    }

    /// Whether this member is the node: its address and its author, under any name.
    pub(super) fn is_me(&self, member: &Member) -> bool {
        member.uid == self.me && member.author == self.session.author
    }

    /// Signs lines of the node's author for this room.
    pub(super) fn sign(&self, room: RoomId, lines: &mut [Line]) {
        sign_runs(room, lines, &*self.signer.0);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;
    use crate::ring::types::id::SessionId;
    use crate::ring::types::proof::{AuthorId, Signature};

    #[derive(Debug)]
    struct NoSigner;

    impl Signer for NoSigner {
        fn sign(&self, _: &[u8]) -> Signature {
            Signature([0; 64])
        }
    }

    #[test]
    fn a_member_is_this_node_if_it_has_its_address_and_its_author_under_any_name() {
        let uid = |port| Uid(([127, 0, 0, 1], port).into());
        let name = |name: &str| Name::parse(name).unwrap();
        let session = SessionKey { author: AuthorId::of_bits(1), session: SessionId(7) };
        let identity = NodeIdentity::new(uid(1), session, Arc::new(NoSigner), name("ann"), false);
        let table = [("ann", 1, 1, true), ("ann-2", 1, 1, true), ("ann", 2, 1, false), ("ann", 1, 2, false)];
        for (called, port, author, expected) in table {
            let member = Member { uid: uid(port), name: name(called), author: AuthorId::of_bits(author) };
            assert_eq!(identity.is_me(&member), expected, "{member:?}");
        }
    }
}
