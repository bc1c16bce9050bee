//! Measures the cost of a room: a table of rates and times, beside the cost of bare sockets in the same run.
//!
//! Everything goes over TCP on the loopback interface, with lines of 100 bytes. Two kinds of members exist. Thin
//! readers measure the leader's side. Whole programs, started as children, measure what users get. Only ratios within
//! one run mean something: the readers share the cores with the measured room.

mod baseline;
mod failover;
mod fanout;
mod full;
mod keyed;
mod lab;
mod latency;
mod member;
mod payload;
mod plan;
mod process;
mod scan;
mod signing;
mod table;
mod times;

use std::path::PathBuf;

use anyhow::Context as _;

use crate::cmd::page::ManualPage;
use plan::{LINE_BYTES, Plan};
use table::Table;

/// The text of `bench --help`.
pub const HELP: &str = "  dist-chat bench            what a room costs, beside bare sockets: a table
  dist-chat bench --quick    a first look, not a number to quote

      --only PART,...  only these parts: fanout, full, latency, store, keyed,
                       signing, failover
      --kills N        how often a leader is killed  [20]

Rooms are started on the loopback interface and end with it. The whole table
takes minutes and all cores: leave the machine alone meanwhile.
Exit: 0, 1 a part could not be measured (the others are shown), 2 usage
";

/// The manual page of `dist-chat bench`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "bench",
    usage: &["dist-chat bench [--quick] [--only PART,...] [--kills N]"],
    says: &[
        "Starts rooms on the loopback interface and prints a table of what they cost, beside what bare sockets cost in the \
         same run. Only the ratios within one run say something. The whole table takes minutes.",
    ],
    examples: &[("What a key and signatures cost.", "dist-chat bench --only keyed,signing")],
    exits: &["0", "1", "2"],
    help: HELP,
};

/// The arguments of `dist-chat bench`.
#[derive(Clone, Debug, clap::Args)]
pub struct BenchArgs {
    /// Shorter runs: a first look, not a number to quote
    #[arg(long)]
    pub quick: bool,
    /// Only these parts of the table
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub only: Vec<Part>,
    /// How often a leader is killed
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub kills: usize,
    /// The program to start where whole nodes are measured, instead of this one
    #[arg(long, hide = true, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

/// One part of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Lines a second from one leader to thin readers
    Fanout,
    /// Lines a second in a room of whole programs
    Full,
    /// From submission at a member to delivery at the last
    Latency,
    /// What it costs to keep the history
    Store,
    /// What a room key costs
    Keyed,
    /// What it costs that lines are signed
    Signing,
    /// From the leader's death to the first line of its successor
    Failover,
}

/// Measures, and prints the table on standard output. Call it outside of any async runtime, since it brings its own.
///
/// # Errors
/// A room does not form, a reader finds the log out of order, or a child does not start. The results until then are
/// printed.
pub fn run(args: BenchArgs) -> anyhow::Result<()> {
    let plan = Plan::new(args.quick, args.kills);
    let wanted = |part| args.only.is_empty() || args.only.contains(&part);
    let program = match &args.program {
        Some(program) => program.clone(),
        None => std::env::current_exe().context("cannot tell where this program's file is")?,
    };
    let lab = lab::Lab::new()?;
    let mut table = Table::new();
    table.remark(&format!("{} cores, lines of {LINE_BYTES} bytes, medians of {} rounds", lab::cores(), plan.rounds));
    let measured = measure(&lab, &plan, &program, wanted, &mut table);
    table.print()?;
    measured
}

fn measure(
    lab: &lab::Lab,
    plan: &Plan,
    program: &std::path::Path,
    wanted: impl Fn(Part) -> bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    if wanted(Part::Fanout) {
        fanout::measure(lab, plan, table).context("fan-out to thin readers")?;
    }
    if wanted(Part::Full) {
        full::measure(lab, plan, program, table).context("a room of whole nodes")?;
    }
    if wanted(Part::Latency) {
        latency::measure(lab, plan, program, table).context("latency")?;
    }
    if wanted(Part::Store) {
        full::measure_store(plan, program, table).context("the store's cost")?;
    }
    if wanted(Part::Keyed) {
        keyed::measure(lab, plan, table).context("the key's cost")?;
    }
    if wanted(Part::Signing) {
        signing::measure(plan, table).context("the signatures' cost")?;
    }
    if wanted(Part::Failover) {
        failover::measure(plan, program, table).context("failover")?;
    }
    Ok(())
}
