//! A history in memory. It ends with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use super::api::{Done, Store};
use crate::ring::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, OFFER_LINES_MAX};
use crate::ring::{
    Body, Cut, Entry, Epoch, Index, Line, LogState, PendingPosition, ReadReply, ReadRequest, Record, RoomId,
    SavedState, SessionKey, Shown, Uid,
};

/// A history in memory, or the end of a history whose beginning is elsewhere.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    pub(super) room: Option<RoomId>,
    /// The state of the log before the first entry that is here.
    pub(super) base: LogState,
    pub(super) log: Vec<Arc<Entry>>,
    pub(super) log_state: LogState,
    pub(super) pending: BTreeMap<PendingPosition, Arc<Line>>,
    pub(super) outbox: BTreeMap<u64, Arc<Line>>,
    pub(super) promise: Option<Epoch>,
    pub(super) book: BTreeSet<Uid>,
    pub(super) shown: Shown,
}

impl MemoryStore {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// The log, as far as it is here.
    pub fn log(&self) -> &[Arc<Entry>] {
        &self.log
    }

    /// The state of the whole log.
    pub fn log_state(&self) -> &LogState {
        &self.log_state
    }

    /// The lines that wait to be sequenced again, in order.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = &Arc<Line>> {
        self.pending.values()
    }

    /// The owner's lines that are not in the log yet, in the order of their numbers.
    pub fn outbox(&self) -> impl ExactSizeIterator<Item = &Arc<Line>> {
        self.outbox.values()
    }

    /// The highest epoch that this node has adopted.
    pub fn promise(&self) -> Option<Epoch> {
        self.promise
    }

    /// The room.
    pub fn room(&self) -> Option<RoomId> {
        self.room
    }

    /// Lines that were shown beyond what the log tells.
    pub fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Opens the store for another run: the outbox of the last run becomes the end of the pending queue.
    pub fn reopen(&mut self) {
        let outbox = std::mem::take(&mut self.outbox);
        for line in outbox.into_values() {
            let place = self.pending.last_key_value().map_or(0, |(place, _)| place.0 + 1);
            self.pending.insert(PendingPosition(place), line);
        }
    }

    /// The weight of all lines and entries that are here, in bytes.
    pub(super) fn weight(&self) -> usize {
        let log: usize = self.log.iter().map(|entry| entry.weight()).sum();
        let waiting = self.pending.values().chain(self.outbox.values());
        log + waiting.map(|line| line.weight()).sum::<usize>()
    }

    /// Takes the entries right before the first one that is here; `base` is the state of the log before them.
    pub(super) fn put_before(&mut self, base: LogState, entries: Vec<Arc<Entry>>) {
        self.base = base;
        self.log.splice(0..0, entries);
    }

    /// Takes a record.
    pub(super) fn keep(&mut self, record: &Record) {
        match record {
            Record::Room(room) => self.room = Some(*room),
            Record::Append(entries) => entries.iter().for_each(|entry| self.append(entry)),
            Record::Queue(lines) => self.outbox.extend(lines.iter().map(|line| (line.id.n, Arc::clone(line)))),
            Record::Promise(epoch) => self.promise = Some(*epoch),
            Record::LearnPeer(uid) => {
                self.book.insert(*uid);
            }
            Record::ForgetPeer(uid) => {
                self.book.remove(uid);
            }
            Record::Shown(shown) => self.shown = shown.clone(),
        }
    }

    fn append(&mut self, entry: &Arc<Entry>) {
        self.log_state.apply(entry);
        self.log.push(Arc::clone(entry));
        let Body::Line(line) = &entry.body else { return };
        if self.outbox.get(&line.id.n).is_some_and(|own| own.id == line.id) {
            self.outbox.remove(&line.id.n);
        }
        if !self.pending.is_empty() {
            let log_state = &self.log_state;
            let stands = |line: &Line| line.id.n <= log_state.watermark(line.id.key());
            while let Some(first) = self.pending.first_entry() {
                if !stands(first.get()) {
                    break;
                }
                first.remove();
            }
        }
    }

    fn pending_marks(&self) -> BTreeMap<SessionKey, u64> {
        // Lines of a session wait in the order of their numbers, so the last one has the highest number.
        let waiting = self.pending.values().filter(|line| line.id.n > self.log_state.watermark(line.id.key()));
        waiting.map(|line| (line.id.key(), line.id.n)).collect()
    }

    /// The position of an index among the entries that are here.
    fn place(&self, index: Index) -> usize {
        let before = self.base.tail.index.0;
        usize::try_from(index.0.saturating_sub(before)).unwrap_or(usize::MAX).min(self.log.len())
    }
}

/// The first of `items` that fit into `count_max` and `bytes_max`. The first item always fits into `bytes_max`.
pub(super) fn fitting<T>(
    items: impl Iterator<Item = T>,
    count_max: usize,
    bytes_max: usize,
    weight: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    for item in items.take(count_max) {
        bytes += weight(&item);
        if bytes > bytes_max && !taken.is_empty() {
            break;
        }
        taken.push(item);
    }
    taken
}

/// A line as it waits after a cut removed its entry. Its submitted timestamp is the one that it had in the log.
pub(super) fn cut_line(entry: &Entry) -> Option<Arc<Line>> {
    match &entry.body {
        Body::Line(line) => Some(Arc::new(Line { lamport: entry.lamport, ..Line::clone(line) })),
        Body::Note(_) => None,
    }
}

impl Store for MemoryStore {
    type Error = Infallible;

    fn saved(&self) -> Result<SavedState, Infallible> {
        let mut shown = self.shown.clone();
        shown.lines.retain(|&key, n| *n > self.log_state.watermark(key));
        Ok(SavedState {
            room: self.room,
            log_state: self.log_state.clone(),
            pending: self.pending_marks(),
            promise: self.promise,
            book: self.book.iter().copied().collect(),
            shown,
        })
    }

    fn save(&mut self, record: &Record) -> Result<(), Infallible> {
        self.keep(record);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn persist(&mut self, done: Done) -> Result<(), Infallible> {
        done(true);
        Ok(())
    }

    fn read(&mut self, wanted: &ReadRequest) -> Result<ReadReply, Infallible> {
        Ok(match *wanted {
            ReadRequest::Log { from, bytes_max } => {
                let start = self.place(Index(from.0.saturating_sub(1)));
                let entries = self.log[start..].iter().cloned();
                ReadReply::Log(fitting(entries, BATCH_ENTRIES_MAX, bytes_max, |entry| entry.weight()))
            }
            ReadRequest::Newest { to, lines, bytes_max } => {
                let newest = self.log[..self.place(to)].iter().rev().filter(|entry| entry.line().is_some()).cloned();
                let mut entries = fitting(newest, lines, bytes_max, |entry| entry.weight());
                entries.reverse();
                ReadReply::Log(entries)
            }
            ReadRequest::Pending { after } => {
                let from = after.map_or(PendingPosition(i64::MIN), |place| PendingPosition(place.0 + 1));
                let waiting = self.pending.range(from..).map(|(&place, line)| (place, Arc::clone(line)));
                let waiting = waiting.filter(|(_, line)| line.id.n > self.log_state.watermark(line.id.key()));
                ReadReply::Pending(fitting(waiting, OFFER_LINES_MAX, BATCH_BYTES_MAX, |(_, line)| line.weight()))
            }
        })
    }

    fn cut(&mut self, keep: Index) -> Result<Cut, Infallible> {
        assert!(keep >= self.base.tail.index, "what is cut is here");
        // What stands waits no more; what is cut now waits once.
        self.pending.retain(|_, line| line.id.n > self.log_state.watermark(line.id.key()));
        let cut = self.log.split_off(self.place(keep));
        let first = self.pending.first_key_value().map_or(0, |(place, _)| place.0);
        let lines: Vec<Arc<Line>> = cut.iter().filter_map(|entry| cut_line(entry)).collect();
        for (line, place) in lines.into_iter().rev().zip(1..) {
            // What was in the log has been shown.
            let shown = self.shown.lines.entry(line.id.key()).or_insert(0);
            *shown = line.id.n.max(*shown);
            self.pending.insert(PendingPosition(first - place), line);
        }
        self.shown.up_to = self.shown.up_to.min(keep);
        self.log_state = self.base.clone();
        for entry in &self.log {
            self.log_state.apply(entry);
        }
        Ok(Cut { log_state: self.log_state.clone(), pending: self.pending_marks() })
    }
}
