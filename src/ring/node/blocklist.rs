//! The peers that this run has nothing to do with, since they have relayed forged lines.

use std::collections::BTreeMap;

use crate::ring::types::id::{SessionId, Uid};
use crate::ring::types::limits::BLOCKED_PEERS_MAX;
use crate::ring::types::proof::AuthorId;

/// The blocked peers, and the address of each, unless another peer answers there now.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Blocklist(BTreeMap<BlockedPeer, Option<Uid>>);

/// A peer that has relayed forged lines, as far as its identity is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum BlockedPeer {
    /// This author: the link has proved it.
    Author(AuthorId),
    /// This run, at an address that this node has dialled: the room has no key that would prove more.
    Run(SessionId),
}

impl Blocklist {
    /// Blocks a peer and its address for the rest of the run. A full list takes no more.
    pub(super) fn block(&mut self, peer: BlockedPeer, uid: Uid) {
        if self.0.len() < BLOCKED_PEERS_MAX {
            self.0.insert(peer, Some(uid));
        }
    }

    /// Whether a blocked peer is at this address: this node dials it no more.
    pub(super) fn is_blocked(&self, uid: Uid) -> bool {
        self.0.values().any(|&at| at == Some(uid))
    }

    /// Whether a peer that greets with these ids is blocked, wherever it is.
    pub(super) fn blocks(&self, author: AuthorId, session: SessionId) -> bool {
        self.0.contains_key(&BlockedPeer::Author(author)) || self.0.contains_key(&BlockedPeer::Run(session))
    }

    /// Another peer answers at this address now: the address is free again, the blocked peer is not.
    pub(super) fn free_address(&mut self, uid: Uid) {
        self.0.values_mut().filter(|at| **at == Some(uid)).for_each(|at| *at = None);
    }

    /// How many peers are blocked; at most [`BLOCKED_PEERS_MAX`].
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: AuthorId = AuthorId::of_bits(1);
    const BOB: AuthorId = AuthorId::of_bits(2);

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn a_blocked_peer_is_known_by_what_its_link_has_proved() {
        let (by_author, by_run) = (BlockedPeer::Author(ALICE), BlockedPeer::Run(SessionId(7)));
        let table = [
            ("the author in the same run", by_author, ALICE, 7, true),
            ("the author in another run", by_author, ALICE, 8, true),
            ("another author", by_author, BOB, 7, false),
            ("the run, whatever its author", by_run, BOB, 7, true),
            ("another run of the same author", by_run, ALICE, 8, false),
        ];
        for (case, peer, author, session, expected) in table {
            let mut blocklist = Blocklist::default();
            assert!(!blocklist.blocks(author, SessionId(session)), "{case}: nobody is blocked at first");
            blocklist.block(peer, uid(1));
            assert_eq!(blocklist.blocks(author, SessionId(session)), expected, "{case}");
        }
    }

    #[test]
    fn an_address_is_blocked_until_another_peer_answers_there() {
        let mut blocklist = Blocklist::default();
        blocklist.block(BlockedPeer::Author(ALICE), uid(1));
        assert_eq!([1, 2].map(|port| blocklist.is_blocked(uid(port))), [true, false]);
        blocklist.free_address(uid(1));
        assert!(!blocklist.is_blocked(uid(1)), "another peer is there");
        assert!(blocklist.blocks(ALICE, SessionId(1)), "the author stays blocked");
        blocklist.block(BlockedPeer::Author(ALICE), uid(2));
        assert_eq!(([1, 2].map(|port| blocklist.is_blocked(uid(port))), blocklist.len()), ([false, true], 1));
    }

    #[test]
    fn a_full_list_takes_no_more() {
        let mut blocklist = Blocklist::default();
        for k in 0..=BLOCKED_PEERS_MAX as u64 {
            blocklist.block(BlockedPeer::Author(AuthorId::of_bits(k)), uid(1));
        }
        assert_eq!(blocklist.len(), BLOCKED_PEERS_MAX);
        assert!(!blocklist.blocks(AuthorId::of_bits(BLOCKED_PEERS_MAX as u64), SessionId(1)));
    }
}
