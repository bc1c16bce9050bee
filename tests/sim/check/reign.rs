//! Invariant 1: an epoch has one leader, the node that it names, and nobody obeys a lower one after a higher.

use std::collections::HashMap;

use dist_chat::ring::{Elected, Entry, Epoch, Role, Status};

use super::Verdict;
use crate::world::uid;

/// Who leads what, and who has obeyed what.
#[derive(Clone, Debug)]
pub struct Reign {
    leaders: HashMap<Epoch, u32>,
    obeyed: Vec<Option<Epoch>>,
    reigns: Vec<Option<Epoch>>,
}

impl Reign {
    pub fn new(hosts: usize) -> Self {
        Self { leaders: HashMap::new(), obeyed: vec![None; hosts], reigns: vec![None; hosts] }
    }

    /// A run begins with what its disk has promised.
    pub fn started(&mut self, slot: usize, promise: Option<Epoch>) {
        self.obeyed[slot] = promise;
    }

    /// A promise is written.
    pub fn promised(&mut self, slot: usize, epoch: Epoch) -> Verdict {
        self.obeys(slot, epoch)
    }

    /// A node obeys this epoch.
    pub fn obeys(&mut self, slot: usize, epoch: Epoch) -> Verdict {
        if self.obeyed[slot].is_some_and(|before| before > epoch) {
            return Err(format!("invariant 1: obeys {epoch} after {:?}", self.obeyed[slot]));
        }
        self.obeyed[slot] = Some(epoch);
        Ok(())
    }

    /// A process leads an epoch. `true`: since now.
    fn leads(&mut self, slot: usize, run: u32, epoch: Epoch) -> Result<bool, String> {
        if epoch.leader != uid(slot) {
            return Err(format!("invariant 1: {} leads {epoch}", uid(slot)));
        }
        match self.leaders.insert(epoch, run) {
            None => Ok(true),
            Some(first) if first == run => Ok(false),
            Some(_) => Err(format!("invariant 1: {epoch} has two leaders")),
        }
    }

    /// An entry is ordered that nobody has seen before: by the leader of its epoch.
    pub fn ordered(&mut self, slot: usize, run: u32, entry: &Entry) -> Verdict {
        self.leads(slot, run, entry.epoch).map(|_| ())
    }

    /// How a node stands. `true`: it is seen to lead this epoch for the first time.
    pub fn status(&mut self, slot: usize, run: u32, status: &Status) -> Result<bool, String> {
        let Some(epoch) = status.epoch else { return Ok(false) };
        self.obeys(slot, epoch)?;
        if status.role != Role::Leader {
            return Ok(false);
        }
        self.leads(slot, run, epoch)?;
        Ok(self.reigns[slot].replace(epoch) != Some(epoch))
    }

    /// The winner's promise is on the medium before its announcement leaves.
    pub fn announcing(&self, slot: usize, elected: &Elected, synced: Option<Epoch>) -> Verdict {
        if elected.epoch.leader == uid(slot) && synced < Some(elected.epoch) {
            return Err(format!("invariant 1: announces {} before its promise is synced", elected.epoch));
        }
        Ok(())
    }
}
