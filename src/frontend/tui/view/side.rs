//! The side: the members and the channels.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use crate::frontend::tui::cells::{put, safe, shortened, title, width};
use crate::frontend::tui::model::Model;
use crate::present::values::FeedMember;

/// Draws the members: `★` is the leader, `(you)` this node; the others with their round-trip time or how far behind
/// they are.
pub fn members(model: &Model, buffer: &mut Buffer, area: Rect) {
    let paint = model.paint();
    let Some(state) = &model.room.state else { return title(buffer, area, "members", paint.title()) };
    title(buffer, area, &format!("members ({})", state.members.len()), paint.title());
    let leader = model.room.ring.leader(state);
    // The last row is blank before another pane, or counts the members without a row.
    let rows = usize::from(area.height).saturating_sub(2).max(1);
    let (seen, left) = match state.members.len() {
        all if all <= rows => (all, 0),
        all => (rows - 1, all - (rows - 1)),
    };
    for (y, member) in (area.top() + 1..area.bottom()).zip(state.members.iter().take(seen)) {
        let (mark, style) = match leader == Some(member.address) {
            true => ("★ ", paint.good()),
            false if member.away.is_some() => ("○ ", paint.dim()),
            false => ("● ", paint.dim()),
        };
        let own = member.address == state.address;
        let about = if own { "(you)".to_owned() } else { about(member) };
        let cells = usize::from(area.width);
        let name = shortened(&safe(member.name.as_str()), cells.saturating_sub(3 + width(&about)));
        let gap = " ".repeat(cells.saturating_sub(2 + width(&name) + width(&about)));
        let mut of_name = paint.name(member.name.as_str());
        if member.away.is_some() {
            of_name = paint.dim();
        }
        let line = Line::from(vec![
            Span::styled(mark, style),
            Span::styled(name, of_name),
            Span::raw(gap),
            Span::styled(about, paint.dim()),
        ]);
        put(buffer, (area.x, y), &line, area.width);
    }
    if left > 0 {
        let y = area.y + u16::try_from(seen).unwrap_or(0) + 1;
        if y < area.bottom() {
            put(buffer, (area.x, y), &Line::from(Span::styled(format!("  and {left} more"), paint.dim())), area.width);
        }
    }
}

/// The most important fact about a member.
fn about(member: &FeedMember) -> String {
    match (&member.away, member.link, member.behind, member.rtt_us) {
        (Some(why), ..) if !why.is_empty() => format!("away: {}", shortened(&safe(why), 10)),
        (Some(_), ..) => "away".to_owned(),
        (None, Some(link), ..) if !link.up => "no answer".to_owned(),
        (None, _, Some(behind), _) if behind > 0 => format!("{behind} behind"),
        (None, _, _, Some(us)) if us < 10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        (None, _, _, Some(us)) => format!("{} ms", us / 1000),
        (None, ..) => String::new(),
    }
}

/// Draws the channels and their numbers of unread lines.
pub fn channels(model: &Model, buffer: &mut Buffer, area: Rect) {
    let paint = model.paint();
    title(buffer, area, "channels", paint.title());
    let channels = model.channels();
    let rows = usize::from(area.height).saturating_sub(2).max(1);
    for (y, (place, (name, unread))) in (area.top() + 1..area.bottom()).zip(channels.iter().enumerate().take(rows)) {
        let here = *name == model.channels.shown();
        let number = if place < 9 { format!("{} ", place + 1) } else { "  ".to_owned() };
        let count = if *unread > 0 { unread.to_string() } else { String::new() };
        let cells = usize::from(area.width);
        let name = shortened(&format!("#{}", safe(name)), cells.saturating_sub(3 + width(&count)));
        let gap = " ".repeat(cells.saturating_sub(2 + width(&name) + width(&count)));
        let mut style = ratatui::style::Style::new();
        if here {
            style = style.add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
        } else if *unread > 0 {
            style = style.add_modifier(Modifier::BOLD);
        }
        let line = Line::from(vec![
            Span::styled(number, paint.dim()),
            Span::styled(name, style),
            Span::raw(gap),
            Span::styled(count, paint.good()),
        ]);
        put(buffer, (area.x, y), &line, area.width);
    }
}
