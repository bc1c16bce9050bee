//! The room's keys as they change. A key that was drawn or received waits until the log confirms it.

use std::collections::VecDeque;
use std::time::Instant;

use tokio::sync::mpsc;

use super::transport::keyring::Keyring;
use super::transport::limits::{KEYS_OFFERED_MAX, REKEY_GRACE};
use crate::key::{self, KeyInput, RoomKey};
use crate::ring::{Digest, Secret};

/// The driver's keys.
#[derive(Debug)]
pub(super) struct RoomKeys {
    ring: Keyring,
    /// Keys that were drawn here or came from members, the newest last.
    offered: VecDeque<RoomKey>,
    /// Hands each new key to the task that stores it.
    changed: mpsc::Sender<RoomKey>,
}

impl RoomKeys {
    pub(super) fn new(ring: Keyring, changed: mpsc::Sender<RoomKey>) -> Self {
        Self { ring, offered: VecDeque::new(), changed }
    }

    /// Adds a key that may become the room's key.
    pub(super) fn offer(&mut self, key: RoomKey) {
        self.offered.retain(|known| *known != key);
        if self.offered.len() >= KEYS_OFFERED_MAX {
            self.offered.pop_front();
        }
        self.offered.push_back(key);
    }

    /// Adds a key that a member has sent, if it is well-formed.
    pub(super) fn offer_sent(&mut self, secret: &Secret) {
        match key::read(secret.reveal()) {
            Ok(KeyInput::Key(key)) => self.offer(key),
            Ok(KeyInput::Passphrase(_)) | Err(_) => {}
        }
    }

    /// Makes the key with this hash the room's key, because the log says so. Returns whether this node has that key.
    /// For a while, the node still admits members that have only the previous key.
    pub(super) fn take(&mut self, wanted: Digest) -> bool {
        let Some(at) = self.offered.iter().position(|key| key.digest() == wanted) else { return false };
        let Some(key) = self.offered.remove(at).filter(|_| self.ring.keys().current.is_some()) else { return false };
        self.ring.replace(key.clone(), Instant::now() + REKEY_GRACE);
        // The storing task takes one key at a time. If several keys come at once, a newer one follows soon enough.
        let _ = self.changed.try_send(key);
        true
    }

    /// The room's present key, to be sent.
    pub(super) fn present(&self) -> Option<Secret> {
        Secret::new(&self.ring.keys().current?.kept())
    }

    /// The newest key that may become the room's, to be sent.
    pub(super) fn newest(&self) -> Option<Secret> {
        Secret::new(&self.offered.back()?.kept())
    }
}
