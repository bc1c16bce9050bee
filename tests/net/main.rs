//! Nodes talk over real sockets, also with peers that break the protocol.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and its name says what it shows")]

mod keyed;
mod room;
mod whispers;

use std::net::SocketAddr;
use std::time::Duration;

use dist_chat::net::transport::limits::UNGREETED_MAX;
use dist_chat::ring::limits::PROTOCOL_VERSION;
use dist_chat::ring::{AuthorId, Frame, Hello, RoomId, SessionId, Start, Stop, Uid};
use room::{Member, agree, leader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn everybody_talks_at_once(nodes: u64) {
    let mut room = Member::room(nodes).await;
    let talks = room.iter().map(|member| {
        let (commands, address) = (member.commands.clone(), member.address);
        tokio::spawn(async move {
            for n in 0..100 {
                let text = dist_chat::ring::Text::parse(&format!("{address} {n}")).unwrap();
                commands.send(dist_chat::net::Command::Say(text.into(), None)).await.unwrap();
            }
        })
    });
    for talk in talks.collect::<Vec<_>>() {
        talk.await.unwrap();
    }
    let log = agree(&mut room, 100 * nodes as usize).await;
    for member in &room {
        let own = format!("{} ", member.address);
        let own: Vec<_> = log.iter().filter_map(|(_, text)| text.strip_prefix(&own)).collect();
        assert_eq!(own, (0..100).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn who_asks_is_told_the_number_of_a_line() {
    let mut room = Member::room(1).await;
    let say = |text: &str, answer| {
        let said = dist_chat::ring::Text::parse(text).unwrap().into();
        room[0].commands.send(dist_chat::net::Command::Say(said, answer))
    };
    let mut answers = Vec::new();
    for n in 1..=50_u64 {
        // Every third command asks for an answer.
        let (asks, answer) = tokio::sync::oneshot::channel();
        say(&format!("line {n}"), n.is_multiple_of(3).then_some(asks)).await.unwrap();
        if n.is_multiple_of(3) {
            answers.push((n, answer));
        }
    }
    for (n, answer) in answers {
        assert_eq!(answer.await.unwrap(), n);
    }
    // The node takes no line after the good-bye.
    room[0].urgent.send(dist_chat::net::Command::Leave).await.unwrap();
    let (asks, answer) = tokio::sync::oneshot::channel();
    let late = dist_chat::ring::Text::parse("too late").unwrap().into();
    // The node may be gone by now.
    let _ = room[0].commands.send(dist_chat::net::Command::Say(late, Some(asks))).await;
    assert!(answer.await.is_err());
    room[0].lines(50).await;
}

#[tokio::test]
async fn one_node_talks_to_itself() {
    everybody_talks_at_once(1).await;
}

#[tokio::test]
async fn two_nodes_have_one_order() {
    everybody_talks_at_once(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_have_one_order() {
    everybody_talks_at_once(3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_nodes_have_one_order() {
    everybody_talks_at_once(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_later_reads_what_was_said() {
    let mut room = vec![Member::start(1, Start::Create(RoomId(7)))];
    room[0].say("is anybody there?").await;
    room[0].lines(1).await;
    room.push(Member::start(2, Start::Join(vec![room[0].address])));
    room[1].say("yes").await;
    let log = agree(&mut room, 2).await;
    assert_eq!(log.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["is anybody there?", "yes"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_coalesced() {
    const LINES: usize = 10_000;
    let mut room = Member::room(5).await;
    let (frames, writes, turns) = totals(&room);
    for n in 0..LINES {
        room[3].say(&format!("line {n}")).await;
    }
    let log = agree(&mut room, LINES).await;
    assert!(log.iter().enumerate().all(|(n, (_, text))| *text == format!("line {n}")));
    let (frames, writes, turns) = {
        let after = totals(&room);
        (after.0 - frames, after.1 - writes, after.2 - turns)
    };
    // If the room sent one frame for each line and one more to each of its readers, it would send five times as many
    // frames as there are lines.
    assert!(frames < LINES as u64, "{frames} frames, {writes} writes, {turns} turns");
    assert!(writes <= frames + 100, "{frames} frames, {writes} writes, {turns} turns");
}

fn totals(room: &[Member]) -> (u64, u64, u64) {
    let sum = |count: fn(&dist_chat::net::Meter) -> u64| room.iter().map(|member| count(&member.meter)).sum();
    (sum(|meter| meter.frames_written()), sum(|meter| meter.writes()), sum(|meter| meter.turns()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_crashes_is_replaced() {
    let mut room = Member::room(5).await;
    for died in 1..=2 {
        let at = leader(&room).await;
        room.remove(at).crash().await;
        for (n, member) in room.iter().enumerate() {
            member.say(&format!("{n} after {died} deaths")).await;
        }
        let lines = if died == 1 { 4 } else { 4 + 3 };
        agree(&mut room, lines).await;
        for member in &room {
            member.members(room.len()).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_leaves_one_by_one() {
    let mut room = Member::room(3).await;
    room[1].say("good-bye").await;
    agree(&mut room, 1).await;
    while !room.is_empty() {
        let at = leader(&room).await;
        assert_eq!(room.remove(at).leave().await, Stop::Left { waiting: 0 });
        for member in &room {
            member.members(room.len()).await;
        }
    }
}

#[tokio::test]
async fn nobody_there_ends_the_node() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lost = Member::start(1, Start::Join(vec![free]));
    assert_eq!(lost.ended().await, Stop::Unreachable);
}

/// The resident memory of this process in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_no_harm() {
    const IDLE: usize = 500;
    let mut room = Member::room_with(3, None).await;
    let before = resident();
    let mut idle = Vec::new();
    for member in &room {
        for _ in 0..IDLE / room.len() {
            idle.push(TcpStream::connect(member.address).await.unwrap());
        }
        send(member.address, b"GET / HTTP/1.1\r\nHost: chat\r\n\r\n").await;
        let noise: Vec<u8> = (0..100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        send(member.address, &noise).await;
        flood(member.address, &[b'x'; 1 << 16], 64 << 20).await;
    }
    for n in 0..100 {
        room[n % 3].say(&format!("line {n}")).await;
    }
    agree(&mut room, 100).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes");
    for member in &room {
        assert!(member.meter.ungreeted() <= UNGREETED_MAX);
        assert!(member.meter.links_open() < 16, "{} links", member.meter.links_open());
        assert!(member.dropped().len() <= 1, "{:?}", member.dropped());
        assert_eq!(member.members(3).await.members.len(), 3);
    }
}

/// Sends these bytes to this address; the node there may close the connection before the end.
async fn send(to: SocketAddr, bytes: &[u8]) {
    let mut peer = TcpStream::connect(to).await.unwrap();
    let _ = peer.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = peer.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
}

/// Sends the chunk again and again, until it has sent so many bytes or the node closes the connection.
async fn flood(to: SocketAddr, chunk: &[u8], bytes: usize) {
    let mut peer = TcpStream::connect(to).await.unwrap();
    for _ in 0..bytes / chunk.len() {
        if peer.write_all(chunk).await.is_err() {
            return;
        }
    }
}

/// A connection on which the peer has sent its hello.
async fn introduced(to: SocketAddr) -> TcpStream {
    let mut hello = Vec::new();
    let uid = Uid(SocketAddr::from(([127, 0, 0, 9], 9)));
    let (author, session) = (AuthorId::of_bits(99), SessionId(99));
    Frame::Hello(Hello { version: PROTOCOL_VERSION, room: Some(RoomId(7)), uid, author, session }).encode(&mut hello);
    let mut peer = TcpStream::connect(to).await.unwrap();
    peer.write_all(&hello).await.unwrap();
    peer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_loses_its_own_link() {
    let mut room = Member::room_with(3, None).await;
    let mut deaf = introduced(room[0].address).await;
    let mut pings = Vec::new();
    (0..1000).for_each(|n| Frame::Ping(n).encode(&mut pings));
    let talking = tokio::spawn(async move { while deaf.write_all(&pings).await.is_ok() {} });
    for n in 0..100 {
        room[n % 3].say(&format!("line {n}")).await;
    }
    agree(&mut room, 100).await;
    tokio::time::timeout(Duration::from_secs(30), talking).await.unwrap().unwrap();
    room[0].until("a word about it", |seen| !seen.dropped.is_empty()).await;
    assert_eq!(room[0].dropped().len(), 1, "{:?}", room[0].dropped());
    assert!(room[1].dropped().is_empty() && room[2].dropped().is_empty());
    room[0].say("still here").await;
    agree(&mut room, 101).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_stops_talking_gets_its_turn_and_no_more() {
    let mut room = Member::room_with(3, None).await;
    let flooded = leader(&room).await;
    let (mut ears, mut mouth) = introduced(room[flooded].address).await.into_split();
    let mut pings = Vec::new();
    (0..1000).for_each(|n| Frame::Ping(n).encode(&mut pings));
    let talking = tokio::spawn(async move { while mouth.write_all(&pings).await.is_ok() {} });
    let hearing = tokio::spawn(async move {
        let mut answer = vec![0; 1 << 16];
        while ears.read(&mut answer).await.is_ok_and(|read| read > 0) {}
    });
    let start = std::time::Instant::now();
    for n in 0..100 {
        room[(flooded + 1) % 3].say(&format!("line {n}")).await;
        room[(flooded + 2) % 3].until("that line", |seen| seen.lines.len() > n).await;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "a line takes {:?}", start.elapsed() / 100);
    agree(&mut room, 100).await;
    talking.abort();
    hearing.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_talks_nonsense_after_its_hello_loses_its_link_with_one_word() {
    let mut room = Member::room_with(2, None).await;
    for _ in 0..5 {
        let mut peer = introduced(room[0].address).await;
        peer.write_all(b"{\"submit\":{\"stream\":\"\x1b[2J\"}}\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer).await;
    }
    room[1].say("hello").await;
    agree(&mut room, 1).await;
    room[0].until("a word about it", |seen| !seen.dropped.is_empty()).await;
    let dropped = room[0].dropped();
    assert_eq!(dropped.len(), 1, "{dropped:?}");
    assert!(dropped[0].1.chars().all(|c| !c.is_control()), "{dropped:?}");
}
