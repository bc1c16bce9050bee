//! Invariant 10: with crashes and exits only, no entry that a survivor was shown is ever cut, as long as somebody who
//! has joined since its start is up.

use dist_chat::ring::Index;

use super::Verdict;

#[derive(Clone, Debug, Default)]
struct Survivor {
    up: bool,
    entered: bool,
    /// It has once held what its leader held: from then on it stands for the room.
    joined: bool,
    /// Entries above this index were appended in this run.
    since: u64,
}

/// Who is up, and whether the promise still holds.
#[derive(Clone, Debug)]
pub struct Steady {
    on: bool,
    hosts: Vec<Survivor>,
    anybody: bool,
}

impl Steady {
    pub fn new(hosts: usize) -> Self {
        Self { on: false, hosts: vec![Survivor::default(); hosts], anybody: false }
    }

    pub fn enable(&mut self) {
        self.on = true;
    }

    pub fn started(&mut self, slot: usize, len: u64, _now: u64) {
        self.hosts[slot] = Survivor { up: true, entered: false, joined: false, since: len };
    }

    pub fn ended(&mut self, slot: usize, _now: u64) {
        self.hosts[slot] = Survivor::default();
        if self.anybody && !self.hosts.iter().any(|host| host.joined) {
            // Whoever reopens now starts from its own log: a partition in time, which this promise does not cover.
            self.on = false;
        }
    }

    pub fn entered(&mut self, slot: usize) {
        self.hosts[slot].entered = true;
    }

    /// `level`: its log ends where that of the leader it obeys ends.
    pub fn status(&mut self, slot: usize, level: bool) {
        let host = &mut self.hosts[slot];
        host.joined |= host.up && host.entered && level;
        self.anybody |= host.joined;
    }

    /// Somebody leads from now on who knows these.
    pub fn won(&mut self, knows: impl Fn(usize) -> bool) {
        let strangers = self.hosts.iter().zip(0..).any(|(host, slot)| host.joined && !knows(slot));
        self.on &= !strangers;
    }

    pub fn cut(&mut self, slot: usize, len: u64, keep: Index) -> Verdict {
        let host = &self.hosts[slot];
        if self.on && host.joined && len > keep.0.max(host.since) {
            return Err(format!(
                "invariant 10: {len} is cut back to {}; {} were there at the start",
                keep.0, host.since
            ));
        }
        Ok(())
    }
}
