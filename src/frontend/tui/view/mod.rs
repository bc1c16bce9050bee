//! Draws what the model holds; changes nothing.

mod popups;
mod ring;
mod side;
mod status;

use std::time::Duration;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::cells::{put, safe, shortened, width, wrap};
use super::input::INPUT_LINES_MAX;
use super::message_rows;
use super::model::{Mode, Model, RingPane};
pub use popups::help_lines;

/// Rows that what is typed may take.
const INPUT_ROWS_MAX: u16 = 5;
/// Own lines that are seen waiting.
const PENDING_ROWS_MAX: usize = 5;

/// Draws the whole screen as it is `now`.
pub fn draw(model: &Model, frame: &mut Frame<'_>, now: Duration) {
    let areas = model.areas();
    let buffer = frame.buffer_mut();
    status::header(model, buffer, areas.header);
    if model.panes.ring == RingPane::Large {
        ring::draw(model, buffer, areas.messages, now);
    } else {
        messages(model, buffer, areas.messages);
    }
    if let Some(side) = areas.side {
        for y in side.top()..side.bottom() {
            put(buffer, (side.x, y), &Line::from(Span::styled("│", model.paint().dim())), 1);
        }
    }
    if let Some(area) = areas.members {
        side::members(model, buffer, area);
    }
    if let Some(area) = areas.channels {
        side::channels(model, buffer, area);
    }
    if let Some(area) = areas.ring.filter(|_| model.panes.ring == RingPane::Side) {
        ring::draw(model, buffer, area, now);
    }
    status::line(model, buffer, areas.status);
    let caret = input(model, buffer, areas.input);
    match &model.mode {
        Mode::Help(top) => popups::help(model, buffer, *top),
        Mode::Ask(lines) => popups::ask(model, buffer, lines),
        Mode::Talk | Mode::Search(_) => {
            if let Some(caret) = caret {
                frame.set_cursor_position(caret);
            }
        }
    }
}

/// The newest messages at the bottom, or those up to where the person has scrolled.
fn messages(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let (cells, paint) = (usize::from(area.width), model.paint());
    let mut bottom = Vec::new();
    if model.scroll.is_some() {
        let text = match model.below {
            0 => " End: back to the newest ".to_owned(),
            below => format!(" {below} new below (End) "),
        };
        bottom.push(Line::from(Span::styled(shortened(&text, cells), paint.bar())));
    } else {
        bottom.extend(pending(model, cells, usize::from(area.height) / 2));
    }
    let height = usize::from(area.height).saturating_sub(bottom.len());
    let look = model.look();
    let mut shown: Vec<Line<'static>> = Vec::new();
    let end = model.scroll.map_or(u64::MAX, |anchor| anchor.seq);
    for message in model.messages.up_to(end).rev().filter(|message| model.is_here(message)) {
        let mut rows = message_rows::rows(message, &look, cells);
        if let Some(anchor) = model.scroll.filter(|anchor| anchor.seq == message.seq) {
            rows.truncate(anchor.row + 1);
        }
        shown.extend(rows.into_iter().rev());
        if shown.len() >= height {
            break;
        }
    }
    shown.truncate(height);
    shown.reverse();
    shown.append(&mut bottom);
    let first = area.bottom() - u16::try_from(shown.len()).unwrap_or(area.height).min(area.height);
    for (y, row) in (first..area.bottom()).zip(&shown) {
        put(buffer, (area.x, y), row, area.width);
    }
}

/// Own lines that are not in the log.
fn pending(model: &Model, cells: usize, rows_max: usize) -> Vec<Line<'static>> {
    let waiting = usize::try_from(model.waiting).unwrap_or(usize::MAX);
    if waiting == 0 {
        return Vec::new();
    }
    let style = model.paint().dim();
    let known = model.pending.len().min(waiting);
    let rows = known.min(PENDING_ROWS_MAX).min(rows_max.saturating_sub(1));
    let first = model.pending.len() - known;
    let mut lines = Vec::new();
    if rows < waiting {
        let others = waiting - rows;
        let what = if others == 1 { "line waits" } else { "lines wait" };
        let more = if rows > 0 { " more" } else { "" };
        lines.push(Line::from(Span::styled(format!("   …  {others}{more} {what} for a leader"), style)));
    }
    // The oldest is next: what came last is at the bottom, as typed.
    for text in model.pending.iter().skip(first + known - rows) {
        lines.push(Line::from(Span::styled(shortened(&format!("   …  {} (waits)", safe(text)), cells), style)));
    }
    lines
}

fn prompt(model: &Model) -> String {
    match &model.mode {
        Mode::Search(search) => format!("search{} ", if search.typing { ":" } else { " for" }),
        Mode::Talk | Mode::Ask(_) | Mode::Help(_) => {
            model.own_name().map_or_else(|| "> ".to_owned(), |name| format!("{}> ", shortened(&safe(name), 16)))
        }
    }
}

/// The rows that the prompt and what is typed take, and where the caret stands in them.
fn input_text(model: &Model) -> (Vec<Line<'static>>, (u16, u16)) {
    let cells = usize::from(model.size.0).max(1);
    let (text, caret) = match &model.mode {
        Mode::Search(search) => (search.query(), search.query().len()),
        Mode::Talk | Mode::Ask(_) | Mode::Help(_) => (model.input.text(), model.input.caret()),
    };
    let prompt = prompt(model);
    let mut rows = Vec::new();
    let mut place = (0, 0);
    let mut start = 0;
    for (number, line) in text.split('\n').enumerate() {
        let head = if number == 0 { prompt.clone() } else { "… ".to_owned() };
        let spans = [Span::styled(head.clone(), model.paint().dim()), Span::raw(safe(line))];
        let end = start + line.len();
        if (start..=end).contains(&caret) {
            place = caret_in(&format!("{head}{}", safe(&line[..caret - start])), cells, rows.len());
        }
        rows.extend(filled(&spans, cells));
        start = end + 1;
    }
    if let Mode::Search(search) = &model.mode {
        let found = match (search.query().is_empty(), search.hits) {
            (true, _) => "  type words, Enter; n older, N newer, Esc ends".to_owned(),
            (false, 0) => "  nothing found".to_owned(),
            (false, 1) => "  1 line".to_owned(),
            (false, hits) => format!("  {hits} lines (n older, N newer, Esc ends)"),
        };
        if let Some(last) = rows.last_mut() {
            last.push_span(Span::styled(found, model.paint().dim()));
        }
    }
    if usize::from(place.1) == rows.len() {
        rows.push(Line::default());
    }
    (rows, place)
}

/// Rows that are filled letter by letter, so that nothing moves while it is typed.
fn filled(spans: &[Span<'_>], cells: usize) -> Vec<Line<'static>> {
    // A blank that stands for itself: lines break between words at none of these.
    let held: Vec<Span<'static>> =
        spans.iter().map(|span| Span::styled(span.content.replace(' ', "\u{a0}"), span.style)).collect();
    let mut rows = wrap(&held, cells, 0);
    for span in rows.iter_mut().flat_map(|row| &mut row.spans) {
        span.content = span.content.replace('\u{a0}', " ").into();
    }
    rows
}

/// The column and row of what follows `before`.
fn caret_in(before: &str, cells: usize, first: usize) -> (u16, u16) {
    let rows = filled(&[Span::raw(before.to_owned())], cells);
    let last = rows.last().map_or(0, |row| width(&row.to_string()));
    let (column, row) = if last >= cells { (0, rows.len()) } else { (last, rows.len() - 1) };
    (u16::try_from(column).unwrap_or(u16::MAX), u16::try_from(first + row).unwrap_or(u16::MAX))
}

/// How many rows the input needs.
pub fn input_rows(model: &Model) -> u16 {
    // What is longer than that in bytes needs all rows anyway.
    if model.input.text().len() > usize::from(model.size.0) * usize::from(INPUT_ROWS_MAX) * 4 {
        return INPUT_ROWS_MAX;
    }
    let (rows, _) = input_text(model);
    u16::try_from(rows.len().min(INPUT_LINES_MAX)).unwrap_or(INPUT_ROWS_MAX).min(INPUT_ROWS_MAX)
}

/// Draws what is typed; where the caret is.
fn input(model: &Model, buffer: &mut Buffer, area: Rect) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let (rows, (column, row)) = input_text(model);
    // The caret's row is always seen.
    let top = (row + 1).saturating_sub(area.height);
    for (y, line) in (area.top()..area.bottom()).zip(rows.iter().skip(usize::from(top))) {
        put(buffer, (area.x, y), line, area.width);
    }
    Some(Position::new(area.x + column.min(area.width - 1), area.y + row - top))
}

/// A row that is reversed from one side to the other.
fn bar(buffer: &mut Buffer, area: Rect, left: &str, right: &str, style: Style) {
    if area.is_empty() {
        return;
    }
    let cells = usize::from(area.width);
    let right = if width(left) + width(right) + 1 > cells { "" } else { right };
    let left = shortened(left, cells - width(right));
    let gap = " ".repeat(cells.saturating_sub(width(&left) + width(right)));
    put(buffer, (area.x, area.y), &Line::from(Span::styled(format!("{left}{gap}{right}"), style)), area.width);
}

/// The title of a part of the screen.
fn title(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let style = style.add_modifier(Modifier::BOLD);
    put(buffer, (area.x, area.y), &Line::from(Span::styled(text.to_owned(), style)), area.width);
}
