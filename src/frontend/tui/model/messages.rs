//! The messages that the user can scroll to: lines, events and notes.

use std::collections::{BTreeMap, VecDeque};

use crate::present::values::{FeedLine, FeedPm, FeedReactions, ReactionCount};

/// Most messages kept; `/history` knows older ones.
pub const MESSAGES_MAX: usize = 10_000;
/// Most bytes kept.
pub const MESSAGES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rough cost of a message besides its text.
const OVERHEAD_BYTES: usize = 256;
/// Characters of a line that a reply to it quotes.
const QUOTE_CHARS: usize = 40;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number among all messages of this screen, from zero.
    pub seq: u64,
    /// Its channel; `None`: every channel shows it.
    pub channel: Option<String>,
    /// Its content.
    pub what: MessageRow,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageRow {
    /// A line of the log.
    Line {
        /// The line.
        line: Box<FeedLine>,
        /// For a reply: the author and the beginning of the quoted line.
        quote: Option<(String, String)>,
    },
    /// A private message.
    Private(FeedPm),
    /// An event in the room.
    Event(String),
    /// A note of the program.
    Note(String),
    /// A rule that separates, for instance, old lines from new ones.
    Divider(String),
}

impl Message {
    /// The text that a search looks through.
    pub fn text(&self) -> &str {
        match &self.what {
            MessageRow::Line { line, .. } => &line.text,
            MessageRow::Private(private) => &private.text,
            MessageRow::Event(text) | MessageRow::Note(text) | MessageRow::Divider(text) => text,
        }
    }

    /// The author, if it has one.
    pub fn author(&self) -> Option<&str> {
        match &self.what {
            MessageRow::Line { line, .. } => Some(line.name.as_str()),
            MessageRow::Private(private) => Some(private.from.as_str()),
            MessageRow::Event(_) | MessageRow::Note(_) | MessageRow::Divider(_) => None,
        }
    }

    /// Whether a screen that shows this channel shows the message.
    pub fn is_in(&self, channel: &str) -> bool {
        self.channel.as_deref().is_none_or(|own| own == channel)
    }

    fn bytes(&self) -> usize {
        let quote = match &self.what {
            MessageRow::Line { quote: Some((name, text)), .. } => name.len() + text.len(),
            MessageRow::Line { quote: None, .. }
            | MessageRow::Private(_)
            | MessageRow::Event(_)
            | MessageRow::Note(_)
            | MessageRow::Divider(_) => 0,
        };
        self.text().len() + quote + OVERHEAD_BYTES
    }
}

/// The kept messages.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    kept: VecDeque<Message>,
    bytes: usize,
    /// The number of messages so far, with those no longer kept.
    count: u64,
    /// The message number of each line, by the line's timestamp.
    by_ts: BTreeMap<u64, u64>,
}

impl Messages {
    /// Adds a message and returns its number; drops the oldest beyond the limits.
    pub fn push(&mut self, channel: Option<String>, what: MessageRow) -> u64 {
        let seq = self.count;
        self.count += 1;
        if let MessageRow::Line { line, .. } = &what {
            self.by_ts.insert(line.ts, seq);
        }
        let message = Message { seq, channel, what };
        self.bytes += message.bytes();
        self.kept.push_back(message);
        while (self.kept.len() > MESSAGES_MAX || self.bytes > MESSAGES_BYTES_MAX)
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.bytes();
            if let MessageRow::Line { line, .. } = &oldest.what
                && self.by_ts.get(&line.ts) == Some(&oldest.seq)
            {
                self.by_ts.remove(&line.ts);
            }
        }
        seq
    }

    /// The author and the beginning of the line with this timestamp.
    pub fn quote(&self, ts: u64) -> Option<(String, String)> {
        let message = self.get(*self.by_ts.get(&ts)?)?;
        let mut begins: String = message.text().chars().take(QUOTE_CHARS).collect();
        if begins.len() < message.text().len() {
            begins.push('…');
        }
        Some((message.author()?.to_owned(), begins))
    }

    /// Replaces the reactions to a line. `false`: the line is not kept.
    pub fn react(&mut self, reactions: &FeedReactions) -> bool {
        let place = self.by_ts.get(&reactions.ts).and_then(|seq| self.place(*seq));
        let Some(message) = place.and_then(|place| self.kept.get_mut(place)) else { return false };
        if let MessageRow::Line { line, .. } = &mut message.what {
            line.reactions.clone_from(&reactions.reactions);
        }
        true
    }

    fn place(&self, seq: u64) -> Option<usize> {
        let first = self.kept.front()?.seq;
        usize::try_from(seq.checked_sub(first)?).ok().filter(|place| *place < self.kept.len())
    }

    /// The message of this number, if kept.
    pub fn get(&self, seq: u64) -> Option<&Message> {
        self.kept.get(self.place(seq)?)
    }

    /// All messages, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.kept.iter()
    }

    /// The messages from this number on, the oldest first.
    pub fn from(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Message> {
        let first = self.kept.front().map_or(0, |message| message.seq);
        let skip = usize::try_from(seq.saturating_sub(first)).unwrap_or(usize::MAX).min(self.kept.len());
        self.kept.range(skip..)
    }

    /// The messages up to this number, the oldest first.
    pub fn up_to(&self, seq: u64) -> impl DoubleEndedIterator<Item = &Message> {
        let end = self.place(seq).map_or_else(
            || if self.kept.front().is_some_and(|first| first.seq > seq) { 0 } else { self.kept.len() },
            |place| place + 1,
        );
        self.kept.range(..end)
    }

    /// The number of messages kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether no message is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Drops all messages.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.by_ts.clear();
        self.bytes = 0;
    }
}

/// Reactions and their numbers as a short text.
pub fn tally(reactions: &[ReactionCount]) -> String {
    let each: Vec<String> = reactions.iter().map(|count| format!("{} {}", count.with, count.count)).collect();
    each.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut messages = Messages::default();
        for _ in 0..MESSAGES_MAX + 5 {
            messages.push(None, MessageRow::Note("x".to_owned()));
        }
        assert_eq!((messages.len(), messages.iter().next().map(|first| first.seq)), (MESSAGES_MAX, Some(5)));
        assert!(messages.get(4).is_none() && messages.get(5).is_some());
        assert_eq!(messages.up_to(6).count(), 2);
        assert_eq!(messages.up_to(3).count(), 0);
        assert_eq!(messages.from(3).count(), MESSAGES_MAX);
        for _ in 0..3 {
            messages.push(None, MessageRow::Note("x".repeat(MESSAGES_BYTES_MAX / 2)));
        }
        assert_eq!(messages.len(), 1);
    }
}
