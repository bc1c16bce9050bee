//! A leader: takes followers, orders lines, and streams the log to everybody.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::Node;
use super::phase::{Follower, KnownGap, Leading, PendingUpload, Phase, Synchronizing};
use super::requests::ReadPurpose;
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::log::entry::{Entry, Member, Note};
use crate::ring::log::one_batch;
use crate::ring::timing::Timing;
use crate::ring::types::id::{ConnId, Index, SessionKey, StreamId, Uid};
use crate::ring::types::limits::{
    BACKLOG_BYTES_MAX, BACKLOG_LINES_MAX, BOOK_NODES_MAX, INCOMPLETE_YIELDS_FOR, RUN_LINES_MAX, WAITING_JOINS_MAX,
};
use crate::ring::types::time::Time;
use crate::ring::wire::frame::{Accept, Ack, Backlog, Frame, Hello, Join, Refusal, Token};
use crate::ring::{Event, ReadRequest};

impl Leading {
    pub(super) fn deadline(&self, timing: &Timing) -> Option<Time> {
        let absent = self.absent.values().copied().min().filter(|_| self.retiring.is_none());
        let turn = self.turn.map(|(_, until)| until);
        let merging = self.merging.map(|(_, since)| since + timing.connect);
        let retiring = self.retiring.map(|retiring| retiring.until);
        let gate = self.followers.values().filter_map(|follower| follower.gate).map(|(_, until)| until).min();
        [absent, turn, merging, retiring, gate, self.offers_at].into_iter().flatten().min()
    }
}

impl Node {
    pub(super) fn leading(&self) -> Option<&Leading> {
        let Phase::Leading(leading) = &self.phase else { return None };
        Some(leading)
    }

    /// The rebase is done: the first entry of the epoch, and the followers may come.
    pub(super) fn lead(&mut self) {
        let Phase::Synchronizing(synchronizing) = &mut self.phase else { return };
        let (mut epoch, established, ring) =
            (synchronizing.epoch, synchronizing.established, synchronizing.ring.clone());
        let caught_up = synchronizing.caught_up;
        let (joins, in_vain) = (std::mem::take(&mut synchronizing.joins), synchronizing.fetch.take_failed());
        let logged = self.log.state().epochs.last_key_value().map_or(0, |(epoch, _)| epoch.round);
        if logged >= epoch.round {
            // The fetched log has entries of a later epoch: mine must stand after them.
            let Some(above) = self.new_epoch(logged.saturating_add(1)) else { return self.no_round_left() };
            epoch = above;
            self.announce(epoch, &ring);
        }
        let grace = self.now.mono + self.settings.timing.join_grace;
        let view = &self.log.state().view;
        let absent = view.uids().filter(|&uid| uid != self.identity.me).map(|uid| (uid, grace)).collect();
        let light_until = self.now.mono + INCOMPLETE_YIELDS_FOR;
        let known_gap = self.completeness.lead(caught_up).map(|tail| KnownGap { tail, light_until, in_vain });
        self.set_phase(Phase::Leading(Leading {
            epoch,
            established: established && known_gap.is_none(),
            known_gap,
            followers: BTreeMap::new(),
            acked: Index(0),
            absent,
            turn: None,
            offers: VecDeque::new(),
            offers_at: None,
            pending: PendingUpload::Done,
            merging: None,
            unmergeable: Default::default(),
            retiring: None,
            stable_index: Index(0),
        }));
        self.outbox.forget_unacked();
        self.clocks.trust_no_more();
        self.caught_up();
        // What I order is news, even where another log had other entries before I came.
        self.show_from(self.log.tail().index);
        self.drop_pending_that_stand();
        self.moderation.enter(self.log.tail().index);
        self.note_elected();
        self.found_moderated();
        self.report_leader(epoch);
        if !self.display.has_entered()
            && let Some(room) = self.room
        {
            self.display.enter();
            let name = self.identity.name.clone();
            self.event(Event::Entered { name, room });
        }
        self.hand_pms(None);
        if self.pending.is_empty() {
            self.sequence_outbox();
        } else {
            self.read_own_pending(None);
        }
        for (conn, join) in joins {
            if let Some(from) = self.links.uid(conn) {
                self.on_join(conn, from, join);
            }
        }
    }

    fn note_elected(&mut self) {
        let author = self.identity.session.author;
        let name = self.log.state().view.free_name(&self.identity.name, self.identity.me, author);
        if name != self.identity.name {
            self.identity.name = name.clone();
            if let Some(room) = self.room {
                self.event(Event::Entered { name: name.clone(), room });
            }
        }
        self.note(Note::Elected(Member { uid: self.identity.me, name, author }));
    }

    /// Crowns itself again, above `round`: its followers cut nothing.
    pub(super) fn bump_epoch(&mut self, round: u64) {
        let (is_leading, ring) = match &self.phase {
            Phase::Leading(leading) if leading.retiring.is_none() => {
                (true, self.log.state().view.uids().chain(leading.followers.keys().copied()).collect())
            }
            Phase::Synchronizing(synchronizing) => (false, synchronizing.ring.clone()),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => return,
        };
        let Some(epoch) = self.new_epoch(round.saturating_add(1)) else { return };
        self.phase.own_epoch_mut().into_iter().for_each(|own| *own = epoch);
        if is_leading {
            self.note_elected();
            self.event(Event::Leader(epoch));
        }
        self.announce(epoch, &ring);
    }

    /// A token came to a leader: its round is outdone, its candidate told.
    pub(super) fn bump_epoch_above(&mut self, token: &Token) {
        let Some(epoch) = self.phase.own_epoch() else { return };
        // A candidate that hears of me joins anyway; the higher epoch is for nodes that have not heard of me.
        if token.round > epoch.round && self.announcer.may_bump(self.now.mono, self.settings.timing.heartbeat) {
            self.bump_epoch(token.round);
        }
        let epoch = self.phase.own_epoch().unwrap_or(epoch);
        let frame = Frame::Swallowed { round: token.round, known: self.clocks.round(), following: Some((epoch, 0)) };
        self.send_to_candidate(token.candidate, frame);
    }

    // ---- followers come

    pub(super) fn on_join(&mut self, conn: ConnId, from: Uid, join: Join) {
        match &mut self.phase {
            Phase::Leading(leading) if leading.retiring.is_none() => self.take_follower(conn, from, join),
            Phase::Synchronizing(Synchronizing { joins, .. }) => {
                joins.retain(|(other, _)| *other != conn);
                if joins.len() < WAITING_JOINS_MAX {
                    joins.push((conn, join));
                }
                self.send(conn, Frame::Wait);
            }
            Phase::Following(following) => {
                let leader = following.leader;
                self.send(conn, Frame::Redirect(leader));
            }
            // On its way out: its successor will answer.
            Phase::Leading(_) => self.send(conn, Frame::Wait),
            Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Joining(_)
            | Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::Stopped => self.send(conn, Frame::NoLeader),
        }
    }

    fn take_follower(&mut self, conn: ConnId, from: Uid, join: Join) {
        let promised = join.promise.map_or(0, |epoch| epoch.round);
        if self.clocks.jumps(join.lamport) || !self.admit_round(conn, promised) {
            return self.protocol_violation(conn, "names an absurd round or timestamp");
        }
        let Some(peer) = self.links.peer(conn).cloned() else { return };
        match self.validate_join(from, &peer, &join) {
            Err(JoinProblem::Violation(why)) => self.protocol_violation(conn, why),
            Err(JoinProblem::MoreShape) => self.send(conn, Frame::MoreEpochBounds),
            Err(JoinProblem::Refused(refusal, why)) => self.refuse(conn, refusal, why),
            Ok(_) if self.fills_known_gap(from, &join.epoch_bounds) => self.fetch_known_gap(conn, from, join),
            Ok(plan) => self.admit(conn, from, &join, plan),
        }
    }

    /// Decides whether a node may follow, and changes nothing.
    fn validate_join(&self, from: Uid, peer: &Hello, join: &Join) -> Result<JoinPlan, JoinProblem> {
        let log_state = self.log.state();
        let common = match log_state.common(&join.epoch_bounds) {
            Some(common) => common,
            None if join.complete => Index(0),
            None => return Err(JoinProblem::MoreShape),
        };
        if common > join.tail {
            return Err(JoinProblem::Violation("describes a log that cannot be"));
        }
        let name = log_state.view.free_name(&join.name, from, peer.author);
        if name != join.name && !join.rename {
            return Err(JoinProblem::Refused(Refusal::Name(name), "asks for a name that is taken"));
        }
        if log_state.view.len() >= BOOK_NODES_MAX && !log_state.view.contains(from) {
            return Err(JoinProblem::Refused(Refusal::Full, "finds the room full"));
        }
        let member = Member { uid: from, name, author: peer.author };
        let session = SessionKey { author: peer.author, session: peer.session };
        Ok(JoinPlan { member, session, common })
    }

    /// Makes a node a member and a follower, and tells it where the stream begins.
    fn admit(&mut self, conn: ConnId, from: Uid, join: &Join, plan: JoinPlan) {
        let JoinPlan { member, session, common } = plan;
        let name = member.name.clone();
        self.completeness.vouch(join.caught_up);
        let Phase::Leading(leading) = &mut self.phase else { return };
        // A node that was caught up follows me: the entries that I lack were the lost leader's alone.
        leading.known_gap.take_if(|_| join.caught_up);
        if join.promise > Some(leading.epoch) {
            // It obeys nothing below its promise: the epoch is renewed above it.
            self.bump_epoch(join.promise.map_or(0, |epoch| epoch.round));
        }
        self.learn_peer(from);
        self.book.set_left(from, false);
        let mut gate = None;
        if self.log.state().view.get(from) != Some(&member) {
            self.note(Note::Joined(member));
            gate = Some((self.log.tail().index, self.now.mono + self.settings.timing.heartbeat));
        }
        let stream = self.requests.next_stream();
        let (tail, log_state) = (self.log.tail(), self.log.state());
        let (lines, watermark) = (log_state.lines, log_state.watermark(session));
        let backlog = backlog_for(join, common, tail.index);
        let in_place = common == join.tail && backlog.is_none();
        let sent = in_place.then(|| log_state.tail_at(common));
        let (Some(room), Phase::Leading(leading)) = (self.room, &mut self.phase) else { return };
        self.links.entered(conn, room);
        let follower = Follower { sent, gate, ..Follower::new(conn, stream, common, self.now.mono) };
        let before = leading.followers.insert(from, follower);
        leading.absent.remove(&from);
        leading.release_turn(from);
        let epoch = leading.epoch;
        // The lost members too: the newcomer may have to look for them once I am gone.
        let known: BTreeSet<Uid> = self.log.state().view.uids().chain(self.book.present()).collect();
        let members = known.into_iter().take(BOOK_NODES_MAX).collect();
        let (attempt, backlogged) = (join.attempt, backlog.is_some());
        let accept =
            Accept { attempt, room, stream, epoch, common, tail, name, watermark, members, lines, backlog: backlogged };
        self.send(conn, Frame::Accept(accept));
        // A node that joins again over the same connection wants nothing more of what it asked before.
        self.requests.cancel_backlog(conn);
        if let Some(lines) = backlog {
            // The first of them may stand in the middle of a run.
            let read = lines as usize + RUN_LINES_MAX - 1;
            let wanted = ReadRequest::Newest { to: tail.index, lines: read, bytes_max: BACKLOG_BYTES_MAX };
            self.read(wanted, ReadPurpose::Backlog(conn, stream, lines));
        }
        if let Some(before) = before.filter(|before| before.conn != conn) {
            self.close(before.conn);
        }
        self.next_turn();
        self.agenda.gather();
        self.agenda.deadline_moved();
    }

    /// The newest lines for a newcomer have been read; the log follows them.
    pub(super) fn backlog_read(&mut self, conn: ConnId, stream: StreamId, wanted: u32, entries: &[Arc<Entry>]) {
        let (mut rest, mut skip) = newest_runs(entries, wanted);
        loop {
            let batch = one_batch(rest.iter());
            rest = &rest[batch.entries.len()..];
            let last = rest.is_empty() || batch.entries.is_empty();
            self.send(conn, Frame::Backlog(Backlog { batch, skip: std::mem::take(&mut skip), last }));
            if last {
                break;
            }
        }
        let Phase::Leading(leading) = &mut self.phase else { return };
        if let Some(follower) = leading.follower_of(conn, stream) {
            let common = self.log.state().tail_at(follower.acked);
            follower.sent.get_or_insert(common);
            self.agenda.gather();
        }
    }

    pub(super) fn on_ack(&mut self, conn: ConnId, from: Uid, ack: Ack) {
        let tail = self.log.tail().index;
        let Phase::Leading(leading) = &mut self.phase else { return };
        let Some(follower) = leading.followers.get_mut(&from) else { return };
        if follower.conn != conn || follower.stream != ack.stream {
            return;
        }
        if ack.index > tail {
            return self.protocol_violation(conn, "acknowledges what was not sent");
        }
        follower.acked = follower.acked.max(ack.index);
        leading.acked = leading.acked.max(ack.index);
        while let Some(&(last, bytes)) = follower.flight.front() {
            if last > ack.index {
                break;
            }
            follower.flight.pop_front();
            follower.flight_bytes -= bytes;
        }
        if follower.sent.is_none() && !self.requests.reads_backlog(conn) {
            // It has cut its log: the stream starts.
            follower.sent = Some(self.log.state().tail_at(ack.index));
        }
        self.agenda.gather();
    }

    // ---- followers go

    /// A connection has ended: was it a follower's?
    pub(super) fn follower_ended(&mut self, ended: &ClosedConn) {
        let Some(uid) = ended.uid else { return };
        let now = self.now.mono;
        let silence = self.settings.timing.silence;
        let Phase::Leading(leading) = &mut self.phase else { return };
        if leading.merging.is_some_and(|(with, _)| with == uid) && self.links.up(uid).is_none() {
            leading.merging = None;
            leading.merge_failed(uid);
        }
        if leading.followers.get(&uid).is_some_and(|follower| follower.conn == ended.conn) {
            leading.followers.remove(&uid);
            leading.release_turn(uid);
            leading.offers.retain(|(of, _)| *of != uid);
            if self.log.state().view.contains(uid) {
                leading.absent.insert(uid, now + silence);
            }
            self.next_turn();
            self.agenda.gather();
        }
        let Phase::Leading(leading) = &self.phase else { return };
        if !leading.absent.contains_key(&uid) || leading.retiring.is_some() {
            return;
        }
        match ended.how {
            CloseReason::Refused | CloseReason::Silent => self.lose(uid),
            // It may come back; a refused dial says that it does not.
            CloseReason::Closed | CloseReason::Dropped if ended.was_up => {
                if self.links.up(uid).is_none() {
                    self.send_to(uid, Frame::LeaderPoll);
                }
            }
            CloseReason::Closed | CloseReason::Dropped | CloseReason::Unreachable => {}
        }
    }

    /// A member is out of the view.
    fn lose(&mut self, uid: Uid) {
        if let Phase::Leading(leading) = &mut self.phase {
            leading.absent.remove(&uid);
        }
        if self.log.state().view.contains(uid) {
            self.note(Note::Left { uid, lost: true });
        }
    }

    pub(super) fn on_leading_deadline(&mut self) {
        let now = self.now.mono;
        let Phase::Leading(leading) = &mut self.phase else { return };
        if leading.retiring.is_none() {
            let gone: Vec<Uid> =
                leading.absent.iter().filter(|(_, until)| **until <= now).map(|(&uid, _)| uid).collect();
            gone.into_iter().for_each(|uid| self.lose(uid));
        }
        let connect = self.settings.timing.connect;
        let Phase::Leading(leading) = &mut self.phase else { return };
        if leading.followers.values().any(|follower| follower.gate.is_some_and(|(_, until)| until <= now)) {
            self.agenda.gather();
        }
        let waited = leading.offers_at.take_if(|at| *at <= now).is_some();
        let late = leading.turn.take_if(|(_, until)| *until <= now).is_some();
        if waited || late {
            self.next_turn();
        }
        let Phase::Leading(leading) = &mut self.phase else { return };
        if let Some((with, since)) = leading.merging
            && since + connect <= now
        {
            leading.merging = None;
            leading.merge_failed(with);
        }
    }

    /// Followers whose link is fresh.
    pub(super) fn live_followers(&self, followers: &BTreeMap<Uid, Follower>) -> u32 {
        let live = followers.values().filter(|follower| self.links.fresh(follower.conn, self.now.mono));
        u32::try_from(live.count()).unwrap_or(u32::MAX)
    }
}

/// A node that may follow.
struct JoinPlan {
    /// The member that it is from now on, under a name that is free.
    member: Member,
    session: SessionKey,
    /// The last entry that its log has in common with mine.
    common: Index,
}

/// Why a node may not follow, or not yet.
enum JoinProblem {
    /// It breaks the protocol.
    Violation(&'static str),
    /// It has to describe more of its log.
    MoreShape,
    /// It gets this refusal, and people this reason.
    Refused(Refusal, &'static str),
}

/// How many of the newest lines go to a node ahead of its log: to a newcomer, or to one that has missed more lines than
/// it wants to read.
fn backlog_for(join: &Join, common: Index, tail: Index) -> Option<u32> {
    let far = |wanted: u32| join.tail == Index(0) || tail.0 - common.0 > u64::from(wanted);
    join.backlog.filter(|&wanted| far(wanted)).map(|wanted| wanted.min(BACKLOG_LINES_MAX))
}

/// The whole runs among the newest lines that hold the last `wanted` of them, and how many lines more.
fn newest_runs(lines: &[Arc<Entry>], wanted: u32) -> (&[Arc<Entry>], u32) {
    let wanted = wanted as usize;
    let mut start = 0;
    for (place, entry) in lines.iter().enumerate() {
        let Some(seal) = entry.line().and_then(|line| line.signature) else { continue };
        let end = place + 1;
        let torn = seal.of as usize > end - start;
        if !torn && lines.len() - end < wanted {
            break;
        }
        start = end;
    }
    let rest = lines.get(start..).unwrap_or_default();
    (rest, u32::try_from(rest.len().saturating_sub(wanted)).unwrap_or(u32::MAX))
}

impl Leading {
    pub(super) fn follower_of(&mut self, conn: ConnId, stream: StreamId) -> Option<&mut Follower> {
        self.followers.values_mut().find(|follower| follower.conn == conn && follower.stream == stream)
    }

    /// A leader that did not answer. Whoever names thousands of them is not listened to.
    fn merge_failed(&mut self, uid: Uid) {
        if self.unmergeable.len() < BOOK_NODES_MAX {
            self.unmergeable.insert(uid);
        }
    }

    pub(super) fn release_turn(&mut self, uid: Uid) {
        self.turn.take_if(|(whose, _)| *whose == uid);
    }
}
