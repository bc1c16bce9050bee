//! The protocol's times.

use crate::ring::types::time::Span;

/// The protocol's times. [`Default`] is what every node uses; tests may shorten them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// Interval between two heartbeats on one link.
    pub heartbeat: Span,
    /// A peer that has sent nothing for so long is dead. At least four heartbeats.
    pub silence: Span,
    /// The longest dial, and the longest greeting.
    pub connect: Span,
    /// The longest wait for answers to "whom do you follow?".
    pub poll: Span,
    /// The longest wait for a leader to answer a join.
    pub join: Span,
    /// Time from a leader's start until it logs `left` for members that have not joined it.
    pub join_grace: Span,
    /// The longest wait of a winner for entries of the peer with the best tail.
    pub fetch: Span,
    /// The longest wait of a leaving leader for its successor.
    pub handover: Span,
    /// The longest wait of a node that leaves.
    pub leave: Span,
    /// The first pause between two probes of a lost node; it doubles up to `probe_max`.
    pub probe_min: Span,
    /// The longest pause between two probes of a lost node.
    pub probe_max: Span,
    /// How long a node that was given contacts tries before it gives up.
    pub bootstrap: Span,
    /// How long a node that remembers a room asks its members before it reopens it alone.
    pub reopen: Span,
    /// Interval between two nodes that start to poll after a leader's loss, in the order of their rank.
    pub poll_stagger: Span,
    /// Added to an election's deadline. A node also waits so long when it knows a better placed node that polls.
    pub election_slack: Span,
    /// The longest election before it starts again.
    pub election_max: Span,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Span::ms(250),
            silence: Span::ms(1_500),
            connect: Span::ms(1_000),
            poll: Span::ms(300),
            join: Span::ms(3_000),
            join_grace: Span::ms(500),
            fetch: Span::ms(2_000),
            handover: Span::ms(1_000),
            leave: Span::ms(5_000),
            probe_min: Span::ms(250),
            probe_max: Span::ms(5_000),
            bootstrap: Span::ms(5_000),
            reopen: Span::ms(2_000),
            poll_stagger: Span::ms(5),
            election_slack: Span::ms(600),
            election_max: Span::ms(5_000),
        }
    }
}
