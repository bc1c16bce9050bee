//! Invariant 11: what is told of members, channels and who is away is the same at everybody who holds the same log, and
//! what that log says.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dist_chat::ring::{Act, AuthorId, Body, Channel, Member, Status, Text};
use dist_chat::store::MemoryStore;

use super::Verdict;
use super::history::Place;

type Channels = Vec<(Option<Channel>, u64, Option<Text>)>;

/// What a log amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    channels: Channels,
    away: Vec<(AuthorId, Text)>,
    members: Vec<Member>,
}

/// What was told first of each log.
#[derive(Clone, Debug, Default)]
pub struct Social(HashMap<Place, Told>);

impl Social {
    /// A node whose log ends there says how things are.
    pub fn status(&mut self, tip: Place, status: &Status) -> Verdict {
        let names: BTreeSet<String> = status.members.iter().map(|member| member.name.folded()).collect();
        if names.len() != status.members.len() {
            return Err(format!("invariant 11: two members have one name: {:?}", status.members));
        }
        let here = |author: &AuthorId| status.members.iter().any(|member| member.author == *author);
        if !status.away.iter().all(|(author, _)| here(author)) {
            return Err(format!("invariant 11: somebody is away who is not here: {:?}", status.away));
        }
        let told =
            Told { channels: status.channels.clone(), away: status.away.clone(), members: status.members.clone() };
        match self.0.get(&tip) {
            Some(first) if *first != told => {
                Err(format!("invariant 11: of one log two things are told: {first:?} and {told:?}"))
            }
            Some(_) => Ok(()),
            None => {
                self.0.insert(tip, told);
                Ok(())
            }
        }
    }
}

/// The channels of a log, in the simplest way; there are not so many that one would be forgotten.
fn channels(store: &MemoryStore) -> Channels {
    let mut all: BTreeMap<Option<Channel>, (u64, Option<Text>)> = BTreeMap::from([(None, (0, None))]);
    for entry in store.log() {
        let Body::Line(line) = &entry.body else { continue };
        match &line.act {
            Some(Act::React { .. } | Act::Nick(_) | Act::Away) => {}
            act => {
                let (lines, topic) = all.entry(line.channel.clone()).or_default();
                *lines += 1;
                if *act == Some(Act::Topic) {
                    *topic = Text::parse(line.words()).ok();
                }
            }
        }
    }
    all.into_iter().map(|(channel, (lines, topic))| (channel, lines, topic)).collect()
}

/// What a node that is at rest tells is what its log says; and it is called what it says.
pub fn agrees(status: &Status, store: &MemoryStore) -> Verdict {
    let counted = channels(store);
    if status.channels != counted {
        return Err(format!("invariant 11: channels are {:?}, and the log says {counted:?}", status.channels));
    }
    match status.members.iter().find(|member| member.uid == status.uid) {
        Some(me) if me.name != status.name => {
            Err(format!("invariant 11: calls itself {} and is {}", status.name, me.name))
        }
        Some(_) | None => Ok(()),
    }
}
