//! How much a node takes of one author: lines at the leader, private messages everywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Node;
use crate::ring::Event;
use crate::ring::log::entry::Line;
use crate::ring::types::id::LineId;
use crate::ring::types::limits::{BUCKETS_MAX, PM_RATE};
use crate::ring::types::proof::AuthorId;
use crate::ring::types::rate::{Bucket, Rate};
use crate::ring::types::time::{Span, Time};

/// How many times more than its own lines a member may submit of other authors', when logs meet.
const REBASED_TIMES: u64 = 10;
/// The pause between two notices to people that their lines go out slowly.
const SLOW_TOLD_EVERY: Span = Span::ms(60_000);

/// The buckets of all authors that this node has taken something of.
#[derive(Clone, Debug, Hash)]
pub(super) struct Admission {
    /// What a leader takes of an author's own lines.
    rate: Rate,
    buckets: BTreeMap<(AuthorId, Flow), Bucket>,
    /// Until then people are not told again that their lines go out slowly.
    slow_told: Time,
}

/// What is counted apart for each author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Flow {
    /// Its own lines.
    Own,
    /// The lines of other authors that its node has submitted after a cut.
    Rebased,
    /// Its private messages.
    PrivateMessages,
}

impl Admission {
    /// A leader takes lines at this rate.
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, buckets: BTreeMap::new(), slow_told: Time(0) }
    }

    /// How long nothing is taken of this author's own lines.
    pub(super) fn wait(&self, now: Time, author: AuthorId) -> Span {
        self.bucket_wait(now, (author, Flow::Own), self.rate)
    }

    /// How long nothing is taken of the lines that this author's node offers.
    pub(super) fn offer_wait(&self, now: Time, author: AuthorId, lines: &[LineId]) -> Span {
        let (own, others) = (lines.iter().any(|id| id.author == author), lines.iter().any(|id| id.author != author));
        let rebased = (author, Flow::Rebased);
        let own = if own { self.wait(now, author) } else { Span(0) };
        own.max(if others { self.bucket_wait(now, rebased, self.rate.times(REBASED_TIMES)) } else { Span(0) })
    }

    /// Counts lines that an author's node has submitted: its own, and apart from them the rebased ones of other
    /// authors. The node that submits them answers for them.
    pub(super) fn charge(&mut self, now: Time, author: AuthorId, lines: &[Arc<Line>]) {
        if self.rate == Rate::UNLIMITED {
            return;
        }
        self.make_room(now, 2);
        for (flow, rate) in [(Flow::Own, self.rate), (Flow::Rebased, self.rate.times(REBASED_TIMES))] {
            let these = || lines.iter().filter(|line| (line.id.author == author) == (flow == Flow::Own));
            let (count, bytes) = (these().count(), these().map(|line| line.weight()).sum());
            if count > 0 {
                self.count(now, (author, flow), rate, count, bytes);
            }
        }
    }

    /// How long nothing is taken of this author's private messages, at so many times the rate of one author.
    pub(super) fn private_message_wait(&self, now: Time, author: AuthorId, times: u64) -> Span {
        self.bucket_wait(now, (author, Flow::PrivateMessages), PM_RATE.times(times))
    }

    /// Counts a private message of this author, at so many times the rate of one author.
    pub(super) fn count_private_message(&mut self, now: Time, author: AuthorId, times: u64, bytes: usize) {
        self.make_room(now, 1);
        self.count(now, (author, Flow::PrivateMessages), PM_RATE.times(times), 1, bytes);
    }

    /// Lines go out slowly. Gives the notice for people, once in a while.
    fn slowed(&mut self, now: Time) -> Option<Event> {
        let due = self.slow_told <= now;
        due.then(|| {
            self.slow_told = now + SLOW_TOLD_EVERY;
            Event::Throttled
        })
    }

    /// How many buckets are kept; at most [`BUCKETS_MAX`].
    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    fn bucket_wait(&self, now: Time, key: (AuthorId, Flow), rate: Rate) -> Span {
        self.buckets.get(&key).map_or(Span(0), |bucket| bucket.wait(now, &rate))
    }

    /// Drops the buckets of authors that owe nothing, where `more` new ones would not fit.
    fn make_room(&mut self, now: Time, more: usize) {
        if self.buckets.len() + more > BUCKETS_MAX {
            self.buckets.retain(|_, bucket| !bucket.is_empty(now));
        }
    }

    /// Where all buckets are in use, a new author goes uncounted.
    fn count(&mut self, now: Time, key: (AuthorId, Flow), rate: Rate, lines: usize, bytes: usize) {
        if self.buckets.len() < BUCKETS_MAX || self.buckets.contains_key(&key) {
            self.buckets.entry(key).or_default().charge(now, &rate, lines, bytes);
        }
    }
}

impl Node {
    /// How long I order nothing of my own.
    pub(super) fn own_wait(&self) -> Span {
        self.admission.wait(self.now.mono, self.identity.session.author)
    }

    /// Tells people that their lines go out slowly, once in a while.
    pub(super) fn report_throttled(&mut self) {
        let notice = self.admission.slowed(self.now.mono);
        notice.into_iter().for_each(|event| self.event(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::{Lamport, Name, SessionId, Text, Uid};

    const RATE: Rate = Rate { lines: 10, lines_burst: 20, bytes: 1_000_000, bytes_burst: 1_000_000 };
    const ALICE: AuthorId = AuthorId([1; 32]);
    const BOB: AuthorId = AuthorId([2; 32]);

    fn line(author: AuthorId) -> Option<Arc<Line>> {
        let (name, text) = (Name::parse("a").ok()?, Text::parse("hello").ok()?);
        let id = LineId { author, session: SessionId(1), n: 1 };
        let uid = Uid(([127, 0, 0, 1], 1).into());
        Some(Arc::new(Line { id, lamport: Lamport(1), name, uid, text, channel: None, act: None, signature: None }))
    }

    fn lines(author: AuthorId, count: usize) -> Vec<Arc<Line>> {
        std::iter::repeat_n(line(author), count).flatten().collect()
    }

    fn ids(author: AuthorId) -> Vec<LineId> {
        lines(author, 1).iter().map(|line| line.id).collect()
    }

    #[test]
    fn an_author_waits_for_its_own_lines_and_apart_from_them_for_those_of_others() {
        // Alice's node submits so many lines of Alice and of Bob; the waits afterwards, in milliseconds: of Alice's own
        // lines, of an offer of Bob's lines, of an offer of both, and of Bob's own lines.
        let table = [
            ("nothing", 0, 0, [0, 0, 0, 0]),
            ("the burst", 20, 0, [0, 0, 0, 0]),
            ("more than the burst", 25, 0, [500, 0, 500, 0]),
            ("ten times the burst of others", 0, 200, [0, 0, 0, 0]),
            ("more of others", 0, 250, [0, 500, 500, 0]),
            ("more of both", 30, 250, [1_000, 500, 1_000, 0]),
        ];
        for (case, own, others, waits) in table {
            let mut admission = Admission::new(RATE);
            admission.charge(Time(0), ALICE, &[lines(ALICE, own), lines(BOB, others)].concat());
            let both = [ids(ALICE), ids(BOB)].concat();
            let found = [
                admission.wait(Time(0), ALICE),
                admission.offer_wait(Time(0), ALICE, &ids(BOB)),
                admission.offer_wait(Time(0), ALICE, &both),
                admission.wait(Time(0), BOB),
            ];
            assert_eq!(found, waits.map(Span::ms), "{case}");
            assert_eq!(admission.offer_wait(Time(0), ALICE, &[]), Span(0), "{case}: an empty offer waits for nothing");
            assert_eq!(admission.wait(Time(0) + Span::ms(waits[0]), ALICE), Span(0), "{case}: afterwards");
        }
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let mut admission = Admission::new(Rate::UNLIMITED);
        admission.charge(Time(0), ALICE, &lines(ALICE, 1_000));
        assert_eq!((admission.wait(Time(0), ALICE), admission.buckets()), (Span(0), 0));
    }

    #[test]
    fn private_messages_have_a_rate_of_their_own() {
        let mut admission = Admission::new(Rate::UNLIMITED);
        let burst = usize::try_from(PM_RATE.lines_burst).unwrap_or(usize::MAX);
        let table = [("the burst", burst, 0), ("one more", 1, 1_000 / PM_RATE.lines)];
        for (case, more, wait) in table {
            (0..more).for_each(|_| admission.count_private_message(Time(0), ALICE, 1, 1));
            assert_eq!(admission.private_message_wait(Time(0), ALICE, 1), Span::ms(wait), "{case}");
        }
        let mut twice = Admission::new(Rate::UNLIMITED);
        (0..2 * burst).for_each(|_| twice.count_private_message(Time(0), ALICE, 2, 1));
        assert_eq!(twice.private_message_wait(Time(0), ALICE, 2), Span(0), "twice the burst at twice the rate");
        assert_eq!(admission.private_message_wait(Time(0), BOB, 1), Span(0), "another author");
        assert_eq!(admission.wait(Time(0), ALICE), Span(0), "lines are not messages");
    }

    #[test]
    fn authors_that_owe_nothing_make_room() {
        let mut admission = Admission::new(RATE);
        let author = |k: usize| AuthorId::of_bits(k as u64);
        for k in 0..BUCKETS_MAX {
            admission.count_private_message(Time(0), author(k), 1, 1);
        }
        assert_eq!(admission.buckets(), BUCKETS_MAX);
        let next = author(BUCKETS_MAX);
        admission.count_private_message(Time(0), next, 1, 1);
        assert_eq!(admission.buckets(), BUCKETS_MAX, "all owe something: the next one is not counted");
        let later = Time(0) + Span::ms(60_000);
        admission.count_private_message(later, next, 1, 1);
        assert_eq!(admission.buckets(), 1, "all others have been paid");
    }

    #[test]
    fn people_are_told_once_a_minute_that_lines_go_out_slowly() {
        let mut admission = Admission::new(RATE);
        let table = [(0, true), (1, false), (59_999, false), (60_000, true), (60_001, false), (200_000, true)];
        for (ms, told) in table {
            let expected = told.then_some(Event::Throttled);
            assert_eq!(admission.slowed(Time(0) + Span::ms(ms)), expected, "at {ms} ms");
        }
    }
}
