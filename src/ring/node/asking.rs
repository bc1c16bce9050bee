//! Whom do you follow? Asked at the door, after a loss, and before any election.

use std::collections::BTreeSet;

use super::Node;
use super::phase::{Asking, Fetching, Knock, Lost, Phase, Seek};
use crate::ring::links::{End, Ended};
use crate::ring::types::id::{ConnId, Epoch, Span, Time, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::wire::frame::{Answer, Frame, Standing};
use crate::ring::{Event, Start, Stop};

/// Between two questions to a contact that is still electing.
const KNOCK_AGAIN: Span = Span::ms(200);
/// The jitter after a failed attempt; it doubles with each failure, [`JITTER_DOUBLINGS_MAX`] times at most.
const JITTER: Span = Span::ms(25);
/// See [`JITTER`].
const JITTER_DOUBLINGS_MAX: u32 = 5;

impl Node {
    // ---- at the door

    /// The contact's silence, or the end of all patience.
    pub(super) fn on_knock_deadline(&mut self) {
        let (now, timing) = (self.now.mono, self.timing);
        let Phase::Knocking(knock) = &mut self.phase else { return };
        if knock.sign + timing.knock <= now {
            return self.nobody_at_the_door();
        }
        if knock.retry.is_none_or(|at| at > now) {
            return;
        }
        knock.retry = None;
        let contacts: Vec<Uid> = knock.contacts.clone();
        if contacts.is_empty() {
            return self.nobody_at_the_door();
        }
        let contact = contacts[knock.at % contacts.len()];
        let conn = self.send_to(contact, Frame::Ask);
        if let Phase::Knocking(knock) = &mut self.phase {
            knock.conn = conn;
            if conn.is_none() {
                knock.retry = Some(now + KNOCK_AGAIN);
            }
        }
    }

    fn nobody_at_the_door(&mut self) {
        if self.room.is_some() {
            self.reopen();
        } else {
            self.stop(Stop::Unreachable);
        }
    }

    /// The contact does not answer: the next one; after the last, a pause.
    pub(super) fn contact_failed(&mut self) {
        let now = self.now.mono;
        let Phase::Knocking(knock) = &mut self.phase else { return };
        knock.conn = None;
        knock.at += 1;
        let round = knock.at % knock.contacts.len().max(1) == 0;
        knock.retry = Some(if round { now + KNOCK_AGAIN } else { now });
        self.rearm = true;
        if !round {
            self.on_knock_deadline();
        }
    }

    fn door_answered(&mut self, conn: ConnId, from: Uid, answer: &Answer) {
        let now = self.now.mono;
        let Phase::Knocking(knock) = &mut self.phase else { return };
        if knock.conn != Some(conn) {
            return;
        }
        // Who knocks itself promises nothing: two that knock at each other would wait for ever. One that remembers a
        // room will reopen it; but so will I, if I do.
        let promising = match answer.standing {
            Standing::Leading { .. } | Standing::Following { .. } | Standing::Electing => true,
            Standing::Joining => self.room.is_none(),
            Standing::Knocking => false,
        };
        if promising {
            knock.sign = now;
        }
        let mut seek = Seek { knock: Some(knock.clone()), ..Seek::default() };
        match answer.standing {
            Standing::Leading { epoch, .. } => {
                self.tell_answered(from, &mut seek);
                self.join_over(conn, from, Some(epoch), seek);
            }
            Standing::Following { epoch, relay, .. } if epoch.leader != self.me => {
                let unreached = knock.unreached.contains(&epoch.leader);
                self.tell_answered(from, &mut seek);
                if relay && unreached {
                    return self.join_through(conn, epoch, seek);
                }
                seek.answers.insert(from, answer.clone());
                self.join(epoch.leader, Some(epoch), seek);
            }
            Standing::Following { .. } | Standing::Electing | Standing::Joining | Standing::Knocking => {
                // The contacts are asked in turn: another may know better.
                knock.conn = None;
                knock.at += 1;
                knock.retry = Some(now + KNOCK_AGAIN);
                self.rearm = true;
                self.event(Event::StillElecting);
            }
        }
    }

    fn tell_answered(&mut self, contact: Uid, seek: &mut Seek) {
        if let Some(knock) = &mut seek.knock
            && !std::mem::replace(&mut knock.answered, true)
        {
            self.event(Event::Answered(contact));
        }
    }

    /// A newcomer's join has failed: back to its contacts.
    pub(super) fn knock_again(&mut self, mut knock: Knock, unreached: Uid) {
        if knock.unreached.len() < BOOK_NODES_MAX {
            knock.unreached.insert(unreached);
        }
        knock.conn = None;
        knock.retry = Some(self.now.mono + KNOCK_AGAIN);
        self.set_phase(Phase::Knocking(knock));
    }

    // ---- after a loss

    /// Looks for a leader: at once after a loss if I am best placed, later after failures.
    pub(super) fn seek_leader(&mut self, seek: Seek) {
        let (now, timing) = (self.now.mono, self.timing);
        let wait = if seek.failures == 0 {
            // A thousand members that ask each other are two million messages: the largest uid asks first.
            let view = &self.log.summary().view;
            let lost_is_larger = seek.lost.is_some_and(|lost| lost.uid > self.me && view.contains(lost.uid));
            let larger = view.larger_than(self.me).saturating_sub(usize::from(lost_is_larger));
            timing.ask_stagger.times(larger as u64).min(timing.heartbeat)
        } else {
            let most = JITTER.times(1 << seek.failures.min(JITTER_DOUBLINGS_MAX));
            self.rng.below(most)
        };
        self.set_phase(Phase::Waiting { seek, until: now + wait });
        if wait == Span(0) {
            self.ask_all();
        }
    }

    /// Asks everybody in the book.
    pub(super) fn ask_all(&mut self) {
        let now = self.now.mono;
        let Phase::Waiting { seek, .. } = &mut self.phase else { return };
        let seek = std::mem::take(seek);
        let reopened = seek.reopening;
        let patience = if reopened { self.timing.reopen } else { self.timing.ask };
        let nodes: Vec<Uid> = self.book.present().collect();
        let asking = Asking { seek, open: BTreeSet::new(), deadline: now + patience, reopened };
        self.set_phase(Phase::Asking(asking));
        self.event(Event::Asking { nodes: nodes.len() });
        for uid in nodes {
            let sent = self.send_to(uid, Frame::Ask);
            if let (Some(_), Phase::Asking(asking)) = (sent, &mut self.phase) {
                asking.open.insert(uid);
            }
        }
        self.check_asked();
    }

    /// What I say when I am asked.
    pub(super) fn on_ask(&mut self, conn: ConnId, from: Uid) {
        let now = self.now.mono;
        let standing = match &self.phase {
            Phase::Leading(leading) => {
                Standing::Leading { epoch: leading.epoch, followers: self.live_followers(&leading.followers) }
            }
            Phase::Crowned(crowned) => Standing::Leading { epoch: crowned.epoch, followers: 0 },
            Phase::Following(following) => {
                let age = self.links.echo_age(following.conn, now).unwrap_or(self.timing.silence);
                let relay = self.links.carrier(following.conn).is_none() && following.leader != from;
                Standing::Following { epoch: following.epoch, heard_ms: age.0 / 1000, relay }
            }
            Phase::Waiting { .. } | Phase::Asking(_) | Phase::Electing(_) => Standing::Electing,
            Phase::Unborn | Phase::Knocking(_) if self.room.is_none() => Standing::Knocking,
            Phase::Unborn | Phase::Knocking(_) | Phase::Joining(_) | Phase::Gone => Standing::Joining,
        };
        let answer = Answer { standing, tail: self.log.tail(), round: self.round };
        self.send(conn, Frame::Answer(answer));
        // Who is better placed has asked: its election comes.
        let later = now + self.timing.election_slack + self.rng.below(self.timing.election_slack);
        if let Phase::Waiting { until, seek } = &mut self.phase
            && from > self.me
            && seek.failures == 0
            && !std::mem::replace(&mut seek.gave_way, true)
        {
            *until = later;
            self.rearm = true;
        }
    }

    pub(super) fn on_answer(&mut self, conn: ConnId, from: Uid, answer: Answer) {
        if self.room.is_some() && !self.saw_round(conn, answer.round) {
            return self.misbehaved(conn, "names an absurd round");
        }
        match &mut self.phase {
            Phase::Knocking(_) => self.door_answered(conn, from, &answer),
            Phase::Asking(_) => self.asked_answered(conn, from, answer),
            Phase::Crowned(crowned) => {
                if let Fetching::Polling { open, best } = &mut crowned.stage
                    && open.remove(&from)
                {
                    if best.is_none_or(|(tail, _)| answer.tail > tail) {
                        *best = Some((answer.tail, from));
                    }
                    self.check_polled();
                }
            }
            Phase::Leading(_) | Phase::Following(_) => self.probe_answered(conn, from, &answer),
            Phase::Unborn | Phase::Waiting { .. } | Phase::Electing(_) | Phase::Joining(_) | Phase::Gone => {}
        }
    }

    fn asked_answered(&mut self, conn: ConnId, from: Uid, answer: Answer) {
        let me = self.me;
        let Phase::Asking(asking) = &mut self.phase else { return };
        asking.open.remove(&from);
        let standing = answer.standing;
        if asking.seek.answers.len() < BOOK_NODES_MAX {
            asking.seek.answers.insert(from, answer);
        }
        match standing {
            Standing::Leading { epoch, .. } if epoch.leader == from => {
                let seek = std::mem::take(&mut asking.seek);
                self.join_over(conn, from, Some(epoch), seek);
            }
            Standing::Following { epoch, heard_ms, .. }
                if self.fresh_claim(heard_ms) && epoch.leader != me && self.can_try(epoch.leader) =>
            {
                let Phase::Asking(asking) = &mut self.phase else { return };
                let seek = std::mem::take(&mut asking.seek);
                self.join(epoch.leader, Some(epoch), seek);
            }
            Standing::Leading { .. }
            | Standing::Following { .. }
            | Standing::Electing
            | Standing::Joining
            | Standing::Knocking => {
                self.check_asked();
            }
        }
    }

    /// A leader that I have neither just lost nor just failed to reach.
    fn can_try(&self, leader: Uid) -> bool {
        match &self.phase {
            Phase::Asking(asking) => {
                asking.seek.lost.is_none_or(|lost| lost.uid != leader) && !asking.seek.gone.contains(&leader)
            }
            _ => false,
        }
    }

    fn fresh_claim(&self, heard_ms: u64) -> bool {
        Span::ms(heard_ms.min(1 << 32)) <= self.timing.heartbeat.times(2)
    }

    /// How long ago this leader was heard, by the freshest of the answers that are fresh.
    pub(super) fn fresh_word(&self, seek: &Seek, leader: Uid) -> Option<Span> {
        let words = seek.answers.iter().filter_map(|(&from, answer)| match answer.standing {
            Standing::Leading { epoch, .. } if epoch.leader == leader && from == leader => Some(0),
            Standing::Following { epoch, heard_ms, .. } if epoch.leader == leader && self.fresh_claim(heard_ms) => {
                Some(heard_ms)
            }
            Standing::Leading { .. }
            | Standing::Following { .. }
            | Standing::Electing
            | Standing::Joining
            | Standing::Knocking => None,
        });
        words.min().map(Span::ms)
    }

    /// A connection to somebody whom I have asked has ended: an idle one may have closed under the question.
    pub(super) fn asked_ended(&mut self, ended: &Ended) {
        let Some(uid) = ended.uid else { return };
        let Phase::Asking(asking) = &mut self.phase else { return };
        if !asking.open.contains(&uid) {
            return;
        }
        let again = match ended.how {
            End::Closed | End::Dropped => ended.was_up && !asking.seek.gone.contains(&uid),
            End::Refused | End::Unreachable | End::Silent => self.links.up(uid).is_some(),
        };
        if again && self.send_to(uid, Frame::Ask).is_some() {
            return;
        }
        if let Phase::Asking(asking) = &mut self.phase {
            asking.open.remove(&uid);
        }
        self.check_asked();
    }

    /// Everybody has answered, the lost leader apart: it is not waited for.
    fn check_asked(&mut self) {
        let Phase::Asking(asking) = &self.phase else { return };
        let lost = asking.seek.lost.map(|lost| lost.uid);
        if asking.open.iter().all(|uid| Some(*uid) == lost) {
            self.conclude_ask();
        }
    }

    /// Nobody follows a fresh leader that I could join straight away: through another, by an election, or alone.
    pub(super) fn conclude_ask(&mut self) {
        let Phase::Asking(asking) = &mut self.phase else { return };
        let seek = std::mem::take(&mut asking.seek);
        if let Some((conn, epoch)) = self.relay_offered(&seek) {
            return self.join_through(conn, epoch, seek);
        }
        if !seek.alive().is_empty() {
            return self.start_election(seek);
        }
        if let (Start::Return, false, Some(refusal)) = (&self.start, self.greeted, seek.turned_away) {
            return self.stop(Stop::Refused(refusal));
        }
        self.crown(self.round.saturating_add(1), BTreeSet::new(), None, self.level);
    }

    /// The member with the lowest uid that follows, fresh, a leader which does not answer me.
    fn relay_offered(&self, seek: &Seek) -> Option<(ConnId, Epoch)> {
        let now = self.now.mono;
        let news = |leader: Uid, heard_ms: u64| match seek.lost {
            Some(Lost { uid, at }) if uid == leader => Time(now.0.saturating_sub(Span::ms(heard_ms).0)) > at,
            Some(_) | None => true,
        };
        seek.answers.iter().find_map(|(&uid, answer)| match answer.standing {
            Standing::Following { epoch, heard_ms, relay: true }
                if self.fresh_claim(heard_ms) && news(epoch.leader, heard_ms) && epoch.leader != self.me =>
            {
                self.links.up(uid).map(|conn| (conn, epoch))
            }
            Standing::Leading { .. }
            | Standing::Following { .. }
            | Standing::Electing
            | Standing::Joining
            | Standing::Knocking => None,
        })
    }
}
