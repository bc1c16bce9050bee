//! Faults on real processes: nodes are killed, frozen, cut off, robbed of their disks and clocks, while everyone talks.
//!
//! Everything is drawn from a seed before it happens; then all is healed, and what the simulator checks is checked from
//! outside, by what people see: standard output, `chat_<port>.log`, `history --json` and `status --json`. The same
//! seed gives the same faults at the same times; what processes make of them is up to the machine.
//!
//! Nodes run in network namespaces; where these are not permitted they run on loopback, and cuts and losses are left
//! out, which the summary says. `scripts/chaos` runs long, `scripts/proofs` runs the proofs at full count.
//!
//! Environment: `FAULTS_SECONDS` and `FAULTS_SEED` for [`chaos`], `PROOF_RESTARTS` (proof 12: how often all are killed,
//! default 2), `PROOF_SEED`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the summaries are read by people")]

mod bite;
mod check;
mod disk;
mod drive;
mod evidence;
#[path = "../common/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared: some of it is for tests/rooms")]
mod harness;
mod plan;
mod proofs;
mod returns;
mod tally;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use harness::{setting, turn};
use plan::Plan;
use tally::Tally;

/// A few short scenarios, always the same.
#[test]
fn a_few_seeds() {
    let _turn = turn();
    let mut tally = Tally::default();
    // Chosen for what they draw: together every kind of fault; the first has crashes only.
    for (seed, nodes) in [(1, 3), (113, 3), (145, 4), (96, 5)] {
        one(&Plan::draw(seed, Some(nodes), Duration::from_secs(7)), &mut tally);
    }
    println!("{tally}");
    assert!(!tally.wrong(), "broken promises at the seeds {:?}", tally.failed);
}

/// One scenario after the other, each with a seed one higher, until the time is over.
#[test]
#[ignore = "runs as long as it is told to: scripts/chaos"]
fn chaos() {
    let _turn = turn();
    let ends = Instant::now() + Duration::from_secs(setting("FAULTS_SECONDS").unwrap_or(60));
    let mut seed = setting("FAULTS_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    loop {
        one(&Plan::draw(seed, None, Duration::from_secs(25)), &mut tally);
        seed += 1;
        if Instant::now() > ends {
            break;
        }
    }
    println!("\n{tally}");
    assert!(!tally.wrong(), "broken promises at the seeds {:?}", tally.failed);
}

fn one(plan: &Plan, tally: &mut Tally) {
    println!("{plan}");
    if catch_unwind(AssertUnwindSafe(|| drive::scenario(plan, tally))).is_err() {
        println!("FAILED: SEED {}", plan.seed);
        tally.failed.push(plan.seed);
    }
}
