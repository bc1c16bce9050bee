//! Measures lines a second from one leader to thin readers, beside bare loops.

use std::net::SocketAddr;

use super::baseline::{Bare, LoopKind};
use super::lab::{Lab, Leader, wait_until};
use super::member::{Readers, Watch};
use super::payload::Payload;
use super::plan::{Plan, median};
use super::table::{Aim, Table, rate};

/// Numbers of thin readers in a room.
const SIZES: [usize; 3] = [4, 16, 64];

/// The measured sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender {
    Room,
    Bytes(LoopKind),
    Text(LoopKind),
}

const SENDERS: [(Sender, &str); 6] = [
    (Sender::Room, "the room: a leader's own lines"),
    (Sender::Bytes(LoopKind::Coalesced), "bare loop, the same bytes, coalesced"),
    (Sender::Bytes(LoopKind::PerLine), "bare loop, the same bytes, a write per line"),
    (Sender::Bytes(LoopKind::Ready), "one ready block of the same bytes, for ever"),
    (Sender::Text(LoopKind::Coalesced), "bare loop, nothing but text, coalesced"),
    (Sender::Text(LoopKind::PerLine), "bare loop, nothing but text, a write per line"),
];

/// Measures the rates at 4, 16 and 64 thin readers and adds them to the table.
pub fn measure(lab: &Lab, plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let frame = Payload::frame()?;
    let text = Payload::text(frame.lines())?;
    let mut medians = Vec::new();
    for size in SIZES {
        // Every sender is measured in turn, so that a slow moment of the machine affects all alike.
        let mut rates = vec![Vec::new(); SENDERS.len()];
        for _ in 0..plan.rounds {
            for ((sender, _), rates) in SENDERS.iter().zip(&mut rates) {
                rates.push(match *sender {
                    Sender::Room => room(lab, plan, size)?,
                    Sender::Bytes(way) => bare(lab, plan, &frame, size, way)?,
                    Sender::Text(way) => bare(lab, plan, &text, size, way)?,
                });
            }
        }
        medians.push(rates.iter().map(|rates| median(rates)).collect::<Vec<f64>>());
    }
    table.part("lines/s, summed over thin readers", &["4", "16", "64"]);
    for (k, (_, label)) in SENDERS.iter().enumerate() {
        let cells: Vec<String> = medians.iter().map(|medians| rate(medians[k])).collect();
        table.row(label, &cells);
    }
    let per_line = frame.bytes.len() as f64 / frame.lines() as f64;
    table.row(
        "bytes a line: as the room sends it, as bare text",
        &[format!("{per_line:.0}"), format!("{:.0}", text.bytes.len() as f64 / text.lines() as f64)],
    );
    for (size, medians) in SIZES.iter().zip(&medians) {
        table.ratio(&format!("room / coalesced, {size} thin readers"), medians[0] / medians[1], Aim::AtLeast(0.55));
    }
    Ok(())
}

/// Lines a second that a bare loop delivers to `size` readers.
pub fn bare(lab: &Lab, plan: &Plan, payload: &Payload, size: usize, way: LoopKind) -> anyhow::Result<f64> {
    let bare = lab.room.block_on(Bare::fan_out(lab.room.handle(), payload.clone(), size, way))?;
    let on = lab.readers.handle();
    let watch = if payload.is_text() { Watch::Text } else { Watch::Count };
    let mut readers = lab.readers.block_on(Readers::bare(on, bare.address, size, &watch))?;
    flow(plan, &mut readers)
}

/// Lines a second that a leader delivers of its own lines to `size` thin members.
fn room(lab: &Lab, plan: &Plan, size: usize) -> anyhow::Result<f64> {
    let mut leader = Leader::start(lab)?;
    let mut readers = join(lab, leader.address, size, &Watch::Count)?;
    leader.talk(lab)?;
    flow(plan, &mut readers)
}

/// Adds thin members to the room, and waits until they have the leader's entries about their arrival.
pub fn join(lab: &Lab, leader: SocketAddr, size: usize, watch: &Watch) -> anyhow::Result<Readers> {
    let mut readers = lab.readers.block_on(Readers::members(lab.readers.handle(), leader, size, watch))?;
    // The leader's election and each member's arrival are entries.
    let notes = 1 + size as u64;
    wait_until("all thin readers have what the room noted", || {
        readers.check()?;
        Ok(readers.index() >= notes)
    })?;
    Ok(readers)
}

/// Lines a second, measured after the warm-up.
fn flow(plan: &Plan, readers: &mut Readers) -> anyhow::Result<f64> {
    std::thread::sleep(plan.warm_up);
    let (start, before) = (std::time::Instant::now(), readers.lines());
    std::thread::sleep(plan.window);
    let (span, after) = (start.elapsed(), readers.lines());
    readers.check()?;
    Ok((after - before) as f64 / span.as_secs_f64())
}
