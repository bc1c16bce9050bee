//! Whom do you follow? Asked at the door, after a loss, and before any election.

use std::collections::BTreeSet;

use super::Node;
use super::phase::{Bootstrap, LeaderPoll, LeaderSearch, LogFetch, LostLeader, Phase};
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::types::id::{ConnId, Epoch, Span, Time, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::wire::frame::{Frame, NodeState, PollReply};
use crate::ring::{Event, Start, Stop};

/// Between two questions to a contact that is still electing.
const BOOTSTRAP_RETRY: Span = Span::ms(200);
/// The jitter after a failed attempt; it doubles with each failure, [`JITTER_DOUBLINGS_MAX`] times at most.
const JITTER: Span = Span::ms(25);
/// See [`JITTER`].
const JITTER_DOUBLINGS_MAX: u32 = 5;

impl Node {
    // ---- at the door

    /// The contact's silence, or the end of all patience.
    pub(super) fn on_bootstrap_deadline(&mut self) {
        let (now, timing) = (self.now.mono, self.timing);
        let Phase::Bootstrapping(bootstrap) = &mut self.phase else { return };
        if bootstrap.sign + timing.bootstrap <= now {
            return self.no_contact_left();
        }
        if bootstrap.retry.is_none_or(|at| at > now) {
            return;
        }
        bootstrap.retry = None;
        let contacts: Vec<Uid> = bootstrap.contacts.clone();
        if contacts.is_empty() {
            return self.no_contact_left();
        }
        let contact = contacts[bootstrap.at % contacts.len()];
        let conn = self.send_to(contact, Frame::Ask);
        if let Phase::Bootstrapping(bootstrap) = &mut self.phase {
            bootstrap.conn = conn;
            if conn.is_none() {
                bootstrap.retry = Some(now + BOOTSTRAP_RETRY);
            }
        }
    }

    fn no_contact_left(&mut self) {
        if self.room.is_some() {
            self.reopen();
        } else {
            self.stop(Stop::Unreachable);
        }
    }

    /// The contact does not answer: the next one; after the last, a pause.
    pub(super) fn contact_failed(&mut self) {
        let now = self.now.mono;
        let Phase::Bootstrapping(bootstrap) = &mut self.phase else { return };
        bootstrap.conn = None;
        bootstrap.at += 1;
        let round = bootstrap.at % bootstrap.contacts.len().max(1) == 0;
        bootstrap.retry = Some(if round { now + BOOTSTRAP_RETRY } else { now });
        self.rearm = true;
        if !round {
            self.on_bootstrap_deadline();
        }
    }

    fn contact_replied(&mut self, conn: ConnId, from: Uid, answer: &PollReply) {
        let now = self.now.mono;
        let Phase::Bootstrapping(bootstrap) = &mut self.phase else { return };
        if bootstrap.conn != Some(conn) {
            return;
        }
        // Who knocks itself promises nothing: two that knock at each other would wait for ever. One that remembers a
        // room will reopen it; but so will I, if I do.
        let promising = match answer.standing {
            NodeState::Leading { .. } | NodeState::Following { .. } | NodeState::Electing => true,
            NodeState::Joining => self.room.is_none(),
            NodeState::Knocking => false,
        };
        if promising {
            bootstrap.sign = now;
        }
        let mut search = LeaderSearch { bootstrap: Some(bootstrap.clone()), ..LeaderSearch::default() };
        match answer.standing {
            NodeState::Leading { epoch, .. } => {
                self.report_contact(from, &mut search);
                self.join_over(conn, from, Some(epoch), search);
            }
            NodeState::Following { epoch, relay, .. } if epoch.leader != self.me => {
                let unreached = bootstrap.unreached.contains(&epoch.leader);
                self.report_contact(from, &mut search);
                if relay && unreached {
                    return self.join_through(conn, epoch, search);
                }
                search.answers.insert(from, answer.clone());
                self.join(epoch.leader, Some(epoch), search);
            }
            NodeState::Following { .. } | NodeState::Electing | NodeState::Joining | NodeState::Knocking => {
                // The contacts are asked in turn: another may know better.
                bootstrap.conn = None;
                bootstrap.at += 1;
                bootstrap.retry = Some(now + BOOTSTRAP_RETRY);
                self.rearm = true;
                self.event(Event::StillElecting);
            }
        }
    }

    fn report_contact(&mut self, contact: Uid, search: &mut LeaderSearch) {
        if let Some(bootstrap) = &mut search.bootstrap
            && !std::mem::replace(&mut bootstrap.answered, true)
        {
            self.event(Event::Answered(contact));
        }
    }

    /// A newcomer's join has failed: back to its contacts.
    pub(super) fn bootstrap_again(&mut self, mut bootstrap: Bootstrap, unreached: Uid) {
        if bootstrap.unreached.len() < BOOK_NODES_MAX {
            bootstrap.unreached.insert(unreached);
        }
        bootstrap.conn = None;
        bootstrap.retry = Some(self.now.mono + BOOTSTRAP_RETRY);
        self.set_phase(Phase::Bootstrapping(bootstrap));
    }

    // ---- after a loss

    /// Looks for a leader: at once after a loss if I am best placed, later after failures.
    pub(super) fn search_leader(&mut self, search: LeaderSearch) {
        let (now, timing) = (self.now.mono, self.timing);
        let wait = if search.failures == 0 {
            // A thousand members that ask each other are two million messages: the largest uid asks first.
            let view = &self.log.state().view;
            let lost_is_larger = search.lost.is_some_and(|lost| lost.uid > self.me && view.contains(lost.uid));
            let larger = view.larger_than(self.me).saturating_sub(usize::from(lost_is_larger));
            timing.poll_stagger.times(larger as u64).min(timing.heartbeat)
        } else {
            let most = JITTER.times(1 << search.failures.min(JITTER_DOUBLINGS_MAX));
            self.rng.below(most)
        };
        self.set_phase(Phase::PollBackoff { search, until: now + wait });
        if wait == Span(0) {
            self.poll_all();
        }
    }

    /// Asks everybody in the book.
    pub(super) fn poll_all(&mut self) {
        let now = self.now.mono;
        let Phase::PollBackoff { search, .. } = &mut self.phase else { return };
        let search = std::mem::take(search);
        let reopened = search.reopening;
        let patience = if reopened { self.timing.reopen } else { self.timing.poll };
        let nodes: Vec<Uid> = self.book.present().collect();
        let asking = LeaderPoll { search, open: BTreeSet::new(), deadline: now + patience, reopened };
        self.set_phase(Phase::LeaderPoll(asking));
        self.event(Event::Asking { nodes: nodes.len() });
        for uid in nodes {
            let sent = self.send_to(uid, Frame::Ask);
            if let (Some(_), Phase::LeaderPoll(asking)) = (sent, &mut self.phase) {
                asking.open.insert(uid);
            }
        }
        self.check_poll();
    }

    /// What I say when I am asked.
    pub(super) fn on_poll(&mut self, conn: ConnId, from: Uid) {
        let now = self.now.mono;
        let standing = match &self.phase {
            Phase::Leading(leading) => {
                NodeState::Leading { epoch: leading.epoch, followers: self.live_followers(&leading.followers) }
            }
            Phase::Synchronizing(crowned) => NodeState::Leading { epoch: crowned.epoch, followers: 0 },
            Phase::Following(following) => {
                let age = self.links.echo_age(following.conn, now).unwrap_or(self.timing.silence);
                let relay = self.links.carrier(following.conn).is_none() && following.leader != from;
                NodeState::Following { epoch: following.epoch, heard_ms: age.0 / 1000, relay }
            }
            Phase::PollBackoff { .. } | Phase::LeaderPoll(_) | Phase::Electing(_) => NodeState::Electing,
            Phase::NotStarted | Phase::Bootstrapping(_) if self.room.is_none() => NodeState::Knocking,
            Phase::NotStarted | Phase::Bootstrapping(_) | Phase::Joining(_) | Phase::Stopped => NodeState::Joining,
        };
        let answer = PollReply { standing, tail: self.log.tail(), round: self.round };
        self.send(conn, Frame::Answer(answer));
        // Who is better placed has asked: its election comes.
        let later = now + self.timing.election_slack + self.rng.below(self.timing.election_slack);
        if let Phase::PollBackoff { until, search } = &mut self.phase
            && from > self.me
            && search.failures == 0
            && !std::mem::replace(&mut search.gave_way, true)
        {
            *until = later;
            self.rearm = true;
        }
    }

    pub(super) fn on_poll_reply(&mut self, conn: ConnId, from: Uid, answer: PollReply) {
        if self.room.is_some() && !self.admit_round(conn, answer.round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        match &mut self.phase {
            Phase::Bootstrapping(_) => self.contact_replied(conn, from, &answer),
            Phase::LeaderPoll(_) => self.polled_replied(conn, from, answer),
            Phase::Synchronizing(crowned) => {
                if let LogFetch::Polling { open, best } = &mut crowned.stage
                    && open.remove(&from)
                {
                    if best.is_none_or(|(tail, _)| answer.tail > tail) {
                        *best = Some((answer.tail, from));
                    }
                    self.check_polled();
                }
            }
            Phase::Leading(_) | Phase::Following(_) => self.probe_answered(conn, from, &answer),
            Phase::NotStarted | Phase::PollBackoff { .. } | Phase::Electing(_) | Phase::Joining(_) | Phase::Stopped => {
            }
        }
    }

    fn polled_replied(&mut self, conn: ConnId, from: Uid, answer: PollReply) {
        let me = self.me;
        let Phase::LeaderPoll(asking) = &mut self.phase else { return };
        asking.open.remove(&from);
        let standing = answer.standing;
        if asking.search.answers.len() < BOOK_NODES_MAX {
            asking.search.answers.insert(from, answer);
        }
        match standing {
            NodeState::Leading { epoch, .. } if epoch.leader == from => {
                let search = std::mem::take(&mut asking.search);
                self.join_over(conn, from, Some(epoch), search);
            }
            NodeState::Following { epoch, heard_ms, .. }
                if self.fresh_claim(heard_ms) && epoch.leader != me && self.can_try(epoch.leader) =>
            {
                let Phase::LeaderPoll(asking) = &mut self.phase else { return };
                let search = std::mem::take(&mut asking.search);
                self.join(epoch.leader, Some(epoch), search);
            }
            NodeState::Leading { .. }
            | NodeState::Following { .. }
            | NodeState::Electing
            | NodeState::Joining
            | NodeState::Knocking => {
                self.check_poll();
            }
        }
    }

    /// A leader that I have neither just lost nor just failed to reach.
    fn can_try(&self, leader: Uid) -> bool {
        match &self.phase {
            Phase::LeaderPoll(asking) => {
                asking.search.lost.is_none_or(|lost| lost.uid != leader) && !asking.search.gone.contains(&leader)
            }
            _ => false,
        }
    }

    fn fresh_claim(&self, heard_ms: u64) -> bool {
        Span::ms(heard_ms.min(1 << 32)) <= self.timing.heartbeat.times(2)
    }

    /// How long ago this leader was heard, by the freshest of the answers that are fresh.
    pub(super) fn fresh_word(&self, search: &LeaderSearch, leader: Uid) -> Option<Span> {
        let words = search.answers.iter().filter_map(|(&from, answer)| match answer.standing {
            NodeState::Leading { epoch, .. } if epoch.leader == leader && from == leader => Some(0),
            NodeState::Following { epoch, heard_ms, .. } if epoch.leader == leader && self.fresh_claim(heard_ms) => {
                Some(heard_ms)
            }
            NodeState::Leading { .. }
            | NodeState::Following { .. }
            | NodeState::Electing
            | NodeState::Joining
            | NodeState::Knocking => None,
        });
        words.min().map(Span::ms)
    }

    /// A connection to somebody whom I have asked has ended: an idle one may have closed under the question.
    pub(super) fn poll_ended(&mut self, ended: &ClosedConn) {
        let Some(uid) = ended.uid else { return };
        let Phase::LeaderPoll(asking) = &mut self.phase else { return };
        if !asking.open.contains(&uid) {
            return;
        }
        let again = match ended.how {
            CloseReason::Closed | CloseReason::Dropped => ended.was_up && !asking.search.gone.contains(&uid),
            CloseReason::Refused | CloseReason::Unreachable | CloseReason::Silent => self.links.up(uid).is_some(),
        };
        if again && self.send_to(uid, Frame::Ask).is_some() {
            return;
        }
        if let Phase::LeaderPoll(asking) = &mut self.phase {
            asking.open.remove(&uid);
        }
        self.check_poll();
    }

    /// Everybody has answered, the lost leader apart: it is not waited for.
    fn check_poll(&mut self) {
        let Phase::LeaderPoll(asking) = &self.phase else { return };
        let lost = asking.search.lost.map(|lost| lost.uid);
        if asking.open.iter().all(|uid| Some(*uid) == lost) {
            self.conclude_poll();
        }
    }

    /// Nobody follows a fresh leader that I could join straight away: through another, by an election, or alone.
    pub(super) fn conclude_poll(&mut self) {
        let Phase::LeaderPoll(asking) = &mut self.phase else { return };
        let search = std::mem::take(&mut asking.search);
        if let Some((conn, epoch)) = self.relay_offered(&search) {
            return self.join_through(conn, epoch, search);
        }
        if !search.alive().is_empty() {
            return self.start_election(search);
        }
        if let (Start::Return, false, Some(refusal)) = (&self.start, self.greeted, search.turned_away) {
            return self.stop(Stop::Refused(refusal));
        }
        self.begin_term(self.round.saturating_add(1), BTreeSet::new(), None, self.level);
    }

    /// The member with the lowest uid that follows, fresh, a leader which does not answer me.
    fn relay_offered(&self, search: &LeaderSearch) -> Option<(ConnId, Epoch)> {
        let now = self.now.mono;
        let news = |leader: Uid, heard_ms: u64| match search.lost {
            Some(LostLeader { uid, at }) if uid == leader => Time(now.0.saturating_sub(Span::ms(heard_ms).0)) > at,
            Some(_) | None => true,
        };
        search.answers.iter().find_map(|(&uid, answer)| match answer.standing {
            NodeState::Following { epoch, heard_ms, relay: true }
                if self.fresh_claim(heard_ms) && news(epoch.leader, heard_ms) && epoch.leader != self.me =>
            {
                self.links.up(uid).map(|conn| (conn, epoch))
            }
            NodeState::Leading { .. }
            | NodeState::Following { .. }
            | NodeState::Electing
            | NodeState::Joining
            | NodeState::Knocking => None,
        })
    }
}
