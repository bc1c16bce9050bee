//! What is going to happen in a scenario: drawn from its seed before anything starts.

use std::fmt;
use std::time::Duration;

use crate::harness::Rng;

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// The node at this place.
    Place(usize),
    /// Whoever leads then.
    Leader,
}

/// How a dead node comes back.
#[derive(Clone, Copy, Debug)]
pub enum Back {
    /// With its files and nothing else said.
    Alone,
    /// With its files and `-l`.
    Reopening,
    /// With its files, through a living member.
    Joining,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// `kill -9`; it comes back at the end.
    Kill(Whom, Back),
    /// All of them, within a second; each comes back in this order.
    KillAll(Vec<(usize, Back)>),
    /// It leaves as asked, and comes back at the end.
    Leave(usize, Back),
    /// `kill -9`; who comes back has its address and name, and none of its files.
    Replace(usize),
    /// SIGSTOP; SIGCONT at the end.
    Freeze(Whom),
    /// What the first sends to the second is lost.
    OneWay(usize, usize),
    /// Neither hears the other.
    BothWays(usize, usize),
    /// These and the others do not hear each other.
    Apart(Vec<usize>),
    /// This many packets in a hundred are lost on their way to these.
    Loss(u8, Vec<usize>),
    /// The disk of the one node that has a small one is full.
    Full,
    /// A clock is this many seconds off.
    Clock(usize, i64),
}

/// The kinds, as the summary shows them.
pub const KINDS: [&str; 11] = [
    "kill",
    "kill all",
    "leave",
    "replace",
    "freeze",
    "cut 1 way",
    "cut 2 ways",
    "partition",
    "loss",
    "disk full",
    "clock",
];

impl Fault {
    /// Its place in [`KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Self::Kill(..) => 0,
            Self::KillAll(_) => 1,
            Self::Leave(..) => 2,
            Self::Replace(_) => 3,
            Self::Freeze(_) => 4,
            Self::OneWay(..) => 5,
            Self::BothWays(..) => 6,
            Self::Apart(_) => 7,
            Self::Loss(..) => 8,
            Self::Full => 9,
            Self::Clock(..) => 10,
        }
    }
}

/// A fault with its time.
#[derive(Clone, Debug)]
pub struct Strike {
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub nodes: usize,
    /// Who has a small disk.
    pub small: usize,
    /// How long faults strike.
    pub faults: Duration,
    /// Between two lines of one talker.
    pub pace: Duration,
    /// Nothing but ends of processes, and the first node is spared.
    pub crashes_only: bool,
    pub strikes: Vec<Strike>,
}

impl Plan {
    /// The scenario of this seed, with this many nodes or as many as it draws, for at most this long.
    pub fn draw(seed: u64, nodes: Option<usize>, longest: Duration) -> Self {
        let mut rng = Rng::from(seed);
        let drawn = 3 + rng.below(7);
        let nodes = nodes.unwrap_or(drawn);
        let faults = longest.mul_f64(0.5 + rng.below(51) as f64 / 100.0);
        let crashes_only = rng.below(6) == 0;
        let mut plan = Self {
            seed,
            nodes,
            small: rng.below(nodes),
            faults,
            pace: Duration::from_millis([20, 40, 100][rng.below(3)]),
            crashes_only,
            strikes: Vec::new(),
        };
        // Some scenarios are wild, others have time to heal between two faults.
        let gap = [300, 800, 2000][rng.below(3)];
        let mut at = Duration::from_millis(500);
        while at < faults {
            let fault = plan.fault(&mut rng);
            let lasts = Duration::from_millis(match &fault {
                Fault::Freeze(_) => [200, 1000, 2500, 5000][rng.below(4)],
                Fault::Kill(..) | Fault::Leave(..) | Fault::Replace(_) => [0, 300, 2000, 5000][rng.below(4)],
                Fault::KillAll(_) => [0, 1000, 3000][rng.below(3)],
                _ => [300, 1500, 4000, 8000][rng.below(4)],
            });
            plan.strikes.push(Strike { at, lasts, fault });
            at += Duration::from_millis((gap / 2 + rng.below(gap)) as u64);
        }
        plan
    }

    fn fault(&self, rng: &mut Rng) -> Fault {
        let n = self.nodes;
        let first = usize::from(self.crashes_only);
        let place = |rng: &mut Rng| first + rng.below(n - first);
        let whom = |rng: &mut Rng| match rng.below(2) == 0 && !self.crashes_only {
            true => Whom::Leader,
            false => Whom::Place(place(rng)),
        };
        let back = |rng: &mut Rng| [Back::Alone, Back::Alone, Back::Reopening, Back::Joining][rng.below(4)];
        let pair = |rng: &mut Rng| {
            let pair = rng.choose(2, n);
            (pair[0], pair[1])
        };
        if self.crashes_only {
            return match rng.below(6) {
                0 => Fault::Leave(place(rng), back(rng)),
                1 => Fault::Replace(place(rng)),
                _ => Fault::Kill(whom(rng), back(rng)),
            };
        }
        match rng.below(24) {
            0..6 => Fault::Kill(whom(rng), back(rng)),
            6 => Fault::KillAll(rng.choose(n, n).into_iter().map(|place| (place, back(rng))).collect()),
            7..9 => Fault::Leave(place(rng), back(rng)),
            9..11 => Fault::Replace(place(rng)),
            11..14 => Fault::Freeze(whom(rng)),
            14 | 15 => {
                let (from, to) = pair(rng);
                Fault::OneWay(from, to)
            }
            16 | 17 => {
                let (a, b) = pair(rng);
                Fault::BothWays(a, b)
            }
            18 | 19 => {
                let some = 1 + rng.below(n - 1);
                Fault::Apart(rng.choose(some, n))
            }
            20 => {
                let (percent, some) = ([2, 10, 30][rng.below(3)], 1 + rng.below(n));
                Fault::Loss(percent, rng.choose(some, n))
            }
            21 | 22 => Fault::Full,
            _ => Fault::Clock(place(rng), [-86_400, -7, 3, 3600, 31_536_000][rng.below(5)]),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SEED {}: {} nodes, {} faults in {:.1} s, a line each {} ms{}",
            self.seed,
            self.nodes,
            self.strikes.len(),
            self.faults.as_secs_f64(),
            self.pace.as_millis(),
            if self.crashes_only { ", crashes only" } else { "" },
        )
    }
}
