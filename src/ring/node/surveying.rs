//! How links and members are doing: what a node knows by itself, and what its leader says when it is asked.

use super::Node;
use super::phase::Phase;
use crate::ring::types::id::{ConnId, Span, Time, Uid};
use crate::ring::types::limits::{BOOK_NODES_MAX, SURVEY_GOOD, SURVEY_PAUSE, SURVEY_WAIT};
use crate::ring::wire::frame::{Frame, Report};
use crate::ring::{Health, Output, Survey};

/// What a follower has asked its leader, and was told.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Surveying {
    /// The leader is asked, and waited for until then.
    until: Option<Time>,
    /// Its last answer, and when that came.
    told: Option<(Time, Vec<Report>)>,
}

impl Surveying {
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
        let view = &self.log.summary().view;
        view.uids().map(|uid| self.health_of(uid)).collect()
    }

    fn health_of(&self, uid: Uid) -> Health {
        let tail = self.log.tail().index;
        let known = self.links.health(uid, self.now.mono).filter(|_| uid != self.me);
        let behind = match &self.phase {
            Phase::Leading(_) if uid == self.me => Some(0),
            Phase::Leading(leading) => {
                leading.followers.get(&uid).map(|follower| tail.0.saturating_sub(follower.acked.0))
            }
            Phase::Following(following) => (following.leader == uid).then_some(0),
            Phase::Unborn
            | Phase::Knocking(_)
            | Phase::Waiting { .. }
            | Phase::Asking(_)
            | Phase::Electing(_)
            | Phase::Crowned(_)
            | Phase::Joining(_)
            | Phase::Gone => None,
        };
        Health { uid, link: known.map(|(link, _)| link), rtt: known.and_then(|(_, rtt)| rtt), behind }
    }

    /// Somebody wants to know how all members are doing.
    pub(super) fn on_survey(&mut self) {
        let now = self.now.mono;
        match &self.phase {
            Phase::Following(following) => {
                let conn = following.conn;
                if self.surveying.told.as_ref().is_some_and(|(at, _)| *at + SURVEY_GOOD > now) {
                    return self.tell_survey();
                }
                if self.surveying.until.is_none() {
                    self.surveying.until = Some(now + SURVEY_WAIT);
                    self.rearm = true;
                    self.send(conn, Frame::Survey);
                }
            }
            Phase::Unborn
            | Phase::Knocking(_)
            | Phase::Waiting { .. }
            | Phase::Asking(_)
            | Phase::Electing(_)
            | Phase::Crowned(_)
            | Phase::Joining(_)
            | Phase::Leading(_)
            | Phase::Gone => self.tell_survey(),
        }
    }

    /// A follower asks. Who asks too often gets no answer.
    pub(super) fn on_survey_asked(&mut self, conn: ConnId, from: Uid) {
        if !self.is_followers(conn) {
            return;
        }
        let now = self.now.mono;
        let Phase::Leading(leading) = &mut self.phase else { return };
        let Some(follower) = leading.followers.get_mut(&from).filter(|follower| follower.survey_at <= now) else {
            return;
        };
        follower.survey_at = now + SURVEY_PAUSE;
        let report = |health: Health| Report {
            uid: health.uid,
            round_trip: health.rtt.map(|Span(micros)| micros),
            behind: health.behind,
        };
        let reports = self.health().into_iter().take(BOOK_NODES_MAX).map(report).collect();
        self.send(conn, Frame::Surveyed(reports));
    }

    /// My leader says how all are doing.
    pub(super) fn on_surveyed(&mut self, conn: ConnId, reports: Vec<Report>) {
        let mine = self.following().is_some_and(|following| following.conn == conn);
        if mine && self.surveying.until.take().is_some() {
            self.surveying.told = Some((self.now.mono, reports));
            self.tell_survey();
        }
    }

    /// The leader has not answered in time.
    pub(super) fn look_after_survey(&mut self) {
        if self.surveying.until.take_if(|until| *until <= self.now.mono).is_some() {
            self.tell_survey();
        }
    }

    fn tell_survey(&mut self) {
        let mut health = self.health();
        let now = self.now.mono;
        let leads = matches!(self.phase, Phase::Leading(_));
        let told = self.surveying.told.as_ref().filter(|(at, _)| *at + SURVEY_GOOD > now && self.following().is_some());
        let whole = leads || told.is_some();
        for report in told.iter().flat_map(|(_, reports)| reports) {
            // In ring order, as the leader says it too.
            let Ok(place) = health.binary_search_by_key(&report.uid, |health| health.uid) else { continue };
            let known = &mut health[place];
            known.rtt = report.round_trip.map(Span).or(known.rtt);
            known.behind = report.behind.or(known.behind);
        }
        self.out.push(Output::Surveyed(Box::new(Survey { health, whole })));
    }
}
