//! Parses moments in the forms that people write.

use jiff::civil::{DateTime, Time};
use jiff::{Span, Timestamp, ToSpan as _, Zoned};

use super::Moment;
use crate::ring::{Lamport, WallMs};

/// The end of a period that a moment stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The start of the named period.
    Since,
    /// The end of the named period: `14:30` lasts up to 14:30:59.999, `2026-11-20` up to midnight.
    Until,
}

/// Reads a Lamport timestamp (digits), an RFC 3339 time, a local date, a local date and time, a local time of today, or
/// a span back from now (`2h`, `10 min`, `3 days ago`).
pub fn parse(text: &str, edge: Edge, now: &Zoned) -> Option<Moment> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().map(|stamp| Moment::Stamp(Lamport(stamp)));
    }
    let named = match (text.parse::<Timestamp>(), text.parse::<DateTime>(), text.parse::<Time>()) {
        (Ok(at), ..) => Some(at.to_zoned(now.time_zone().clone())),
        (_, Ok(at), _) => Some(at.to_zoned(now.time_zone().clone()).ok()?),
        (.., Ok(at)) => Some(now.date().to_datetime(at).to_zoned(now.time_zone().clone()).ok()?),
        _ => None,
    };
    let at = match named {
        Some(at) if edge == Edge::Until => end(text, &at)?,
        Some(at) => at.timestamp(),
        None => now.checked_sub(text.parse::<Span>().ok()?.abs()).ok()?.timestamp(),
    };
    Some(Moment::Wall(WallMs(u64::try_from(at.as_millisecond()).unwrap_or(0))))
}

/// The last millisecond of the named period.
fn end(text: &str, at: &Zoned) -> Option<Timestamp> {
    let span = match clock_digits(text) {
        0 => 1.day(),
        1..=2 => 1.hour(),
        3..=4 => 1.minute(),
        5..=6 => 1.second(),
        // The text names a fraction of a second.
        _ => return Some(at.timestamp()),
    };
    at.checked_add(span).ok()?.checked_sub(1.millisecond()).ok().map(|at| at.timestamp())
}

/// How many digits the text gives for the time of day, without date and zone.
fn clock_digits(text: &str) -> usize {
    let clock = match text.split_once(['T', 't', ' ']) {
        Some((_, clock)) => clock,
        None if text.contains(':') => text,
        None => "",
    };
    let clock = clock.split(['Z', 'z', '+', '-', '[']).next().unwrap_or(clock);
    clock.bytes().filter(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

    use jiff::tz::TimeZone;

    use super::*;

    fn now() -> Zoned {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        "2026-11-20T16:00:00".parse::<DateTime>().unwrap().to_zoned(zone).unwrap()
    }

    fn ms(text: &str, edge: Edge) -> i64 {
        match parse(text, edge, &now()) {
            Some(Moment::Wall(wall)) => i64::try_from(wall.0).unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn utc(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(parse("120", Edge::Since, &now()), Some(Moment::Stamp(Lamport(120))));
        for (text, since, until) in [
            ("2026-11-20", "2026-11-19T23:00:00Z", "2026-11-20T22:59:59.999Z"),
            ("2026-11-20 14:30", "2026-11-20T13:30:00Z", "2026-11-20T13:30:59.999Z"),
            ("2026-11-20T14:30:05", "2026-11-20T13:30:05Z", "2026-11-20T13:30:05.999Z"),
            ("2026-11-20 14:30:05.25", "2026-11-20T13:30:05.25Z", "2026-11-20T13:30:05.25Z"),
            ("2026-11-20T14:30:05Z", "2026-11-20T14:30:05Z", "2026-11-20T14:30:05.999Z"),
            ("2026-11-20T14:30:05+05:30", "2026-11-20T09:00:05Z", "2026-11-20T09:00:05.999Z"),
            ("2026-11-20T14:30:05.678-01:00", "2026-11-20T15:30:05.678Z", "2026-11-20T15:30:05.678Z"),
            ("14:30", "2026-11-20T13:30:00Z", "2026-11-20T13:30:59.999Z"),
            (" 14:30:05 ", "2026-11-20T13:30:05Z", "2026-11-20T13:30:05.999Z"),
            ("2h", "2026-11-20T13:00:00Z", "2026-11-20T13:00:00Z"),
            ("10 min", "2026-11-20T14:50:00Z", "2026-11-20T14:50:00Z"),
            ("3 days", "2026-11-17T15:00:00Z", "2026-11-17T15:00:00Z"),
            ("1 week ago", "2026-11-13T15:00:00Z", "2026-11-13T15:00:00Z"),
            ("1h 30m", "2026-11-20T13:30:00Z", "2026-11-20T13:30:00Z"),
        ] {
            assert_eq!(ms(text, Edge::Since), utc(since), "since {text}");
            assert_eq!(ms(text, Edge::Until), utc(until), "until {text}");
        }
        assert_eq!(ms("1960-01-01", Edge::Since), 0);
    }

    #[test]
    fn nonsense_is_none() {
        for text in
            ["", " ", "soon", "25:00", "2026-13-01", "99999999999999999999", "-5", "2 parsecs", "14:30 tomorrow"]
        {
            assert_eq!(parse(text, Edge::Since, &now()), None, "{text}");
        }
    }
}
