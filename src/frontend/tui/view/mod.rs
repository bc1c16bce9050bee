//! Draws the model and changes nothing.

mod popups;
mod ring;
mod side;
mod status;

use std::time::Duration;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::cells::{put, safe, shortened};
use super::layout::RingPane;
use super::message_rows;
use super::model::{ComposerMode, Model};

/// Most pending lines on the screen.
const PENDING_ROWS_MAX: usize = 5;

/// Draws the whole screen at the time `now`.
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
    match &model.composer.mode {
        ComposerMode::Help(top) => popups::help(model, buffer, *top),
        ComposerMode::Ask(lines) => popups::ask(model, buffer, lines),
        ComposerMode::Talk | ComposerMode::Search(_) => {
            if let Some(caret) = caret {
                frame.set_cursor_position(caret);
            }
        }
    }
}

/// Draws the newest messages, or those up to where the user has scrolled; the last one is at the bottom.
fn messages(model: &Model, buffer: &mut Buffer, area: Rect) {
    if area.is_empty() {
        return;
    }
    let (cells, paint) = (usize::from(area.width), model.paint());
    let mut bottom = Vec::new();
    if model.timeline.scroll().is_some() {
        let text = match model.timeline.below() {
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
    let end = model.timeline.scroll().map_or(u64::MAX, |anchor| anchor.seq);
    for message in model.timeline.messages().up_to(end).rev().filter(|message| message.is_in(model.channels.shown())) {
        let mut rows = message_rows::rows(message, &look, cells);
        if let Some(anchor) = model.timeline.scroll().filter(|anchor| anchor.seq == message.seq) {
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

/// The user's lines that the log does not have yet.
fn pending(model: &Model, cells: usize, rows_max: usize) -> Vec<Line<'static>> {
    let waiting = usize::try_from(model.composer.waiting()).unwrap_or(usize::MAX);
    if waiting == 0 {
        return Vec::new();
    }
    let style = model.paint().dim();
    let known = model.composer.pending().len().min(waiting);
    let rows = known.min(PENDING_ROWS_MAX).min(rows_max.saturating_sub(1));
    let first = model.composer.pending().len() - known;
    let mut lines = Vec::new();
    if rows < waiting {
        let others = waiting - rows;
        let what = if others == 1 { "line waits" } else { "lines wait" };
        let more = if rows > 0 { " more" } else { "" };
        lines.push(Line::from(Span::styled(format!("   …  {others}{more} {what} for a leader"), style)));
    }
    // The line typed last is at the bottom.
    for text in model.composer.pending().iter().skip(first + known - rows) {
        lines.push(Line::from(Span::styled(shortened(&format!("   …  {} (waits)", safe(text)), cells), style)));
    }
    lines
}

/// Draws the input and returns the place of the caret.
fn input(model: &Model, buffer: &mut Buffer, area: Rect) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let (rows, (column, row)) = model.input_text();
    // The row with the caret is always visible.
    let top = (row + 1).saturating_sub(area.height);
    for (y, line) in (area.top()..area.bottom()).zip(rows.iter().skip(usize::from(top))) {
        put(buffer, (area.x, y), line, area.width);
    }
    Some(Position::new(area.x + column.min(area.width - 1), area.y + row - top))
}
