//! The lengths and repetitions of measurements, and the statistics over their values.

use std::net::Ipv4Addr;
use std::time::Duration;

/// The address that all nodes listen on.
pub(super) const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Bytes of text in every line.
pub(super) const LINE_BYTES: usize = 100;
/// Lines a second while latency is measured.
pub(super) const LATENCY_RATE: u32 = 1_000;
/// Lines a second while the store's cost is measured.
pub(super) const STEADY_RATE: u32 = 5_000;
/// Nodes in a room of whole programs.
pub(super) const FULL_NODES: usize = 5;
/// Thin readers around one leader while latency is measured: with the leader the room has [`FULL_NODES`].
pub(super) const LATENCY_READERS: usize = FULL_NODES - 1;

/// The lengths and repetitions of measurements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Rounds in which each part is measured in turn. The median counts.
    pub(super) rounds: usize,
    /// Time before a rate is measured.
    pub(super) warm_up: Duration,
    /// Time during which a rate is measured.
    pub(super) window: Duration,
    /// Lines of one round whose latency is measured.
    pub(super) latency_lines: usize,
    /// Lines typed into each whole node.
    pub(super) typed_lines: usize,
    /// How often a leader is killed.
    pub(super) kills: usize,
}

impl Plan {
    /// A quick plan, or one for numbers to quote. A leader is killed `kills` times.
    pub(super) fn new(quick: bool, kills: usize) -> Self {
        let ms = Duration::from_millis;
        if quick {
            let kills = kills.min(5);
            return Self {
                rounds: 1,
                warm_up: ms(200),
                window: ms(500),
                latency_lines: 1_000,
                typed_lines: 10_000,
                kills,
            };
        }
        Self { rounds: 3, warm_up: ms(200), window: ms(700), latency_lines: 3_000, typed_lines: 40_000, kills }
    }
}

/// The median. Zero if there are no values.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The smallest value that is not below `percent` of all values. Zero if there are no values.
pub(super) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
