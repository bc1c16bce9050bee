//! Lines come in at the leader: typed by its followers, or back from a cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Node;
use super::phase::{PendingUpload, Phase};
use super::requests::ReadPurpose;
use crate::ring::log::entry::Line;
use crate::ring::log::run_signature::whole_runs;
use crate::ring::types::id::{ConnId, SessionKey, Uid};
use crate::ring::types::limits::{OFFER_LINES_MAX, SLOWED_FRAMES_MAX};
use crate::ring::types::time::Span;
use crate::ring::wire::frame::{Frame, Offer, Submit, Throttle, Want};
use crate::ring::{PendingPosition, ReadRequest};

impl Node {
    pub(super) fn on_submitted(&mut self, conn: ConnId, from: Uid, submit: Submit) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let known = leading.followers.get(&from).is_some_and(|f| f.conn == conn && f.stream == submit.stream);
        if !known || leading.retiring.is_some() {
            return;
        }
        leading.release_turn(from);
        let Some((author, session)) = self.links.peer(conn).map(|peer| (peer.author, peer.session)) else { return };
        // What its owner types it may say at any time; all else must have been asked for.
        let typed = SessionKey { author, session };
        let Some(follower) = leading.followers.get_mut(&from) else { return };
        let mut types = false;
        for line in &submit.lines {
            if follower.wanted.remove(&line.id) {
                continue;
            }
            if line.id.key() != typed {
                return self.protocol_violation(conn, "submits what it was not asked for");
            }
            types = true;
        }
        if types && !self.takes_from(conn, from, typed, &submit) {
            return;
        }
        let mut ahead: Option<(SessionKey, u64)> = None;
        let mut others = BTreeMap::new();
        let mut lines = Vec::with_capacity(submit.lines.len());
        for line in submit.lines {
            let key = line.id.key();
            if ahead.is_none_or(|(of, _)| of != key) {
                if let Some((of, n)) = ahead {
                    others.insert(of, n);
                }
                ahead = Some((key, others.get(&key).copied().unwrap_or_else(|| self.log.state().watermark(key))));
            }
            let Some((_, last)) = &mut ahead else { continue };
            if line.id.n <= *last {
                continue;
            }
            if Some(line.id.n) != last.checked_add(1) {
                return self.protocol_violation(conn, "submits a line whose number does not follow");
            }
            if self.clocks.jumps(line.lamport) {
                return self.protocol_violation(conn, "submits an absurd timestamp");
            }
            *last = line.id.n;
            lines.push(line);
        }
        if !lines.is_empty() {
            self.admission.charge(self.now.mono, author, &lines);
            self.sequence(lines);
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

    /// Whether more is taken of this author now; if not it is told how long to wait, and what it has sent meanwhile is
    /// dropped until it has begun again from where it is.
    fn takes_from(&mut self, conn: ConnId, from: Uid, key: SessionKey, submit: &Submit) -> bool {
        let wait = self.admission.wait(self.now.mono, key.author);
        let stands = self.log.state().watermark(key);
        let Phase::Leading(leading) = &mut self.phase else { return false };
        let Some(follower) = leading.followers.get_mut(&from) else { return false };
        let skips = submit.lines.iter().find(|line| line.id.key() == key).is_some_and(|line| line.id.n > stands + 1);
        if wait == Span(0) && !(follower.dropped > 0 && skips) {
            follower.dropped = 0;
            return true;
        }
        // What begins where it was told to has waited long enough by its own clock, and is told anew; what skips lines
        // was on its way before.
        let tell = follower.dropped == 0 || !skips;
        follower.dropped += 1;
        if follower.dropped > SLOWED_FRAMES_MAX {
            self.protocol_violation(conn, "goes on although it is told to wait");
        } else if tell {
            let wait_ms = wait.0.div_ceil(1000);
            self.send(conn, Frame::Throttle(Throttle { stream: submit.stream, after: stands, wait_ms }));
        }
        false
    }

    /// Takes the next offers until one of them holds something that is missing here. Authors of whom nothing is taken
    /// for now wait, and hold nobody up.
    pub(super) fn next_turn(&mut self) {
        let mut waits = Span(u64::MAX);
        let mut waiting = 0;
        loop {
            let deadline = self.now.mono + self.settings.timing.fetch;
            let Phase::Leading(leading) = &mut self.phase else { return };
            if leading.turn.is_some() {
                return;
            }
            if waiting > 0 && waiting == leading.offers.len() {
                leading.offers_at = Some(self.now.mono + waits);
                self.agenda.deadline_moved();
                return;
            }
            let Some((from, offer)) = leading.offers.pop_front() else { return };
            let Some(conn) = leading.followers.get(&from).map(|follower| follower.conn) else { continue };
            let author = self.links.peer(conn).map(|peer| peer.author);
            let offered = |author| self.admission.offer_wait(self.now.mono, author, &offer.lines);
            let wait = author.map_or(Span(0), offered);
            if wait > Span(0) {
                waiting += 1;
                waits = waits.min(wait);
                if let Phase::Leading(leading) = &mut self.phase {
                    leading.offers.push_back((from, offer));
                }
                continue;
            }
            let Phase::Leading(leading) = &mut self.phase else { return };
            let log_state = self.log.state();
            match offer.missing(|id| log_state.watermark(id.key())) {
                Some(places) => {
                    if let Some(follower) = leading.followers.get_mut(&from) {
                        let ids = places.iter().filter_map(|&place| offer.lines.get(place as usize).copied());
                        follower.wanted = ids.collect();
                    }
                    if !places.is_empty() {
                        leading.turn = Some((from, deadline));
                        self.agenda.deadline_moved();
                    }
                    self.send(conn, Frame::Want(Want { stream: offer.stream, places }));
                }
                None => self.protocol_violation(conn, "offers a line whose number does not follow"),
            }
        }
    }

    pub(super) fn read_own_pending(&mut self, after: Option<PendingPosition>) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        leading.pending = PendingUpload::Reading;
        self.read(ReadRequest::Pending { after }, ReadPurpose::Sequence);
    }

    /// My pending lines, in order, before anything else of mine.
    pub(super) fn sequence_pending(&mut self, lines: Vec<(PendingPosition, Arc<Line>)>) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        if !matches!(leading.pending, PendingUpload::Reading) {
            return;
        }
        let mut lines = lines;
        lines.truncate(whole_runs(lines.iter().map(|(_, line)| &**line)));
        let Some(last) = lines.last().map(|(place, _)| *place) else {
            leading.pending = PendingUpload::Done;
            self.drop_pending_that_stand();
            return self.sequence_outbox();
        };
        let log_state = self.log.state();
        let mut ahead = BTreeMap::new();
        let mut missing = Vec::with_capacity(lines.len().min(OFFER_LINES_MAX));
        for (_, line) in lines {
            let last = ahead.entry(line.id.key()).or_insert_with(|| log_state.watermark(line.id.key()));
            if Some(line.id.n) == last.checked_add(1) {
                *last = line.id.n;
                missing.push(line);
            }
        }
        if !missing.is_empty() {
            self.sequence(missing);
        }
        self.read_own_pending(Some(last));
    }
}
