//! Joining, and rejoining after anything: one procedure, which is a rebase.

use super::Node;
use super::log_fetch::FetchEvent;
use super::phase::{BacklogPreview, Following, JoinGrant, Joining, LeaderSearch, PendingUpload, Phase, Uplink};
use crate::ring::links::{CloseReason, ClosedConn};
use crate::ring::log::entry::Member;
use crate::ring::types::id::{ConnId, Epoch, Index, Uid};
use crate::ring::types::limits::{EPOCH_BOUNDS_MAX, RUN_LINES_MAX};
use crate::ring::types::time::Time;
use crate::ring::wire::frame::{Accept, Ack, Backlog, Frame, Join};
use crate::ring::{Cut, Event, Output, Record};

impl Node {
    /// Asks this leader to be followed, over a straight connection.
    pub(super) fn join(&mut self, leader: Uid, epoch: Option<Epoch>, search: LeaderSearch) {
        match self.reach(leader) {
            Some(conn) => self.join_over(conn, leader, epoch, search),
            None => self.join_abandoned(leader, self.now.mono, search),
        }
    }

    /// Asks this leader to be followed, over that connection.
    pub(super) fn join_over(&mut self, conn: ConnId, leader: Uid, epoch: Option<Epoch>, search: LeaderSearch) {
        let deadline = self.now.mono + self.settings.timing.join;
        let joining = Joining { leader, epoch, conn, attempt: 0, deadline, described: None, search, accepted: None };
        self.set_phase(Phase::Joining(joining));
        self.send_join(conn, None);
    }

    /// Asks a leader that I cannot reach, through the member at the other end of `carrier`.
    pub(super) fn join_through(&mut self, carrier: ConnId, epoch: Epoch, search: LeaderSearch) {
        let hello = self.identity.hello(self.room);
        let leader = epoch.leader;
        self.agenda.deadline_moved();
        match self.links.through(self.now.mono, carrier, leader, hello, &mut self.out) {
            Some(conn) => {
                if let Some(through) = self.links.uid(carrier) {
                    self.event(Event::Relayed { through, leader });
                }
                self.join_over(conn, leader, Some(epoch), search);
            }
            None => self.join_abandoned(leader, self.now.mono, search),
        }
    }

    /// Describes my log, from the epoch before `before` on.
    fn send_join(&mut self, conn: ConnId, before: Option<Epoch>) {
        let epoch_bounds = self.log.state().epoch_bounds(before, EPOCH_BOUNDS_MAX);
        let oldest = epoch_bounds.last().map(|span| span.epoch);
        let complete =
            self.log.state().epochs.first_key_value().map(|(&epoch, _)| epoch) == oldest || epoch_bounds.is_empty();
        let attempt = self.requests.next_attempt();
        if let Phase::Joining(joining) = &mut self.phase {
            joining.described = oldest;
            joining.attempt = attempt;
        }
        let join = Join {
            attempt,
            name: self.wanted_name(),
            rename: self.identity.rename || self.display.has_entered(),
            epoch_bounds,
            complete,
            tail: self.log.tail().index,
            caught_up: self.completeness.is_caught_up(),
            promise: self.promise,
            lamport: self.clocks.lamport(),
            backlog: self.display.wanted_backlog(self.log.tail().index),
        };
        self.send(conn, Frame::Join(join));
    }

    pub(super) fn on_more_shape(&mut self, conn: ConnId) {
        if let Phase::Joining(joining) = &self.phase
            && joining.conn == conn
            && joining.accepted.is_none()
        {
            let before = joining.described;
            self.send_join(conn, before);
        }
    }

    pub(super) fn on_wait(&mut self, conn: ConnId) {
        let deadline = self.now.mono + self.settings.timing.join;
        if let Phase::Joining(joining) = &mut self.phase
            && joining.conn == conn
        {
            joining.deadline = deadline;
            self.agenda.deadline_moved();
        }
    }

    /// The one I asked does not lead, and knows of nobody who does: back to the question.
    pub(super) fn on_no_leader(&mut self, conn: ConnId) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.conn != conn || joining.accepted.is_some() {
            return;
        }
        let leader = joining.leader;
        let search = std::mem::take(&mut joining.search);
        self.join_abandoned(leader, self.now.mono, search);
    }

    /// The one I asked does not lead. After too many such answers: back to the question.
    pub(super) fn on_redirect(&mut self, conn: ConnId, leader: Uid) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.conn != conn {
            return;
        }
        let mut search = std::mem::take(&mut joining.search);
        let asked = joining.leader;
        search.redirects += 1;
        if search.redirects > REDIRECTS_MAX || leader == self.identity.me {
            return self.join_abandoned(asked, self.now.mono, search);
        }
        self.join(leader, None, search);
    }

    /// The leader takes me: my log is cut to what we share.
    pub(super) fn on_accept(&mut self, conn: ConnId, accept: Accept) {
        let newcomer = self.room.is_none();
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.conn != conn || joining.accepted.is_some() || joining.attempt != accept.attempt {
            return;
        }
        let Accept { attempt: _, room, stream, epoch, common, tail, name, watermark, members, lines, backlog } = accept;
        let tail_mine = self.log.tail().index;
        // Another may have answered at the leader's address.
        let wrong = epoch.leader != joining.leader
            || self.links.uid(conn) != Some(joining.leader)
            || common > tail_mine
            || watermark > self.outbox.last()
            || self.room.is_some_and(|mine| mine != room);
        if wrong || (!self.clocks.trusts() && !self.admit_round(conn, epoch.round)) {
            return self.protocol_violation(conn, "accepts with what cannot be");
        }
        let Phase::Joining(joining) = &mut self.phase else { return };
        if self.promise > Some(epoch) {
            // Its epoch is older than the one that I have promised.
            let leader = joining.leader;
            let search = std::mem::take(&mut joining.search);
            return self.join_abandoned(leader, self.now.mono, search);
        }
        joining.epoch = Some(epoch);
        joining.accepted = Some(JoinGrant { stream, epoch, common, watermark, tail, lines, backlog });
        self.enter_room(room);
        if newcomer {
            // Everybody else was greeted by somebody without a room: what is opened from here on says better.
            let carrier = self.links.carried_by(conn);
            for other in self.links.others(conn).into_iter().filter(|&other| Some(other) != carrier) {
                self.close(other);
            }
        }
        members.iter().for_each(|&uid| self.learn_peer(uid));
        let renamed = self.identity.name != name;
        let wanted = self.display.has_entered() && self.wanted_name() == name;
        let before = std::mem::replace(&mut self.identity.name, name);
        if renamed && wanted {
            // The line that asks for it is on its way, or stands there already.
            let was = Member { uid: self.identity.me, name: before, author: self.identity.session.author };
            self.event(Event::Renamed { was, name: self.identity.name.clone() });
        }
        if !self.display.has_entered() || renamed {
            self.display.enter();
            let (name, room) = (self.identity.name.clone(), room);
            self.event(Event::Entered { name, room });
        }
        if common < tail_mine {
            self.out.push(Output::Cut(common));
        } else {
            self.start_following();
        }
    }

    /// The store has cut my log.
    pub(super) fn on_cut(&mut self, cut: Cut) {
        let before = self.log.state();
        let lines = before.lines.saturating_sub(cut.log_state.lines);
        self.display.cut(before, cut.log_state.tail.index);
        let members: Vec<Uid> = cut.log_state.view.uids().collect();
        self.pending = cut.pending;
        self.log.cut(cut.log_state);
        self.agenda.ring_may_change();
        members.into_iter().for_each(|uid| self.learn_peer(uid));
        if lines > 0 {
            self.event(Event::Rebased { lines, keep: self.log.tail().index });
        }
        match &self.phase {
            Phase::Joining(joining) if joining.accepted.is_some() => self.start_following(),
            Phase::Synchronizing(_) => self.on_fetch_event(FetchEvent::Cut),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => {}
        }
    }

    /// My log is a prefix of the leader's: I follow.
    fn start_following(&mut self) {
        let Phase::Joining(joining) = &self.phase else { return };
        let Some(JoinGrant { stream, epoch, common, watermark, tail, lines, backlog }) = joining.accepted else {
            return;
        };
        let (leader, conn, catch_up_target, tail) = (joining.leader, joining.conn, tail, tail.index);
        self.adopt_epoch(epoch);
        self.completeness.aim(catch_up_target);
        self.completeness.reached(&self.log.state().epochs);
        self.moderation.enter(tail);
        self.clocks.trust_up_to(tail, self.log.tail().index);
        self.drop_pending_that_stand();
        let pending = PendingUpload::Done;
        let uplink = Uplink { pending, sent: watermark, until: None };
        self.set_phase(Phase::Following(Following {
            leader,
            epoch,
            conn,
            stream,
            uplink,
            acked: common,
            leaving: false,
            ahead: backlog.then_some(BacklogPreview {
                tail,
                seen: common,
                newcomer: self.log.tail().index == Index(0),
                lines: 0,
            }),
        }));
        self.report_leader(epoch);
        if !backlog {
            self.show_from(common);
        }
        self.catch_up(tail, backlog.then(|| lines.saturating_sub(self.log.state().lines)));
        self.send(conn, Frame::Ack(Ack { stream, index: common }));
        self.start_uplink();
        self.hand_pms(None);
    }

    /// The newest lines of a room that I have entered, or come back to after long.
    pub(super) fn on_backlog(&mut self, conn: ConnId, backlog: Backlog) {
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(mut ahead) = following.ahead.filter(|_| following.conn == conn) else { return };
        ahead.lines = ahead.lines.saturating_add(u32::try_from(backlog.batch.entries.len()).unwrap_or(u32::MAX));
        if ahead.lines > self.display.backlog().saturating_add(RUN_LINES_MAX as u32) {
            return self.protocol_violation(conn, "shows more lines than I asked for");
        }
        following.ahead = Some(ahead).filter(|_| !backlog.last);
        let mut fresh = Vec::with_capacity(backlog.batch.entries.len());
        for entry in backlog.batch.entries.into_iter().skip(backlog.skip as usize) {
            let Some(line) = entry.line() else { continue };
            let seen = entry.index <= ahead.seen || entry.index > ahead.tail;
            if !seen && self.display.preview(line.id, ahead.newcomer) {
                fresh.push(entry);
            }
        }
        if backlog.last {
            self.display.backlog_complete(ahead.tail, ahead.newcomer);
        }
        if ahead.newcomer {
            self.save_shown();
        }
        if !fresh.is_empty() {
            self.event(Event::Backlog { entries: fresh, logged: ahead.newcomer });
        }
        if backlog.last {
            self.caught_up();
        }
    }

    /// An earlier backlog went further than my log: what stands there now may be something else.
    pub(super) fn show_from(&mut self, after: Index) {
        if self.display.show_from(after) {
            self.save_shown();
        }
    }

    fn save_shown(&mut self) {
        self.save(Record::Shown(self.display.beyond(self.log.state())));
    }

    /// Entries up to `until` were there before I came (back); `lines`: too many of them are lines to show all.
    pub(super) fn catch_up(&mut self, until: Index, lines: Option<u64>) {
        let news = self.display.catch_up(until, lines, self.log.tail().index);
        self.report_catch_up(news);
    }

    /// Later lines are new to my user.
    pub(super) fn caught_up(&mut self) {
        let news = self.display.caught_up();
        self.report_catch_up(news);
    }

    pub(super) fn report_catch_up(&mut self, news: Option<Event>) {
        news.into_iter().for_each(|event| self.event(event));
    }

    // ---- when it does not work

    /// The connection over which I have asked to follow has ended.
    pub(super) fn join_failed(&mut self, ended: &ClosedConn) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        let leader = joining.leader;
        let mut search = std::mem::take(&mut joining.search);
        // A dying process may still take a connection, and close it.
        let dead = ended.how == CloseReason::Refused || (ended.how == CloseReason::Closed && !ended.was_up);
        // Whoever says to have heard it before it was gone says nothing new.
        let since = if dead { self.now.mono } else { ended.heard };
        if search.redialling && dead {
            search.redialling = false;
            self.leader_lost(leader);
            return self
                .search_leader(LeaderSearch { bootstrap: search.bootstrap, ..LeaderSearch::after(leader, since) });
        }
        if ended.how == CloseReason::Closed && ended.conn.is_direct() && !std::mem::replace(&mut search.repeated, true)
        {
            // It may have closed this connection alone, before it heard that I want to join: it is asked once more.
            // Who counts it as lost does not wait for its answer, and could crown itself beside it.
            let epoch = joining.epoch;
            return self.join(leader, epoch, search);
        }
        self.join_abandoned(leader, since, search);
    }

    pub(super) fn join_timed_out(&mut self) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        let (leader, conn) = (joining.leader, joining.conn);
        let search = std::mem::take(&mut joining.search);
        self.set_phase(Phase::PollBackoff { search: LeaderSearch::default(), until: self.now.mono });
        self.close(conn);
        let since = Time(self.now.mono.0.saturating_sub(self.settings.timing.join.0));
        self.join_abandoned(leader, since, search);
    }

    /// Back to whom I asked: the contacts, or everybody.
    fn join_abandoned(&mut self, leader: Uid, since: Time, search: LeaderSearch) {
        let mut search = search.again();
        search.redirects = 0;
        (search.redialling, search.repeated) = (false, false);
        if let Some(bootstrap) = search.bootstrap.take_if(|_| self.log.tail().index == Index(0)) {
            return self.bootstrap_again(bootstrap, leader);
        }
        search.bootstrap = None;
        search.lost = Some(super::phase::LostLeader { uid: leader, at: since });
        self.search_leader(search);
    }
}

/// How many times in a row I am sent from one to another before I ask everybody.
const REDIRECTS_MAX: u32 = 5;
