//! What lines of the past look like. Scripts read these: they do not change lightly.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::builder::{self, local, timestamp};
use super::format::LineFormat;
use super::values::{LineKind, ReactionCount};
use crate::ring::{AuthorId, Channel, Emoji, Entry, Name, SessionId, Uid};
use crate::text;

/// `2026-11-20 15:04:05 > NAME(IP:PORT)[TS]: text`, and behind a line to which something was put ` [👍 3, 🎉 1]`.
#[derive(Debug)]
pub struct Plain {
    zone: TimeZone,
    line: LineFormat,
    /// The last second, in words.
    second: (i64, String),
    log: String,
}

impl Default for Plain {
    fn default() -> Self {
        Self::in_zone(local())
    }
}

impl Plain {
    fn in_zone(zone: TimeZone) -> Self {
        Self { zone, line: LineFormat::default(), second: (i64::MIN, String::new()), log: String::new() }
    }

    /// Appends an entry, if it is a line, with what was put to it.
    pub fn push(&mut self, entry: &Entry, reactions: &[(Emoji, u64)], out: &mut String) {
        let at = timestamp(entry.wall);
        if self.second.0 != at.as_second() {
            self.second.0 = at.as_second();
            let time = self.zone.to_datetime(at);
            let (date, clock) = (time.date(), time.time());
            self.second.1.clear();
            let _ = write!(
                self.second.1,
                "{:04}-{:02}-{:02} {:02}:{:02}:{:02} ",
                date.year(),
                date.month(),
                date.day(),
                clock.hour(),
                clock.minute(),
                clock.second()
            );
        }
        let before = out.len();
        out.push_str(&self.second.1);
        self.log.clear();
        if !self.line.push(entry, &mut self.log, out) {
            return out.truncate(before);
        }
        if !reactions.is_empty() && out.ends_with('\n') {
            out.pop();
            push_reactions(reactions, out);
            out.push('\n');
        }
    }
}

/// Appends ` [👍 3, 🎉 1]`.
fn push_reactions(reactions: &[(Emoji, u64)], out: &mut String) {
    for (place, (with, count)) in reactions.iter().enumerate() {
        out.push_str(if place == 0 { " [" } else { ", " });
        text::push_visible(out, with.as_str());
        let _ = write!(out, " {count}");
    }
    out.push(']');
}

/// One object a line.
#[derive(Debug)]
pub struct Json {
    zone: TimeZone,
}

impl Default for Json {
    fn default() -> Self {
        Self { zone: local() }
    }
}

/// What is told of a line. The keys are stable.
#[derive(Serialize)]
struct HistoryValue<'a> {
    index: u64,
    ts: u64,
    time: &'a str,
    epoch: HistoryEpoch,
    name: &'a Name,
    address: Uid,
    author: AuthorId,
    session: SessionId,
    n: u64,
    text: &'a str,
    channel: &'a str,
    kind: LineKind,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionCount>,
}

/// The epoch in which a line was ordered.
#[derive(Serialize)]
struct HistoryEpoch {
    round: u64,
    leader: Uid,
}

impl Json {
    /// Appends an entry, if it is a line, with what was put to it.
    pub fn push(&mut self, entry: &Entry, reactions: &[(Emoji, u64)], out: &mut String) {
        let Some(line) = entry.line() else { return };
        let told = HistoryValue {
            index: entry.index.0,
            ts: entry.lamport.0,
            time: &builder::time(entry.wall, &self.zone),
            epoch: HistoryEpoch { round: entry.epoch.round, leader: entry.epoch.leader },
            name: &line.name,
            address: line.uid,
            author: line.id.author,
            session: line.id.session,
            n: line.id.n,
            text: line.words(),
            channel: Channel::name_of(line.channel.as_ref()),
            kind: LineKind::of(line.act.as_ref()),
            reactions: ReactionCount::all(reactions),
        };
        // Numbers and strings always have a form in JSON.
        if let Ok(json) = serde_json::to_string(&told) {
            text::push_escaped(out, &json);
            out.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::sync::Arc;

    use super::*;
    use crate::ring::{Act, Body, Epoch, Index, Lamport, Line, LineId, Nonce, Text, WallMs};

    fn entry(wall: u64, text: &str) -> Entry {
        let line = Line {
            id: LineId { author: AuthorId::of_bits(1), session: SessionId(2), n: 3 },
            lamport: Lamport(11),
            name: Name::parse("ann").unwrap(),
            uid: "10.0.0.5:2428".parse().unwrap(),
            text: Text::parse(text).unwrap(),
            channel: None,
            act: None,
            signature: None,
        };
        let epoch = Epoch { round: 4, leader: "10.0.0.7:2428".parse().unwrap(), nonce: Nonce(1) };
        let (index, lamport) = (Index(9), Lamport(12));
        Entry { epoch, index, lamport, wall: WallMs(wall), body: Body::Line(Arc::new(line)) }
    }

    fn plain(wall: u64, text: &str) -> String {
        let mut out = String::new();
        Plain::in_zone(TimeZone::fixed(jiff::tz::offset(1))).push(&entry(wall, text), &[], &mut out);
        out
    }

    fn json(wall: u64, text: &str) -> String {
        let mut out = String::new();
        Json { zone: TimeZone::fixed(jiff::tz::offset(1)) }.push(&entry(wall, text), &[], &mut out);
        out
    }

    #[test]
    fn a_line_has_its_exact_form() {
        let wall = 1_795_183_445_678;
        assert_eq!(plain(wall, "hello"), "2026-11-20 15:04:05 > ann(10.0.0.5:2428)[12]: hello\n");
        let expected = concat!(
            r#"{"index":9,"ts":12,"time":"2026-11-20T15:04:05.678+01:00","#,
            r#""epoch":{"round":4,"leader":"10.0.0.7:2428"},"name":"ann","address":"10.0.0.5:2428","#,
            r#""author":"0000000000000001000000000000000000000000000000000000000000000000","session":"0000000000000002","n":3,"text":"hello","#,
            r#""channel":"lobby","kind":"say"}"#,
            "\n"
        );
        assert_eq!(json(wall, "hello"), expected);
    }

    #[test]
    fn what_is_put_to_a_line_stands_behind_it() {
        let mut entry = entry(1_795_183_445_678, "/topic Deploy at six");
        if let Body::Line(line) = &mut entry.body {
            let line = Arc::make_mut(line);
            (line.channel, line.act) = (Channel::parse("ops").unwrap(), Some(Act::Topic));
        }
        let put = [(Emoji::like(), 3), (Emoji::parse("🎉").unwrap(), 1)];
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let (mut plain, mut json) = (String::new(), String::new());
        Plain::in_zone(zone.clone()).push(&entry, &put, &mut plain);
        let expected = "2026-11-20 15:04:05 > ann(10.0.0.5:2428)[12]: /topic Deploy at six [👍 3, 🎉 1]\n";
        assert_eq!(plain, expected);
        Json { zone }.push(&entry, &put, &mut json);
        let end = concat!(
            r#""n":3,"text":"Deploy at six","channel":"ops","kind":"topic","#,
            r#""reactions":[{"with":"👍","count":3},{"with":"🎉","count":1}]}"#,
            "\n"
        );
        assert!(json.ends_with(end), "{json}");
    }

    #[test]
    fn a_line_harms_no_terminal() {
        let evil = "a\x1b]0;t\x07\u{9b}2J\u{202e}\r\u{7f} “quoted” \u{1f980}";
        let text = plain(0, evil);
        assert!(text.ends_with("a\\x1b]0;t\\x07\\u{9b}2J\\u{202e}\\r\\x7f “quoted” \u{1f980}\n"), "{text}");
        let line = json(0, evil);
        assert!(!line.trim_end().chars().any(char::is_control) && !line.contains('\u{202e}'), "{line}");
        assert!(line.contains("“quoted” \u{1f980}"));
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["text"], evil);
    }

    #[test]
    fn a_clock_that_is_mad_is_shown_all_the_same() {
        assert!(plain(u64::MAX, "x").starts_with("9999-12-3"));
        assert!(json(u64::MAX, "x").contains(r#""time":"9999-12-3"#));
    }
}
