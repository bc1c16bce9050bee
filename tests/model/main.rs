//! The model: everything that can happen in a small room, over the real core.
//!
//! Where the simulator draws long stories from a seed, this goes through all short ones: every order in which messages
//! arrive, a crash at every moment, a join at every moment, within bounds that each test prints. The checkers are the
//! simulator's.
#![cfg(feature = "program")]
#![expect(clippy::print_stdout, reason = "a model tells how much it has seen")]

mod bite;
#[path = "../sim/check/mod.rs"]
#[expect(dead_code, reason = "the simulator uses the rest")]
mod check;
mod explore;
mod rules;
mod settle;
mod ways;
mod world;

use std::rc::Rc;

use dist_chat::ring::{Span, Start, Timing};

use explore::{Bounds, Failure, Report, explore};
use rules::{Left, Rules, rare_heartbeats};
use settle::settle;
use world::{Action, State, What};

fn sure<T>(result: Result<T, String>) -> T {
    match result {
        Ok(value) => value,
        Err(what) => panic!("{what}"),
    }
}

/// A whole room of so many, led by the first, among so many hosts.
fn room(members: usize, hosts: usize, rules: Rules) -> State {
    let mut state = State::new(hosts, rules);
    sure(state.found(0));
    for slot in 1..members {
        sure(state.start(slot, Start::Join(vec![world::uid(0).0])));
        sure(settle(&mut state, None));
    }
    sure(settle(&mut state, None));
    state
}

/// A world to be explored.
struct Case {
    name: &'static str,
    /// So many are in the room when it begins.
    members: usize,
    /// Their leader dies first.
    orphans: bool,
    /// Invariant 10 must hold: nothing but crashes and exits goes wrong.
    steady: bool,
    rules: Rules,
    bounds: Bounds,
}

impl Case {
    fn new(name: &'static str, members: usize, rules: Rules) -> Self {
        let steady = rules.patient || rules.ticks == 0;
        Self { name, members, orphans: false, steady, rules, bounds: Bounds { depth: None, states: 3_000_000 } }
    }

    /// The survivors of a leader that has just died; all of them look for another at once, or one first.
    fn orphans(name: &'static str, survivors: usize, at_once: bool, rules: Rules) -> Self {
        let stagger = if at_once { Span(0) } else { rules.timing.poll_stagger };
        let n = survivors as u32;
        let bound = n * (n + 1) / 2 + 2 * n + n * u32::from(rules.crashes);
        let timing = Timing { poll_stagger: stagger, ..rules.timing };
        let rules = Rules { timing, ring_messages: Some(bound), ..rules };
        Self { orphans: true, ..Self::new(name, survivors + 1, rules) }
    }

    fn deep(self, depth: u16) -> Self {
        Self { bounds: Bounds { depth: Some(depth), ..self.bounds }, ..self }
    }

    /// Where it begins.
    fn start(&self) -> State {
        let hosts = self.rules.joiners.iter().map(|&slot| slot + 1).max().unwrap_or(0).max(self.members);
        let mut state = room(self.members, hosts, self.rules.clone());
        if self.steady {
            Rc::make_mut(&mut state.checks).crashes_only();
        }
        state.ring_messages.clear();
        state.left = Left::all(&self.rules);
        if self.orphans {
            state.left.crashes += 1;
            sure(state.apply(Action { what: What::Crash { slot: 0, lossy: false }, dies: None, cost: 0 }));
        }
        state
    }

    fn explore(&self) -> Result<Report, Failure> {
        explore(&self.start(), self.bounds)
    }
}

/// Explores, and tells what was seen.
#[track_caller]
fn look(cases: &[Case]) {
    println!(
        "{:<46} {:<5} {:>6} {:>6} {:>9} {:>9} {:>7} {:>6} {:>6}  {:<13} {:>5}",
        "world", "", "timers", "delays", "states", "steps", "alone", "whole", "depth", "", "s"
    );
    for case in cases {
        let report = match case.explore() {
            Ok(report) => report,
            Err(failure) => panic!("{}:\n{failure}", case.name),
        };
        println!(
            "{:<46} {:<5} {:>6} {:>6} {:>9} {:>9} {:>7} {:>6} {:>6}  {:<13} {:>5.1}",
            case.name,
            if case.rules.brisk { "brisk" } else { "" },
            case.rules.ticks,
            case.rules.delays.map_or_else(|| "any".into(), |delays| delays.to_string()),
            report.states,
            report.steps,
            report.left_alone,
            report.timers,
            report.deepest,
            report.cut.map_or_else(|| "exhausted".into(), |bound| format!("cut by {bound}")),
            report.seconds,
        );
    }
}

fn brisk() -> Rules {
    Rules { brisk: true, ..Rules::default() }
}

/// Timers fire whenever they like.
fn restless(ticks: u8, rules: Rules) -> Rules {
    Rules { ticks, patient: false, timing: rare_heartbeats(), ..rules }
}

#[test]
fn rings_of_two() {
    let dies = Rules { crashes: 1, in_steps: true, lossy: true, ..Rules::default() };
    let joins = Rules { joiners: vec![1], ..dies.clone() };
    let third = Rules { joiners: vec![2], ..Rules::default() };
    look(&[
        Case::new("1, a joiner, a crash anywhere, both talk", 1, Rules { talkers: vec![0, 1], ..joins.clone() }),
        Case::new("1, a joiner, a crash anywhere, it returns", 1, Rules { restarts: 1, ..joins }),
        Case::new("2, a crash anywhere, both talk", 2, restless(2, Rules { talkers: vec![0, 1], ..dies })),
        Case::new("2, a joiner, a crash", 2, Rules { crashes: 1, ..third.clone() }),
        Case::new(
            "2, a joiner, the leader leaves, one talks",
            2,
            Rules { leavers: vec![0], talkers: vec![1], brisk: true, ..third },
        ),
    ]);
}

#[test]
fn returns() {
    let returns = Rules { crashes: 2, restarts: 2, ..brisk() };
    let joins = Rules { joiners: vec![2], crashes: 1, ..brisk() };
    look(&[
        Case::new("2, two crashes, two returns, one talks", 2, Rules { talkers: vec![1], ..returns.clone() }),
        Case::new("2, two crashes, two returns", 2, restless(1, Rules { delays: Some(1), ..returns })),
        Case::new("2, a joiner, a crash", 2, restless(1, joins.clone())),
        Case::new("2, a joiner, a crash, it returns", 2, Rules { restarts: 1, delays: Some(1), ..joins }),
    ]);
}

#[test]
fn rings_of_three() {
    let dies = Rules { crashes: 1, ..Rules::default() };
    let joins = Rules { joiners: vec![3], contacts: vec![0, 1, 2], crashes: 1, ..brisk() };
    look(&[
        Case::new("3, a crash, one talks", 3, Rules { talkers: vec![1], ..dies.clone() }),
        Case::new(
            "3, the leader leaves, one crashes, one talks",
            3,
            Rules { talkers: vec![1], leavers: vec![0], ..dies },
        ),
        Case::new("3, two leave, one crashes", 3, Rules { crashes: 1, leavers: vec![0, 1], ..brisk() }),
        Case::new("3, a crash, one talks", 3, restless(2, Rules { crashes: 1, talkers: vec![1], ..brisk() })),
        Case::new("3, a joiner, a crash", 3, joins.clone()),
        Case::new("3, a joiner, a crash, it returns", 3, Rules { restarts: 1, delays: Some(0), ..joins.clone() }),
        Case::new("3, a joiner, a crash", 3, restless(1, Rules { delays: Some(0), ..joins })),
    ]);
}

#[test]
fn elections() {
    let delays = |delays| Rules { delays: Some(delays), ..brisk() };
    let dies = |rules| Rules { crashes: 1, ..rules };
    look(&[
        Case::orphans("2 survivors, one first", 2, false, Rules::default()),
        Case::orphans("2 survivors, all at once", 2, true, Rules::default()),
        Case::orphans("2 survivors, all at once", 2, true, restless(2, brisk())),
        Case::orphans("3 survivors, one first", 3, false, brisk()),
        Case::orphans("3 survivors, one first, a crash", 3, false, dies(brisk())),
        Case::orphans("3 survivors, all at once", 3, true, delays(3)),
        Case::orphans("3 survivors, all at once, a crash", 3, true, dies(delays(1))),
        Case::orphans("4 survivors, one first", 4, false, delays(3)),
        Case::orphans("4 survivors, all at once", 4, true, delays(1)),
        Case::orphans("5 survivors, one first", 5, false, delays(2)),
        Case::orphans("5 survivors, one first, a crash", 5, false, dies(delays(0))),
        Case::orphans("5 survivors, all at once", 5, true, delays(1)),
        Case::orphans("5 survivors, all at once", 5, true, brisk()).deep(20),
    ]);
}

/// Wider bounds; minutes.
#[test]
#[ignore = "takes minutes: cargo test --release --test model deeper -- --ignored --nocapture"]
fn deeper() {
    let joins = Rules { joiners: vec![2], crashes: 1, ..brisk() };
    let fourth = Rules { joiners: vec![3], contacts: vec![0, 1, 2], ..joins.clone() };
    let leaves = Rules { leavers: vec![0, 1, 2], talkers: vec![0, 1, 2], ..brisk() };
    let returns = Rules { crashes: 2, restarts: 2, ..brisk() };
    look(&[
        Case::new(
            "2, a joiner, the leader leaves",
            2,
            Rules { crashes: 0, leavers: vec![0], brisk: false, ..joins.clone() },
        ),
        Case::new("2, a joiner, a crash, it returns", 2, Rules { restarts: 1, ..joins.clone() }),
        Case::new("2, a joiner, a crash", 2, restless(2, joins)),
        Case::new("2, two crashes, two returns", 2, restless(2, returns.clone())),
        Case::new("3, all talk, all leave", 3, leaves),
        Case::new(
            "3, a crash, it returns, one talks",
            3,
            Rules { talkers: vec![1], crashes: 1, restarts: 1, ..brisk() },
        ),
        Case::new("3, two leave", 3, restless(4, Rules { leavers: vec![0, 1], delays: Some(2), ..brisk() })),
        Case::new("3, two crashes, two returns", 3, Rules { delays: Some(1), ..returns }),
        Case::new("3, a joiner, a crash", 3, restless(2, Rules { delays: Some(0), ..fourth.clone() })),
        Case::new("3, a joiner, a crash", 3, restless(1, Rules { delays: Some(1), ..fourth.clone() })),
        Case::new("3, a joiner, a crash, it returns", 3, Rules { restarts: 1, delays: Some(1), ..fourth }),
    ]);
}

/// Wider bounds; minutes.
#[test]
#[ignore = "takes minutes: cargo test --release --test model deeper -- --ignored --nocapture"]
fn deeper_elections() {
    look(&[
        Case::orphans("3 survivors, one first", 3, false, Rules::default()),
        Case::orphans("3 survivors, all at once", 3, true, brisk()),
        Case::orphans("4 survivors, all at once", 4, true, Rules { delays: Some(2), ..brisk() }),
        Case::orphans("5 survivors, one first, a crash", 5, false, Rules { crashes: 1, delays: Some(1), ..brisk() }),
        Case::orphans("5 survivors, one first", 5, false, Rules { delays: Some(3), ..brisk() }),
        Case::orphans("5 survivors, all at once", 5, true, Rules { delays: Some(2), ..brisk() }),
    ]);
}
