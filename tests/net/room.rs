//! Nodes in one process on loopback, and what each reports to its frontend.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use dist_chat::identity::Identity;
use dist_chat::key::RoomKey;
use dist_chat::net::{self, Command, Meter, Notice, Secrets};
use dist_chat::ring::{
    Config, Entry, Event, Name, PmError, PmId, PmOutcome, RoomHealth, RoomId, SessionId, Start, Status, Stop, Text,
    Timing, Uid,
};
use dist_chat::store::{MemoryStore, Store as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// The longest wait for anything in these tests.
const LONG: Duration = Duration::from_secs(30);

/// The reports of one node to its frontend.
#[derive(Debug, Default)]
pub struct Seen {
    /// The timestamp and the text of every line, in the order in which the node showed them.
    pub lines: Vec<(u64, String)>,
    /// Whether the node is in the room.
    pub entered: bool,
    /// The peers that lost their link, with the reason.
    pub dropped: Vec<(String, String)>,
    /// The private messages that the owner received, each with its author.
    pub pms: Vec<(dist_chat::ring::Member, String)>,
    /// The outcomes of the private messages that the owner sent.
    pub fates: Vec<(PmId, PmOutcome)>,
}

/// The identity of the `n`-th node's owner.
pub fn identity(n: u64) -> Identity {
    Identity::of_seed(std::array::from_fn(|at| n.to_le_bytes()[at % 8]))
}

/// The key of a room for which a test chooses none: a key if `DIST_CHAT_TEST_KEY=1` is set, otherwise no key.
fn usual_key() -> Option<u8> {
    std::env::var("DIST_CHAT_TEST_KEY").is_ok_and(|wanted| wanted == "1").then_some(1)
}

/// A running node.
pub struct Member {
    pub address: SocketAddr,
    pub commands: mpsc::Sender<Command>,
    pub urgent: mpsc::Sender<Command>,
    pub meter: Arc<Meter>,
    pub seen: watch::Receiver<Seen>,
    done: JoinHandle<anyhow::Result<Stop>>,
    /// Each new key of the room.
    pub rekeyed: mpsc::Receiver<RoomKey>,
}

impl Member {
    /// Starts the `n`-th node of a test on a free port.
    pub fn start(n: u64, start: Start) -> Self {
        Self::start_with(n, start, usual_key())
    }

    /// Starts the `n`-th node of a test on a free port, with this room key.
    pub fn start_with(n: u64, start: Start, key: Option<u8>) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").unwrap(), n, start, key)
    }

    /// Like [`start_with`](Self::start_with), on this port.
    pub fn start_on(listener: TcpListener, n: u64, start: Start, key: Option<u8>) -> Self {
        Self::start_holding(listener, n, start, key.map(|key| RoomKey::new([key; 32], None)))
    }

    /// Like [`start_on`](Self::start_on), with a drawn key.
    pub fn start_holding(listener: TcpListener, n: u64, start: Start, key: Option<RoomKey>) -> Self {
        let address = listener.local_addr().unwrap();
        let store = MemoryStore::new();
        let identity = identity(n);
        let config = Config {
            uid: Uid(address),
            name: Name::parse(&format!("node{n}")).unwrap(),
            rename: false,
            author: identity.author(),
            signer: Arc::new(identity.clone()),
            session: SessionId(n),
            seed: n,
            start,
            saved: store.saved().unwrap(),
            key: None,
            rate: dist_chat::ring::Rate::DEFAULT,
            moderators: Vec::new(),
            backlog: dist_chat::ring::limits::BACKLOG_LINES,
            timing: Timing::default(),
        };
        let secrets = Secrets { identity, key };
        let running = net::start(config, store, vec![listener], secrets).unwrap();
        let seen = collect(running.notices);
        Self {
            address,
            commands: running.commands,
            urgent: running.urgent,
            meter: running.meter,
            seen,
            done: running.done,
            rekeyed: running.rekeyed,
        }
    }

    /// A room of so many nodes; the first creates it.
    pub async fn room(nodes: u64) -> Vec<Self> {
        Self::room_with(nodes, usual_key()).await
    }

    /// Like [`room`](Self::room), with this room key.
    pub async fn room_with(nodes: u64, key: Option<u8>) -> Vec<Self> {
        let mut room = vec![Self::start_with(1, Start::Create(RoomId(7)), key)];
        room[0].until("it has founded a room", |seen| seen.entered).await;
        let contact = room[0].address;
        room.extend((2..=nodes).map(|n| Self::start_with(n, Start::Join(vec![contact]), key)));
        for member in &mut room {
            member.until("it is in the room", |seen| seen.entered).await;
            member.members(nodes as usize).await;
        }
        room
    }

    pub async fn say(&self, text: &str) {
        self.commands.send(Command::Say(Text::parse(text).unwrap().into(), None)).await.unwrap();
    }

    /// Waits until the reports of the node fulfil this condition; fails with `what` if they do not in time.
    pub async fn until(&mut self, what: &str, fulfilled: impl FnMut(&Seen) -> bool) {
        let address = self.address;
        let waited = tokio::time::timeout(LONG, self.seen.wait_for(fulfilled)).await.map(|seen| drop(seen.unwrap()));
        if waited.is_err() {
            let status = self.status().await;
            panic!("{address}: never: {what}; {} lines, {status:#?}", self.seen.borrow().lines.len());
        }
    }

    /// Waits until the node has shown exactly so many lines, and returns them.
    pub async fn lines(&mut self, count: usize) -> Vec<(u64, String)> {
        self.until(&format!("{count} lines"), |seen| seen.lines.len() >= count).await;
        let lines = self.seen.borrow().lines.clone();
        assert_eq!(lines.len(), count, "{}", self.address);
        assert!(lines.is_sorted_by(|a, b| a.0 < b.0), "timestamps do not rise");
        lines
    }

    pub fn dropped(&self) -> Vec<(String, String)> {
        self.seen.borrow().dropped.clone()
    }

    pub async fn status(&self) -> Status {
        let (answer, status) = oneshot::channel();
        self.urgent.send(Command::Status(answer)).await.unwrap();
        tokio::time::timeout(LONG, status).await.unwrap().unwrap()
    }

    /// Sends a private message to the member with this name.
    pub async fn pm(&self, to: &str, text: &str) -> Result<PmId, PmError> {
        let (answer, said) = oneshot::channel();
        let (to, text) = (to.to_owned(), Text::parse(text).unwrap());
        self.urgent.send(Command::SendPm { to, text, answer }).await.unwrap();
        tokio::time::timeout(LONG, said).await.unwrap().unwrap().map(|(id, _)| id)
    }

    pub async fn survey(&self) -> RoomHealth {
        let (answer, survey) = oneshot::channel();
        self.urgent.send(Command::Survey(answer)).await.unwrap();
        tokio::time::timeout(LONG, survey).await.unwrap().unwrap()
    }

    /// Waits until the node's view has so many members and the node is linked to its neighbours.
    pub async fn members(&self, count: usize) -> Status {
        let wait = async {
            loop {
                let status = self.status().await;
                if status.members.len() == count && status.next.is_some() && status.prev.is_some() {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(LONG, wait).await {
            Ok(status) => status,
            Err(_) => panic!("never {count} members: {:#?}", self.status().await),
        }
    }

    /// Ends the node without a good-bye, as if its process had died.
    pub async fn crash(self) {
        self.done.abort();
        assert!(self.done.await.unwrap_err().is_cancelled());
    }

    /// The user leaves; returns how the node stopped.
    pub async fn leave(self) -> Stop {
        self.urgent.send(Command::Leave).await.unwrap();
        self.ended().await
    }

    /// Waits until the node ends by itself; returns how it stopped.
    pub async fn ended(self) -> Stop {
        tokio::time::timeout(LONG, self.done).await.unwrap().unwrap().unwrap()
    }
}

/// The position of the leader among these members.
pub async fn leader(room: &[Member]) -> usize {
    let leader = room[0].status().await.epoch.unwrap().leader;
    room.iter().position(|member| Uid(member.address) == leader).unwrap()
}

/// Waits until every member has shown exactly so many lines, all in one order; returns the lines.
pub async fn agree(room: &mut [Member], count: usize) -> Vec<(u64, String)> {
    let first = room[0].lines(count).await;
    for member in &mut room[1..] {
        assert!(member.lines(count).await == first, "{} has another order", member.address);
    }
    first
}

fn collect(mut notices: mpsc::Receiver<Vec<Notice>>) -> watch::Receiver<Seen> {
    let (sender, seen) = watch::channel(Seen::default());
    tokio::spawn(async move {
        while let Some(batch) = notices.recv().await {
            sender.send_modify(|seen| batch.into_iter().for_each(|notice| seen.take(notice)));
        }
    });
    seen
}

impl Seen {
    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Event(Event::Line(entry)) => self.line(&entry),
            Notice::Event(Event::Backlog { entries, .. }) => entries.iter().for_each(|entry| self.line(entry)),
            Notice::Event(Event::Entered { .. }) => self.entered = true,
            Notice::Event(Event::PmSettled { id, outcome, .. }) => self.fates.push((id, outcome)),
            Notice::Event(_) | Notice::Clock(_) => {}
            Notice::PrivateMessage { from, text } => self.pms.push((from, text.as_str().to_owned())),
            Notice::Health(health) => unreachable!("a store in memory is well: {health:?}"),
            Notice::PeerDropped { peer, why } => self.dropped.push((peer, why)),
        }
    }

    fn line(&mut self, entry: &Entry) {
        self.lines.push((entry.lamport.0, entry.line().unwrap().text.as_str().to_owned()));
    }
}
