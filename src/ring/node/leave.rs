//! Good-bye: a follower says it, a leader hands the room over first.

use super::Node;
use super::phase::{PendingUpload, Phase, Retiring};
use crate::ring::log::entry::Note;
use crate::ring::types::id::{ConnId, Epoch, StreamId, Uid};
use crate::ring::wire::frame::Frame;
use crate::ring::{Event, Stop};

impl Node {
    /// The person wants to leave; asked twice, at once.
    pub(super) fn on_leave(&mut self) {
        if self.agenda.is_leaving() {
            return self.good_bye();
        }
        self.agenda.leave(self.now.mono);
    }

    pub(super) fn good_bye(&mut self) {
        self.report_confirmed();
        let waiting = self.waiting() + self.held_here_alone();
        self.stop(Stop::Left { waiting });
    }

    /// My lines of this run that stand in my log and at nobody else, while somebody is missing who could hold them.
    fn held_here_alone(&self) -> u64 {
        let mine = self.log.state().watermark(self.identity.session);
        if self.book.present().next().is_none() { 0 } else { mine.saturating_sub(self.outbox.peer_acked()) }
    }

    /// After every step of a node that leaves: what is the next thing to do?
    pub(super) fn go_on_leaving(&mut self) {
        let now = self.now.mono;
        let late = self.agenda.leave_by(self.settings.timing.leave).is_some_and(|until| until <= now);
        if late {
            return self.good_bye();
        }
        match &mut self.phase {
            Phase::NotStarted | Phase::Bootstrapping(_) => self.good_bye(),
            Phase::Following(following) if !following.leaving && self.outbox.is_empty() => {
                if matches!(following.uplink.pending, PendingUpload::Done) {
                    let (conn, stream) = (following.conn, following.stream);
                    if self.waiting() == 0 {
                        if let Phase::Following(following) = &mut self.phase {
                            following.leaving = true;
                        }
                        self.send(conn, Frame::Leave(stream));
                    }
                }
            }
            Phase::Leading(_) => self.go_on_retiring(),
            Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Stopped => {}
        }
    }

    /// A leader orders what it has, stops ordering, waits until one follower holds everything, and hands over to it.
    fn go_on_retiring(&mut self) {
        let now = self.now.mono;
        let flushed = self.outbox.is_empty();
        let Phase::Leading(leading) = &mut self.phase else { return };
        if !flushed || !matches!(leading.pending, PendingUpload::Done) {
            return;
        }
        if leading.followers.is_empty() {
            // Those who are lost may come back in time and take what nobody else holds.
            leading.retiring = None;
            self.report_confirmed();
            if self.held_here_alone() == 0 {
                self.good_bye();
            }
            return;
        }
        let Some(retiring) = leading.retiring else {
            leading.retiring = Some(Retiring { until: now + self.settings.timing.handover, successor: None });
            self.agenda.deadline_moved();
            self.agenda.gather();
            return self.go_on_retiring();
        };
        if retiring.until <= now {
            return self.good_bye();
        }
        let tail = self.log.tail().index;
        let links = &self.links;
        let best = leading
            .followers
            .iter()
            .filter(|(_, follower)| follower.acked == tail && links.fresh(follower.conn, now))
            .filter(|(_, follower)| links.carried_by(follower.conn).is_none())
            .map(|(&uid, follower)| (uid, follower.conn))
            .next_back();
        if let Some((successor, conn)) = best.filter(|_| retiring.successor.is_none()) {
            leading.retiring = Some(Retiring { successor: Some(successor), ..retiring });
            let round = leading.epoch.round.saturating_add(1);
            self.send(conn, Frame::Handover(round));
        }
    }

    /// My leader leaves, and hands the room to me.
    pub(super) fn on_handover(&mut self, conn: ConnId, from: Uid, round: u64) {
        let Some(following) = self.following() else { return };
        if following.conn != conn || following.leader != from || self.agenda.is_leaving() {
            return;
        }
        if !self.admit_round(conn, round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        // Who hands over is told too, even where the room has put it out.
        let view = self.log.state().view.uids().chain([from]);
        let ring = view.filter(|&uid| uid != self.identity.me).collect();
        self.begin_term(round, ring, None, self.completeness.is_caught_up());
        if let Phase::Leading(leading) = &mut self.phase {
            leading.absent.remove(&from);
        }
        if self.log.state().view.contains(from) {
            self.note(Note::Left { uid: from, lost: false });
        }
    }

    /// The one to whom I handed the room leads now: my followers are told, and I go.
    pub(super) fn handed_over(&mut self, epoch: Epoch) -> bool {
        let Phase::Leading(leading) = &self.phase else { return false };
        let successor = leading.retiring.and_then(|retiring| retiring.successor);
        if successor != Some(epoch.leader) || epoch <= leading.epoch {
            return false;
        }
        let conns: Vec<ConnId> = leading.followers.values().map(|follower| follower.conn).collect();
        for conn in conns {
            self.send(conn, Frame::StepDown(epoch));
        }
        self.event(Event::Leader(epoch));
        self.good_bye();
        true
    }

    /// A follower says good-bye.
    pub(super) fn on_left(&mut self, conn: ConnId, from: Uid, stream: StreamId) {
        let Phase::Leading(leading) = &mut self.phase else { return };
        let known = leading.followers.get(&from).is_some_and(|f| f.conn == conn && f.stream == stream);
        if !known || leading.retiring.is_some() {
            return;
        }
        if self.log.state().view.contains(from) {
            self.note(Note::Left { uid: from, lost: false });
        }
    }
}
