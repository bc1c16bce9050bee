//! The line that the user types: what keys do at the moment, and the user's own lines that the log does not have yet.

use std::collections::VecDeque;

use super::search::Search;
use crate::frontend::tui::input::LineInput;

/// Own lines that the screen shows as waiting, at most; the screen counts the others.
const PENDING_LINES_MAX: usize = 256;

/// What keys do at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ComposerMode {
    /// They edit the line.
    #[default]
    Talk,
    /// They edit a search, or walk through its hits.
    Search(Search),
    /// They answer whether to send these pasted lines.
    Ask(Vec<String>),
    /// They scroll the help, whose first visible line has this number.
    Help(u16),
}

/// The typed line and what became of the lines before it.
#[derive(Clone, Debug, Default)]
pub struct Composer {
    pub input: LineInput,
    pub mode: ComposerMode,
    pending: VecDeque<String>,
    waiting: u64,
}

impl Composer {
    /// The search, while there is one.
    pub fn search(&self) -> Option<&Search> {
        match &self.mode {
            ComposerMode::Search(search) => Some(search),
            ComposerMode::Talk | ComposerMode::Ask(_) | ComposerMode::Help(_) => None,
        }
    }

    /// The text beside the prompt and the caret in it, in bytes.
    pub fn typed(&self) -> (&str, usize) {
        match self.search() {
            Some(search) => (search.query(), search.query().len()),
            None => (self.input.text(), self.input.caret()),
        }
    }

    /// Own lines without a place in the log, the oldest first. The node may count more of them, see
    /// [`waiting`](Self::waiting).
    pub fn pending(&self) -> &VecDeque<String> {
        &self.pending
    }

    /// How many own lines wait for a leader, as the node counts them.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Remembers a line that goes to the node; forgets the oldest of too many.
    pub fn add_pending(&mut self, line: &str) {
        if self.pending.len() == PENDING_LINES_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back(line.to_owned());
    }

    /// The log has this own line. The leader orders own lines as the user typed them: older pending lines were
    /// refused, or were something else.
    pub fn confirm(&mut self, text: &str) {
        if let Some(place) = self.pending.iter().position(|typed| typed.trim() == text.trim()) {
            self.pending.drain(..=place);
        }
    }

    /// Takes the number of own lines that wait for a leader; none pending are left when it is zero.
    pub fn set_waiting(&mut self, lines: u64) {
        self.waiting = lines;
        if lines == 0 {
            self.pending.clear();
        }
    }

    /// Takes the number from a report of the node's state, which matters only where it ends the waiting: a report may
    /// be older than the pending lines.
    pub fn on_state(&mut self, waiting: u64) {
        if waiting == 0 && self.waiting > 0 {
            self.set_waiting(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_pending(lines: &[&str]) -> Composer {
        let mut composer = Composer::default();
        lines.iter().for_each(|line| composer.add_pending(line));
        composer
    }

    #[test]
    fn a_confirmed_line_takes_older_ones_along() {
        let mut composer = with_pending(&["one", "two ", "three"]);
        composer.confirm("something else");
        assert_eq!(composer.pending().len(), 3);
        composer.confirm("two");
        assert_eq!(composer.pending(), &["three"]);
    }

    #[test]
    fn a_report_of_the_state_ends_the_waiting_and_never_begins_it() {
        let mut composer = with_pending(&["one"]);
        composer.on_state(0);
        composer.on_state(4);
        assert_eq!((composer.waiting(), composer.pending().len()), (0, 1));
        composer.set_waiting(1);
        composer.on_state(1);
        assert_eq!((composer.waiting(), composer.pending().len()), (1, 1));
        composer.on_state(0);
        assert_eq!((composer.waiting(), composer.pending().len()), (0, 0));
    }

    #[test]
    fn pending_lines_are_bounded() {
        let mut composer = Composer::default();
        (0..=PENDING_LINES_MAX).for_each(|n| composer.add_pending(&n.to_string()));
        assert_eq!((composer.pending().len(), composer.pending()[0].as_str()), (PENDING_LINES_MAX, "1"));
    }

    #[test]
    fn a_search_stands_beside_the_prompt_instead_of_the_line() {
        let mut composer = Composer::default();
        assert!(composer.input.edit().insert("hello"));
        assert_eq!(composer.typed(), ("hello", 5));
        let mut search = Search::begin();
        search.push("tea");
        composer.mode = ComposerMode::Search(search);
        assert_eq!(composer.typed(), ("tea", 3));
    }
}
