//! Invariants 2, 4 and 5: one history of entries, in which every log is a path from the root.
//!
//! Every entry ever written becomes a node of one tree, named by epoch and index; its parent is the entry before it.
//! That two logs agree on one entry then means that they agree on everything before it.

use std::collections::HashMap;
use std::sync::Arc;

use dist_chat::ring::{Body, Entry, Epoch, Index, Note};

use super::Verdict;

/// An entry in the tree; zero stands before all.
pub type Place = u32;
/// A line, as the checkers count them.
pub type LineNo = u32;

#[derive(Clone, Debug)]
struct Known {
    entry: Arc<Entry>,
    parent: Place,
    line: Option<LineNo>,
}

/// All entries, and each host's log.
#[derive(Clone, Debug)]
pub struct History {
    places: HashMap<(Epoch, Index), Place>,
    known: Vec<Known>,
    logs: Vec<Vec<Place>>,
    /// Where in each log a line stands.
    stands: Vec<HashMap<LineNo, u32>>,
    /// Lines that may not come after these places: they were read before what stands there was written.
    too_late: HashMap<LineNo, Vec<Place>>,
}

impl History {
    pub fn new(hosts: usize) -> Self {
        Self {
            places: HashMap::new(),
            known: Vec::new(),
            logs: vec![Vec::new(); hosts],
            stands: vec![HashMap::new(); hosts],
            too_late: HashMap::new(),
        }
    }

    pub fn len(&self, slot: usize) -> u64 {
        self.logs[slot].len() as u64
    }

    /// The last entry of a host's log.
    pub fn tip(&self, slot: usize) -> Place {
        self.logs[slot].last().copied().unwrap_or(0)
    }

    fn known(&self, place: Place) -> Option<&Known> {
        self.known.get((place as usize).wrapping_sub(1))
    }

    fn index(&self, place: Place) -> u64 {
        self.known(place).map_or(0, |known| known.entry.index.0)
    }

    /// An entry is appended to a log; `read` is the end of its author's log when it wrote the line. `true`: nobody has
    /// seen this entry before.
    pub fn append(
        &mut self,
        slot: usize,
        entry: &Arc<Entry>,
        line: Option<LineNo>,
        read: Option<Place>,
    ) -> Result<bool, String> {
        let tip = self.tip(slot);
        let Entry { epoch, index, .. } = **entry;
        let last = self.known(tip).map(|known| Arc::clone(&known.entry));
        if index.0 != self.len(slot) + 1 {
            return Err(format!("invariant 2: appends {} to a log that ends at {}", index.0, self.len(slot)));
        }
        if last.as_ref().is_none_or(|last| last.epoch != epoch) {
            if last.as_ref().is_some_and(|last| last.epoch > epoch) {
                return Err(format!("invariant 2: epoch {epoch} stands after a higher one at {}", index.0));
            }
            if !matches!(entry.body, Body::Note(Note::Elected(_))) {
                return Err(format!("invariant 2: epoch {epoch} does not begin with `elected` at {}", index.0));
            }
        }
        if last.as_ref().is_some_and(|last| last.lamport >= entry.lamport) {
            return Err(format!("invariant 5: lamport {} does not rise at {}", entry.lamport.0, index.0));
        }
        let mut fresh = false;
        let place = match self.places.get(&(epoch, index)) {
            Some(&place) => {
                let known = &self.known[place as usize - 1];
                if *known.entry != **entry {
                    return Err(format!(
                        "invariant 2: two entries at {epoch} {}: {:?} and {entry:?}",
                        index.0, known.entry
                    ));
                }
                if known.parent != tip {
                    return Err(format!("invariant 2: {epoch} {} follows two different prefixes", index.0));
                }
                place
            }
            None => {
                fresh = true;
                self.known.push(Known { entry: Arc::clone(entry), parent: tip, line });
                let place = self.known.len() as Place;
                self.places.insert((epoch, index), place);
                if let Some(line) = line {
                    self.cause(slot, line, place, read)?;
                }
                place
            }
        };
        if let Some(line) = line
            && self.stands[slot].insert(line, index.0 as u32).is_some()
        {
            return Err(format!("invariant 3: a line stands twice, again at {epoch} {}", index.0));
        }
        self.logs[slot].push(place);
        Ok(fresh)
    }

    /// Invariant 4, when a line is ordered for the first time behind this host's log.
    fn cause(&mut self, slot: usize, line: LineNo, place: Place, read: Option<Place>) -> Verdict {
        if let Some(effects) = self.too_late.get(&line) {
            for &effect in effects {
                let at = self.index(effect) as usize;
                if self.logs[slot].get(at.wrapping_sub(1)) == Some(&effect) {
                    return Err(format!("invariant 4: a line stands after {at}, whose author had read it"));
                }
            }
        }
        let mut behind = read.unwrap_or(0);
        loop {
            let at = self.index(behind) as usize;
            if behind == 0 || self.logs[slot].get(at - 1) == Some(&behind) {
                return Ok(());
            }
            let Some(known) = self.known(behind) else { return Ok(()) };
            let (parent, cause) = (known.parent, known.line);
            if let Some(cause) = cause
                && !self.stands[slot].contains_key(&cause)
            {
                self.too_late.entry(cause).or_default().push(place);
            }
            behind = parent;
        }
    }

    /// An entry that is shown stands in the log that it is shown from.
    pub fn stands(&self, slot: usize, entry: &Entry) -> Verdict {
        let place = self.places.get(&(entry.epoch, entry.index));
        let there = self.logs[slot].get((entry.index.0 as usize).wrapping_sub(1));
        if place.is_some() && place == there {
            Ok(())
        } else {
            Err(format!("invariant 2: shows {} {}, which is not in its log", entry.epoch, entry.index.0))
        }
    }

    /// Everything after `keep` leaves the log; its lines in order.
    pub fn cut(&mut self, slot: usize, keep: Index) -> Vec<LineNo> {
        let keep = usize::try_from(keep.0).unwrap_or(usize::MAX).min(self.logs[slot].len());
        let cut = self.logs[slot].split_off(keep);
        let lines: Vec<LineNo> = cut.into_iter().filter_map(|place| self.known(place)?.line).collect();
        for line in &lines {
            self.stands[slot].remove(line);
        }
        lines
    }

    /// The disk is empty.
    pub fn forget(&mut self, slot: usize) {
        self.logs[slot].clear();
        self.stands[slot].clear();
    }
}
