//! The leader's log goes out: to every follower from where it stands, within a window; to many as one frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Node;
use super::phase::Phase;
use super::requests::ReadPurpose;
use crate::ring::log::entry::Entry;
use crate::ring::log::one_batch;
use crate::ring::types::id::{ConnId, Index, Tail, Uid};
use crate::ring::types::limits::{BATCH_BYTES_MAX, WINDOW_BYTES_MAX};
use crate::ring::wire::frame::{Entries, Frame};
use crate::ring::{Batch, ReadRequest};

impl Node {
    /// Streams to every follower from where it stands, within its window. A batch for many is one frame.
    pub(super) fn fan_out(&mut self) {
        let end = self.log.tail().index;
        self.open_gates();
        loop {
            let Phase::Leading(leading) = &mut self.phase else { return };
            let mut groups: BTreeMap<Index, Vec<Uid>> = BTreeMap::new();
            for (&uid, follower) in &leading.followers {
                if let Some(sent) = follower.sent
                    && sent.index < end
                    && follower.flight_bytes < WINDOW_BYTES_MAX
                    && !follower.reading
                    && follower.gate.is_none()
                {
                    groups.entry(sent.index).or_default().push(uid);
                }
            }
            if groups.is_empty() {
                return;
            }
            for (after, uids) in groups {
                let from = after.next();
                match self.log.batch(from) {
                    Some(batch) => self.stream_batch(&uids, batch),
                    None => {
                        let Phase::Leading(leading) = &mut self.phase else { return };
                        for uid in uids {
                            if let Some(follower) = leading.followers.get_mut(&uid) {
                                follower.reading = true;
                            }
                        }
                        self.read(ReadRequest::Log { from, bytes_max: BATCH_BYTES_MAX }, ReadPurpose::Stream(from));
                    }
                }
            }
        }
    }

    /// Lets the stream of newcomers begin whose `joined` everybody else has.
    fn open_gates(&mut self) {
        let now = self.now.mono;
        let Phase::Leading(leading) = &mut self.phase else { return };
        if leading.followers.values().all(|follower| follower.gate.is_none()) {
            return;
        }
        let links = &self.links;
        let others = leading.followers.values().filter(|other| other.gate.is_none() && links.fresh(other.conn, now));
        let everybody = others.map(|other| other.acked).min();
        for follower in leading.followers.values_mut() {
            let known = |index: Index| everybody.is_none_or(|acked| acked >= index);
            follower.gate.take_if(|(index, until)| known(*index) || *until <= now);
        }
    }

    /// Sends one batch to followers that all stand right before it.
    fn stream_batch(&mut self, uids: &[Uid], batch: Batch) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let Some(last) = batch.entries.last().map(|entry| entry.tail()) else { return };
        let bytes: usize = batch.entries.iter().map(|entry| entry.weight()).sum();
        let mut prev = Tail::default();
        let mut conns = Vec::with_capacity(uids.len());
        for uid in uids {
            if let Some(follower) = leading.followers.get_mut(uid) {
                prev = follower.sent.replace(last).unwrap_or_default();
                follower.flight.push_back((last.index, bytes));
                follower.flight_bytes += bytes;
                conns.push(follower.conn);
            }
        }
        let frame = Arc::new(Frame::Entries(Entries { prev, batch }));
        self.links.send_all(self.now.mono, &conns, &frame, &mut self.out);
    }

    /// Older entries have been read for the followers that stand right before them.
    pub(super) fn stream_read(&mut self, from: Index, entries: &[Arc<Entry>]) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let mut uids = Vec::new();
        for (&uid, follower) in &mut leading.followers {
            if follower.reading && follower.sent.is_some_and(|sent| sent.index.next() == from) {
                follower.reading = false;
                uids.push(uid);
            }
        }
        self.stream_batch(&uids, one_batch(entries.iter()));
        self.agenda.gather();
    }

    /// Tells everybody what everybody holds.
    pub(super) fn announce_stable_index(&mut self) {
        let tail = self.log.tail().index;
        let Phase::Leading(leading) = &mut self.phase else { return };
        let stable_index = leading.followers.values().map(|follower| follower.acked).min().unwrap_or(tail);
        if leading.stable_index != stable_index {
            leading.stable_index = stable_index;
            self.stable_index = stable_index;
            let conns: Vec<ConnId> = leading.followers.values().map(|follower| follower.conn).collect();
            self.links.send_all(self.now.mono, &conns, &Arc::new(Frame::StableIndex(stable_index)), &mut self.out);
        }
    }
}
