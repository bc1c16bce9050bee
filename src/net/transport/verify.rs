//! Whoever hands on a line answers for it: every frame is checked before the node sees it.
//!
//! Signatures are checked by the readers, each on its own, so that a busy room's work is spread over the processors and
//! the node's own task does none of it.

use std::sync::{Arc, OnceLock};

use crate::identity;
use crate::ring::{Accept, ForgedLine, Frame, RoomId};

/// The node's room, once it is in one: the same for the whole run.
pub(in crate::net) type Entered = Arc<OnceLock<RoomId>>;

/// Looks through what comes over one connection.
#[derive(Debug)]
pub(in crate::net) struct Witness {
    entered: Entered,
    /// The room that this connection leads into: what follows may come before the node has entered it.
    accepted: Option<RoomId>,
}

impl Witness {
    pub(in crate::net) fn new(entered: Entered) -> Self {
        Self { entered, accepted: None }
    }

    /// Whether everything in this frame was said by those in whose name it stands there.
    pub(in crate::net) fn check(&mut self, frame: &Frame) -> Result<(), ForgedLine> {
        if let Some(room) = accepted(frame) {
            self.accepted = Some(room);
        }
        // Outside of a room nothing can be said; the frame says so itself if it holds lines.
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
