//! The election round the ring, and what the winner does before it leads.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::Node;
use super::phase::{Crowned, Electing, Fetching, Joining, Phase, Seek};
use crate::ring::Event;
use crate::ring::election::{Race, Verdict};
use crate::ring::links::{End, Ended};
use crate::ring::types::id::{ConnId, Epoch, Nonce, Span, Tail, Uid};
use crate::ring::types::limits::{BOOK_NODES_MAX, NUMBER_MAX};
use crate::ring::wire::frame::{Elected, Frame, Token};

/// What a hop is thought to take before any round trip was measured.
const HOP_UNMEASURED: Span = Span::ms(5);

impl Node {
    // ---- the token

    /// Starts a round: my token goes to the next of those who are there.
    pub(super) fn start_election(&mut self, seek: Seek) {
        let Some(round) = Self::round_after(self.round) else { return self.no_round_left() };
        self.round = round;
        let mut ring = seek.alive();
        ring.insert(self.me);
        let mut race = Race::new(round);
        let token = race.start(self.me, self.log.tail(), self.level, ring.iter().copied().collect());
        self.enter_race(seek, race, ring);
        self.event(Event::ElectionStarted { round });
        self.pass(token);
    }

    fn enter_race(&mut self, seek: Seek, race: Race, ring: BTreeSet<Uid>) {
        let deadline = self.now.mono + self.election_time(ring.len());
        self.set_phase(Phase::Electing(Electing { seek, race, ring, to: None, ack_by: None, deadline }));
    }

    /// Twice round the ring, and slack.
    fn election_time(&self, nodes: usize) -> Span {
        let hop = self.links.round_trip().max(HOP_UNMEASURED);
        let around = hop.times(2 * nodes as u64).0.saturating_add(self.timing.election_slack.0);
        Span(around).min(self.timing.election_max)
    }

    /// Sends a token to the first after me, in the election ring, whom no dial has missed.
    fn pass(&mut self, mut token: Token) {
        let Phase::Electing(electing) = &mut self.phase else { return };
        let room = BOOK_NODES_MAX.saturating_sub(electing.ring.len());
        electing.ring.extend(token.ring.iter().copied().take(room));
        electing.ring.insert(self.me);
        let after = electing.ring.range((Bound::Excluded(self.me), Bound::Unbounded));
        let mut order = after.chain(electing.ring.range(..self.me)).copied();
        let Some(to) = order.find(|uid| !electing.seek.gone.contains(uid)) else {
            return self.ring_exhausted();
        };
        token.ring = electing.ring.iter().copied().take(BOOK_NODES_MAX).collect();
        token.hops = token.hops.saturating_add(1);
        electing.to = Some(to);
        electing.ack_by = Some(self.now.mono + self.timing.heartbeat);
        self.rearm = true;
        let (round, candidate) = (token.round, token.candidate);
        self.event(Event::TokenPassed { round, candidate, to });
        if self.send_to(to, Frame::Token(token)).is_none() {
            self.elector_gone(to);
        }
    }

    /// Nobody is left to pass a token to: that is no win, it is asked again.
    fn ring_exhausted(&mut self) {
        let Phase::Electing(electing) = &mut self.phase else { return };
        let seek = std::mem::take(&mut electing.seek).again();
        self.seek_leader(seek);
    }

    /// Who has the token does not answer, or is gone: on to the next.
    fn elector_gone(&mut self, uid: Uid) {
        let Phase::Electing(electing) = &mut self.phase else { return };
        electing.seek.gone.insert(uid);
        if electing.to == Some(uid)
            && let Some(token) = electing.race.out().cloned()
        {
            self.pass(token);
        }
    }

    pub(super) fn token_unanswered(&mut self) {
        let Phase::Electing(electing) = &self.phase else { return };
        if let Some(to) = electing.to {
            self.elector_gone(to);
        }
    }

    pub(super) fn on_token_ack(&mut self, from: Uid, round: u64, candidate: Uid) {
        let Phase::Electing(electing) = &mut self.phase else { return };
        let out = electing.race.out().map(|token| (token.round, token.candidate));
        if electing.to == Some(from) && out == Some((round, candidate)) {
            electing.ack_by = None;
            self.rearm = true;
        }
    }

    /// A connection has ended while a token is out.
    pub(super) fn elector_ended(&mut self, ended: &Ended) {
        let Some(uid) = ended.uid else { return };
        let Phase::Electing(electing) = &self.phase else { return };
        if electing.to != Some(uid) || self.links.up(uid).is_some() {
            return;
        }
        match ended.how {
            End::Refused | End::Unreachable | End::Silent => self.elector_gone(uid),
            // The token may have died with the connection, or an idle one closed under it: the same node again.
            End::Closed | End::Dropped => {
                if let Some(token) = electing.race.out().cloned() {
                    self.pass(token);
                }
            }
        }
    }

    /// The election has taken too long.
    pub(super) fn give_up_election(&mut self) {
        let Phase::Electing(electing) = &mut self.phase else { return };
        let seek = std::mem::take(&mut electing.seek).again();
        self.seek_leader(seek);
    }

    /// A token has come.
    pub(super) fn on_token(&mut self, conn: ConnId, from: Uid, token: Token) {
        if self.room.is_none() {
            return;
        }
        if !self.saw_round(conn, token.round) {
            return self.misbehaved(conn, "names an absurd round");
        }
        self.send(conn, Frame::TokenAck { round: token.round, candidate: token.candidate });
        token.ring.iter().for_each(|&uid| self.meet(uid));
        if self.obeys_another(&token) || token.hops as usize > 2 * token.ring.len() + 4 {
            return;
        }
        let round = token.round;
        let racing = match &self.phase {
            Phase::Electing(electing) => Some(electing.race.round()),
            _ => None,
        };
        if racing.is_some_and(|mine| mine > round) {
            return self.swallowed(&token, None);
        }
        if racing != Some(round) {
            self.join_race(round, from);
        }
        let tail = self.log.tail();
        let (me, level) = (self.me, self.level);
        let Phase::Electing(electing) = &mut self.phase else { return };
        match electing.race.take(me, tail, level, token) {
            Verdict::Pass(token) => self.pass(token),
            Verdict::Swallow => {}
            Verdict::Won(token) => self.won(token),
        }
    }

    /// Leaves whatever I was doing for a round of the election.
    fn join_race(&mut self, round: u64, from: Uid) {
        let seek = match self.set_phase(Phase::Gone) {
            Phase::Waiting { seek, .. } => seek,
            Phase::Asking(asking) => asking.seek,
            Phase::Electing(electing) => electing.seek,
            Phase::Joining(joining) => joining.seek,
            Phase::Following(following) => {
                // From here on nothing of the old epoch is applied: what the token says of my tail stays true.
                let leader = following.leader;
                self.close(following.conn);
                self.leader_missing(leader);
                Seek::after(leader, self.now.mono)
            }
            Phase::Unborn | Phase::Knocking(_) | Phase::Crowned(_) | Phase::Leading(_) | Phase::Gone => Seek::default(),
        };
        let mut ring = seek.alive();
        ring.extend([self.me, from]);
        self.enter_race(seek, Race::new(round), ring);
    }

    /// A token that goes no further here: I lead, I follow a fresh leader, or its round is past.
    fn obeys_another(&mut self, token: &Token) -> bool {
        match &self.phase {
            Phase::Leading(_) | Phase::Crowned(_) => {
                self.outdo(token);
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
            Phase::Asking(asking) if asking.reopened && asking.seek.failures == 0 => {
                self.past(token);
                true
            }
            Phase::Waiting { .. } | Phase::Asking(_) | Phase::Electing(_) => self.past(token),
            // Who stands at the door and remembers the room takes part, but asks everybody first: others may lead.
            Phase::Knocking(knock) => {
                let contacts = knock.contacts.clone();
                contacts.into_iter().for_each(|uid| self.meet(uid));
                self.reopen();
                true
            }
            Phase::Unborn | Phase::Gone => true,
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
        if self.links.contains(conn) { self.fresh_word(&joining.seek, leader) } else { None }
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
        let frame = Frame::Swallowed { round: token.round, known: self.round, following };
        self.tell_candidate(token.candidate, frame);
    }

    /// Only somebody known is dialled because a token names it.
    pub(super) fn tell_candidate(&mut self, candidate: Uid, frame: Frame) {
        if self.links.up(candidate).is_some() || self.book.contains(candidate) {
            self.send_to(candidate, frame);
        }
    }

    /// My token went no further.
    pub(super) fn on_swallowed(&mut self, conn: ConnId, round: u64, known: u64, following: Option<(Epoch, u64)>) {
        if !self.saw_round(conn, known) {
            return self.misbehaved(conn, "names an absurd round");
        }
        let me = self.me;
        let Phase::Electing(electing) = &mut self.phase else { return };
        if electing.race.round() != round || electing.race.out().is_none_or(|token| token.candidate != me) {
            return;
        }
        // Somebody follows a leader, or has seen a higher round than mine: back to the question.
        if following.is_some() || known > round {
            let seek = std::mem::take(&mut electing.seek).again();
            self.seek_leader(seek);
        }
    }

    // ---- the win

    fn won(&mut self, token: Token) {
        let Phase::Electing(electing) = &mut self.phase else { return };
        let mut ring = std::mem::take(&mut electing.ring);
        ring.extend(token.ring.iter().copied());
        ring.remove(&self.me);
        let best = (token.holder != self.me).then_some((token.tail, token.holder));
        self.crown(token.round, ring, best, token.level);
    }

    /// Takes the crown: promises the epoch, announces it, fetches the best log, and leads. `level`: one of the electors was.
    pub(super) fn crown(&mut self, round: u64, ring: BTreeSet<Uid>, best: Option<(Tail, Uid)>, level: bool) {
        let Some(epoch) = self.new_epoch(round) else { return self.no_round_left() };
        let reopened = matches!(&self.phase, Phase::Asking(asking) if asking.reopened);
        let crowned = Crowned {
            epoch,
            steady: !reopened,
            level,
            ring: ring.clone(),
            stage: Fetching::Polling { open: BTreeSet::new(), best: None },
            deadline: self.now.mono,
            failed: BTreeSet::new(),
            lacks: None,
            joins: Vec::new(),
        };
        self.set_phase(Phase::Crowned(crowned));
        self.announce(epoch, &ring);
        match best {
            Some((tail, holder)) if tail > self.log.tail() => self.fetch_from(holder),
            Some(_) | None => self.lead(),
        }
    }

    /// Rounds have come to their end: nobody is elected any more, but somebody may lead.
    pub(super) fn no_round_left(&mut self) {
        self.seek_leader(Seek::default().again());
    }

    /// A reign above every round that is known, promised before anybody hears of it. `None`: numbers end there.
    pub(super) fn new_epoch(&mut self, round: u64) -> Option<Epoch> {
        let logged = self.log.summary().epochs.last_key_value().map_or(0, |(epoch, _)| epoch.round);
        let promised = self.promise.map_or(0, |epoch| epoch.round);
        let past = logged.max(promised).saturating_add(1);
        // A higher round that others are still voting in is passed as well.
        let known = if self.round > round { self.round.saturating_add(1) } else { round };
        let round = round.max(past).max(known);
        if round > NUMBER_MAX {
            return None;
        }
        let epoch = Epoch { round, leader: self.me, nonce: Nonce(self.rng.next()) };
        self.obey(epoch);
        Some(epoch)
    }

    /// Tells everybody: straight, and round the ring for those whom I cannot reach.
    pub(super) fn announce(&mut self, epoch: Epoch, ring: &BTreeSet<Uid>) {
        self.announced = Some(epoch);
        let nodes: Vec<Uid> = ring.iter().copied().filter(|&uid| uid != self.me).take(BOOK_NODES_MAX).collect();
        for &uid in &nodes {
            self.send_to(uid, Frame::Elected(Elected { epoch, ring: Vec::new(), hops: None }));
        }
        let mut around = nodes;
        around.push(self.me);
        around.sort_unstable();
        around.dedup();
        let hops = around.len() as u32;
        self.pass_announcement(Elected { epoch, ring: around, hops: Some(hops) });
    }

    fn pass_announcement(&mut self, mut elected: Elected) {
        let Some(hops) = elected.hops.and_then(|hops| hops.checked_sub(1)) else { return };
        let larger = elected.ring.iter().copied().find(|&uid| uid > self.me);
        let Some(next) = larger.or(elected.ring.first().copied()).filter(|&uid| uid != self.me) else { return };
        elected.hops = Some(hops);
        if next != elected.epoch.leader {
            self.send_to(next, Frame::Elected(elected));
        }
    }

    /// Somebody has won.
    pub(super) fn on_elected(&mut self, conn: ConnId, elected: Elected) {
        let epoch = elected.epoch;
        if self.room.is_none() || epoch.leader == self.me {
            return;
        }
        if !self.saw_round(conn, epoch.round) {
            return self.misbehaved(conn, "names an absurd round");
        }
        elected.ring.iter().for_each(|&uid| self.meet(uid));
        self.meet(epoch.leader);
        if elected.hops.is_some() && self.announced < Some(epoch) {
            self.announced = Some(epoch);
            self.pass_announcement(elected);
        }
        match &self.phase {
            Phase::Leading(_) | Phase::Crowned(_) => {
                if !self.handed_over(epoch) {
                    self.consider(conn, epoch);
                }
            }
            Phase::Following(following) => {
                let (leader, over) = (following.leader, following.conn);
                if epoch.leader == leader {
                    // My leader has crowned itself again: nothing moves.
                    if self.promise < Some(epoch) {
                        self.obey(epoch);
                        if let Phase::Following(following) = &mut self.phase {
                            following.epoch = epoch;
                        }
                        self.event(Event::Leader(epoch));
                    }
                } else if self.links.fresh(over, self.now.mono) {
                    self.send(over, Frame::Hint(epoch));
                } else {
                    self.close_quietly(over);
                    self.leader_missing(leader);
                    self.obey_elected(epoch, Seek::after(leader, self.now.mono));
                }
            }
            Phase::Joining(joining) => {
                let settled = joining.epoch.is_some_and(|towards| towards >= epoch)
                    || (joining.leader == epoch.leader && self.links.contains(joining.conn));
                if !settled {
                    let mut seek = joining.seek.clone();
                    seek.knock = None;
                    self.obey_elected(epoch, seek);
                } else if self.promise < Some(epoch) {
                    self.obey(epoch);
                }
            }
            Phase::Waiting { .. } | Phase::Asking(_) | Phase::Electing(_) | Phase::Knocking(_) => {
                let seek = self.seek_mut().map(std::mem::take).unwrap_or_default();
                self.obey_elected(epoch, seek);
            }
            Phase::Unborn | Phase::Gone => {}
        }
    }

    fn obey_elected(&mut self, epoch: Epoch, seek: Seek) {
        // Below my promise I still ask to join: a leader that hears of a higher promise crowns itself again.
        self.obey(epoch);
        self.join(epoch.leader, Some(epoch), seek);
    }
}
