//! The bottom of the screen: the line that the user types, and new lines above it.
//!
//! Terminals and width tables disagree about emoji, marks and scripts, and no table is right everywhere. So nothing
//! here depends on a table being right. This code cuts the typed line into rows and writes each with wrapping turned
//! off, so its rows are the terminal's rows, however wide the terminal thinks a letter is. To place the cursor it
//! writes the text before the cursor once more instead of counting columns.

use std::collections::VecDeque;
use std::fmt::Write as _;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::text::visible;

/// Most lines kept to be written again when the size changes.
const TAIL_LINES_MAX: usize = 500;
/// Most bytes of those lines.
const TAIL_BYTES_MAX: usize = 256 * 1024;

/// Begins a synchronized update, for terminals that support it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";
const WRAP_OFF: &str = "\x1b[?7l";
const WRAP_ON: &str = "\x1b[?7h";

/// The terminal's size in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Cells of a row.
    pub columns: usize,
    /// Rows of the screen.
    pub rows: usize,
}

impl Size {
    /// Corrects sizes that some terminals report before they know better.
    pub const fn of(columns: u16, rows: u16) -> Self {
        let columns = if columns == 0 { 80 } else { columns as usize };
        let rows = if rows == 0 { 24 } else { rows as usize };
        Self { columns, rows }
    }
}

/// The drawn prompt and line.
#[derive(Debug)]
struct Drawn {
    prompt: String,
    text: String,
    at: usize,
    /// The widths of its rows down to the one with the cursor, as far as known.
    above: Vec<usize>,
}

/// Remembers the last drawing, and computes the bytes for the next one.
#[derive(Debug)]
pub struct TerminalDisplay {
    size: Size,
    drawn: Option<Drawn>,
    tail: VecDeque<(String, usize)>,
    tail_bytes: usize,
}

impl TerminalDisplay {
    /// A display that has drawn nothing.
    pub const fn new(size: Size) -> Self {
        Self { size, drawn: None, tail: VecDeque::new(), tail_bytes: 0 }
    }

    /// The size that it draws for.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Bytes that add `lines` (whole lines) above, and draw the prompt with `text` and the cursor at byte `at` at the
    /// bottom. Empty if nothing has changed.
    pub fn paint(&mut self, lines: &str, prompt: &str, text: &str, at: usize) -> String {
        if lines.is_empty()
            && let Some(drawn) = &self.drawn
            && (&*drawn.prompt, &*drawn.text, drawn.at) == (prompt, text, at)
        {
            return String::new();
        }
        let mut out = BEGIN.to_owned();
        self.erase(&mut out);
        self.push_lines(&mut out, lines);
        self.draw(&mut out, prompt, text, at);
        out + END
    }

    /// Bytes that add `lines` and erase the prompt.
    pub fn finish(&mut self, lines: &str) -> String {
        let mut out = String::new();
        self.erase(&mut out);
        self.push_lines(&mut out, lines);
        out
    }

    /// Bytes that clear the screen and draw the prompt with `text` at the top.
    pub fn clear(&mut self, prompt: &str, text: &str, at: usize) -> String {
        self.tail.clear();
        self.tail_bytes = 0;
        let mut out = format!("{BEGIN}\x1b[H\x1b[2J");
        self.draw(&mut out, prompt, text, at);
        out + END
    }

    /// Bytes for another size of the terminal.
    ///
    /// Some terminals rewrap what is on the screen, others cut it off, and no report says where anything stands
    /// afterwards. If the kept lines fill the screen, all of them are written again. Otherwise writing starts at the
    /// first line of this program, at the higher of the two places where it can be.
    pub fn resize(&mut self, size: Size, prompt: &str, text: &str, at: usize) -> String {
        let before = std::mem::replace(&mut self.size, size);
        let mut out = BEGIN.to_owned();
        let bottom = layout(prompt, text, at, size).rows.len();
        let mut left = size.rows.saturating_sub(bottom);
        let fits = |(_, width): &&(String, usize)| match left.checked_sub(rows_of(*width, size.columns)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let shown = self.tail.iter().rev().take_while(fits).count();
        if shown < self.tail.len() {
            out.push_str("\x1b[H\x1b[J");
        } else {
            let rows = |size: Size| {
                let above = self.drawn.iter().flat_map(|drawn| drawn.above.iter().copied());
                let lines = self.tail.iter().map(|(_, width)| *width);
                let total: usize = above.chain(lines).map(|width| rows_of(width, size.columns)).sum();
                total.saturating_sub(usize::from(self.drawn.is_some()))
            };
            up(&mut out, rows(before).max(rows(size)));
            out.push_str("\r\x1b[J");
        }
        for (line, _) in self.tail.iter().skip(self.tail.len() - shown) {
            out.push_str(line);
            out.push_str("\r\n");
        }
        self.draw(&mut out, prompt, text, at);
        out + END
    }

    fn erase(&mut self, out: &mut String) {
        if let Some(drawn) = self.drawn.take() {
            up(out, drawn.above.len().saturating_sub(1));
            out.push_str("\r\x1b[J");
        }
    }

    fn push_lines(&mut self, out: &mut String, lines: &str) {
        for line in lines.lines() {
            out.push_str(line);
            out.push_str("\r\n");
            self.tail_bytes += line.len();
            self.tail.push_back((line.to_owned(), width_of_styled(line)));
            while self.tail.len() > TAIL_LINES_MAX || self.tail_bytes > TAIL_BYTES_MAX {
                let Some((line, _)) = self.tail.pop_front() else { break };
                self.tail_bytes -= line.len();
            }
        }
    }

    fn draw(&mut self, out: &mut String, prompt: &str, text: &str, at: usize) {
        let Layout { rows, cursor, before } = layout(prompt, text, at, self.size);
        out.push_str(WRAP_OFF);
        out.push_str(&rows.iter().map(|(row, _)| &**row).collect::<Vec<_>>().join("\r\n"));
        up(out, rows.len() - 1 - cursor);
        out.push('\r');
        out.push_str(&before);
        out.push_str(WRAP_ON);
        let above = rows[..=cursor].iter().map(|(_, width)| *width).collect();
        self.drawn = Some(Drawn { prompt: prompt.to_owned(), text: text.to_owned(), at, above });
    }
}

fn up(out: &mut String, rows: usize) {
    if rows > 0 {
        let _ = write!(out, "\x1b[{rows}A");
    }
}

const fn rows_of(width: usize, columns: usize) -> usize {
    if width <= columns { 1 } else { width.div_ceil(columns) }
}

/// The width of the letters together, or the sum of their single widths if that is more: terminals do either.
fn width_of(letters: &str) -> usize {
    letters.width().max(letters.chars().map(|c| c.width().unwrap_or(0)).sum())
}

/// The width without colour sequences.
fn width_of_styled(line: &str) -> usize {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().map_or(0, |piece| piece.width());
    first + pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, text)| text).width()).sum::<usize>()
}

/// The prompt and the typed line, cut into rows.
struct Layout {
    /// The visible rows and their widths.
    rows: Vec<(String, usize)>,
    /// The row with the cursor.
    cursor: usize,
    /// The text before the cursor in that row.
    before: String,
}

fn layout(prompt: &str, text: &str, at: usize, size: Size) -> Layout {
    // The last column stays free for the cursor behind the last letter.
    let columns = size.columns.saturating_sub(1).max(1);
    let mut rows = vec![(String::new(), 0)];
    let (mut cursor, mut before) = (0, String::new());
    let push = |letter: &str, rows: &mut Vec<(String, usize)>| {
        let letter = visible(letter);
        let width = width_of(&letter);
        if let Some((row, used)) = rows.last_mut() {
            if *used + width > columns && *used > 0 {
                rows.push((letter.into_owned(), width));
            } else {
                row.push_str(&letter);
                *used += width;
            }
        }
    };
    prompt.graphemes(true).for_each(|letter| push(letter, &mut rows));
    for (place, letter) in text.grapheme_indices(true) {
        if place <= at {
            (cursor, before) = (rows.len() - 1, rows.last().map(|(row, _)| row.clone()).unwrap_or_default());
        }
        let count = rows.len();
        push(letter, &mut rows);
        if place == at && rows.len() > count {
            // The letter under the cursor has moved to the next row, and the cursor with it.
            (cursor, before) = (rows.len() - 1, String::new());
        }
    }
    if at >= text.len() {
        (cursor, before) = (rows.len() - 1, rows.last().map(|(row, _)| row.clone()).unwrap_or_default());
    }
    // If the line is longer than the screen, only the rows around the cursor are visible.
    let most = size.rows.saturating_sub(1).max(1);
    if rows.len() > most {
        let first = (cursor + 1).saturating_sub(most.div_ceil(2)).min(rows.len() - most);
        rows.drain(..first);
        rows.truncate(most);
        cursor -= first;
    }
    Layout { rows, cursor, before }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::num::NonZero;

    use super::*;

    const SMALL: Size = Size { columns: 20, rows: 6 };

    fn cells(size: Size) -> (NonZero<u16>, NonZero<u16>) {
        (NonZero::new(size.rows as u16).unwrap(), NonZero::new(size.columns as u16).unwrap())
    }

    /// An emulated terminal: what it shows, and its cursor.
    struct Emulated(vt100::Parser);

    impl Emulated {
        fn new(size: Size) -> Self {
            let (rows, columns) = cells(size);
            Self(vt100::Parser::new(rows, columns, 0))
        }

        fn shows(&mut self, bytes: &str) -> Vec<String> {
            self.0.process(bytes.as_bytes());
            let rows = self.0.screen().rows(0, 200).map(|row| row.trim_end().to_owned());
            rows.filter(|row| !row.is_empty()).collect()
        }

        fn cursor(&self) -> (u16, u16) {
            self.0.screen().cursor_position()
        }
    }

    #[test]
    fn lines_go_above_what_is_typed() {
        let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
        assert_eq!(terminal.shows(&display.paint("", "> a: ", "hel", 3)), ["> a: hel"]);
        assert_eq!(terminal.shows(&display.paint("one\ntwo\n", "> a: ", "hello", 2)), ["one", "two", "> a: hello"]);
        assert_eq!(terminal.cursor(), (2, 7));
        assert_eq!(display.paint("", "> a: ", "hello", 2), "");
        let long = format!("{}\n", "x".repeat(20));
        assert_eq!(terminal.shows(&display.paint(&long, "> a: ", "hello", 5)).last().unwrap(), "> a: hello");
        for n in 0..50 {
            let shown = terminal.shows(&display.paint(&format!("line {n}\n"), "> a: ", "hello", 5));
            assert_eq!(shown[shown.len() - 2..], [format!("line {n}"), "> a: hello".to_owned()]);
        }
    }

    #[test]
    fn a_long_line_takes_rows_and_gives_them_back() {
        let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
        let text = "0123456789".repeat(4);
        let rows = ["> a: 01234567890123", "4567890123456789012", "3456789"];
        assert_eq!(terminal.shows(&display.paint("", "> a: ", &text, text.len())), rows);
        assert_eq!(terminal.shows(&display.paint("new\n", "> a: ", &text, 3)), [&["new"][..], &rows].concat());
        assert_eq!(terminal.cursor(), (1, 8));
        assert_eq!(terminal.shows(&display.paint("more\n", "> a: ", "x", 1)), ["new", "more", "> a: x"]);
        // The cursor is on the first letter of a row.
        display.paint("", "> a: ", &text, 14);
        let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
        terminal.shows(&display.paint("", "> a: ", &text, 14));
        assert_eq!(terminal.cursor(), (1, 0));
    }

    #[test]
    fn a_line_longer_than_the_screen_shows_where_the_cursor_is() {
        let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
        let text: String = (0..100).map(|n| format!("{n:03} ")).collect();
        for at in (0..text.len()).step_by(7) {
            let shown = terminal.shows(&display.paint("x\n", "> a: ", &text, at)).concat();
            let near = text[at / 4 * 4..at / 4 * 4 + 3].to_owned();
            assert!(shown.contains(&near), "{near}: {shown}");
        }
        assert_eq!(terminal.shows(&display.paint("last\n", "> a: ", "", 0)).last().unwrap(), "> a:");
    }

    #[test]
    fn wide_letters_and_marks_stay_in_their_rows() {
        for letter in ["漢", "e\u{301}", "👩‍👩‍👧", "🇩🇪", "ש", "👍🏽", "\u{202e}", "\t"] {
            let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
            let text = letter.repeat(9);
            for at in text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]) {
                for n in 0..3 {
                    let shown = terminal.shows(&display.paint(&format!("line {n}\n"), "> a: ", &text, at));
                    assert_eq!(shown.iter().filter(|row| row.starts_with("> a: ")).count(), 1, "{shown:?}");
                    let typed = shown.iter().skip_while(|row| !row.starts_with("> a: "));
                    let typed: String = typed.map(String::as_str).collect();
                    assert_eq!(typed, format!("> a: {}", text.graphemes(true).map(visible).collect::<String>()));
                }
            }
        }
    }

    #[test]
    fn another_size_shows_the_same() {
        let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
        terminal.shows(&display.paint("one\ntwo\n", "> a: ", "0123456789abcdefgh", 18));
        for (columns, rows) in [(10, 6), (30, 6), (12, 4), (20, 10), (5, 3), (80, 24)] {
            let size = Size { columns, rows };
            let cells = cells(size);
            terminal.0.screen_mut().set_size(cells.0, cells.1);
            let shown = terminal.shows(&display.resize(size, "> a: ", "0123456789abcdefgh", 18)).concat();
            assert!(shown.ends_with("> a: 0123456789abcdefgh") || rows < 5, "{shown}");
            assert_eq!(shown.matches("> a:").count(), usize::from(rows > 3), "{shown}");
            assert_eq!(shown.matches("two").count(), 1, "{shown}");
        }
    }

    #[test]
    fn clearing_leaves_what_is_typed() {
        let (mut display, mut terminal) = (TerminalDisplay::new(SMALL), Emulated::new(SMALL));
        terminal.shows(&display.paint("one\ntwo\n", "> a: ", "x", 1));
        assert_eq!(terminal.shows(&display.clear("> a: ", "x", 1)), ["> a: x"]);
        assert_eq!(terminal.shows(&display.finish("bye\n")), ["bye"]);
    }
}
