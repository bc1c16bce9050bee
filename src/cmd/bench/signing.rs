//! Measures the cost of signed lines: a signature for each line, for runs of lines, or a chain of hashes with few
//! signatures. On one core, with no other work.

use std::hint::black_box;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::payload::text;
use super::plan::{LINE_BYTES, Plan, median};
use super::table::{Aim, Table, rate};
use crate::identity::{Identity, verify};
use crate::ring::limits::RUN_LINES_MAX;
use crate::ring::{
    Batch, Body, Entry, Epoch, Frame, Index, Lamport, Line, LineId, Name, Nonce, RoomId, SessionId, Signer as _, Uid,
    WallMs, sign_runs,
};

/// Lines that one round signs and verifies.
const LINES: usize = 32 * RUN_LINES_MAX;
const ROOM: RoomId = RoomId(1);

/// Lines a second, signed and verified.
type Rates = (Vec<f64>, Vec<f64>);

/// Measures the cost of signatures and adds it to the table.
pub fn measure(plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let identity = Identity::fresh()?;
    let lines = lines(&identity)?;
    let (mut each, mut runs, mut chain) = (Rates::default(), Rates::default(), Rates::default());
    for _ in 0..plan.rounds {
        in_runs(&lines, 1, &identity, &mut each)?;
        in_runs(&lines, RUN_LINES_MAX, &identity, &mut runs)?;
        in_a_chain(&lines, &identity, &mut chain);
    }
    table.part("lines/s signed and checked on one core", &["signed", "checked"]);
    for (label, rates) in [
        ("every line by itself", &each),
        ("runs of 256, one signature each (in use)", &runs),
        ("a chain of hashes, a signature every 256", &chain),
    ] {
        table.row(label, &[rate(median(&rates.0)), rate(median(&rates.1))]);
    }
    table.ratio("checked: runs / every line by itself", median(&runs.1) / median(&each.1), Aim::AtLeast(10.0));
    Ok(())
}

fn lines(identity: &Identity) -> anyhow::Result<Vec<Line>> {
    let name = Name::parse("ann")?;
    let uid: Uid = "127.0.0.1:2428".parse()?;
    let line = |n: usize| {
        let id = LineId { author: identity.author(), session: SessionId(1), n: n as u64 };
        let (name, text) = (name.clone(), text(n as u64)?);
        Ok(Line { id, lamport: Lamport(n as u64), name, uid, text, channel: None, act: None, signature: None })
    };
    (1..=LINES).map(line).collect()
}

/// Signs as the program does: frames of whole runs.
fn in_runs(lines: &[Line], run: usize, identity: &Identity, rates: &mut Rates) -> anyhow::Result<()> {
    let mut sealed = lines.to_vec();
    let begin = Instant::now();
    sealed.chunks_mut(run).for_each(|run| sign_runs(ROOM, run, identity));
    rates.0.push(LINES as f64 / begin.elapsed().as_secs_f64());
    let epoch = Epoch { round: 1, leader: "127.0.0.1:2428".parse()?, nonce: Nonce(1) };
    let entry = |line: Line| {
        let (index, lamport) = (Index(line.id.n), line.lamport);
        Entry { epoch, index, lamport, wall: WallMs(0), body: Body::Line(line.into()) }.into()
    };
    let frame = Frame::Pulled(Batch { entries: sealed.into_iter().map(entry).collect() });
    let begin = Instant::now();
    let checked = frame.verify(ROOM, verify);
    rates.1.push(LINES as f64 / begin.elapsed().as_secs_f64());
    checked.map_err(|forged| anyhow::anyhow!("a sound signature is refused: {forged:?}"))
}

/// The least work of a chain: hash each line with the one before, and sign a hash from time to time.
fn in_a_chain(lines: &[Line], identity: &Identity, rates: &mut Rates) {
    let mut signatures = Vec::with_capacity(LINES / RUN_LINES_MAX);
    let link = |before: [u8; 32], line: &Line| -> [u8; 32] {
        let hash = Sha256::new_with_prefix(before).chain_update(line.id.n.to_be_bytes());
        let hash = hash.chain_update(line.name.as_str()).chain_update([0; LINE_BYTES / 5]);
        hash.chain_update(line.text.as_str()).finalize().into()
    };
    let begin = Instant::now();
    let mut last = [0; 32];
    for run in lines.chunks(RUN_LINES_MAX) {
        last = run.iter().fold(last, link);
        signatures.push(identity.sign(&last));
    }
    rates.0.push(LINES as f64 / begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let mut last = [0; 32];
    for (run, signature) in lines.chunks(RUN_LINES_MAX).zip(&signatures) {
        last = run.iter().fold(last, link);
        black_box(verify(identity.author(), &last, signature));
    }
    rates.1.push(LINES as f64 / begin.elapsed().as_secs_f64());
}
