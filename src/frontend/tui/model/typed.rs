//! Lays out the input line: its rows and the place of its caret.

use ratatui::text::{Line, Span};

use super::Model;
use crate::frontend::input::buffer::EditRules;
use crate::frontend::tui::cells::{safe, shortened, width, wrap};

/// Most rows of the input line.
const INPUT_ROWS_MAX: u16 = 5;

impl Model {
    /// The number of rows that the input needs.
    pub(super) fn input_rows(&self) -> u16 {
        // A text of this many bytes fills all rows anyway.
        if self.composer.input.text().len() > usize::from(self.size.0) * usize::from(INPUT_ROWS_MAX) * 4 {
            return INPUT_ROWS_MAX;
        }
        let (rows, _) = self.input_text();
        u16::try_from(rows.len().min(EditRules::MESSAGE.lines_max)).unwrap_or(INPUT_ROWS_MAX).min(INPUT_ROWS_MAX)
    }

    /// The rows of prompt and text, and the column and row of the caret.
    pub fn input_text(&self) -> (Vec<Line<'static>>, (u16, u16)) {
        let cells = usize::from(self.size.0).max(1);
        let (text, caret) = self.composer.typed();
        let prompt = self.prompt();
        let mut rows = Vec::new();
        let mut place = (0, 0);
        let mut start = 0;
        for (number, line) in text.split('\n').enumerate() {
            let head = if number == 0 { prompt.clone() } else { "… ".to_owned() };
            let spans = [Span::styled(head.clone(), self.paint().dim()), Span::raw(safe(line))];
            let end = start + line.len();
            if (start..=end).contains(&caret) {
                place = caret_in(&format!("{head}{}", safe(&line[..caret - start])), cells, rows.len());
            }
            rows.extend(filled(&spans, cells));
            start = end + 1;
        }
        if let Some(search) = self.composer.search() {
            let found = match (search.query().is_empty(), search.hits) {
                (true, _) => "  type words, Enter; n older, N newer, Esc ends".to_owned(),
                (false, 0) => "  nothing found".to_owned(),
                (false, 1) => "  1 line".to_owned(),
                (false, hits) => format!("  {hits} lines (n older, N newer, Esc ends)"),
            };
            if let Some(last) = rows.last_mut() {
                last.push_span(Span::styled(found, self.paint().dim()));
            }
        }
        if usize::from(place.1) == rows.len() {
            rows.push(Line::default());
        }
        (rows, place)
    }

    fn prompt(&self) -> String {
        match self.composer.search() {
            Some(search) => format!("search{} ", if search.typing { ":" } else { " for" }),
            None => self.own_name().map_or_else(|| "> ".to_owned(), |name| format!("{}> ", shortened(&safe(name), 16))),
        }
    }
}

/// Breaks rows between letters, not words, so that no word jumps to another row while the user types it.
fn filled(spans: &[Span<'_>], cells: usize) -> Vec<Line<'static>> {
    // Lines do not break at no-break spaces.
    let held: Vec<Span<'static>> =
        spans.iter().map(|span| Span::styled(span.content.replace(' ', "\u{a0}"), span.style)).collect();
    let mut rows = wrap(&held, cells, 0);
    for span in rows.iter_mut().flat_map(|row| &mut row.spans) {
        span.content = span.content.replace('\u{a0}', " ").into();
    }
    rows
}

/// The column and row behind the text `before`, whose first row has the number `first`.
fn caret_in(before: &str, cells: usize, first: usize) -> (u16, u16) {
    let rows = filled(&[Span::raw(before.to_owned())], cells);
    let last = rows.last().map_or(0, |row| width(&row.to_string()));
    let (column, row) = if last >= cells { (0, rows.len()) } else { (last, rows.len() - 1) };
    (u16::try_from(column).unwrap_or(u16::MAX), u16::try_from(first + row).unwrap_or(u16::MAX))
}
