//! Joining, and rejoining after anything: one procedure, which is a rebase.

use super::Node;
use super::phase::{Ahead, Attached, Following, Joining, PendingWay, Phase, Seek, Uplink};
use crate::ring::links::{End, Ended};
use crate::ring::log::entry::Member;
use crate::ring::types::id::{ConnId, Epoch, Index, Time, Uid};
use crate::ring::types::limits::{RUN_LINES_MAX, SHAPE_EPOCHS_MAX};
use crate::ring::wire::frame::{Accept, Ack, Backlog, Frame, Join};
use crate::ring::{Cut, Event, Output, Record, Shown};

impl Node {
    /// Asks this leader to be followed, over a straight connection.
    pub(super) fn join(&mut self, leader: Uid, epoch: Option<Epoch>, seek: Seek) {
        match self.reach(leader) {
            Some(conn) => self.join_over(conn, leader, epoch, seek),
            None => self.join_abandoned(leader, self.now.mono, seek),
        }
    }

    /// Asks this leader to be followed, over that connection.
    pub(super) fn join_over(&mut self, conn: ConnId, leader: Uid, epoch: Option<Epoch>, seek: Seek) {
        let deadline = self.now.mono + self.timing.join;
        let joining = Joining { leader, epoch, conn, attempt: 0, deadline, described: None, seek, accepted: None };
        self.set_phase(Phase::Joining(joining));
        self.send_join(conn, None);
    }

    /// Asks a leader that I cannot reach, through the member at the other end of `carrier`.
    pub(super) fn join_through(&mut self, carrier: ConnId, epoch: Epoch, seek: Seek) {
        let hello = self.hello();
        let leader = epoch.leader;
        self.rearm = true;
        match self.links.through(self.now.mono, carrier, leader, hello, &mut self.out) {
            Some(conn) => {
                if let Some(through) = self.links.uid(carrier) {
                    self.event(Event::Relayed { through, leader });
                }
                self.join_over(conn, leader, Some(epoch), seek);
            }
            None => self.join_abandoned(leader, self.now.mono, seek),
        }
    }

    /// Describes my log, from the epoch before `before` on.
    fn send_join(&mut self, conn: ConnId, before: Option<Epoch>) {
        let shape = self.log.summary().shape(before, SHAPE_EPOCHS_MAX);
        let oldest = shape.last().map(|span| span.epoch);
        let whole = self.log.summary().epochs.first_key_value().map(|(&epoch, _)| epoch) == oldest || shape.is_empty();
        self.attempt += 1;
        let attempt = self.attempt;
        if let Phase::Joining(joining) = &mut self.phase {
            joining.described = oldest;
            joining.attempt = attempt;
        }
        let join = Join {
            attempt,
            name: self.wanted_name(),
            rename: self.rename || self.greeted,
            shape,
            whole,
            tail: self.log.tail().index,
            level: self.level,
            promise: self.promise,
            lamport: self.clock,
            backlog: (self.arriving || self.log.tail().index < self.show_after).then_some(self.backlog),
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
        let deadline = self.now.mono + self.timing.join;
        if let Phase::Joining(joining) = &mut self.phase
            && joining.conn == conn
        {
            joining.deadline = deadline;
            self.rearm = true;
        }
    }

    /// The one I asked does not lead, and knows of nobody who does: back to the question.
    pub(super) fn on_no_leader(&mut self, conn: ConnId) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.conn != conn || joining.accepted.is_some() {
            return;
        }
        let leader = joining.leader;
        let seek = std::mem::take(&mut joining.seek);
        self.join_abandoned(leader, self.now.mono, seek);
    }

    /// The one I asked does not lead. After too many such answers: back to the question.
    pub(super) fn on_redirect(&mut self, conn: ConnId, leader: Uid) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.conn != conn {
            return;
        }
        let mut seek = std::mem::take(&mut joining.seek);
        let asked = joining.leader;
        seek.redirects += 1;
        if seek.redirects > REDIRECTS_MAX || leader == self.me {
            return self.join_abandoned(asked, self.now.mono, seek);
        }
        self.join(leader, None, seek);
    }

    /// The leader takes me: my log is cut to what we share.
    pub(super) fn on_accept(&mut self, conn: ConnId, accept: Accept) {
        let newcomer = self.room.is_none();
        let Phase::Joining(joining) = &mut self.phase else { return };
        if joining.conn != conn || joining.accepted.is_some() || joining.attempt != accept.attempt {
            return;
        }
        let Accept { attempt: _, room, stream, epoch, common, tail, name, yours, members, lines, backlog } = accept;
        let tail_mine = self.log.tail().index;
        // Another may have answered at the leader's address.
        let wrong = epoch.leader != joining.leader
            || self.links.uid(conn) != Some(joining.leader)
            || common > tail_mine
            || yours > self.n
            || self.room.is_some_and(|mine| mine != room);
        if wrong || (self.believing.is_none() && !self.saw_round(conn, epoch.round)) {
            return self.misbehaved(conn, "accepts with what cannot be");
        }
        let Phase::Joining(joining) = &mut self.phase else { return };
        if self.promise > Some(epoch) {
            // It was crowned before the one whom I have promised to obey.
            let leader = joining.leader;
            let seek = std::mem::take(&mut joining.seek);
            return self.join_abandoned(leader, self.now.mono, seek);
        }
        joining.epoch = Some(epoch);
        joining.accepted = Some(Attached { stream, epoch, common, yours, tail, lines, backlog });
        self.enter_room(room);
        if newcomer {
            // Everybody else was greeted by somebody without a room: what is opened from here on says better.
            let carrier = self.links.carried_by(conn);
            for other in self.links.others(conn).into_iter().filter(|&other| Some(other) != carrier) {
                self.close(other);
            }
        }
        members.iter().for_each(|&uid| self.meet(uid));
        let renamed = self.name != name;
        let wanted = self.greeted && self.wanted_name() == name;
        let before = std::mem::replace(&mut self.name, name);
        if renamed && wanted {
            // The line that asks for it is on its way, or stands there already.
            let was = Member { uid: self.me, name: before, author: self.session.author };
            self.event(Event::Renamed { was, name: self.name.clone() });
        }
        if !self.greeted || renamed {
            self.greeted = true;
            let (name, room) = (self.name.clone(), room);
            self.event(Event::Entered { name, room });
        }
        if common < tail_mine {
            self.out.push(Output::Cut(common));
        } else {
            self.attach();
        }
    }

    /// The store has cut my log.
    pub(super) fn on_cut(&mut self, cut: Cut) {
        let before = self.log.summary();
        let lines = before.lines.saturating_sub(cut.summary.lines);
        // What was shown is not shown again when it comes back.
        for (&key, &n) in &before.watermarks {
            let shown = self.shown.entry(key).or_insert(0);
            *shown = n.max(*shown);
        }
        let members: Vec<Uid> = cut.summary.view.uids().collect();
        self.show_after = self.show_after.min(cut.summary.tail.index);
        self.log_after = self.log_after.min(cut.summary.tail.index);
        self.pending = cut.pending;
        self.log.cut(cut.summary);
        self.ring_changed = true;
        members.into_iter().for_each(|uid| self.meet(uid));
        if lines > 0 {
            self.event(Event::Rebased { lines, keep: self.log.tail().index });
        }
        match &self.phase {
            Phase::Joining(joining) if joining.accepted.is_some() => self.attach(),
            Phase::Crowned(_) => self.fetch_after_cut(),
            _ => {}
        }
    }

    /// My log is a prefix of the leader's: I follow.
    fn attach(&mut self) {
        let Phase::Joining(joining) = &self.phase else { return };
        let Some(Attached { stream, epoch, common, yours, tail, lines, backlog }) = joining.accepted else { return };
        let (leader, conn, owed, tail) = (joining.leader, joining.conn, tail, tail.index);
        self.obey(epoch);
        self.owed = Some(owed);
        self.settle_owed();
        self.judged_after = tail;
        self.believing = self.believing.map(|until| until.min(tail)).filter(|until| *until > self.log.tail().index);
        self.drop_pending_that_stand();
        let pending = PendingWay::Done;
        let uplink = Uplink { pending, sent: yours, until: None };
        self.set_phase(Phase::Following(Following {
            leader,
            epoch,
            conn,
            stream,
            uplink,
            acked: common,
            leaving: false,
            ahead: backlog.then_some(Ahead {
                tail,
                seen: common,
                newcomer: self.log.tail().index == Index(0),
                lines: 0,
            }),
        }));
        self.tell_leader(epoch);
        if !backlog {
            self.show_from(common);
        }
        self.catch_up(tail, backlog.then(|| lines.saturating_sub(self.log.summary().lines)));
        self.send(conn, Frame::Ack(Ack { stream, index: common }));
        self.start_uplink();
        self.hand_whispers(None);
    }

    /// The newest lines of a room that I have entered, or come back to after long.
    pub(super) fn on_backlog(&mut self, conn: ConnId, backlog: Backlog) {
        let Phase::Following(following) = &mut self.phase else { return };
        let Some(mut ahead) = following.ahead.filter(|_| following.conn == conn) else { return };
        ahead.lines = ahead.lines.saturating_add(u32::try_from(backlog.batch.entries.len()).unwrap_or(u32::MAX));
        if ahead.lines > self.backlog.saturating_add(RUN_LINES_MAX as u32) {
            return self.misbehaved(conn, "shows more lines than I asked for");
        }
        following.ahead = Some(ahead).filter(|_| !backlog.last);
        let mut fresh = Vec::with_capacity(backlog.batch.entries.len());
        for entry in backlog.batch.entries.into_iter().skip(backlog.skip as usize) {
            let Some(line) = entry.line() else { continue };
            let seen = entry.index <= ahead.seen || entry.index > ahead.tail;
            let key = line.id.key();
            let marks = [&self.shown, &self.previewed];
            if seen || marks.iter().any(|marks| marks.get(&key).is_some_and(|&n| line.id.n <= n)) {
                continue;
            }
            let marks = if ahead.newcomer { &mut self.shown } else { &mut self.previewed };
            marks.insert(key, line.id.n);
            fresh.push(entry);
        }
        if backlog.last {
            // What else stands up to there is too old to be shown.
            self.show_after = ahead.tail;
        }
        if ahead.newcomer {
            if backlog.last {
                self.log_after = ahead.tail;
            }
            self.save(Record::Shown(self.shown_beyond_the_log()));
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
        self.show_after = self.show_after.min(after);
        if self.log_after > after {
            self.log_after = after;
            self.save(Record::Shown(self.shown_beyond_the_log()));
        }
    }

    fn shown_beyond_the_log(&self) -> Shown {
        let summary = self.log.summary();
        let beyond = self.shown.iter().filter(|(key, n)| **n > summary.watermark(**key));
        Shown { up_to: self.log_after, lines: beyond.map(|(&key, &n)| (key, n)).collect() }
    }

    // ---- what I have missed

    /// I come back, and what follows up to this index was said while I was away; `lines`: too much to be shown whole.
    pub(super) fn catch_up(&mut self, until: Index, lines: Option<u64>) {
        if !self.arriving {
            return;
        }
        if until <= self.log.tail().index && lines.is_none() {
            return self.caught_up();
        }
        let told = self.catching_up.replace(until).is_some();
        // Who was never here has missed nothing.
        if !told && self.log.tail().index > Index(0) {
            self.event(Event::CatchUp { lines });
        }
    }

    /// What comes from here on is new.
    pub(super) fn caught_up(&mut self) {
        self.arriving = false;
        if self.catching_up.take().is_some() {
            self.event(Event::CaughtUp);
        }
    }

    // ---- when it does not work

    /// The connection over which I have asked to follow has ended.
    pub(super) fn join_failed(&mut self, ended: &Ended) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        let leader = joining.leader;
        let mut seek = std::mem::take(&mut joining.seek);
        // A dying process may still take a connection, and close it.
        let dead = ended.how == End::Refused || (ended.how == End::Closed && !ended.was_up);
        // Whoever says to have heard it before it was gone says nothing new.
        let since = if dead { self.now.mono } else { ended.heard };
        if seek.redialling && dead {
            seek.redialling = false;
            self.leader_lost(leader);
            return self.seek_leader(Seek { knock: seek.knock, ..Seek::after(leader, since) });
        }
        if ended.how == End::Closed && ended.conn.is_direct() && !std::mem::replace(&mut seek.repeated, true) {
            // It may have closed this connection alone, before it heard that I want to join: it is asked once more.
            // Who counts it as lost does not wait for its answer, and could crown itself beside it.
            let epoch = joining.epoch;
            return self.join(leader, epoch, seek);
        }
        self.join_abandoned(leader, since, seek);
    }

    pub(super) fn join_timed_out(&mut self) {
        let Phase::Joining(joining) = &mut self.phase else { return };
        let (leader, conn) = (joining.leader, joining.conn);
        let seek = std::mem::take(&mut joining.seek);
        self.set_phase(Phase::Waiting { seek: Seek::default(), until: self.now.mono });
        self.close(conn);
        let since = Time(self.now.mono.0.saturating_sub(self.timing.join.0));
        self.join_abandoned(leader, since, seek);
    }

    /// Back to whom I asked: the contacts, or everybody.
    fn join_abandoned(&mut self, leader: Uid, since: Time, seek: Seek) {
        let mut seek = seek.again();
        seek.redirects = 0;
        (seek.redialling, seek.repeated) = (false, false);
        if let Some(knock) = seek.knock.take_if(|_| self.log.tail().index == Index(0)) {
            return self.knock_again(knock, leader);
        }
        seek.knock = None;
        seek.lost = Some(super::phase::Lost { uid: leader, at: since });
        self.seek_leader(seek);
    }
}

/// How many times in a row I am sent from one to another before I ask everybody.
const REDIRECTS_MAX: u32 = 5;
