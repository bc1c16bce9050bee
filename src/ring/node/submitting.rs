//! Lines come in at the leader: typed by its followers, or back from a cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::phase::{PendingWay, Phase};
use super::{Node, ReadFor};
use crate::ring::entry::Line;
use crate::ring::frame::{Frame, Offer, Submit, Want};
use crate::ring::id::{ConnId, Uid};
use crate::ring::limits::OFFER_LINES_MAX;
use crate::ring::seal::whole;
use crate::ring::{PendingPlace, Wanted};

impl Node {
    pub(super) fn on_submitted(&mut self, conn: ConnId, from: Uid, submit: Submit) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let known = leading.followers.get(&from).is_some_and(|f| f.conn == conn && f.stream == submit.stream);
        if !known || leading.retiring.is_some() {
            return;
        }
        leading.release_turn(from);
        let mut ahead: Option<(crate::ring::SessionKey, u64)> = None;
        let mut others = BTreeMap::new();
        let mut lines = Vec::with_capacity(submit.lines.len());
        for line in submit.lines {
            let key = line.id.key();
            if ahead.is_none_or(|(of, _)| of != key) {
                if let Some((of, n)) = ahead {
                    others.insert(of, n);
                }
                ahead = Some((key, others.get(&key).copied().unwrap_or_else(|| self.log.summary().watermark(key))));
            }
            let Some((_, last)) = &mut ahead else { continue };
            if line.id.n <= *last {
                continue;
            }
            if Some(line.id.n) != last.checked_add(1) {
                return self.misbehaved(conn, "submits a line whose number does not follow");
            }
            if Self::jumps(self.clock.0, line.lamport.0) {
                return self.misbehaved(conn, "submits an absurd timestamp");
            }
            *last = line.id.n;
            lines.push(line);
        }
        if !lines.is_empty() {
            self.order(lines);
        }
        self.next_turn();
    }

    pub(super) fn on_offer(&mut self, conn: ConnId, from: Uid, offer: Offer) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let known = leading.followers.get(&from).is_some_and(|f| f.conn == conn && f.stream == offer.stream);
        if !known || leading.retiring.is_some() {
            return;
        }
        // One offer a follower, one follower at a time: what all of them hold is sent by one.
        leading.offers.retain(|(uid, _)| *uid != from);
        leading.offers.push_back((from, offer));
        self.next_turn();
    }

    /// Takes the next offers until one of them holds something that is missing here.
    pub(super) fn next_turn(&mut self) {
        loop {
            let deadline = self.now.mono + self.timing.fetch;
            let Phase::Leading(leading) = &mut self.phase else { return };
            if leading.turn.is_some() {
                return;
            }
            let Some((from, offer)) = leading.offers.pop_front() else { return };
            let Some(conn) = leading.followers.get(&from).map(|follower| follower.conn) else { continue };
            let summary = self.log.summary();
            match offer.missing(|id| summary.watermark(id.key())) {
                Some(places) => {
                    if !places.is_empty() {
                        leading.turn = Some((from, deadline));
                        self.rearm = true;
                    }
                    self.send(conn, Frame::Want(Want { stream: offer.stream, places }));
                }
                None => self.misbehaved(conn, "offers a line whose number does not follow"),
            }
        }
    }

    pub(super) fn read_own_pending(&mut self, after: Option<PendingPlace>) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        leading.pending = PendingWay::Reading;
        self.read(Wanted::Pending { after }, ReadFor::Order);
    }

    /// My pending lines, in order, before anything else of mine.
    pub(super) fn order_pending(&mut self, lines: Vec<(PendingPlace, Arc<Line>)>) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        if !matches!(leading.pending, PendingWay::Reading) {
            return;
        }
        let mut lines = lines;
        lines.truncate(whole(lines.iter().map(|(_, line)| &**line)));
        let Some(last) = lines.last().map(|(place, _)| *place) else {
            leading.pending = PendingWay::Done;
            self.drop_pending_that_stand();
            return self.order_outbox();
        };
        let summary = self.log.summary();
        let mut ahead = BTreeMap::new();
        let mut missing = Vec::with_capacity(lines.len().min(OFFER_LINES_MAX));
        for (_, line) in lines {
            let last = ahead.entry(line.id.key()).or_insert_with(|| summary.watermark(line.id.key()));
            if Some(line.id.n) == last.checked_add(1) {
                *last = line.id.n;
                missing.push(line);
            }
        }
        if !missing.is_empty() {
            self.order(missing);
        }
        self.read_own_pending(Some(last));
    }
}
