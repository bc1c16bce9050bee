//! This node's identity towards peers, and the room keys that it accepts.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use super::noise::LocalKeys;
use crate::identity::Identity;
use crate::key::RoomKey;

/// A node's secrets.
#[derive(Debug)]
pub struct Secrets {
    /// The owner's lasting identity. [`Config::author`](crate::ring::Config::author) is its public half.
    pub identity: Identity,
    /// The room's key. `None`: links are not encrypted.
    pub key: Option<RoomKey>,
}

impl Secrets {
    /// For a room without a key.
    pub fn open(identity: Identity) -> Self {
        Self { identity, key: None }
    }

    /// For the room with this key.
    pub fn keyed(identity: Identity, key: RoomKey) -> Self {
        Self { identity, key: Some(key) }
    }
}

/// The keys of a running node. All clones share one ring. A change of keys does not touch open links.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<RwLock<Held>>);

#[derive(Debug)]
struct Held {
    current: Option<Arc<RoomKey>>,
    previous: Option<(Arc<RoomKey>, Instant)>,
}

/// The keys that are valid at one moment.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The room's key. `None`: the room is open.
    pub current: Option<Arc<RoomKey>>,
    /// The previous key, while the node still accepts it.
    pub previous: Option<Arc<RoomKey>>,
}

impl Keyring {
    /// A ring with this key. `None`: the room is open.
    pub fn new(key: Option<RoomKey>) -> Self {
        Self(Arc::new(RwLock::new(Held { current: key.map(Arc::new), previous: None })))
    }

    /// The keys that are valid now.
    pub fn keys(&self) -> Keys {
        let held = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let previous = held.previous.as_ref().filter(|(_, until)| Instant::now() < *until);
        Keys { current: held.current.clone(), previous: previous.map(|(key, _)| Arc::clone(key)) }
    }

    /// Makes this the room's key. The node accepts the previous key until that moment.
    pub fn replace(&self, key: RoomKey, until: Instant) {
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        held.previous = held.current.replace(Arc::new(key)).map(|before| (before, until));
    }
}

impl Keys {
    /// All keys in the order in which the node tries them. Empty: the room is open.
    pub(in crate::net) fn all(&self) -> impl Iterator<Item = &Arc<RoomKey>> {
        self.current.iter().chain(&self.previous)
    }
}

/// This end's part of a handshake.
#[derive(Clone, Debug)]
pub(in crate::net) struct HandshakeConfig {
    /// This node's identity.
    pub(in crate::net) own: Arc<LocalKeys>,
    /// The room keys that this node accepts.
    pub(in crate::net) keyring: Keyring,
}

impl HandshakeConfig {
    /// For a node of this identity, in a room with this key; `None`: an open room.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(in crate::net) fn new(identity: &Identity, key: Option<RoomKey>) -> anyhow::Result<Self> {
        Ok(Self { own: Arc::new(LocalKeys::new(identity)?), keyring: Keyring::new(key) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_that_was_replaced_counts_until_its_moment() {
        let ring = Keyring::new(Some(RoomKey::new([1; 32], None)));
        let psks = |ring: &Keyring| ring.keys().all().map(|key| key.psk()[0]).collect::<Vec<_>>();
        assert_eq!(psks(&ring), [1]);
        ring.replace(RoomKey::new([2; 32], None), Instant::now() + Duration::from_secs(3600));
        assert_eq!(psks(&ring.clone()), [2, 1]);
        ring.replace(RoomKey::new([3; 32], None), Instant::now());
        assert_eq!(psks(&ring), [3]);
        assert!(psks(&Keyring::new(None)).is_empty());
    }
}
