//! The search for a leader: at the contacts, after a loss, and before any election.
//!
//! `poll.rs` decides what comes of the answers, and is tested alone; here its outcomes are carried out. `candidate.rs`
//! is what the node does when the outcome is an election.

use std::collections::BTreeSet;

use super::Node;
use super::log_fetch::FetchEvent;
use super::phase::{Bootstrap, LeaderSearch, Phase};
use super::poll::{self, Backoff, LeaderPoll, PollEvent, PollOutcome};
use crate::ring::links::ClosedConn;
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::Span;
use crate::ring::wire::frame::{Frame, NodeState, PollReply};
use crate::ring::{Event, Start, Stop};

/// Between two questions to a contact that is still electing.
const BOOTSTRAP_RETRY: Span = Span::ms(200);

impl Node {
    // ---- at the door

    /// The contact's silence, or the end of all patience.
    pub(super) fn on_bootstrap_deadline(&mut self) {
        let (now, timing) = (self.now.mono, self.settings.timing);
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
        let conn = self.send_to(contact, Frame::LeaderPoll);
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
        self.agenda.deadline_moved();
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
        // A bootstrapping node promises nothing: two that ask each other would wait for ever. One that remembers a
        // room will reopen it; but so will I, if I do.
        let promising = match answer.state {
            NodeState::Leading { .. } | NodeState::Following { .. } | NodeState::Electing => true,
            NodeState::Joining => self.room.is_none(),
            NodeState::Bootstrapping => false,
        };
        if promising {
            bootstrap.sign = now;
        }
        let mut search = LeaderSearch { bootstrap: Some(bootstrap.clone()), ..LeaderSearch::default() };
        match answer.state {
            NodeState::Leading { epoch, .. } => {
                self.report_contact(from, &mut search);
                self.join_over(conn, from, Some(epoch), search);
            }
            NodeState::Following { epoch, relay, .. } if epoch.leader != self.identity.me => {
                let unreached = bootstrap.unreached.contains(&epoch.leader);
                self.report_contact(from, &mut search);
                if relay && unreached {
                    return self.join_through(conn, epoch, search);
                }
                search.answers.insert(from, answer.clone());
                self.join(epoch.leader, Some(epoch), search);
            }
            NodeState::Following { .. } | NodeState::Electing | NodeState::Joining | NodeState::Bootstrapping => {
                // The contacts are asked in turn: another may know better.
                bootstrap.conn = None;
                bootstrap.at += 1;
                bootstrap.retry = Some(now + BOOTSTRAP_RETRY);
                self.agenda.deadline_moved();
                self.event(Event::StillElecting);
            }
        }
    }

    fn report_contact(&mut self, contact: Uid, search: &mut LeaderSearch) {
        if let Some(bootstrap) = &mut search.bootstrap
            && !std::mem::replace(&mut bootstrap.answered, true)
        {
            self.event(Event::ContactAnswered(contact));
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
        let wait = match poll::backoff(&search, self.identity.me, &self.log.state().view, &self.settings.timing) {
            Backoff::For(wait) => wait,
            Backoff::Below(most) => self.rng.below(most),
        };
        self.set_phase(Phase::PollBackoff { search, until: self.now.mono + wait });
        if wait == Span(0) {
            self.poll_all();
        }
    }

    /// Asks every node in the book.
    pub(super) fn poll_all(&mut self) {
        let Phase::PollBackoff { search, .. } = &mut self.phase else { return };
        let search = std::mem::take(search);
        let reopened = search.reopening;
        let patience = if reopened { self.settings.timing.reopen } else { self.settings.timing.poll };
        let nodes: Vec<Uid> = self.book.present().collect();
        let poll = LeaderPoll::new(self.now.mono + patience, reopened);
        self.set_phase(Phase::LeaderPoll { search, poll });
        self.event(Event::LeaderPoll { nodes: nodes.len() });
        for uid in nodes {
            let sent = self.send_to(uid, Frame::LeaderPoll);
            if let (Some(_), Phase::LeaderPoll { poll, .. }) = (sent, &mut self.phase) {
                poll.asked(uid);
            }
        }
        self.on_poll_event(None, PollEvent::Asked);
    }

    /// Hands an event to the poll, and does what comes of it. `conn`: the connection over which an answer has come.
    pub(super) fn on_poll_event(&mut self, conn: Option<ConnId>, event: PollEvent) {
        let Phase::LeaderPoll { search, poll } = &mut self.phase else { return };
        let links = &self.links;
        let mut cx = poll::PollCx {
            now: self.now.mono,
            me: self.identity.me,
            heartbeat: self.settings.timing.heartbeat,
            search,
            is_up: &|uid| links.up(uid).is_some(),
        };
        let outcome = poll.handle(&mut cx, event);
        match outcome {
            PollOutcome::Wait => {}
            PollOutcome::AskAgain(uid) => {
                if self.send_to(uid, Frame::LeaderPoll).is_none() {
                    self.on_poll_event(None, PollEvent::PeerGone(uid));
                }
            }
            PollOutcome::FollowSender(epoch) => {
                let search = std::mem::take(search);
                if let Some(conn) = conn {
                    self.join_over(conn, epoch.leader, Some(epoch), search);
                }
            }
            PollOutcome::Follow(epoch) => {
                let search = std::mem::take(search);
                self.join(epoch.leader, Some(epoch), search);
            }
            PollOutcome::FollowThrough(member, epoch) => {
                let search = std::mem::take(search);
                if let Some(conn) = self.links.up(member) {
                    self.join_through(conn, epoch, search);
                }
            }
            PollOutcome::Elect => {
                let search = std::mem::take(search);
                self.start_election(search);
            }
            PollOutcome::Alone => {
                let turned_away = std::mem::take(search).turned_away;
                if let (Start::Resume, false, Some(refusal)) =
                    (&self.settings.start, self.display.has_entered(), turned_away)
                {
                    return self.stop(Stop::Refused(refusal));
                }
                let (round, caught_up) = (self.clocks.round(), self.completeness.is_caught_up());
                self.begin_term(round.saturating_add(1), BTreeSet::new(), None, caught_up);
            }
        }
    }

    /// A connection to a node that was asked has ended.
    pub(super) fn poll_ended(&mut self, ended: &ClosedConn) {
        if let Some(uid) = ended.uid {
            self.on_poll_event(None, PollEvent::Disconnected { uid, how: ended.how, was_up: ended.was_up });
        }
    }

    /// What I say when I am asked.
    pub(super) fn on_poll(&mut self, conn: ConnId, from: Uid) {
        let now = self.now.mono;
        let state = match &self.phase {
            Phase::Leading(leading) => {
                NodeState::Leading { epoch: leading.epoch, followers: self.live_followers(&leading.followers) }
            }
            Phase::Synchronizing(synchronizing) => NodeState::Leading { epoch: synchronizing.epoch, followers: 0 },
            Phase::Following(following) => {
                let age = self.links.echo_age(following.conn, now).unwrap_or(self.settings.timing.silence);
                let relay = self.links.carrier(following.conn).is_none() && following.leader != from;
                NodeState::Following { epoch: following.epoch, heard_ms: age.0 / 1000, relay }
            }
            Phase::PollBackoff { .. } | Phase::LeaderPoll { .. } | Phase::Electing(_) => NodeState::Electing,
            Phase::NotStarted | Phase::Bootstrapping(_) if self.room.is_none() => NodeState::Bootstrapping,
            Phase::NotStarted | Phase::Bootstrapping(_) | Phase::Joining(_) | Phase::Stopped => NodeState::Joining,
        };
        let answer = PollReply { state, tail: self.log.tail(), round: self.clocks.round() };
        self.send(conn, Frame::PollReply(answer));
        // Who is better placed has asked: its election comes.
        let later = now + self.settings.timing.election_slack + self.rng.below(self.settings.timing.election_slack);
        if let Phase::PollBackoff { until, search } = &mut self.phase
            && from > self.identity.me
            && search.failures == 0
            && !std::mem::replace(&mut search.gave_way, true)
        {
            *until = later;
            self.agenda.deadline_moved();
        }
    }

    pub(super) fn on_poll_reply(&mut self, conn: ConnId, from: Uid, answer: PollReply) {
        if self.room.is_some() && !self.admit_round(conn, answer.round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        match &mut self.phase {
            Phase::Bootstrapping(_) => self.contact_replied(conn, from, &answer),
            Phase::LeaderPoll { .. } => self.on_poll_event(Some(conn), PollEvent::Answer { from, answer }),
            Phase::Synchronizing(_) => self.on_fetch_event(FetchEvent::PollReply { from, tail: answer.tail }),
            Phase::Leading(_) | Phase::Following(_) => self.probe_answered(conn, from, &answer),
            Phase::NotStarted | Phase::PollBackoff { .. } | Phase::Electing(_) | Phase::Joining(_) | Phase::Stopped => {
            }
        }
    }
}
