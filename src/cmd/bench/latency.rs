//! From submission at a member to delivery at the last, at an even pace, beside bare sockets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use super::baseline::Bare;
use super::full;
use super::lab::{Lab, Leader, wait_until};
use super::member::{Readers, Watch};
use super::process::Keep;
use super::table::{Aim, Table, time};
use super::{FULL_NODES, LATENCY_RATE, LATENCY_READERS, Plan, fanout, median, percentile};

/// When each line was sent, and when the last reader had it.
pub struct Times {
    clock: Instant,
    begin: Notify,
    /// The log's index before the first line.
    base: AtomicU64,
    lines: Vec<LineTimes>,
}

/// In nanoseconds on the clock.
#[derive(Default)]
struct LineTimes {
    sent: AtomicU64,
    last: AtomicU64,
    readers: AtomicU32,
}

impl Times {
    /// Room for `lines` lines.
    pub fn new(lines: usize) -> Arc<Self> {
        let lines = std::iter::repeat_with(LineTimes::default).take(lines).collect();
        Arc::new(Self { clock: Instant::now(), begin: Notify::new(), base: AtomicU64::new(u64::MAX), lines })
    }

    /// Lets the speaker begin; the lines follow this index of the log.
    pub fn begin(&self, base: u64) {
        self.base.store(base, Ordering::SeqCst);
        self.begin.notify_one();
    }

    /// Waits for [`begin`](Self::begin).
    pub async fn begun(&self) {
        self.begin.notified().await;
    }

    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.lines.len() as u64
    }

    /// The index of the `n`-th line.
    pub fn index(&self, n: u64) -> u64 {
        self.base.load(Ordering::Relaxed).saturating_add(n)
    }

    /// The `n`-th line, from 1, leaves.
    pub fn sent(&self, n: u64) {
        if let Some(line) = self.lines.get(n as usize - 1) {
            line.sent.store(self.now(), Ordering::Relaxed);
        }
    }

    /// A reader has the entries from this index to that.
    pub fn delivered(&self, first: u64, last: u64) {
        let now = self.now();
        let base = self.base.load(Ordering::Relaxed);
        for index in first..=last {
            let Some(place) = index.checked_sub(base).and_then(|n| n.checked_sub(1)) else { continue };
            if let Some(line) = self.lines.get(place as usize) {
                line.last.fetch_max(now, Ordering::Relaxed);
                line.readers.fetch_add(1, Ordering::Release);
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    /// Whether all of so many readers have the last line.
    pub fn complete(&self, readers: usize) -> bool {
        self.lines.iter().rev().all(|line| line.readers.load(Ordering::Acquire) as usize == readers)
    }

    /// Microseconds from sending to the last delivery, for each line.
    pub fn micros(&self) -> Vec<f64> {
        let span = |line: &LineTimes| {
            let (sent, last) = (line.sent.load(Ordering::Relaxed), line.last.load(Ordering::Relaxed));
            last.saturating_sub(sent) as f64 / 1e3
        };
        self.lines.iter().map(span).collect()
    }
}

/// The median over the rounds of each round's p50 and p99.
#[derive(Default)]
struct Latency {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Latency {
    fn add(&mut self, micros: &[f64]) {
        self.p50.push(median(micros));
        self.p99.push(percentile(micros, 99.0));
    }

    fn row(&self, label: &str, table: &mut Table) {
        table.row(label, &[time(median(&self.p50)), time(median(&self.p99))]);
    }
}

/// Fills in the latencies.
pub fn measure(lab: &Lab, plan: &Plan, program: &Path, table: &mut Table) -> anyhow::Result<()> {
    let mut echo = Latency::default();
    let mut relay = Latency::default();
    let mut room = Latency::default();
    let mut full = Latency::default();
    for _ in 0..plan.rounds {
        echo.add(&bare(lab, plan, 1)?);
        relay.add(&bare(lab, plan, LATENCY_READERS)?);
        room.add(&thin(lab, plan)?);
        full.add(&full::latency(program, Keep::Files, LATENCY_RATE, plan.latency_lines)?);
    }
    table.part(&format!("latency at {LATENCY_RATE} lines/s, until the last has it"), &["p50", "p99"]);
    room.row(&format!("the room, {LATENCY_READERS} thin readers, one of them speaks"), table);
    full.row(&format!("the room, {FULL_NODES} whole programs, stdin to stdout"), table);
    echo.row("bare socket, there and back", table);
    relay.row(&format!("bare loop, there and to {LATENCY_READERS} readers"), table);
    let pairs = [("p50", &room.p50, &echo.p50, &relay.p50), ("p99", &room.p99, &echo.p99, &relay.p99)];
    for (label, room, echo, _) in pairs {
        table.ratio(&format!("latency {label} / bare socket"), median(room) / median(echo), Aim::AtMost(2.0));
    }
    for (label, room, _, relay) in pairs {
        let label = format!("latency {label} / bare loop to {LATENCY_READERS} readers");
        table.ratio(&label, median(room) / median(relay), Aim::AtMost(2.0));
    }
    Ok(())
}

/// A line goes to a loop that sends it on to all readers, the speaker among them.
fn bare(lab: &Lab, plan: &Plan, readers: usize) -> anyhow::Result<Vec<f64>> {
    let times = Times::new(plan.latency_lines);
    let watch = Watch::Times(Arc::clone(&times));
    let bare = lab.room.block_on(Bare::relay(lab.room.handle(), readers))?;
    let mut connected = lab.readers.block_on(Readers::bare(lab.readers.handle(), bare.address, readers, &watch))?;
    times.begin(0);
    finish(&mut connected, &times, readers)
}

/// A line goes from a thin member to the leader, which orders it and sends it to all.
fn thin(lab: &Lab, plan: &Plan) -> anyhow::Result<Vec<f64>> {
    let times = Times::new(plan.latency_lines);
    let watch = Watch::Times(Arc::clone(&times));
    let leader = Leader::start(lab)?;
    let mut readers = fanout::join(lab, leader.address, LATENCY_READERS, &watch)?;
    times.begin(readers.index());
    finish(&mut readers, &times, LATENCY_READERS)
}

fn finish(readers: &mut Readers, times: &Times, count: usize) -> anyhow::Result<Vec<f64>> {
    wait_until("every reader has every line", || {
        readers.check()?;
        Ok(times.complete(count))
    })?;
    Ok(times.micros())
}
