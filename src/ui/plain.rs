//! Values as lines of text, without colours.

use std::fmt::Write as _;

use super::feed::Told;
use super::format;
use crate::text;

/// Appends what a person at a terminal is shown of this, if anything; `verbose`: what is not notable too.
pub fn push(told: &Told, verbose: bool, out: &mut String) {
    match told {
        Told::Line(line) => {
            let _ = write!(out, "> {}({})[{}]: ", line.name, line.address, line.ts);
            text::push_visible(out, &line.text);
            out.push('\n');
        }
        Told::Private(private) => {
            let (way, whom) = if private.own { ("to", &private.to) } else { ("from", &private.from) };
            format::push_screen_event(out, &format!("private {way} {whom}: {}", private.text));
        }
        Told::Reactions(of) => {
            let counts: Vec<String> =
                of.reactions.iter().map(|count| format!("{} {}", count.with, count.count)).collect();
            format::push_screen_event(out, &format!("[{}] {}: {}: {}", of.ts, of.name, of.text, counts.join(", ")));
        }
        Told::Event(event) if event.notable => format::push_screen_event(out, &event.text),
        Told::Event(event) if verbose => {
            let _ = writeln!(out, "{}: {}", event.ts, event.text);
        }
        Told::Note { text } => format::push_screen_event(out, text),
        Told::Listing { heading, lines } => {
            format::push_screen_event(out, heading);
            for line in lines {
                text::push_visible(out, line);
                out.push('\n');
            }
        }
        Told::Waiting { lines: 0 } => format::push_screen_event(out, "ordered: none of your lines waits any more"),
        Told::Waiting { lines } => format::push_screen_event(out, &format::waiting_text(*lines)),
        Told::Missed { lines } => {
            let text = lines.map_or_else(|| "while you were away".to_owned(), |lines| format::away_text(lines, lines));
            format::push_screen_event(out, &text);
        }
        Told::CaughtUp => format::push_screen_event(out, "now"),
        Told::LeftOut { lines: 1 } => format::push_screen_event(out, "1 line not shown here; it is in the log"),
        Told::LeftOut { lines } => {
            format::push_screen_event(out, &format!("{lines} lines not shown here; they are in the log"))
        }
        Told::Event(_)
        | Told::Hello(_)
        | Told::State(_)
        | Told::Here(_)
        | Told::Clear
        | Told::Sent(_)
        | Told::Bye { .. } => {}
    }
}
