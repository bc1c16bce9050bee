//! What strikes a run: which faults there are, whom one hits, and what ends it.

use dist_chat::ring::Role;

use super::{Swarm, Undo};
use crate::world::trace::host;
use crate::world::{MS, SECOND};

/// What can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Crash,
    CrashLeader,
    Massacre,
    Leave,
    Arrive,
    PowerLoss,
    Pause,
    Partition,
    OneWay,
    NonTransitive,
    Flap,
    Slow,
    Reset,
    BadLink,
    Isolate,
    WallJump,
}

/// Faults under which invariant 10 holds.
pub(super) const CRASHES: [Fault; 5] = [Fault::Crash, Fault::CrashLeader, Fault::Massacre, Fault::Leave, Fault::Arrive];
/// All the others.
pub(super) const OTHERS: [Fault; 11] = [
    Fault::PowerLoss,
    Fault::Pause,
    Fault::Partition,
    Fault::OneWay,
    Fault::NonTransitive,
    Fault::Flap,
    Fault::Slow,
    Fault::Reset,
    Fault::BadLink,
    Fault::Isolate,
    Fault::WallJump,
];

impl Swarm {
    /// Lets one of the drawn faults happen.
    #[expect(clippy::too_many_lines, reason = "one table: a fault, and what it does")]
    pub(super) fn strike(&mut self) {
        let Some(fault) = self.rng.pick(&self.faults) else { return };
        let live = self.world.running();
        let hosts = self.begun.len();
        let Some(victim) = self.rng.pick(&live) else { return };
        let leader = self.leader();
        let favourite = if self.rng.percent(50) { leader.unwrap_or(victim) } else { victim };
        let while_ = self.rng.magnitude(5 * MS, 6 * SECOND);
        let (from, to) = (self.rng.index(hosts), self.rng.index(hosts));
        match fault {
            Fault::Crash => self.kill(victim, false),
            Fault::CrashLeader => self.kill(favourite, false),
            Fault::Massacre => self.massacre(&live),
            Fault::Leave => {
                self.world.leave(favourite);
                if self.rng.percent(60) {
                    self.undo(while_, Undo::Restart(favourite));
                }
            }
            Fault::Arrive => {
                let storm = self.rng.percent(30);
                let absent: Vec<usize> = (0..hosts).filter(|&slot| !self.begun[slot]).collect();
                for slot in if storm { absent } else { self.rng.pick(&absent).into_iter().collect() } {
                    self.restart(slot);
                }
            }
            Fault::PowerLoss => self.kill(favourite, true),
            Fault::Pause => {
                self.world.pause(favourite);
                self.undo(while_, Undo::Resume(favourite));
            }
            Fault::Partition => {
                let parts = self.rng.range(2, 3);
                let side: Vec<u64> = (0..hosts).map(|_| self.rng.below(parts)).collect();
                let links = pairs(hosts).filter(|&(a, b)| side[a] != side[b]).collect();
                self.cut_for(links, while_);
            }
            Fault::OneWay => self.cut_for(vec![(from, to)], while_),
            Fault::NonTransitive => {
                let links: Vec<_> = pairs(hosts).filter(|(a, b)| a < b && self.rng.percent(30)).collect();
                self.cut_for(links.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).collect(), while_);
            }
            Fault::Flap => {
                let mut links = vec![(from, to)];
                if self.rng.percent(70) {
                    links.push((to, from));
                }
                let mut after = 0;
                for _ in 0..self.rng.range(1, 6) {
                    after += self.rng.magnitude(MS, SECOND);
                    self.undo(after, Undo::Block(links.clone()));
                    after += self.rng.magnitude(MS, 2 * SECOND);
                    self.undo(after, Undo::Heal(links.clone()));
                }
            }
            Fault::Slow => {
                let slow = self.rng.magnitude(20 * MS, 800 * MS);
                let link = self.world.net.link(from, to);
                self.undo(while_, Undo::Speed(from, to, link.delay, link.jitter));
                self.world.tell(|_| format!("=== {} to {} takes {slow} us", host(from), host(to)));
                self.world.net.link_mut(from, to).delay = slow;
            }
            Fault::Reset => {
                let many = if self.rng.percent(20) { 50 } else { 3 };
                let recent = self.world.net.conns.len();
                for _ in 0..many {
                    let conn = recent.saturating_sub(1 + self.rng.index(60));
                    if conn < recent {
                        self.world.reset(conn);
                    }
                }
            }
            Fault::BadLink => {
                if let (Some(leader), Some(highest)) =
                    (leader, live.iter().rev().copied().find(|slot| Some(*slot) != leader))
                {
                    self.cut_for(vec![(leader, highest), (highest, leader)], while_);
                }
            }
            Fault::Isolate => {
                let links = pairs(hosts).filter(|&(a, b)| a == favourite || b == favourite).collect();
                self.cut_for(links, while_);
            }
            Fault::WallJump => {
                let jump = self.rng.magnitude(1, 1 << 34) as i64;
                self.world.slots[victim].wall += if self.rng.percent(50) { jump } else { -jump };
            }
        }
    }

    fn leader(&self) -> Option<usize> {
        self.world.running().into_iter().find(|&slot| {
            let process = self.world.slots[slot].process.as_ref();
            process.is_some_and(|process| process.node.status().role == Role::Leader)
        })
    }

    /// Kills a process in a moment: after the next so many outputs of it, or at once.
    fn kill(&mut self, slot: usize, power: bool) {
        self.dark[slot] |= power;
        let later = self.rng.percent(60);
        if later {
            self.world.slots[slot].doomed = Some((self.rng.below(15) as u32, power));
        } else if power {
            self.world.power_off(slot);
        } else {
            self.world.crash(slot);
        }
        if self.rng.percent(80) {
            let after = self.rng.magnitude(100, 4 * SECOND);
            self.undo(after, Undo::Restart(slot));
        }
    }

    fn cut_for(&mut self, links: Vec<(usize, usize)>, while_: u64) {
        for &(from, to) in &links {
            self.world.block(from, to);
        }
        self.undo(while_, Undo::Heal(links));
    }

    /// Several at the same instant: adjacent ones, any, all but one, or all.
    fn massacre(&mut self, live: &[usize]) {
        let many = match self.rng.below(4) {
            0 => live.len() - 1,
            1 => live.len(),
            _ => self.rng.range(1, live.len() as u64) as usize,
        };
        let adjacent = self.rng.percent(50);
        let first = self.rng.index(live.len());
        let mut victims: Vec<usize> = (0..many).map(|k| live[(first + k) % live.len()]).collect();
        if !adjacent {
            victims = live.iter().copied().filter(|_| self.rng.percent((100 * many / live.len()) as u64)).collect();
        }
        for slot in victims {
            self.world.crash(slot);
            if self.rng.percent(80) {
                let after = self.rng.magnitude(100, 4 * SECOND);
                self.undo(after, Undo::Restart(slot));
            }
        }
    }
}

fn pairs(hosts: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..hosts).flat_map(move |a| (0..hosts).map(move |b| (a, b))).filter(|(a, b)| a != b)
}
