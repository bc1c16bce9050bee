//! Prints lines of the history, many at once, each with its reactions.

use std::io;
use std::sync::Arc;

use crate::present::history_lines::{Json, Plain};
use crate::ring::{Emoji, Entry, LineId};
use crate::store::{Error, ReactionCounts, ReactionSnapshot};

/// Lines whose reactions are read together.
const PAGE_LINES: usize = 1024;
/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 64 * 1024;
/// The form of printed lines.
pub(crate) enum HistoryFormat {
    Plain(Plain),
    Json(Json),
}

/// Writes lines to an output, many at once.
pub(crate) struct HistoryOut<'a, W> {
    tally: ReactionSnapshot<'a>,
    format: HistoryFormat,
    /// Lines whose reactions were not read yet.
    page: Vec<Arc<Entry>>,
    text: String,
    out: W,
    failed: Option<io::Error>,
    /// `false`: the last page's reactions are missing, because the log was cut.
    counted: Result<bool, Error>,
}

impl<'a, W: io::Write> HistoryOut<'a, W> {
    /// An output without lines.
    pub(crate) fn new(tally: ReactionSnapshot<'a>, format: HistoryFormat, out: W) -> Self {
        Self { tally, format, page: Vec::new(), text: String::new(), out, failed: None, counted: Ok(true) }
    }

    /// Writes the rest. Returns the write error, if there was one, and whether all reactions were counted.
    pub(crate) fn finish(mut self) -> (Option<io::Error>, Result<bool, Error>) {
        self.turn_page();
        self.write();
        (self.failed, self.counted)
    }

    /// Takes the next line. Returns whether it wants more.
    pub(crate) fn take(&mut self, entry: &Arc<Entry>) -> bool {
        self.page.push(Arc::clone(entry));
        if self.page.len() >= PAGE_LINES {
            self.turn_page();
            if self.text.len() >= WRITE_BYTES {
                self.write();
            }
        }
        self.failed.is_none() && self.counted == Ok(true)
    }

    /// Appends the page's lines with their reactions.
    fn turn_page(&mut self) {
        if self.page.is_empty() {
            return;
        }
        let counts = self.tally.of(&ids(&self.page));
        self.counted = counts.as_ref().map(Option::is_some).map_err(Clone::clone);
        let counts = counts.ok().flatten().unwrap_or_default();
        for entry in self.page.drain(..) {
            let put = put_to(&entry, &counts);
            match &mut self.format {
                HistoryFormat::Plain(plain) => plain.push(&entry, put, &mut self.text),
                HistoryFormat::Json(json) => json.push(&entry, put, &mut self.text),
            }
        }
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            let done = self.out.write_all(self.text.as_bytes()).and_then(|()| self.out.flush());
            self.failed = done.err();
        }
        self.text.clear();
    }
}

/// The lines of these entries.
pub(super) fn ids<'a>(entries: impl IntoIterator<Item = &'a Arc<Entry>>) -> Vec<LineId> {
    entries.into_iter().filter_map(|entry| entry.line()).map(|line| line.id).collect()
}

/// The reactions on an entry's line.
pub(super) fn put_to<'a>(entry: &Entry, counts: &'a ReactionCounts) -> &'a [(Emoji, u64)] {
    entry.line().and_then(|line| counts.get(&line.id)).map_or(&[], Vec::as_slice)
}
