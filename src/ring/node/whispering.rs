//! Messages for one reader: sealed, through the leader, in memory alone.
//!
//! Only their author keeps them: it sends them again, to whoever leads, until their reader has answered or their time is
//! over. A leader passes on and remembers nothing; a reader remembers which it has read, and answers each time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Node;
use super::moderating::AUTHOR_DIGITS_MIN;
use super::phase::Phase;
use super::submitting::Said;
use crate::ring::log::entry::Member;
use crate::ring::types::id::{ConnId, Span, Time, WhisperId};
use crate::ring::types::limits::{
    BUCKETS_MAX, WHISPER_AGAIN, WHISPER_RATE, WHISPER_TOLD, WHISPER_WAIT, WHISPERS_READ_MAX, WHISPERS_SENT_MAX,
};
use crate::ring::types::proof::AuthorId;
use crate::ring::wire::frame::Frame;
use crate::ring::wire::whisper::{Fate, Found, Receipt, Token, Unsaid, Whisper, Whispering};
use crate::ring::{Event, Output};

/// How many times more a node takes of others than of its owner: what is sent again counts too.
const TAKEN_TIMES: u64 = 4;

/// The messages for one reader that a node has to do with.
#[derive(Clone, Debug, Default, Hash)]
pub(super) struct Whispers {
    /// Mine, of which I know nothing yet.
    sent: BTreeMap<WhisperId, Sent>,
    /// What I have read of others, the newest last, with what I answer.
    read: VecDeque<(AuthorId, WhisperId, Token)>,
    /// When a broken seal may be told of again.
    broken_told: Time,
}

/// A message of mine.
#[derive(Clone, Debug, Hash)]
struct Sent {
    whisper: Arc<Whisper>,
    to: Member,
    token: Token,
    /// It is sent again until then.
    until: Time,
    /// How often it was handed to a leader, and when last.
    handed: u32,
    handed_at: Time,
}

impl Whispers {
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
    /// [`Unsaid`] says why not.
    pub fn reader(&self, whom: &str) -> Result<Member, Unsaid> {
        if self.leaving.is_some() || self.room.is_none() {
            return Err(Unsaid::NotNow);
        }
        let folded = whom.to_lowercase();
        let view = &self.log.summary().view;
        let found = view.members().find(|member| member.name.folded() == folded).or_else(|| {
            let digits = folded.len() >= AUTHOR_DIGITS_MIN && folded.bytes().all(|digit| digit.is_ascii_hexdigit());
            let mut meant = view.members().filter(|member| digits && member.author.to_string().starts_with(&folded));
            let first = meant.next()?;
            meant.all(|other| other.author == first.author).then_some(first)
        });
        let Some(member) = found else { return Err(Unsaid::Nobody(whom.to_owned())) };
        if member.author == self.session.author {
            return Err(Unsaid::Oneself);
        }
        let spent = self.whisper_wait(self.session.author, 1) > Span(0);
        if spent || self.whispers.sent.len() >= WHISPERS_SENT_MAX {
            return Err(Unsaid::TooMany);
        }
        Ok(member.clone())
    }

    /// Somebody has said something to one reader.
    pub(super) fn on_whispering(&mut self, whispering: Whispering) {
        let Whispering { id, to, sealed, token } = whispering;
        if self.whispers.sent.len() >= WHISPERS_SENT_MAX || self.room.is_none() {
            let fate = Fate::NoLeader;
            return self.event(Event::Whispered { id, to, fate });
        }
        let from = self.session.author;
        self.count_whisper(from, 1, sealed.bytes().len());
        let whisper = Arc::new(Whisper { id, from, to: to.author, sealed });
        let until = self.now.mono + WHISPER_WAIT;
        self.whispers.sent.insert(id, Sent { whisper, to, token, until, handed: 0, handed_at: Time(0) });
        self.hand_whispers(Some(id));
    }

    /// A leader is there, or there again: it gets this one of my messages, or all that are on their way.
    pub(super) fn hand_whispers(&mut self, which: Option<WhisperId>) {
        let there = matches!(self.phase, Phase::Following(_) | Phase::Leading(_));
        if !there || self.whispers.sent.is_empty() {
            return;
        }
        let now = self.now.mono;
        let mut go = Vec::new();
        for (_, sent) in self.whispers.sent.iter_mut().filter(|(id, _)| which.is_none_or(|which| which == **id)) {
            sent.handed = sent.handed.saturating_add(1);
            sent.handed_at = now;
            go.push(Arc::clone(&sent.whisper));
        }
        let conn = self.following().map(|following| following.conn);
        for whisper in go {
            match conn {
                Some(conn) => self.send(conn, Frame::Whisper(Whisper::clone(&whisper))),
                None => self.pass_whisper(Whisper::clone(&whisper)),
            }
        }
    }

    /// With every heartbeat: what was not answered goes out again, and what has waited too long is told of.
    pub(super) fn look_after_whispers(&mut self) {
        let now = self.now.mono;
        let over: Vec<WhisperId> =
            (self.whispers.sent.iter()).filter(|(_, sent)| sent.until <= now).map(|(&id, _)| id).collect();
        for id in over {
            let handed = self.whispers.sent.get(&id).is_some_and(|sent| sent.handed > 0);
            self.settle_whisper(id, if handed { Fate::Unknown } else { Fate::NoLeader });
        }
        let due = |sent: &Sent| sent.handed == 0 || sent.handed_at + WHISPER_AGAIN <= now;
        let again: Vec<WhisperId> =
            self.whispers.sent.iter().filter(|(_, sent)| due(sent)).map(|(&id, _)| id).collect();
        again.into_iter().for_each(|id| self.hand_whispers(Some(id)));
    }

    fn settle_whisper(&mut self, id: WhisperId, fate: Fate) {
        if let Some(Sent { to, .. }) = self.whispers.sent.remove(&id) {
            self.event(Event::Whispered { id, to, fate });
        }
    }

    /// A message has come: for me, or to be passed on.
    pub(super) fn on_whisper(&mut self, conn: ConnId, whisper: Whisper) {
        let follower = self.is_followers(conn);
        let through = match self.following() {
            Some(following) if following.conn == conn => true,
            Some(_) | None if follower => false,
            Some(_) | None => return,
        };
        if follower && self.links.peer(conn).is_none_or(|peer| peer.author != whisper.from) {
            return self.misbehaved(conn, "whispers as another");
        }
        if self.whisper_wait(whisper.from, TAKEN_TIMES) > Span(0) {
            return;
        }
        self.count_whisper(whisper.from, TAKEN_TIMES, whisper.sealed.bytes().len());
        if through { self.take_whisper(whisper) } else { self.pass_whisper(whisper) }
    }

    /// I lead: on to its reader. Who has just lost its link to me gets it when its author sends it again.
    fn pass_whisper(&mut self, whisper: Whisper) {
        if whisper.to == self.session.author {
            return self.take_whisper(whisper);
        }
        if !self.is_member(whisper.to) {
            let Whisper { id, from, to, sealed: _ } = whisper;
            return self.pass_receipt(Receipt { id, from, to, found: Found::Nobody });
        }
        let conns = self.followers_of(whisper.to);
        self.links.send_all(self.now.mono, &conns, &Arc::new(Frame::Whisper(whisper)), &mut self.out);
    }

    /// It is for me, if I know whose it says that it is.
    fn take_whisper(&mut self, whisper: Whisper) {
        if whisper.to != self.session.author {
            return;
        }
        let read = self.whispers.read.iter().find(|(from, id, _)| (*from, *id) == (whisper.from, whisper.id));
        if let Some(&(from, id, token)) = read {
            return self.answer_whisper(from, id, token);
        }
        let from = self.log.summary().view.members().find(|member| member.author == whisper.from).cloned();
        if let Some(from) = from {
            self.out.push(Output::Open(from, whisper));
        }
    }

    /// It was opened and shown, or could not be.
    pub(super) fn on_opened(&mut self, id: WhisperId, from: AuthorId, token: Option<Token>) {
        match token {
            Some(token) => {
                if self.whispers.read.len() >= WHISPERS_READ_MAX {
                    self.whispers.read.pop_front();
                }
                self.whispers.read.push_back((from, id, token));
                self.answer_whisper(from, id, token);
            }
            None => self.tell_broken_seal(from),
        }
    }

    fn tell_broken_seal(&mut self, from: AuthorId) {
        let of = self.log.summary().view.members().find(|member| member.author == from).cloned();
        if let Some(of) = of.filter(|_| self.whispers.broken_told <= self.now.mono) {
            self.whispers.broken_told = self.now.mono + WHISPER_TOLD;
            let through = self.following().map_or(self.me, |following| following.leader);
            self.event(Event::BrokenSeal { of, through });
        }
    }

    fn answer_whisper(&mut self, from: AuthorId, id: WhisperId, token: Token) {
        let receipt = Receipt { id, from, to: self.session.author, found: Found::Opened(token) };
        match self.following().map(|following| following.conn) {
            Some(conn) => self.send(conn, Frame::Receipt(receipt)),
            None => self.pass_receipt(receipt),
        }
    }

    /// An answer has come: for me, or to be passed on.
    pub(super) fn on_receipt(&mut self, conn: ConnId, receipt: Receipt) {
        if self.following().is_some_and(|following| following.conn == conn) {
            return self.take_receipt(receipt);
        }
        if !self.is_followers(conn) {
            return;
        }
        let answers = self.links.peer(conn).is_some_and(|peer| peer.author == receipt.to);
        if !answers || receipt.found == Found::Nobody {
            return self.misbehaved(conn, "answers for another");
        }
        self.pass_receipt(receipt);
    }

    /// I lead: back to the author.
    fn pass_receipt(&mut self, receipt: Receipt) {
        if !matches!(self.phase, Phase::Leading(_)) {
            return;
        }
        if receipt.from == self.session.author {
            return self.take_receipt(receipt);
        }
        let conns = self.followers_of(receipt.from);
        self.links.send_all(self.now.mono, &conns, &Arc::new(Frame::Receipt(receipt)), &mut self.out);
    }

    fn take_receipt(&mut self, receipt: Receipt) {
        let Some(sent) = self.whispers.sent.get(&receipt.id) else { return };
        if receipt.from != self.session.author || receipt.to != sent.to.author {
            return;
        }
        match receipt.found {
            Found::Opened(token) if token == sent.token => self.settle_whisper(receipt.id, Fate::Delivered),
            // Nobody but its reader knows the token: somebody makes it up.
            Found::Opened(_) => {}
            Found::Nobody if sent.handed == 1 => self.settle_whisper(receipt.id, Fate::Gone),
            // What was handed on before may have arrived, and its reader may come back.
            Found::Nobody => {}
        }
    }

    /// This is the connection of one of my followers.
    pub(super) fn is_followers(&self, conn: ConnId) -> bool {
        match &self.phase {
            Phase::Leading(leading) => {
                let uid = self.links.peer(conn).map(|peer| peer.uid);
                uid.and_then(|uid| leading.followers.get(&uid)).is_some_and(|follower| follower.conn == conn)
            }
            Phase::Unborn
            | Phase::Knocking(_)
            | Phase::Waiting { .. }
            | Phase::Asking(_)
            | Phase::Electing(_)
            | Phase::Crowned(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Gone => false,
        }
    }

    /// The connections of my followers that are this author's.
    fn followers_of(&self, author: AuthorId) -> Vec<ConnId> {
        let conns = self.links.to_authors(|of| of == author);
        conns.into_iter().filter(|&conn| self.is_followers(conn)).collect()
    }

    fn whisper_wait(&self, author: AuthorId, times: u64) -> Span {
        let bucket = self.buckets.get(&(author, Said::Whispered));
        bucket.map_or(Span(0), |bucket| bucket.wait(self.now.mono, &WHISPER_RATE.times(times)))
    }

    fn count_whisper(&mut self, author: AuthorId, times: u64, bytes: usize) {
        let (now, key) = (self.now.mono, (author, Said::Whispered));
        if self.buckets.len() >= BUCKETS_MAX {
            self.buckets.retain(|_, bucket| !bucket.is_empty(now));
        }
        if self.buckets.len() < BUCKETS_MAX || self.buckets.contains_key(&key) {
            self.buckets.entry(key).or_default().charge(now, &WHISPER_RATE.times(times), 1, bytes);
        }
    }
}
