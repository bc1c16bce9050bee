//! Entries and lines: checked, appended, shown, read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Node;
use super::display::Visibility;
use super::phase::{PendingUpload, Phase};
use super::requests::ReadPurpose;
use crate::ring::log::entry::Batch;
use crate::ring::log::entry::RunSignature;
use crate::ring::log::entry::{Body, Entry, Line, Note};
use crate::ring::log::one_batch;
use crate::ring::types::id::{ConnId, Index, Lamport, ReadId, SessionKey, SyncId};
use crate::ring::types::limits::{BATCH_BYTES_MAX, MEMBERS_MAX, TICKS_PER_LINE};
use crate::ring::types::time::Span;
use crate::ring::wire::frame::Frame;
use crate::ring::{Draft, Event, Output, ReadReply, ReadRequest, Record};

impl Node {
    /// Whether these entries of the peer of this connection can stand right after my tail.
    pub(super) fn check_entries(&mut self, conn: ConnId, batch: &Batch) -> Result<(), &'static str> {
        let far = self.check_order(batch)?;
        let round = batch.entries.last().map_or(0, |entry| entry.epoch.round);
        let author = self.links.peer(conn).map(|peer| peer.author);
        if !self.clocks.trusts() && !self.clocks.admit_push(author, far) {
            return Err("sends a timestamp that cannot be");
        }
        if self.admit_round(conn, round) { Ok(()) } else { Err("names an absurd round") }
    }

    /// Whether these entries follow my tail, and how far they push my clock.
    fn check_order(&self, batch: &Batch) -> Result<u64, &'static str> {
        let log_state = self.log.state();
        let mut tail = log_state.tail;
        let mut lamport = log_state.lamport;
        let (mut clock, mut far) = (self.clocks.lamport(), 0_u64);
        let mut members = log_state.view.len();
        // The last number of the session of the line before: most lines of a batch are of one session.
        let mut last: Option<(SessionKey, u64)> = None;
        let mut others = BTreeMap::new();
        for entry in &batch.entries {
            if entry.index != tail.index.next() || Some(entry.epoch) < tail.epoch {
                return Err("sends entries out of order");
            }
            if entry.lamport <= lamport {
                return Err("sends a timestamp that cannot be");
            }
            far = far.saturating_add(entry.lamport.0.saturating_sub(clock.0.saturating_add(TICKS_PER_LINE)));
            clock = clock.max(entry.lamport);
            if let Body::Note(Note::Elected(member) | Note::Joined(member)) = &entry.body {
                members += usize::from(!log_state.view.contains(member.uid));
                if members > MEMBERS_MAX {
                    return Err("names more members than a room can have");
                }
            }
            if let Body::Line(line) = &entry.body {
                let key = line.id.key();
                if last.is_none_or(|(of, _)| of != key) {
                    if let Some((of, n)) = last {
                        others.insert(of, n);
                    }
                    last = Some((key, others.get(&key).copied().unwrap_or_else(|| log_state.watermark(key))));
                }
                if let Some((_, n)) = &mut last {
                    if n.checked_add(1) != Some(line.id.n) {
                        return Err("sends a line whose number does not follow");
                    }
                    *n = line.id.n;
                }
            }
            tail = entry.tail();
            lamport = entry.lamport;
        }
        Ok(far)
    }

    /// Writes entries behind my tail, and shows them.
    pub(super) fn append(&mut self, entries: Vec<Arc<Entry>>) {
        let Some(last) = entries.last() else { return };
        self.clocks.witness(last.lamport);
        self.save(Record::Append(entries.clone()));
        for entry in entries {
            match &entry.body {
                Body::Line(line) => {
                    let mine = line.id.key() == self.identity.session;
                    let id = line.id;
                    let (effect, renaming) = (self.effect_of(line), self.renaming_of(line));
                    self.log.push(Arc::clone(&entry));
                    if mine {
                        self.outbox.remove_up_to(id.n);
                        // What comes from a leader is held there.
                        if self.following().is_some() {
                            self.outbox.on_peer_ack(id.n);
                        }
                    }
                    self.deliver_line(Arc::clone(&entry));
                    if let Some((effect, concerned)) = effect {
                        self.take_effect(&entry, effect, concerned);
                    }
                    if let Some(renaming) = renaming {
                        self.take_name(entry.index, renaming);
                    }
                }
                Body::Note(note) => {
                    let news = self.display.is_news(entry.index);
                    self.take_note(note, news);
                    self.log.push(Arc::clone(&entry));
                }
            }
        }
        self.check_cut_off();
        let tail = self.log.tail().index;
        self.clocks.reached(tail);
        self.completeness.reached(&self.log.state().epochs);
        let caught_up = self.display.reached(tail);
        self.report_catch_up(caught_up);
    }

    /// A line has got its place: is it news?
    fn deliver_line(&mut self, entry: Arc<Entry>) {
        let Some(id) = entry.line().map(|line| line.id) else { return };
        match self.display.visibility(entry.index, id) {
            Visibility::Show => self.event(Event::Line(entry)),
            Visibility::LogOnly => self.event(Event::LogOnly(entry)),
            Visibility::Hide => {}
        }
    }

    /// A note changes the view, the ring and the book.
    fn take_note(&mut self, note: &Note, news: bool) {
        self.agenda.ring_may_change();
        match note {
            Note::Elected(member) | Note::Joined(member) => {
                self.learn_peer(member.uid);
                self.book.set_left(member.uid, false);
                self.member_back(member.uid);
                let known = self.log.state().view.get(member.uid) == Some(member);
                if news && !known && member.uid != self.identity.me {
                    self.event(Event::Joined(member.clone()));
                }
            }
            Note::Forged { uid, of } => {
                let member = self.log.state().view.get(*uid).cloned();
                // Who leads has told so when it found out.
                let told = matches!(self.phase, Phase::Leading(_));
                if let Some(by) = member.filter(|_| news && *uid != self.identity.me && !told) {
                    self.event(Event::Forged { by, of: of.clone() });
                }
            }
            Note::Left { uid, lost } => {
                if *lost && news {
                    self.member_missing(*uid);
                } else {
                    self.member_back(*uid);
                }
                if !lost {
                    self.book.set_left(*uid, true);
                }
                let member = self.log.state().view.get(*uid).cloned();
                if let Some(member) = member.filter(|_| news && *uid != self.identity.me) {
                    self.event(Event::Left { member, lost: *lost });
                }
                if *uid == self.identity.me && self.following().is_some_and(|following| following.leaving) {
                    self.good_bye();
                }
            }
        }
    }

    // ---- what was typed

    /// Somebody has typed lines.
    pub(super) fn on_submit(&mut self, said: Vec<Draft>) {
        let mut lines = Vec::with_capacity(said.len());
        let mut bytes = 0;
        for draft in said {
            debug_assert!(draft.is_valid(), "who moderates gives an order");
            if !draft.is_valid() {
                continue;
            }
            if self.outbox.is_full_with(lines.len(), bytes)
                || self.clocks.is_spent()
                || self.agenda.is_leaving()
                || self.room.is_none()
            {
                self.event(Event::SubmitRejected(draft.text));
                continue;
            }
            let line = self.line(draft);
            bytes += line.weight() + RunSignature::OVERHEAD;
            lines.push(line);
        }
        self.submit(lines);
    }

    /// A line of mine, not sealed yet.
    pub(super) fn line(&mut self, Draft { text, channel, act }: Draft) -> Line {
        let lamport = self.clocks.submit();
        let n = self.outbox.take_number();
        let (id, name) = (self.identity.line_id(n), self.identity.name.clone());
        Line { id, lamport, name, uid: self.identity.me, text, channel, act, signature: None }
    }

    /// My lines are sealed, and get their place or wait for it.
    pub(super) fn submit(&mut self, mut lines: Vec<Line>) {
        let Some(room) = self.room else { return };
        let orders = self.sequences_own() && self.outbox.is_empty();
        self.identity.sign(room, &mut lines);
        let lines: Vec<Arc<Line>> = lines.into_iter().map(Arc::new).collect();
        self.agenda.gather();
        if orders {
            self.admission.charge(self.now.mono, self.identity.session.author, &lines);
            if self.own_wait() > Span(0) {
                self.report_throttled();
            }
            return self.sequence(lines);
        }
        if !lines.is_empty() {
            self.save(Record::Queue(lines.clone()));
            self.outbox.push(lines);
        }
    }

    /// Syncs the medium for new lines; before that they do not count as sent.
    pub(super) fn persist_own(&mut self) {
        let sync = self.outbox.sync_new();
        self.out.extend(sync.map(Output::Persist));
    }

    /// With each heartbeat: tries again what the medium has refused.
    pub(super) fn persist_again(&mut self) {
        let sync = self.outbox.sync_again();
        self.out.extend(sync.map(Output::Persist));
    }

    pub(super) fn on_persisted(&mut self, id: SyncId, success: bool) {
        if self.outbox.on_sync_answer(id, success) {
            self.agenda.gather();
        }
    }

    /// I lead, and none of my own earlier lines waits.
    pub(super) fn sequences_own(&self) -> bool {
        self.leading()
            .is_some_and(|leading| leading.retiring.is_none() && matches!(leading.pending, PendingUpload::Done))
    }

    /// Gives lines their place. Only a leader does.
    pub(super) fn sequence(&mut self, lines: Vec<Arc<Line>>) {
        let bodies = lines.into_iter().map(|line| (line.lamport, Body::Line(line)));
        self.sequence_bodies(bodies.collect());
    }

    /// Writes a note. Only a leader does.
    pub(super) fn note(&mut self, note: Note) {
        self.sequence_bodies(vec![(Lamport(0), Body::Note(note))]);
    }

    /// Where timestamps end, nothing is ordered any more.
    fn sequence_bodies(&mut self, bodies: Vec<(Lamport, Body)>) {
        let Phase::Leading(leading) = &self.phase else { return };
        let epoch = leading.epoch;
        let mut index = self.log.tail().index;
        let mut entries = Vec::with_capacity(bodies.len());
        for (submitted, body) in bodies {
            let Some(lamport) = self.clocks.sequence(submitted) else { break };
            index = index.next();
            entries.push(Arc::new(Entry { epoch, index, lamport, wall: self.now.wall, body }));
        }
        self.append(entries);
        self.agenda.gather();
    }

    /// Orders what waits in my own outbox, once nothing is pending.
    pub(super) fn sequence_outbox(&mut self) {
        if self.sequences_own() && !self.outbox.is_empty() {
            let lines: Vec<Arc<Line>> = self.outbox.lines().cloned().collect();
            self.sequence(lines);
        }
    }

    /// Forgets the marks of pending lines that all stand in my log.
    pub(super) fn drop_pending_that_stand(&mut self) {
        let log_state = self.log.state();
        self.pending.retain(|&key, last| *last > log_state.watermark(key));
    }

    /// Reports which of my lines count as sent now.
    pub(super) fn report_confirmed(&mut self) {
        let logged = self.log.state().watermark(self.identity.session);
        let (sent, alone) = match &self.phase {
            Phase::Leading(leading) => {
                let alone = leading.followers.is_empty();
                (self.outbox.confirm_leading(self.log.tail().index, logged, leading.acked, alone), alone)
            }
            Phase::Following(_) => (self.outbox.confirm_following(logged), false),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Stopped => return,
        };
        if let Some(n) = sent {
            self.event(Event::Confirmed { n, alone });
        }
    }

    // ---- the store's answers

    pub(super) fn on_read(&mut self, id: ReadId, found: ReadReply) {
        let Some(what) = self.requests.end_read(id) else { return };
        match (what, found) {
            (ReadPurpose::Stream(from), ReadReply::Log(entries)) => self.stream_read(from, &entries),
            (ReadPurpose::Pull(conn), ReadReply::Log(entries)) => {
                self.send(conn, Frame::Pulled(one_batch(entries.iter())));
            }
            (ReadPurpose::Backlog(conn, stream, wanted), ReadReply::Log(entries)) => {
                self.backlog_read(conn, stream, wanted, &entries);
            }
            (ReadPurpose::Offer(stream), ReadReply::Pending(lines)) => self.offer(stream, lines),
            (ReadPurpose::Sequence, ReadReply::Pending(lines)) => self.sequence_pending(lines),
            (ReadPurpose::Stream(_) | ReadPurpose::Pull(_) | ReadPurpose::Backlog(..), ReadReply::Pending(_))
            | (ReadPurpose::Offer(_) | ReadPurpose::Sequence, ReadReply::Log(_)) => {
                debug_assert!(false, "the store answers what it was asked");
            }
        }
    }

    /// Somebody rebases onto my log, and asks for what follows an index.
    pub(super) fn on_pull(&mut self, conn: ConnId, after: Index) {
        let Some(from) = after.0.checked_add(1).map(Index) else {
            return self.protocol_violation(conn, "names an absurd index");
        };
        if self.is_roommate(conn) {
            // The next tick answers: a peer that asks a thousand times at once gets one answer.
            self.requests.on_pull(conn, from);
            self.agenda.gather();
        }
    }

    /// Answers those who rebase onto my log.
    pub(super) fn answer_pulls(&mut self) {
        for (conn, from) in self.requests.take_pulls() {
            match self.log.batch(from) {
                Some(batch) => self.send(conn, Frame::Pulled(batch)),
                None => {
                    self.requests.cancel_pull(conn);
                    self.read(ReadRequest::Log { from, bytes_max: BATCH_BYTES_MAX }, ReadPurpose::Pull(conn));
                }
            }
        }
    }
}
