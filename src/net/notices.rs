//! The notices for frontends.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::api::Notice;
use super::transport::limits::{NOTICE_CHARS_MAX, NOTICE_PAUSE, NOTICE_PEERS_MAX};
use crate::ring::{Event, Lamport, Member, Text};
use crate::store::StoreHealth;

/// The notices of one turn, until the driver delivers them.
#[derive(Debug)]
pub(super) struct Notices {
    queue: mpsc::Sender<Vec<Notice>>,
    batch: Vec<Notice>,
    /// The node's clock, and the clock that the frontends know.
    clock: Lamport,
    told: Lamport,
    /// The time of the last report about each IP address.
    reported: BTreeMap<(IpAddr, TroubleSource), Instant>,
}

/// The kind of peer that a report is about. Reports about strangers do not suppress reports about a link to the same
/// address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TroubleSource {
    Peer,
    Stranger,
}

impl Notices {
    pub(super) fn new(queue: mpsc::Sender<Vec<Notice>>) -> Self {
        Self { queue, batch: Vec::new(), clock: Lamport(0), told: Lamport(0), reported: BTreeMap::new() }
    }

    /// Adds an event of the room.
    pub(super) fn event(&mut self, event: Event) {
        if !matches!(event, Event::Line(_) | Event::LogOnly(_) | Event::Backlog { .. }) {
            self.tell_clock();
        }
        self.batch.push(Notice::Event(event));
    }

    /// Adds a private message to this node's owner.
    pub(super) fn pm(&mut self, from: Member, text: Text) {
        self.tell_clock();
        self.batch.push(Notice::PrivateMessage { from, text });
    }

    /// Sets the node's clock.
    pub(super) fn set_clock(&mut self, clock: Lamport) {
        self.clock = clock;
    }

    /// Adds a state of the store.
    pub(super) fn health(&mut self, health: StoreHealth) {
        self.tell_clock();
        self.batch.push(Notice::Health(health));
    }

    fn tell_clock(&mut self) {
        if self.told != self.clock {
            self.told = self.clock;
            self.batch.push(Notice::Clock(self.clock));
        }
    }

    /// Reports that a peer has lost its link, unless a report about the same address is younger than [`NOTICE_PAUSE`].
    pub(super) fn dropped(&mut self, now: Instant, peer: SocketAddr, why: &str) {
        self.report(now, TroubleSource::Peer, peer, why);
    }

    /// Reports that this node refused a stranger, or that a stranger refused this node. Limited like [`Self::dropped`].
    pub(super) fn turned_away(&mut self, now: Instant, pending_peer: SocketAddr, why: &str) {
        self.report(now, TroubleSource::Stranger, pending_peer, why);
    }

    fn report(&mut self, now: Instant, who: TroubleSource, peer: SocketAddr, why: &str) {
        let ip = (peer.ip().to_canonical(), who);
        if self.reported.len() >= NOTICE_PEERS_MAX {
            self.reported.retain(|_, &mut at| now - at < NOTICE_PAUSE);
        }
        let known = self.reported.get(&ip).copied();
        let quiet = known.map_or(self.reported.len() >= NOTICE_PEERS_MAX, |at| now - at < NOTICE_PAUSE);
        if !quiet {
            self.reported.insert(ip, now);
            self.tell_clock();
            self.batch.push(Notice::PeerDropped { peer: peer.to_string(), why: printable(why) });
        }
    }

    /// Delivers the turn's notices. Waits for a frontend that lags. Without a frontend the notices are lost.
    pub(super) async fn deliver(&mut self) {
        if !self.batch.is_empty() {
            let _ = self.queue.send(std::mem::take(&mut self.batch)).await;
        }
    }
}

/// Shortens foreign text and makes visible what could move a cursor or forge a line.
fn printable(text: &str) -> String {
    let mut shown: String = text.chars().flat_map(char::escape_debug).take(NOTICE_CHARS_MAX + 1).collect();
    if let Some((end, _)) = shown.char_indices().nth(NOTICE_CHARS_MAX) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn one_address_is_reported_once_in_a_while() {
        let (start, (queue, mut got)) = (Instant::now(), mpsc::channel(8));
        let mut notices = Notices::new(queue);
        for port in 1..=500 {
            notices.dropped(start, SocketAddr::from(([127, 0, 0, 1], port)), "talks \u{1b}[2J");
        }
        notices.dropped(start, SocketAddr::from(([127, 0, 0, 2], 1)), &"x".repeat(1000));
        notices.deliver().await;
        let batch = got.recv().await.unwrap();
        let expected = Notice::PeerDropped { peer: "127.0.0.1:1".into(), why: "talks \\u{1b}[2J".into() };
        assert_eq!((batch.len(), &batch[0]), (2, &expected));
        let Notice::PeerDropped { why, .. } = &batch[1] else { panic!("{batch:?}") };
        assert_eq!(why.chars().count(), NOTICE_CHARS_MAX + 1);

        notices.dropped(start + NOTICE_PAUSE, SocketAddr::from(([127, 0, 0, 1], 7)), "again");
        notices.deliver().await;
        assert_eq!(got.recv().await.unwrap().len(), 1);

        for at in [start, start, start + NOTICE_PAUSE] {
            notices.turned_away(at, SocketAddr::from(([127, 0, 0, 1], 8)), "a stranger hides no peer, and no peer it");
        }
        notices.deliver().await;
        assert_eq!(got.recv().await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn the_clock_goes_before_what_has_no_timestamp() {
        let (queue, mut got) = mpsc::channel(8);
        let mut notices = Notices::new(queue);
        for clock in [3, 3, 4] {
            notices.set_clock(Lamport(clock));
            notices.event(Event::Backlog { entries: Vec::new(), logged: true });
            notices.event(Event::StillElecting);
        }
        notices.deliver().await;
        let clocks = got.recv().await.unwrap().into_iter().map(|notice| match notice {
            Notice::Clock(at) => at.0,
            Notice::Event(Event::StillElecting) => 0,
            Notice::Event(_) | Notice::PrivateMessage { .. } | Notice::Health(_) | Notice::PeerDropped { .. } => 1,
        });
        assert_eq!(clocks.collect::<Vec<_>>(), [1, 3, 0, 1, 0, 1, 4, 0]);
    }

    #[tokio::test]
    async fn the_addresses_remembered_are_bounded() {
        let (queue, _got) = mpsc::channel(8);
        let mut notices = Notices::new(queue);
        for ip in 0..2 * NOTICE_PEERS_MAX as u32 {
            notices.dropped(Instant::now(), SocketAddr::from((ip.to_be_bytes(), 1)), "why");
        }
        assert_eq!((notices.reported.len(), notices.batch.len()), (NOTICE_PEERS_MAX, NOTICE_PEERS_MAX));
    }
}
