//! What must hold after the faults: the list under protocol section 7.

use dist_chat::ring::{Role, Stop};

use crate::check::social;
use crate::world::trace::host;
use crate::world::{MS, SECOND, World};

/// The room must be whole this long after the last fault.
pub const HEAL_MAX: u64 = 10 * SECOND;
/// Longer than a silence that ends a link.
const STEADY: u64 = 1_700 * MS;
/// A fresh line must be with everybody this soon.
const FRESH_MAX: u64 = 2 * SECOND;

/// What is still missing from one whole room, if anything.
pub fn missing(world: &World) -> Option<String> {
    let live = world.running();
    let mut leader = None;
    for (at, &slot) in live.iter().enumerate() {
        let Some(process) = &world.slots[slot].process else { continue };
        let status = process.node.status();
        let who = host(slot);
        if process.leaving {
            return Some(format!("{who} is still leaving"));
        }
        match status.role {
            Role::Leader if leader.is_some() => return Some(format!("{who} leads too")),
            Role::Leader => leader = Some(status.epoch),
            Role::Follower => {}
            Role::Electing | Role::Joining => return Some(format!("{who} is {:?}", status.role)),
        }
        let next = live[(at + 1) % live.len()];
        let prev = live[(at + live.len() - 1) % live.len()];
        if status.next != Some(world.slots[next].uid) {
            return Some(format!("{who}'s next is {:?} and not {}", status.next, host(next)));
        }
        if status.prev != Some(world.slots[prev].uid) {
            return Some(format!("{who}'s prev is {:?} and not {}", status.prev, host(prev)));
        }
        let members = status.members.iter().map(|member| member.uid);
        if !members.eq(live.iter().map(|&slot| world.slots[slot].uid)) {
            return Some(format!("{who}'s view is {:?}", status.members.iter().map(|m| m.uid).collect::<Vec<_>>()));
        }
        if !world.checks.same_log(slot, live[0]) {
            return Some(format!("{who}'s log is not {}'s", host(live[0])));
        }
        if world.checks.waiting(slot) > 0 || status.waiting > 0 {
            return Some(format!("{} lines wait at {who} (it says {})", world.checks.waiting(slot), status.waiting));
        }
        if !world.checks.has_entered(slot) {
            return Some(format!("{who} has not entered"));
        }
        if status.relay.is_some() {
            return Some(format!("{who} still follows through another"));
        }
    }
    if leader.is_none() && !live.is_empty() {
        return Some("nobody leads".into());
    }
    let epochs = live.iter().filter_map(|&slot| Some(world.slots[slot].process.as_ref()?.node.status().epoch));
    epochs.into_iter().any(|epoch| Some(epoch) != leader).then(|| "not all follow the leader's epoch".into())
}

/// Waits until the room is whole and has been so for `STEADY`: what was held back by a fault may still be on its way when
/// everything looks well. How long that took. Fails the world if it takes longer than `limit`.
pub fn whole_within(world: &mut World, limit: u64) -> u64 {
    let start = world.now;
    let mut since = None;
    while world.failure.is_none() {
        match missing(world) {
            Some(what) if world.now >= start + limit => {
                world.fail(format!("{} s after the last fault: {what}", limit / SECOND));
            }
            Some(_) => since = None,
            None => {
                let since = *since.get_or_insert(world.now);
                if world.now >= since + STEADY {
                    return since - start;
                }
            }
        }
        world.run_to(world.now + 20 * MS);
    }
    world.now - start
}

/// The whole list: whole in time, fresh lines flow, every sent line is there, and no election happens any more.
/// How long the first took.
pub fn settle(world: &mut World, watch: u64) -> u64 {
    let took = whole_within(world, HEAL_MAX);
    world.unrest = None;
    let live = world.running();
    for &slot in &live {
        if world.failure.is_none() && !world.say(slot, &format!("fresh from {}", host(slot))) {
            world.fail(format!("{} takes no line", host(slot)));
        }
    }
    let typed = world.checks.typed();
    let deadline = world.now + FRESH_MAX;
    while world.failure.is_none() && live.iter().any(|&slot| !world.checks.holds_all_from(slot, typed - live.len())) {
        if world.now >= deadline {
            world.fail("fresh lines do not flow");
        }
        world.run_to(world.now + 10 * MS);
    }
    world.run_to(world.now + watch);
    if world.failure.is_none()
        && let Some(what) = missing(world)
    {
        world.fail(format!("the room was whole, and is no longer: {what}"));
    }
    if let Some(what) = world.unrest.take() {
        world.fail(format!("after the faults an election stirs: {what}"));
    }
    // Who has left, before or since, took its disk along.
    (0..world.slots.len()).filter(|slot| !live.contains(slot)).for_each(|slot| world.checks.gone(slot));
    for &slot in &live {
        let verdict = world.checks.all_sent_stand(slot).and_then(|()| world.checks.all_shown(slot));
        world.verdict(verdict);
        let verdict = world.checks.agrees(slot, &world.slots[slot].disk);
        world.verdict(verdict);
        let Some(process) = &world.slots[slot].process else { continue };
        let verdict = social::agrees(&process.node.status(), world.slots[slot].disk.store());
        world.verdict(verdict);
    }
    for slot in 0..world.slots.len() {
        if let Some(Stop::Refused(why)) = &world.slots[slot].stopped {
            let what = format!("{} was refused: {why:?}", host(slot));
            world.fail(what);
        }
    }
    took
}

/// How often a host tells such an event, while a trace is kept.
pub fn told(world: &World, slot: usize, event: &str) -> usize {
    let who = format!("{} ", host(slot));
    let trace = world.trace.as_deref().unwrap_or_default().iter();
    trace.filter(|line| line.contains(event) && line[11..].trim_start().starts_with(&who)).count()
}

/// A room of these hosts, whole: the first founds it, the others join through it.
pub fn gathered(mut world: World) -> World {
    world.trace = Some(Vec::new());
    world.found(0);
    world.run_to(MS);
    (1..world.slots.len()).for_each(|slot| world.join(slot, &[0]));
    whole_within(&mut world, 10 * SECOND);
    well(&world);
    world
}

/// Nothing is wrong so far; else shows how it came to that.
#[track_caller]
pub fn well(world: &World) {
    if let Some(what) = &world.failure {
        let trace = world.trace.as_deref().unwrap_or_default();
        let end = trace[trace.len().saturating_sub(150)..].join("\n");
        panic!("{end}\n{what}");
    }
}
