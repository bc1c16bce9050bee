//! The rate limit for one author: a token bucket for each author at the leader (RFC 2697 describes a similar one).
//!
//! An author that has used its burst continues at the rate. A bucket is charged for everything that it lets through,
//! even beyond its limit; then nothing more passes until that is paid.

use crate::ring::types::time::{Span, Time};

/// How much a leader takes from one author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Lines a second on average; zero: no limit.
    pub lines: u64,
    /// Lines at once.
    pub lines_burst: u64,
    /// Bytes a second, as [`Line::weight`](crate::ring::Line::weight) counts them.
    pub bytes: u64,
    /// Bytes at once.
    pub bytes_burst: u64,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { lines: 0, lines_burst: 0, bytes: 0, bytes_burst: 0 };

    /// So many lines a second, with bursts and bytes in proportion; zero: no limit.
    pub const fn of(lines: u64) -> Self {
        let default = Self::DEFAULT;
        Self {
            lines,
            lines_burst: lines.saturating_mul(default.lines_burst / default.lines),
            bytes: lines.saturating_mul(default.bytes / default.lines),
            bytes_burst: lines.saturating_mul(default.bytes_burst / default.lines),
        }
    }

    /// The rate and the bursts, multiplied.
    pub const fn times(self, times: u64) -> Self {
        Self {
            lines: self.lines.saturating_mul(times),
            lines_burst: self.lines_burst.saturating_mul(times),
            bytes: self.bytes.saturating_mul(times),
            bytes_burst: self.bytes_burst.saturating_mul(times),
        }
    }

    /// 100,000 lines or 62.5 MiB at once, then 2,000 lines and 2,000 KiB a second: more than people type and most
    /// scripts print. A flood then fills a disk slowly enough for somebody to stop it.
    pub const DEFAULT: Self =
        Self { lines: 2_000, lines_burst: 100_000, bytes: 2_000 * 1_024, bytes_burst: 2_000 * 32_768 };
}

impl Default for Rate {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One author's bucket: the time at which its use is paid. This needs less memory than a count and a time, and rounding
/// errors do not add up (the generic cell rate algorithm, ITU-T I.371).
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Bucket {
    lines_paid: Time,
    bytes_paid: Time,
}

impl Bucket {
    /// How long the bucket lets nothing through; zero: it lets something through now.
    pub fn wait(&self, now: Time, rate: &Rate) -> Span {
        if rate.lines == 0 {
            return Span(0);
        }
        let ahead = |paid: Time, burst: u64, per_second: u64| (paid - now).0.saturating_sub(micros(burst, per_second));
        let lines = ahead(self.lines_paid, rate.lines_burst, rate.lines);
        Span(lines.max(ahead(self.bytes_paid, rate.bytes_burst, rate.bytes)))
    }

    /// Charges the bucket for lines and bytes that it has let through.
    pub fn charge(&mut self, now: Time, rate: &Rate, lines: usize, bytes: usize) {
        let (lines, bytes) = (lines as u64, bytes as u64);
        self.lines_paid = self.lines_paid.max(now) + Span(micros(lines, rate.lines));
        self.bytes_paid = self.bytes_paid.max(now) + Span(micros(bytes, rate.bytes));
    }

    /// Whether everything is paid: the bucket is as good as a new one.
    pub fn is_empty(&self, now: Time) -> bool {
        self.lines_paid <= now && self.bytes_paid <= now
    }
}

/// The time for `amount` at a rate of `per_second`.
fn micros(amount: u64, per_second: u64) -> u64 {
    amount.saturating_mul(1_000_000).checked_div(per_second).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_comes_through_and_then_the_rate() {
        let rate = Rate { lines: 10, lines_burst: 100, bytes: 1_000, bytes_burst: 1_000_000 };
        let mut bucket = Bucket::default();
        let at = |ms: u64| Time(1_000 * ms);
        for _ in 0..10 {
            assert_eq!(bucket.wait(at(0), &rate), Span(0));
            bucket.charge(at(0), &rate, 10, 10);
        }
        assert_eq!(bucket.wait(at(0), &rate), Span(0), "exactly the burst");
        bucket.charge(at(0), &rate, 10, 10);
        assert_eq!(bucket.wait(at(0), &rate), Span::ms(1_000), "ten lines at ten a second");
        assert_eq!(bucket.wait(at(1_000), &rate), Span(0));
        assert!(!bucket.is_empty(at(1_000)) && bucket.is_empty(at(11_000)));
    }

    #[test]
    fn bytes_count_too_and_no_limit_is_none() {
        let rate = Rate { lines: 10, lines_burst: 100, bytes: 1_000, bytes_burst: 2_000 };
        let mut bucket = Bucket::default();
        bucket.charge(Time(0), &rate, 1, 5_000);
        assert_eq!(bucket.wait(Time(0), &rate), Span::ms(3_000));
        bucket.charge(Time(0), &Rate::UNLIMITED, usize::MAX, usize::MAX);
        assert_eq!(bucket.wait(Time(0), &Rate::UNLIMITED), Span(0));
        assert_eq!(Rate::of(2_000), Rate::DEFAULT);
    }
}
