//! Messages for one reader: sealed, through the leader, in memory alone.
//!
//! Only their author keeps them: it sends them again, to whoever leads, until their reader has answered or their time
//! is over. A leader passes on and remembers nothing; a reader remembers which it has read, and answers each time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Node;
use super::eviction::AUTHOR_DIGITS_MIN;
use super::phase::Phase;
use crate::ring::log::entry::Member;
use crate::ring::types::id::{ConnId, PmId};
use crate::ring::types::limits::{PM_REPORT_PAUSE, PM_RESEND, PM_WAIT, PMS_READ_MAX, PMS_SENT_MAX};
use crate::ring::types::proof::AuthorId;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::Frame;
use crate::ring::wire::private_message::{OutgoingPm, PmError, PmOutcome, PmProof, PmReceipt, PmReply, PrivateMessage};
use crate::ring::{Event, Output};

/// How many times more a node takes of others than of its owner: what is sent again counts too.
const TAKEN_TIMES: u64 = 4;

/// The messages for one reader that a node has to do with.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct PrivateMessages {
    /// Mine, of which I know nothing yet.
    sent: BTreeMap<PmId, PendingPm>,
    /// What I have read of others, the newest last, with what I answer.
    read: VecDeque<(AuthorId, PmId, PmProof)>,
    /// When a broken seal may be told of again.
    broken_told: Time,
}

/// A message of mine.
#[derive(Clone, Debug, Hash)]
struct PendingPm {
    pm: Arc<PrivateMessage>,
    to: Member,
    token: PmProof,
    /// It is sent again until then.
    until: Time,
    /// How often it was handed to a leader, and when last.
    handed: u32,
    handed_at: Time,
}

impl PrivateMessages {
    /// How many of mine are on their way.
    pub(super) fn sent(&self) -> usize {
        self.sent.len()
    }

    /// How many I remember to have read.
    pub(super) fn read(&self) -> usize {
        self.read.len()
    }
}

impl Node {
    /// The member whom a name, or an author's id or enough of its first digits, means, if it can be told something now.
    ///
    /// # Errors
    /// [`PmError`] says why not.
    pub fn reader(&self, whom: &str) -> Result<Member, PmError> {
        if self.agenda.is_leaving() || self.room.is_none() {
            return Err(PmError::NotNow);
        }
        let folded = whom.to_lowercase();
        let view = &self.log.state().view;
        let found = view.members().find(|member| member.name.folded() == folded).or_else(|| {
            let digits = folded.len() >= AUTHOR_DIGITS_MIN && folded.bytes().all(|digit| digit.is_ascii_hexdigit());
            let mut meant = view.members().filter(|member| digits && member.author.to_string().starts_with(&folded));
            let first = meant.next()?;
            meant.all(|other| other.author == first.author).then_some(first)
        });
        let Some(member) = found else { return Err(PmError::Nobody(whom.to_owned())) };
        if member.author == self.identity.session.author {
            return Err(PmError::Oneself);
        }
        let spent = self.admission.private_message_wait(self.now.mono, self.identity.session.author, 1) > Span(0);
        if spent || self.pms.sent.len() >= PMS_SENT_MAX {
            return Err(PmError::TooMany);
        }
        Ok(member.clone())
    }

    /// Somebody has said something to one reader.
    pub(super) fn on_send_pm(&mut self, outgoing: OutgoingPm) {
        let OutgoingPm { id, to, ciphertext, token } = outgoing;
        if self.pms.sent.len() >= PMS_SENT_MAX || self.room.is_none() {
            let outcome = PmOutcome::NoLeader;
            return self.event(Event::PmSettled { id, to, outcome });
        }
        let from = self.identity.session.author;
        self.admission.count_private_message(self.now.mono, from, 1, ciphertext.bytes().len());
        let pm = Arc::new(PrivateMessage { id, from, to: to.author, ciphertext });
        let until = self.now.mono + PM_WAIT;
        self.pms.sent.insert(id, PendingPm { pm, to, token, until, handed: 0, handed_at: Time(0) });
        self.hand_pms(Some(id));
    }

    /// A leader is there, or there again: it gets this one of my messages, or all that are on their way.
    pub(super) fn hand_pms(&mut self, which: Option<PmId>) {
        let there = matches!(self.phase, Phase::Following(_) | Phase::Leading(_));
        if !there || self.pms.sent.is_empty() {
            return;
        }
        let now = self.now.mono;
        let mut go = Vec::new();
        for (_, sent) in self.pms.sent.iter_mut().filter(|(id, _)| which.is_none_or(|which| which == **id)) {
            sent.handed = sent.handed.saturating_add(1);
            sent.handed_at = now;
            go.push(Arc::clone(&sent.pm));
        }
        let conn = self.following().map(|following| following.conn);
        for pm in go {
            match conn {
                Some(conn) => self.send(conn, Frame::PrivateMessage(PrivateMessage::clone(&pm))),
                None => self.pass_pm(PrivateMessage::clone(&pm)),
            }
        }
    }

    /// With every heartbeat: what was not answered goes out again, and what has waited too long is told of.
    pub(super) fn maintain_pms(&mut self) {
        let now = self.now.mono;
        let over: Vec<PmId> = (self.pms.sent.iter()).filter(|(_, sent)| sent.until <= now).map(|(&id, _)| id).collect();
        for id in over {
            let handed = self.pms.sent.get(&id).is_some_and(|sent| sent.handed > 0);
            self.settle_pm(id, if handed { PmOutcome::Unknown } else { PmOutcome::NoLeader });
        }
        let due = |sent: &PendingPm| sent.handed == 0 || sent.handed_at + PM_RESEND <= now;
        let again: Vec<PmId> = self.pms.sent.iter().filter(|(_, sent)| due(sent)).map(|(&id, _)| id).collect();
        again.into_iter().for_each(|id| self.hand_pms(Some(id)));
    }

    fn settle_pm(&mut self, id: PmId, outcome: PmOutcome) {
        if let Some(PendingPm { to, .. }) = self.pms.sent.remove(&id) {
            self.event(Event::PmSettled { id, to, outcome });
        }
    }

    /// A message has come: for me, or to be passed on.
    pub(super) fn on_pm(&mut self, conn: ConnId, pm: PrivateMessage) {
        let follower = self.is_followers(conn);
        let through = match self.following() {
            Some(following) if following.conn == conn => true,
            Some(_) | None if follower => false,
            Some(_) | None => return,
        };
        if follower && self.links.peer(conn).is_none_or(|peer| peer.author != pm.from) {
            return self.protocol_violation(conn, "sends a private message as another");
        }
        if self.admission.private_message_wait(self.now.mono, pm.from, TAKEN_TIMES) > Span(0) {
            return;
        }
        self.admission.count_private_message(self.now.mono, pm.from, TAKEN_TIMES, pm.ciphertext.bytes().len());
        if through { self.take_pm(pm) } else { self.pass_pm(pm) }
    }

    /// I lead: on to its reader. Who has just lost its link to me gets it when its author sends it again.
    fn pass_pm(&mut self, pm: PrivateMessage) {
        if pm.to == self.identity.session.author {
            return self.take_pm(pm);
        }
        if !self.is_member(pm.to) {
            let PrivateMessage { id, from, to, ciphertext: _ } = pm;
            return self.pass_receipt(PmReceipt { id, from, to, reply: PmReply::UnknownRecipient });
        }
        let conns = self.followers_of(pm.to);
        self.links.send_all(self.now.mono, &conns, &Arc::new(Frame::PrivateMessage(pm)), &mut self.out);
    }

    /// It is for me, if I know whose it says that it is.
    fn take_pm(&mut self, pm: PrivateMessage) {
        if pm.to != self.identity.session.author {
            return;
        }
        let read = self.pms.read.iter().find(|(from, id, _)| (*from, *id) == (pm.from, pm.id));
        if let Some(&(from, id, token)) = read {
            return self.answer_pm(from, id, token);
        }
        let from = self.log.state().view.members().find(|member| member.author == pm.from).cloned();
        if let Some(from) = from {
            self.out.push(Output::OpenPm(from, pm));
        }
    }

    /// It was opened and shown, or could not be.
    pub(super) fn on_opened(&mut self, id: PmId, from: AuthorId, token: Option<PmProof>) {
        match token {
            Some(token) => {
                if self.pms.read.len() >= PMS_READ_MAX {
                    self.pms.read.pop_front();
                }
                self.pms.read.push_back((from, id, token));
                self.answer_pm(from, id, token);
            }
            None => self.report_undecryptable(from),
        }
    }

    fn report_undecryptable(&mut self, from: AuthorId) {
        let of = self.log.state().view.members().find(|member| member.author == from).cloned();
        if let Some(of) = of.filter(|_| self.pms.broken_told <= self.now.mono) {
            self.pms.broken_told = self.now.mono + PM_REPORT_PAUSE;
            let through = self.following().map_or(self.identity.me, |following| following.leader);
            self.event(Event::PmUndecryptable { of, through });
        }
    }

    fn answer_pm(&mut self, from: AuthorId, id: PmId, token: PmProof) {
        let receipt = PmReceipt { id, from, to: self.identity.session.author, reply: PmReply::Opened(token) };
        match self.following().map(|following| following.conn) {
            Some(conn) => self.send(conn, Frame::PmReceipt(receipt)),
            None => self.pass_receipt(receipt),
        }
    }

    /// An answer has come: for me, or to be passed on.
    pub(super) fn on_receipt(&mut self, conn: ConnId, receipt: PmReceipt) {
        if self.following().is_some_and(|following| following.conn == conn) {
            return self.take_receipt(receipt);
        }
        if !self.is_followers(conn) {
            return;
        }
        let answers = self.links.peer(conn).is_some_and(|peer| peer.author == receipt.to);
        if !answers || receipt.reply == PmReply::UnknownRecipient {
            return self.protocol_violation(conn, "answers for another");
        }
        self.pass_receipt(receipt);
    }

    /// I lead: back to the author.
    fn pass_receipt(&mut self, receipt: PmReceipt) {
        if !matches!(self.phase, Phase::Leading(_)) {
            return;
        }
        if receipt.from == self.identity.session.author {
            return self.take_receipt(receipt);
        }
        let conns = self.followers_of(receipt.from);
        self.links.send_all(self.now.mono, &conns, &Arc::new(Frame::PmReceipt(receipt)), &mut self.out);
    }

    fn take_receipt(&mut self, receipt: PmReceipt) {
        let Some(sent) = self.pms.sent.get(&receipt.id) else { return };
        if receipt.from != self.identity.session.author || receipt.to != sent.to.author {
            return;
        }
        match receipt.reply {
            PmReply::Opened(token) if token == sent.token => self.settle_pm(receipt.id, PmOutcome::Delivered),
            // Nobody but its reader knows the token: somebody makes it up.
            PmReply::Opened(_) => {}
            PmReply::UnknownRecipient if sent.handed == 1 => self.settle_pm(receipt.id, PmOutcome::Gone),
            // What was handed on before may have arrived, and its reader may come back.
            PmReply::UnknownRecipient => {}
        }
    }

    /// This is the connection of one of my followers.
    pub(super) fn is_followers(&self, conn: ConnId) -> bool {
        match &self.phase {
            Phase::Leading(leading) => {
                let uid = self.links.peer(conn).map(|peer| peer.uid);
                uid.and_then(|uid| leading.followers.get(&uid)).is_some_and(|follower| follower.conn == conn)
            }
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Stopped => false,
        }
    }

    /// The connections of my followers that are this author's.
    fn followers_of(&self, author: AuthorId) -> Vec<ConnId> {
        let conns = self.links.to_authors(|of| of == author);
        conns.into_iter().filter(|&conn| self.is_followers(conn)).collect()
    }
}
