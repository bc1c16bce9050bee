//! Watches one node: its outputs must keep the protocol's invariants, whatever inputs it receives.
//!
//! Like the checkers of the simulator, it keeps a picture of its own, and trusts neither the node nor its store.

use std::collections::{BTreeMap, BTreeSet};

use dist_chat::ring::limits::{JUMP_MAX, NUMBER_MAX, SUBMITTED_PUSH_MAX};
use dist_chat::ring::{
    Body, Entry, Epoch, Event, Frame, Hello, Index, Lamport, Node, Output, Record, Role, SessionKey, Uid,
};

use super::frame::there_and_back;

/// The facts that the watch knows about a node.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    obeyed: Option<Epoch>,
    promise: Option<Epoch>,
    synced: Option<Epoch>,
    log: Vec<Place>,
    marks: BTreeMap<SessionKey, u64>,
    /// The authors that have greeted the node; each adds one budget to the sum of all pushes.
    authors: BTreeSet<String>,
    /// The number of entries and lines: the clock and the round may rise by so much without a push.
    natural: u64,
    start: Option<Numbers>,
}

#[derive(Clone, Copy, Debug)]
struct Numbers {
    clock: u64,
    round: u64,
    empty: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    epoch: Epoch,
    lamport: Lamport,
    key: Option<(SessionKey, u64)>,
}

impl Watch {
    /// Notes the numbers of the node at the moment from which the fuzzer chooses its inputs.
    pub fn begin(&mut self, node: &Node) {
        let round = self.obeyed.map_or(0, |epoch| epoch.round);
        self.start = Some(Numbers { clock: node.lamport().0, round, empty: self.log.is_empty() });
    }

    /// A peer has greeted the node.
    pub fn greeted(&mut self, hello: &Hello) {
        self.authors.insert(format!("{:?}", hello.author));
    }

    /// The node has made a step.
    pub fn stepped(&mut self) {
        self.natural += 4;
    }

    /// The node has cut its log.
    pub fn cut(&mut self, keep: Index) {
        for place in self.log.drain(usize::try_from(keep.0).expect("a cut is within the log")..).rev() {
            if let Some((key, n)) = place.key {
                self.marks.insert(key, n - 1);
            }
        }
    }

    /// The node has returned this output.
    pub fn output(&mut self, me: Uid, output: &Output) {
        match output {
            Output::Save(Record::Append(entries)) => entries.iter().for_each(|entry| self.append(me, entry)),
            Output::Save(Record::Promise(epoch)) => {
                self.promise = Some(*epoch);
                self.obeys(*epoch);
            }
            Output::Save(Record::Queue(lines)) => self.natural += 2 * lines.len() as u64,
            Output::Save(Record::Room(_) | Record::LearnPeer(_) | Record::ForgetPeer(_) | Record::Shown(_)) => {}
            Output::Sync => self.synced = self.promise,
            Output::Cut(keep) => assert!(keep.0 <= self.log.len() as u64, "cuts more than there is"),
            Output::Send(_, frame) => self.send(me, frame),
            Output::Event(Event::Leader(epoch)) => self.obeys(*epoch),
            Output::Event(_)
            | Output::Persist(_)
            | Output::Read(..)
            | Output::Dial(..)
            | Output::Close(_)
            | Output::GiveKey(_)
            | Output::OfferKey(_)
            | Output::TakeKey(_)
            | Output::OpenPm(..)
            | Output::HealthReply(_)
            | Output::Stop(_) => {}
        }
    }

    /// Invariants 2, 3 and 5: each entry follows the log.
    fn append(&mut self, me: Uid, entry: &Entry) {
        assert_eq!(entry.index.0, self.log.len() as u64 + 1, "invariant 2: an entry follows the log");
        if let Some(last) = self.log.last() {
            assert!(entry.epoch >= last.epoch, "invariant 2: epochs rise along a log");
            assert!(entry.lamport > last.lamport, "invariant 5: timestamps rise along a log");
        }
        assert!(entry.lamport.0.max(entry.epoch.round) <= NUMBER_MAX, "a number above the ceiling");
        let key = match &entry.body {
            Body::Line(line) => {
                let (key, n) = (line.id.key(), line.id.n);
                let last = self.marks.insert(key, n).unwrap_or(0);
                assert_eq!(n, last + 1, "invariant 3: a session's numbers rise by one");
                Some((key, n))
            }
            Body::Note(_) => None,
        };
        if self.obeyed == Some(entry.epoch) && entry.epoch.leader == me {
            self.natural += 2;
        }
        self.natural += 2;
        self.log.push(Place { epoch: entry.epoch, lamport: entry.lamport, key });
    }

    /// Invariant 1: the node obeys no lower epoch after a higher one.
    fn obeys(&mut self, epoch: Epoch) {
        assert!(self.obeyed <= Some(epoch), "invariant 1: obeys {epoch} after {:?}", self.obeyed);
        self.obeyed = Some(epoch);
    }

    fn send(&mut self, me: Uid, frame: &Frame) {
        there_and_back(frame);
        match frame {
            Frame::Ack(ack) => assert!(ack.index.0 <= self.log.len() as u64, "invariant 6: acknowledges what it lacks"),
            Frame::Elected(elected) if elected.epoch.leader == me => {
                assert!(self.synced >= Some(elected.epoch), "invariant 1: announces before its promise is synced");
            }
            Frame::Relay(relay) if relay.from == me => {
                if let Some(inner) = relay.frame.as_deref() {
                    self.send(me, inner);
                }
            }
            _ => {}
        }
    }

    /// Checks the node after each step.
    pub fn after(&mut self, node: &Node) {
        // Invariant 8: no size exceeds its limit.
        for (what, size, limit) in node.sizes() {
            assert!(size <= limit, "invariant 8: {what}: {size} of {limit}");
        }
        let status = node.status();
        assert_eq!(status.tail.index.0, self.log.len() as u64, "invariant 2: says where its log ends");
        if let Some(epoch) = status.epoch {
            self.obeys(epoch);
            let leads = status.role == Role::Leader;
            assert_eq!(epoch.leader == status.uid, leads, "invariant 1: {epoch} is led by whom it names");
        }
        let Some(start) = self.start else { return };
        let round = self.obeyed.map_or(0, |epoch| epoch.round);
        let clock = status.lamport.0;
        assert!(clock.max(round) <= NUMBER_MAX, "a number above the ceiling");
        if start.empty {
            // A node without a log accepts any numbers of the room that it joins.
            return;
        }
        let pushed = SUBMITTED_PUSH_MAX + JUMP_MAX * self.authors.len() as u64 + self.natural;
        assert!(clock - start.clock <= pushed, "the clock was pushed by {}", clock - start.clock);
        assert!(round - start.round <= pushed, "the round was pushed by {}", round - start.round);
    }
}
