//! What the screen knows of the room: the node, its last report, the ring, and who has spoken.

use std::collections::VecDeque;
use std::time::Duration;

use super::ring::Ring;
use crate::present::values::{FeedEvent, FeedHello, FeedPosition, FeedState};

/// Authors whose names Tab completes, besides those of members.
const SPEAKERS_MAX: usize = 256;

/// The room, as the node has described it so far.
#[derive(Clone, Debug, Default)]
pub struct RoomState {
    pub hello: Option<FeedHello>,
    /// The node's last report.
    pub state: Option<FeedState>,
    pub ring: Ring,
    /// The authors of lines, the last one first.
    speakers: VecDeque<String>,
}

impl RoomState {
    /// The node's name.
    pub fn own_name(&self) -> Option<&str> {
        let stated = self.state.as_ref().map(|state| state.name.as_str());
        stated.or_else(|| self.hello.as_ref().map(|hello| hello.name.as_str()))
    }

    /// Takes the name that the node has now.
    pub fn rename(&mut self, here: &FeedPosition) {
        if let Some(hello) = &mut self.hello {
            hello.name = here.name.clone();
        }
        if let Some(state) = &mut self.state {
            let own = state.members.iter_mut().find(|member| member.address == here.address);
            own.into_iter().for_each(|member| member.name = here.name.clone());
            state.name = here.name.clone();
        }
    }

    /// Takes the node's report, `now`.
    pub fn on_state(&mut self, state: FeedState, now: Duration) {
        self.ring.state(&state, now);
        self.state = Some(state);
    }

    /// Takes an event, `now`.
    pub fn on_event(&mut self, event: &FeedEvent, now: Duration) {
        self.ring.event(event, self.state.as_ref(), now);
    }

    /// A line of this author has come.
    pub fn add_speaker(&mut self, name: &str) {
        if let Some(place) = self.speakers.iter().position(|known| known == name) {
            self.speakers.remove(place);
        }
        self.speakers.push_front(name.to_owned());
        self.speakers.truncate(SPEAKERS_MAX);
    }

    /// The names that Tab completes: members by the alphabet, then other authors, the last one first. Not the node's
    /// own name.
    pub fn others(&self) -> Vec<String> {
        let members = self.state.iter().flat_map(|state| &state.members).map(|member| member.name.to_string());
        let mut names: Vec<String> = members.collect();
        names.sort_by_key(|name| name.to_lowercase());
        for name in &self.speakers {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let own = self.own_name();
        names.retain(|name| Some(name.as_str()) != own);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_are_offered_once_the_last_one_first_and_bounded() {
        let mut room = RoomState::default();
        ["ann", "bob", "ann"].into_iter().for_each(|name| room.add_speaker(name));
        assert_eq!(room.others(), ["ann", "bob"]);
        (0..2 * SPEAKERS_MAX).for_each(|n| room.add_speaker(&n.to_string()));
        assert_eq!(room.others().len(), SPEAKERS_MAX);
    }
}
