//! What the clock brings: inputs have a moment, and every phase has a deadline.

use super::Node;
use super::election::ElectionEvent;
use super::log_fetch::FetchEvent;
use super::phase::Phase;
use super::poll::PollEvent;
use crate::ring::Input;
use crate::ring::types::id::Now;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::Frame;

impl Node {
    pub(super) fn set_clock(&mut self, now: Now) {
        let due = self.agenda.deadline().max(self.now.mono);
        let late = now.mono - due;
        if late > self.settings.timing.heartbeat && !matches!(self.phase, Phase::NotStarted) {
            self.links.forgive(now.mono, late);
        }
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
    }

    /// Inputs that come by the thousand and move no deadline.
    pub(super) fn is_data_path(input: &Input) -> bool {
        matches!(
            input,
            Input::Submit(_)
                | Input::Frame(
                    _,
                    Frame::Entries(_)
                        | Frame::Ack(_)
                        | Frame::Submit(_)
                        | Frame::Ping(_)
                        | Frame::Pong(_)
                        | Frame::StableIndex(_)
                )
        )
    }

    pub(super) fn on_tick(&mut self) {
        if self.agenda.take_gathered() {
            self.flush();
        }
        if !self.agenda.is_due(self.now.mono) {
            return;
        }
        if self.agenda.take_heartbeat(self.now.mono, self.settings.timing.heartbeat) {
            self.links.beat(self.now.mono, &mut self.out);
            self.probe_lost_peers();
            self.announce_stable_index();
            self.ask_for_key();
            self.maintain_pms();
            self.persist_again();
        }
        self.maintain_health_queries();
        let held = self.conns_in_use();
        for ended in self.links.expire(self.now.mono, &held, &mut self.out) {
            self.on_end(ended);
        }
        self.on_phase_deadline();
        self.retry_neighbours();
        self.agenda.deadline_moved();
    }

    /// What was gathered leaves.
    fn flush(&mut self) {
        self.answer_pulls();
        self.persist_own();
        match &self.phase {
            Phase::Leading(_) => self.fan_out(),
            Phase::Following(_) => self.acknowledge(),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Stopped => {}
        }
        self.report_confirmed();
    }

    /// After every step: the ring, the good-bye, and the next deadline.
    pub(super) fn settle(&mut self) {
        if self.agenda.take_ring_change() {
            self.link_next();
        }
        self.leave_if_evicted();
        if self.agenda.is_leaving() {
            self.go_on_leaving();
        }
        if self.agenda.take_deadline_move() {
            self.agenda.wake_at(self.next_wake());
        }
    }

    fn next_wake(&self) -> Time {
        let phase = match &self.phase {
            Phase::NotStarted => Some(Time(0)),
            Phase::Bootstrapping(bootstrap) => {
                Some(bootstrap.retry.unwrap_or(bootstrap.sign + self.settings.timing.bootstrap))
            }
            Phase::PollBackoff { until, .. } => Some(*until),
            Phase::LeaderPoll { poll, .. } => Some(poll.deadline()),
            Phase::Electing(electing) => Some(electing.election.deadline()),
            Phase::Synchronizing(synchronizing) => Some(synchronizing.fetch.deadline()),
            Phase::Joining(joining) => Some(joining.deadline),
            Phase::Following(following) => following.uplink.until,
            Phase::Leading(leading) => {
                let own = Some(self.own_wait()).filter(|wait| *wait > Span(0)).map(|wait| self.now.mono + wait);
                leading.deadline(&self.settings.timing).into_iter().chain(own).min()
            }
            Phase::Stopped => None,
        };
        let leaving = self.agenda.leave_by(self.settings.timing.leave);
        let all = [phase, leaving, self.links.deadline(), self.neighbours.deadline(), self.health_queries.deadline()];
        all.into_iter().flatten().fold(self.agenda.next_heartbeat(), Time::min)
    }

    fn on_phase_deadline(&mut self) {
        let now = self.now.mono;
        match &self.phase {
            Phase::Bootstrapping(_) => self.on_bootstrap_deadline(),
            Phase::PollBackoff { until, .. } if *until <= now => self.poll_all(),
            Phase::LeaderPoll { poll, .. } if poll.deadline() <= now => self.on_poll_event(None, PollEvent::Timeout),
            Phase::Electing(electing) if electing.election.deadline() <= now => self.on_election(ElectionEvent::Tick),
            Phase::Synchronizing(synchronizing) if synchronizing.fetch.deadline() <= now => {
                self.on_fetch_event(FetchEvent::Timeout)
            }
            Phase::Joining(joining) if joining.deadline <= now => self.join_timed_out(),
            Phase::Following(following) if following.uplink.until.is_some_and(|until| until <= now) => {
                self.go_on_sending()
            }
            Phase::Leading(_) => self.on_leading_deadline(),
            Phase::NotStarted
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Stopped => {}
        }
    }
}
