//! The winner's rebase: before it leads, it takes the best log that is there.

use std::collections::BTreeSet;

use super::Node;
use super::phase::{Leading, LogFetch, Phase, Synchronizing};
use crate::ring::Output;
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::log::entry::Batch;
use crate::ring::log::summary::EpochBound;
use crate::ring::types::id::{ConnId, Index, Tail, Uid};
use crate::ring::types::limits::EPOCH_BOUNDS_MAX;
use crate::ring::wire::frame::{Frame, Join};

impl Node {
    /// I lead without all that was owed to me, and this one, who asks to follow, has it. Not where others have followed
    /// me for long: those are the room by then.
    pub(super) fn fills_known_gap(&self, from: Uid, shape: &[EpochBound]) -> bool {
        let Phase::Leading(Leading { lack: Some(lack), followers, .. }) = &self.phase else { return false };
        let light = self.now.mono < lack.light_until || followers.keys().all(|&uid| uid == from);
        let has = |span: &EpochBound| Some(span.epoch) == lack.tail.epoch && span.last >= lack.tail.index;
        light && !lack.in_vain.contains(&from) && shape.iter().any(has)
    }

    /// My epoch begins anew behind the log of somebody who wants to follow me: what was ordered long ago keeps its
    /// place.
    pub(super) fn fetch_known_gap(&mut self, conn: ConnId, from: Uid, join: Join) {
        let Phase::Leading(Leading { lack: Some(lack), followers, .. }) = &mut self.phase else { return };
        let (lack, conns) = (lack.clone(), followers.values().map(|follower| follower.conn).collect::<Vec<_>>());
        let ring: BTreeSet<Uid> = self.log.state().view.uids().chain(followers.keys().copied()).chain([from]).collect();
        let promised = join.promise.map_or(0, |epoch| epoch.round);
        let Some(epoch) = self.new_epoch(self.round.max(promised).saturating_add(1)) else {
            return self.no_round_left();
        };
        for follower in conns {
            self.send(follower, Frame::Yield(epoch));
        }
        self.catch_up_target = Some(lack.tail);
        self.set_phase(Phase::Synchronizing(Synchronizing {
            epoch,
            steady: true,
            level: false,
            ring: ring.clone(),
            stage: LogFetch::Polling { open: BTreeSet::new(), best: None },
            deadline: self.now.mono,
            failed: lack.in_vain,
            lacks: Some(lack.tail),
            joins: vec![(conn, join)],
        }));
        self.send(conn, Frame::Wait);
        self.announce(epoch, &ring);
        self.fetch_from(from);
    }

    pub(super) fn fetch_from(&mut self, holder: Uid) {
        let shape = self.log.state().shape(None, EPOCH_BOUNDS_MAX);
        let described = shape.last().map(|span| span.epoch);
        let deadline = self.now.mono + self.timing.fetch;
        let sent = self.send_to(holder, Frame::Fetch(shape));
        let Phase::Synchronizing(crowned) = &mut self.phase else { return };
        crowned.deadline = deadline;
        self.rearm = true;
        match sent {
            Some(conn) => crowned.stage = LogFetch::From { holder, conn, target: None, described },
            None => {
                crowned.failed.insert(holder);
                self.poll_tails();
            }
        }
    }

    /// The holder, or the answers, did not come in time.
    pub(super) fn fetch_failed(&mut self) {
        let Phase::Synchronizing(crowned) = &mut self.phase else { return };
        crowned.lacks = None;
        match &mut crowned.stage {
            LogFetch::From { holder, .. } => {
                crowned.failed.insert(*holder);
                self.poll_tails();
            }
            LogFetch::Polling { open, .. } => {
                open.clear();
                self.check_polled();
            }
        }
    }

    /// Asks all who took part for their tails.
    fn poll_tails(&mut self) {
        let Phase::Synchronizing(crowned) = &mut self.phase else { return };
        let open: BTreeSet<Uid> = crowned.ring.difference(&crowned.failed).copied().collect();
        crowned.stage = LogFetch::Polling { open: open.clone(), best: None };
        crowned.deadline = self.now.mono + self.timing.poll;
        self.rearm = true;
        for uid in open {
            if self.send_to(uid, Frame::Ask).is_none() {
                self.forget_polled(uid);
            }
        }
        self.check_polled();
    }

    fn forget_polled(&mut self, uid: Uid) {
        if let Phase::Synchronizing(Synchronizing { stage: LogFetch::Polling { open, .. }, .. }) = &mut self.phase {
            open.remove(&uid);
        }
    }

    pub(super) fn polled_ended(&mut self, ended: &ClosedConn) {
        let Some(uid) = ended.uid.filter(|&uid| self.links.up(uid).is_none()) else { return };
        let polling = match &self.phase {
            Phase::Synchronizing(Synchronizing { stage: LogFetch::Polling { open, .. }, .. }) => open.contains(&uid),
            _ => false,
        };
        if !polling {
            return;
        }
        let again = matches!(ended.how, CloseReason::Closed | CloseReason::Dropped) && ended.was_up;
        if !(again && self.send_to(uid, Frame::Ask).is_some()) {
            self.forget_polled(uid);
            self.check_polled();
        }
    }

    /// All tails are known: the best is fetched, or my own is the best.
    pub(super) fn check_polled(&mut self) {
        let Phase::Synchronizing(Synchronizing { stage: LogFetch::Polling { open, best }, .. }) = &self.phase else {
            return;
        };
        if !open.is_empty() {
            return;
        }
        match *best {
            Some((tail, holder)) if tail > self.log.tail() => self.fetch_from(holder),
            Some(_) | None => self.lead(),
        }
    }

    /// The holder says what we share.
    pub(super) fn on_common(&mut self, conn: ConnId, common: Option<(Index, Tail)>) {
        let mine = self.log.tail();
        let Phase::Synchronizing(Synchronizing {
            stage: LogFetch::From { conn: holder, target, described, .. },
            deadline,
            lacks,
            ..
        }) = &mut self.phase
        else {
            return;
        };
        if *holder != conn || target.is_some() {
            return;
        }
        *deadline = self.now.mono + self.timing.fetch;
        self.rearm = true;
        match common {
            Some((_, tail)) if tail <= mine && lacks.is_none() => self.lead(),
            Some((common, _)) if common > mine.index => self.protocol_violation(conn, "shares more than there is"),
            Some((common, tail)) => {
                *target = Some(tail);
                self.catch_up(tail.index, None);
                if common < mine.index {
                    self.out.push(Output::Cut(common));
                } else {
                    self.send(conn, Frame::Pull(common));
                }
            }
            // None of those epochs is there: older ones. The shape that reaches the start is the empty one.
            None => {
                let shape = self.log.state().shape(*described, EPOCH_BOUNDS_MAX);
                *described = shape.last().map(|span| span.epoch).or(*described);
                self.send(conn, Frame::Fetch(shape));
            }
        }
    }

    /// My log is cut to what the holder shares: now the rest.
    pub(super) fn fetch_after_cut(&mut self) {
        let after = self.log.tail().index;
        if let Phase::Synchronizing(Synchronizing { stage: LogFetch::From { conn, .. }, .. }) = &self.phase {
            let conn = *conn;
            self.send(conn, Frame::Pull(after));
        }
    }

    pub(super) fn on_pulled(&mut self, conn: ConnId, batch: Batch) {
        let Phase::Synchronizing(Synchronizing {
            stage: LogFetch::From { conn: holder, target: Some(target), .. },
            deadline,
            joins,
            ..
        }) = &mut self.phase
        else {
            return;
        };
        if *holder != conn {
            return;
        }
        let target = *target;
        *deadline = self.now.mono + self.timing.fetch;
        self.rearm = true;
        let ended = batch.entries.is_empty();
        // Who waits to follow is told that I am at it.
        let waiting: Vec<ConnId> = joins.iter().map(|(conn, _)| *conn).collect();
        if let Err(why) = self.check_entries(conn, &batch) {
            return self.protocol_violation(conn, why);
        }
        self.append(batch.entries);
        if ended || self.log.tail() >= target {
            self.lead();
        } else {
            self.send(conn, Frame::Pull(self.log.tail().index));
            waiting.into_iter().for_each(|conn| self.send(conn, Frame::Wait));
        }
    }

    /// Somebody who has won asks where its log leaves mine. An empty shape shares nothing.
    pub(super) fn on_fetch(&mut self, conn: ConnId, shape: &[EpochBound]) {
        let log_state = self.log.state();
        let common = match shape {
            [] => Some(Index(0)),
            shape => log_state.common(shape),
        };
        let common = common.map(|common| (common, log_state.tail));
        self.send(conn, Frame::Common(common));
    }
}
