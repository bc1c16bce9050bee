//! What is seen of the ring: who stands where, what passes along its links, who falls out, who comes to lead.
//!
//! All of it comes from what the node has told. A pulse is drawn when a link has been heard since the last look, a token
//! when this node has passed one on; what other nodes do among themselves is not known here, and not drawn.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::ring::{Name, Uid};
use crate::ui::feed::{Event, State, What};

/// How long a pulse takes along its link.
pub const PULSE: Duration = Duration::from_millis(400);
/// How long a token takes from one node to the next.
pub const HOP: Duration = Duration::from_millis(500);
/// How long somebody who is lost is still shown.
pub const LOST_SHOWN: Duration = Duration::from_secs(10);
/// How long what has happened is said below the ring.
pub const SAID_SHOWN: Duration = Duration::from_secs(10);
/// Tokens that wait to be drawn; of more, the oldest are not.
const HOPS_MAX: usize = 8;
/// Lost members that are still shown.
const LOST_MAX: usize = 16;

/// A token on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Whom it would make leader.
    pub candidate: Uid,
    /// From here, ..
    pub from: Uid,
    /// .. to there.
    pub to: Uid,
    /// When it leaves.
    pub starts: Duration,
}

/// A place in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address.
    pub address: Uid,
    /// The name.
    pub name: Name,
    /// It is there no more.
    pub lost: bool,
}

/// What is seen of the ring.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// When each link was heard last.
    heard: BTreeMap<Uid, Duration>,
    /// When something was last seen to come along a link.
    pulses: BTreeMap<Uid, Duration>,
    hops: VecDeque<Hop>,
    lost: BTreeMap<Uid, (Name, Duration)>,
    said: Option<(String, Duration)>,
    /// Who leads, as the last event had it: `Some(None)`, nobody.
    leader: Option<Option<Uid>>,
    /// An election goes on.
    electing: bool,
}

impl Ring {
    /// Takes in how the room is doing, `now`.
    pub fn state(&mut self, state: &State, now: Duration) {
        let here = |uid: &Uid| state.members.iter().any(|member| member.address == *uid);
        self.lost.retain(|uid, _| !here(uid));
        self.heard.retain(|uid, _| here(uid));
        self.pulses.retain(|uid, _| here(uid));
        for member in &state.members {
            let Some(link) = member.link.filter(|link| link.up) else { continue };
            let heard = now.saturating_sub(Duration::from_millis(link.silent_ms));
            let last = self.heard.insert(member.address, heard);
            // The same moment seen twice may differ by the rounding and by the way of the answer.
            if last.is_none_or(|last| heard > last + Duration::from_millis(50)) {
                self.pulses.insert(member.address, now);
            }
        }
        self.leader = None;
        if state.leader.is_some() {
            self.electing = false;
        }
    }

    /// Takes in what has happened, `now`, in a ring of which `state` is the last that is known.
    pub fn event(&mut self, event: &Event, state: Option<&State>, now: Duration) {
        let called = |uid: Uid| match state.and_then(|state| name_of(state, uid)) {
            Some(name) => name.to_string(),
            None => self.lost.get(&uid).map_or_else(|| uid.to_string(), |(name, _)| name.to_string()),
        };
        match event.kind {
            What::ElectionStarted => {
                let round = event.round.map_or_else(String::new, |round| format!("round {round}: "));
                self.say(format!("{round}an election begins"), now);
                self.electing = true;
            }
            What::TokenPassed => {
                let (Some(candidate), Some(to), Some(state)) = (event.address, event.to, state) else { return };
                self.say(format!("token of {} to {}", called(candidate), called(to)), now);
                let free = self.hops.back().map_or(now, |last| last.starts + HOP).max(now);
                if self.hops.len() == HOPS_MAX {
                    self.hops.pop_front();
                }
                self.hops.push_back(Hop { candidate, from: state.address, to, starts: free });
                self.electing = true;
            }
            What::Leader => {
                if let Some(leader) = event.address {
                    self.say(format!("{} leads now", called(leader)), now);
                    self.leader = Some(Some(leader));
                }
                self.electing = false;
            }
            What::LeaderLost | What::Lost => {
                let leads = event.kind == What::LeaderLost;
                if leads {
                    self.leader = Some(None);
                }
                let Some(uid) = event.address else { return };
                let name = event.name.clone().or_else(|| state.and_then(|state| name_of(state, uid)).cloned());
                let what = if leads { "the leader, is gone" } else { "is gone" };
                self.say(format!("{}{} {what}", called(uid), if leads { "," } else { "" }), now);
                if let Some(name) = name
                    && self.lost.len() < LOST_MAX
                {
                    self.lost.insert(uid, (name, now));
                }
            }
            What::Entered
            | What::Joined
            | What::Left
            | What::Asking
            | What::Next
            | What::Repaired
            | What::Succeeded
            | What::CutOff
            | What::Renamed
            | What::Moderated
            | What::Forged
            | What::Disk
            | What::Other => {}
        }
    }

    fn say(&mut self, text: String, now: Duration) {
        self.said = Some((text, now));
    }

    /// Who stands in the ring, in its order; whoever was lost just now stands there still, crossed out.
    pub fn places(&self, state: &State, now: Duration) -> Vec<Place> {
        let mut places: BTreeMap<Uid, Place> = BTreeMap::new();
        for member in &state.members {
            let lost = self.lost.contains_key(&member.address);
            places.insert(member.address, Place { address: member.address, name: member.name.clone(), lost });
        }
        for (uid, (name, since)) in &self.lost {
            if now < *since + LOST_SHOWN {
                places.entry(*uid).or_insert_with(|| Place { address: *uid, name: name.clone(), lost: true });
            }
        }
        places.into_values().collect()
    }

    /// Who leads, as far as is known.
    pub fn leader(&self, state: &State) -> Option<Uid> {
        self.leader.unwrap_or(state.leader)
    }

    /// Along which links something comes at the moment, and how far it is: from 0 to 1.
    pub fn pulses(&self, now: Duration) -> impl Iterator<Item = (Uid, f64)> {
        self.pulses.iter().filter_map(move |(uid, start)| {
            let way = now.saturating_sub(*start);
            (way < PULSE).then(|| (*uid, way.as_secs_f64() / PULSE.as_secs_f64()))
        })
    }

    /// The token that is on its way, and how far it is; while an election goes on, the last one rests where it went.
    pub fn token(&self, now: Duration) -> Option<(&Hop, f64)> {
        let hop = self.hops.iter().rev().find(|hop| hop.starts <= now)?;
        let way = now.saturating_sub(hop.starts);
        match way < HOP {
            true => Some((hop, way.as_secs_f64() / HOP.as_secs_f64())),
            false => self.electing.then_some((hop, 1.0)),
        }
    }

    /// What is said below the ring.
    pub fn said(&self, now: Duration) -> Option<&str> {
        self.said.as_ref().filter(|(_, since)| now < *since + SAID_SHOWN).map(|(text, _)| text.as_str())
    }

    /// Something moves.
    pub fn moves(&self, now: Duration) -> bool {
        self.pulses(now).next().is_some() || self.hops.iter().any(|hop| now < hop.starts + HOP)
    }

    /// The next moment at which something is no longer shown.
    pub fn fades(&self, now: Duration) -> Option<Duration> {
        let said = self.said.iter().map(|(_, since)| *since + SAID_SHOWN);
        let lost = self.lost.values().map(|(_, since)| *since + LOST_SHOWN);
        said.chain(lost).filter(|at| *at > now).min()
    }

    /// Forgets what is no longer shown.
    pub fn tick(&mut self, now: Duration) {
        self.lost.retain(|_, (_, since)| now < *since + LOST_SHOWN);
        while self.hops.len() > 1 && self.hops.front().is_some_and(|hop| now >= hop.starts + HOP) {
            self.hops.pop_front();
        }
    }
}

/// The name of the member at this address.
pub fn name_of(state: &State, uid: Uid) -> Option<&Name> {
    state.members.iter().find(|member| member.address == uid).map(|member| &member.name)
}
