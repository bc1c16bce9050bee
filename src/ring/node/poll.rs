//! The poll before an election: "whom do you follow?" (raft's pre-vote), without the node around it.
//!
//! A node that has lost its leader, or comes back from its files, asks every node in its address book. [`LeaderPoll`]
//! takes the answers, lost connections and the deadline, and says what comes of them: a leader to follow, an election,
//! or a room that this node leads alone. [`backoff`] says how long a node waits before it polls.
//!
//! `leader_search.rs` is what the node does with the outcomes. `election.rs` is the election that may come next.

use std::collections::BTreeSet;

use super::phase::{LeaderSearch, LostLeader};
use crate::ring::links::CloseReason;
use crate::ring::log::view::View;
use crate::ring::timing::Timing;
use crate::ring::types::id::{Epoch, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::{NodeState, PollReply};

/// The jitter after a failed attempt; it doubles with each failure, [`JITTER_DOUBLINGS_MAX`] times at most.
const JITTER: Span = Span::ms(25);
/// See [`JITTER`].
const JITTER_DOUBLINGS_MAX: u32 = 5;

/// How long a node waits before it polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backoff {
    /// So long.
    For(Span),
    /// A random time below this one.
    Below(Span),
}

/// How long this node waits before it polls. After a loss the nodes wait in the order of their uids, the largest not at
/// all: a thousand members that ask each other are two million messages. After a failure the wait is random.
pub(super) fn backoff(search: &LeaderSearch, me: Uid, view: &View, timing: &Timing) -> Backoff {
    if search.failures > 0 {
        return Backoff::Below(JITTER.times(1 << search.failures.min(JITTER_DOUBLINGS_MAX)));
    }
    let lost_is_larger = search.lost.is_some_and(|lost| lost.uid > me && view.contains(lost.uid));
    let larger = view.larger_than(me).saturating_sub(usize::from(lost_is_larger));
    Backoff::For(timing.poll_stagger.times(larger as u64).min(timing.heartbeat))
}

/// A poll that is out.
#[derive(Clone, Debug, Hash)]
pub(super) struct LeaderPoll {
    /// The nodes that have not answered.
    open: BTreeSet<Uid>,
    /// The poll is over then, though nodes have not answered.
    deadline: Time,
    /// This node comes back from its files, and polls for the first time.
    reopened: bool,
}

/// What a poll needs to know of its node.
pub(super) struct PollCx<'a> {
    pub now: Time,
    pub me: Uid,
    /// A leader that was heard within twice this time is fresh.
    pub heartbeat: Span,
    /// What this node has found out so far; the answers go there.
    pub search: &'a mut LeaderSearch,
    /// Whether a direct connection to a node is up.
    pub is_up: &'a dyn Fn(Uid) -> bool,
}

/// What happens to a poll.
#[derive(Clone, Debug)]
pub(super) enum PollEvent {
    /// All nodes that can be asked are asked.
    Asked,
    /// A node has answered.
    Answer { from: Uid, answer: PollReply },
    /// A connection to a node has ended. `was_up`: it had been in use.
    Disconnected { uid: Uid, how: CloseReason, was_up: bool },
    /// A node cannot be asked again.
    PeerGone(Uid),
    /// The deadline has passed.
    Timeout,
}

/// What comes of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PollOutcome {
    /// Nothing yet.
    Wait,
    /// Ask this node again. If that is not possible, [`PollEvent::PeerGone`] says so.
    AskAgain(Uid),
    /// The node that has just answered leads: follow it.
    FollowSender(Epoch),
    /// Follow the leader of this epoch.
    Follow(Epoch),
    /// Follow the leader of this epoch through this member, which reaches it.
    FollowThrough(Uid, Epoch),
    /// Nobody follows a leader, but other nodes are there: elect one.
    Elect,
    /// Nobody is there.
    Alone,
}

impl LeaderPoll {
    /// A poll in which no node is asked yet.
    pub(super) fn new(deadline: Time, reopened: bool) -> Self {
        Self { open: BTreeSet::new(), deadline, reopened }
    }

    /// The question has gone out to this node.
    pub(super) fn asked(&mut self, uid: Uid) {
        self.open.insert(uid);
    }

    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }

    /// This node comes back from its files, and polls for the first time.
    pub(super) fn reopened(&self) -> bool {
        self.reopened
    }

    pub(super) fn handle(&mut self, cx: &mut PollCx<'_>, event: PollEvent) -> PollOutcome {
        match event {
            PollEvent::Asked => self.conclude_if_done(cx),
            PollEvent::Answer { from, answer } => self.answered(cx, from, answer),
            PollEvent::Disconnected { uid, .. } if !self.open.contains(&uid) => PollOutcome::Wait,
            PollEvent::Disconnected { uid, how, was_up } => {
                // An idle connection may have closed under the question.
                let again = match how {
                    CloseReason::Closed | CloseReason::Dropped => was_up && !cx.search.gone.contains(&uid),
                    CloseReason::Refused | CloseReason::Unreachable | CloseReason::Silent => (cx.is_up)(uid),
                };
                if again { PollOutcome::AskAgain(uid) } else { self.peer_gone(cx, uid) }
            }
            PollEvent::PeerGone(uid) => self.peer_gone(cx, uid),
            PollEvent::Timeout => self.conclude(cx),
        }
    }

    fn answered(&mut self, cx: &mut PollCx<'_>, from: Uid, answer: PollReply) -> PollOutcome {
        self.open.remove(&from);
        let state = answer.state;
        if cx.search.answers.len() < BOOK_NODES_MAX {
            cx.search.answers.insert(from, answer);
        }
        match state {
            NodeState::Leading { epoch, .. } if epoch.leader == from => PollOutcome::FollowSender(epoch),
            NodeState::Following { epoch, heard_ms, .. }
                if is_fresh(heard_ms, cx.heartbeat) && epoch.leader != cx.me && can_try(cx.search, epoch.leader) =>
            {
                PollOutcome::Follow(epoch)
            }
            NodeState::Leading { .. }
            | NodeState::Following { .. }
            | NodeState::Electing
            | NodeState::Joining
            | NodeState::Bootstrapping => self.conclude_if_done(cx),
        }
    }

    fn peer_gone(&mut self, cx: &PollCx<'_>, uid: Uid) -> PollOutcome {
        self.open.remove(&uid);
        self.conclude_if_done(cx)
    }

    /// Every node has answered. The poll does not wait for the lost leader.
    fn conclude_if_done(&self, cx: &PollCx<'_>) -> PollOutcome {
        let lost = cx.search.lost.map(|lost| lost.uid);
        if self.open.iter().all(|uid| Some(*uid) == lost) { self.conclude(cx) } else { PollOutcome::Wait }
    }

    /// No node follows a fresh leader that this node could join directly: through another, by an election, or alone.
    fn conclude(&self, cx: &PollCx<'_>) -> PollOutcome {
        if let Some((member, epoch)) = relay_offered(cx) {
            PollOutcome::FollowThrough(member, epoch)
        } else if cx.search.alive().is_empty() {
            PollOutcome::Alone
        } else {
            PollOutcome::Elect
        }
    }
}

/// This node has neither just lost this leader nor just failed to reach it.
fn can_try(search: &LeaderSearch, leader: Uid) -> bool {
    search.lost.is_none_or(|lost| lost.uid != leader) && !search.gone.contains(&leader)
}

fn is_fresh(heard_ms: u64, heartbeat: Span) -> bool {
    Span::ms(heard_ms.min(1 << 32)) <= heartbeat.times(2)
}

/// How long ago this leader was heard, by the freshest of the answers that are fresh.
pub(super) fn last_heard(search: &LeaderSearch, leader: Uid, heartbeat: Span) -> Option<Span> {
    let claims = search.answers.iter().filter_map(|(&from, answer)| match answer.state {
        NodeState::Leading { epoch, .. } if epoch.leader == leader && from == leader => Some(0),
        NodeState::Following { epoch, heard_ms, .. } if epoch.leader == leader && is_fresh(heard_ms, heartbeat) => {
            Some(heard_ms)
        }
        NodeState::Leading { .. }
        | NodeState::Following { .. }
        | NodeState::Electing
        | NodeState::Joining
        | NodeState::Bootstrapping => None,
    });
    claims.min().map(Span::ms)
}

/// The member with the lowest uid that follows, fresh, a leader which does not answer this node.
fn relay_offered(cx: &PollCx<'_>) -> Option<(Uid, Epoch)> {
    let is_news = |leader: Uid, heard_ms: u64| match cx.search.lost {
        Some(LostLeader { uid, at }) if uid == leader => Time(cx.now.0.saturating_sub(Span::ms(heard_ms).0)) > at,
        Some(_) | None => true,
    };
    cx.search.answers.iter().find_map(|(&member, answer)| match answer.state {
        NodeState::Following { epoch, heard_ms, relay: true }
            if is_fresh(heard_ms, cx.heartbeat)
                && is_news(epoch.leader, heard_ms)
                && epoch.leader != cx.me
                && (cx.is_up)(member) =>
        {
            Some((member, epoch))
        }
        NodeState::Leading { .. }
        | NodeState::Following { .. }
        | NodeState::Electing
        | NodeState::Joining
        | NodeState::Bootstrapping => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::log::entry::{Member, Note};
    use crate::ring::types::id::{Name, Nonce, Tail};
    use crate::ring::types::proof::AuthorId;

    const NOW: Time = Time(10_000_000);
    const HEARTBEAT: Span = Span::ms(250);

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    fn epoch(leader: u16) -> Epoch {
        Epoch { round: 3, leader: uid(leader), nonce: Nonce(1) }
    }

    fn answer(from: u16, state: NodeState) -> PollEvent {
        PollEvent::Answer { from: uid(from), answer: PollReply { state, tail: Tail::default(), round: 3 } }
    }

    /// `from` says that it follows `leader`, which it heard so long ago.
    fn follows(from: u16, leader: u16, heard_ms: u64) -> PollEvent {
        answer(from, NodeState::Following { epoch: epoch(leader), heard_ms, relay: false })
    }

    /// The same, and it offers to relay.
    fn relays(from: u16, leader: u16, heard_ms: u64) -> PollEvent {
        answer(from, NodeState::Following { epoch: epoch(leader), heard_ms, relay: true })
    }

    fn electing(from: u16) -> PollEvent {
        answer(from, NodeState::Electing)
    }

    /// Node 4 has lost leader 9, which it heard 3 s ago, and asks nodes 2, 6 and 9. 6 has spoken, 8 is gone;
    /// connections to 2 and 6 are up. What comes of the last event.
    fn after(events: &[PollEvent]) -> PollOutcome {
        let mut search = LeaderSearch::after(uid(9), Time(7_000_000));
        search.heard.insert(uid(6));
        search.gone.insert(uid(8));
        run(search, events)
    }

    fn run(mut search: LeaderSearch, events: &[PollEvent]) -> PollOutcome {
        let mut poll = LeaderPoll::new(NOW, false);
        [2, 6, 9].map(uid).into_iter().for_each(|uid| poll.asked(uid));
        let is_up = |of: Uid| [2, 6].map(uid).contains(&of);
        let mut outcome = PollOutcome::Wait;
        for event in events {
            let mut cx = PollCx { now: NOW, me: uid(4), heartbeat: HEARTBEAT, search: &mut search, is_up: &is_up };
            outcome = poll.handle(&mut cx, event.clone());
        }
        outcome
    }

    #[test]
    fn a_node_follows_a_leader_that_is_there() {
        let leads = |from, leader| answer(from, NodeState::Leading { epoch: epoch(leader), followers: 1 });
        for (what, event, outcome) in [
            ("a leader answers", leads(2, 2), PollOutcome::FollowSender(epoch(2))),
            ("a node speaks for another", leads(2, 6), PollOutcome::Wait),
            ("a follower of a fresh leader", follows(2, 7, 500), PollOutcome::Follow(epoch(7))),
            ("of one that it has not heard for long", follows(2, 7, 501), PollOutcome::Wait),
            ("of the leader that this node has lost", follows(2, 9, 0), PollOutcome::Wait),
            ("of one that no dial has reached", follows(2, 8, 0), PollOutcome::Wait),
            ("of this node", follows(2, 4, 0), PollOutcome::Wait),
        ] {
            assert_eq!(after(&[event]), outcome, "{what}");
        }
    }

    #[test]
    fn a_poll_is_over_when_all_but_the_lost_leader_have_answered() {
        let joining = |from| answer(from, NodeState::Joining);
        for (what, events, outcome) in [
            ("one has not answered", vec![PollEvent::Asked, electing(2)], PollOutcome::Wait),
            ("both have", vec![electing(2), joining(6)], PollOutcome::Elect),
            ("one has, one cannot be asked", vec![electing(2), PollEvent::PeerGone(uid(6))], PollOutcome::Elect),
            ("the time is over", vec![PollEvent::Timeout], PollOutcome::Elect),
        ] {
            assert_eq!(after(&events), outcome, "{what}");
        }
    }

    #[test]
    fn a_node_that_finds_nobody_is_alone() {
        let gone = |of: u16| PollEvent::PeerGone(uid(of));
        assert_eq!(run(LeaderSearch::default(), &[PollEvent::Asked]), PollOutcome::Wait);
        assert_eq!(run(LeaderSearch::default(), &[gone(2), gone(6)]), PollOutcome::Wait, "the third may answer");
        assert_eq!(run(LeaderSearch::default(), &[gone(2), gone(6), gone(9)]), PollOutcome::Alone);
        assert_eq!(run(LeaderSearch::default(), &[PollEvent::Timeout]), PollOutcome::Alone);
    }

    #[test]
    fn a_node_reaches_a_leader_through_a_member() {
        for (what, events, outcome) in [
            ("one is offered", vec![relays(2, 8, 0), electing(6)], PollOutcome::FollowThrough(uid(2), epoch(8))),
            (
                "two are: the lowest",
                vec![relays(6, 8, 0), relays(2, 8, 0)],
                PollOutcome::FollowThrough(uid(2), epoch(8)),
            ),
            ("not for a stale leader", vec![relays(2, 8, 501), electing(6)], PollOutcome::Elect),
            ("not through one whose link is down", vec![relays(7, 8, 0), PollEvent::Timeout], PollOutcome::Elect),
            (
                "heard since it was lost",
                vec![relays(2, 9, 500), electing(6)],
                PollOutcome::FollowThrough(uid(2), epoch(9)),
            ),
        ] {
            assert_eq!(after(&events), outcome, "{what}");
        }
        let mut search = LeaderSearch::after(uid(9), Time(9_900_000));
        search.heard.insert(uid(6));
        assert_eq!(run(search, &[relays(2, 9, 500), electing(6)]), PollOutcome::Elect, "not heard since it was lost");
    }

    #[test]
    fn a_question_that_a_closed_connection_lost_is_asked_again() {
        let ended = |of, how, was_up| PollEvent::Disconnected { uid: uid(of), how, was_up };
        for (what, events, outcome) in [
            ("closed", vec![ended(2, CloseReason::Closed, true)], PollOutcome::AskAgain(uid(2))),
            ("never up", vec![ended(2, CloseReason::Closed, false)], PollOutcome::Wait),
            ("silent, but another is up", vec![ended(6, CloseReason::Silent, true)], PollOutcome::AskAgain(uid(6))),
            ("refused, the lost leader apart", vec![ended(9, CloseReason::Refused, false)], PollOutcome::Wait),
            ("it was not asked", vec![ended(3, CloseReason::Closed, true)], PollOutcome::Wait),
            ("it has answered", vec![electing(2), ended(2, CloseReason::Closed, true)], PollOutcome::Wait),
            ("it was the last", vec![electing(2), ended(6, CloseReason::Dropped, false)], PollOutcome::Elect),
        ] {
            assert_eq!(after(&events), outcome, "{what}");
        }
    }

    #[test]
    fn a_leader_was_heard_when_the_freshest_answer_says() {
        let mut search = LeaderSearch::default();
        let mut heard = |event: PollEvent| {
            if let PollEvent::Answer { from, answer } = event {
                search.answers.insert(from, answer);
            }
            last_heard(&search, uid(7), HEARTBEAT)
        };
        assert_eq!(heard(follows(2, 8, 0)), None, "another leader");
        assert_eq!(heard(follows(3, 7, 501)), None, "long ago");
        assert_eq!(heard(follows(5, 7, 400)), Some(Span::ms(400)));
        assert_eq!(heard(follows(6, 7, 300)), Some(Span::ms(300)));
        assert_eq!(heard(answer(7, NodeState::Leading { epoch: epoch(7), followers: 0 })), Some(Span(0)), "itself");
    }

    #[test]
    fn the_largest_uid_polls_first_and_failures_make_the_wait_random() {
        let mut view = View::default();
        for port in [2, 4, 6, 9] {
            let name = Name::parse("nobody").unwrap_or_else(|_| unreachable!("it is a name"));
            view.apply(&Note::Joined(Member { uid: uid(port), name, author: AuthorId([port as u8; 32]) }));
        }
        let timing = Timing { poll_stagger: Span::ms(5), heartbeat: Span::ms(8), ..Timing::default() };
        let failed = |failures| LeaderSearch { failures, ..LeaderSearch::default() };
        for (what, search, me, wait) in [
            ("nobody is larger", LeaderSearch::default(), 9, Backoff::For(Span(0))),
            ("one is", LeaderSearch::default(), 6, Backoff::For(Span::ms(5))),
            ("one is, and it is lost", LeaderSearch::after(uid(9), NOW), 6, Backoff::For(Span(0))),
            ("a heartbeat at most", LeaderSearch::default(), 2, Backoff::For(Span::ms(8))),
            ("one failure", failed(1), 9, Backoff::Below(Span::ms(50))),
            ("many failures", failed(99), 9, Backoff::Below(Span::ms(800))),
        ] {
            assert_eq!(backoff(&search, uid(me), &view, &timing), wait, "{what}");
        }
    }
}
