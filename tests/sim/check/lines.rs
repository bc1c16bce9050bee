//! Invariants 3 and 6: every line was typed, stands once, keeps its number's place, and is held by somebody.

use std::collections::{HashMap, HashSet, VecDeque};

use dist_chat::ring::{Entry, Line, SessionKey, Text};
use dist_chat::store::MemoryStore;

use super::Verdict;
use super::history::{LineNo, Place};

#[derive(Clone, Debug)]
struct Typed {
    key: SessionKey,
    n: u64,
    text: Text,
    /// The end of the author's log when it typed.
    read: Place,
    /// How many disks hold it, in log or queue.
    holders: u32,
    /// Where it was typed.
    slot: usize,
    /// It has stood in a log beside its author's (that disk may be gone by now: that is a fault's doing).
    shared: bool,
    /// Its author was told that it is sent.
    sent: bool,
    /// A fault took the last copy.
    excused: bool,
}

#[derive(Clone, Debug, Default)]
struct Held {
    marks: HashMap<SessionKey, u64>,
    queue: VecDeque<LineNo>,
    queued: HashSet<LineNo>,
    log: HashSet<LineNo>,
}

/// All lines, and who holds them.
#[derive(Clone, Debug)]
pub struct Lines {
    sessions: HashMap<SessionKey, Vec<LineNo>>,
    typed: Vec<Typed>,
    held: Vec<Held>,
}

impl Lines {
    pub fn new(hosts: usize) -> Self {
        Self { sessions: HashMap::new(), typed: Vec::new(), held: vec![Held::default(); hosts] }
    }

    /// A session begins.
    pub fn session(&mut self, key: SessionKey) {
        self.sessions.entry(key).or_default();
    }

    pub fn count(&self) -> usize {
        self.typed.len()
    }

    /// Somebody typed.
    pub fn submitted(&mut self, slot: usize, key: SessionKey, text: Text, read: Place) {
        let all = self.sessions.entry(key).or_default();
        all.push(self.typed.len() as LineNo);
        let n = all.len() as u64;
        self.typed.push(Typed { key, n, text, read, holders: 0, slot, shared: false, sent: false, excused: false });
    }

    /// Invariant 3: the line with this id was typed, and reads as it was typed.
    pub fn number(&self, line: &Line) -> Result<LineNo, String> {
        let all = self.sessions.get(&line.id.key());
        let found = all.and_then(|all| all.get(usize::try_from(line.id.n.checked_sub(1)?).ok()?));
        match found {
            Some(&number) if self.typed[number as usize].text == line.text => Ok(number),
            Some(_) => Err(format!("invariant 3: {:?} has another text than was typed", line.id)),
            None => Err(format!("invariant 3: {:?} was never typed", line.id)),
        }
    }

    /// The end of the author's log when it typed this.
    pub fn read_before(&self, line: LineNo) -> Option<Place> {
        Some(self.typed[line as usize].read)
    }

    /// A line that is shown is one that was typed.
    pub fn shown(&self, entry: &Entry) -> Result<LineNo, String> {
        match entry.line() {
            Some(line) => self.number(line),
            None => Err("a note is shown as a line".into()),
        }
    }

    /// A line is appended to a log.
    pub fn appended(&mut self, slot: usize, line: LineNo) -> Verdict {
        let Typed { key, n, .. } = self.typed[line as usize];
        let held = &mut self.held[slot];
        let mark = held.marks.entry(key).or_insert(0);
        if n != *mark + 1 {
            return Err(format!("invariant 3: number {n} of {key:?} stands after {mark}"));
        }
        *mark = n;
        let was_held = held.queued.remove(&line);
        if was_held {
            held.queue.retain(|&other| other != line);
        }
        held.log.insert(line);
        let typed = &mut self.typed[line as usize];
        typed.holders += u32::from(!was_held);
        typed.shared |= slot != typed.slot;
        typed.excused = false;
        Ok(())
    }

    /// A line waits in its author's outbox.
    pub fn queued(&mut self, slot: usize, line: LineNo) -> Verdict {
        let held = &mut self.held[slot];
        if held.log.contains(&line) || !held.queued.insert(line) {
            return Err("invariant 3: a line is queued that is there already".into());
        }
        held.queue.push_back(line);
        self.typed[line as usize].holders += 1;
        Ok(())
    }

    /// These lines, in order, go from the log's end to the front of the queue.
    pub fn cut(&mut self, slot: usize, lines: &[LineNo]) {
        let held = &mut self.held[slot];
        for &line in lines.iter().rev() {
            let typed = &self.typed[line as usize];
            held.marks.insert(typed.key, typed.n - 1);
            held.log.remove(&line);
            held.queued.insert(line);
            held.queue.push_front(line);
        }
    }

    /// Invariant 6: the store's queue is what must be in it, in order.
    pub fn agrees(&self, slot: usize, store: &MemoryStore) -> Verdict {
        let held = &self.held[slot];
        let store_holds = store.pending().chain(store.outbox()).filter_map(|line| self.number(line).ok());
        let waits: Vec<LineNo> = store_holds.filter(|line| !held.log.contains(line)).collect();
        if held.queue.iter().eq(waits.iter()) {
            Ok(())
        } else {
            Err(format!(
                "invariant 6: {} lines must wait here, {} do, or in another order",
                held.queue.len(),
                waits.len()
            ))
        }
    }

    /// Who submits a line has it written.
    pub fn holds(&self, slot: usize, line: LineNo) -> Verdict {
        if self.held[slot].queued.contains(&line) || self.held[slot].log.contains(&line) {
            Ok(())
        } else {
            let typed = &self.typed[line as usize];
            Err(format!("invariant 6: submits number {} of {:?}, which it has not written", typed.n, typed.key))
        }
    }

    /// A node says that its lines up to this number are sent.
    pub fn sent(&mut self, slot: usize, key: SessionKey, n: u64, alone: bool) -> Verdict {
        let Some(all) = self.sessions.get(&key) else { return Ok(()) };
        let upto = usize::try_from(n).unwrap_or(usize::MAX);
        if upto > all.len() {
            return Err(format!("invariant 3: {n} lines are sent of {} typed", all.len()));
        }
        for &line in &all[..upto] {
            let typed = &mut self.typed[line as usize];
            if typed.sent {
                continue;
            }
            if !self.held[slot].log.contains(&line) {
                return Err(format!("invariant 6: number {} is called sent and is not in its author's log", typed.n));
            }
            if !alone {
                if !typed.shared {
                    return Err(format!("invariant 6: number {} is called sent and nobody else has it", typed.n));
                }
                typed.sent = true;
            }
        }
        Ok(())
    }

    /// The disk is empty.
    pub fn forget(&mut self, slot: usize) {
        let held = std::mem::take(&mut self.held[slot]);
        for line in held.log {
            let typed = &mut self.typed[line as usize];
            typed.holders -= 1;
        }
        for line in held.queued {
            self.typed[line as usize].holders -= 1;
        }
    }

    /// Whoever has no holder now lost it to the fault that has just struck.
    pub fn excuse(&mut self) {
        for typed in &mut self.typed {
            typed.excused |= typed.holders == 0;
        }
    }

    /// How many lines wait on a disk.
    pub fn waiting(&self, slot: usize) -> usize {
        self.held[slot].queue.len()
    }

    /// Whether a line stands in a log.
    pub fn stands(&self, slot: usize, line: LineNo) -> bool {
        self.held[slot].log.contains(&line)
    }

    /// Invariant 6, at the end.
    pub fn all_sent_stand(&self, slot: usize) -> Verdict {
        let lost = self.typed.iter().zip(0..).find(|(typed, line)| {
            (typed.sent || typed.shared) && !typed.excused && !self.held[slot].log.contains(line)
        });
        match lost {
            Some((typed, _)) => {
                Err(format!("invariant 6: number {} of {:?} was sent and is in no log", typed.n, typed.key))
            }
            None => Ok(()),
        }
    }

    /// Sent lines whose last copy is gone.
    pub fn excused(&self) -> usize {
        self.typed.iter().filter(|typed| typed.excused && typed.sent).count()
    }
}
