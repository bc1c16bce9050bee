//! The peers that have not said hello yet, and which of them is dropped when there are too many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

use super::limits::{UNGREETED_MAX, UNGREETED_PER_IP_MAX};

/// A peer that has not said hello.
#[derive(Debug)]
pub(in crate::net) struct PendingPeer {
    pub(in crate::net) peer: SocketAddr,
    pub(in crate::net) greeting: AbortHandle,
    /// Set once the peer has shown that it knows the room's key (or has replayed a peer that does).
    pub(in crate::net) knows_key: Arc<AtomicBool>,
}

/// All peers that have not said hello, by their arrival number.
#[derive(Debug, Default)]
pub(in crate::net) struct PendingPeers {
    all: BTreeMap<u64, PendingPeer>,
    unknown: Ages,
    /// The peers that turned out to know the key when the listener had to drop one.
    known: Ages,
}

/// Arrival numbers, the oldest first: all, and by IP address.
#[derive(Debug, Default)]
struct Ages {
    all: BTreeSet<u64>,
    by_ip: BTreeMap<IpAddr, BTreeSet<u64>>,
}

impl PendingPeers {
    /// How many there are.
    pub(in crate::net) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds a peer.
    pub(in crate::net) fn insert(&mut self, who: u64, pending_peer: PendingPeer) {
        self.unknown.insert(who, address(&pending_peer));
        self.all.insert(who, pending_peer);
    }

    /// Removes a peer.
    pub(in crate::net) fn remove(&mut self, who: u64) -> Option<PendingPeer> {
        let pending_peer = self.all.remove(&who)?;
        let ip = address(&pending_peer);
        self.unknown.remove(who, ip);
        self.known.remove(who, ip);
        Some(pending_peer)
    }

    /// Called before a peer from this address is added. Returns the peer to drop, if there are too many from this
    /// address or in total.
    ///
    /// Drops the oldest. A peer that knows the key is dropped only if such peers hold more than half of the places. So
    /// a flood cannot push out members on their way in, even from the same address. And a flood of replayed members
    /// leaves room for newcomers to show the key.
    pub(in crate::net) fn make_room(&mut self, ip: IpAddr) -> Option<PendingPeer> {
        let ip = ip.to_canonical();
        let too_many_alike = self.unknown.count(Some(ip)) + self.known.count(Some(ip)) >= UNGREETED_PER_IP_MAX;
        if !too_many_alike && self.all.len() < UNGREETED_MAX {
            return None;
        }
        let (of, places) = match too_many_alike {
            true => (Some(ip), UNGREETED_PER_IP_MAX),
            false => (None, UNGREETED_MAX),
        };
        while self.known.count(of) <= places / 2
            && let Some(oldest) = self.unknown.oldest(of)
        {
            match self.all.get(&oldest) {
                Some(pending_peer) if pending_peer.knows_key.load(Ordering::Relaxed) => {
                    let ip = address(pending_peer);
                    self.unknown.remove(oldest, ip);
                    self.known.insert(oldest, ip);
                }
                Some(_) | None => return self.remove(oldest),
            }
        }
        self.known.oldest(of).and_then(|oldest| self.remove(oldest))
    }
}

fn address(pending_peer: &PendingPeer) -> IpAddr {
    pending_peer.peer.ip().to_canonical()
}

impl Ages {
    fn insert(&mut self, who: u64, ip: IpAddr) {
        self.all.insert(who);
        self.by_ip.entry(ip).or_default().insert(who);
    }

    fn remove(&mut self, who: u64, ip: IpAddr) {
        self.all.remove(&who);
        if let Some(alike) = self.by_ip.get_mut(&ip) {
            alike.remove(&who);
            if alike.is_empty() {
                self.by_ip.remove(&ip);
            }
        }
    }

    fn count(&self, of: Option<IpAddr>) -> usize {
        match of {
            Some(ip) => self.by_ip.get(&ip).map_or(0, BTreeSet::len),
            None => self.all.len(),
        }
    }

    fn oldest(&self, of: Option<IpAddr>) -> Option<u64> {
        match of {
            Some(ip) => self.by_ip.get(&ip)?.first().copied(),
            None => self.all.first().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn pending_peer(ip: [u8; 4], port: u16) -> PendingPeer {
        let greeting = tokio::spawn(std::future::pending::<()>()).abort_handle();
        PendingPeer { peer: SocketAddr::from((ip, port)), greeting, knows_key: Arc::default() }
    }

    #[tokio::test]
    async fn of_too_many_at_one_address_its_oldest_goes() {
        let (mut pending_peers, flood) = (PendingPeers::default(), [10, 0, 0, 1]);
        pending_peers.insert(0, pending_peer([10, 0, 0, 2], 7));
        for who in 1..=UNGREETED_PER_IP_MAX as u64 {
            assert!(pending_peers.make_room(flood.into()).is_none());
            pending_peers.insert(who, pending_peer(flood, who as u16));
        }
        assert!(pending_peers.make_room([10, 0, 0, 2].into()).is_none(), "other addresses have room");
        assert_eq!(pending_peers.make_room(flood.into()).unwrap().peer.port(), 1);
        assert_eq!(pending_peers.len(), UNGREETED_PER_IP_MAX);
        assert!(pending_peers.make_room(flood.into()).is_none());
    }

    #[tokio::test]
    async fn of_too_many_in_all_the_oldest_goes() {
        let mut pending_peers = PendingPeers::default();
        for who in 0..UNGREETED_MAX as u64 {
            pending_peers.insert(who, pending_peer([10, 0, 1, who as u8], who as u16));
        }
        assert_eq!(pending_peers.make_room([10, 9, 9, 9].into()).unwrap().peer.port(), 0);
        assert!(pending_peers.remove(1).is_some() && pending_peers.remove(1).is_none());
        assert_eq!((pending_peers.len(), pending_peers.unknown.all.len()), (UNGREETED_MAX - 2, UNGREETED_MAX - 2));
    }

    #[tokio::test]
    async fn who_knows_the_key_goes_last() {
        let (mut pending_peers, ip) = (PendingPeers::default(), [127, 0, 0, 1]);
        for who in 0..UNGREETED_PER_IP_MAX as u64 {
            pending_peers.insert(who, pending_peer(ip, who as u16));
        }
        for who in [0, 2] {
            pending_peers.all[&who].knows_key.store(true, Ordering::Relaxed);
        }
        let mut gone = Vec::new();
        for who in 1000..1000 + UNGREETED_PER_IP_MAX as u64 {
            gone.extend(pending_peers.make_room(ip.into()).map(|pending_peer| pending_peer.peer.port()));
            let newcomer = pending_peer(ip, who as u16);
            newcomer.knows_key.store(true, Ordering::Relaxed);
            pending_peers.insert(who, newcomer);
        }
        assert_eq!(gone[..3], [1, 3, 4]);
        assert_eq!(gone[gone.len() - 2..], [0, 2], "where all know it, the oldest goes");
        // They hold no more than half, so a new peer stays for a while.
        pending_peers.make_room(ip.into()).unwrap();
        pending_peers.insert(5000, pending_peer(ip, 5000));
        for who in 5001..5000 + UNGREETED_PER_IP_MAX as u64 / 2 {
            assert!(pending_peers.make_room(ip.into()).unwrap().peer.port() < 5000);
            pending_peers.insert(who, pending_peer(ip, who as u16));
        }
    }
}
