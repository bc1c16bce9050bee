//! Text in cells: each grapheme is drawn as a whole or not at all, and lines break where they are full.

use ratatui::buffer::{Buffer, CellWidth as _};
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::text::visible;

/// Longest grapheme of one cell in bytes. A letter under more marks than that appears without them.
const GRAPHEME_BYTES_MAX: usize = 64;

/// Makes foreign text safe to draw: removes control characters, and shortens letters that are too long for a cell.
pub fn safe(foreign: &str) -> String {
    let seen = visible(foreign);
    let mut out = String::with_capacity(seen.len());
    for grapheme in seen.graphemes(true) {
        match grapheme.len() <= GRAPHEME_BYTES_MAX {
            true => out.push_str(grapheme),
            false => out.extend(grapheme.chars().next()),
        }
    }
    out
}

/// The width of `text` in cells.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(|grapheme| usize::from(grapheme.cell_width())).sum()
}

/// As much of `text` as fits into `cells`, with an ellipsis in place of the rest.
pub fn shortened(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let Some(room) = cells.checked_sub(1) else { return String::new() };
    let mut short = String::new();
    let mut taken = 0;
    for grapheme in text.graphemes(true) {
        taken += usize::from(grapheme.cell_width());
        if taken > room {
            break;
        }
        short.push_str(grapheme);
    }
    short.push('…');
    short
}

/// Draws `line` at `(x, y)`, within `cells` and within `buffer`.
pub fn put(buffer: &mut Buffer, (x, y): (u16, u16), line: &Line<'_>, cells: u16) -> u16 {
    let area = buffer.area;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    buffer.set_line(x, y, line, cells.min(area.right() - x)).0
}

/// One grapheme with its style.
struct CellRun<'a> {
    text: &'a str,
    cells: usize,
    style: Style,
}

/// Breaks `spans` into lines of at most `cells`, between words if possible. All lines but the first are indented by
/// `indent` cells, if there is room for that.
pub fn wrap(spans: &[Span<'_>], cells: usize, indent: usize) -> Vec<Line<'static>> {
    let cells = cells.max(1);
    let indent = if indent * 2 < cells { indent } else { 0 };
    let pieces: Vec<CellRun<'_>> = spans
        .iter()
        .flat_map(|span| span.content.graphemes(true).map(|text| (text, span.style)))
        .map(|(text, style)| CellRun { text, cells: usize::from(text.cell_width()), style })
        .filter(|piece| piece.cells > 0)
        .collect();
    let mut lines = Vec::new();
    let mut start = 0;
    while start < pieces.len() || lines.is_empty() {
        let inset = if lines.is_empty() { 0 } else { indent };
        let (end, next) = line_end(&pieces, start, cells - inset);
        lines.push(line_of(&pieces[start..end], inset));
        start = next;
    }
    lines
}

/// The end of the line that begins at `start`, and the beginning of the next one.
fn line_end(pieces: &[CellRun<'_>], start: usize, room: usize) -> (usize, usize) {
    let mut taken = 0;
    let mut best = None;
    for (at, piece) in pieces.iter().enumerate().skip(start) {
        // Scripts with wide letters have no spaces between words: a line may break anywhere.
        if piece.cells > 1 && at > start {
            best = Some((at, at));
        }
        taken += piece.cells;
        if taken > room {
            return match best {
                _ if piece.text == " " => (at, at + 1),
                Some(best) => best,
                // A letter wider than the line takes a line of its own, and is not drawn.
                None => (at.max(start + 1), at.max(start + 1)),
            };
        }
        if piece.text == " " && at > start {
            best = Some((at, at + 1));
        }
    }
    (pieces.len(), pieces.len())
}

fn line_of(pieces: &[CellRun<'_>], inset: usize) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    if inset > 0 {
        spans.push(Span::raw(" ".repeat(inset)));
    }
    for piece in pieces {
        match spans.last_mut() {
            Some(last) if last.style == piece.style => last.content.to_mut().push_str(piece.text),
            _ => spans.push(Span::styled(piece.text.to_owned(), piece.style)),
        }
    }
    Line::from(spans)
}

/// Draws a row in one style from edge to edge, with text at both ends.
pub fn bar(buffer: &mut Buffer, area: Rect, left: &str, right: &str, style: Style) {
    if area.is_empty() {
        return;
    }
    let cells = usize::from(area.width);
    let right = if width(left) + width(right) + 1 > cells { "" } else { right };
    let left = shortened(left, cells - width(right));
    let gap = " ".repeat(cells.saturating_sub(width(&left) + width(right)));
    put(buffer, (area.x, area.y), &Line::from(Span::styled(format!("{left}{gap}{right}"), style)), area.width);
}

/// Draws the title of a pane.
pub fn title(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let style = style.add_modifier(Modifier::BOLD);
    put(buffer, (area.x, area.y), &Line::from(Span::styled(text.to_owned(), style)), area.width);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, cells: usize, indent: usize) -> Vec<String> {
        wrap(&[Span::raw(text.to_owned())], cells, indent).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_break_between_words_and_else_between_letters() {
        assert_eq!(wrapped("", 5, 0), [""]);
        assert_eq!(wrapped("one two three", 8, 0), ["one two", "three"]);
        assert_eq!(wrapped("abcdefgh ij", 5, 0), ["abcde", "fgh", "ij"]);
        assert_eq!(wrapped("abcde fg", 5, 0), ["abcde", "fg"]);
        assert_eq!(wrapped("one two three", 9, 2), ["one two", "  three"]);
    }

    #[test]
    fn wide_and_combined_letters_stay_whole() {
        assert_eq!(wrapped("日本語", 5, 0), ["日本", "語"]);
        assert_eq!(wrapped("e\u{301}e\u{301}e\u{301}", 2, 0), ["e\u{301}e\u{301}", "e\u{301}"]);
        assert_eq!(wrapped("日", 1, 0), ["日"]);
        assert_eq!(width("👩‍👩‍👧"), 2);
    }

    #[test]
    fn what_is_too_long_is_shortened() {
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(shortened("abcd", 3), "ab…");
        assert_eq!(shortened("日本語", 4), "日…");
        assert_eq!(shortened("ab", 0), "");
    }

    #[test]
    fn foreign_text_is_made_safe() {
        assert_eq!(safe("a\x1b[2Jb\u{202e}c"), "a\\x1b[2Jb\\u{202e}c");
        assert_eq!(safe(&format!("x{}y", "\u{301}".repeat(1_000))), "xy");
    }
}
