//! Ways that were found once, walked again.

use crate::rules::Rules;
use crate::settle::settle;
use crate::world::{Action, State, What};
use crate::{Case, brisk, restless, sure};

/// Takes these steps, each given by how it begins to be told, and whatever a brisk world does in between.
#[track_caller]
fn walk(state: &mut State, steps: &[&str]) {
    for &step in steps {
        loop {
            let all = state.actions();
            let told = |action: &&Action| state.tell(**action).starts_with(step);
            if let Some(&action) = all.iter().find(told) {
                sure(state.apply(action));
                break;
            }
            let [Action { what: What::Deliver(..) | What::Flush(_) | What::Synced(_), .. }] = all[..] else {
                let choice: Vec<String> = all.iter().map(|&action| state.tell(action)).collect();
                panic!("{step:?} is none of\n{}", choice.join("\n"));
            };
            sure(state.apply(all[0]));
        }
    }
}

/// What a process said before it died reaches a leader after the next one at that address has joined. The leader yields
/// to the dead one; whom its followers are to follow then follows it.
#[test]
fn a_leader_yields_to_one_that_has_died() {
    let rules = restless(2, Rules { crashes: 2, restarts: 2, ..brisk() });
    let mut state = Case::new("yields", 2, rules).start();
    walk(
        &mut state,
        &[
            "a crashes",
            "b gets from a Closed",
            "a starts again",
            "b gets from a LeaderPoll",
            "a gets from b PollReply",
            "b gets from a Join",
            // What b answers is on its way; a has waited for too long.
            "a's timer",
            "a's timer",
            "b gets from a Closed",
            "b gets from a LeaderPoll",
            "a gets from b PollReply",
            "b gets from a MergeOffer",
            "b crashes",
            "b starts again",
            "a gets from b LeaderPoll",
            "b gets from a PollReply",
            "a gets from b Join",
            "a gets from b MergeOffer",
            "a gets from b Closed",
            "b gets from a Accept",
            "a gets from b Ack",
            "b gets from a StepDown(",
        ],
    );
    sure(settle(&mut state, None));
}
