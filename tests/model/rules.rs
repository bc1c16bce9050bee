//! What may happen in a world, and how much of it is left.

use dist_chat::ring::{Frame, Input, Output, Span, Status, Timing};

use crate::world::{State, What};

/// Spoils what a node wants done, knowing how it stood before and what it was given.
pub type Tamper = fn(&mut Vec<Output>, &Status, &Input);
/// Spoils a frame on its way to a host; `None`: it gets lost.
pub type Spoil = fn(&Frame, usize) -> Option<Frame>;

/// What may happen.
#[derive(Clone, Debug)]
pub struct Rules {
    /// So many processes crash.
    pub crashes: u8,
    /// They crash between any two outputs of a step too.
    pub in_steps: bool,
    /// What a crashed process had sent may be lost.
    pub lossy: bool,
    /// So many times one of the crashed starts again with its files.
    pub restarts: u8,
    /// These join, through the contacts.
    pub joiners: Vec<usize>,
    /// Whom joiners ask, in turn.
    pub contacts: Vec<usize>,
    /// Each of these types a line.
    pub talkers: Vec<usize>,
    /// Each of these leaves.
    pub leavers: Vec<usize>,
    /// So many timers fire.
    pub ticks: u8,
    /// Timers fire when nothing is on its way, the earliest first, and time passes for everybody. Otherwise a node's
    /// timer fires whenever it likes, and no other clock moves.
    pub patient: bool,
    /// What opens and keeps connections is delivered as soon as it is first in line, and what a node has gathered goes
    /// out at once.
    pub brisk: bool,
    /// Things arrive in the order in which they were sent, but for so many that do not. `None`: in any order.
    pub delays: Option<u8>,
    /// Invariant 9: the most tokens and announcements from next to next in one round.
    pub ring_messages: Option<u32>,
    /// The protocol's times.
    pub timing: Timing,
    /// Spoils nodes.
    pub tamper: Option<Tamper>,
    /// Spoils frames.
    pub spoil: Option<Spoil>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            crashes: 0,
            in_steps: false,
            lossy: false,
            restarts: 0,
            joiners: Vec::new(),
            contacts: vec![0],
            talkers: Vec::new(),
            leavers: Vec::new(),
            ticks: 0,
            patient: true,
            brisk: false,
            delays: None,
            ring_messages: None,
            timing: Timing::default(),
            tamper: None,
            spoil: None,
        }
    }
}

/// The protocol's times where heartbeats are rare: of the timers that fire, most then mean something else.
pub fn rare_heartbeats() -> Timing {
    Timing { heartbeat: Span::ms(10_000), silence: Span::ms(60_000), ..Timing::default() }
}

/// How much may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Left {
    pub crashes: u8,
    pub restarts: u8,
    pub ticks: u8,
    pub delays: u8,
    /// Who has joined, typed and wanted to leave already, by slot.
    pub joined: u8,
    pub said: u8,
    pub went: u8,
}

impl Left {
    /// Everything that the rules allow.
    pub fn all(rules: &Rules) -> Self {
        Self {
            crashes: rules.crashes,
            restarts: rules.restarts,
            ticks: rules.ticks,
            delays: rules.delays.unwrap_or(0),
            joined: 0,
            said: 0,
            went: 0,
        }
    }

    /// What people, machines and misfortune may do next.
    pub fn others(&self, state: &State) -> Vec<What> {
        let rules = &state.rules;
        let runs = |slot: &usize| state.slots[*slot].process.is_some();
        let waits = |slots: &[usize], done: u8| -> Vec<usize> {
            slots.iter().copied().filter(|slot| done & (1 << slot) == 0).collect()
        };
        let mut all = Vec::new();
        all.extend(waits(&rules.joiners, self.joined).into_iter().map(What::Join));
        all.extend(waits(&rules.talkers, self.said).into_iter().filter(runs).map(What::Say));
        all.extend(waits(&rules.leavers, self.went).into_iter().filter(runs).map(What::Leave));
        if self.crashes > 0 {
            for (slot, _) in state.running() {
                all.push(What::Crash { slot, lossy: false });
                if rules.lossy {
                    all.push(What::Crash { slot, lossy: true });
                }
            }
        }
        if self.restarts > 0 {
            let died = |slot: &usize| !runs(slot) && state.has_run(*slot);
            all.extend((0..state.slots.len()).filter(died).map(What::Restart));
        }
        all
    }
}
