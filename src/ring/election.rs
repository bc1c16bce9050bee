//! Chang and Roberts (1979), alone: a token comes in, a verdict goes out.
//!
//! The token also carries the best tail on its way round, so that the winner knows whose log to build on.

use crate::ring::types::id::{Tail, Uid};
use crate::ring::wire::frame::Token;

/// One round of the election, as one node sees it.
#[derive(Clone, Debug, Hash)]
pub struct ElectionRound {
    round: u64,
    /// The token that I sent last, with the best tail that I know of.
    out: Option<Token>,
}

/// What is to be done with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenOutcome {
    /// Send this one to the next.
    Forward(Token),
    /// It ends here.
    Swallow,
    /// It is mine, and no larger candidate has come past: I have won.
    Won(Token),
}

impl ElectionRound {
    /// A round in which nothing has happened.
    pub fn new(round: u64) -> Self {
        Self { round, out: None }
    }

    /// Which round.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The token that is out.
    pub fn out(&self) -> Option<&Token> {
        self.out.as_ref()
    }

    /// I start: my own token.
    pub fn start(&mut self, me: Uid, tail: Tail, level: bool, ring: Vec<Uid>) -> Token {
        let token = Token { round: self.round, candidate: me, tail, holder: me, level, hops: 0, ring };
        self.out = Some(token.clone());
        token
    }

    /// A token of this round has come.
    pub fn take(&mut self, me: Uid, tail: Tail, level: bool, mut token: Token) -> TokenOutcome {
        assert_eq!(token.round, self.round, "a token is taken in its round");
        token.level |= level;
        if tail > token.tail {
            (token.tail, token.holder) = (tail, me);
        }
        let Some(out) = &mut self.out else {
            // Neither started nor forwarded: a smaller candidate becomes me.
            token.candidate = token.candidate.max(me);
            if token.candidate == me && token.holder != me && tail == token.tail {
                token.holder = me;
            }
            self.out = Some(token.clone());
            return TokenOutcome::Forward(token);
        };
        let better_tail = token.tail > out.tail;
        out.level |= token.level;
        token.level = out.level;
        if token.candidate == me && out.candidate == me {
            if !better_tail {
                (token.tail, token.holder) = (out.tail, out.holder);
            }
            return TokenOutcome::Won(token);
        }
        if token.candidate > out.candidate {
            if !better_tail {
                (token.tail, token.holder) = (out.tail, out.holder);
            }
            *out = token.clone();
            return TokenOutcome::Forward(token);
        }
        // Who has forwarded a larger candidate forwards nothing smaller; but what the smaller one has found out about
        // the best tail is not lost.
        if better_tail {
            (out.tail, out.holder, out.hops) = (token.tail, token.holder, token.hops);
            return TokenOutcome::Forward(out.clone());
        }
        TokenOutcome::Swallow
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::types::id::{Epoch, Index, Nonce};

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
            level: false,
            hops: 1,
            ring: vec![uid(candidate)],
        }
    }

    #[test]
    fn a_larger_candidate_passes_and_its_tail_is_improved() {
        let mut race = ElectionRound::new(2);
        let TokenOutcome::Forward(passed) = race.take(uid(1), tail(7), false, token(3, 5)) else { panic!("it passes") };
        assert_eq!((passed.candidate, passed.tail, passed.holder), (uid(3), tail(7), uid(1)));
    }

    #[test]
    fn a_smaller_candidate_becomes_me_unless_i_have_started() {
        let mut race = ElectionRound::new(2);
        let TokenOutcome::Forward(passed) = race.take(uid(4), tail(5), false, token(3, 5)) else { panic!("it passes") };
        assert_eq!((passed.candidate, passed.holder), (uid(4), uid(4)));
        assert_eq!(race.take(uid(4), tail(5), false, token(2, 5)), TokenOutcome::Swallow);
    }

    #[test]
    fn my_own_token_wins_with_the_best_tail_known() {
        let mut race = ElectionRound::new(2);
        race.start(uid(4), tail(5), false, vec![]);
        let TokenOutcome::Forward(again) = race.take(uid(4), tail(5), false, token(2, 9)) else {
            panic!("the better tail goes round")
        };
        assert_eq!((again.candidate, again.tail, again.holder), (uid(4), tail(9), uid(2)));
        let TokenOutcome::Won(won) = race.take(uid(4), tail(5), false, token(4, 5)) else { panic!("it wins") };
        assert_eq!((won.tail, won.holder), (tail(9), uid(2)));
    }

    #[test]
    fn who_forwarded_a_larger_candidate_does_not_win_that_round() {
        let mut race = ElectionRound::new(2);
        race.start(uid(4), tail(5), false, vec![]);
        assert!(matches!(race.take(uid(4), tail(5), false, token(6, 5)), TokenOutcome::Forward(_)));
        assert_eq!(race.take(uid(4), tail(5), false, token(4, 5)), TokenOutcome::Swallow);
    }

    #[test]
    fn whoever_was_level_is_told_of_on_the_way() {
        let mut race = ElectionRound::new(2);
        let level = |verdict: TokenOutcome| match verdict {
            TokenOutcome::Forward(token) | TokenOutcome::Won(token) => token.level,
            TokenOutcome::Swallow => panic!("it goes on"),
        };
        assert!(!level(race.take(uid(1), tail(5), false, token(3, 5))), "neither is");
        assert!(level(race.take(uid(1), tail(5), true, token(4, 5))), "I am");
        assert!(level(race.take(uid(1), tail(5), false, token(5, 5))), "somebody was");
        let mut race = ElectionRound::new(2);
        race.start(uid(4), tail(5), false, vec![]);
        assert_eq!(race.take(uid(4), tail(5), false, Token { level: true, ..token(3, 5) }), TokenOutcome::Swallow);
        assert!(level(race.take(uid(4), tail(5), false, token(4, 5))), "a smaller one has met somebody");
    }

    #[test]
    fn the_same_token_twice_goes_round_once() {
        let mut race = ElectionRound::new(2);
        assert!(matches!(race.take(uid(1), tail(5), false, token(6, 5)), TokenOutcome::Forward(_)));
        assert_eq!(race.take(uid(1), tail(5), false, token(6, 5)), TokenOutcome::Swallow);
    }
}
