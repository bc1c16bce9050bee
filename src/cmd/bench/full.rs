//! Measures rooms of whole programs, with chat log and terminal output.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::baseline::LoopKind;
use super::fanout;
use super::lab::{Lab, wait_until};
use super::payload::{Payload, text};
use super::plan::{FULL_NODES, LATENCY_RATE, Plan, STEADY_RATE, median, percentile};
use super::process::{Keep, ProcessRoom};
use super::scan::number;
use super::table::{Aim, Table, rate, time};
use super::times::Times;

/// The longest wait until all typed lines are shown.
const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes that get typed lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Typists {
    Everybody,
    Leader,
}

/// Measures the rates of a room of whole programs and adds them to the table.
pub fn measure(lab: &Lab, plan: &Plan, program: &Path, table: &mut Table) -> anyhow::Result<()> {
    let frame = Payload::frame()?;
    let (mut all, mut one, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        all.push(typed(plan, program, Typists::Everybody, Keep::Files)?);
        one.push(typed(plan, program, Typists::Leader, Keep::Files)?);
        bare.push(fanout::bare(lab, plan, &frame, FULL_NODES, LoopKind::Coalesced)?);
    }
    let (all, one, bare) = (median(&all), median(&one), median(&bare));
    table.part(&format!("lines/s, summed over {FULL_NODES} members"), &["5"]);
    table.row("whole programs, everybody types", &[rate(all)]);
    table.row("whole programs, the leader types", &[rate(one)]);
    table.row("bare loop to thin readers, same bytes, coalesced", &[rate(bare)]);
    table.ratio("5 whole programs / coalesced, everybody types", all / bare, Aim::AtLeast(0.06));
    table.ratio("5 whole programs / coalesced, the leader types", one / bare, Aim::AtLeast(0.06));
    Ok(())
}

/// Measures the cost of the history on disk and adds it to the table.
pub fn measure_store(plan: &Plan, program: &Path, table: &mut Table) -> anyhow::Result<()> {
    let both = [Keep::Files, Keep::Nothing];
    let (mut rates, mut p50, mut p99) =
        ([const { Vec::new() }; 2], [const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    let lines = plan.latency_lines * (STEADY_RATE / LATENCY_RATE) as usize;
    for _ in 0..plan.rounds {
        // Rooms at full rate leave work to the disk. It must not delay the lines whose latency is measured.
        for (k, keep) in both.into_iter().enumerate() {
            let micros = latency(program, keep, STEADY_RATE, lines)?;
            p50[k].push(median(&micros));
            p99[k].push(percentile(&micros, 99.0));
        }
        for (k, keep) in both.into_iter().enumerate() {
            rates[k].push(typed(plan, program, Typists::Everybody, keep)?);
        }
    }
    table.part(&format!("the store's cost, {FULL_NODES} whole programs"), &["lines/s", "p50", "p99"]);
    for (k, label) in ["with log and history", "--ephemeral"].into_iter().enumerate() {
        let cells = [rate(median(&rates[k])), time(median(&p50[k])), time(median(&p99[k]))];
        table.row(&format!("{label}; p50, p99 at {STEADY_RATE} lines/s"), &cells);
    }
    let ratio = |of: &[Vec<f64>; 2]| median(&of[0]) / median(&of[1]);
    table.ratio("lines/s with history / --ephemeral", ratio(&rates), Aim::AtLeast(0.5));
    table.ratio(&format!("p99 at {STEADY_RATE} lines/s, with history / --ephemeral"), ratio(&p99), Aim::AtMost(2.0));
    Ok(())
}

/// Lines a second that all nodes together show, from the first typed byte to the last shown line.
fn typed(plan: &Plan, program: &Path, typists: Typists, keep: Keep) -> anyhow::Result<f64> {
    let count = match typists {
        Typists::Everybody => FULL_NODES,
        Typists::Leader => 1,
    };
    let lines = plan.typed_lines * FULL_NODES / count;
    let target = (lines * count * FULL_NODES) as u64;
    let shown = AtomicU64::new(0);
    let (finished, finish) = mpsc::sync_channel(1);
    let ear = move |_: usize, now: Instant, _: &[u8]| {
        if shown.fetch_add(1, Ordering::Relaxed) + 1 == target {
            // The channel has room for its only value.
            let _ = finished.try_send(now);
        }
    };
    let mut room = ProcessRoom::form(program, FULL_NODES, keep, Arc::new(ear))?;
    let leader = room.leader()?;
    let mut bytes = Vec::new();
    for n in 0..lines {
        bytes.extend_from_slice(text(n as u64)?.as_str().as_bytes());
        bytes.push(b'\n');
    }
    let bytes: Arc<[u8]> = bytes.into();
    let start = Instant::now();
    let mut pipes = Vec::new();
    for k in (0..FULL_NODES).filter(|&k| typists == Typists::Everybody || k == leader) {
        let mut stdin = room.take_stdin(k)?;
        let bytes = Arc::clone(&bytes);
        pipes.push(std::thread::spawn(move || stdin.write_all(&bytes).map(|()| stdin)));
    }
    let end = finish.recv_timeout(PATIENCE).context("not every line that was typed has been shown at every node")?;
    // The pipes stay open until here, since a node leaves when its input ends.
    for pipe in pipes {
        let written = pipe.join().map_err(|_| anyhow::anyhow!("a typist panicked"))?;
        written.context("cannot type into a node")?;
    }
    Ok(target as f64 / (end - start).as_secs_f64())
}

/// Microseconds from typing a line into a follower until the last node has shown it.
pub fn latency(program: &Path, keep: Keep, rate: u32, lines: usize) -> anyhow::Result<Vec<f64>> {
    let times = Times::new(lines);
    let ear = {
        let times = Arc::clone(&times);
        move |_: usize, _: Instant, text: &[u8]| {
            if let Some(n) = number(text) {
                times.delivered(n, n);
            }
        }
    };
    let mut room = ProcessRoom::form(program, FULL_NODES, keep, Arc::new(ear))?;
    let leader = room.leader()?;
    let speaker = (leader + 1) % room.len();
    times.begin(0);
    let pace = Duration::from_secs(1) / rate;
    let start = Instant::now();
    for n in 1..=times.lines() {
        let mut line = text(n)?.as_str().as_bytes().to_vec();
        line.push(b'\n');
        let due = start + pace * u32::try_from(n)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        times.sent(n);
        room.type_into(speaker, &line);
    }
    wait_until("every node has shown every line", || Ok(times.complete(FULL_NODES)))?;
    Ok(times.micros())
}
