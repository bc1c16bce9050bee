//! The text that the user edits, and what the editing keys do to it.
//!
//! The caret stands between letters as people see them (grapheme clusters): not inside an emoji or a flag, and not
//! before the accent of a letter.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use crate::ring::limits::TEXT_BYTES_MAX;

/// What the text may be, and how its words are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditRules {
    /// Bytes that the text may have.
    pub bytes_max: usize,
    /// Lines that the text may have.
    pub lines_max: usize,
    /// Whether a tab stays one; otherwise it becomes a space.
    pub tabs: bool,
    /// How the keys that move by words find them.
    pub words: WordRule,
    /// Whether the caret moves on when letters around it become one. Otherwise it stays between their parts.
    pub snaps: bool,
}

impl EditRules {
    /// The line terminal: one line, longer than the room takes, so that a user who has typed too much can shorten it.
    pub const LINE: Self =
        Self { bytes_max: 64 * 1024, lines_max: 1, tabs: true, words: WordRule::Letters, snaps: false };
    /// The full screen: a message of a few lines.
    pub const MESSAGE: Self =
        Self { bytes_max: TEXT_BYTES_MAX, lines_max: 5, tabs: false, words: WordRule::Unicode, snaps: true };
}

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordRule {
    /// Letters, digits and `_` in a row.
    Letters,
    /// As Unicode has it (UAX #29): an apostrophe or a decimal point does not end a word.
    Unicode,
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
    /// To the space before this word.
    BlankLeft,
    /// To the start of the line.
    Start,
    /// To the end of the line.
    End,
}

/// The text that the user edits.
#[derive(Clone, Debug)]
pub struct EditBuffer {
    rules: EditRules,
    text: String,
    /// Where the next letter goes, in bytes.
    caret: usize,
    /// The text cut last.
    cut: String,
}

impl EditBuffer {
    /// An empty text.
    pub const fn new(rules: EditRules) -> Self {
        Self { rules, text: String::new(), caret: 0, cut: String::new() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The caret, in bytes.
    pub const fn caret(&self) -> usize {
        self.caret
    }

    /// Whether there is no text.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Takes the text out.
    pub fn take(&mut self) -> String {
        self.caret = 0;
        std::mem::take(&mut self.text)
    }

    /// Replaces the text; the caret goes to its end.
    pub fn set(&mut self, text: String) {
        self.caret = text.len();
        self.text = text;
    }

    /// Puts text at the caret, without its control characters. `false`: the whole does not fit, and nothing changes.
    pub fn insert(&mut self, text: &str) -> bool {
        let clean: String = text
            .chars()
            .map(|c| if c == '\t' && !self.rules.tabs { ' ' } else { c })
            .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
            .collect();
        let lines = self.text.matches('\n').count() + clean.matches('\n').count() + 1;
        if self.text.len() + clean.len() > self.rules.bytes_max || lines > self.rules.lines_max {
            return false;
        }
        self.text.insert_str(self.caret, &clean);
        self.caret += clean.len();
        self.snap();
        true
    }

    /// Replaces the text from `from` up to the caret, whatever the limits; the caret goes behind it.
    pub fn complete(&mut self, from: usize, text: &str) {
        self.text.replace_range(from..self.caret, text);
        self.caret = from + text.len();
    }

    /// Moves the caret on to the edge of a letter, where the rules want it there.
    fn snap(&mut self) {
        let cursor = || GraphemeCursor::new(self.caret, self.text.len(), true);
        if self.rules.snaps && !matches!(cursor().is_boundary(&self.text, 0), Ok(true)) {
            self.caret = cursor().next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len());
        }
    }

    fn before(&self, at: usize) -> usize {
        self.text[..at].grapheme_indices(true).next_back().map_or(0, |(start, _)| start)
    }

    fn after(&self, at: usize) -> usize {
        at + self.text[at..].graphemes(true).next().map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let head = &self.text[..self.caret];
        match self.rules.words {
            WordRule::Letters => {
                let mut start = self.caret;
                for (at, letter) in head.grapheme_indices(true).rev() {
                    if !is_word(letter) && is_word(&head[start..]) {
                        break;
                    }
                    start = at;
                }
                start
            }
            WordRule::Unicode => head.unicode_word_indices().next_back().map_or(0, |(start, _)| start),
        }
    }

    fn word_after(&self) -> usize {
        let rest = &self.text[self.caret..];
        match self.rules.words {
            WordRule::Letters => {
                let mut seen = false;
                for (at, letter) in rest.grapheme_indices(true) {
                    if seen && !is_word(letter) {
                        return self.caret + at;
                    }
                    seen |= is_word(letter);
                }
                self.text.len()
            }
            WordRule::Unicode => {
                let word = rest.unicode_word_indices().next();
                word.map_or(self.text.len(), |(start, word)| self.caret + start + word.len())
            }
        }
    }

    fn blank_before(&self) -> usize {
        let head = self.text[..self.caret].trim_end();
        head.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8())
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

    /// Moves the caret.
    pub fn go(&mut self, to: Go) {
        self.caret = self.target(to);
    }

    /// Removes the text between the caret and `to`.
    pub fn remove(&mut self, to: Go) {
        self.drain(to);
    }

    /// Removes the text between the caret and `to`, for [`EditBuffer::paste_cut`].
    pub fn cut(&mut self, to: Go) {
        let gone = self.drain(to);
        if !gone.is_empty() {
            self.cut = gone;
        }
    }

    fn drain(&mut self, to: Go) -> String {
        let at = self.target(to);
        let (start, end) = (at.min(self.caret), at.max(self.caret));
        let gone = self.text.drain(start..end).collect();
        self.caret = start;
        self.snap();
        gone
    }

    /// Puts the text cut last at the caret.
    pub fn paste_cut(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        self.insert(&cut);
        self.cut = cut;
    }

    /// Swaps the letters around the caret; at the end of the text, the last two.
    pub fn transpose(&mut self) {
        let middle = if self.caret == self.text.len() { self.before(self.caret) } else { self.caret };
        let (start, end) = (self.before(middle), self.after(middle));
        let swapped = [&self.text[middle..end], &self.text[start..middle]].concat();
        self.text.replace_range(start..end, &swapped);
        self.caret = end;
        self.snap();
    }
}

/// Whether there is a letter or a digit in it.
fn is_word(text: &str) -> bool {
    text.contains(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &str) -> EditBuffer {
        let mut buffer = EditBuffer::new(EditRules::LINE);
        let (before, after) = text.split_once('|').unwrap_or((text, ""));
        buffer.insert(before);
        buffer.insert(after);
        buffer.caret = before.len();
        buffer
    }

    fn after(text: &str, act: impl Fn(&mut EditBuffer)) -> String {
        let mut buffer = buffer(text);
        act(&mut buffer);
        format!("{}|{}", &buffer.text[..buffer.caret], &buffer.text[buffer.caret..])
    }

    #[test]
    fn the_cursor_never_stands_inside_of_what_is_seen_as_one() {
        let family = "👩‍👩‍👧";
        for letter in ["a", "漢", "e\u{301}", family, "🇩🇪", "ש", "👍🏽"] {
            assert_eq!(after(&format!("x{letter}|y"), |buffer| buffer.go(Go::Left)), format!("x|{letter}y"));
            assert_eq!(after(&format!("x|{letter}y"), |buffer| buffer.go(Go::Right)), format!("x{letter}|y"));
            assert_eq!(after(&format!("x{letter}|y"), |buffer| buffer.remove(Go::Left)), "x|y");
            assert_eq!(after(&format!("x|{letter}y"), |buffer| buffer.remove(Go::Right)), "x|y");
        }
        assert_eq!(after("🇩🇪🇫🇷|", |buffer| buffer.remove(Go::Left)), "🇩🇪|");
    }

    #[test]
    fn words_are_walked_and_cut() {
        assert_eq!(after("one two-three|", |buffer| buffer.go(Go::WordLeft)), "one two-|three");
        assert_eq!(after("one two, |", |buffer| buffer.go(Go::WordLeft)), "one |two, ");
        assert_eq!(after("|one two", |buffer| buffer.go(Go::WordRight)), "one| two");
        assert_eq!(after("one| two", |buffer| buffer.go(Go::WordRight)), "one two|");
        assert_eq!(after("one two-three  |x", |buffer| buffer.cut(Go::BlankLeft)), "one |x");
        assert_eq!(after("one two-three|x", |buffer| buffer.cut(Go::WordLeft)), "one two-|x");
        assert_eq!(after("one| two x", |buffer| buffer.cut(Go::WordRight)), "one| x");
    }

    #[test]
    fn what_was_cut_comes_back() {
        let twice = |buffer: &mut EditBuffer| {
            buffer.cut(Go::Start);
            buffer.go(Go::End);
            buffer.paste_cut();
            buffer.paste_cut();
        };
        assert_eq!(after("ab|c", twice), "cabab|");
        assert_eq!(after("ab|c", |buffer| buffer.cut(Go::End)), "ab|");
    }

    #[test]
    fn letters_are_swapped() {
        assert_eq!(after("ab|", EditBuffer::transpose), "ba|");
        assert_eq!(after("a|bc", EditBuffer::transpose), "ba|c");
        assert_eq!(after("|ab", EditBuffer::transpose), "a|b");
        assert_eq!(after("a|", EditBuffer::transpose), "a|");
        assert_eq!(after("|", EditBuffer::transpose), "|");
    }

    #[test]
    fn the_line_is_bounded() {
        let mut buffer = EditBuffer::new(EditRules::LINE);
        for _ in 0..100 {
            buffer.insert(&"x".repeat(1000));
        }
        assert!(buffer.text.len() <= EditRules::LINE.bytes_max);
    }

    fn typed(text: &str) -> EditBuffer {
        let mut buffer = EditBuffer::new(EditRules::MESSAGE);
        assert!(buffer.insert(text));
        buffer
    }

    #[test]
    fn letters_are_what_people_see() {
        let mut buffer = typed("a👩‍👩‍👧e\u{301}");
        buffer.remove(Go::Left);
        assert_eq!(buffer.text(), "a👩‍👩‍👧");
        buffer.remove(Go::Left);
        assert_eq!(buffer.text(), "a");
        let mut buffer = typed("ex");
        buffer.go(Go::Left);
        assert!(buffer.insert("\u{301}"));
        assert_eq!((buffer.text(), buffer.caret()), ("e\u{301}x", 3));
    }

    #[test]
    fn words_are_cut_and_come_back() {
        let mut buffer = typed("one two-three four");
        buffer.cut(Go::BlankLeft);
        assert_eq!(buffer.text(), "one two-three ");
        buffer.paste_cut();
        assert_eq!(buffer.text(), "one two-three four");
        buffer.go(Go::WordLeft);
        buffer.go(Go::WordLeft);
        assert_eq!(buffer.caret(), 8);
        buffer.cut(Go::Start);
        assert_eq!(buffer.text(), "three four");
        buffer.go(Go::WordRight);
        assert_eq!(buffer.caret(), 5);
        buffer.cut(Go::End);
        assert_eq!(buffer.text(), "three");
        let mut buffer = typed("tow");
        buffer.transpose();
        assert_eq!((buffer.text(), buffer.caret()), ("two", 3));
    }

    #[test]
    fn control_characters_are_not_typed() {
        assert_eq!(typed("a\tb\x1b[c\r\nd").text(), "a b[c\nd");
    }

    #[test]
    fn a_message_is_bounded() {
        let mut buffer = EditBuffer::new(EditRules::MESSAGE);
        assert!(!buffer.insert(&"x".repeat(EditRules::MESSAGE.bytes_max + 1)));
        assert!(!buffer.insert("1\n2\n3\n4\n5\n6"));
        assert!(buffer.insert(&"x".repeat(EditRules::MESSAGE.bytes_max)));
        assert!(!buffer.insert("x"));
    }
}
