//! What was put to lines, as frontends are told: of lines that came lately from memory, of older ones from the history.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use crate::present::values::{self, ReactionCount, Update};
use crate::ring::{Act, AuthorId, Emoji, Entry, Lamport, Line, LineId, Name, Reactions};
use crate::store::{REACTIONS_MAX, ReactionReader};
use crate::text;

/// Lines of which it is known from memory what was put to them.
const RECENT_LINES_MAX: usize = 4096;
/// Last words about one line that are remembered, one for each author and emoji. Of a line with more, the history is
/// asked each time, and whoever is beyond does not count until then.
const WORDS_MAX: usize = 1024;
/// Last words about all lines that are remembered, beside those about lines that are looked up.
const ALL_WORDS_MAX: usize = OLD_LINES_MAX * WORDS_MAX;
/// Older lines that are looked up at once: beyond, nobody is told of them now.
const OLD_LINES_MAX: usize = 64;
/// Characters of a line's beginning.
const BEGINNING_CHARS: usize = 40;

/// See the module.
#[derive(Debug, Default)]
pub struct ReactionFeed {
    recent: BTreeMap<LineId, RecentReactions>,
    order: VecDeque<LineId>,
    /// What was put to recent lines, and lately to older ones.
    put: Reactions,
    /// Lines to which something was put since this was told last.
    changed: BTreeSet<LineId>,
    /// Older ones, with the timestamp that the reaction names.
    old: BTreeMap<LineId, Lamport>,
    /// The file with the history, if one is kept.
    past: Option<PathBuf>,
    /// It, once something was looked up.
    counter: Option<ReactionReader>,
}

#[derive(Debug)]
struct RecentReactions {
    ts: Lamport,
    name: Name,
    beginning: String,
}

impl ReactionFeed {
    /// Nothing yet; what is older than what comes stands in this file.
    pub fn new(past: Option<PathBuf>) -> Self {
        Self { past, ..Self::default() }
    }

    /// Nobody is told any more: what comes from here on is read in the history when somebody is again.
    pub fn forget(&mut self) {
        if !self.order.is_empty() {
            *self = Self::new(self.past.take());
        }
    }

    /// Takes an entry, and gives the timestamp of the line that it answers or is put to, where that is known.
    pub fn take(&mut self, entry: &Entry) -> Option<u64> {
        let line = entry.line()?;
        let meant = match &line.act {
            Some(Act::Reply(to)) => *to,
            Some(Act::React { to, with, on }) => {
                self.put(*to, with, line.id.author, *on, line.text.as_str());
                *to
            }
            Some(_) | None => {
                self.remember(entry);
                return None;
            }
        };
        if !matches!(line.act, Some(Act::React { .. })) {
            self.remember(entry);
        }
        self.recent.get(&meant).map(|recent| recent.ts.0)
    }

    fn remember(&mut self, entry: &Entry) {
        let Some(line) = entry.line() else { return };
        // A line that was cut comes again, with another timestamp perhaps.
        if let Some(known) = self.recent.get_mut(&line.id) {
            known.ts = entry.lamport;
            return;
        }
        self.keep(line.id, RecentReactions::of(entry, line));
    }

    fn keep(&mut self, id: LineId, recent: RecentReactions) {
        if self.recent.insert(id, recent).is_none() {
            self.order.push_back(id);
        }
        self.make_room();
    }

    /// Forgets the oldest lines. What was put to them since this was told last is looked up.
    fn make_room(&mut self) {
        while (self.order.len() > RECENT_LINES_MAX || self.put.len() > ALL_WORDS_MAX)
            && let Some(oldest) = self.order.pop_front()
        {
            self.put.forget(oldest);
            if let Some(recent) = self.recent.remove(&oldest)
                && self.changed.remove(&oldest)
                && self.old.len() < OLD_LINES_MAX
            {
                self.old.insert(oldest, recent.ts);
            }
        }
    }

    fn put(&mut self, to: LineId, with: &Emoji, by: AuthorId, on: bool, typed: &str) {
        if self.recent.contains_key(&to) {
            self.changed.insert(to);
        } else if (self.old.len() < OLD_LINES_MAX || self.old.contains_key(&to))
            && let Some(ts) = typed.split_whitespace().next_back().and_then(|last| last.parse().ok())
        {
            self.old.insert(to, Lamport(ts));
        } else {
            return;
        }
        if self.put.len_of(to) < WORDS_MAX || self.put.knows(to, with, by) {
            self.put.put(to, with.clone(), by, on);
            self.make_room();
        }
    }

    fn look_up(&mut self, old: &BTreeMap<LineId, Lamport>) -> Option<(Vec<Arc<Entry>>, Reactions)> {
        if self.counter.is_none() {
            self.counter = ReactionReader::open(self.past.as_deref()?).ok()?;
        }
        // What cannot be read now may be another time.
        let looked_up = self.counter.as_mut()?.look_up(old);
        looked_up.map_err(|_| self.counter = None).ok()
    }

    /// What has changed since this was asked last.
    pub fn changes(&mut self) -> Vec<Update> {
        let mut told = Vec::with_capacity(self.changed.len() + self.old.len());
        for id in std::mem::take(&mut self.changed) {
            told.extend(self.recent.get(&id).map(|recent| recent.told(id, &self.put)));
        }
        let old = std::mem::take(&mut self.old);
        if old.is_empty() {
            return told;
        }
        // The reaction's author may have named another line: it counts for the one that it means.
        let (found, mut words) = self.look_up(&old).unwrap_or_default();
        for entry in found {
            let Some(line) = entry.line() else { continue };
            let id = line.id;
            words.put_all(id, &self.put);
            self.put.forget(id);
            let recent = RecentReactions::of(&entry, line);
            told.push(recent.told(id, &words));
            if words.len_of(id) <= WORDS_MAX {
                self.put.put_all(id, &words);
                self.keep(id, recent);
            }
        }
        for id in old.into_keys().filter(|id| !self.recent.contains_key(id)) {
            self.put.forget(id);
        }
        told
    }
}

impl RecentReactions {
    fn of(entry: &Entry, line: &Line) -> Self {
        Self { ts: entry.lamport, name: line.name.clone(), beginning: beginning(line.words()) }
    }

    fn told(&self, id: LineId, put: &Reactions) -> Update {
        let mut counts = put.of(id);
        counts.truncate(REACTIONS_MAX);
        Update::Reactions(values::FeedReactions {
            ts: self.ts.0,
            name: self.name.clone(),
            text: self.beginning.clone(),
            reactions: ReactionCount::all(&counts),
        })
    }
}

fn beginning(words: &str) -> String {
    let words = text::visible(words);
    match words.char_indices().nth(BEGINNING_CHARS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{Body, Epoch, Index, Nonce, Record, RoomId, SessionId, Text, WallMs};
    use crate::store::Sqlite;

    fn entry(n: u64, by: u64, text: &str, act: Option<Act>) -> Entry {
        let line = Line {
            id: LineId { author: AuthorId::of_bits(by), session: SessionId(by), n },
            lamport: Lamport(n),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act,
            signature: None,
        };
        let epoch = Epoch { round: 1, leader: line.uid, nonce: Nonce(1) };
        Entry { epoch, index: Index(n), lamport: Lamport(10 * n), wall: WallMs(0), body: Body::Line(Arc::new(line)) }
    }

    #[test]
    fn ten_thousand_likes_of_five_are_five() {
        let mut likes = ReactionFeed::new(None);
        let first = entry(1, 1, "shall we deploy?", None);
        let to = first.line().unwrap().id;
        assert_eq!(likes.take(&first), None);
        for n in 0..10_000 {
            let act = Act::React { to, with: Emoji::like(), on: true };
            assert_eq!(likes.take(&entry(2 + n, 1 + n % 5, "/like 10", Some(act))), Some(10));
        }
        let told = likes.changes();
        let expected = values::FeedReactions {
            ts: 10,
            name: Name::parse("ann").unwrap(),
            text: "shall we deploy?".to_owned(),
            reactions: vec![ReactionCount { with: "👍".to_owned(), count: 5 }],
        };
        assert_eq!(told, [Update::Reactions(expected)]);
        assert!(likes.changes().is_empty(), "told once");
        let act = Act::React { to, with: Emoji::like(), on: false };
        likes.take(&entry(20_000, 3, "/unlike 10", Some(act)));
        let [Update::Reactions(now)] = &likes.changes()[..] else { panic!("one line has changed") };
        assert_eq!(now.reactions[0].count, 4);
    }

    #[test]
    fn an_older_line_is_looked_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat_1.db");
        let mut file = Sqlite::open(&path).unwrap();
        file.enter(None, AuthorId::of_bits(1), SessionId(1)).unwrap();
        let first = entry(1, 1, "shall we deploy?", None);
        let to = first.line().unwrap().id;
        let like = |n, by, on| entry(n, by, "/like 10", Some(Act::React { to, with: Emoji::like(), on }));
        let before = [first, like(2, 2, true), like(3, 3, true)];
        file.write(&[Record::Room(RoomId(9)), Record::Append(before.map(Arc::new).to_vec())]).unwrap();
        let count = |told: Vec<Update>| match &told[..] {
            [Update::Reactions(now)] => {
                assert_eq!((now.ts, now.text.as_str()), (10, "shall we deploy?"));
                now.reactions.iter().map(|count| count.count).sum::<u64>()
            }
            told => panic!("one line has changed: {told:?}"),
        };
        let mut likes = ReactionFeed::new(Some(path));
        // The history may not hold yet what is told.
        assert_eq!(likes.take(&like(4, 4, true)), None);
        likes.take(&like(5, 3, false));
        assert_eq!(count(likes.changes()), 2, "of the second author and the fourth");
        drop((file, dir));
        assert_eq!(likes.take(&like(6, 5, true)), Some(10));
        assert_eq!(count(likes.changes()), 3);
    }

    #[test]
    fn a_line_that_is_not_where_a_reaction_says_costs_nothing() {
        let mut likes = ReactionFeed::new(None);
        let to = LineId { author: AuthorId::of_bits(9), session: SessionId(9), n: 1 };
        likes.take(&entry(1, 2, "/like 10", Some(Act::React { to, with: Emoji::like(), on: true })));
        assert_eq!(likes.put.len(), 1);
        assert_eq!(likes.changes(), []);
        assert!(likes.put.is_empty() && likes.old.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut likes = ReactionFeed::new(None);
        for n in 1..=2 * RECENT_LINES_MAX as u64 {
            likes.take(&entry(n, 1, "hello", None));
        }
        assert_eq!((likes.recent.len(), likes.order.len()), (RECENT_LINES_MAX, RECENT_LINES_MAX));
        for n in 1..=2 * OLD_LINES_MAX as u64 {
            let to = LineId { author: AuthorId::of_bits(9), session: SessionId(9), n };
            likes.take(&entry(n, 2, "/like 10", Some(Act::React { to, with: Emoji::like(), on: true })));
        }
        assert_eq!(likes.old.len(), OLD_LINES_MAX);
        assert_eq!(likes.put.len(), OLD_LINES_MAX);
    }

    #[test]
    fn what_is_remembered_of_lines_is_bounded_too() {
        let mut likes = ReactionFeed::new(None);
        let lines: Vec<Entry> = (1..=OLD_LINES_MAX as u64 + 1).map(|n| entry(n, 1, "hello", None)).collect();
        for line in &lines {
            likes.take(line);
        }
        for line in &lines {
            let to = line.line().unwrap().id;
            for by in 0..2 * WORDS_MAX as u64 {
                likes.take(&entry(by, by, "/like 10", Some(Act::React { to, with: Emoji::like(), on: true })));
            }
        }
        assert_eq!(likes.put.len(), ALL_WORDS_MAX);
        let oldest = lines[0].line().unwrap().id;
        assert!(!likes.recent.contains_key(&oldest), "the oldest line goes");
        assert_eq!(likes.old.get(&oldest), Some(&lines[0].lamport), "and is looked up");
    }
}
