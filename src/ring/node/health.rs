//! How links and members are doing: what a node knows by itself, and what its leader says when it is asked.

use super::Node;
use super::phase::Phase;
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::types::limits::{BOOK_NODES_MAX, HEALTH_QUERY_GOOD, HEALTH_QUERY_PAUSE, HEALTH_QUERY_WAIT};
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::{Frame, HealthReport};
use crate::ring::{Health, Output, RoomHealth};

/// What a follower has asked its leader, and was told.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct HealthQueries {
    /// The leader is asked, and waited for until then.
    until: Option<Time>,
    /// Its last answer, and when that came.
    told: Option<(Time, Vec<HealthReport>)>,
}

impl HealthQueries {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.until
    }

    /// Members of whom the leader has told.
    pub(super) fn told(&self) -> usize {
        self.told.as_ref().map_or(0, |(_, reports)| reports.len())
    }
}

impl Node {
    /// How each member is doing, in ring order, as far as this node knows by itself.
    pub(super) fn health(&self) -> Vec<Health> {
        let view = &self.log.state().view;
        view.uids().map(|uid| self.health_of(uid)).collect()
    }

    fn health_of(&self, uid: Uid) -> Health {
        let tail = self.log.tail().index;
        let known = self.links.health(uid, self.now.mono).filter(|_| uid != self.identity.me);
        let behind = match &self.phase {
            Phase::Leading(_) if uid == self.identity.me => Some(0),
            Phase::Leading(leading) => {
                leading.followers.get(&uid).map(|follower| tail.0.saturating_sub(follower.acked.0))
            }
            Phase::Following(following) => (following.leader == uid).then_some(0),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Stopped => None,
        };
        Health { uid, link: known.map(|(link, _)| link), rtt: known.and_then(|(_, rtt)| rtt), behind }
    }

    /// Somebody wants to know how all members are doing.
    pub(super) fn on_health_query(&mut self) {
        let now = self.now.mono;
        match &self.phase {
            Phase::Following(following) => {
                let conn = following.conn;
                if self.health_queries.told.as_ref().is_some_and(|(at, _)| *at + HEALTH_QUERY_GOOD > now) {
                    return self.report_health();
                }
                if self.health_queries.until.is_none() {
                    self.health_queries.until = Some(now + HEALTH_QUERY_WAIT);
                    self.agenda.deadline_moved();
                    self.send(conn, Frame::HealthQuery);
                }
            }
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Leading(_)
            | Phase::Stopped => self.report_health(),
        }
    }

    /// A follower asks. Who asks too often gets no answer.
    pub(super) fn on_peer_health_query(&mut self, conn: ConnId, from: Uid) {
        if !self.is_followers(conn) {
            return;
        }
        let now = self.now.mono;
        let Phase::Leading(leading) = &mut self.phase else { return };
        let Some(follower) = leading.followers.get_mut(&from).filter(|follower| follower.health_report_at <= now)
        else {
            return;
        };
        follower.health_report_at = now + HEALTH_QUERY_PAUSE;
        let report = |health: Health| HealthReport {
            uid: health.uid,
            round_trip: health.rtt.map(|Span(micros)| micros),
            behind: health.behind,
        };
        let reports = self.health().into_iter().take(BOOK_NODES_MAX).map(report).collect();
        self.send(conn, Frame::HealthReply(reports));
    }

    /// My leader says how all are doing.
    pub(super) fn on_health_reply(&mut self, conn: ConnId, reports: Vec<HealthReport>) {
        let mine = self.following().is_some_and(|following| following.conn == conn);
        if mine && self.health_queries.until.take().is_some() {
            self.health_queries.told = Some((self.now.mono, reports));
            self.report_health();
        }
    }

    /// The leader has not answered in time.
    pub(super) fn maintain_health_queries(&mut self) {
        if self.health_queries.until.take_if(|until| *until <= self.now.mono).is_some() {
            self.report_health();
        }
    }

    fn report_health(&mut self) {
        let mut health = self.health();
        let now = self.now.mono;
        let leads = matches!(self.phase, Phase::Leading(_));
        let told = self
            .health_queries
            .told
            .as_ref()
            .filter(|(at, _)| *at + HEALTH_QUERY_GOOD > now && self.following().is_some());
        let from_leader = leads || told.is_some();
        for report in told.iter().flat_map(|(_, reports)| reports) {
            // In ring order, as the leader says it too.
            let Ok(place) = health.binary_search_by_key(&report.uid, |health| health.uid) else { continue };
            let known = &mut health[place];
            known.rtt = report.round_trip.map(Span).or(known.rtt);
            known.behind = report.behind.or(known.behind);
        }
        self.out.push(Output::HealthReply(Box::new(RoomHealth { health, from_leader })));
    }
}
