//! What a node says of itself.

use super::Node;
use super::phase::Phase;
use crate::ring::log::entry::Line;
use crate::ring::types::id::{Lamport, SessionKey};
use crate::ring::types::limits::{
    self, BOOK_NODES_MAX, CONNS_MAX, DIAL_FRAMES_MAX, DIALLED_MAX, MEMBERS_MAX, RECENT_BYTES_MAX, RECENT_ENTRIES_MAX,
    RELAYS_MAX, WAITING_JOINS_MAX,
};
use crate::ring::types::proof::AuthorId;
use crate::ring::{Channel, ChannelActivity, Role, Status};

impl Node {
    /// The node at this moment.
    pub fn status(&self) -> Status {
        let (role, epoch) = match &self.phase {
            Phase::Leading(leading) => (Role::Leader, Some(leading.epoch)),
            Phase::Following(following) => (Role::Follower, Some(following.epoch)),
            Phase::Synchronizing(_) | Phase::Electing(_) | Phase::LeaderPoll { .. } | Phase::PollBackoff { .. } => {
                (Role::Electing, None)
            }
            Phase::NotStarted | Phase::Bootstrapping(_) | Phase::Joining(_) | Phase::Stopped => (Role::Joining, None),
        };
        let social = &self.log.state().social;
        let channel = |(channel, talk): (Option<&Channel>, &ChannelActivity)| {
            (channel.cloned(), talk.lines, talk.topic.as_ref().map(|topic| topic.text.clone()))
        };
        Status {
            room: self.room,
            name: self.identity.name.clone(),
            author: self.identity.session.author,
            uid: self.identity.me,
            role,
            epoch,
            next: self.next(),
            prev: self.prev(),
            members: self.log.state().view.members().cloned().collect(),
            health: self.health(),
            banned: self.log.state().rules.all_banned().map(|(author, ban)| (author, ban.name.clone())).collect(),
            channels: social.channels().map(channel).collect(),
            away: social.away().map(|(author, why)| (author, why.clone())).collect(),
            tail: self.log.tail(),
            lamport: self.clocks.lamport(),
            waiting: self.waiting(),
            stable_index: self.stable_index,
            relay: self.following().and_then(|following| self.links.carrier(following.conn)),
        }
    }

    /// Whether somebody of this author is a member.
    pub fn is_member(&self, author: AuthorId) -> bool {
        self.log.state().view.has(author)
    }

    /// How many lines its owner has said in this run.
    pub fn said(&self) -> u64 {
        self.outbox.last()
    }

    /// The node's clock.
    pub fn lamport(&self) -> Lamport {
        self.clocks.lamport()
    }

    /// Every bounded collection with its name, its size now and its limit: for the check of bounded memory.
    pub fn sizes(&self) -> Vec<(&'static str, usize, usize)> {
        let (followers, offers, joins, flight) = match &self.phase {
            Phase::Leading(leading) => {
                let flight = leading.followers.values().map(|follower| follower.flight_bytes).max().unwrap_or(0);
                (leading.followers.len(), leading.offers.len(), 0, flight)
            }
            Phase::Synchronizing(synchronizing) => (0, 0, synchronizing.joins.len(), 0),
            Phase::NotStarted
            | Phase::Bootstrapping(_)
            | Phase::PollBackoff { .. }
            | Phase::LeaderPoll { .. }
            | Phase::Electing(_)
            | Phase::Joining(_)
            | Phase::Following(_)
            | Phase::Stopped => (0, 0, 0, 0),
        };
        let search = self.search();
        let mut sizes = vec![
            ("members", self.log.state().view.len(), MEMBERS_MAX),
            ("nodes heard", search.map_or(0, |search| search.heard.len()), BOOK_NODES_MAX),
            ("nodes gone", search.map_or(0, |search| search.gone.len()), 2 * BOOK_NODES_MAX),
            ("answers", search.map_or(0, |search| search.answers.len()), BOOK_NODES_MAX),
            ("book nodes", self.book.len(), BOOK_NODES_MAX),
            ("connections", self.links.len(), CONNS_MAX),
            ("authors counted", self.admission.buckets(), limits::BUCKETS_MAX),
            ("blocked peers", self.blocklist.len(), limits::BLOCKED_PEERS_MAX),
            ("channels", self.log.state().social.count(), limits::CHANNELS_MAX),
            ("who is away", self.log.state().social.away().len(), MEMBERS_MAX),
            ("bans", self.log.state().rules.bans(), limits::BANS_MAX),
            ("lost members", self.log.state().view.all_lost().len(), BOOK_NODES_MAX),
            ("dialled connections", self.links.outward(), DIALLED_MAX),
            ("relayed connections", self.links.relays(), RELAYS_MAX),
            ("frames that wait for a dial", self.links.longest_queue(), DIAL_FRAMES_MAX),
            ("recent entries", self.log.recent_len(), RECENT_ENTRIES_MAX),
            ("recent bytes", self.log.recent_bytes(), RECENT_BYTES_MAX + limits::TEXT_BYTES_MAX + Line::OVERHEAD),
            ("followers", followers, BOOK_NODES_MAX),
            ("offers that wait", offers, BOOK_NODES_MAX),
            ("joins that wait", joins, WAITING_JOINS_MAX),
            (
                "bytes on the way to a follower",
                flight,
                limits::WINDOW_BYTES_MAX + limits::BATCH_BYTES_MAX + limits::TEXT_BYTES_MAX + Line::OVERHEAD,
            ),
            ("messages for one reader on their way", self.pms.sent(), limits::PMS_SENT_MAX),
            ("messages for one reader read", self.pms.read(), limits::PMS_READ_MAX),
            ("members told of by the leader", self.health_queries.told(), BOOK_NODES_MAX),
            ("members lost lately", self.failover.members_lost(), BOOK_NODES_MAX),
        ];
        sizes.extend(self.clocks.sizes());
        sizes.extend(self.outbox.sizes());
        sizes.extend(self.requests.sizes());
        sizes
    }

    /// My lines that are not in my log.
    pub(super) fn waiting(&self) -> u64 {
        let mine = self.pending.iter().filter(|(key, _)| key.author == self.identity.session.author);
        let pending: u64 = mine.map(|(&key, &last)| last.saturating_sub(self.log.state().watermark(key))).sum();
        pending + self.outbox.len() as u64
    }

    /// Lines on their way back into the log.
    pub(super) fn pending_lines(&self) -> u64 {
        let waiting = |(&key, &last): (&SessionKey, &u64)| last.saturating_sub(self.log.state().watermark(key));
        self.pending.iter().map(waiting).sum()
    }
}
