//! What was said while somebody was away, gathered until all of it has come.

use std::collections::VecDeque;

use super::broadcaster::Broadcaster;
use crate::chatlog;
use crate::present::builder::Presentation;
use crate::present::format;
use crate::present::values::Update;

/// Bytes of what was missed that are shown at most: the newest.
const AWAY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// A flat rate in bytes for a value beside its text.
const VALUE_BYTES: usize = 512;

/// What was said while somebody was away, as far as it has come.
#[derive(Debug, Default)]
pub struct CatchUp {
    /// How many lines, where that is known beforehand.
    lines: Option<u64>,
    text: Newest<String>,
    told: Newest<Update>,
}

impl CatchUp {
    /// Nothing has come yet; `lines`: how many were missed, where that is known.
    pub fn new(lines: Option<u64>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Takes what is to be shown.
    pub fn keep(&mut self, shown: &mut Presentation) {
        for line in shown.text.split_inclusive('\n') {
            self.text.keep(line.to_owned(), line.len(), |line| is_line(line));
        }
        shown.text.clear();
        for told in shown.told.drain(..) {
            let bytes = VALUE_BYTES + if let Update::Line(line) = &told { line.text.len() } else { 0 };
            self.told.keep(told, bytes, |told| matches!(told, Update::Line(_)));
        }
    }

    /// Shows it, and that it is over.
    pub fn show(self, broadcaster: &Broadcaster) {
        let lines = self.lines.unwrap_or(self.text.came).max(self.text.came);
        let mut text = String::new();
        if lines > 0 {
            format::push_screen_event(&mut text, &format::away_text(lines, self.text.came - self.text.dropped));
        }
        for line in self.text.kept {
            text.push_str(&line);
            if text.len() >= chatlog::WRITE_BYTES_MAX {
                broadcaster.text(&text);
                text.clear();
            }
        }
        if lines > 0 {
            format::push_screen_event(&mut text, "now");
        }
        broadcaster.text(&text);
        if lines > 0 {
            broadcaster.tell(Update::Missed { lines: Some(lines) });
        }
        for told in self.told.kept {
            broadcaster.tell(past(told));
        }
        if lines > 0 {
            broadcaster.tell(Update::CaughtUp);
        }
    }
}

fn past(told: Update) -> Update {
    match told {
        Update::Line(mut line) => {
            line.past = true;
            Update::Line(line)
        }
        other => other,
    }
}

/// The newest of what comes.
#[derive(Debug)]
struct Newest<T> {
    kept: VecDeque<T>,
    weights: VecDeque<(usize, bool)>,
    bytes: usize,
    /// Lines that have come.
    came: u64,
    /// Of these, lines that were dropped.
    dropped: u64,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), weights: VecDeque::new(), bytes: 0, came: 0, dropped: 0 }
    }
}

impl<T> Newest<T> {
    fn keep(&mut self, what: T, bytes: usize, is_line: impl Fn(&T) -> bool) {
        let is_line = is_line(&what);
        self.came += u64::from(is_line);
        self.bytes += bytes;
        self.kept.push_back(what);
        self.weights.push_back((bytes, is_line));
        while self.bytes > AWAY_BYTES_MAX
            && let (Some(_), Some((oldest, was_line))) = (self.kept.pop_front(), self.weights.pop_front())
        {
            self.bytes -= oldest;
            self.dropped += u64::from(was_line);
        }
    }
}

/// Whether this is a line of a person, as the screen shows it.
fn is_line(shown: &str) -> bool {
    shown.starts_with("> ")
}
