//! The line that is being typed: edited letter by letter as people see them, recalled, completed.

use std::collections::VecDeque;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use crate::ring::limits::TEXT_BYTES_MAX;

/// Typed lines that can be called back.
const RECALL_LINES_MAX: usize = 1000;
/// Bytes that can be typed before Enter.
pub const INPUT_BYTES_MAX: usize = TEXT_BYTES_MAX;
/// Lines that can be typed before Enter; a paste of more asks first.
pub const INPUT_LINES_MAX: usize = 5;

/// What is being typed.
#[derive(Clone, Debug, Default)]
pub struct Input {
    text: String,
    /// Where the next letter goes: a byte, at the edge of a letter.
    caret: usize,
    /// What was cut last.
    cut: String,
    recall: VecDeque<String>,
    /// How many lines back; zero: at what is being typed.
    back: usize,
    draft: String,
    completing: Option<Completing>,
}

/// Tab was the last key.
#[derive(Clone, Debug)]
struct Completing {
    /// Where the word begins.
    start: usize,
    /// What may stand there; the last is what was typed.
    candidates: Vec<String>,
    at: usize,
}

impl Input {
    /// What is typed so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the caret, in bytes.
    pub fn caret(&self) -> usize {
        self.caret
    }

    /// Nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts text at the caret: control characters are left out but for ends of lines, and what is too long is not
    /// taken. `false`: it was not.
    pub fn insert(&mut self, text: &str) -> bool {
        self.completing = None;
        let clean: String =
            text.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| *c == '\n' || !c.is_control()).collect();
        let lines = self.text.matches('\n').count() + clean.matches('\n').count() + 1;
        if self.text.len() + clean.len() > INPUT_BYTES_MAX || lines > INPUT_LINES_MAX {
            return false;
        }
        self.text.insert_str(self.caret, &clean);
        self.caret += clean.len();
        // A mark that was put before a letter's end has joined it.
        self.caret = self.edge_from(self.caret);
        true
    }

    /// The first edge of a letter at or after `at`.
    fn edge_from(&self, at: usize) -> usize {
        match GraphemeCursor::new(at, self.text.len(), true).is_boundary(&self.text, 0) {
            Ok(true) => at,
            Ok(false) | Err(_) => self.after(at),
        }
    }

    fn before(&self, at: usize) -> usize {
        self.text[..at].grapheme_indices(true).next_back().map_or(0, |(start, _)| start)
    }

    fn after(&self, at: usize) -> usize {
        let next = GraphemeCursor::new(at, self.text.len(), true).next_boundary(&self.text, 0);
        next.ok().flatten().unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        self.text[..self.caret].unicode_word_indices().next_back().map_or(0, |(start, _)| start)
    }

    fn word_after(&self) -> usize {
        let mut words = self.text[self.caret..].unicode_word_indices();
        words.next().map_or(self.text.len(), |(start, word)| self.caret + start + word.len())
    }

    /// From the last space before the caret: what ^W takes.
    fn blank_before(&self) -> usize {
        let head = self.text[..self.caret].trim_end();
        head.rfind(char::is_whitespace).map_or(0, |at| at + head[at..].chars().next().map_or(1, char::len_utf8))
    }

    /// Moves the caret.
    pub fn go(&mut self, to: Go) {
        self.completing = None;
        self.caret = self.target(to);
    }

    fn target(&self, to: Go) -> usize {
        match to {
            Go::Left => self.before(self.caret),
            Go::Right => self.after(self.caret),
            Go::WordLeft => self.word_before(),
            Go::WordRight => self.word_after(),
            Go::BlankLeft => self.blank_before(),
            Go::Start => self.text[..self.caret].rfind('\n').map_or(0, |at| at + 1),
            Go::End => self.text[self.caret..].find('\n').map_or(self.text.len(), |at| self.caret + at),
        }
    }

    /// Takes away what stands between the caret and `to`; `keep`: [`Input::paste_cut`] brings it back.
    pub fn remove(&mut self, to: Go, keep: bool) {
        self.completing = None;
        let at = self.target(to);
        let (start, end) = (at.min(self.caret), at.max(self.caret));
        let gone: String = self.text.drain(start..end).collect();
        self.caret = start;
        if keep && !gone.is_empty() {
            self.cut = gone;
        }
        self.caret = self.edge_from(self.caret);
    }

    /// Puts what was cut last at the caret.
    pub fn paste_cut(&mut self) {
        let cut = self.cut.clone();
        self.insert(&cut);
    }

    /// Changes places of the letters around the caret.
    pub fn transpose(&mut self) {
        self.completing = None;
        let middle = if self.caret == self.text.len() { self.before(self.caret) } else { self.caret };
        let (start, end) = (self.before(middle), self.after(middle));
        let swapped = format!("{}{}", &self.text[middle..end], &self.text[start..middle]);
        self.text.replace_range(start..end, &swapped);
        self.caret = self.edge_from(end);
    }

    /// Forgets what is typed.
    pub fn clear(&mut self) {
        self.text.clear();
        self.caret = 0;
        self.back = 0;
        self.completing = None;
    }

    /// Takes what is typed, and remembers it.
    pub fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.clear();
        if !text.trim().is_empty() && self.recall.back() != Some(&text) {
            if self.recall.len() == RECALL_LINES_MAX {
                self.recall.pop_front();
            }
            self.recall.push_back(text.clone());
        }
        text
    }

    /// Calls back the line before.
    pub fn older(&mut self) {
        if self.back == self.recall.len() {
            return;
        }
        if self.back == 0 {
            self.draft.clone_from(&self.text);
        }
        self.back += 1;
        self.set(self.recall.get(self.recall.len() - self.back).cloned());
    }

    /// Calls back the line after, and at last what was being typed.
    pub fn newer(&mut self) {
        let Some(back) = self.back.checked_sub(1) else { return };
        self.back = back;
        let line = match back {
            0 => Some(std::mem::take(&mut self.draft)),
            back => self.recall.get(self.recall.len() - back).cloned(),
        };
        self.set(line);
    }

    fn set(&mut self, text: Option<String>) {
        self.completing = None;
        self.text = text.unwrap_or_default();
        self.caret = self.text.len();
    }

    /// Completes the word before the caret from what `candidates` says of it (and of where it begins), and goes on to
    /// the next of them each time; backwards with `back`.
    pub fn complete(&mut self, back: bool, candidates: impl FnOnce(&str, usize) -> Vec<String>) {
        let mut completing = match self.completing.take() {
            Some(completing) => completing,
            None => {
                let head = &self.text[..self.caret];
                let start = head.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                let start = (start..=head.len()).find(|at| head.is_char_boundary(*at)).unwrap_or(head.len());
                let word = &head[start..];
                let mut found = candidates(word, start);
                if found.is_empty() {
                    return;
                }
                found.push(word.to_owned());
                let at = found.len() - 1;
                Completing { start, candidates: found, at }
            }
        };
        let count = completing.candidates.len();
        completing.at = (completing.at + if back { count - 1 } else { 1 }) % count;
        let Some(word) = completing.candidates.get(completing.at) else { return };
        let room = INPUT_BYTES_MAX + completing.start >= self.text.len() + word.len();
        if room {
            self.text.replace_range(completing.start..self.caret, word);
            self.caret = completing.start + word.len();
            // One alone is done.
            self.completing = (count > 2).then_some(completing);
        }
    }
}

/// Where the caret goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    /// One letter back.
    Left,
    /// One letter on.
    Right,
    /// To the beginning of this word, or of the one before.
    WordLeft,
    /// To the end of this word, or of the next.
    WordRight,
    /// To the last blank.
    BlankLeft,
    /// To the start of the line.
    Start,
    /// To the end of the line.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Input {
        let mut input = Input::default();
        assert!(input.insert(text));
        input
    }

    #[test]
    fn letters_are_what_people_see() {
        let mut input = typed("a👩‍👩‍👧e\u{301}");
        input.remove(Go::Left, false);
        assert_eq!(input.text(), "a👩‍👩‍👧");
        input.remove(Go::Left, false);
        assert_eq!(input.text(), "a");
        let mut input = typed("ex");
        input.go(Go::Left);
        assert!(input.insert("\u{301}"));
        assert_eq!((input.text(), input.caret()), ("e\u{301}x", 3));
    }

    #[test]
    fn words_are_cut_and_come_back() {
        let mut input = typed("one two-three four");
        input.remove(Go::BlankLeft, true);
        assert_eq!(input.text(), "one two-three ");
        input.paste_cut();
        assert_eq!(input.text(), "one two-three four");
        input.go(Go::WordLeft);
        input.go(Go::WordLeft);
        assert_eq!(input.caret(), 8);
        input.remove(Go::Start, true);
        assert_eq!(input.text(), "three four");
        input.go(Go::WordRight);
        assert_eq!(input.caret(), 5);
        input.remove(Go::End, true);
        assert_eq!(input.text(), "three");
        let mut input = typed("tow");
        input.transpose();
        assert_eq!((input.text(), input.caret()), ("two", 3));
    }

    #[test]
    fn lines_are_recalled_and_the_draft_too() {
        let mut input = Input::default();
        for line in ["a", "b", "b", " "] {
            input.insert(line);
            input.take();
        }
        input.insert("draft");
        input.older();
        assert_eq!(input.text(), "b");
        input.older();
        input.older();
        assert_eq!(input.text(), "a");
        input.newer();
        input.newer();
        input.newer();
        assert_eq!(input.text(), "draft");
    }

    #[test]
    fn what_is_typed_and_remembered_is_bounded() {
        let mut input = Input::default();
        assert!(!input.insert(&"x".repeat(INPUT_BYTES_MAX + 1)));
        assert!(!input.insert("1\n2\n3\n4\n5\n6"));
        assert!(input.insert(&"x".repeat(INPUT_BYTES_MAX)));
        assert!(!input.insert("x"));
        for n in 0..2 * RECALL_LINES_MAX {
            input.clear();
            input.insert(&n.to_string());
            input.take();
        }
        assert_eq!(input.recall.len(), RECALL_LINES_MAX);
    }

    #[test]
    fn tab_goes_through_what_fits_and_back_to_what_was_typed() {
        let mut input = typed("hi b");
        let names = |word: &str, at: usize| {
            assert_eq!((word, at), ("b", 3));
            vec!["bea".to_owned(), "bob".to_owned()]
        };
        input.complete(false, names);
        assert_eq!(input.text(), "hi bea");
        input.complete(false, |_, _| Vec::new());
        assert_eq!(input.text(), "hi bob");
        input.complete(false, |_, _| Vec::new());
        assert_eq!(input.text(), "hi b");
        input.complete(true, |_, _| Vec::new());
        assert_eq!(input.text(), "hi bob");
        input.insert(" ");
        input.complete(false, |_, _| Vec::new());
        assert_eq!(input.text(), "hi bob ");
    }

    #[test]
    fn control_characters_are_not_typed() {
        assert_eq!(typed("a\tb\x1b[c\r\nd").text(), "a b[c\nd");
    }
}
