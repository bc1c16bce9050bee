#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use tokio::sync::watch;

use super::*;
use crate::feed::broadcaster::{Broadcaster, FEED_VALUES_MAX};
use crate::feed::node_handle::NodeHandleParts;
use crate::feed::own_lines::OwnLines;
use crate::present::builder::UpdateBuilder;
use crate::ring::{AuthorId, Body, Epoch, Line as Said, LineId, Name, Nonce, SessionId, Text, Uid};

fn uid() -> Uid {
    "10.0.0.5:2428".parse().unwrap()
}

/// The line `n` of a session at an index.
fn entry(index: u64, session: u64, n: u64) -> Arc<Entry> {
    entry_of(index, line(index, session, n))
}

fn line(index: u64, session: u64, n: u64) -> Said {
    let id = LineId { author: AuthorId::of_bits(1), session: SessionId(session), n };
    Said {
        id,
        lamport: Lamport(index),
        name: Name::parse("ann").unwrap(),
        uid: uid(),
        text: Text::parse("hello").unwrap(),
        channel: None,
        act: None,
        signature: None,
    }
}

fn entry_of(index: u64, line: Said) -> Arc<Entry> {
    let epoch = Epoch { round: 1, leader: uid(), nonce: Nonce(1) };
    Arc::new(Entry {
        epoch,
        index: Index(index),
        lamport: Lamport(10 * index),
        wall: WallMs(100 * index),
        body: Body::Line(Arc::new(line)),
    })
}

/// A node whose log is this, and that answers what it is asked of it until it ends.
struct Stage {
    node_handle: NodeHandle,
    log: Arc<Mutex<Vec<Arc<Entry>>>>,
    node: tokio::task::JoinHandle<()>,
}

impl Stage {
    fn new() -> Self {
        let (urgent, mut asked) = mpsc::channel(8);
        let log = Arc::<Mutex<Vec<Arc<Entry>>>>::default();
        let history = Arc::clone(&log);
        let node = tokio::spawn(async move {
            while let Some(command) = asked.recv().await {
                let log = history.lock().unwrap().clone();
                match command {
                    Command::Past { from, answer } => {
                        let page = log.into_iter().filter(|entry| entry.index >= from).take(7).collect();
                        let _ = answer.send(page);
                    }
                    Command::Status(answer) => {
                        let mut status = status();
                        status.tail.index = log.last().map_or(Index(0), |entry| entry.index);
                        let _ = answer.send(status);
                    }
                    other => panic!("{other:?}"),
                }
            }
        });
        let node_handle = NodeHandle::new(NodeHandleParts {
            commands: mpsc::channel(1).0,
            urgent,
            broadcaster: Broadcaster::new(None),
            lines: OwnLines::default(),
            place: watch::channel(None).1,
            wanted: Name::parse("ann").unwrap(),
            uid: uid(),
            past: None,
            log: None,
            update_builder: UpdateBuilder::new(SessionId(1)),
            leaving: Arc::new(AtomicBool::new(false)),
        });
        Self { node_handle, log, node }
    }

    /// Appends a line, and tells it.
    fn say(&self, session: u64, n: u64) {
        let mut log = self.log.lock().unwrap();
        let entry = entry(log.len() as u64 + 1, session, n);
        log.push(Arc::clone(&entry));
        self.node_handle.broadcaster.tell(self.node_handle.update_builder.line(&entry, false).unwrap());
    }

    /// Appends this line.
    fn put(&self, index: u64, line: Said) {
        self.log.lock().unwrap().push(entry_of(index, line));
    }

    fn begin(&self, wanted: &AttachOptions) -> Subscription {
        Subscription::begin(&self.node_handle, wanted).unwrap()
    }
}

fn status() -> crate::ring::Status {
    let config = crate::ring::Config {
        uid: uid(),
        name: Name::parse("ann").unwrap(),
        rename: false,
        author: AuthorId::of_bits(1),
        signer: Arc::new(crate::identity::Identity::fresh().unwrap()),
        session: SessionId(1),
        seed: 1,
        start: crate::ring::Start::Reopen,
        saved: crate::ring::SavedState::default(),
        key: None,
        rate: crate::ring::Rate::DEFAULT,
        moderators: Vec::new(),
        backlog: 0,
        timing: crate::ring::Timing::default(),
    };
    crate::ring::Node::new(config).status()
}

fn told(told: Option<Arc<Update>>) -> (u64, u64) {
    match &*told.unwrap() {
        Update::Line(line) => (line.session.0, line.n),
        Update::CaughtUp => (0, 0),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_found_no_room_is_read_again_in_order_and_once() {
    let stage = Stage::new();
    let mut follow = stage.begin(&AttachOptions::every_line());
    let total = FEED_VALUES_MAX as u64 + 100;
    (1..=total).for_each(|n| stage.say(7, n));
    for n in 1..=total {
        assert_eq!(told(follow.next().await), (7, n));
    }
    stage.say(8, 1);
    stage.say(7, total + 1);
    assert_eq!([told(follow.next().await), told(follow.next().await)], [(8, 1), (7, total + 1)]);
}

#[tokio::test]
async fn the_newest_lines_are_those_that_a_person_is_shown() {
    let stage = Stage::new();
    (1..=30).for_each(|n| stage.say(7, n));
    let (with, to) = (crate::ring::Emoji::like(), LineId { author: AuthorId::of_bits(1), session: SessionId(7), n: 3 });
    for n in 31..=530 {
        stage.put(n, Said { act: Some(Act::React { to, with: with.clone(), on: true }), ..line(n, 7, n) });
    }
    let person = AttachOptions { past: Some(StartPoint::Newest(20)), ..AttachOptions::default() };
    let first = async |wanted: AttachOptions| told(stage.begin(&wanted).next().await);
    assert_eq!(first(person.clone()).await, (7, 11));
    // A program is told each line of the log.
    assert_eq!(first(AttachOptions { told: DeliveryMode::EveryLine, ..person }).await, (7, 511));
}

#[tokio::test]
async fn a_cut_moves_what_is_read_again_and_repeats_nothing() {
    let stage = Stage::new();
    let mut follow = stage.begin(&AttachOptions::every_line());
    let full = FEED_VALUES_MAX as u64;
    (1..=full).for_each(|n| stage.say(7, n));
    // Found no room; then the log is cut far below, and another order stands there, in which they come first.
    stage.say(8, 1);
    stage.say(8, 2);
    let keep = full - 10;
    {
        let mut log = stage.log.lock().unwrap();
        log.truncate(keep as usize);
        let moved = [(9, 1), (8, 1), (8, 2)].into_iter().chain((keep + 1..=full).map(|n| (7, n)));
        for (session, n) in moved {
            let index = log.len() as u64 + 1;
            log.push(entry(index, session, n));
        }
    }
    stage.node_handle.broadcaster.cut(Index(keep));
    // Of the other part, and new here.
    stage.node_handle.broadcaster.tell(stage.node_handle.update_builder.line(&entry(keep + 1, 9, 1), false).unwrap());
    for n in 1..=full {
        assert_eq!(told(follow.next().await), (7, n));
    }
    let rest = [told(follow.next().await), told(follow.next().await), told(follow.next().await)];
    assert_eq!(rest, [(9, 1), (8, 1), (8, 2)]);
    stage.say(7, full + 1);
    assert_eq!(told(follow.next().await), (7, full + 1));
}

#[tokio::test]
async fn the_past_comes_first_and_not_again() {
    let stage = Stage::new();
    (1..=100).for_each(|n| stage.say(7, n));
    for (since, first) in [(StartPoint::Newest(3), 98), (StartPoint::Stamp(905), 91), (StartPoint::Wall(9_000), 90)] {
        let mut follow = stage.begin(&AttachOptions { past: Some(since), ..AttachOptions::every_line() });
        // It stood in the history before the frontend began, and is told only now.
        stage.node_handle.broadcaster.tell(stage.node_handle.update_builder.line(&entry(100, 7, 100), false).unwrap());
        stage.node_handle.broadcaster.tell(stage.node_handle.update_builder.line(&entry(50, 8, 1), false).unwrap());
        stage.node_handle.broadcaster.tell(stage.node_handle.update_builder.line(&entry(101, 7, 101), false).unwrap());
        for n in first..=100 {
            assert_eq!(told(follow.next().await), (7, n), "{since:?}");
        }
        assert_eq!([told(follow.next().await), told(follow.next().await)], [(0, 0), (7, 101)]);
    }
    let mut none = stage.begin(&AttachOptions { past: Some(StartPoint::Newest(0)), ..AttachOptions::every_line() });
    assert_eq!(told(none.next().await), (0, 0));
    let channel = Some("ops".to_owned());
    let mut none =
        stage.begin(&AttachOptions { past: Some(StartPoint::Newest(5)), channel, ..AttachOptions::every_line() });
    stage.say(7, 102);
    assert_eq!(told(none.next().await), (0, 0));
}

#[tokio::test]
async fn the_end_comes_last_and_what_is_lost_is_counted() {
    let stage = Stage::new();
    let mut follow = stage.begin(&AttachOptions::every_line());
    (1..=FEED_VALUES_MAX as u64 + 5).for_each(|n| stage.say(7, n));
    stage.node_handle.broadcaster.close("left");
    stage.node.abort();
    assert!(stage.node.await.unwrap_err().is_cancelled());
    for n in 1..=FEED_VALUES_MAX as u64 {
        assert_eq!(told(follow.next().await), (7, n));
    }
    assert_eq!(*follow.next().await.unwrap(), Update::LeftOut { lines: 5 });
    assert_eq!(*follow.next().await.unwrap(), Update::Bye { text: "left".to_owned() });
    assert_eq!(follow.next().await, None);
}
