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
        sure(settle(&mut state));
    }
    sure(settle(&mut state));
    state
}

const UNBOUNDED: Bounds = Bounds { depth: 1_000, states: 20_000_000, over: |_| false };

/// Explores, tells what was seen.
#[track_caller]
fn look(name: &str, mut start: State, bounds: Bounds) {
    start.left = Left::all(&start.rules);
    match explore(&start, bounds) {
        Ok(report) => println!("{name}: {report:?}"),
        Err(failure) => panic!("{name}:\n{failure}"),
    }
}

#[test]
fn two_join() {
    let rules = Rules { joiners: vec![1], ..Rules::default() };
    look("a and a joiner", room(1, 2, rules.clone()), UNBOUNDED);
    let rules = Rules { crashes: 1, ..rules };
    look("a and a joiner, a crash", room(1, 2, rules.clone()), UNBOUNDED);
    let rules = Rules { talkers: vec![0,1], ..rules };
    look("a and a joiner, a crash, lines", room(1, 2, rules.clone()), UNBOUNDED);
}

#[test]
fn three_join() {
    let rules = Rules { joiners: vec![2], ..Rules::default() };
    look("ab and a joiner", room(2, 3, rules.clone()), UNBOUNDED);
    let rules = Rules { crashes: 1, timing: rare_heartbeats(), ..rules };
    look("ab and a joiner, a crash", room(2, 3, rules.clone()), UNBOUNDED);
}
