//! Verifies the signatures in every frame before the node sees it. A peer answers for every line that it relays.
//!
//! Each connection's reader verifies its own frames. So a busy room's work is spread over the processors, and the
//! node's task does none of it.

use std::sync::{Arc, OnceLock};

use crate::identity;
use crate::ring::{Accept, ForgedLine, Frame, RoomId};

/// The node's room, once it is in one. It stays the same for the whole run.
pub(in crate::net) type RoomCell = Arc<OnceLock<RoomId>>;

/// Verifies the frames of one connection.
#[derive(Debug)]
pub(in crate::net) struct FrameVerifier {
    entered: RoomCell,
    /// The room of this connection. Frames may arrive before the node has entered the room.
    accepted: Option<RoomId>,
}

impl FrameVerifier {
    pub(in crate::net) fn new(entered: RoomCell) -> Self {
        Self { entered, accepted: None }
    }

    /// Checks that each line in this frame is signed by the author it names.
    pub(in crate::net) fn check(&mut self, frame: &Frame) -> Result<(), ForgedLine> {
        if let Some(room) = accepted(frame) {
            self.accepted = Some(room);
        }
        // A node in no room has no valid lines. The frame fails the check if it holds any.
        let room = self.entered.get().copied().or(self.accepted).unwrap_or(RoomId(0));
        frame.verify(room, identity::verify)
    }
}

fn accepted(frame: &Frame) -> Option<RoomId> {
    match frame {
        Frame::Accept(Accept { room, .. }) => Some(*room),
        Frame::Relay(relay) => relay.frame.as_deref().and_then(accepted),
        _ => None,
    }
}
