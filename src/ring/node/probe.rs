//! Nobody is forgotten: the lost are looked for.

use super::Node;
use super::phase::Phase;
use crate::ring::types::id::{ConnId, Uid};
use crate::ring::wire::frame::{Elected, Frame, NodeState, PollReply};

/// How many of the lost a follower asks in one [`Timing::probe_max`](crate::ring::Timing::probe_max).
const FOLLOWER_PROBES: usize = 3;

impl Node {
    /// With every heartbeat: a leader asks the lost, with backoff; a follower, now and then, some of them.
    pub(super) fn probe_lost_peers(&mut self) {
        let (now, timing) = (self.now.mono, self.settings.timing);
        match &self.phase {
            Phase::Leading(leading) if leading.retiring.is_none() => {
                let view = &self.log.state().view;
                let mut due = self.book.due(now, &timing, |uid| !view.contains(uid));
                // Members whose link was lost: a dial that is refused says that they are gone.
                due.extend(leading.absent.keys().copied());
                for uid in due {
                    self.send_to(uid, Frame::LeaderPoll);
                }
            }
            Phase::Following(following) if self.agenda.probe_is_due(now) => {
                let leader = following.leader;
                let relayed = self.links.carried_by(following.conn).is_some();
                self.agenda.probe_at(now + timing.probe_max);
                let view = &self.log.state().view;
                let lost: Vec<Uid> = self.book.present().filter(|&uid| !view.contains(uid)).collect();
                if !lost.is_empty() {
                    let first = (self.rng.next() % lost.len() as u64) as usize;
                    let some = lost.iter().cycle().skip(first).take(lost.len().min(FOLLOWER_PROBES));
                    for &uid in some {
                        self.send_to(uid, Frame::LeaderPoll);
                    }
                }
                if relayed {
                    // A straight link to the leader is better, once there is one again.
                    self.send_to(leader, Frame::LeaderPoll);
                }
            }
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Leading(_)
            | Phase::Stopped => {}
        }
    }

    /// Somebody whom I looked for has answered.
    pub(super) fn probe_answered(&mut self, conn: ConnId, from: Uid, answer: &PollReply) {
        match &self.phase {
            Phase::Leading(leading) => {
                let epoch = leading.epoch;
                match answer.state {
                    NodeState::Leading { epoch: theirs, .. } | NodeState::Following { epoch: theirs, .. } => {
                        if theirs.leader != self.identity.me {
                            self.propose_merge(conn, theirs);
                        }
                    }
                    NodeState::Electing | NodeState::Joining | NodeState::Bootstrapping => {
                        if self.is_roommate(conn) {
                            self.send(conn, Frame::Elected(Elected { epoch, ring: Vec::new(), hops: None }));
                        }
                    }
                }
            }
            Phase::Following(following) => {
                let (leader, over) = (following.leader, following.conn);
                let relayed = self.links.carried_by(over).is_some();
                match answer.state {
                    NodeState::Leading { epoch, .. } if epoch.leader == leader && from == leader => {
                        if relayed && self.links.carried_by(conn).is_none() {
                            self.close_quietly(over);
                            self.join_over(conn, leader, Some(epoch), Default::default());
                        }
                    }
                    NodeState::Leading { epoch, .. } | NodeState::Following { epoch, .. } => {
                        if epoch.leader != leader && epoch.leader != self.identity.me {
                            self.send(over, Frame::RivalLeader(epoch));
                        }
                    }
                    NodeState::Electing | NodeState::Joining | NodeState::Bootstrapping => {}
                }
            }
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Synchronizing(_)
            | Phase::Joining(_)
            | Phase::Stopped => {}
        }
    }
}
