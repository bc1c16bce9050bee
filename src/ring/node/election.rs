//! The election: one node's part in it, without the node around it.
//!
//! [`ElectionRound`] is Chang and Roberts (1979): a token comes in, an outcome goes out. The token also carries the
//! best tail on its way round the ring, so the winner knows whose log to build on. [`Election`] adds what the paper
//! takes for granted: which node is next in the ring, whether the token has arrived there, and when the election has
//! failed.
//!
//! `poll.rs` is what comes before an election. `candidate.rs` is what the node does with the outcomes.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::ring::links::CloseReason;
use crate::ring::timing::Timing;
use crate::ring::types::id::{Epoch, Tail, Uid};
use crate::ring::types::limits::BOOK_NODES_MAX;
use crate::ring::types::time::{Span, Time};
use crate::ring::wire::frame::Token;

/// What a hop is thought to take before any round trip was measured.
const HOP_UNMEASURED: Span = Span::ms(5);

/// One round of the election, as one node sees it.
#[derive(Clone, Debug, Hash)]
pub(super) struct ElectionRound {
    number: u64,
    /// The token that this node sent last, with the best tail that it knows of.
    sent: Option<Token>,
}

/// What a node does with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenOutcome {
    /// Send this one to the next node.
    Forward(Token),
    /// It ends here.
    Swallow,
    /// The token is this node's own, and no larger candidate has come past: this node has won.
    Won(Token),
}

impl ElectionRound {
    /// A round in which nothing has happened.
    fn new(number: u64) -> Self {
        Self { number, sent: None }
    }

    /// Starts the round: this node's own token. `caught_up`: see [`ElectionCx::caught_up`].
    fn start(&mut self, me: Uid, tail: Tail, caught_up: bool, ring: Vec<Uid>) -> Token {
        let token = Token { round: self.number, candidate: me, tail, holder: me, caught_up, hops: 0, ring };
        self.sent = Some(token.clone());
        token
    }

    /// Takes a token of this round.
    fn receive(&mut self, me: Uid, tail: Tail, caught_up: bool, mut token: Token) -> TokenOutcome {
        assert_eq!(token.round, self.number, "a token is taken in its round");
        token.caught_up |= caught_up;
        if tail > token.tail {
            (token.tail, token.holder) = (tail, me);
        }
        let Some(sent) = &mut self.sent else {
            // Neither started nor forwarded: a smaller candidate becomes me.
            token.candidate = token.candidate.max(me);
            if token.candidate == me && token.holder != me && tail == token.tail {
                token.holder = me;
            }
            self.sent = Some(token.clone());
            return TokenOutcome::Forward(token);
        };
        let better_tail = token.tail > sent.tail;
        sent.caught_up |= token.caught_up;
        token.caught_up = sent.caught_up;
        if token.candidate == me && sent.candidate == me {
            if !better_tail {
                (token.tail, token.holder) = (sent.tail, sent.holder);
            }
            return TokenOutcome::Won(token);
        }
        if token.candidate > sent.candidate {
            if !better_tail {
                (token.tail, token.holder) = (sent.tail, sent.holder);
            }
            *sent = token.clone();
            return TokenOutcome::Forward(token);
        }
        // A node that has forwarded a larger candidate forwards no smaller one. But a better tail that the smaller
        // one has found is not lost: it goes on with the larger candidate.
        if better_tail {
            (sent.tail, sent.holder, sent.hops) = (token.tail, token.holder, token.hops);
            return TokenOutcome::Forward(sent.clone());
        }
        TokenOutcome::Swallow
    }
}

/// A node's part in an election.
#[derive(Clone, Debug, Hash)]
pub(super) struct Election {
    round: ElectionRound,
    /// The nodes that a token is to visit. At most [`BOOK_NODES_MAX`].
    ring: BTreeSet<Uid>,
    /// The node that got the last token.
    sent_to: Option<Uid>,
    /// That node must acknowledge the token until then; `None`: it has.
    ack_by: Option<Time>,
    /// The election has failed if it is not over by then.
    deadline: Time,
}

/// What an election needs to know of its node.
pub(super) struct ElectionCx<'a> {
    pub now: Time,
    pub me: Uid,
    /// Where this node's log ends.
    pub tail: Tail,
    /// This node has once had, in this run, all that its leader had then.
    pub caught_up: bool,
    /// How long a node may take to acknowledge a token.
    pub ack_within: Span,
    /// Nodes that no dial has reached: the token goes past them.
    pub gone: &'a mut BTreeSet<Uid>,
}

/// What happens to an election.
#[derive(Clone, Debug)]
pub(super) enum ElectionEvent {
    /// This node starts the round.
    Start,
    /// A token of this round has come.
    Token(Token),
    /// A node has acknowledged a token.
    Ack { from: Uid, round: u64, candidate: Uid },
    /// A node has swallowed a token: the highest round that it knows, and the leader that it follows.
    Swallowed { round: u64, known: u64, following: Option<Epoch> },
    /// The last connection to a node has ended.
    Disconnected { uid: Uid, how: CloseReason },
    /// A node cannot be reached.
    PeerGone(Uid),
    /// Time has passed.
    Tick,
}

/// What an election asks its node to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ElectionOutcome {
    /// Nothing, until something else happens.
    Wait,
    /// Send this token. If that is not possible, [`ElectionEvent::PeerGone`] says so.
    Send { to: Uid, token: Token },
    /// This node has won.
    Won(Win),
    /// Nobody is left to send a token to. That is no win: the node polls again.
    Exhausted,
    /// The election took too long: the node polls again.
    TimedOut,
    /// Somebody follows a leader, or knows a higher round: the node polls again.
    Superseded,
}

/// A won election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Win {
    pub round: u64,
    /// The other nodes that took part.
    pub ring: BTreeSet<Uid>,
    /// The best log, where it is another node's: its tail, and the node that holds it.
    pub best: Option<(Tail, Uid)>,
    /// One of the nodes that took part was caught up.
    pub caught_up: bool,
}

impl Election {
    /// An election in which no token has come or gone. `timeout`: see [`timeout`].
    pub(super) fn new(round: u64, ring: BTreeSet<Uid>, deadline: Time) -> Self {
        Self { round: ElectionRound::new(round), ring, sent_to: None, ack_by: None, deadline }
    }

    /// The number of its round.
    pub(super) fn round(&self) -> u64 {
        self.round.number
    }

    /// When the next [`ElectionEvent::Tick`] is due.
    pub(super) fn deadline(&self) -> Time {
        self.ack_by.map_or(self.deadline, |by| by.min(self.deadline))
    }

    /// A node has spoken, so it is there: a token visits it too.
    pub(super) fn heard(&mut self, uid: Uid) {
        if self.ring.len() < BOOK_NODES_MAX {
            self.ring.insert(uid);
        }
    }

    pub(super) fn handle(&mut self, cx: &mut ElectionCx<'_>, event: ElectionEvent) -> ElectionOutcome {
        match event {
            ElectionEvent::Start => {
                let ring = self.ring.iter().copied().collect();
                let token = self.round.start(cx.me, cx.tail, cx.caught_up, ring);
                self.pass(cx, token)
            }
            ElectionEvent::Token(token) => match self.round.receive(cx.me, cx.tail, cx.caught_up, token) {
                TokenOutcome::Forward(token) => self.pass(cx, token),
                TokenOutcome::Swallow => ElectionOutcome::Wait,
                TokenOutcome::Won(token) => self.won(cx, token),
            },
            ElectionEvent::Ack { from, round, candidate } => {
                let sent = self.round.sent.as_ref().map(|token| (token.round, token.candidate));
                if self.sent_to == Some(from) && sent == Some((round, candidate)) {
                    self.ack_by = None;
                }
                ElectionOutcome::Wait
            }
            ElectionEvent::Swallowed { round, known, following } => {
                let own = self.round.sent.as_ref().is_some_and(|token| token.candidate == cx.me);
                if own && self.round.number == round && (following.is_some() || known > round) {
                    ElectionOutcome::Superseded
                } else {
                    ElectionOutcome::Wait
                }
            }
            ElectionEvent::Disconnected { uid, .. } if self.sent_to != Some(uid) => ElectionOutcome::Wait,
            ElectionEvent::Disconnected {
                uid,
                how: CloseReason::Refused | CloseReason::Unreachable | CloseReason::Silent,
            } => self.peer_gone(cx, uid),
            // The token may have died with the connection, or an idle one closed under it: the same node again.
            ElectionEvent::Disconnected { how: CloseReason::Closed | CloseReason::Dropped, .. } => self.pass_again(cx),
            ElectionEvent::PeerGone(uid) => self.peer_gone(cx, uid),
            ElectionEvent::Tick if self.deadline <= cx.now => ElectionOutcome::TimedOut,
            ElectionEvent::Tick => match self.sent_to.filter(|_| self.ack_by.is_some_and(|by| by <= cx.now)) {
                Some(uid) => self.peer_gone(cx, uid),
                None => ElectionOutcome::Wait,
            },
        }
    }

    /// Sends a token to the first node after me in the ring that is not gone.
    fn pass(&mut self, cx: &mut ElectionCx<'_>, mut token: Token) -> ElectionOutcome {
        let room = BOOK_NODES_MAX.saturating_sub(self.ring.len());
        self.ring.extend(token.ring.iter().copied().take(room));
        self.ring.insert(cx.me);
        let after = self.ring.range((Bound::Excluded(cx.me), Bound::Unbounded));
        let mut order = after.chain(self.ring.range(..cx.me)).copied();
        let Some(to) = order.find(|uid| !cx.gone.contains(uid)) else { return ElectionOutcome::Exhausted };
        token.ring = self.ring.iter().copied().take(BOOK_NODES_MAX).collect();
        token.hops = token.hops.saturating_add(1);
        self.sent_to = Some(to);
        self.ack_by = Some(cx.now + cx.ack_within);
        ElectionOutcome::Send { to, token }
    }

    /// Sends the last token once more, to whoever is next now.
    fn pass_again(&mut self, cx: &mut ElectionCx<'_>) -> ElectionOutcome {
        match self.round.sent.clone() {
            Some(token) => self.pass(cx, token),
            None => ElectionOutcome::Wait,
        }
    }

    fn peer_gone(&mut self, cx: &mut ElectionCx<'_>, uid: Uid) -> ElectionOutcome {
        cx.gone.insert(uid);
        if self.sent_to == Some(uid) { self.pass_again(cx) } else { ElectionOutcome::Wait }
    }

    fn won(&mut self, cx: &ElectionCx<'_>, token: Token) -> ElectionOutcome {
        let mut ring = std::mem::take(&mut self.ring);
        ring.extend(token.ring);
        ring.remove(&cx.me);
        let best = (token.holder != cx.me).then_some((token.tail, token.holder));
        ElectionOutcome::Won(Win { round: token.round, ring, best, caught_up: token.caught_up })
    }
}

/// How long an election among so many nodes may take: twice round the ring, and slack.
pub(super) fn timeout(nodes: usize, round_trip: Span, timing: &Timing) -> Span {
    let hop = round_trip.max(HOP_UNMEASURED);
    let around = hop.times(2 * nodes as u64).0.saturating_add(timing.election_slack.0);
    Span(around).min(timing.election_max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::{Index, Nonce};

    fn uid(port: u16) -> Uid {
        Uid(([127, 0, 0, 1], port).into())
    }

    fn tail(index: u64) -> Tail {
        Tail { epoch: Some(Epoch { round: 1, leader: uid(9), nonce: Nonce(1) }), index: Index(index) }
    }

    fn token(candidate: u16, index: u64) -> Token {
        Token {
            round: 2,
            candidate: uid(candidate),
            tail: tail(index),
            holder: uid(candidate),
            caught_up: false,
            hops: 1,
            ring: vec![uid(candidate)],
        }
    }

    #[test]
    fn a_larger_candidate_passes_and_its_tail_is_improved() {
        let mut round = ElectionRound::new(2);
        let TokenOutcome::Forward(passed) = round.receive(uid(1), tail(7), false, token(3, 5)) else {
            panic!("it passes")
        };
        assert_eq!((passed.candidate, passed.tail, passed.holder), (uid(3), tail(7), uid(1)));
    }

    #[test]
    fn a_smaller_candidate_becomes_this_node_unless_it_has_started() {
        let mut round = ElectionRound::new(2);
        let TokenOutcome::Forward(passed) = round.receive(uid(4), tail(5), false, token(3, 5)) else {
            panic!("it passes")
        };
        assert_eq!((passed.candidate, passed.holder), (uid(4), uid(4)));
        assert_eq!(round.receive(uid(4), tail(5), false, token(2, 5)), TokenOutcome::Swallow);
    }

    #[test]
    fn my_own_token_wins_with_the_best_tail_known() {
        let mut round = ElectionRound::new(2);
        round.start(uid(4), tail(5), false, vec![]);
        let TokenOutcome::Forward(again) = round.receive(uid(4), tail(5), false, token(2, 9)) else {
            panic!("the better tail goes round")
        };
        assert_eq!((again.candidate, again.tail, again.holder), (uid(4), tail(9), uid(2)));
        let TokenOutcome::Won(won) = round.receive(uid(4), tail(5), false, token(4, 5)) else { panic!("it wins") };
        assert_eq!((won.tail, won.holder), (tail(9), uid(2)));
    }

    #[test]
    fn a_node_that_forwarded_a_larger_candidate_does_not_win_that_round() {
        let mut round = ElectionRound::new(2);
        round.start(uid(4), tail(5), false, vec![]);
        assert!(matches!(round.receive(uid(4), tail(5), false, token(6, 5)), TokenOutcome::Forward(_)));
        assert_eq!(round.receive(uid(4), tail(5), false, token(4, 5)), TokenOutcome::Swallow);
    }

    #[test]
    fn a_token_tells_whether_a_node_on_its_way_is_caught_up() {
        let mut round = ElectionRound::new(2);
        let caught_up = |outcome: TokenOutcome| match outcome {
            TokenOutcome::Forward(token) | TokenOutcome::Won(token) => token.caught_up,
            TokenOutcome::Swallow => panic!("it goes on"),
        };
        assert!(!caught_up(round.receive(uid(1), tail(5), false, token(3, 5))), "no node is");
        assert!(caught_up(round.receive(uid(1), tail(5), true, token(4, 5))), "this node is");
        assert!(caught_up(round.receive(uid(1), tail(5), false, token(5, 5))), "the token says so");
        let mut round = ElectionRound::new(2);
        round.start(uid(4), tail(5), false, vec![]);
        assert_eq!(
            round.receive(uid(4), tail(5), false, Token { caught_up: true, ..token(3, 5) }),
            TokenOutcome::Swallow
        );
        assert!(
            caught_up(round.receive(uid(4), tail(5), false, token(4, 5))),
            "a token of a smaller candidate has met such a node"
        );
    }

    #[test]
    fn the_same_token_twice_goes_round_once() {
        let mut round = ElectionRound::new(2);
        assert!(matches!(round.receive(uid(1), tail(5), false, token(6, 5)), TokenOutcome::Forward(_)));
        assert_eq!(round.receive(uid(1), tail(5), false, token(6, 5)), TokenOutcome::Swallow);
    }

    // ---- the walk round the ring

    const NOW: Time = Time(1_000);
    const ACK: Span = Span(250);
    const END: Time = Time(9_000);

    /// Node 4 among 2, 4, 6 and 8, after these events: the outcome of the last, and who is gone.
    fn after(gone: &[u16], events: &[(Time, ElectionEvent)]) -> (Election, ElectionOutcome, BTreeSet<Uid>) {
        let mut election = Election::new(2, [2, 4, 6, 8].map(uid).into(), END);
        let mut gone: BTreeSet<Uid> = gone.iter().copied().map(uid).collect();
        let mut outcome = ElectionOutcome::Wait;
        for (now, event) in events {
            let gone = &mut gone;
            let mut cx = ElectionCx { now: *now, me: uid(4), tail: tail(5), caught_up: false, ack_within: ACK, gone };
            outcome = election.handle(&mut cx, event.clone());
        }
        (election, outcome, gone)
    }

    /// To whom a token goes; 0: to nobody.
    fn sent_to(outcome: &ElectionOutcome) -> u16 {
        match outcome {
            ElectionOutcome::Send { to, .. } => to.0.port(),
            ElectionOutcome::Wait
            | ElectionOutcome::Won(_)
            | ElectionOutcome::Exhausted
            | ElectionOutcome::TimedOut
            | ElectionOutcome::Superseded => 0,
        }
    }

    fn disconnected(port: u16, how: CloseReason) -> ElectionEvent {
        ElectionEvent::Disconnected { uid: uid(port), how }
    }

    /// What happens, who is gone, the events, and the node that the last of them sends a token to.
    type Walk<'a> = (&'a str, &'a [u16], &'a [(Time, ElectionEvent)], u16);

    #[test]
    fn a_token_goes_to_the_next_node_that_is_there() {
        use ElectionEvent::{PeerGone, Start, Tick};
        let late = NOW + ACK;
        let table: &[Walk<'_>] = &[
            ("the next", &[], &[(NOW, Start)], 6),
            ("past one that is gone", &[6], &[(NOW, Start)], 8),
            ("round the end of the ring", &[6, 8], &[(NOW, Start)], 2),
            ("the next cannot be reached", &[], &[(NOW, Start), (NOW, PeerGone(uid(6)))], 8),
            ("another cannot be reached", &[], &[(NOW, Start), (NOW, PeerGone(uid(8)))], 0),
            ("not acknowledged yet", &[], &[(NOW, Start), (NOW, Tick)], 0),
            ("not acknowledged in time", &[], &[(NOW, Start), (late, Tick)], 8),
            ("refused", &[], &[(NOW, Start), (NOW, disconnected(6, CloseReason::Refused))], 8),
            ("silent", &[], &[(NOW, Start), (NOW, disconnected(6, CloseReason::Silent))], 8),
            ("closed: once more", &[], &[(NOW, Start), (NOW, disconnected(6, CloseReason::Closed))], 6),
            (
                "closed, and gone",
                &[],
                &[(NOW, Start), (NOW, PeerGone(uid(6))), (NOW, disconnected(8, CloseReason::Closed))],
                8,
            ),
            ("another's connection", &[], &[(NOW, Start), (NOW, disconnected(2, CloseReason::Closed))], 0),
            ("a larger candidate", &[], &[(NOW, Start), (NOW, ElectionEvent::Token(token(8, 5)))], 6),
            ("a smaller candidate", &[], &[(NOW, Start), (NOW, ElectionEvent::Token(token(2, 5)))], 0),
        ];
        for (what, gone, events, to) in table {
            assert_eq!(sent_to(&after(gone, events).1), *to, "{what}");
        }
    }

    #[test]
    fn a_token_names_its_ring_and_counts_its_hops() {
        let coming = Token { hops: 3, ring: vec![uid(8), uid(9)], ..token(8, 5) };
        let (_, outcome, _) = after(&[], &[(NOW, ElectionEvent::Token(coming))]);
        let ElectionOutcome::Send { to, token } = outcome else { panic!("it goes on") };
        assert_eq!((to, token.hops, token.ring), (uid(6), 4, [2, 4, 6, 8, 9].map(uid).to_vec()));
    }

    #[test]
    fn a_node_that_does_not_take_the_token_counts_as_gone() {
        let (_, _, gone) = after(&[], &[(NOW, ElectionEvent::Start), (NOW + ACK, ElectionEvent::Tick)]);
        assert_eq!(gone, [uid(6)].into());
    }

    #[test]
    fn an_acknowledgement_ends_the_wait_for_one() {
        let ack = |from, round, candidate| ElectionEvent::Ack { from: uid(from), round, candidate: uid(candidate) };
        for (what, ack, deadline) in [
            ("the node that has the token", ack(6, 2, 4), END),
            ("another node", ack(8, 2, 4), NOW + ACK),
            ("another round", ack(6, 3, 4), NOW + ACK),
            ("another candidate", ack(6, 2, 8), NOW + ACK),
        ] {
            let (election, outcome, _) = after(&[], &[(NOW, ElectionEvent::Start), (NOW, ack)]);
            assert_eq!((outcome, election.deadline()), (ElectionOutcome::Wait, deadline), "{what}");
        }
    }

    #[test]
    fn an_election_that_does_not_end_fails() {
        let leader = Epoch { round: 1, leader: uid(9), nonce: Nonce(1) };
        let swallowed = |round, known, following| ElectionEvent::Swallowed { round, known, following };
        let mine = ElectionEvent::Start;
        let larger = ElectionEvent::Token(token(8, 5));
        for (what, gone, first, then, outcome) in [
            ("nobody is there", &[2, 6, 8][..], &mine, None, ElectionOutcome::Exhausted),
            ("the last is gone", &[2, 8], &mine, Some(ElectionEvent::PeerGone(uid(6))), ElectionOutcome::Exhausted),
            ("a leader is there", &[], &mine, Some(swallowed(2, 2, Some(leader))), ElectionOutcome::Superseded),
            ("a higher round", &[], &mine, Some(swallowed(2, 3, None)), ElectionOutcome::Superseded),
            ("a smaller candidate", &[], &mine, Some(swallowed(2, 2, None)), ElectionOutcome::Wait),
            ("an earlier round", &[], &mine, Some(swallowed(1, 3, None)), ElectionOutcome::Wait),
            ("another's token", &[], &larger, Some(swallowed(2, 3, None)), ElectionOutcome::Wait),
        ] {
            let events: Vec<_> = [Some(first.clone()), then].into_iter().flatten().map(|event| (NOW, event)).collect();
            assert_eq!(after(gone, &events).1, outcome, "{what}");
        }
        let (election, outcome, _) = after(&[], &[(NOW, mine), (END, ElectionEvent::Tick)]);
        assert_eq!((outcome, election.deadline()), (ElectionOutcome::TimedOut, NOW + ACK), "the whole took too long");
    }

    #[test]
    fn a_winner_knows_its_electors_and_the_best_log() {
        for (what, index, holder, best) in
            [("its own log", 5, 4, None), ("the log of another", 9, 2, Some((tail(9), uid(2))))]
        {
            let back = Token { holder: uid(holder), ring: vec![uid(8), uid(9)], caught_up: true, ..token(4, index) };
            let (_, outcome, _) = after(&[], &[(NOW, ElectionEvent::Start), (NOW, ElectionEvent::Token(back))]);
            let win = Win { round: 2, ring: [2, 6, 8, 9].map(uid).into(), best, caught_up: true };
            assert_eq!(outcome, ElectionOutcome::Won(win), "{what}");
        }
    }

    #[test]
    fn a_node_that_speaks_is_visited() {
        let (mut election, _, _) = after(&[], &[]);
        election.heard(uid(5));
        let gone = &mut BTreeSet::new();
        let mut cx = ElectionCx { now: NOW, me: uid(4), tail: tail(5), caught_up: false, ack_within: ACK, gone };
        assert_eq!(sent_to(&election.handle(&mut cx, ElectionEvent::Start)), 5);
    }

    #[test]
    fn an_election_may_take_two_rounds_and_slack() {
        let timing = Timing { election_slack: Span::ms(600), election_max: Span::ms(5_000), ..Timing::default() };
        for (nodes, round_trip, time) in [(5, 0, 650), (5, 20, 800), (0, 20, 600), (1_000, 20, 5_000)] {
            assert_eq!(timeout(nodes, Span::ms(round_trip), &timing), Span::ms(time), "{nodes} nodes, {round_trip} ms");
        }
    }
}
