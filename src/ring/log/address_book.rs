//! The address book: every node ever seen in the room, for polls and probes when the view is wrong.

use std::collections::BTreeMap;

use crate::ring::types::id::Uid;

use crate::ring::timing::Timing;
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::{Span, Time};

/// A node that said good-bye is probed more and more rarely: at most after so many of the longest pauses.
const LEFT_PROBE_TIMES: u64 = 12;

/// The known nodes by uid.
#[derive(Clone, Debug, Default, Hash)]
pub struct AddressBook {
    nodes: BTreeMap<Uid, KnownPeer>,
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct KnownPeer {
    /// The node said good-bye: it is not polled, and probed rarely.
    left: bool,
    /// The time of the next probe, while the node is lost.
    probe: Time,
    /// The pause after that.
    pause: Span,
}

impl AddressBook {
    /// Adds a uid. Returns the uid that it replaces, if the book was full; `None`: the uid was known, or there is no
    /// place.
    pub fn learn_peer(&mut self, uid: Uid) -> Option<Option<Uid>> {
        if uid.0.port() == 0 || uid.0.ip().is_unspecified() || self.nodes.contains_key(&uid) {
            return None;
        }
        let mut forgotten = None;
        if self.nodes.len() >= BOOK_NODES_MAX {
            // A node that said good-bye is replaced first; if there is none, the new uid gets no place.
            let left = self.nodes.iter().find(|(_, known)| known.left).map(|(&uid, _)| uid)?;
            self.nodes.remove(&left);
            forgotten = Some(left);
        }
        self.nodes.insert(uid, KnownPeer::default());
        Some(forgotten)
    }

    /// The node said good-bye, or is here (again).
    pub fn set_left(&mut self, uid: Uid, left: bool) {
        if let Some(known) = self.nodes.get_mut(&uid) {
            known.left = left;
            if left {
                (known.probe, known.pause) = (Time(0), Span(0));
            }
        }
    }

    /// Whether the node said good-bye and was not seen since.
    pub fn has_left(&self, uid: Uid) -> bool {
        self.nodes.get(&uid).is_some_and(|known| known.left)
    }

    /// Forgets a uid.
    pub fn forget(&mut self, uid: Uid) -> bool {
        self.nodes.remove(&uid).is_some()
    }

    /// All nodes that have not said good-bye.
    pub fn present(&self) -> impl Iterator<Item = Uid> {
        self.nodes.iter().filter(|(_, known)| !known.left).map(|(&uid, _)| uid)
    }

    /// Whether the node was ever seen.
    pub fn contains(&self, uid: Uid) -> bool {
        self.nodes.contains_key(&uid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The lost nodes whose next probe is due. Sets the time of the one after, with backoff.
    pub fn due(&mut self, now: Time, timing: &Timing, lost: impl Fn(Uid) -> bool) -> Vec<Uid> {
        let mut due = Vec::new();
        for (&uid, known) in &mut self.nodes {
            if known.left {
                // The node said good-bye, but it may have come back to members that do not know this node.
                if known.probe <= now {
                    if known.pause != Span(0) {
                        due.push(uid);
                    }
                    let longest = timing.probe_max.times(LEFT_PROBE_TIMES);
                    known.pause = known.pause.times(2).clamp(timing.probe_max, longest);
                    known.probe = now + known.pause;
                }
            } else if !lost(uid) {
                (known.probe, known.pause) = (now, timing.probe_min);
            } else if known.probe <= now {
                known.pause = known.pause.clamp(timing.probe_min, timing.probe_max);
                known.probe = now + known.pause;
                known.pause = known.pause.times(2);
                due.push(uid);
            }
        }
        due
    }
}
