//! The room's keys as they change: those that were drawn or given wait until the log says that one holds.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::mpsc;

use super::transport::keyring::Keyring;
use super::transport::limits::{KEYS_OFFERED_MAX, REKEY_GRACE};
use crate::key::{self, Given, RoomKey};
use crate::ring::{Digest, Secret};

/// The keys that a driver handles.
#[derive(Debug)]
pub(super) struct RoomKeys {
    ring: Keyring,
    /// Those that were drawn here or came from members, the newest last.
    offered: VecDeque<RoomKey>,
    /// Whoever keeps it hears of a new one here.
    changed: mpsc::Sender<RoomKey>,
}

impl RoomKeys {
    pub(super) fn new(ring: Keyring, changed: mpsc::Sender<RoomKey>) -> Self {
        Self { ring, offered: VecDeque::new(), changed }
    }

    /// This may become the room's key.
    pub(super) fn offer(&mut self, key: RoomKey) {
        self.offered.retain(|known| *known != key);
        if self.offered.len() >= KEYS_OFFERED_MAX {
            self.offered.pop_front();
        }
        self.offered.push_back(key);
    }

    /// What somebody has sent may become the room's key, if it is one.
    pub(super) fn offer_sent(&mut self, secret: &Secret) {
        match key::read(secret.reveal()) {
            Ok(Given::Key(key)) => self.offer(key),
            Ok(Given::Passphrase(_)) | Err(_) => {}
        }
    }

    /// The log says that the key with this hash holds. If it is here it is the room's from now on; who is a member and has
    /// not got it yet is let in with the one before, for a while.
    pub(super) fn take(&mut self, wanted: Digest) -> bool {
        let Some(at) = self.offered.iter().position(|key| key.digest() == wanted) else { return false };
        let Some(key) = self.offered.remove(at).filter(|_| self.ring.keys().current.is_some()) else { return false };
        self.ring.replace(key.clone(), Instant::now() + REKEY_GRACE);
        // Who keeps it takes one at a time; a newer one follows soon enough where several come at once.
        let _ = self.changed.try_send(key);
        true
    }

    /// The room's key, to be sent.
    pub(super) fn present(&self) -> Option<Secret> {
        Secret::new(&self.ring.keys().current?.kept())
    }

    /// The newest that may become it, to be sent.
    pub(super) fn newest(&self) -> Option<Secret> {
        Secret::new(&self.offered.back()?.kept())
    }
}
