//! The ring as the user sees it: its members, what travels along its links, lost members, and the leader.
//!
//! All of it comes from the node's updates. A pulse shows that the node has heard a peer since the last report, a
//! moving token that this node has passed one on. The node does not know what other nodes do among themselves, so the
//! screen does not draw it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::present::values::{EventKind, FeedEvent, FeedState};
use crate::ring::{Name, Uid};

/// How long a pulse travels along its link.
pub const PULSE: Duration = Duration::from_millis(400);
/// How long a token travels from one node to the next.
pub const HOP: Duration = Duration::from_millis(500);
/// How long a lost member stays visible.
pub const LOST_SHOWN: Duration = Duration::from_secs(10);
/// How long reports may still list a lost member.
const LOST_SETTLES: Duration = Duration::from_secs(2);
/// How long the text of an event stays below the ring.
pub const SAID_SHOWN: Duration = Duration::from_secs(10);
/// Most tokens that wait to be drawn; the oldest ones go first.
const HOPS_MAX: usize = 8;
/// Most texts below the ring, present and future.
const SAID_MAX: usize = 16;
/// Most names remembered.
const NAMES_MAX: usize = 4096;
/// Most lost members that stay visible.
const LOST_MAX: usize = 16;

/// A part of a text. The name of a node may become known after the event.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RingCaption {
    Text(String),
    Who(Uid),
}

/// A token on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The candidate for leader.
    pub candidate: Uid,
    /// The sender.
    pub from: Uid,
    /// The receiver.
    pub to: Uid,
    /// When the picture of it starts.
    pub starts: Duration,
}

/// A member's place in the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingPosition {
    /// The member's address.
    pub address: Uid,
    /// The member's name.
    pub name: Name,
    /// The member is lost.
    pub lost: bool,
}

/// The picture of the ring.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// When the node last heard each peer.
    heard: BTreeMap<Uid, Duration>,
    /// When the last pulse of each link started.
    pulses: BTreeMap<Uid, Duration>,
    hops: VecDeque<Hop>,
    lost: BTreeMap<Uid, (Name, Duration)>,
    /// Texts below the ring, and when each appears.
    said: VecDeque<(Vec<RingCaption>, Duration)>,
    /// The names of present and past members.
    names: BTreeMap<Uid, Name>,
    /// The leader by the last event; `Some(None)`: no leader. `None`: the state says it.
    leader: Option<Option<Uid>>,
    /// An election is going on.
    electing: bool,
}

impl Ring {
    /// Takes the node's state.
    pub fn state(&mut self, state: &FeedState, now: Duration) {
        let here = |uid: &Uid| state.members.iter().any(|member| member.address == *uid);
        // A report may be older than the loss.
        self.lost.retain(|uid, (_, since)| !here(uid) || now < *since + LOST_SETTLES);
        self.heard.retain(|uid, _| here(uid));
        self.pulses.retain(|uid, _| here(uid));
        for member in &state.members {
            self.know(member.address, &member.name);
            let Some(link) = member.link.filter(|link| link.up) else { continue };
            let heard = now.saturating_sub(Duration::from_millis(link.silent_ms));
            let last = self.heard.insert(member.address, heard);
            // Two reports of the same moment differ by rounding and delay.
            if last.is_none_or(|last| heard > last + Duration::from_millis(50)) {
                self.pulses.insert(member.address, now);
            }
        }
        self.leader = None;
        if state.leader.is_some() {
            self.electing = false;
        }
    }

    /// Takes an event; `state` is the node's last known state.
    pub fn event(&mut self, event: &FeedEvent, state: Option<&FeedState>, now: Duration) {
        if let (Some(uid), Some(name)) = (event.address, &event.name) {
            self.know(uid, name);
        }
        match event.kind {
            EventKind::ElectionStarted => {
                let round = event.round.map_or_else(String::new, |round| format!(", round {round}"));
                self.say(vec![RingCaption::Text(format!("an election{round}"))], now);
                self.electing = true;
            }
            EventKind::TokenPassed => {
                let (Some(candidate), Some(to), Some(state)) = (event.address, event.to, state) else { return };
                let starts = self.settled().max(now);
                let words = [
                    RingCaption::Text("token of ".into()),
                    RingCaption::Who(candidate),
                    RingCaption::Text(" to ".into()),
                    RingCaption::Who(to),
                ];
                self.say(words.into(), starts);
                if self.hops.len() == HOPS_MAX {
                    self.hops.pop_front();
                }
                self.hops.push_back(Hop { candidate, from: state.address, to, starts });
                self.electing = true;
            }
            EventKind::Leader => {
                if let Some(leader) = event.address {
                    // Real tokens are too fast to see: the text about the winner waits until the drawn token has
                    // arrived.
                    self.say(
                        vec![RingCaption::Who(leader), RingCaption::Text(" leads now".into())],
                        self.settled().max(now),
                    );
                    self.leader = Some(Some(leader));
                }
                self.electing = false;
            }
            EventKind::LeaderLost | EventKind::Lost => {
                let Some(uid) = event.address else { return };
                let leads = event.kind == EventKind::LeaderLost;
                if leads {
                    self.leader = Some(None);
                }
                if !self.lost.contains_key(&uid) {
                    let what = if leads { ", the leader, is gone" } else { " is gone" };
                    self.say(vec![RingCaption::Who(uid), RingCaption::Text(what.into())], now);
                }
                if let Some(name) = self.names.get(&uid)
                    && self.lost.len() < LOST_MAX
                {
                    self.lost.insert(uid, (name.clone(), now));
                }
            }
            EventKind::Joined => {
                if let Some(uid) = event.address {
                    self.lost.remove(&uid);
                }
            }
            EventKind::Entered
            | EventKind::Left
            | EventKind::Asking
            | EventKind::Next
            | EventKind::Repaired
            | EventKind::Succeeded
            | EventKind::CutOff
            | EventKind::Renamed
            | EventKind::Moderated
            | EventKind::Forged
            | EventKind::Disk
            | EventKind::Other => {}
        }
    }

    /// When the last drawn token arrives.
    fn settled(&self) -> Duration {
        self.hops.back().map_or(Duration::ZERO, |last| last.starts + HOP)
    }

    fn know(&mut self, uid: Uid, name: &Name) {
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(uid, name.clone());
    }

    fn say(&mut self, words: Vec<RingCaption>, from: Duration) {
        if self.said.len() == SAID_MAX {
            self.said.pop_front();
        }
        self.said.push_back((words, from));
    }

    /// The members in the order of the ring, with those lost a moment ago.
    pub fn places(&self, state: &FeedState, now: Duration) -> Vec<RingPosition> {
        let mut places: BTreeMap<Uid, RingPosition> = BTreeMap::new();
        for member in &state.members {
            let lost = self.lost.contains_key(&member.address);
            places.insert(member.address, RingPosition { address: member.address, name: member.name.clone(), lost });
        }
        for (uid, (name, since)) in &self.lost {
            if now < *since + LOST_SHOWN {
                places.entry(*uid).or_insert_with(|| RingPosition { address: *uid, name: name.clone(), lost: true });
            }
        }
        places.into_values().collect()
    }

    /// The leader, as far as known.
    pub fn leader(&self, state: &FeedState) -> Option<Uid> {
        self.leader.unwrap_or(state.leader)
    }

    /// The member with the leader's mark; none while a drawn token is on its way.
    pub fn new_leader(&self, state: &FeedState, now: Duration) -> Option<Uid> {
        self.leader(state).filter(|_| now >= self.settled())
    }

    /// The peers whose links have a pulse, and how far it is: from 0 to 1.
    pub fn pulses(&self, now: Duration) -> impl Iterator<Item = (Uid, f64)> {
        self.pulses.iter().filter_map(move |(uid, start)| {
            let way = now.saturating_sub(*start);
            (way < PULSE).then(|| (*uid, way.as_secs_f64() / PULSE.as_secs_f64()))
        })
    }

    /// The drawn token, and how far it is: from 0 to 1. During an election the last token rests at its receiver.
    pub fn token(&self, now: Duration) -> Option<(&Hop, f64)> {
        let hop = self.hops.iter().rev().find(|hop| hop.starts <= now)?;
        let way = now.saturating_sub(hop.starts);
        match way < HOP {
            true => Some((hop, way.as_secs_f64() / HOP.as_secs_f64())),
            false => (self.electing && hop.starts + SAID_SHOWN > now).then_some((hop, 1.0)),
        }
    }

    /// The newest two texts below the ring, the newest last.
    pub fn said(&self, now: Duration) -> Vec<String> {
        let seen = self.said.iter().filter(|(_, from)| *from <= now && now < *from + SAID_SHOWN);
        let mut seen: Vec<&(Vec<RingCaption>, Duration)> = seen.collect();
        seen.sort_by_key(|(_, from)| *from);
        seen.iter().skip(seen.len().saturating_sub(2)).map(|(words, _)| self.sentence(words)).collect()
    }

    fn sentence(&self, words: &[RingCaption]) -> String {
        let word = |word: &RingCaption| match word {
            RingCaption::Text(text) => text.clone(),
            RingCaption::Who(uid) => self.names.get(uid).map_or_else(|| uid.to_string(), ToString::to_string),
        };
        words.iter().map(word).collect()
    }

    /// The last known name of the node at this address.
    pub fn name(&self, uid: Uid) -> Option<&Name> {
        self.names.get(&uid)
    }

    /// Whether anything moves.
    pub fn moves(&self, now: Duration) -> bool {
        self.pulses(now).next().is_some() || self.hops.iter().any(|hop| now < hop.starts + HOP)
    }

    /// When the next text or lost member appears or vanishes.
    pub fn fades(&self, now: Duration) -> Option<Duration> {
        let said = self.said.iter().flat_map(|(_, from)| [*from, *from + SAID_SHOWN]);
        let lost = self.lost.values().map(|(_, since)| *since + LOST_SHOWN);
        said.chain(lost).filter(|at| *at > now).min()
    }

    /// Forgets what is no longer visible.
    pub fn tick(&mut self, now: Duration) {
        self.lost.retain(|_, (_, since)| now < *since + LOST_SHOWN);
        while self.hops.len() > 1 && self.hops.front().is_some_and(|hop| now >= hop.starts + HOP) {
            self.hops.pop_front();
        }
    }
}

/// The name of the member at this address.
pub fn name_of(state: &FeedState, uid: Uid) -> Option<&Name> {
    state.members.iter().find(|member| member.address == uid).map(|member| &member.name)
}
