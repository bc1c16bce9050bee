//! The outbox: a node's own lines until they are in the log, and how far they count as sent.
//!
//! Promise 2 is decided here. A line counts as sent (*confirmed*) once
//!
//! * the store has answered a sync that covers the line, and
//! * another member holds the line (*peer-acked*); a leader without followers needs its own medium instead.
//!
//! Lines have the numbers 1, 2, 3 ... of the node's session. A leader without waiting lines sequences its own lines at
//! once: they have numbers too, but never enter the queue.

use std::collections::VecDeque;
use std::collections::vec_deque::Iter;
use std::sync::Arc;

use crate::ring::log::entry::Line;
use crate::ring::log::run_signature::whole_runs;
use crate::ring::types::id::{Index, SyncId};
use crate::ring::types::limits::{
    BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, OUTBOX_BYTES_MAX, OUTBOX_LINE_BYTES_MAX, OUTBOX_LINES_MAX, UNSENT_MARKS_MAX,
};

/// A node's own lines, and what is known of their safety. All numbers are line numbers of the node's session.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Outbox {
    /// Lines that are not in the node's log, in the order of their numbers.
    queue: VecDeque<Arc<Line>>,
    /// The weight of the queue, in bytes.
    bytes: usize,
    /// The highest number in use.
    last: u64,
    /// The highest number that an answered sync covers, whether the sync has succeeded or not.
    sync_answered: u64,
    /// The highest number that a successful sync covers.
    on_disk: u64,
    /// The sync under way, and the highest number that it covers.
    sync_in_flight: Option<(SyncId, u64)>,
    /// How many syncs were requested; the last one has this id.
    syncs: u64,
    /// The highest number that was reported to the user as sent.
    confirmed: u64,
    /// The highest number that another member is known to hold.
    peer_acked: u64,
    /// Of a leader: indexes of its log up to which no follower has acknowledged, each with the highest own number there.
    unacked: VecDeque<(Index, u64)>,
}

impl Outbox {
    // ---- the queue

    /// The number of the next line; it is in use from now on.
    pub(super) fn take_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// The highest number in use.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether the queue has no place for another line beside so many that wait for their signature.
    pub(super) fn is_full_with(&self, lines: usize, bytes: usize) -> bool {
        self.queue.len() + lines >= OUTBOX_LINES_MAX || self.bytes + bytes >= OUTBOX_BYTES_MAX
    }

    /// How many more lines fit. `in_flight`: lines that are in the log and count as if they were in the queue.
    pub(super) fn room(&self, in_flight: usize) -> usize {
        let bytes = OUTBOX_BYTES_MAX.saturating_sub(self.bytes) / OUTBOX_LINE_BYTES_MAX;
        bytes.min(OUTBOX_LINES_MAX.saturating_sub(self.queue.len().max(in_flight)))
    }

    /// Appends lines to the queue.
    pub(super) fn push(&mut self, lines: Vec<Arc<Line>>) {
        self.bytes += lines.iter().map(|line| line.weight()).sum::<usize>();
        self.queue.extend(lines);
    }

    /// The node's log holds its lines up to `n`: they leave the queue.
    pub(super) fn remove_up_to(&mut self, n: u64) {
        while self.queue.front().is_some_and(|line| line.id.n <= n) {
            if let Some(line) = self.queue.pop_front() {
                self.bytes -= line.weight();
            }
        }
    }

    /// Whether no line waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many lines wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The lines that wait, in order.
    pub(super) fn lines(&self) -> Iter<'_, Arc<Line>> {
        self.queue.iter()
    }

    /// The waiting lines after the number `sent`, in parts that each fit into a frame and hold whole signed runs.
    pub(super) fn parts_after(&self, sent: u64) -> Vec<Vec<Arc<Line>>> {
        let skip = self.queue.front().map_or(0, |first| (sent + 1).saturating_sub(first.id.n));
        let mut from = usize::try_from(skip).unwrap_or(usize::MAX).min(self.queue.len());
        let mut parts = Vec::new();
        while from < self.queue.len() {
            let mut bytes = 0;
            let fits = self.queue.range(from..).take(BATCH_ENTRIES_MAX).take_while(|line| {
                bytes += line.weight();
                bytes <= BATCH_BYTES_MAX
            });
            let fits = from + fits.count();
            let to = from + whole_runs(self.queue.range(from..fits).map(|line| &**line));
            if to == from {
                break;
            }
            parts.push(self.queue.range(from..to).cloned().collect());
            from = to;
        }
        parts
    }

    // ---- the medium

    /// Requests a sync if there are lines that no sync covers. One sync at a time covers all lines so far.
    pub(super) fn sync_new(&mut self) -> Option<SyncId> {
        if self.sync_answered < self.last { self.sync() } else { None }
    }

    /// Requests a sync again if an earlier one has failed; called with each heartbeat.
    pub(super) fn sync_again(&mut self) -> Option<SyncId> {
        if self.on_disk < self.sync_answered { self.sync() } else { None }
    }

    fn sync(&mut self) -> Option<SyncId> {
        if self.sync_in_flight.is_some() {
            return None;
        }
        self.syncs += 1;
        let id = SyncId(self.syncs);
        self.sync_in_flight = Some((id, self.last));
        Some(id)
    }

    /// The store has answered a sync. If it has failed, another member's copy must do. Returns whether the answer is of
    /// the sync under way.
    pub(super) fn on_sync_answer(&mut self, id: SyncId, success: bool) -> bool {
        let Some((_, n)) = self.sync_in_flight.take_if(|(asked, _)| *asked == id) else { return false };
        self.sync_answered = self.sync_answered.max(n);
        if success {
            self.on_disk = self.on_disk.max(n);
        }
        true
    }

    // ---- other members

    /// Another member holds the lines up to `n`.
    pub(super) fn on_peer_ack(&mut self, n: u64) {
        self.peer_acked = self.peer_acked.max(n);
    }

    /// The highest number that another member is known to hold.
    pub(super) fn peer_acked(&self) -> u64 {
        self.peer_acked
    }

    /// The node begins to lead: nothing is known of new followers.
    pub(super) fn forget_unacked(&mut self) {
        self.unacked.clear();
    }

    /// What a leader may report as sent. Its log ends at `tail` and holds its own lines up to `logged`; the followers
    /// have acknowledged up to `acked`; `alone`: there are none.
    pub(super) fn confirm_leading(&mut self, tail: Index, logged: u64, acked: Index, alone: bool) -> Option<u64> {
        if self.unacked.back().map_or(self.confirmed, |(_, n)| *n) < logged {
            if self.unacked.len() >= UNSENT_MARKS_MAX {
                self.unacked.pop_back();
            }
            self.unacked.push_back((tail, logged));
        }
        let mut safe = self.confirmed;
        while let Some(&(_, n)) = self.unacked.front().filter(|(index, _)| *index <= acked) {
            self.unacked.pop_front();
            self.on_peer_ack(n);
            safe = safe.max(n);
        }
        if alone && let Some(&(_, n)) = self.unacked.back() {
            // No other member holds the line: this node's medium must.
            safe = safe.max(n.min(self.on_disk));
        }
        self.confirm(safe)
    }

    /// What a follower may report as sent: its leader holds all of the follower's log, with its own lines up to `logged`.
    pub(super) fn confirm_following(&mut self, logged: u64) -> Option<u64> {
        self.unacked.clear();
        self.peer_acked = logged;
        self.confirm(logged)
    }

    fn confirm(&mut self, safe: u64) -> Option<u64> {
        let confirmed = safe.max(self.peer_acked).min(self.sync_answered);
        let news = confirmed > self.confirmed;
        self.confirmed = self.confirmed.max(confirmed);
        news.then_some(confirmed)
    }

    /// Own lines that no other member is known to hold.
    pub(super) fn unheld(&self) -> usize {
        usize::try_from(self.last.saturating_sub(self.peer_acked)).unwrap_or(usize::MAX)
    }

    /// The bounded collections; see [`Node::sizes`](super::Node::sizes).
    pub(super) fn sizes(&self) -> [(&'static str, usize, usize); 3] {
        [
            ("outbox lines", self.queue.len(), OUTBOX_LINES_MAX),
            ("outbox bytes", self.bytes, OUTBOX_BYTES_MAX + OUTBOX_LINE_BYTES_MAX),
            ("lines not known to be held by another", self.unacked.len(), UNSENT_MARKS_MAX),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::{Lamport, LineId, Name, SessionId, Text, Uid};
    use crate::ring::types::proof::AuthorId;

    fn line(n: u64) -> Option<Arc<Line>> {
        let (name, text) = (Name::parse("ann").ok()?, Text::parse("hello").ok()?);
        let id = LineId { author: AuthorId::of_bits(1), session: SessionId(2), n };
        let uid = Uid(([127, 0, 0, 1], 1).into());
        Some(Arc::new(Line { id, lamport: Lamport(n), name, uid, text, channel: None, act: None, signature: None }))
    }

    /// An outbox whose user has written this many lines.
    fn outbox(lines: u64) -> Outbox {
        let mut outbox = Outbox::default();
        let queued = (0..lines).filter_map(|_| line(outbox.take_number())).collect();
        outbox.push(queued);
        outbox
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// The node asks for a sync of new lines; it gets this id (0: none).
        SyncNew(u64),
        /// It asks again, with a heartbeat.
        SyncAgain(u64),
        /// The store answers a sync.
        Answer(u64, bool),
        /// The node leads and is alone; its log holds so many own lines.
        Alone(u64),
        /// It leads; its log ends there with so many own lines, and followers have acknowledged up to an index.
        Leads(u64, u64, u64),
        /// It follows; its log holds so many own lines.
        Follows(u64),
        /// What it may report as sent now (0: nothing new).
        Confirms(u64),
    }
    use Event::*;

    /// Promise 2: a line counts as sent when the medium and another member have it; alone, when the medium has it.
    #[test]
    fn a_line_counts_as_sent_when_it_is_safe() {
        let table: [(&str, &[Event]); 8] = [
            ("a follower's line in the log, not synced", &[SyncNew(1), Follows(2), Confirms(0)]),
            ("synced, but not in the log", &[SyncNew(1), Answer(1, true), Follows(0), Confirms(0)]),
            ("synced and in the log", &[SyncNew(1), Answer(1, true), Follows(2), Confirms(2), Follows(2), Confirms(0)]),
            ("the medium has failed, the leader holds it", &[SyncNew(1), Answer(1, false), Follows(2), Confirms(2)]),
            ("alone, the medium has failed", &[SyncNew(1), Answer(1, false), Alone(2), Confirms(0)]),
            (
                "alone, the medium takes it again",
                &[SyncNew(1), Answer(1, false), Alone(2), SyncAgain(2), Answer(2, true), Alone(2), Confirms(2)],
            ),
            (
                "a leader waits for an acknowledgement",
                &[SyncNew(1), Answer(1, true), Leads(7, 2, 6), Confirms(0), Leads(7, 2, 7), Confirms(2)],
            ),
            ("the answer to an older sync is ignored", &[SyncNew(1), Answer(9, true), Follows(2), Confirms(0)]),
        ];
        for (case, events) in table {
            let mut outbox = outbox(2);
            let mut news = None;
            for event in events {
                match *event {
                    SyncNew(id) => assert_eq!(outbox.sync_new().map_or(0, |sync| sync.0), id, "{case}: {event:?}"),
                    SyncAgain(id) => assert_eq!(outbox.sync_again().map_or(0, |sync| sync.0), id, "{case}: {event:?}"),
                    Answer(id, success) => assert_eq!(outbox.on_sync_answer(SyncId(id), success), id != 9, "{case}"),
                    Alone(logged) => news = outbox.confirm_leading(Index(7), logged, Index(0), true),
                    Leads(tail, logged, acked) => {
                        news = outbox.confirm_leading(Index(tail), logged, Index(acked), false);
                    }
                    Follows(logged) => news = outbox.confirm_following(logged),
                    Confirms(n) => assert_eq!(news.take().unwrap_or(0), n, "{case}: {event:?}"),
                }
            }
        }
    }

    #[test]
    fn one_sync_at_a_time_covers_all_lines_so_far() {
        let mut outbox = outbox(2);
        assert_eq!(outbox.sync_new(), Some(SyncId(1)));
        let third = outbox.take_number();
        outbox.push(line(third).into_iter().collect());
        assert_eq!(outbox.sync_new(), None, "one is under way");
        assert!(outbox.on_sync_answer(SyncId(1), true));
        assert_eq!(outbox.sync_new(), Some(SyncId(2)), "the third line came later");
        assert!(outbox.on_sync_answer(SyncId(2), true));
        assert_eq!((outbox.sync_new(), outbox.sync_again()), (None, None), "everything is on the medium");
    }

    #[test]
    fn lines_leave_the_queue_when_the_log_has_them() {
        for (logged, left, first) in [(0, 3, Some(1)), (1, 2, Some(2)), (3, 0, None), (9, 0, None)] {
            let mut outbox = outbox(3);
            outbox.remove_up_to(logged);
            assert_eq!((outbox.len(), outbox.lines().next().map(|line| line.id.n)), (left, first), "up to {logged}");
            assert_eq!(outbox.bytes, outbox.lines().map(|line| line.weight()).sum::<usize>(), "up to {logged}");
        }
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut outbox = outbox(OUTBOX_LINES_MAX as u64 - 1);
        assert_eq!((outbox.room(0), outbox.room(OUTBOX_LINES_MAX)), (1, 0));
        assert!(!outbox.is_full_with(0, 0));
        assert!(outbox.is_full_with(1, 0));
        outbox.remove_up_to(2);
        assert_eq!(outbox.room(0), 3);
    }

    #[test]
    fn marks_of_lines_without_an_acknowledgement_are_bounded() {
        let mut outbox = outbox(2 * UNSENT_MARKS_MAX as u64);
        for n in 1..=2 * UNSENT_MARKS_MAX as u64 {
            assert_eq!(outbox.confirm_leading(Index(n), n, Index(0), false), None);
        }
        assert_eq!(outbox.unacked.len(), UNSENT_MARKS_MAX);
        let all = 2 * UNSENT_MARKS_MAX as u64;
        assert_eq!(outbox.confirm_leading(Index(all), all, Index(all), false), None, "nothing is synced");
        assert_eq!(outbox.peer_acked(), all, "the newest mark stands for those that found no place");
    }
}
