//! The line being typed, and what the editing keys do to it.
//!
//! The cursor stands between letters as people see them (grapheme clusters): never inside an emoji, a flag, or before
//! the accent of a letter.

use unicode_segmentation::UnicodeSegmentation as _;

/// Bytes that the line may have: more than the room takes, so that one who has typed too much can shorten it.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// The line being typed.
#[derive(Debug, Default)]
pub struct Buffer {
    text: String,
    /// The cursor, in bytes.
    at: usize,
    /// What was cut last, for Ctrl-Y.
    cut: String,
}

impl Buffer {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor, in bytes.
    pub const fn at(&self) -> usize {
        self.at
    }

    /// Takes the text out.
    pub fn take(&mut self) -> String {
        self.at = 0;
        std::mem::take(&mut self.text)
    }

    /// Has another text, the cursor at its end.
    pub fn set(&mut self, text: String) {
        self.at = text.len();
        self.text = text;
    }

    /// Puts `text` where the cursor is; nothing of it where it does not fit.
    pub fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() <= LINE_BYTES_MAX {
            self.text.insert_str(self.at, text);
            self.at += text.len();
        }
    }

    /// Has `text` from `from` up to the cursor.
    pub fn complete(&mut self, from: usize, text: &str) {
        self.text.replace_range(from..self.at, text);
        self.at = from + text.len();
    }

    fn before(&self) -> usize {
        self.text[..self.at].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.at + self.text[self.at..].graphemes(true).next().map_or(0, str::len)
    }

    /// The beginning of this word, or of the one before.
    fn word_before(&self) -> usize {
        let mut start = self.at;
        for (at, letter) in self.text[..self.at].grapheme_indices(true).rev() {
            if !is_word(letter) && start < self.at && is_word(&self.text[start..self.at]) {
                break;
            }
            start = at;
        }
        start
    }

    /// The end of this word, or of the one after.
    fn word_after(&self) -> usize {
        let mut seen = false;
        for (at, letter) in self.text[self.at..].grapheme_indices(true) {
            if seen && !is_word(letter) {
                return self.at + at;
            }
            seen |= is_word(letter);
        }
        self.text.len()
    }

    /// One letter to the left.
    pub fn left(&mut self) {
        self.at = self.before();
    }

    /// One letter to the right.
    pub fn right(&mut self) {
        self.at = self.after();
    }

    /// One word to the left.
    pub fn word_left(&mut self) {
        self.at = self.word_before();
    }

    /// One word to the right.
    pub fn word_right(&mut self) {
        self.at = self.word_after();
    }

    /// To the beginning.
    pub const fn home(&mut self) {
        self.at = 0;
    }

    /// To the end.
    pub const fn end(&mut self) {
        self.at = self.text.len();
    }

    /// Removes the letter before the cursor.
    pub fn backspace(&mut self) {
        let from = self.before();
        self.text.replace_range(from..self.at, "");
        self.at = from;
    }

    /// Removes the letter under the cursor.
    pub fn delete(&mut self) {
        let to = self.after();
        self.text.replace_range(self.at..to, "");
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from < to {
            self.cut = self.text.drain(from..to).collect();
            self.at = from;
        }
    }

    /// Cuts what is behind the cursor.
    pub fn cut_end(&mut self) {
        self.cut(self.at, self.text.len());
    }

    /// Cuts what is before the cursor.
    pub fn cut_start(&mut self) {
        self.cut(0, self.at);
    }

    /// Cuts back to the space before this word.
    pub fn cut_blank_word(&mut self) {
        let trimmed = self.text[..self.at].trim_end();
        let from = trimmed.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8());
        self.cut(from, self.at);
    }

    /// Cuts back to the beginning of this word.
    pub fn cut_word_before(&mut self) {
        self.cut(self.word_before(), self.at);
    }

    /// Cuts up to the end of this word.
    pub fn cut_word_after(&mut self) {
        self.cut(self.at, self.word_after());
    }

    /// Puts in what was cut last.
    pub fn paste_cut(&mut self) {
        let cut = std::mem::take(&mut self.cut);
        self.insert(&cut);
        self.cut = cut;
    }

    /// Swaps the letters around the cursor, at the end the last two.
    pub fn swap(&mut self) {
        if self.at == self.text.len() {
            self.left();
        }
        let (from, to) = (self.before(), self.after());
        if from < self.at && self.at < to {
            let swapped = [&self.text[self.at..to], &self.text[from..self.at]].concat();
            self.text.replace_range(from..to, &swapped);
            self.at = to;
        } else {
            self.at = to;
        }
    }
}

/// Whether there is a letter or a digit in it.
fn is_word(text: &str) -> bool {
    text.contains(|c: char| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(text: &str) -> Buffer {
        let mut buffer = Buffer::default();
        let (before, after) = text.split_once('|').unwrap_or((text, ""));
        buffer.insert(before);
        buffer.insert(after);
        buffer.at = before.len();
        buffer
    }

    fn after(text: &str, act: impl Fn(&mut Buffer)) -> String {
        let mut buffer = buffer(text);
        act(&mut buffer);
        format!("{}|{}", &buffer.text[..buffer.at], &buffer.text[buffer.at..])
    }

    #[test]
    fn the_cursor_never_stands_inside_of_what_is_seen_as_one() {
        let family = "👩‍👩‍👧";
        for letter in ["a", "漢", "e\u{301}", family, "🇩🇪", "ש", "👍🏽"] {
            assert_eq!(after(&format!("x{letter}|y"), Buffer::left), format!("x|{letter}y"));
            assert_eq!(after(&format!("x|{letter}y"), Buffer::right), format!("x{letter}|y"));
            assert_eq!(after(&format!("x{letter}|y"), Buffer::backspace), "x|y");
            assert_eq!(after(&format!("x|{letter}y"), Buffer::delete), "x|y");
        }
        assert_eq!(after("🇩🇪🇫🇷|", Buffer::backspace), "🇩🇪|");
    }

    #[test]
    fn words_are_walked_and_cut() {
        assert_eq!(after("one two-three|", Buffer::word_left), "one two-|three");
        assert_eq!(after("one two, |", Buffer::word_left), "one |two, ");
        assert_eq!(after("|one two", Buffer::word_right), "one| two");
        assert_eq!(after("one| two", Buffer::word_right), "one two|");
        assert_eq!(after("one two-three  |x", Buffer::cut_blank_word), "one |x");
        assert_eq!(after("one two-three|x", Buffer::cut_word_before), "one two-|x");
        assert_eq!(after("one| two x", Buffer::cut_word_after), "one| x");
    }

    #[test]
    fn what_was_cut_comes_back() {
        let twice = |buffer: &mut Buffer| {
            buffer.cut_start();
            buffer.end();
            buffer.paste_cut();
            buffer.paste_cut();
        };
        assert_eq!(after("ab|c", twice), "cabab|");
        assert_eq!(after("ab|c", Buffer::cut_end), "ab|");
    }

    #[test]
    fn letters_are_swapped() {
        assert_eq!(after("ab|", Buffer::swap), "ba|");
        assert_eq!(after("a|bc", Buffer::swap), "ba|c");
        assert_eq!(after("|ab", Buffer::swap), "a|b");
        assert_eq!(after("a|", Buffer::swap), "a|");
        assert_eq!(after("|", Buffer::swap), "|");
    }

    #[test]
    fn the_line_is_bounded() {
        let mut buffer = Buffer::default();
        (0..100).for_each(|_| buffer.insert(&"x".repeat(1000)));
        assert!(buffer.text.len() <= LINE_BYTES_MAX);
    }
}
