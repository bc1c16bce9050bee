//! A node's state in the form in which it is told. The keys are stable: scripts read them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::ring::{Name, Role, RoomId, Status, Uid};

/// What `dist-chat status --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The room; `null` while there is none.
    pub room: Option<RoomId>,
    /// The node's name.
    pub name: Name,
    /// The address that it advertises.
    pub address: Uid,
    /// `leader`, `follower`, `electing` or `joining`.
    pub role: RoleWord,
    /// The epoch that is obeyed.
    pub epoch: Option<EpochReport>,
    /// Who leads.
    pub leader: Option<Uid>,
    /// The next in the ring; itself when alone.
    pub next: Option<Uid>,
    /// The previous in the ring; itself when alone.
    pub prev: Option<Uid>,
    /// Who is here, in ring order.
    pub members: Vec<MemberReport>,
    /// The history.
    pub log: LogReport,
    /// Own lines that are not in the log.
    pub waiting: u64,
}

/// A role in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the same words as those of `ring::Role`")]
pub enum RoleWord {
    Leader,
    Follower,
    Electing,
    Joining,
}

impl From<Role> for RoleWord {
    fn from(role: Role) -> Self {
        match role {
            Role::Leader => Self::Leader,
            Role::Follower => Self::Follower,
            Role::Electing => Self::Electing,
            Role::Joining => Self::Joining,
        }
    }
}

/// A leader's epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The election's number.
    pub round: u64,
    /// Who won it.
    pub leader: Uid,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its address.
    pub address: Uid,
    /// Its name.
    pub name: Name,
}

/// How far the history goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReport {
    /// The first entry: every member holds the log from its start.
    pub first: u64,
    /// The last entry; zero while there is none.
    pub last: u64,
    /// The node's Lamport clock.
    pub lamport: u64,
}

impl From<Status> for StatusReport {
    fn from(status: Status) -> Self {
        Self {
            room: status.room,
            name: status.name,
            address: status.uid,
            role: status.role.into(),
            epoch: status.epoch.map(|epoch| EpochReport { round: epoch.round, leader: epoch.leader }),
            leader: status.epoch.map(|epoch| epoch.leader),
            next: status.next,
            prev: status.prev,
            members: status
                .members
                .into_iter()
                .map(|member| MemberReport { address: member.uid, name: member.name })
                .collect(),
            log: LogReport { first: 1, last: status.tail.index.0, lamport: status.lamport.0 },
            waiting: status.waiting,
        }
    }
}

impl StatusReport {
    /// For people: a few lines.
    pub fn for_people(&self) -> String {
        let or_none = |uid: Option<Uid>| uid.map_or_else(|| "none".to_owned(), |uid| uid.to_string());
        let role = match self.role {
            RoleWord::Leader => "leader",
            RoleWord::Follower => "follower",
            RoleWord::Electing => "looking for a leader",
            RoleWord::Joining => "on its way in",
        };
        let room = self.room.map_or_else(|| "none yet".to_owned(), |room| room.to_string());
        let epoch = self.epoch.map_or_else(String::new, |epoch| format!(" (epoch {})", epoch.round));
        let mut text = String::new();
        let _ = writeln!(text, "{}({}), {role}", self.name, self.address);
        let _ = writeln!(text, "room      {room}");
        let _ = writeln!(text, "leader    {}{epoch}", or_none(self.leader));
        let _ = writeln!(text, "ring      {} -> here -> {}", or_none(self.prev), or_none(self.next));
        for (place, member) in self.members.iter().enumerate() {
            let heading = if place == 0 { "members" } else { "" };
            let _ = writeln!(text, "{heading:<10}{}({})", member.name, member.address);
        }
        let _ = writeln!(text, "log       {} entries, Lamport clock {}", self.log.last, self.log.lamport);
        let _ = writeln!(text, "waiting   {} own lines", self.waiting);
        text
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn the_keys_are_stable() {
        let text = concat!(
            r#"{"room":"0000000000000abc","name":"ann","address":"127.0.0.1:5001","role":"follower","#,
            r#""epoch":{"round":3,"leader":"127.0.0.1:5003"},"leader":"127.0.0.1:5003","#,
            r#""next":"127.0.0.1:5003","prev":null,"members":[{"address":"127.0.0.1:5001","name":"ann"}],"#,
            r#""log":{"first":1,"last":120,"lamport":140},"waiting":0}"#
        );
        let report: StatusReport = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
        assert_eq!(
            report.for_people(),
            "ann(127.0.0.1:5001), follower\n\
             room      0000000000000abc\n\
             leader    127.0.0.1:5003 (epoch 3)\n\
             ring      none -> here -> 127.0.0.1:5003\n\
             members   ann(127.0.0.1:5001)\n\
             log       120 entries, Lamport clock 140\n\
             waiting   0 own lines\n"
        );
    }
}
