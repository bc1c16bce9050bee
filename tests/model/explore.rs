//! Goes everywhere: every state that can be reached, each once.

use std::collections::HashMap;
use std::fmt;
use std::time::Instant;

use crate::settle::settle;
use crate::world::{Action, State, What};

/// Where an exploration ends.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Steps from the start; `None`: as many as there are.
    pub depth: Option<u16>,
    /// States in all.
    pub states: usize,
}

/// What an exploration has seen.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// States, each counted once.
    pub states: usize,
    /// Steps from one to another.
    pub steps: u64,
    /// States in which nothing is on its way, and states at which the depth ended: left alone, each becomes whole.
    pub left_alone: usize,
    /// The longest way from the start.
    pub deepest: usize,
    /// The most timers that fire until a state is whole.
    pub timers: u32,
    /// The bound that was met.
    pub cut: Option<&'static str>,
    /// How long it took.
    pub seconds: f64,
}

/// A way to something wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// How it comes to that, step by step.
    pub way: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.way.iter().enumerate() {
            writeln!(f, "{:>4} {line}", at + 1)?;
        }
        write!(f, "{}", self.what)
    }
}

/// A state on the way to the one that is looked at.
struct Stage {
    state: State,
    /// How it came to be.
    by: Option<Action>,
    actions: Vec<Action>,
    next: usize,
}

/// Looks at everything that can come of a state, depth first.
pub fn explore(start: &State, bounds: Bounds) -> Result<Report, Failure> {
    let begun = Instant::now();
    let mut report = Report { states: 1, ..Report::default() };
    let mut seen: HashMap<u64, u16> = HashMap::from([(start.fingerprint(), 0)]);
    let mut way = vec![Stage { actions: start.actions(), state: start.clone(), by: None, next: 0 }];
    while let Some(stage) = way.last_mut() {
        let Some(&action) = stage.actions.get(stage.next) else {
            way.pop();
            continue;
        };
        stage.next += 1;
        let mut state = stage.state.clone();
        report.steps += 1;
        let outputs = match state.apply(action) {
            Ok(outputs) => outputs,
            Err(what) => return Err(failure(start, &way, Some(action), what)),
        };
        stage.actions.extend(deaths(&stage.state, action, outputs));
        let depth = u16::try_from(way.len()).unwrap_or(u16::MAX);
        let name = state.fingerprint();
        let known = seen.get(&name).copied();
        // Who comes by on a shorter way gets further before the bound.
        if known.is_some_and(|before| bounds.depth.is_none() || before <= depth) {
            continue;
        }
        seen.insert(name, depth);
        report.states += usize::from(known.is_none());
        report.deepest = report.deepest.max(way.len());
        let deep = bounds.depth.is_some_and(|most| depth >= most);
        if known.is_none() && (deep || state.quiet()) {
            report.left_alone += 1;
            match settle(&mut state.clone(), None) {
                Ok(timers) => report.timers = report.timers.max(timers),
                Err(what) => return Err(failure(start, &way, Some(action), what)),
            }
        }
        if deep || report.states >= bounds.states {
            report.cut = Some(if deep { "depth" } else { "states" });
            continue;
        }
        way.push(Stage { actions: state.actions(), state, by: Some(action), next: 0 });
    }
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// The same step, cut short by a death after each of its outputs.
fn deaths(state: &State, action: Action, outputs: u32) -> Vec<Action> {
    let acts =
        matches!(action.what, What::Deliver(..) | What::Flush(_) | What::Synced(_) | What::Tick(_) | What::Say(_));
    if !state.rules.in_steps || state.left.crashes == 0 || action.dies.is_some() || !acts {
        return Vec::new();
    }
    let dies = |lossy| (0..outputs).map(move |after| Action { dies: Some((after, lossy)), ..action });
    if state.rules.lossy { dies(false).chain(dies(true)).collect() } else { dies(false).collect() }
}

/// Tells the way again, with what comes of its end if that is left alone.
fn failure(start: &State, way: &[Stage], last: Option<Action>, what: String) -> Failure {
    let mut state = start.clone();
    let mut told = Vec::new();
    for action in way.iter().filter_map(|stage| stage.by).chain(last) {
        told.push(state.tell(action));
        if state.apply(action).is_err() {
            return Failure { what, way: told };
        }
    }
    told.push("left alone:".into());
    // What is wrong is known already.
    let _ = settle(&mut state, Some(&mut told));
    Failure { what, way: told }
}
