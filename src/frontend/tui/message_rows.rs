//! Renders messages as rows of the screen.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::style::{Modifier, Style, Stylize as _};
use ratatui::text::{Line as Row, Span};

use super::cells::{safe, shortened, width, wrap};
use super::model::messages::{Message, MessageRow, tally};
use super::model::search::Search;
use super::paint::TuiStyle;
use crate::present::values::{FeedLine, FeedPm, LineKind};

/// Indent of a message's rows after the first, in cells.
const INDENT: usize = 6;

/// What the rows depend on besides the message.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The user's name.
    pub own: Option<&'a str>,
    /// The shown channel.
    pub channel: &'a str,
    /// Colours and styles.
    pub paint: TuiStyle,
    /// The user's time zone.
    pub zone: &'a TimeZone,
    /// The search whose hits stand out.
    pub search: Option<&'a Search>,
}

/// The rows of a message, `cells` wide: at least one.
pub fn rows(message: &Message, look: &Look<'_>, cells: usize) -> Vec<Row<'static>> {
    match &message.what {
        MessageRow::Line { line, quote } => line_rows(message.seq, line, quote.as_ref(), look, cells),
        MessageRow::Private(private) => wrap(&private_spans(message.seq, private, look), cells, INDENT),
        MessageRow::Event(text) => {
            let dim = look.paint.dim();
            let mut spans = vec![Span::styled("      ", dim)];
            spans.extend(marked(message.seq, text, dim, look));
            wrap(&spans, cells, INDENT)
        }
        MessageRow::Note(text) => wrap(&marked(message.seq, text, Style::new(), look), cells, INDENT),
        MessageRow::Divider(text) => vec![divider(text, look.paint, cells)],
    }
}

/// `── text ──────`
fn divider(text: &str, paint: TuiStyle, cells: usize) -> Row<'static> {
    let text = shortened(&format!("── {} ", safe(text)), cells);
    let rest = "─".repeat(cells.saturating_sub(width(&text)));
    Row::from(Span::styled(format!("{text}{rest}"), paint.dim()))
}

fn line_rows(
    seq: u64,
    line: &FeedLine,
    quote: Option<&(String, String)>,
    look: &Look<'_>,
    cells: usize,
) -> Vec<Row<'static>> {
    let (paint, name) = (look.paint, safe(line.name.as_str()));
    let mut rows = Vec::new();
    if line.kind == LineKind::Reply {
        let begins = match quote {
            Some((name, text)) => format!("      ┌ {}: {}", safe(name), safe(text)),
            None => "      ┌ an earlier line".to_owned(),
        };
        rows.push(Row::from(Span::styled(shortened(&begins, cells), paint.dim())));
    }
    let mut spans = vec![Span::styled(format!("{} ", clock(&line.time, look.zone)), paint.dim())];
    if line.channel != look.channel {
        spans.push(Span::styled(format!("#{} ", safe(&line.channel)), paint.title()));
    }
    let event = |text: String| Span::styled(text, paint.dim());
    match line.kind {
        LineKind::Say | LineKind::Reply => {
            spans.push(Span::styled(name.clone(), paint.name(&name)));
            spans.push(Span::raw(": "));
            spans.extend(words(seq, line, look));
        }
        LineKind::Me => {
            spans.push(Span::styled(format!("* {name}"), paint.name(&name)));
            spans.push(Span::raw(" "));
            let words = words(seq, line, look).into_iter();
            spans.extend(words.map(|span| span.add_modifier(Modifier::ITALIC)));
        }
        LineKind::React => spans.push(event(format!("{name}: {}", safe(&line.text)))),
        LineKind::Nick => spans.push(event(format!("{name} is {} from here on", safe(&line.text)))),
        LineKind::Topic if line.text.is_empty() => spans.push(event(format!("{name} takes the topic away"))),
        LineKind::Topic => spans.push(event(format!("{name} sets the topic: {}", safe(&line.text)))),
        LineKind::Away if line.text.is_empty() => spans.push(event(format!("{name} is here again"))),
        LineKind::Away => spans.push(event(format!("{name} is away: {}", safe(&line.text)))),
        LineKind::Moderate => spans.push(event(format!("{name} moderates: {}", safe(&line.text)))),
    }
    if !line.reactions.is_empty() {
        spans.push(Span::raw("  "));
        spans.push(Span::styled(format!("[{}]", safe(&tally(&line.reactions))), paint.dim()));
    }
    rows.extend(wrap(&spans, cells, INDENT));
    rows
}

fn words(seq: u64, line: &FeedLine, look: &Look<'_>) -> Vec<Span<'static>> {
    let look = Look { own: look.own.filter(|_| !line.own), ..*look };
    marked(seq, &line.text, Style::new(), &look)
}

fn private_spans(seq: u64, private: &FeedPm, look: &Look<'_>) -> Vec<Span<'static>> {
    let style = look.paint.private();
    let person = |name: &str, own: bool| match own {
        true => Span::styled("you", style),
        false => Span::styled(safe(name), look.paint.name(name)),
    };
    let mut spans = vec![
        Span::styled("(private) ", style),
        person(private.from.as_str(), private.own),
        Span::styled(" to ", style),
        person(private.to.as_str(), !private.own),
        Span::styled(": ", style),
    ];
    spans.extend(marked(seq, &private.text, style, look));
    spans
}

/// `HH:MM` in the user's time zone.
fn clock(time: &str, zone: &TimeZone) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%H:%M").to_string(),
        Err(_) => "     ".to_owned(),
    }
}

/// Foreign text, in which hits of the search and the user's own name stand out.
fn marked(seq: u64, text: &str, style: Style, look: &Look<'_>) -> Vec<Span<'static>> {
    let text = safe(text);
    let hits = look.search.map_or_else(Vec::new, |search| search.places(&text));
    let (places, mark) = match (hits.is_empty(), look.own) {
        (false, _) => {
            let found = look.search.and_then(|search| search.hit) == Some(seq);
            let hit = look.paint.hit();
            (hits, if found { hit.add_modifier(Modifier::BOLD | Modifier::UNDERLINED) } else { hit })
        }
        (true, Some(own)) => (mentions(&text, own), look.paint.mention()),
        (true, None) => (Vec::new(), style),
    };
    let mut spans = Vec::new();
    let mut at = 0;
    for place in places {
        spans.push(Span::styled(text[at..place.start].to_owned(), style));
        spans.push(Span::styled(text[place.clone()].to_owned(), style.patch(mark)));
        at = place.end;
    }
    spans.push(Span::styled(text[at..].to_owned(), style));
    spans.retain(|span| !span.content.is_empty());
    spans
}

/// The byte ranges in which `name` is a whole word.
pub fn mentions(text: &str, name: &str) -> Vec<Range<usize>> {
    crate::present::paint::mentions(text, name).into_iter().map(|(from, to)| from..to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_mentioned_as_a_word() {
        assert_eq!(mentions("Ann, annual ann-2 @ann ann", "ann"), [0..3, 19..22, 23..26]);
    }
}
