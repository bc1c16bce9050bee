//! Every node ever seen in the room: whom to ask, and whom to look for, when the view is wrong.

use std::collections::BTreeMap;

use crate::ring::types::id::Uid;

use crate::ring::timing::Timing;
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::{Span, Time};

/// How many of the longest pauses lie at most between two probes of a node that said good-bye; at first it is one.
const LEFT_PROBE_TIMES: u64 = 12;

/// The book.
#[derive(Clone, Debug, Default, Hash)]
pub struct AddressBook {
    nodes: BTreeMap<Uid, KnownPeer>,
}

#[derive(Clone, Copy, Debug, Default, Hash)]
struct KnownPeer {
    /// It said good-bye: not asked in need, and looked for seldom.
    left: bool,
    /// When to look for it next, while it is lost.
    probe: Time,
    /// The pause after that.
    pause: Span,
}

impl AddressBook {
    /// Remembers a uid. Gives whom it made forget, where the book was full; `None`: it was known, or found no room.
    pub fn learn_peer(&mut self, uid: Uid) -> Option<Option<Uid>> {
        if uid.0.port() == 0 || uid.0.ip().is_unspecified() || self.nodes.contains_key(&uid) {
            return None;
        }
        let mut forgotten = None;
        if self.nodes.len() >= BOOK_NODES_MAX {
            // Who left cleanly goes first; where nobody did, the newcomer finds no room.
            let left = self.nodes.iter().find(|(_, known)| known.left).map(|(&uid, _)| uid)?;
            self.nodes.remove(&left);
            forgotten = Some(left);
        }
        self.nodes.insert(uid, KnownPeer::default());
        Some(forgotten)
    }

    /// It said good-bye, or is here (again).
    pub fn set_left(&mut self, uid: Uid, left: bool) {
        if let Some(known) = self.nodes.get_mut(&uid) {
            known.left = left;
            if left {
                (known.probe, known.pause) = (Time(0), Span(0));
            }
        }
    }

    /// It has said good-bye, and was not seen since.
    pub fn has_left(&self, uid: Uid) -> bool {
        self.nodes.get(&uid).is_some_and(|known| known.left)
    }

    /// Forgets a uid.
    pub fn forget(&mut self, uid: Uid) -> bool {
        self.nodes.remove(&uid).is_some()
    }

    /// Everybody who has not said good-bye.
    pub fn present(&self) -> impl Iterator<Item = Uid> {
        self.nodes.iter().filter(|(_, known)| !known.left).map(|(&uid, _)| uid)
    }

    /// Whether it was ever seen.
    pub fn contains(&self, uid: Uid) -> bool {
        self.nodes.contains_key(&uid)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Those among `lost` whose time to be looked for has come; their next time is set, with backoff.
    pub fn due(&mut self, now: Time, timing: &Timing, lost: impl Fn(Uid) -> bool) -> Vec<Uid> {
        let mut due = Vec::new();
        for (&uid, known) in &mut self.nodes {
            if known.left {
                // It does not want to be found; but it may have come back to others, who do not know me.
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
