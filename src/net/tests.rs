//! Tests of links and of the listener, without a node behind them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod keyed;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::links::Connections;
use super::transport::arrival::Arrival;
use super::transport::arrival::Connected;
use super::transport::inbox::Inbox;
use super::transport::keyring::HandshakeConfig;
use super::transport::keyring::Keyring;
use super::transport::limits::{
    FLUSH, HANDOVER_BYTES_MIN, HELLO_BYTES_MAX, READ_BYTES_MAX, READ_CONN_BYTES_MAX, UNGREETED_PER_IP_MAX,
    WRITE_BYTES_MAX, WRITE_FRAMES,
};
use super::transport::link::{Connection, Overflow};
use super::transport::listener::Listener;
use super::transport::meter::Meter;
use super::transport::noise::LocalKeys;
use super::transport::task::Task;
use crate::identity::Identity;
use crate::key::RoomKey;
use crate::ring::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
use crate::ring::{AuthorId, ConnId, Frame, Hello, SessionId, Timing, Uid};

const LONG: Duration = Duration::from_secs(20);

async fn pair() -> (TcpStream, TcpStream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, address) = listener.accept().await.unwrap();
    (socket, peer, address)
}

struct Bench {
    inbox: Inbox,
    arrivals: mpsc::Receiver<Arrival>,
    meter: Arc<Meter>,
}

impl Bench {
    fn new() -> Self {
        let (inbox, arrivals) = Inbox::new(Arc::default());
        Self { inbox, arrivals, meter: Arc::default() }
    }

    async fn link(&self, n: u64) -> (Connection, TcpStream) {
        let (socket, peer, address) = pair().await;
        let link =
            Connection::accepted(ConnId::accepted(n), address, Connected::open(socket), &self.inbox, &self.meter);
        (link, peer)
    }

    async fn next(&mut self) -> Arrival {
        timeout(LONG, self.arrivals.recv()).await.unwrap().unwrap()
    }
}

fn encoded(frame: &Frame) -> Bytes {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes.into()
}

fn hello() -> Frame {
    Frame::Hello(Hello {
        version: PROTOCOL_VERSION,
        room: None,
        uid: Uid(SocketAddr::from(([127, 0, 0, 1], 1))),
        author: AuthorId::of_bits(1),
        session: SessionId(2),
    })
}

/// Sends `frame` for as long as the peer reads. Returns the number of bytes sent once the peer has read nothing for a
/// while.
async fn flood(peer: &mut TcpStream, frame: &[u8]) -> usize {
    let chunk = frame.repeat(READ_BYTES_MAX / frame.len());
    let mut sent = 0;
    while let Ok(written) = timeout(Duration::from_millis(300), peer.write(&chunk)).await {
        sent += written.unwrap();
    }
    sent
}

#[tokio::test]
async fn what_is_queued_leaves_in_one_write() {
    let bench = Bench::new();
    let (mut link, mut peer) = bench.link(1).await;
    for n in 0..10 * WRITE_FRAMES as u64 {
        link.say(encoded(&Frame::Ping(n))).unwrap();
    }
    link.flush();
    link.close().await;
    let mut got = String::new();
    timeout(LONG, peer.read_to_string(&mut got)).await.unwrap().unwrap();
    assert_eq!(got.lines().count(), 10 * WRITE_FRAMES);
    assert!(got.ends_with("{\"ping\":639}\n"));
    assert_eq!((bench.meter.frames_written(), bench.meter.writes()), (640, 10));
}

#[tokio::test]
async fn a_few_words_are_written_at_once_and_in_order_with_what_follows() {
    let bench = Bench::new();
    let (mut link, mut peer) = bench.link(1).await;
    peer.write_all(&encoded(&Frame::LeaderPoll)).await.unwrap();
    let (mut expected, mut rounds) = (Vec::new(), 0);
    while rounds < 2000 {
        let frames: Vec<_> = (0..rounds % 7).map(|n| encoded(&Frame::Ping(rounds * 10 + n))).collect();
        for frame in frames {
            expected.extend_from_slice(&frame);
            link.say(frame).unwrap();
        }
        if rounds % 100 == 99 {
            let mut long = vec![b' '; 4 * READ_BYTES_MAX];
            long.push(b'\n');
            expected.extend_from_slice(&long);
            link.say(long.into()).unwrap();
        }
        link.flush();
        if rounds % 20 == 0 {
            tokio::task::yield_now().await;
        }
        rounds += 1;
    }
    let reading = tokio::spawn(async move {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).await.unwrap();
        got
    });
    while link.waiting() > 0 {
        tokio::task::yield_now().await;
    }
    link.close().await;
    assert!(reading.await.unwrap() == expected);
}

#[tokio::test]
async fn a_peer_that_does_not_read_overflows_its_own_queue_alone() {
    let bench = Bench::new();
    let ((mut slow, _deaf), (mut good, mut peer)) = (bench.link(1).await, bench.link(2).await);
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).await.unwrap();
        bytes.len()
    });
    let frame = Bytes::from(vec![b' '; FRAME_BYTES_MAX]);
    let mut said = 0;
    while slow.say(frame.clone()) != Err(Overflow) {
        good.say(frame.clone()).unwrap();
        slow.flush();
        good.flush();
        said += 1;
        while good.waiting() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(said < 100, "the queue has no end");
    }
    assert!(said >= WRITE_BYTES_MAX / FRAME_BYTES_MAX);
    good.close().await;
    assert_eq!(reading.await.unwrap(), said * FRAME_BYTES_MAX);
}

#[tokio::test]
async fn many_small_frames_overflow_too() {
    let bench = Bench::new();
    let (mut link, _deaf) = bench.link(1).await;
    let many = (0..).find(|&n| link.say(encoded(&Frame::Ping(n))).is_err()).unwrap();
    assert!(many as usize <= super::transport::limits::WRITE_FRAMES_MAX);
}

#[tokio::test]
async fn closing_writes_what_was_said_even_to_a_peer_that_talks() {
    let bench = Bench::new();
    let (mut link, peer) = bench.link(1).await;
    link.say(encoded(&Frame::Wait)).unwrap();
    let mut peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    peer.write_all(&encoded(&Frame::LeaderPoll).repeat(1000)).unwrap();
    let peer = tokio::task::spawn_blocking(move || {
        let mut got = String::new();
        peer.read_to_string(&mut got).map(|_| got)
    });
    timeout(LONG, link.close()).await.unwrap();
    assert_eq!(peer.await.unwrap().unwrap(), "\"wait\"\n");
}

#[tokio::test]
async fn closing_does_not_wait_for_a_peer_that_never_reads() {
    let bench = Bench::new();
    let (mut link, _deaf) = bench.link(1).await;
    for _ in 0..20 {
        link.say(Bytes::from(vec![b' '; FRAME_BYTES_MAX])).unwrap();
    }
    timeout(FLUSH * 10, link.close()).await.unwrap();
}

#[tokio::test]
async fn frames_arrive_in_order_and_then_the_end() {
    let mut bench = Bench::new();
    let (_link, mut peer) = bench.link(1).await;
    for n in 0..1000 {
        peer.write_all(&encoded(&Frame::Ping(n))).await.unwrap();
    }
    drop(peer);
    let mut got = Vec::new();
    loop {
        match bench.next().await {
            Arrival::Frames { frames, .. } => got.extend(frames),
            Arrival::Gone { why, .. } => break assert_eq!(why, None),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(got, (0..1000).map(Frame::Ping).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_line_without_end_costs_the_link_at_the_frame_limit() {
    let mut bench = Bench::new();
    let (_link, mut peer) = bench.link(1).await;
    let sending = tokio::spawn(async move {
        let chunk = vec![b'x'; READ_BYTES_MAX];
        while peer.write_all(&chunk).await.is_ok() {}
    });
    let Arrival::Gone { why: Some(why), .. } = bench.next().await else { panic!("it goes on") };
    assert!(why.contains("are allowed"), "{why}");
    drop(_link);
    timeout(LONG, sending).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_flood_is_held_back_and_lets_others_through() {
    let mut bench = Bench::new();
    let ((_loud, mut loud), (_quiet, mut quiet)) = (bench.link(1).await, bench.link(2).await);
    flood(&mut loud, &encoded(&Frame::Ping(7))).await;
    quiet.write_all(&encoded(&Frame::LeaderPoll)).await.unwrap();
    let (mut waiting, mut arrivals) = (0, Vec::new());
    loop {
        match bench.next().await {
            Arrival::Frames { frames, .. } if frames == [Frame::LeaderPoll] => break,
            // Kept, so that their cost is not returned to the budget.
            arrival @ Arrival::Frames { .. } => arrivals.push(arrival),
            other => panic!("{other:?}"),
        }
        waiting += 1;
    }
    assert!(waiting <= READ_CONN_BYTES_MAX / HANDOVER_BYTES_MIN, "{waiting} hand-overs of one peer");
}

#[tokio::test]
async fn the_bytes_decoded_ahead_are_bounded() {
    let mut bench = Bench::new();
    let (_link, mut peer) = bench.link(1).await;
    let frame = encoded(&Frame::NextIs(Uid(SocketAddr::from(([127, 0, 0, 1], 1)))));
    flood(&mut peer, &frame).await;
    let (mut decoded, mut kept) = (0, Vec::new());
    while let Ok(Arrival::Frames { frames, cost, .. }) = bench.arrivals.try_recv() {
        decoded += frames.len() * frame.len();
        kept.push(cost);
    }
    assert!(decoded > 0 && decoded <= READ_CONN_BYTES_MAX, "{decoded}");
}

fn locks(owner: u8, key: Option<u8>) -> HandshakeConfig {
    let own = LocalKeys::new(&Identity::of_seed([owner; 32])).unwrap();
    let key = key.map(|key| RoomKey::new([key; 32], None));
    HandshakeConfig { own: Arc::new(own), keyring: Keyring::new(key) }
}

fn door(bench: &Bench, timing: Timing) -> (Task, SocketAddr) {
    door_of(bench, timing, locks(1, None))
}

fn door_of(bench: &Bench, timing: Timing, locks: HandshakeConfig) -> (Task, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = vec![TcpListener::from_std(listener).unwrap()];
    let door = Listener::new(listeners, bench.inbox.clone(), timing, locks, Arc::clone(&bench.meter));
    (Task::spawn(door.run()), address)
}

async fn turned_away(bench: &mut Bench) -> String {
    match bench.next().await {
        Arrival::TurnedAway { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_a_hello_opens_the_door() {
    let mut bench = Bench::new();
    let (_door, address) = door(&bench, Timing::default());
    let knock = async |bytes: Vec<u8>| {
        let mut peer = TcpStream::connect(address).await.unwrap();
        let _ = peer.write_all(&bytes).await;
        peer
    };
    let _http = knock(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()).await;
    assert!(turned_away(&mut bench).await.starts_with("not a frame"));
    let _ask = knock(encoded(&Frame::LeaderPoll).to_vec()).await;
    assert_eq!(turned_away(&mut bench).await, "its first frame is no hello");
    let _long = knock(vec![b' '; HELLO_BYTES_MAX]).await;
    assert_eq!(turned_away(&mut bench).await, "its first line is too long");
    let _bytes = knock([0xff, 0x00, b'\n'].to_vec()).await;
    assert!(turned_away(&mut bench).await.starts_with("not a frame"));
    drop(knock(Vec::new()).await);

    let mut said = encoded(&hello()).to_vec();
    said.extend_from_slice(b"\"leader_");
    let mut peer = knock(said).await;
    let Arrival::Greeted { hello: got, connected, peer: from } = bench.next().await else { panic!("not let in") };
    assert_eq!(*got, hello());
    assert!(connected.socket.nodelay().unwrap());
    let _link = Connection::accepted(ConnId::accepted(1), from, *connected, &bench.inbox, &bench.meter);
    peer.write_all(b"poll\"\n").await.unwrap();
    let Arrival::Frames { frames, .. } = bench.next().await else { panic!("no frame") };
    assert_eq!(frames, [Frame::LeaderPoll]);
}

#[tokio::test]
async fn who_says_nothing_waits_for_a_bounded_time() {
    let mut bench = Bench::new();
    let timing = Timing { connect: crate::ring::Span::ms(20), ..Timing::default() };
    let (_door, address) = door(&bench, timing);
    let mut silent = TcpStream::connect(address).await.unwrap();
    assert_eq!(turned_away(&mut bench).await, "did not say hello");
    assert_eq!(timeout(LONG, silent.read(&mut [0])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_crowd_of_silent_ones_is_bounded_and_does_not_lock_others_out() {
    let mut bench = Bench::new();
    let (_door, address) = door(&bench, Timing { connect: crate::ring::Span::ms(60_000), ..Timing::default() });
    let mut crowd = Vec::new();
    for _ in 0..UNGREETED_PER_IP_MAX + 50 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    for _ in 0..50 {
        turned_away(&mut bench).await;
    }
    assert_eq!(timeout(LONG, crowd[49].read(&mut [0])).await.unwrap().unwrap(), 0, "the oldest go");
    assert!(bench.meter.ungreeted() <= UNGREETED_PER_IP_MAX);
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&encoded(&hello())).await.unwrap();
    let greeted = async { while !matches!(bench.next().await, Arrival::Greeted { .. }) {} };
    timeout(LONG, greeted).await.unwrap();
}

#[tokio::test]
async fn a_frame_for_many_is_encoded_once_and_a_dial_keeps_what_is_said_meanwhile() {
    let mut bench = Bench::new();
    let mut links = Connections::new(bench.inbox.clone(), Timing::default(), locks(1, None), Arc::clone(&bench.meter));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let conns = [ConnId::dialled(1), ConnId::dialled(2)];
    conns.iter().for_each(|&conn| links.dial(conn, listener.local_addr().unwrap()));
    assert!(links.send(&conns, &Frame::LeaderPoll).is_empty());
    links.flush();
    let mut peers = Vec::new();
    for _ in conns {
        let Arrival::Dialled { conn, result } = bench.next().await else { panic!("not dialled") };
        assert!(links.dialled(conn, *result.unwrap()));
        peers.push(listener.accept().await.unwrap().0);
    }
    assert!(links.send(&[conns[0], ConnId::dialled(9), conns[1]], &Frame::Wait).is_empty());
    links.finish().await;
    for mut peer in peers {
        let mut got = String::new();
        timeout(LONG, peer.read_to_string(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, "\"leader_poll\"\n\"wait\"\n");
    }
}
