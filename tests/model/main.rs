//! The model: everything that can happen in a small room, over the real core.
//!
//! Where the simulator draws long stories from a seed, this goes through all short ones: every order in which messages
//! arrive, a crash at every moment, a join at every moment, within bounds that each test prints. The checkers are the
//! simulator's.
#![cfg(feature = "program")]
#![expect(clippy::print_stdout, reason = "a model tells how much it has seen")]

#[path = "../sim/check/mod.rs"]
#[expect(dead_code, reason = "the simulator uses the rest")]
mod check;
mod explore;
mod rules;
mod settle;
mod world;

use explore::{Bounds, explore};
use rules::{Left, Rules, rare_heartbeats};
use settle::settle;
use world::State;

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
        sure(state.start(slot, dist_chat::ring::Start::Join(vec![world::uid(0).0])));
        sure(settle(&mut state, None));
    }
    sure(settle(&mut state, None));
    state
}

const UNBOUNDED: Bounds = Bounds { depth: None, states: 20_000_000, over: |_| false };

/// Explores, tells what was seen.
#[track_caller]
fn look(name: &str, mut start: State, bounds: Bounds) {
    start.left = Left::all(&start.rules);
    match explore(&start, bounds) {
        Ok(report) => println!("{name}: {report:?}"),
        Err(failure) => panic!("{name}:\n{failure}"),
    }
}


fn var(name: &str, or: u8) -> u8 { std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or) }

#[test]
fn scratch() {
    let n = var("N", 2) as usize;
    let join = var("JOIN", 0) as usize;
    let talk: Vec<usize> = std::env::var("TALK").map(|s| s.bytes().map(|b| (b - b'a') as usize).collect()).unwrap_or_default();
    let leave: Vec<usize> = std::env::var("LEAVE").map(|s| s.bytes().map(|b| (b - b'a') as usize).collect()).unwrap_or_default();
    let delays = std::env::var("DELAYS").ok().and_then(|v| v.parse().ok());
    let mut timing = if var("RARE", 0) > 0 { rare_heartbeats() } else { dist_chat::ring::Timing::default() };
    if var("ALL", 0) > 0 { timing.ask_stagger = dist_chat::ring::Span(0); }
    let rules = Rules {
        joiners: (n..n+join).collect(),
        contacts: (0..var("CONTACTS", 1) as usize).collect(),
        crashes: var("CRASH", 0), in_steps: var("INSTEPS", 0) > 0, lossy: var("LOSSY", 0) > 0,
        restarts: var("RESTART", 0), ticks: var("TICKS", 0), patient: var("PATIENT", 1) > 0,
        brisk: var("BRISK", 0) > 0, delays, talkers: talk, leavers: leave,
        timing,
        ..Rules::default()
    };
    let mut start = room(n, n + join, rules);
    if var("STEADY", 0) > 0 { std::rc::Rc::make_mut(&mut start.checks).crashes_only(); }
    if var("DIE", 0) > 0 {
        let rules = start.rules.clone();
        start.left.crashes = 1;
        sure(start.apply(world::Action { what: world::What::Crash { slot: 0, lossy: false }, dies: None, cost: 0 }).map(|_| ()));
        start.rules = rules;
    }
    let states = std::env::var("STATES").ok().and_then(|v| v.parse().ok()).unwrap_or(20_000_000);
    let depth = std::env::var("DEPTH").ok().and_then(|v| v.parse().ok());
    look("scratch", start, Bounds { depth, states, over: |_| false });
}
