//! What must come of a state once nothing happens to it any more: one whole room, in time.

use dist_chat::ring::Role;

use crate::world::{Action, State, host, uid};

/// A room is whole so many heartbeats after the last fault: 10 s at the protocol's times.
const WHOLE_MAX: u64 = 40;
/// So many deliveries without any time passing mean that nodes talk without end.
const DELIVERIES_MAX: u32 = 20_000;

/// What is still missing from one whole room, if anything.
fn missing(state: &State) -> Option<String> {
    let live: Vec<usize> = state.running().map(|(slot, _)| slot).collect();
    let mut leader = None;
    for (at, (slot, process)) in state.running().enumerate() {
        let status = process.node.status();
        let who = host(slot);
        if process.leaving {
            return Some(format!("{who} is still leaving"));
        }
        match status.role {
            Role::Leader if leader.is_some() => return Some(format!("{who} leads too")),
            Role::Leader => leader = status.epoch,
            Role::Follower => {}
            Role::Electing | Role::Joining => return Some(format!("{who} is {:?}", status.role)),
        }
        let next = uid(live[(at + 1) % live.len()]);
        let prev = uid(live[(at + live.len() - 1) % live.len()]);
        if (status.next, status.prev) != (Some(next), Some(prev)) {
            return Some(format!("{who} stands between {:?} and {:?}", status.prev, status.next));
        }
        if !status.members.iter().map(|member| member.uid).eq(live.iter().map(|&slot| uid(slot))) {
            return Some(format!("{who}'s view has {} members", status.members.len()));
        }
        if !state.checks.same_log(slot, live[0]) {
            return Some(format!("{who}'s log is not {}'s", host(live[0])));
        }
        if state.checks.waiting(slot) > 0 || status.waiting > 0 {
            return Some(format!("{} lines wait at {who}, it says {}", state.checks.waiting(slot), status.waiting));
        }
        if !process.entered {
            return Some(format!("{who} has not entered"));
        }
    }
    let follows = |epoch| state.running().all(|(_, process)| process.node.status().epoch == epoch);
    match leader {
        None if !live.is_empty() => Some("nobody leads".into()),
        Some(_) if !follows(leader) => Some("not all follow the leader's epoch".into()),
        _ => None,
    }
}

/// Everything arrives, in the order of sending, then the earliest timer fires, and so on until the room is whole: how
/// many timers that takes. Everything that was sent must stand then, and everybody must have seen it.
pub fn settle(state: &mut State, mut told: Option<&mut Vec<String>>) -> Result<u32, String> {
    let (mut timers, mut took) = (0, 0);
    loop {
        let mut deliveries = 0;
        while let Some(what) = state.next_in_line() {
            let action = Action { what, dies: None, cost: 0 };
            if let Some(told) = &mut told {
                told.push(state.tell(action));
            }
            state.apply(action)?;
            deliveries += 1;
            if deliveries > DELIVERIES_MAX {
                return Err("nodes talk without end".into());
            }
        }
        let Some(what) = missing(state) else { break };
        if took > state.rules.timing.heartbeat.times(WHOLE_MAX).0 {
            return Err(format!("left alone for {} ms: {what}", took / 1000));
        }
        if let Some(told) = &mut told {
            told.push(format!("{:>4} ms later", took / 1000));
        }
        took += state.next_timer()?;
        timers += 1;
    }
    for (slot, _) in state.running() {
        state.checks.all_sent_stand(slot)?;
        state.checks.all_shown(slot)?;
        state.checks.agrees(slot, &state.slots[slot].disk)?;
    }
    Ok(timers)
}
