//! The lines that the user typed before.

use std::collections::VecDeque;

/// Most lines remembered.
pub const RECALL_LINES_MAX: usize = 1000;

/// Earlier lines, and the position of the arrow keys among them.
#[derive(Clone, Debug, Default)]
pub struct Recall {
    lines: VecDeque<String>,
    /// How many lines back the user is; zero: at the line being typed.
    back: usize,
    draft: String,
}

impl Recall {
    /// Remembers an entered line, unless it is blank or repeats the one before.
    pub fn add(&mut self, line: &str) {
        self.back = 0;
        if line.trim().is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        if self.lines.len() == RECALL_LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// The user begins a new line, and the arrow keys start there again.
    pub fn rewind(&mut self) {
        self.back = 0;
    }

    /// The line before. `current`, the line being typed, is saved at the first step back.
    pub fn older(&mut self, current: &str) -> Option<String> {
        if self.back == self.lines.len() {
            return None;
        }
        if self.back == 0 {
            self.draft = current.to_owned();
        }
        self.back += 1;
        self.lines.get(self.lines.len() - self.back).cloned()
    }

    /// The line after; at last the saved line.
    pub fn newer(&mut self) -> Option<String> {
        self.back = self.back.checked_sub(1)?;
        match self.back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.lines.get(self.lines.len() - back).cloned(),
        }
    }

    /// The newest line that contains `words` and is more than `back` lines back: how far back it is, and its text.
    pub fn search(&self, words: &str, back: usize) -> Option<(usize, &str)> {
        let mut lines = self.lines.iter().rev().enumerate().skip(back);
        lines.find(|(_, line)| line.contains(words)).map(|(at, line)| (at + 1, line.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_walk_through_what_was_typed_and_back_to_the_draft() {
        let mut recall = Recall::default();
        assert_eq!(recall.older("x"), None);
        ["a", "b", "b", " "].into_iter().for_each(|line| recall.add(line));
        assert_eq!(recall.older("draft").as_deref(), Some("b"));
        assert_eq!(recall.older("b").as_deref(), Some("a"));
        assert_eq!(recall.older("a"), None);
        assert_eq!(recall.newer().as_deref(), Some("b"));
        assert_eq!(recall.newer().as_deref(), Some("draft"));
        assert_eq!(recall.newer(), None);
    }

    #[test]
    fn what_was_typed_is_bounded() {
        let mut recall = Recall::default();
        (0..2 * RECALL_LINES_MAX).for_each(|n| recall.add(&n.to_string()));
        assert_eq!(recall.lines.len(), RECALL_LINES_MAX);
    }

    #[test]
    fn a_search_goes_further_back_each_time() {
        let mut recall = Recall::default();
        ["make tea", "drink", "make coffee"].into_iter().for_each(|line| recall.add(line));
        assert_eq!(recall.search("make", 0), Some((1, "make coffee")));
        assert_eq!(recall.search("make", 1), Some((3, "make tea")));
        assert_eq!(recall.search("make", 3), None);
    }
}
