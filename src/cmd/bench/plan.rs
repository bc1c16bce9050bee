//! How long and how often things are measured, and which value of many counts.

use std::net::Ipv4Addr;
use std::time::Duration;

/// Where everything listens.
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

/// How long and how often things are measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// Rounds in which everything is measured in turn; the median counts.
    pub(super) rounds: usize,
    /// Before a rate is measured.
    pub(super) warm_up: Duration,
    /// While a rate is measured.
    pub(super) window: Duration,
    /// Lines whose latency is measured, in one round.
    pub(super) latency_lines: usize,
    /// Lines typed into each whole node.
    pub(super) typed_lines: usize,
    /// Leaders killed.
    pub(super) kills: usize,
}

impl Plan {
    /// A quick look, or numbers to quote; a leader is killed `kills` times.
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

/// The value in the middle. Zero of nothing.
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The smallest value that is not below `percent` of all. Zero of nothing.
pub(super) fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}
