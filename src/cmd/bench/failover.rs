//! Measures the time from the leader's death to the first line that its successor orders.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::plan::{FULL_NODES, Plan, median};
use super::process::{Keep, ProcessRoom};
use super::table::{Aim, Table, time};

/// The longest wait for a line after a kill.
const PATIENCE: Duration = Duration::from_secs(20);
/// Shown lines that wait to be checked.
const HEARD_MAX: usize = 1024;

/// Measures the failover times and adds them to the table.
pub fn measure(plan: &Plan, program: &Path, table: &mut Table) -> anyhow::Result<()> {
    let (hear, heard) = mpsc::sync_channel::<(Instant, Vec<u8>)>(HEARD_MAX);
    let ear = move |_: usize, now: Instant, text: &[u8]| {
        // Only the first line after a kill counts. A line that finds no room is a later one.
        let _ = hear.try_send((now, text.to_vec()));
    };
    let mut room = ProcessRoom::form(program, FULL_NODES, Keep::Files, Arc::new(ear))?;
    let mut micros = Vec::new();
    for kill in 0..plan.kills {
        let leader = room.leader()?;
        while heard.try_recv().is_ok() {}
        let start = Instant::now();
        room.kill(leader)?;
        // Typed after the signal, so only a successor can order it.
        let word = format!("after kill {kill}");
        for k in (0..room.len()).filter(|&k| k != leader) {
            room.type_into(k, format!("{word}, node{k}\n").as_bytes());
        }
        let shown = loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let (now, text) = heard.recv_timeout(left).context("nobody has shown a line after the leader's death")?;
            if text.starts_with(word.as_bytes()) {
                break now;
            }
        };
        micros.push((shown - start).as_secs_f64() * 1e6);
        room.restart(leader)?;
        room.wait_whole()?;
    }
    let worst = micros.iter().copied().fold(0.0, f64::max);
    table.part(&format!("failover, {FULL_NODES} whole programs, {} kills", micros.len()), &["median", "worst"]);
    table.row("leader killed to its successor's first line shown", &[time(median(&micros)), time(worst)]);
    table.ratio("failover median, ms", median(&micros) / 1e3, Aim::AtMost(50.0));
    Ok(())
}
