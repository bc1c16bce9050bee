//! Invariant 9: what an election costs, counted.

use std::sync::Arc;

use dist_chat::ring::{Output, Span};

use crate::settle::{missing, whole_within};
use crate::world::{MS, SECOND, World};

/// The most ring messages of one round on an ascending ring without failures.
fn bound_ascending(nodes: u64) -> u64 {
    3 * nodes
}

/// The most ring messages of one round on any ring, so many of whose nexts fail meanwhile.
fn bound(nodes: u64, failures: u64) -> u64 {
    nodes * (nodes + 1) / 2 + 2 * nodes + failures * nodes
}

/// A whole room of so many and one more, who leads.
fn room(survivors: usize, stagger: Span) -> World {
    let mut world = World::new(13, survivors + 1, 100, 0);
    world.timing.poll_stagger = stagger;
    world.found(0);
    world.run_to(MS);
    (1..=survivors).for_each(|slot| world.join(slot, &[0]));
    whole_within(&mut world, 20 * SECOND);
    assert_eq!(world.failure, None);
    world
}

/// The leader dies, others with it; what was counted until the room is whole again.
#[derive(Debug)]
struct Count {
    rounds: u64,
    messages: u64,
    asks: u64,
    took: u64,
}

fn count(world: &mut World, dead: &[usize]) -> Count {
    let before = world.tally;
    let start = world.now;
    dead.iter().for_each(|&slot| world.crash(slot));
    // Looking costs: at large rooms not after every millisecond.
    let look = MS * (1 + world.slots.len() as u64 / 20);
    while missing(world).is_some() && world.failure.is_none() && world.now < start + 10 * SECOND {
        world.run_to(world.now + look);
    }
    assert_eq!(world.failure, None);
    assert_eq!(missing(world), None, "{} survivors", world.running().len());
    let took = world.now - start;
    world.run_to(world.now + SECOND);
    Count {
        rounds: world.tally.rounds - before.rounds,
        messages: world.tally.ring_messages - before.ring_messages,
        asks: world.tally.asks - before.asks,
        took,
    }
}

#[test]
fn an_election_stays_within_its_bound() {
    println!("survivors  starters  starts  ring messages  3n     n(n+1)/2+2n  asks  whole after");
    println!("=========  ========  ======  =============  =====  ===========  ====  ===========");
    for survivors in [3, 4, 5, 8, 12, 25, 50, 100, 200] {
        for all in [false, true] {
            let stagger = if all { Span(0) } else { Span::ms(5) };
            let mut world = room(survivors, stagger);
            let n = survivors as u64;
            let Count { rounds, messages, asks, took } = count(&mut world, &[0]);
            println!(
                "{n:<9}  {:<8}  {rounds:<6}  {messages:<13}  {:<5}  {:<11}  {asks:<4}  {} ms",
                if all { "all" } else { "one" },
                bound_ascending(n),
                bound(n, 0),
                took / MS,
            );
            assert!(messages <= bound_ascending(n), "{n} survivors, {messages} messages on an ascending ring");
            assert!(messages <= bound(n, 0));
        }
    }
}

#[test]
fn each_next_that_fails_costs_at_most_one_more_round_trip() {
    for survivors in [3, 5, 8, 20] {
        for failures in 1..3 {
            let mut world = room(survivors + failures, Span::ms(5));
            // The leader's neighbours die in the same instant.
            let dead: Vec<usize> = std::iter::once(0).chain(survivors + 1..=survivors + failures).collect();
            let Count { messages, .. } = count(&mut world, &dead);
            assert!(messages <= bound(survivors as u64, failures as u64), "{survivors} and {failures}: {messages}");
        }
    }
}

#[test]
fn a_core_that_sends_every_token_again_and_again_exceeds_the_bound() {
    let mut world = room(8, Span::ms(5));
    world.tamper = Some(|outputs, _, _| {
        let ring = |output: &&Output| matches!(output, Output::Send(_, frame) if frame.is_ring_message());
        let again: Vec<Output> = outputs.iter().filter(ring).cloned().collect();
        for output in again {
            let Output::Send(conns, frame) = output else { continue };
            outputs.extend((0..3).map(|_| Output::Send(conns.clone(), Arc::clone(&frame))));
        }
    });
    let Count { messages, .. } = count(&mut world, &[0]);
    assert!(messages > bound_ascending(8), "{messages}");
}
