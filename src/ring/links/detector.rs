//! The failure detector of one link: heartbeats, their echoes, and the longest silence.
//!
//! A link is alive while bytes arrive and the node's own heartbeats come back: a link that carries only one way is
//! dead. The patience adapts to the link's round trip. A node that was itself stalled gives its peers that much more
//! time (Lifeguard: Dadgar, Phillips, Currey 2018).

use crate::ring::timing::Timing;
use crate::ring::types::time::{Span, Time};

/// The liveness of one connection.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Detector {
    heard: Time,
    echoed: Time,
    /// Like `echoed`, but never moved by forgiveness.
    proved: Time,
    round_trip: Span,
    deviation: Span,
}

impl Detector {
    /// For a connection that has just come up.
    pub fn new(now: Time) -> Self {
        Self { heard: now, echoed: now, proved: now, round_trip: Span(0), deviation: Span(0) }
    }

    /// Bytes have arrived.
    pub fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    /// The heartbeat sent at `sent` came back. The detector ignores a time in the future, or one so long ago that the
    /// connection would be dead since.
    pub fn echoed(&mut self, now: Time, sent: Time, timing: &Timing) {
        if sent > now || now - sent > timing.silence.times(4) {
            return;
        }
        (self.echoed, self.proved) = (now, now);
        // Jacobson 1988, as in RFC 6298: smoothed round trip and mean deviation.
        let sample = (now - sent).0;
        if self.round_trip.0 == 0 {
            (self.round_trip, self.deviation) = (Span(sample), Span(sample / 2));
        } else {
            let off = sample.abs_diff(self.round_trip.0);
            self.deviation = Span((self.deviation.0 * 3 + off) / 4);
            self.round_trip = Span((self.round_trip.0 * 7 + sample) / 8);
        }
    }

    /// This node was stalled: frames that its peers sent meanwhile may still be on their way. The peers are not given
    /// up for that, but must prove anew that they are there.
    pub fn forgive(&mut self, now: Time, stalled: Span) {
        self.heard = now.min(self.heard + stalled);
        self.echoed = now.min(self.echoed + stalled);
    }

    /// The smoothed round trip; zero until the first echo.
    pub fn round_trip(&self) -> Span {
        self.round_trip
    }

    /// When the last bytes arrived.
    pub fn last_heard(&self) -> Time {
        self.heard
    }

    /// How long ago the last echo came.
    pub fn echo_age(&self, now: Time) -> Span {
        now - self.proved
    }

    /// Whether an echo came within two heartbeats.
    pub fn fresh(&self, now: Time, timing: &Timing) -> bool {
        self.echo_age(now) <= timing.heartbeat.times(2)
    }

    /// When this connection is dead unless bytes arrive: after [`Timing::silence`] and four deviations of the round
    /// trip without a byte (at most twice that limit), or after twice that without an echo.
    pub fn dead_at(&self, timing: &Timing) -> Time {
        let slack = self.round_trip.0.saturating_add(self.deviation.0.saturating_mul(4));
        let patience = Span(timing.silence.0 + slack.min(timing.silence.0));
        (self.heard + patience).min(self.echoed + patience.times(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_node_gives_its_peers_up_later_and_takes_none_for_fresh() {
        let timing = Timing::default();
        let at = |ms: u64| Time(1000 * ms);
        let mut detector = Detector::new(at(0));
        detector.heard(at(100));
        detector.echoed(at(100), at(99), &timing);
        assert!(detector.fresh(at(200), &timing));
        // Ten seconds later, with unread frames from meanwhile.
        detector.forgive(at(10_100), Span::ms(10_000));
        assert!(detector.dead_at(&timing) > at(11_000));
        assert!(!detector.fresh(at(10_101), &timing));
        detector.echoed(at(10_102), at(10_101), &timing);
        assert!(detector.fresh(at(10_103), &timing));
    }
}
