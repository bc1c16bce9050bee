//! What was put to lines, as frontends are told: of lines that came lately from memory, of older ones from the history.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use super::feed::{self, Count, Told};
use crate::history;
use crate::ring::{Act, AuthorId, Emoji, Entry, Lamport, LineId, Name};
use crate::text;

/// Lines of which it is known from memory what was put to them.
const RECENT_LINES_MAX: usize = 4096;
/// Reactions remembered of one line; whoever comes later with another does not count until the line is read in the
/// history.
const REACTIONS_MAX: usize = 4096;
/// Older lines that are looked up at once: beyond, nobody is told of them now.
const OLD_LINES_MAX: usize = 64;
/// Characters of a line's beginning.
const BEGINNING_CHARS: usize = 40;

/// See the module.
#[derive(Debug, Default)]
pub struct Likes {
    recent: BTreeMap<LineId, Recent>,
    order: VecDeque<LineId>,
    /// Lines to which something was put since this was told last.
    changed: BTreeSet<LineId>,
    /// Older ones, with the timestamp that the reaction names.
    old: BTreeMap<LineId, Lamport>,
    /// The file with the history, if one is kept.
    past: Option<PathBuf>,
}

#[derive(Debug)]
struct Recent {
    ts: Lamport,
    name: Name,
    beginning: String,
    put: BTreeMap<(Emoji, AuthorId), bool>,
}

impl Likes {
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
        if self.order.len() >= RECENT_LINES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
        let recent = Recent {
            ts: entry.lamport,
            name: line.name.clone(),
            beginning: beginning(line.words()),
            put: BTreeMap::new(),
        };
        self.recent.insert(line.id, recent);
        self.order.push_back(line.id);
    }

    fn put(&mut self, to: LineId, with: &Emoji, by: AuthorId, on: bool, typed: &str) {
        if let Some(recent) = self.recent.get_mut(&to) {
            let key = (with.clone(), by);
            if recent.put.len() < REACTIONS_MAX || recent.put.contains_key(&key) {
                recent.put.insert(key, on);
            }
            self.changed.insert(to);
        } else if self.old.len() < OLD_LINES_MAX
            && let Some(ts) = typed.split_whitespace().next_back().and_then(|last| last.parse().ok())
        {
            self.old.insert(to, Lamport(ts));
        }
    }

    /// What has changed since this was asked last.
    pub fn changes(&mut self) -> Vec<Told> {
        let mut told = Vec::with_capacity(self.changed.len() + self.old.len());
        for id in std::mem::take(&mut self.changed) {
            let Some(recent) = self.recent.get(&id) else { continue };
            told.push(Told::Reactions(feed::Reactions {
                ts: recent.ts.0,
                name: recent.name.clone(),
                text: recent.beginning.clone(),
                reactions: counts(&recent.put),
            }));
        }
        for (id, ts) in std::mem::take(&mut self.old) {
            // The reaction's author may have named another line: it counts for the one that it means.
            let Some(liked) = self.past.as_deref().and_then(|past| history::put_to_line(past, ts, id)) else {
                continue;
            };
            let Some(line) = liked.entry.line() else { continue };
            told.push(Told::Reactions(feed::Reactions {
                ts: ts.0,
                name: line.name.clone(),
                text: beginning(line.words()),
                reactions: Count::all(&liked.reactions),
            }));
        }
        told
    }
}

/// How many authors have put what: the most frequent first.
fn counts(put: &BTreeMap<(Emoji, AuthorId), bool>) -> Vec<Count> {
    let mut all: Vec<Count> = Vec::new();
    for ((with, _), _) in put.iter().filter(|(_, on)| **on) {
        match all.last_mut() {
            Some(last) if last.with == with.as_str() => last.count += 1,
            _ => all.push(Count { with: with.as_str().to_owned(), count: 1 }),
        }
    }
    all.sort_by_key(|count| std::cmp::Reverse(count.count));
    all
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

    use std::sync::Arc;

    use super::*;
    use crate::ring::{Body, Epoch, Index, Line, Nonce, SessionId, Text, WallMs};

    fn entry(n: u64, by: u64, text: &str, act: Option<Act>) -> Entry {
        let line = Line {
            id: LineId { author: AuthorId::of_bits(by), session: SessionId(by), n },
            lamport: Lamport(n),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act,
            seal: None,
        };
        let epoch = Epoch { round: 1, leader: line.uid, nonce: Nonce(1) };
        Entry { epoch, index: Index(n), lamport: Lamport(10 * n), wall: WallMs(0), body: Body::Line(Arc::new(line)) }
    }

    #[test]
    fn ten_thousand_likes_of_five_are_five() {
        let mut likes = Likes::new(None);
        let first = entry(1, 1, "shall we deploy?", None);
        let to = first.line().unwrap().id;
        assert_eq!(likes.take(&first), None);
        for n in 0..10_000 {
            let act = Act::React { to, with: Emoji::like(), on: true };
            assert_eq!(likes.take(&entry(2 + n, 1 + n % 5, "/like 10", Some(act))), Some(10));
        }
        let told = likes.changes();
        let expected = feed::Reactions {
            ts: 10,
            name: Name::parse("ann").unwrap(),
            text: "shall we deploy?".to_owned(),
            reactions: vec![Count { with: "👍".to_owned(), count: 5 }],
        };
        assert_eq!(told, [Told::Reactions(expected)]);
        assert!(likes.changes().is_empty(), "told once");
        let act = Act::React { to, with: Emoji::like(), on: false };
        likes.take(&entry(20_000, 3, "/unlike 10", Some(act)));
        let [Told::Reactions(now)] = &likes.changes()[..] else { panic!("one line has changed") };
        assert_eq!(now.reactions[0].count, 4);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut likes = Likes::new(None);
        for n in 1..=2 * RECENT_LINES_MAX as u64 {
            likes.take(&entry(n, 1, "hello", None));
        }
        assert_eq!((likes.recent.len(), likes.order.len()), (RECENT_LINES_MAX, RECENT_LINES_MAX));
        for n in 1..=2 * OLD_LINES_MAX as u64 {
            let to = LineId { author: AuthorId::of_bits(9), session: SessionId(9), n };
            likes.take(&entry(n, 2, "/like 10", Some(Act::React { to, with: Emoji::like(), on: true })));
        }
        assert_eq!(likes.old.len(), OLD_LINES_MAX);
    }
}
