//! A node's disk: one journal of everything that was written, and the store that its replay gives.
//!
//! There is a single sequence of operations. A crash of the machine tears a tail off it, at or after the last sync; an
//! old backup is a shorter prefix still. So whatever is lost, log, pending, outbox, promise and book go back together
//! to one moment that really was: a log torn further back than its outbox cannot exist.

use std::collections::BTreeMap;
use std::convert::Infallible;

use dist_chat::ring::{Cut, Epoch, Index, LineId, ReadReply, ReadRequest, Record, SavedState};
use dist_chat::store::{MemoryStore, Store};

/// One operation of the journal.
#[derive(Clone, Debug)]
pub enum Op {
    /// A record was written.
    Save(Record),
    /// Everything after this index was cut.
    Cut(Index),
    /// Another run began.
    Reopen,
}

/// One node's disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    ops: Vec<Op>,
    synced: usize,
    promise: Option<Epoch>,
    promise_synced: Option<Epoch>,
    store: MemoryStore,
    /// Where the lines of this run were queued.
    queued: BTreeMap<u64, usize>,
}

/// Nothing can fail in memory.
fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl Disk {
    /// What the journal amounts to.
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// For a node's birth.
    pub fn saved(&self) -> SavedState {
        sure(self.store.saved())
    }

    /// Every operation so far.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// How many operations no loss of power can take.
    pub fn synced(&self) -> usize {
        self.synced
    }

    /// The highest promise that no loss of power can take.
    pub fn promise_synced(&self) -> Option<Epoch> {
        self.promise_synced
    }

    fn has(&self, keep: usize, wanted: fn(&Record) -> bool) -> bool {
        self.ops.iter().take(keep).any(|op| matches!(op, Op::Save(record) if wanted(record)))
    }

    /// Whether the first `keep` operations name a room.
    pub fn named_at(&self, keep: usize) -> bool {
        self.has(keep, |record| matches!(record, Record::Room(_)))
    }

    /// Whether the first `keep` operations leave a room with a log.
    pub fn remembers_at(&self, keep: usize) -> bool {
        self.named_at(keep) && self.has(keep, |record| matches!(record, Record::Append(_)))
    }

    /// Writes a record.
    pub fn save(&mut self, record: &Record) {
        self.apply(Op::Save(record.clone()));
    }

    /// Puts everything on the medium.
    pub fn sync(&mut self) {
        self.synced = self.ops.len();
        self.promise_synced = self.promise;
    }

    /// Puts the first so many operations on the medium.
    pub fn sync_first(&mut self, ops: usize) {
        if self.synced < ops {
            self.synced = ops;
            let promises = self.ops[..ops].iter().filter_map(|op| match op {
                Op::Save(Record::Promise(epoch)) => Some(*epoch),
                Op::Save(_) | Op::Cut(_) | Op::Reopen => None,
            });
            self.promise_synced = self.promise_synced.max(promises.max());
        }
    }

    /// Whether a line of this run that was written, to the queue or to the log, is on the medium.
    pub fn is_synced(&self, id: LineId) -> bool {
        let appends = |op: &Op| match op {
            Op::Save(Record::Append(entries)) => entries.iter().any(|entry| entry.line().is_some_and(|l| l.id == id)),
            Op::Save(_) | Op::Cut(_) | Op::Reopen => false,
        };
        match self.queued.get(&id.n) {
            Some(&op) => op < self.synced,
            // What was cut and comes again is on the medium if it was there before: a cut takes nothing away.
            None => {
                let (synced, later) = self.ops.split_at(self.synced);
                !later.iter().any(appends) || synced.iter().any(appends)
            }
        }
    }

    /// Cuts the log; durable at once.
    pub fn cut(&mut self, keep: Index) -> Cut {
        let cut = sure(self.store.cut(keep));
        self.ops.push(Op::Cut(keep));
        self.sync();
        cut
    }

    /// Reads.
    pub fn read(&mut self, wanted: &ReadRequest) -> ReadReply {
        sure(self.store.read(wanted))
    }

    /// Opens the disk for another run.
    pub fn reopen(&mut self) {
        self.apply(Op::Reopen);
    }

    /// Goes back to the first `keep` operations.
    pub fn rewind(&mut self, keep: usize) {
        let ops = std::mem::take(&mut self.ops);
        *self = Self::default();
        for op in ops.into_iter().take(keep) {
            self.apply(op);
        }
        self.sync();
    }

    fn apply(&mut self, op: Op) {
        match &op {
            Op::Save(record) => {
                if let Record::Promise(epoch) = record {
                    self.promise = self.promise.max(Some(*epoch));
                }
                if let Record::Queue(lines) = record {
                    self.queued.extend(lines.iter().map(|line| (line.id.n, self.ops.len())));
                }
                sure(self.store.save(record));
            }
            Op::Cut(keep) => {
                sure(self.store.cut(*keep));
            }
            Op::Reopen => {
                self.queued.clear();
                self.store.reopen();
            }
        }
        self.ops.push(op);
    }
}
