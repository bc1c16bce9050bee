//! A follower: takes the leader's entries, acknowledges them, and sends its own lines up.

use std::sync::Arc;

use super::Node;
use super::phase::{Following, LeaderSearch, PendingUpload, Phase, Uplink};
use super::requests::ReadPurpose;
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::log::entry::Line;
use crate::ring::log::run_signature::whole_runs;
use crate::ring::types::id::{ConnId, Epoch, Index, StreamId};
use crate::ring::types::limits::OFFER_LINES_MAX;
use crate::ring::types::time::Span;
use crate::ring::wire::frame::{Ack, Entries, Frame, Offer, Submit, Throttle, Want};
use crate::ring::{Event, PendingPosition, ReadRequest};

/// The longest wait that a leader can ask for at once.
const SLOW_MS_MAX: u64 = 10_000;

impl Node {
    pub(super) fn following(&self) -> Option<&Following> {
        let Phase::Following(following) = &self.phase else { return None };
        Some(following)
    }

    /// The stream over this connection, if it is my leader's.
    fn followed(&self, conn: ConnId) -> Option<&Following> {
        self.following().filter(|following| following.conn == conn)
    }

    /// Entries have come. What does not follow my tail costs the connection, and I join again.
    pub(super) fn on_entries(&mut self, conn: ConnId, entries: Entries) {
        let Some(following) = self.followed(conn) else { return };
        let (leader, epoch) = (following.leader, following.epoch);
        let Some(newest) = entries.batch.entries.last().map(|entry| entry.epoch) else { return };
        if entries.prev != self.log.tail() {
            return self.protocol_violation(conn, "sends what does not follow my log");
        }
        if newest > epoch && newest.leader != leader {
            return self.protocol_violation(conn, "sends another leader's reign");
        }
        if let Err(why) = self.check_entries(conn, &entries.batch) {
            return self.protocol_violation(conn, why);
        }
        if newest > epoch {
            self.adopt_epoch(newest);
            if let Phase::Following(following) = &mut self.phase {
                following.epoch = newest;
            }
            self.event(Event::Leader(newest));
        }
        self.append(entries.batch.entries);
        self.agenda.gather();
    }

    /// Tells the leader how far my log goes, and sends what was typed.
    pub(super) fn acknowledge(&mut self) {
        let tail = self.log.tail().index;
        let Phase::Following(following) = &mut self.phase else { return };
        let (conn, stream) = (following.conn, following.stream);
        if following.acked < tail {
            following.acked = tail;
            self.send(conn, Frame::Ack(Ack { stream, index: tail }));
        }
        self.send_outbox();
    }

    pub(super) fn on_stable_index(&mut self, conn: ConnId, stable_index: Index) {
        if self.followed(conn).is_some() {
            self.stable_index = stable_index.min(self.log.tail().index);
        }
    }

    // ---- my lines on their way up

    /// Pending lines are offered first; what I typed follows.
    pub(super) fn start_uplink(&mut self) {
        let lines = self.pending_lines();
        let Phase::Following(following) = &mut self.phase else { return };
        if lines > 0 {
            following.uplink.pending = PendingUpload::Reading;
            let stream = following.stream;
            self.read(ReadRequest::Pending { after: None }, ReadPurpose::Offer(stream));
        } else {
            following.uplink.pending = PendingUpload::Done;
            self.agenda.gather();
        }
    }

    /// The store has read pending lines for an offer.
    pub(super) fn offer(&mut self, stream: StreamId, lines: Vec<(PendingPosition, Arc<Line>)>) {
        let Phase::Following(following) = &mut self.phase else { return };
        if following.stream != stream || !matches!(following.uplink.pending, PendingUpload::Reading) {
            return;
        }
        let conn = following.conn;
        let mut lines = lines;
        lines.truncate(whole_runs(lines.iter().map(|(_, line)| &**line)).min(OFFER_LINES_MAX));
        let Some(last) = lines.last().map(|(place, _)| *place) else {
            following.uplink.pending = PendingUpload::Done;
            self.agenda.gather();
            return;
        };
        let lines: Vec<Arc<Line>> = lines.into_iter().map(|(_, line)| line).collect();
        let ids = lines.iter().map(|line| line.id).collect();
        following.uplink.pending = PendingUpload::Offered { lines, last };
        self.send(conn, Frame::Offer(Offer { stream, lines: ids }));
    }

    /// The leader says which of them it lacks.
    pub(super) fn on_want(&mut self, conn: ConnId, want: Want) {
        let Phase::Following(following) = &mut self.phase else { return };
        if following.conn != conn || following.stream != want.stream {
            return;
        }
        let PendingUpload::Offered { lines, last } = &following.uplink.pending else { return };
        let (stream, last) = (following.stream, *last);
        let Some(lines) = Uplink::wanted(lines, &want.places) else {
            return self.protocol_violation(conn, "wants what was not offered");
        };
        following.uplink.pending = PendingUpload::Reading;
        if !lines.is_empty() {
            self.send(conn, Frame::Submit(Submit { stream, lines }));
        }
        self.read(ReadRequest::Pending { after: Some(last) }, ReadPurpose::Offer(stream));
    }

    /// Sends what was typed and has not been sent over this stream.
    fn send_outbox(&mut self) {
        let Phase::Following(following) = &mut self.phase else { return };
        if !matches!(following.uplink.pending, PendingUpload::Done) || following.uplink.until.is_some() {
            return;
        }
        let (conn, stream) = (following.conn, following.stream);
        for lines in self.outbox.parts_after(following.uplink.sent) {
            if let (Some(last), Phase::Following(following)) = (lines.last(), &mut self.phase) {
                following.uplink.sent = last.id.n;
            }
            self.send(conn, Frame::Submit(Submit { stream, lines }));
        }
    }

    /// The leader takes no more of me for now, and has dropped what it did not take.
    pub(super) fn on_throttle(&mut self, conn: ConnId, slow: Throttle) {
        let until = self.now.mono + Span::ms(slow.wait_ms.min(SLOW_MS_MAX));
        let Phase::Following(following) = &mut self.phase else { return };
        if following.conn == conn && following.stream == slow.stream && slow.after <= following.uplink.sent {
            following.uplink.sent = slow.after;
            following.uplink.until = Some(until);
            self.agenda.deadline_moved();
            self.report_throttled();
        }
    }

    /// I have waited long enough.
    pub(super) fn go_on_sending(&mut self) {
        if let Phase::Following(following) = &mut self.phase {
            following.uplink.until = None;
            self.agenda.gather();
        }
    }

    // ---- the end of a leader

    /// The connection to my leader has ended.
    pub(super) fn leader_ended(&mut self, ended: &ClosedConn) {
        let Phase::Following(following) = &self.phase else { return };
        let (leader, epoch) = (following.leader, following.epoch);
        let direct = ended.conn.is_direct();
        self.leader_unreachable(leader);
        match ended.how {
            // It may have closed this connection alone: it is asked once.
            CloseReason::Closed | CloseReason::Dropped if direct => {
                let search = LeaderSearch { redialling: true, ..LeaderSearch::after(leader, ended.heard) };
                self.join(leader, Some(epoch), search);
            }
            CloseReason::Closed
            | CloseReason::Dropped
            | CloseReason::Refused
            | CloseReason::Unreachable
            | CloseReason::Silent => {
                self.leader_lost(leader);
                self.search_leader(LeaderSearch::after(leader, ended.heard));
            }
        }
    }

    /// My leader yields to another: so do I.
    pub(super) fn on_step_down(&mut self, conn: ConnId, epoch: Epoch) {
        if self.followed(conn).is_none() {
            return;
        }
        if !self.admit_round(conn, epoch.round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        self.learn_peer(epoch.leader);
        if epoch.leader == self.identity.me {
            // An epoch of mine that I lead no more, as a rule one of an earlier run: nobody leads now, and who stayed
            // here would stay with a leader that serves it nothing.
            self.close_quietly(conn);
            return self.search_leader(LeaderSearch::default());
        }
        self.close_quietly(conn);
        self.adopt_epoch(epoch);
        self.join(epoch.leader, Some(epoch), LeaderSearch::default());
    }
}
