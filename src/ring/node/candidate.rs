//! A candidate: the node's part in the election round the ring, and what a winner does before it leads.
//!
//! `election.rs` decides what becomes of a token, and is tested alone. Here its outcomes are carried out, and here a
//! node decides whether it takes part in another node's round ([`Node::on_token`]). `poll.rs` is the poll that comes
//! before.

use std::collections::BTreeSet;

use super::Node;
use super::announcer::forward;
use super::election::{self, Election, ElectionEvent, ElectionOutcome, Win};
use super::log_fetch::{FetchEvent, LogFetch};
use super::phase::{Electing, Joining, LeaderSearch, Phase, Synchronizing};
use super::poll;
use crate::ring::Event;
use crate::ring::links::ClosedConn;
use crate::ring::types::id::{ConnId, Epoch, Nonce, Tail, Uid};
use crate::ring::types::limits::NUMBER_MAX;
use crate::ring::types::time::Span;
use crate::ring::wire::frame::{Elected, Frame, Token};

impl Node {
    // ---- the token

    /// Starts a round: my token goes to the next of the nodes that are there.
    pub(super) fn start_election(&mut self, search: LeaderSearch) {
        let Some(round) = self.clocks.next_round() else { return self.no_round_left() };
        self.clocks.adopt_round(round);
        let mut ring = search.alive();
        ring.insert(self.identity.me);
        self.enter_election(search, round, ring);
        self.event(Event::ElectionStarted { round });
        self.on_election(ElectionEvent::Start);
    }

    fn enter_election(&mut self, search: LeaderSearch, round: u64, ring: BTreeSet<Uid>) {
        let deadline = self.now.mono + election::timeout(ring.len(), self.links.round_trip(), &self.settings.timing);
        self.set_phase(Phase::Electing(Electing { search, election: Election::new(round, ring, deadline) }));
    }

    /// Hands an event to the election, and does what it asks for.
    pub(super) fn on_election(&mut self, event: ElectionEvent) {
        let mut event = Some(event);
        while let Some(next) = event.take() {
            let Phase::Electing(electing) = &mut self.phase else { return };
            let mut cx = election::ElectionCx {
                now: self.now.mono,
                me: self.identity.me,
                tail: self.log.tail(),
                caught_up: self.completeness.is_caught_up(),
                ack_within: self.settings.timing.heartbeat,
                gone: &mut electing.search.gone,
            };
            let outcome = electing.election.handle(&mut cx, next);
            self.agenda.deadline_moved();
            match outcome {
                ElectionOutcome::Wait => {}
                ElectionOutcome::Send { to, token } => {
                    let (round, candidate) = (token.round, token.candidate);
                    self.event(Event::TokenPassed { round, candidate, to });
                    if self.send_to(to, Frame::Token(token)).is_none() {
                        event = Some(ElectionEvent::PeerGone(to));
                    }
                }
                ElectionOutcome::Won(Win { round, ring, best, caught_up }) => {
                    self.begin_term(round, ring, best, caught_up)
                }
                ElectionOutcome::Exhausted | ElectionOutcome::TimedOut | ElectionOutcome::Superseded => {
                    let search = std::mem::take(&mut electing.search).again();
                    self.search_leader(search);
                }
            }
        }
    }

    pub(super) fn on_token_ack(&mut self, from: Uid, round: u64, candidate: Uid) {
        self.on_election(ElectionEvent::Ack { from, round, candidate });
    }

    /// A connection has ended while a token is out.
    pub(super) fn elector_ended(&mut self, ended: &ClosedConn) {
        if let Some(uid) = ended.uid.filter(|&uid| self.links.up(uid).is_none()) {
            self.on_election(ElectionEvent::Disconnected { uid, how: ended.how });
        }
    }

    /// A token has come.
    pub(super) fn on_token(&mut self, conn: ConnId, from: Uid, token: Token) {
        if self.room.is_none() {
            return;
        }
        if !self.admit_round(conn, token.round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        self.send(conn, Frame::TokenAck { round: token.round, candidate: token.candidate });
        token.ring.iter().for_each(|&uid| self.learn_peer(uid));
        if self.follows_another(&token) || token.hops as usize > 2 * token.ring.len() + 4 {
            return;
        }
        let round = token.round;
        let racing = match &self.phase {
            Phase::Electing(electing) => Some(electing.election.round()),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => None,
        };
        if racing.is_some_and(|mine| mine > round) {
            return self.swallowed(&token, None);
        }
        if racing != Some(round) {
            self.join_election(round, from);
        }
        self.on_election(ElectionEvent::Token(token));
    }

    /// Leaves whatever I was doing for a round of the election.
    fn join_election(&mut self, round: u64, from: Uid) {
        let search = match self.set_phase(Phase::Stopped) {
            Phase::PollBackoff { search, .. } => search,
            Phase::LeaderPoll { search, .. } => search,
            Phase::Electing(electing) => electing.search,
            Phase::Joining(joining) => joining.search,
            Phase::Following(following) => {
                // From here on nothing of the old epoch is applied: what the token says of my tail stays true.
                let leader = following.leader;
                self.close(following.conn);
                self.leader_unreachable(leader);
                LeaderSearch::after(leader, self.now.mono)
            }
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::Synchronizing(_)
            | Phase::Leading(_)
            | Phase::Stopped => LeaderSearch::default(),
        };
        let mut ring = search.alive();
        ring.extend([self.identity.me, from]);
        self.enter_election(search, round, ring);
    }

    /// A token that goes no further here: I lead, I follow a fresh leader, or its round is past.
    fn follows_another(&mut self, token: &Token) -> bool {
        match &self.phase {
            Phase::Leading(_) | Phase::Synchronizing(_) => {
                self.bump_epoch_above(token);
                true
            }
            Phase::Following(following) => {
                let (epoch, conn) = (following.epoch, following.conn);
                if !self.links.fresh(conn, self.now.mono) {
                    return self.past(token);
                }
                let age = self.links.echo_age(conn, self.now.mono).unwrap_or_default();
                self.swallowed(token, Some((epoch, age.0 / 1000)));
                true
            }
            Phase::Joining(joining) => {
                let Some(age) = self.hears_of(joining).filter(|_| joining.leader != token.candidate) else {
                    return self.past(token);
                };
                // A leader that is there: the join goes on.
                let following = joining.epoch.map(|epoch| (epoch, age.0 / 1000));
                self.swallowed(token, following);
                true
            }
            // Who comes back from its files asks everybody first, once: others may lead. If nobody does, it elects
            // with this candidate by itself.
            Phase::LeaderPoll { search, poll } if poll.reopened() && search.failures == 0 => {
                self.past(token);
                true
            }
            Phase::PollBackoff { .. } | Phase::LeaderPoll { .. } | Phase::Electing(_) => self.past(token),
            // Who stands at the door and remembers the room takes part, but asks everybody first: others may lead.
            Phase::Bootstrapping(bootstrap) => {
                let contacts = bootstrap.contacts.clone();
                contacts.into_iter().for_each(|uid| self.learn_peer(uid));
                self.reopen();
                true
            }
            Phase::NotStarted | Phase::Stopped => true,
        }
    }

    /// How fresh the leader is that I am joining, if it is: by its own echo; while its connection is being opened, by
    /// the word of those who have answered my question. Else whoever has just heard of a leader could help to crown
    /// another.
    fn hears_of(&self, joining: &Joining) -> Option<Span> {
        let (leader, conn) = (joining.leader, joining.conn);
        if self.links.is_up(conn) {
            return self.links.echo_age(conn, self.now.mono).filter(|_| self.links.fresh(conn, self.now.mono));
        }
        if !self.links.contains(conn) {
            return None;
        }
        poll::last_heard(&joining.search, leader, self.settings.timing.heartbeat)
    }

    /// A round not above the one obeyed.
    fn past(&mut self, token: &Token) -> bool {
        let past = self.promise.is_some_and(|promise| token.round <= promise.round);
        if past {
            self.swallowed(token, None);
        }
        past
    }

    fn swallowed(&mut self, token: &Token, following: Option<(Epoch, u64)>) {
        let frame = Frame::Swallowed { round: token.round, known: self.clocks.round(), following };
        self.send_to_candidate(token.candidate, frame);
    }

    /// Only somebody known is dialled because a token names it.
    pub(super) fn send_to_candidate(&mut self, candidate: Uid, frame: Frame) {
        if self.links.up(candidate).is_some() || self.book.contains(candidate) {
            self.send_to(candidate, frame);
        }
    }

    /// My token went no further.
    pub(super) fn on_swallowed(&mut self, conn: ConnId, round: u64, known: u64, following: Option<(Epoch, u64)>) {
        if !self.admit_round(conn, known) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        let following = following.map(|(epoch, _)| epoch);
        self.on_election(ElectionEvent::Swallowed { round, known, following });
    }

    // ---- the win

    /// Takes the crown: promises the epoch, announces it, fetches the best log, and leads. `caught_up`: one of the
    /// electors was.
    pub(super) fn begin_term(&mut self, round: u64, ring: BTreeSet<Uid>, best: Option<(Tail, Uid)>, caught_up: bool) {
        let Some(epoch) = self.new_epoch(round) else { return self.no_round_left() };
        let reopened = matches!(&self.phase, Phase::LeaderPoll { poll, .. } if poll.reopened());
        let fetch = LogFetch::new(self.now.mono, BTreeSet::new(), None);
        let fresh = Synchronizing::new(epoch, ring.clone(), fetch);
        self.set_phase(Phase::Synchronizing(Synchronizing { established: !reopened, caught_up, ..fresh }));
        self.announce(epoch, &ring);
        self.on_fetch_event(FetchEvent::Won { best });
    }

    /// Rounds have come to their end: nobody is elected any more, but somebody may lead.
    pub(super) fn no_round_left(&mut self) {
        self.search_leader(LeaderSearch::default().again());
    }

    /// An epoch above every round that is known, promised before anybody hears of it. `None`: numbers end there.
    pub(super) fn new_epoch(&mut self, round: u64) -> Option<Epoch> {
        let logged = self.log.state().epochs.last_key_value().map_or(0, |(epoch, _)| epoch.round);
        let promised = self.promise.map_or(0, |epoch| epoch.round);
        let past = logged.max(promised).saturating_add(1);
        // A higher round that others are still voting in is passed as well.
        let known = if self.clocks.round() > round { self.clocks.round().saturating_add(1) } else { round };
        let round = round.max(past).max(known);
        if round > NUMBER_MAX {
            return None;
        }
        let epoch = Epoch { round, leader: self.identity.me, nonce: Nonce(self.rng.next()) };
        self.adopt_epoch(epoch);
        Some(epoch)
    }

    /// Tells everybody: straight, and round the ring for those whom I cannot reach.
    pub(super) fn announce(&mut self, epoch: Epoch, ring: &BTreeSet<Uid>) {
        let (peers, around) = self.announcer.announce(self.identity.me, epoch, ring);
        for uid in peers {
            self.send_to(uid, Frame::Elected(Elected { epoch, ring: Vec::new(), hops: None }));
        }
        self.forward_announcement(around);
    }

    fn forward_announcement(&mut self, elected: Elected) {
        if let Some((next, elected)) = forward(self.identity.me, elected) {
            self.send_to(next, Frame::Elected(elected));
        }
    }

    /// Somebody has won.
    pub(super) fn on_elected(&mut self, conn: ConnId, elected: Elected) {
        let epoch = elected.epoch;
        if self.room.is_none() || epoch.leader == self.identity.me {
            return;
        }
        if !self.admit_round(conn, epoch.round) {
            return self.protocol_violation(conn, "names an absurd round");
        }
        elected.ring.iter().for_each(|&uid| self.learn_peer(uid));
        self.learn_peer(epoch.leader);
        if self.announcer.is_to_forward(&elected) {
            self.forward_announcement(elected);
        }
        match &self.phase {
            Phase::Leading(_) | Phase::Synchronizing(_) => {
                if !self.handed_over(epoch) {
                    self.propose_merge(conn, epoch);
                }
            }
            Phase::Following(following) => {
                let (leader, over) = (following.leader, following.conn);
                if epoch.leader == leader {
                    // My leader has begun another epoch: nothing moves.
                    if self.promise < Some(epoch) {
                        self.adopt_epoch(epoch);
                        if let Phase::Following(following) = &mut self.phase {
                            following.epoch = epoch;
                        }
                        self.event(Event::Leader(epoch));
                    }
                } else if self.links.fresh(over, self.now.mono) {
                    self.send(over, Frame::RivalLeader(epoch));
                } else {
                    self.close_quietly(over);
                    self.leader_unreachable(leader);
                    self.follow_elected(epoch, LeaderSearch::after(leader, self.now.mono));
                }
            }
            Phase::Joining(joining) => {
                let settled = joining.epoch.is_some_and(|towards| towards >= epoch)
                    || (joining.leader == epoch.leader && self.links.contains(joining.conn));
                if !settled {
                    let mut search = joining.search.clone();
                    search.bootstrap = None;
                    self.follow_elected(epoch, search);
                } else if self.promise < Some(epoch) {
                    self.adopt_epoch(epoch);
                }
            }
            Phase::PollBackoff { .. } | Phase::LeaderPoll { .. } | Phase::Electing(_) | Phase::Bootstrapping(_) => {
                let search = self.search_mut().map(std::mem::take).unwrap_or_default();
                self.follow_elected(epoch, search);
            }
            Phase::NotStarted | Phase::Stopped => {}
        }
    }

    fn follow_elected(&mut self, epoch: Epoch, search: LeaderSearch) {
        // Below my promise I still ask to join: a leader that hears of a higher promise crowns itself again.
        self.adopt_epoch(epoch);
        self.join(epoch.leader, Some(epoch), search);
    }
}
