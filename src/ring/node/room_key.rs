//! The key of the room, by its hash: the log names the one that holds, and this node may have another.

use crate::ring::types::proof::Digest;

/// The hash of the room's key that this node has; none: the room is open.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct RoomKeyState(Option<Digest>);

impl RoomKeyState {
    /// A node that begins with this key, or in an open room.
    pub(super) fn new(key: Option<Digest>) -> Self {
        Self(key)
    }

    /// Whether the room has a key: then every link proves who its author is.
    pub(super) fn is_keyed(&self) -> bool {
        self.0.is_some()
    }

    /// This node has another key from here on.
    pub(super) fn hold(&mut self, key: Digest) {
        self.0 = Some(key);
    }

    /// The key that the log names, `room`, where this node lacks it. A node in an open room wants none.
    pub(super) fn wanted(&self, room: Option<Digest>) -> Option<Digest> {
        let held = self.0?;
        room.filter(|key| *key != held)
    }

    /// Whether this node has the key that the log names, `room`, and that is the one a member asks for.
    pub(super) fn can_give(&self, asked: Digest, room: Option<Digest>) -> bool {
        self.0 == Some(asked) && room == Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_wants_the_key_that_the_log_names_and_gives_no_other() {
        let [old, new] = [Digest([1; 32]), Digest([2; 32])];
        // What the node has, what the log names, what the node wants, and whether it gives the old and the new key.
        let table = [
            ("an open room", None, None, None, [false, false]),
            ("a node without a key", None, Some(new), None, [false, false]),
            ("a key that was never changed", Some(old), None, None, [false, false]),
            ("the key has changed", Some(old), Some(new), Some(new), [false, false]),
            ("the node has the new key", Some(new), Some(new), None, [false, true]),
            ("the new key came before its line", Some(new), Some(old), Some(old), [false, false]),
        ];
        for (case, held, room, wanted, gives) in table {
            let state = RoomKeyState::new(held);
            assert_eq!(state.wanted(room), wanted, "{case}");
            assert_eq!([old, new].map(|key| state.can_give(key, room)), gives, "{case}");
            assert_eq!(state.is_keyed(), held.is_some(), "{case}");
            let mut state = state;
            state.hold(new);
            assert!(state.is_keyed() && state.wanted(Some(new)).is_none(), "{case}: it has it now");
        }
    }
}
