//! The log fetch of a winner: before it leads, it takes the best log that is there. Without the node around it.
//!
//! A won election names the holder of the best log. If that holder fails, this node asks all that took part where their
//! logs end, and fetches the best of those, or leads with its own. `rebase.rs` is what the node does with the outcomes.

use std::collections::BTreeSet;

use crate::ring::links::CloseReason;
use crate::ring::log::log_state::{EpochBound, LogState};
use crate::ring::types::id::{ConnId, Epoch, Index, Tail, Uid};
use crate::ring::types::limits::EPOCH_BOUNDS_MAX;
use crate::ring::types::time::{Span, Time};

/// A winner's way to the best log.
#[derive(Clone, Debug, Hash)]
pub(super) struct LogFetch {
    stage: FetchStage,
    /// The holder, or the poll, has failed if nothing has come by then.
    deadline: Time,
    /// Holders that have failed.
    failed: BTreeSet<Uid>,
    /// This node led already, without this entry and perhaps some before it. The holder has it, so the holder's log
    /// comes first, whatever the epochs.
    known_gap: Option<Tail>,
}

#[derive(Clone, Debug, Hash)]
enum FetchStage {
    /// Entries come from this holder; `target` is its tail, once it has said so; `described`: the oldest epoch of this
    /// node's log that the holder knows of.
    From { holder: Uid, conn: ConnId, target: Option<Tail>, described: Option<Epoch> },
    /// Nodes are asked where their logs end. `open`: those that have not answered.
    Polling { open: BTreeSet<Uid>, best: Option<(Tail, Uid)> },
}

/// What a fetch needs to know of its node.
pub(super) struct FetchCx<'a> {
    pub now: Time,
    /// How long a holder may take to answer.
    pub fetch_within: Span,
    /// How long the nodes may take to say where their logs end.
    pub poll_within: Span,
    /// This node's log.
    pub log: &'a LogState,
    /// The nodes that took part in the election.
    pub ring: &'a BTreeSet<Uid>,
}

/// What happens to a fetch.
#[derive(Clone, Debug)]
pub(super) enum FetchEvent {
    /// The election is won; `best`: the best log, where it is another node's, and its holder.
    Won { best: Option<(Tail, Uid)> },
    /// The log of this node is to be fetched.
    Take(Uid),
    /// The request to this holder is on its way; `conn`: none if it cannot be reached.
    Requested { holder: Uid, conn: Option<ConnId> },
    /// All nodes that can be polled are polled.
    Polled,
    /// A node has said where its log ends.
    PollReply { from: Uid, tail: Tail },
    /// A connection has ended. `was_up`: it had been in use. `is_last`: no other to that node is up.
    Disconnected { conn: ConnId, uid: Option<Uid>, how: CloseReason, was_up: bool, is_last: bool },
    /// A node cannot be polled again.
    PeerGone(Uid),
    /// The holder has said up to where it shares this node's log, and where its own ends; none: it shares nothing that
    /// it knows of yet.
    Common { conn: ConnId, common: Option<(Index, Tail)> },
    /// The store has cut this node's log to what the holder shares.
    Cut,
    /// Entries have come and are in this node's log; `is_end`: the holder has no more.
    Pulled { is_end: bool },
    /// The deadline has passed.
    Timeout,
}

/// What a fetch asks its node to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FetchOutcome {
    /// Nothing, until something else happens.
    Wait,
    /// Ask this holder for its log, and say so with [`FetchEvent::Requested`].
    Request { holder: Uid, bounds: Vec<EpochBound> },
    /// Describe older epochs to the holder.
    Describe { conn: ConnId, bounds: Vec<EpochBound> },
    /// Ask all of these nodes where their logs end, forget those that cannot be asked, and say [`FetchEvent::Polled`].
    Poll(BTreeSet<Uid>),
    /// Ask this node again. If that is not possible, [`FetchEvent::PeerGone`] says so.
    AskAgain(Uid),
    /// Keep this node's log up to `keep`, cut the rest, and pull what follows, up to `target`.
    Rebase { conn: ConnId, keep: Index, target: Index },
    /// Pull what follows this node's log.
    Pull { conn: ConnId, after: Index },
    /// The same, and tell the nodes that wait to follow that the fetch goes on.
    PullMore { conn: ConnId, after: Index },
    /// The holder says what cannot be.
    Violation { conn: ConnId, why: &'static str },
    /// The best log is here: lead.
    Lead,
}

impl LogFetch {
    /// A fetch that has not begun. `failed`: nodes that have failed to hold it before. `known_gap`: see
    /// [`LogFetch::known_gap`].
    pub(super) fn new(now: Time, failed: BTreeSet<Uid>, known_gap: Option<Tail>) -> Self {
        let stage = FetchStage::Polling { open: BTreeSet::new(), best: None };
        Self { stage, deadline: now, failed, known_gap }
    }

    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// The holders that have failed.
    pub(super) fn take_failed(&mut self) -> BTreeSet<Uid> {
        std::mem::take(&mut self.failed)
    }

    /// The connection to the holder, while entries come from one.
    pub(super) fn conn(&self) -> Option<ConnId> {
        match &self.stage {
            FetchStage::From { conn, .. } => Some(*conn),
            FetchStage::Polling { .. } => None,
        }
    }

    /// Entries are awaited over this connection.
    pub(super) fn awaits_entries(&self, from: ConnId) -> bool {
        matches!(&self.stage, FetchStage::From { conn, target: Some(_), .. } if *conn == from)
    }

    /// This node cannot be polled.
    pub(super) fn forget(&mut self, uid: Uid) {
        if let FetchStage::Polling { open, .. } = &mut self.stage {
            open.remove(&uid);
        }
    }

    pub(super) fn handle(&mut self, cx: &FetchCx<'_>, event: FetchEvent) -> FetchOutcome {
        match event {
            FetchEvent::Won { best } => take_best(cx, best),
            FetchEvent::Take(holder) => request(cx, holder),
            FetchEvent::Requested { holder, conn: Some(conn) } => {
                let described = cx.log.epoch_bounds(None, EPOCH_BOUNDS_MAX).last().map(|bound| bound.epoch);
                self.stage = FetchStage::From { holder, conn, target: None, described };
                self.deadline = cx.now + cx.fetch_within;
                FetchOutcome::Wait
            }
            FetchEvent::Requested { holder, conn: None } => {
                self.failed.insert(holder);
                self.poll(cx)
            }
            FetchEvent::Polled => self.conclude_if_done(cx),
            FetchEvent::PollReply { from, tail } => {
                let FetchStage::Polling { open, best } = &mut self.stage else { return FetchOutcome::Wait };
                if !open.remove(&from) {
                    return FetchOutcome::Wait;
                }
                if best.is_none_or(|(so_far, _)| tail > so_far) {
                    *best = Some((tail, from));
                }
                self.conclude_if_done(cx)
            }
            FetchEvent::Disconnected { conn, .. } if self.conn() == Some(conn) => self.holder_failed(cx),
            FetchEvent::Disconnected { uid, how, was_up, is_last, .. } => {
                let FetchStage::Polling { open, .. } = &self.stage else { return FetchOutcome::Wait };
                let Some(uid) = uid.filter(|uid| is_last && open.contains(uid)) else { return FetchOutcome::Wait };
                if was_up && matches!(how, CloseReason::Closed | CloseReason::Dropped) {
                    return FetchOutcome::AskAgain(uid);
                }
                self.peer_gone(cx, uid)
            }
            FetchEvent::PeerGone(uid) => self.peer_gone(cx, uid),
            FetchEvent::Common { conn, common } => self.shared(cx, conn, common),
            FetchEvent::Cut => match self.conn() {
                Some(conn) => FetchOutcome::Pull { conn, after: cx.log.tail.index },
                None => FetchOutcome::Wait,
            },
            FetchEvent::Pulled { is_end } => {
                let FetchStage::From { conn, target: Some(target), .. } = self.stage else { return FetchOutcome::Wait };
                self.deadline = cx.now + cx.fetch_within;
                if is_end || cx.log.tail >= target {
                    return FetchOutcome::Lead;
                }
                FetchOutcome::PullMore { conn, after: cx.log.tail.index }
            }
            FetchEvent::Timeout => self.holder_failed(cx),
        }
    }

    /// The holder, or the answers to the poll, did not come in time.
    fn holder_failed(&mut self, cx: &FetchCx<'_>) -> FetchOutcome {
        self.known_gap = None;
        match &mut self.stage {
            FetchStage::From { holder, .. } => {
                self.failed.insert(*holder);
                self.poll(cx)
            }
            FetchStage::Polling { open, .. } => {
                open.clear();
                self.conclude_if_done(cx)
            }
        }
    }

    /// Asks all nodes that took part, but those that have failed, where their logs end.
    fn poll(&mut self, cx: &FetchCx<'_>) -> FetchOutcome {
        let open: BTreeSet<Uid> = cx.ring.difference(&self.failed).copied().collect();
        self.stage = FetchStage::Polling { open: open.clone(), best: None };
        self.deadline = cx.now + cx.poll_within;
        FetchOutcome::Poll(open)
    }

    fn peer_gone(&mut self, cx: &FetchCx<'_>, uid: Uid) -> FetchOutcome {
        self.forget(uid);
        self.conclude_if_done(cx)
    }

    /// All tails are known: the best is fetched, or this node's own is the best.
    fn conclude_if_done(&self, cx: &FetchCx<'_>) -> FetchOutcome {
        match &self.stage {
            FetchStage::Polling { open, best } if open.is_empty() => take_best(cx, *best),
            FetchStage::Polling { .. } | FetchStage::From { .. } => FetchOutcome::Wait,
        }
    }

    /// The holder says what it shares.
    fn shared(&mut self, cx: &FetchCx<'_>, from: ConnId, common: Option<(Index, Tail)>) -> FetchOutcome {
        let mine = cx.log.tail;
        let FetchStage::From { conn, target, described, .. } = &mut self.stage else { return FetchOutcome::Wait };
        if *conn != from || target.is_some() {
            return FetchOutcome::Wait;
        }
        self.deadline = cx.now + cx.fetch_within;
        match common {
            Some((_, tail)) if tail <= mine && self.known_gap.is_none() => FetchOutcome::Lead,
            Some((common, _)) if common > mine.index => {
                FetchOutcome::Violation { conn: from, why: "shares more than there is" }
            }
            Some((keep, tail)) => {
                *target = Some(tail);
                FetchOutcome::Rebase { conn: from, keep, target: tail.index }
            }
            // None of those epochs is there: older ones. The description that reaches the start is the empty one.
            None => {
                let bounds = cx.log.epoch_bounds(*described, EPOCH_BOUNDS_MAX);
                *described = bounds.last().map(|bound| bound.epoch).or(*described);
                FetchOutcome::Describe { conn: from, bounds }
            }
        }
    }
}

/// Fetches the best log, if it is better than this node's own.
fn take_best(cx: &FetchCx<'_>, best: Option<(Tail, Uid)>) -> FetchOutcome {
    match best {
        Some((tail, holder)) if tail > cx.log.tail => request(cx, holder),
        Some(_) | None => FetchOutcome::Lead,
    }
}

fn request(cx: &FetchCx<'_>, holder: Uid) -> FetchOutcome {
    FetchOutcome::Request { holder, bounds: cx.log.epoch_bounds(None, EPOCH_BOUNDS_MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::Nonce;

    const NOW: Time = Time(1_000);
    const FETCH: Span = Span(200);
    const POLL: Span = Span(30);

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    fn conn(number: u64) -> ConnId {
        ConnId::dialled(number)
    }

    fn epoch(round: u64) -> Epoch {
        Epoch { round, leader: uid(9), nonce: Nonce(1) }
    }

    fn tail(round: u64, index: u64) -> Tail {
        Tail { epoch: Some(epoch(round)), index: Index(index) }
    }

    /// A log of epochs 1 and 2, which ends at index 5.
    fn log() -> LogState {
        let epochs = [(epoch(1), Index(3)), (epoch(2), Index(5))].into();
        LogState { tail: tail(2, 5), epochs, ..LogState::default() }
    }

    fn run(fetch: &mut LogFetch, log: &LogState, events: &[FetchEvent]) -> FetchOutcome {
        let ring = [2, 6, 8].map(uid).into();
        let cx = FetchCx { now: NOW, fetch_within: FETCH, poll_within: POLL, log, ring: &ring };
        let mut outcome = FetchOutcome::Wait;
        for event in events {
            outcome = fetch.handle(&cx, event.clone());
        }
        outcome
    }

    /// After a win in which 2, 6 and 8 took part: the outcome of the last of these events.
    fn after(events: &[FetchEvent]) -> FetchOutcome {
        run(&mut LogFetch::new(NOW, BTreeSet::new(), None), &log(), events)
    }

    fn requested(holder: u16) -> FetchEvent {
        FetchEvent::Requested { holder: uid(holder), conn: Some(conn(u64::from(holder))) }
    }

    fn unreachable(holder: u16) -> FetchEvent {
        FetchEvent::Requested { holder: uid(holder), conn: None }
    }

    fn reply(from: u16, tail: Tail) -> FetchEvent {
        FetchEvent::PollReply { from: uid(from), tail }
    }

    fn common(from: u64, common: Option<(u64, Tail)>) -> FetchEvent {
        FetchEvent::Common { conn: conn(from), common: common.map(|(index, tail)| (Index(index), tail)) }
    }

    fn ended(port: u16, how: CloseReason, was_up: bool) -> FetchEvent {
        FetchEvent::Disconnected { conn: conn(u64::from(port)), uid: Some(uid(port)), how, was_up, is_last: true }
    }

    fn request_to(holder: u16) -> FetchOutcome {
        let bounds = [(2, 5), (1, 3)].map(|(round, last)| EpochBound { epoch: epoch(round), last: Index(last) });
        FetchOutcome::Request { holder: uid(holder), bounds: bounds.to_vec() }
    }

    fn poll_of(ports: &[u16]) -> FetchOutcome {
        FetchOutcome::Poll(ports.iter().copied().map(uid).collect())
    }

    #[test]
    fn a_winner_fetches_the_best_log_or_leads_with_its_own() {
        for (what, best, outcome) in [
            ("its own", None, FetchOutcome::Lead),
            ("another, no better", Some((tail(2, 5), uid(6))), FetchOutcome::Lead),
            ("another, longer", Some((tail(2, 6), uid(6))), request_to(6)),
            ("another, of a later epoch", Some((tail(3, 4), uid(6))), request_to(6)),
        ] {
            assert_eq!(after(&[FetchEvent::Won { best }]), outcome, "{what}");
        }
        assert_eq!(after(&[FetchEvent::Take(uid(8))]), request_to(8), "a gap is known to be filled there");
    }

    #[test]
    fn a_holder_that_fails_makes_the_winner_poll_the_others() {
        for (what, event) in [
            ("it cannot be reached", unreachable(6)),
            ("it takes too long", FetchEvent::Timeout),
            ("its connection ends", ended(6, CloseReason::Closed, true)),
        ] {
            assert_eq!(after(&[requested(6), event]), poll_of(&[2, 8]), "{what}");
        }
        assert_eq!(after(&[requested(6), ended(8, CloseReason::Closed, true)]), FetchOutcome::Wait, "another's ends");
        assert_eq!(after(&[unreachable(6), unreachable(2)]), poll_of(&[8]), "another one fails too");
    }

    #[test]
    fn a_poll_ends_with_the_best_tail_that_was_named() {
        let worse = tail(1, 3);
        let better = tail(2, 7);
        for (what, events, outcome) in [
            ("one has not answered", vec![FetchEvent::Polled, reply(2, better)], FetchOutcome::Wait),
            ("all have", vec![reply(2, better), reply(8, worse)], request_to(2)),
            ("none is better", vec![reply(2, worse), reply(8, tail(2, 5))], FetchOutcome::Lead),
            ("one answers twice", vec![reply(2, worse), reply(2, better)], FetchOutcome::Wait),
            ("the failed one answers", vec![reply(6, better)], FetchOutcome::Wait),
            ("one is gone", vec![reply(2, better), FetchEvent::PeerGone(uid(8))], request_to(2)),
            ("the time is over", vec![reply(2, better), FetchEvent::Timeout], request_to(2)),
            ("nobody answers", vec![FetchEvent::Timeout], FetchOutcome::Lead),
            ("closed: again", vec![ended(2, CloseReason::Closed, true)], FetchOutcome::AskAgain(uid(2))),
            ("never up", vec![reply(8, better), ended(2, CloseReason::Closed, false)], request_to(8)),
            ("refused", vec![reply(8, better), ended(2, CloseReason::Refused, true)], request_to(8)),
        ] {
            let events: Vec<_> = [unreachable(6)].into_iter().chain(events).collect();
            assert_eq!(after(&events), outcome, "{what}");
        }
    }

    #[test]
    fn a_winner_keeps_what_the_holder_shares_and_pulls_the_rest() {
        let rebase = |keep| FetchOutcome::Rebase { conn: conn(6), keep: Index(keep), target: Index(9) };
        let violation = FetchOutcome::Violation { conn: conn(6), why: "shares more than there is" };
        for (what, event, outcome) in [
            ("all of it", common(6, Some((5, tail(3, 9)))), rebase(5)),
            ("a part", common(6, Some((3, tail(3, 9)))), rebase(3)),
            ("more than there is", common(6, Some((6, tail(3, 9)))), violation),
            ("its log is no better", common(6, Some((5, tail(2, 5)))), FetchOutcome::Lead),
            ("over another connection", common(8, Some((5, tail(3, 9)))), FetchOutcome::Wait),
            ("nothing yet", common(6, None), FetchOutcome::Describe { conn: conn(6), bounds: vec![] }),
        ] {
            assert_eq!(after(&[requested(6), event]), outcome, "{what}");
        }
        let said = common(6, Some((5, tail(3, 9))));
        assert_eq!(after(&[requested(6), said.clone(), said]), FetchOutcome::Wait, "it says so twice");
    }

    #[test]
    fn a_known_gap_is_fetched_whatever_the_epochs() {
        let mut fetch = LogFetch::new(NOW, BTreeSet::new(), Some(tail(1, 4)));
        let outcome = run(&mut fetch, &log(), &[requested(6), common(6, Some((3, tail(1, 4))))]);
        assert_eq!(outcome, FetchOutcome::Rebase { conn: conn(6), keep: Index(3), target: Index(4) });
    }

    #[test]
    fn entries_are_pulled_until_the_target_is_reached() {
        let mut fetch = LogFetch::new(NOW, BTreeSet::new(), None);
        assert!(!fetch.awaits_entries(conn(6)));
        let _ = run(&mut fetch, &log(), &[requested(6), common(6, Some((5, tail(2, 7))))]);
        assert!(fetch.awaits_entries(conn(6)) && !fetch.awaits_entries(conn(8)));
        assert_eq!(fetch.deadline(), NOW + FETCH);
        let pull = FetchOutcome::Pull { conn: conn(6), after: Index(5) };
        assert_eq!(run(&mut fetch, &log(), &[FetchEvent::Cut]), pull);
        let more = LogState { tail: tail(2, 6), ..log() };
        let more_after_6 = FetchOutcome::PullMore { conn: conn(6), after: Index(6) };
        assert_eq!(run(&mut fetch, &more, &[FetchEvent::Pulled { is_end: false }]), more_after_6);
        assert_eq!(
            run(&mut fetch, &more, &[FetchEvent::Pulled { is_end: true }]),
            FetchOutcome::Lead,
            "it has no more"
        );
        let all = LogState { tail: tail(2, 7), ..log() };
        assert_eq!(run(&mut fetch, &all, &[FetchEvent::Pulled { is_end: false }]), FetchOutcome::Lead);
    }
}
