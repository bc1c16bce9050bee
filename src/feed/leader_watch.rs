//! Says when nobody leads, and when nobody else is here: silence alone would not tell.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::broadcaster::Broadcaster;
use crate::net::Command;
use crate::present::values::{self, EventKind, Update};
use crate::ring::{Role, Status};

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Looks in a row without a leader that are worth a word: an election is over sooner.
const LEADERLESS_LOOKS: u32 = 2;

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct LeaderSighting {
    /// Looks in a row without a leader.
    leaderless: u32,
    /// There were others at the last look.
    company: bool,
}

impl LeaderSighting {
    /// Takes another look; what is worth a word.
    fn look(&mut self, status: &Status) -> Option<&'static str> {
        let company = status.members.len() > 1;
        let had_company = std::mem::replace(&mut self.company, company);
        let leads = match status.role {
            Role::Leader | Role::Follower => true,
            Role::Electing => false,
            // It has not come that far.
            Role::Joining => return None,
        };
        let before = self.leaderless;
        self.leaderless = if leads { 0 } else { before.saturating_add(1) };
        match (self.leaderless == LEADERLESS_LOOKS, before >= LEADERLESS_LOOKS && leads) {
            (true, _) => Some("no leader right now; your messages are queued"),
            (_, true) => Some("the room has a leader again"),
            _ if had_company && !company => {
                Some("you are alone here now; members that join later will see your messages")
            }
            _ => None,
        }
    }
}

/// Tells frontends, until the node has ended.
pub async fn tell(node: mpsc::Sender<Command>, broadcaster: Broadcaster) {
    let mut seen = LeaderSighting::default();
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let (ask, answer) = oneshot::channel();
        if node.send(Command::Status(ask)).await.is_err() {
            return;
        }
        let Ok(status) = answer.await else { return };
        if let Some(text) = seen.look(&status) {
            let (ts, text) = (status.lamport.0, text.to_owned());
            let event =
                values::FeedEvent { ts, kind: EventKind::Other, text, notable: true, ..values::FeedEvent::default() };
            broadcaster.tell(Update::Event(event));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Index, Lamport, Member, Name, Tail};

    fn status(role: Role, members: u64) -> Status {
        let uid = "10.0.0.5:2428".parse().unwrap();
        let name = Name::parse("ann").unwrap();
        let member = |n| Member { uid, name: name.clone(), author: AuthorId::of_bits(n) };
        Status {
            room: None,
            name: name.clone(),
            author: AuthorId::of_bits(1),
            uid,
            role,
            epoch: None,
            next: None,
            prev: None,
            members: (1..=members).map(member).collect(),
            health: Vec::new(),
            banned: Vec::new(),
            channels: Vec::new(),
            away: Vec::new(),
            tail: Tail::default(),
            lamport: Lamport(0),
            waiting: 0,
            stable_index: Index(0),
            relay: None,
        }
    }

    #[test]
    fn what_lasts_is_told_once() {
        let mut seen = LeaderSighting::default();
        let told: Vec<bool> = [
            (Role::Joining, 1),
            (Role::Follower, 3),
            (Role::Electing, 3),
            (Role::Leader, 2),
            (Role::Electing, 2),
            (Role::Electing, 2),
            (Role::Electing, 2),
            (Role::Leader, 2),
            (Role::Leader, 1),
            (Role::Leader, 1),
        ]
        .into_iter()
        .map(|(role, members)| seen.look(&status(role, members)).is_some())
        .collect();
        assert_eq!(told, [false, false, false, false, false, true, false, true, true, false]);
    }
}
