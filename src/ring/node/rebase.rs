//! The winner's rebase: before it leads, it takes the best log that is there.
//!
//! `log_fetch.rs` decides whose log that is and what is fetched next, and is tested alone.

use std::collections::BTreeSet;

use super::Node;
use super::log_fetch::{self, FetchEvent, FetchOutcome, LogFetch};
use super::phase::{Leading, Phase, Synchronizing};
use crate::ring::Output;
use crate::ring::links::ClosedConn;
use crate::ring::log::entry::Batch;
use crate::ring::log::log_state::EpochBound;
use crate::ring::types::id::{ConnId, Index, Tail, Uid};
use crate::ring::wire::frame::{Frame, Join};

impl Node {
    /// I lead without all that was owed to me, and this one, who asks to follow, has it. Not where others have followed
    /// me for long: those are the room by then.
    pub(super) fn fills_known_gap(&self, from: Uid, epoch_bounds: &[EpochBound]) -> bool {
        let Phase::Leading(Leading { known_gap: Some(known_gap), followers, .. }) = &self.phase else { return false };
        let light = self.now.mono < known_gap.light_until || followers.keys().all(|&uid| uid == from);
        let has = |span: &EpochBound| Some(span.epoch) == known_gap.tail.epoch && span.last >= known_gap.tail.index;
        light && !known_gap.in_vain.contains(&from) && epoch_bounds.iter().any(has)
    }

    /// My epoch begins anew behind the log of somebody who wants to follow me: what was ordered long ago keeps its
    /// place.
    pub(super) fn fetch_known_gap(&mut self, conn: ConnId, from: Uid, join: Join) {
        let Phase::Leading(Leading { known_gap: Some(known_gap), followers, .. }) = &mut self.phase else { return };
        let (known_gap, conns) =
            (known_gap.clone(), followers.values().map(|follower| follower.conn).collect::<Vec<_>>());
        let ring: BTreeSet<Uid> = self.log.state().view.uids().chain(followers.keys().copied()).chain([from]).collect();
        let promised = join.promise.map_or(0, |epoch| epoch.round);
        let Some(epoch) = self.new_epoch(self.clocks.round().max(promised).saturating_add(1)) else {
            return self.no_round_left();
        };
        for follower in conns {
            self.send(follower, Frame::StepDown(epoch));
        }
        self.completeness.aim(known_gap.tail);
        let fetch = LogFetch::new(self.now.mono, known_gap.in_vain, Some(known_gap.tail));
        let fresh = Synchronizing::new(epoch, ring.clone(), fetch);
        self.set_phase(Phase::Synchronizing(Synchronizing { joins: vec![(conn, join)], ..fresh }));
        self.send(conn, Frame::Wait);
        self.announce(epoch, &ring);
        self.on_fetch_event(FetchEvent::Take(from));
    }

    /// Hands an event to the log fetch, and does what it asks for.
    pub(super) fn on_fetch_event(&mut self, event: FetchEvent) {
        let mut event = Some(event);
        while let Some(next) = event.take() {
            let Phase::Synchronizing(synchronizing) = &mut self.phase else { return };
            let cx = log_fetch::FetchCx {
                now: self.now.mono,
                fetch_within: self.settings.timing.fetch,
                poll_within: self.settings.timing.poll,
                log: self.log.state(),
                ring: &synchronizing.ring,
            };
            let outcome = synchronizing.fetch.handle(&cx, next);
            self.agenda.deadline_moved();
            match outcome {
                FetchOutcome::Wait => {}
                FetchOutcome::Request { holder, bounds } => {
                    let conn = self.send_to(holder, Frame::Fetch(bounds));
                    event = Some(FetchEvent::Requested { holder, conn });
                }
                FetchOutcome::Describe { conn, bounds } => self.send(conn, Frame::Fetch(bounds)),
                FetchOutcome::Poll(nodes) => {
                    for uid in nodes {
                        let sent = self.send_to(uid, Frame::LeaderPoll);
                        if let (None, Phase::Synchronizing(synchronizing)) = (sent, &mut self.phase) {
                            synchronizing.fetch.forget(uid);
                        }
                    }
                    event = Some(FetchEvent::Polled);
                }
                FetchOutcome::AskAgain(uid) => {
                    if self.send_to(uid, Frame::LeaderPoll).is_none() {
                        event = Some(FetchEvent::PeerGone(uid));
                    }
                }
                FetchOutcome::Rebase { conn, keep, target } => {
                    self.catch_up(target, None);
                    if keep < self.log.tail().index {
                        self.out.push(Output::Cut(keep));
                    } else {
                        self.send(conn, Frame::Pull(keep));
                    }
                }
                FetchOutcome::Pull { conn, after } => self.send(conn, Frame::Pull(after)),
                FetchOutcome::PullMore { conn, after } => {
                    let waiting: Vec<ConnId> = synchronizing.joins.iter().map(|(conn, _)| *conn).collect();
                    self.send(conn, Frame::Pull(after));
                    waiting.into_iter().for_each(|conn| self.send(conn, Frame::Wait));
                }
                FetchOutcome::Violation { conn, why } => self.protocol_violation(conn, why),
                FetchOutcome::Lead => self.lead(),
            }
        }
    }

    /// A connection has ended while the best log is fetched.
    pub(super) fn fetch_ended(&mut self, ended: &ClosedConn) {
        let is_last = ended.uid.is_some_and(|uid| self.links.up(uid).is_none());
        let ClosedConn { conn, uid, how, was_up, .. } = *ended;
        self.on_fetch_event(FetchEvent::Disconnected { conn, uid, how, was_up, is_last });
    }

    /// The holder says what we share.
    pub(super) fn on_common(&mut self, conn: ConnId, common: Option<(Index, Tail)>) {
        self.on_fetch_event(FetchEvent::Common { conn, common });
    }

    pub(super) fn on_pulled(&mut self, conn: ConnId, batch: Batch) {
        let Phase::Synchronizing(synchronizing) = &self.phase else { return };
        if !synchronizing.fetch.awaits_entries(conn) {
            return;
        }
        let is_end = batch.entries.is_empty();
        if let Err(why) = self.check_entries(conn, &batch) {
            return self.protocol_violation(conn, why);
        }
        self.append(batch.entries);
        self.on_fetch_event(FetchEvent::Pulled { is_end });
    }

    /// Somebody who has won asks where its log leaves mine. An empty shape shares nothing.
    pub(super) fn on_fetch(&mut self, conn: ConnId, epoch_bounds: &[EpochBound]) {
        let log_state = self.log.state();
        let common = match epoch_bounds {
            [] => Some(Index(0)),
            epoch_bounds => log_state.common(epoch_bounds),
        };
        let common = common.map(|common| (common, log_state.tail));
        self.send(conn, Frame::Common(common));
    }
}
