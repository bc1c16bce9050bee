//! Measures the time from submission at a member to delivery at the last member, at an even rate, beside bare sockets.

use std::path::Path;
use std::sync::Arc;

use super::baseline::Bare;
use super::fanout;
use super::full;
use super::lab::{Lab, Leader, wait_until};
use super::member::{Readers, Watch};
use super::plan::{FULL_NODES, LATENCY_RATE, LATENCY_READERS, Plan, median, percentile};
use super::process::Keep;
use super::table::{Aim, Table, time};
use super::times::Times;

/// The median over all rounds of each round's p50 and p99.
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

/// Measures the latencies and adds them to the table.
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

/// A line goes to a bare loop that relays it to all readers, including the sender.
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
