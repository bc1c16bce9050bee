//! Requests under way: reads of the store, pulls of peers that rebase onto this log, and the numbers of new ones.

use std::collections::BTreeMap;

use crate::ring::types::id::{ConnId, Index, ReadId, StreamId};
use crate::ring::types::limits::CONNS_MAX;

/// What the answer of a read of the store is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(super) enum ReadPurpose {
    /// Entries for all followers that stand right before this index.
    Stream(Index),
    /// Entries for a peer that rebases onto this log.
    Pull(ConnId),
    /// So many of the newest lines for a newcomer.
    Backlog(ConnId, StreamId, u32),
    /// The author's pending lines, to offer them to a leader.
    Offer(StreamId),
    /// The author's pending lines, for a leader that sequences its own.
    Sequence,
}

/// Counts up from 1.
#[derive(Clone, Default, Debug, Hash)]
struct Counter(u64);

impl Counter {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Reads that the store has not answered, and pulls that the node has not answered.
#[derive(Clone, Default, Debug, Hash)]
pub(super) struct Requests {
    reads: BTreeMap<ReadId, ReadPurpose>,
    /// The last pull of each connection: the first index that its peer lacks.
    pulls: BTreeMap<ConnId, Index>,
    last_read: Counter,
    last_stream: Counter,
    last_attempt: Counter,
}

impl Requests {
    /// The number of a new stream of entries to a follower.
    pub(super) fn next_stream(&mut self) -> StreamId {
        StreamId(self.last_stream.next())
    }

    /// The number of a new attempt to join a leader.
    pub(super) fn next_attempt(&mut self) -> u64 {
        self.last_attempt.next()
    }

    /// The number of a new read of the store.
    pub(super) fn start_read(&mut self, purpose: ReadPurpose) -> ReadId {
        let id = ReadId(self.last_read.next());
        self.reads.insert(id, purpose);
        id
    }

    /// The store has answered a read. `None`: the node does not want the answer any more.
    pub(super) fn end_read(&mut self, id: ReadId) -> Option<ReadPurpose> {
        self.reads.remove(&id)
    }

    /// Whether the store still reads the newest lines for the peer of this connection.
    pub(super) fn reads_backlog(&self, conn: ConnId) -> bool {
        self.reads.values().any(|purpose| matches!(purpose, ReadPurpose::Backlog(to, ..) if *to == conn))
    }

    /// The node ignores the answers of earlier backlog reads for this connection.
    pub(super) fn cancel_backlog(&mut self, conn: ConnId) {
        self.reads.retain(|_, purpose| !matches!(purpose, ReadPurpose::Backlog(to, ..) if *to == conn));
    }

    /// The node ignores the answers of earlier reads for pulls over this connection.
    pub(super) fn cancel_pull(&mut self, conn: ConnId) {
        self.reads.retain(|_, purpose| !matches!(purpose, ReadPurpose::Pull(to) if *to == conn));
    }

    /// A peer asks for the entries from this index on. The last question of a connection counts.
    pub(super) fn on_pull(&mut self, conn: ConnId, from: Index) {
        self.pulls.insert(conn, from);
    }

    /// Takes the pulls to answer now, by connection.
    pub(super) fn take_pulls(&mut self) -> BTreeMap<ConnId, Index> {
        std::mem::take(&mut self.pulls)
    }

    /// Nobody waits for the pull of a closed connection. Its reads go on: the node drops their answers when they come.
    pub(super) fn on_conn_closed(&mut self, conn: ConnId) {
        self.pulls.remove(&conn);
    }

    /// Bounded collections: name, size now, limit.
    pub(super) fn sizes(&self) -> [(&'static str, usize, usize); 2] {
        [("pulls that wait", self.pulls.len(), CONNS_MAX), ("reads under way", self.reads.len(), CONNS_MAX)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnId = ConnId::accepted(1);
    const B: ConnId = ConnId::accepted(2);

    #[test]
    fn each_kind_of_number_counts_up_from_1_by_itself() {
        let mut requests = Requests::default();
        assert_eq!([requests.next_stream(), requests.next_stream()], [StreamId(1), StreamId(2)]);
        assert_eq!([requests.next_attempt(), requests.next_attempt()], [1, 2]);
        let reads = [requests.start_read(ReadPurpose::Sequence), requests.start_read(ReadPurpose::Sequence)];
        assert_eq!(reads, [ReadId(1), ReadId(2)]);
    }

    #[test]
    fn an_answer_counts_once_and_only_if_nothing_has_cancelled_its_read() {
        let (pull, backlog) = (ReadPurpose::Pull, |conn| ReadPurpose::Backlog(conn, StreamId(1), 5));
        type Event = fn(&mut Requests);
        let table: [(&str, ReadPurpose, Event, bool); 8] = [
            ("nothing happens", pull(A), |_| {}, true),
            ("the store has answered it before", pull(A), |all| _ = all.end_read(ReadId(1)), false),
            ("a new pull over the same connection", pull(A), |all| all.cancel_pull(A), false),
            ("a new pull over another connection", pull(A), |all| all.cancel_pull(B), true),
            ("its connection closes", pull(A), |all| all.on_conn_closed(A), true),
            ("its peer joins again", backlog(A), |all| all.cancel_backlog(A), false),
            ("another peer joins again", backlog(A), |all| all.cancel_backlog(B), true),
            ("its peer joins again, and pulls", pull(A), |all| all.cancel_backlog(A), true),
        ];
        for (event, purpose, happens, counts) in table {
            let mut requests = Requests::default();
            let id = requests.start_read(purpose);
            happens(&mut requests);
            assert_eq!(requests.end_read(id), counts.then_some(purpose), "{event}");
        }
    }

    #[test]
    fn a_backlog_is_read_for_its_own_connection_alone() {
        let table = [
            ("a backlog for it", ReadPurpose::Backlog(A, StreamId(1), 5), true),
            ("a backlog for another", ReadPurpose::Backlog(B, StreamId(1), 5), false),
            ("a pull", ReadPurpose::Pull(A), false),
            ("an offer", ReadPurpose::Offer(StreamId(1)), false),
        ];
        for (read, purpose, expected) in table {
            let mut requests = Requests::default();
            requests.start_read(purpose);
            assert_eq!(requests.reads_backlog(A), expected, "{read}");
        }
    }

    #[test]
    fn the_last_pull_of_each_open_connection_is_answered_once() {
        let mut requests = Requests::default();
        for (conn, from) in [(A, 3), (B, 5), (A, 4)] {
            requests.on_pull(conn, Index(from));
        }
        assert_eq!(requests.take_pulls(), BTreeMap::from([(A, Index(4)), (B, Index(5))]));
        assert!(requests.take_pulls().is_empty());
        requests.on_pull(A, Index(6));
        requests.on_conn_closed(A);
        assert!(requests.take_pulls().is_empty());
    }
}
