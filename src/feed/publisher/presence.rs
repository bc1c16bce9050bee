//! Facts about the node itself that other tasks read: its room, its name, its own lines, its store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use super::RoomPlace;
use crate::feed::clock::FeedClock;
use crate::feed::own_lines::OwnLines;
use crate::present::format;
use crate::ring::{Entry, Lamport, Name, RoomId, SessionId, Uid};
use crate::store::StoreHealth;

/// What the node knows of itself, for the tasks that wait for it.
#[derive(Debug)]
pub struct Presence {
    /// The node's address.
    uid: Uid,
    /// The name that the user asked for.
    wanted: Name,
    /// The node's run. It tells the node's own lines from others.
    session: SessionId,
    /// Kept at the latest timestamp.
    clock: FeedClock,
    /// How far the node's own lines have come.
    lines: OwnLines,
    /// The node's name and room, once it is in.
    place: watch::Sender<RoomPlace>,
    /// The contact that answers a newcomer.
    reached: watch::Sender<Option<Uid>>,
    /// Set while the store fails.
    failing: Arc<AtomicBool>,
}

impl Presence {
    /// A node that is in no room yet.
    pub fn new(uid: Uid, wanted: Name, session: SessionId, clock: FeedClock, lines: OwnLines) -> Self {
        let (place, reached, failing) = (watch::Sender::new(None), watch::Sender::new(None), Arc::default());
        Self { uid, wanted, session, clock, lines, place, reached, failing }
    }

    /// Watches the node's name and room.
    pub(super) fn watch_place(&self) -> watch::Receiver<RoomPlace> {
        self.place.subscribe()
    }

    /// Watches which contact answers a newcomer.
    pub(super) fn watch_contact(&self) -> watch::Receiver<Option<Uid>> {
        self.reached.subscribe()
    }

    /// The flag that is set while the store fails.
    pub(super) fn failing(&self) -> Arc<AtomicBool> {
        self.failing.clone()
    }

    /// The latest timestamp.
    pub(super) fn now(&self) -> Lamport {
        self.clock.now()
    }

    pub(super) fn is_in_room(&self) -> bool {
        self.place.borrow().is_some()
    }

    /// The node's name in its room. Before it is in: the name that the user asked for.
    pub(super) fn name(&self) -> Name {
        self.place.borrow().as_ref().map_or_else(|| self.wanted.clone(), |(name, _)| name.clone())
    }

    /// Keeps the clock at this timestamp or above.
    pub(super) fn witness(&self, lamport: Lamport) {
        self.clock.witness(lamport);
    }

    /// Counts the entry, if it is a line of this run.
    pub(super) fn count_own(&self, entry: &Entry) {
        if let Some(line) = entry.line().filter(|line| line.id.session == self.session) {
            self.lines.witness(line.id.n, entry.lamport);
        }
    }

    /// Own lines up to this number are confirmed.
    pub(super) fn confirm(&self, n: u64) {
        self.lines.hold(n);
    }

    pub(super) fn contact_answered(&self, contact: Uid) {
        self.reached.send_replace(Some(contact));
    }

    pub(super) fn store_health(&self, health: &StoreHealth) {
        self.failing.store(*health != StoreHealth::Well, Ordering::Release);
    }

    /// A member has another name. If it is this node, its user has asked for that name.
    pub(super) fn renamed(&mut self, uid: Uid, name: &Name) {
        if uid == self.uid {
            self.wanted = name.clone();
        }
    }

    /// The welcome to this name and room. `None`: the node is there already.
    pub(super) fn welcome(&self, name: &Name, room: RoomId) -> Option<String> {
        let is_new = self.place.borrow().as_ref() != Some(&(name.clone(), room));
        is_new.then(|| format::welcome(name, &self.wanted, self.uid, room))
    }

    /// Reports the name and the room to the tasks that wait for them.
    pub(super) fn enter(&self, name: &Name, room: RoomId) {
        self.place.send_replace(Some((name.clone(), room)));
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::super::tests::entry;
    use super::*;

    fn name(name: &str) -> Name {
        Name::parse(name).unwrap()
    }

    /// The node of ann, in the run of this number.
    fn presence(session: u64) -> Presence {
        let uid = "10.0.0.5:2428".parse().unwrap();
        Presence::new(uid, name("ann"), SessionId(session), FeedClock::default(), OwnLines::default())
    }

    #[test]
    fn each_name_and_room_has_one_welcome() {
        let presence = presence(1);
        let steps = [
            ("ann", 7, true, "in room 0000000000000007"),
            ("ann", 7, false, ""),
            ("ann-2", 7, true, "since ann is taken"),
            ("ann-2", 8, true, "in room 0000000000000008"),
        ];
        for (called, room, is_new, says) in steps {
            let welcome = presence.welcome(&name(called), RoomId(room));
            assert_eq!(welcome.is_some(), is_new, "{called} {room}");
            assert!(welcome.unwrap_or_default().contains(says), "{called} {room}");
            presence.enter(&name(called), RoomId(room));
            assert_eq!((presence.name(), presence.is_in_room()), (name(called), true));
        }
    }

    #[test]
    fn only_the_node_itself_changes_the_name_it_wants() {
        for (uid, wanted) in [("10.0.0.5:2428", "anna"), ("10.0.0.6:2428", "ann")] {
            let mut presence = presence(1);
            presence.renamed(uid.parse().unwrap(), &name("anna"));
            assert_eq!(presence.name(), name(wanted), "{uid}");
        }
    }

    #[test]
    fn only_lines_of_this_run_are_counted() {
        for (session, counted) in [(9, 3), (8, 0)] {
            let presence = presence(session);
            presence.count_own(&entry(3, "hello"));
            assert_eq!(presence.lines.ordered(), counted, "{session}");
        }
    }
}
