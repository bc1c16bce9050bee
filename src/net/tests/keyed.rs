//! Tests of listeners, dials and links in a room with a key.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::*;
use crate::net::transport::arrival::Failed;
use crate::net::transport::dial::dial;
use crate::net::transport::greeting::{GreetingClient, SPEAKS_FOR_ANOTHER};
use crate::net::transport::limits::{HELLO_CONNECTS, READ_TOTAL_BYTES_MAX};
use crate::net::transport::noise::{NoiseError, RECORD_BYTES_MAX};
use crate::net::transport::preamble::PreambleLine;
use crate::ring::{Refusal, Span};

const KEY: Option<u8> = Some(5);

fn rekeying(owner: u8, rekey_bytes: u64) -> HandshakeConfig {
    let own = LocalKeys::rekeying(&Identity::of_seed([owner; 32]), rekey_bytes).unwrap();
    HandshakeConfig { own: Arc::new(own), ..locks(owner, KEY) }
}

fn hello_of(owner: u8) -> Frame {
    let Frame::Hello(hello) = hello() else { unreachable!() };
    Frame::Hello(Hello { author: Identity::of_seed([owner; 32]).author(), ..hello })
}

/// A frame with this number, at least this long.
fn ping(n: u64, bytes: usize) -> Bytes {
    let mut frame = format!("{{\"ping\":{n}}}").into_bytes();
    frame.resize(frame.len().max(bytes), b' ');
    frame.push(b'\n');
    frame.into()
}

/// The two ends of one link, each with its own bench. The first end has dialled.
struct Two {
    here: (Connection, Bench),
    there: (Connection, Bench),
    _door: Task,
}

const HERE: ConnId = ConnId::dialled(1);

impl Two {
    async fn meet(here: HandshakeConfig, there: HandshakeConfig) -> Self {
        Self::over(here, there, |door| door).await
    }

    /// Connects both ends. The dialler dials the address that `between` makes of the listener's.
    async fn over(
        here: HandshakeConfig,
        there: HandshakeConfig,
        between: impl FnOnce(SocketAddr) -> SocketAddr,
    ) -> Self {
        let (mine, mut theirs) = (Bench::new(), Bench::new());
        let (door, address) = door_of(&theirs, Timing::default(), there);
        let connected = dial(between(address), Timing::default(), &here).await.unwrap();
        let mut link = Connection::accepted(HERE, address, connected, &mine.inbox, &mine.meter);
        link.say(encoded(&hello_of(1))).unwrap();
        link.flush();
        let Arrival::Greeted { connected, peer, hello } = theirs.next().await else { panic!("not let in") };
        assert_eq!(*hello, hello_of(1));
        let back = Connection::accepted(ConnId::accepted(1), peer, *connected, &theirs.inbox, &theirs.meter);
        Self { here: (link, mine), there: (back, theirs), _door: door }
    }
}

/// The numbers of the next frames that arrive at this bench.
async fn numbers(bench: &mut Bench, count: usize) -> Vec<u64> {
    let mut got = Vec::new();
    while got.len() < count {
        let Arrival::Frames { frames, .. } = bench.next().await else { panic!("after {} frames", got.len()) };
        got.extend(frames.into_iter().map(|frame| match frame {
            Frame::Ping(n) => n,
            other => panic!("{other:?}"),
        }));
    }
    got
}

async fn gone(bench: &mut Bench) -> Option<String> {
    loop {
        match bench.next().await {
            Arrival::Gone { why, .. } => return why,
            Arrival::Frames { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn frames_of_any_size_arrive_in_order_in_both_directions_while_keys_change() {
    const FRAMES: u64 = 3000;
    let two = Two::meet(rekeying(1, 100_000), rekeying(2, 100_000)).await;
    let talk = async |(mut link, mut bench): (Connection, Bench)| {
        let hearing = tokio::spawn(async move { numbers(&mut bench, FRAMES as usize).await });
        for n in 0..FRAMES {
            let bytes = match n % 500 {
                // Longer than a record, and than what the socket takes at once.
                499 => 3 * RECORD_BYTES_MAX,
                498 => RECORD_BYTES_MAX - 1,
                497 => RECORD_BYTES_MAX,
                other => (other * other % 300) as usize,
            };
            link.say(ping(n, bytes)).unwrap();
            if n % 3 == 0 {
                link.flush();
            }
            if n % 20 == 0 {
                tokio::task::yield_now().await;
            }
        }
        link.flush();
        assert_eq!(hearing.await.unwrap(), (0..FRAMES).collect::<Vec<_>>());
        link
    };
    let (_here, _there) = timeout(LONG, async { tokio::join!(talk(two.here), talk(two.there)) }).await.unwrap();
}

#[tokio::test]
async fn what_a_full_socket_leaves_of_a_record_goes_before_the_next() {
    let two = Two::meet(locks(1, KEY), locks(2, KEY)).await;
    let ((mut link, _mine), (_back, mut theirs)) = (two.here, two.there);
    let (mut said, bytes) = (0, 4000);
    // The bench takes no arrivals. So the reader stops, and the socket fills up in the middle of a record.
    while said * bytes < (READ_CONN_BYTES_MAX + 8 * 1024 * 1024) as u64 {
        link.say(ping(said, bytes as usize)).unwrap();
        link.flush();
        said += 1;
        if said % 4 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert!(link.waiting() > 0);
    assert_eq!(numbers(&mut theirs, said as usize).await, (0..said).collect::<Vec<_>>());
}

#[tokio::test]
async fn much_that_follows_a_hello_at_once_does_not_keep_its_speaker_out() {
    // The driver writes few bytes itself, and leaves many to the writer.
    for bytes in [6_000, 60_000, 300_000] {
        let (mine, mut theirs) = (Bench::new(), Bench::new());
        let (_door, address) = door_of(&theirs, Timing::default(), locks(2, KEY));
        let connected = dial(address, Timing::default(), &locks(1, KEY)).await.unwrap();
        let mut link = Connection::accepted(HERE, address, connected, &mine.inbox, &mine.meter);
        link.say(encoded(&hello_of(1))).unwrap();
        link.say(ping(1, bytes)).unwrap();
        link.say(ping(2, 10)).unwrap();
        link.flush();
        let Arrival::Greeted { connected, peer, .. } = theirs.next().await else { panic!("not let in") };
        let _back = Connection::accepted(ConnId::accepted(1), peer, *connected, &theirs.inbox, &theirs.meter);
        assert_eq!(numbers(&mut theirs, 2).await, [1, 2]);
    }
}

#[tokio::test]
async fn what_is_queued_is_sealed_at_once() {
    let two = Two::meet(locks(1, KEY), locks(2, KEY)).await;
    let ((mut link, mine), (_back, mut theirs)) = (two.here, two.there);
    let before = (mine.meter.frames_written(), mine.meter.writes());
    for n in 0..1000 {
        link.say(ping(n, 40)).unwrap();
    }
    link.flush();
    numbers(&mut theirs, 1000).await;
    link.close().await;
    let (frames, writes) = (mine.meter.frames_written() - before.0, mine.meter.writes() - before.1);
    assert_eq!((frames, writes), (1000, 1));
}

#[tokio::test]
async fn closing_writes_what_was_said_sealed() {
    let two = Two::meet(locks(1, KEY), locks(2, KEY)).await;
    let ((mut link, _mine), (_back, mut theirs)) = (two.here, two.there);
    for n in 0..100 {
        link.say(ping(n, 10_000)).unwrap();
    }
    let closing = tokio::spawn(link.close());
    assert_eq!(numbers(&mut theirs, 100).await.len(), 100);
    assert_eq!(gone(&mut theirs).await, None);
    drop(_back);
    timeout(LONG, closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_dial_says_why_it_was_turned_away_and_so_does_the_door() {
    let cases = [
        (Some(5), Some(6), Refusal::WrongKey, "has another room key"),
        (Some(5), None, Refusal::NoKey, "has a room key, and this room has none"),
    ];
    for (mine, theirs, refusal, why) in cases {
        let mut bench = Bench::new();
        let (_door, address) = door_of(&bench, Timing::default(), locks(2, theirs));
        let failed = dial(address, Timing::default(), &locks(1, mine)).await.unwrap_err();
        assert_eq!(failed, Failed::TurnedAway(refusal));
        assert_eq!(turned_away(&mut bench).await, why);
    }
}

#[tokio::test]
async fn who_speaks_in_clear_at_a_keyed_door_is_told_in_clear() {
    let mut bench = Bench::new();
    let (_door, address) = door_of(&bench, Timing::default(), locks(2, KEY));
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&[encoded(&hello()), encoded(&Frame::LeaderPoll)].concat()).await.unwrap();
    let mut got = String::new();
    timeout(LONG, peer.read_to_string(&mut got)).await.unwrap().unwrap();
    assert_eq!(got, "{\"refuse\":\"key_needed\"}\n");
    drop(peer);
    assert_eq!(turned_away(&mut bench).await, "has no room key, and this room has one");
}

#[tokio::test]
async fn the_key_before_is_tried_where_the_new_one_is_not_known_yet() {
    let bench = Bench::new();
    let (_door, address) = door_of(&bench, Timing::default(), locks(2, KEY));
    let mine = locks(1, KEY);
    let replace = |until| mine.keyring.replace(RoomKey::new([6; 32], None), until);
    replace(Instant::now() + LONG);
    assert!(dial(address, Timing::default(), &mine).await.is_ok());
    let mine = locks(1, KEY);
    mine.keyring.replace(RoomKey::new([6; 32], None), Instant::now());
    let failed = dial(address, Timing::default(), &mine).await.unwrap_err();
    assert_eq!(failed, Failed::TurnedAway(Refusal::WrongKey));
}

#[tokio::test]
async fn a_dial_to_somebody_who_never_answers_or_answers_nonsense_fails_in_time() {
    let timing = Timing { connect: Span::ms(100), ..Timing::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(dial(address, timing, &locks(1, KEY)).await.unwrap_err(), Failed::Unreachable);
    for (answer, failed) in [
        (&b""[..], Failed::Unreachable),
        (b"HTTP/1.1 400 Bad Request\r\n", Failed::Broken("does not speak as a dist-chat does".to_owned())),
        (&[0; 1000], Failed::Broken(NoiseError::Length.to_string())),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answering = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.unwrap();
            let _ = peer.read(&mut [0; 100]).await;
            peer.write_all(answer).await.unwrap();
            peer
        });
        assert_eq!(dial(address, Timing::default(), &locks(1, KEY)).await.unwrap_err(), failed);
        drop(answering.await.unwrap());
    }
}

#[tokio::test]
async fn a_mirror_is_no_member() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut peer, _) = listener.accept().await.unwrap();
        let (mut ears, mut mouth) = peer.split();
        let _ = tokio::io::copy(&mut ears, &mut mouth).await;
    });
    assert!(matches!(dial(address, Timing::default(), &locks(1, KEY)).await.unwrap_err(), Failed::Broken(_)));

    // The other case: a process connects to itself.
    let (bench, mine) = (Bench::new(), locks(1, KEY));
    let (_door, address) = door_of(&bench, Timing::default(), mine.clone());
    assert_eq!(dial(address, Timing::default(), &mine).await.unwrap_err(), Failed::TurnedAway(Refusal::SameAddress));
}

/// Sends these bytes one at a time until the other end hangs up.
async fn trickle(peer: &mut TcpStream, bytes: &[u8], pause: Duration) {
    for byte in bytes {
        if peer.write_all(&[*byte]).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_prolong_a_handshake() {
    let mut bench = Bench::new();
    let timing = Timing { connect: Span::ms(150), ..Timing::default() };
    let (_door, address) = door_of(&bench, timing, locks(2, KEY));
    let (mine, pause) = (locks(1, KEY), Duration::from_millis(20));
    let limit = Duration::from_micros(timing.connect.times(HELLO_CONNECTS).0);

    let (calling, first) = GreetingClient::begin(&mine.own, &RoomKey::new([5; 32], None)).unwrap();
    let start = Instant::now();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let trickling = tokio::spawn(async move { trickle(&mut slow, &first, pause).await });
    assert_eq!(turned_away(&mut bench).await, "did not say hello");
    assert!(start.elapsed() >= limit && start.elapsed() < 4 * limit, "{:?}", start.elapsed());
    trickling.abort();
    drop(calling);

    let (calling, first) = GreetingClient::begin(&mine.own, &RoomKey::new([5; 32], None)).unwrap();
    let start = Instant::now();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(&first).await.unwrap();
    let mut answer = vec![0; 194];
    slow.read_exact(&mut answer).await.unwrap();
    let (_session, third) = calling.finish(&mut answer[..].into()).unwrap();
    trickle(&mut slow, &third, pause).await;
    assert_eq!(turned_away(&mut bench).await, "did not say hello");
    assert!(start.elapsed() >= limit && start.elapsed() < 14 * limit, "{:?}", start.elapsed());
    assert_eq!(bench.meter.ungreeted(), 0);
}

#[tokio::test]
async fn a_stranger_is_read_no_further_than_a_hello() {
    let mut bench = Bench::new();
    let (_door, address) = door_of(&bench, Timing { connect: Span::ms(60_000), ..Timing::default() }, locks(2, KEY));
    // The peer proves the key, then announces a long record and never completes it.
    let mine = locks(1, KEY);
    let (calling, first) = GreetingClient::begin(&mine.own, &RoomKey::new([5; 32], None)).unwrap();
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(&first).await.unwrap();
    let mut answer = vec![0; 194];
    peer.read_exact(&mut answer).await.unwrap();
    let (_session, third) = calling.finish(&mut answer[..].into()).unwrap();
    peer.write_all(&[&third[..], &[0xff; 2 * HELLO_BYTES_MAX]].concat()).await.unwrap();
    assert_eq!(turned_away(&mut bench).await, "says too much before its hello");
}

#[tokio::test]
async fn a_hello_for_another_author_costs_a_proven_link() {
    for dialler_lies in [true, false] {
        let Two { here: (here, mine), there: (there, theirs), _door } = Two::meet(locks(1, KEY), locks(2, KEY)).await;
        let (mut liar, mut told, lie, _kept) = match dialler_lies {
            true => (here, theirs, hello_of(2), (there, mine)),
            false => (there, mine, hello_of(1), (here, theirs)),
        };
        liar.say(ping(1, 0)).unwrap();
        liar.say(encoded(&lie)).unwrap();
        liar.say(ping(2, 0)).unwrap();
        liar.flush();
        assert_eq!(numbers(&mut told, 1).await, [1], "what it said before counts");
        assert_eq!(gone(&mut told).await.as_deref(), Some(SPEAKS_FOR_ANOTHER));
    }
}

/// A proxy between dialler and listener. It flips one bit of the dialler's `at`-th byte.
fn flipping(door: SocketAddr, at: usize) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    tokio::spawn(async move {
        let (mut dialler, _) = listener.accept().await.unwrap();
        let mut door = TcpStream::connect(door).await.unwrap();
        let ((mut from, mut back), (mut answers, mut to)) = (dialler.split(), door.split());
        let passed = AtomicUsize::new(0);
        let forth = async {
            let mut bytes = vec![0; 1 << 16];
            while let Ok(read) = from.read(&mut bytes).await {
                let before = passed.fetch_add(read, Ordering::Relaxed);
                if (before..before + read).contains(&at) {
                    bytes[at - before] ^= 4;
                }
                if read == 0 || to.write_all(&bytes[..read]).await.is_err() {
                    return;
                }
            }
        };
        tokio::join!(forth, tokio::io::copy(&mut answers, &mut back)).1.unwrap_or(0);
    });
    address
}

#[tokio::test]
async fn a_bit_flipped_on_a_link_cuts_it() {
    let two = Two::over(locks(1, KEY), locks(2, KEY), |door| flipping(door, 20_000)).await;
    let ((mut link, _mine), (_back, mut theirs)) = (two.here, two.there);
    for n in 0..1000 {
        link.say(ping(n, 100)).unwrap();
        link.flush();
    }
    let mut got = Vec::new();
    let why = loop {
        match theirs.next().await {
            Arrival::Frames { frames, .. } => got.extend(frames),
            Arrival::Gone { why, .. } => break why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(why, Some(NoiseError::Seal.to_string()));
    assert!(!got.is_empty() && got.len() < 200);
    assert_eq!(got, (0..got.len() as u64).map(Frame::Ping).collect::<Vec<_>>(), "what came before is whole");
}

#[tokio::test]
async fn torn_and_senseless_records_end_a_link() {
    for (record, why) in [
        (&[0, 0][..], Some(NoiseError::Length.to_string())),
        (&[0, 16], Some(NoiseError::Length.to_string())),
        (&[0, 20, 1, 2, 3], None),
        (&[0xff; 70_000], Some(NoiseError::Seal.to_string())),
    ] {
        let mut bench = Bench::new();
        let (_door, address) = door_of(&bench, Timing::default(), locks(2, KEY));
        let mut connected = dial(address, Timing::default(), &locks(1, KEY)).await.unwrap();
        let mut said = Vec::new();
        connected.session.as_mut().unwrap().sealer.seal(&encoded(&hello_of(1)), &mut said).unwrap();
        connected.socket.write_all(&said).await.unwrap();
        let Arrival::Greeted { connected: met, peer, .. } = bench.next().await else { panic!("not let in") };
        let _link = Connection::accepted(ConnId::accepted(1), peer, *met, &bench.inbox, &bench.meter);
        connected.socket.write_all(record).await.unwrap();
        connected.socket.shutdown().await.unwrap();
        assert_eq!(gone(&mut bench).await, why, "{} bytes", record.len());
    }
}

#[tokio::test]
async fn the_bytes_decoded_ahead_are_bounded_on_a_sealed_link_too() {
    let two = Two::meet(locks(1, KEY), locks(2, KEY)).await;
    let ((mut link, _mine), (_back, mut theirs)) = (two.here, two.there);
    let mut n = 0;
    while link.say(ping(n, 1000)).is_ok() {
        link.flush();
        n += 1;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (mut decoded, mut kept) = (0, Vec::new());
    while let Ok(Arrival::Frames { frames, cost, .. }) = theirs.arrivals.try_recv() {
        decoded += frames.len() * 1000;
        kept.push(cost);
    }
    assert!(decoded > 0 && decoded <= READ_CONN_BYTES_MAX && decoded < READ_TOTAL_BYTES_MAX, "{decoded}");
}

/// Checks that members get in at once while an attacker at the same address repeats this attack.
async fn members_get_in_despite<A: Future<Output = ()> + Send + 'static>(attack: impl FnOnce(SocketAddr) -> A) {
    let mut bench = Bench::new();
    let (_door, address) = door_of(&bench, Timing::default(), locks(2, KEY));
    let _attacker = Task::spawn(attack(address));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (greeted, mut news) = mpsc::channel(1);
    let meter = Arc::clone(&bench.meter);
    let _driver = Task::spawn(async move {
        loop {
            if matches!(bench.next().await, Arrival::Greeted { .. }) && greeted.send(()).await.is_err() {
                return;
            }
        }
    });
    let mine = locks(1, KEY);
    let (mut waits, mut members, mut pushed) = (Vec::new(), Vec::new(), 0);
    for _ in 0..30 {
        let start = Instant::now();
        // A member that is pushed out of the listener dials again.
        let mut connected = loop {
            match dial(address, Timing::default(), &mine).await {
                Ok(connected) => break connected,
                Err(failed) => assert_eq!(failed, Failed::Unreachable),
            }
            pushed += 1;
        };
        let mut said = Vec::new();
        connected.session.as_mut().unwrap().sealer.seal(&encoded(&hello_of(1)), &mut said).unwrap();
        connected.socket.write_all(&said).await.unwrap();
        timeout(LONG, news.recv()).await.unwrap().unwrap();
        waits.push(start.elapsed());
        members.push(connected);
    }
    waits.sort();
    assert!(waits[29] < Duration::from_secs(2), "{pushed} times pushed out; {waits:?}");
    assert!(meter.ungreeted() <= UNGREETED_PER_IP_MAX);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_connections_does_not_lock_members_out() {
    members_get_in_despite(|address| async move {
        let mut crowd = std::collections::VecDeque::new();
        loop {
            crowd.extend(TcpStream::connect(address).await.ok());
            if crowd.len() > 500 {
                crowd.pop_front();
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handshakes_does_not_lock_members_out() {
    let (_, good) = GreetingClient::begin(&locks(3, KEY).own, &RoomKey::new([5; 32], None)).unwrap();
    let line = PreambleLine::Keyed.line().len();
    let mut bad = good.clone();
    bad[line + 10] ^= 1;
    members_get_in_despite(|address| async move {
        let mut crowd = std::collections::VecDeque::new();
        for n in 0_u64.. {
            let Ok(mut peer) = TcpStream::connect(address).await else { continue };
            // Every second attacker replays a member's recorded bytes.
            let _ = peer.write_all(if n.is_multiple_of(2) { &good } else { &bad }).await;
            crowd.push_back(peer);
            if crowd.len() > 500 {
                crowd.pop_front();
            }
        }
    })
    .await;
}
