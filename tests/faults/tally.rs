//! What scenarios add up to.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::check::Verdict;
use crate::plan::KINDS;

/// Sums and worst cases.
#[derive(Default)]
pub struct Tally {
    pub scenarios: u32,
    pub failed: Vec<u64>,
    /// Faults injected, by kind.
    pub faults: [u32; KINDS.len()],
    /// What could not be injected here.
    pub left_out: BTreeSet<String>,
    /// Lines typed, ordered, and owed: acknowledged, or typed by somebody who was never killed after.
    pub typed: u64,
    pub ordered: u64,
    pub owed: u64,
    pub lost: u64,
    pub doubled: u64,
    /// Nodes whose history differs, and entries that stand out of order.
    pub diverged: u64,
    /// Lines that a person was shown at a place that they have left since: the price of partitions.
    pub moved: u64,
    /// Lines of the history that a chat log lacks, typed since its owner was in the room.
    pub unlogged: u64,
    /// Epochs after the first of each room.
    pub elections: u64,
    /// From a leader's kill to the first line that is typed after it and ordered; one for each.
    pub failovers: Vec<Duration>,
    /// From the last fault to one room with one ring; one for each scenario.
    pub healings: Vec<Duration>,
}

impl Tally {
    pub fn add(&mut self, verdict: &Verdict) {
        self.typed += verdict.typed;
        self.ordered += verdict.ordered;
        self.owed += verdict.owed;
        self.lost += verdict.lost;
        self.doubled += verdict.doubled;
        self.diverged += verdict.diverged;
        self.moved += verdict.moved;
        self.unlogged += verdict.unlogged;
        self.elections += verdict.elections;
    }

    pub fn wrong(&self) -> bool {
        !self.failed.is_empty() || self.lost + self.doubled + self.diverged + self.unlogged > 0
    }
}

fn worst(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    match (times.get(times.len() / 2), times.last()) {
        (Some(median), Some(worst)) => {
            format!("{:.2} s (median {:.2} s of {})", worst.as_secs_f64(), median.as_secs_f64(), times.len())
        }
        _ => "none".into(),
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "  {name:<22} {value:>10}");
        row("scenarios", &self.scenarios)?;
        row("scenarios failed", &self.failed.len())?;
        for (kind, count) in KINDS.iter().zip(&self.faults) {
            row(&format!("fault: {kind}"), count)?;
        }
        row("lines sent", &self.typed)?;
        row("lines ordered", &self.ordered)?;
        row("lines owed", &self.owed)?;
        row("lost", &self.lost)?;
        row("doubled", &self.doubled)?;
        row("diverged", &self.diverged)?;
        row("moved by partitions", &self.moved)?;
        row("missing in a chat log", &self.unlogged)?;
        row("elections", &self.elections)?;
        writeln!(f, "  {:<22} {}", "worst failover", worst(&self.failovers))?;
        writeln!(f, "  {:<22} {}", "worst healing", worst(&self.healings))?;
        for what in &self.left_out {
            writeln!(f, "  left out here: {what}")?;
        }
        if !self.failed.is_empty() {
            writeln!(f, "  FAILED SEEDS: {:?}", self.failed)?;
        }
        Ok(())
    }
}
