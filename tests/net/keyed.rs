//! Rooms with a key: nodes that get in, nodes that do not, and attackers on the way.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dist_chat::net::Command;
use dist_chat::net::transport::limits::UNGREETED_MAX;
use dist_chat::ring::{Frame, Refusal, RoomId, Start, Stop, Text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::room::{Member, agree, leader};
use crate::{introduced, resident};

const KEY: Option<u8> = Some(5);
/// The bytes of the preamble, of the first message and of its length.
const FIRST_BYTES: usize = 18 + 2 + 48;
/// The bytes of the third message and of its length.
const THIRD_BYTES: usize = 2 + 160;

fn join(n: u64, contact: SocketAddr, key: Option<u8>) -> Member {
    Member::start_with(n, Start::Join(vec![contact]), key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyed_room_talks_loses_its_leader_and_talks_on() {
    let mut room = Member::room_with(4, KEY).await;
    for n in 0..200 {
        room[n % 4].say(&format!("line {n}")).await;
    }
    agree(&mut room, 200).await;
    let at = leader(&room).await;
    room.remove(at).crash().await;
    for (n, member) in room.iter().enumerate() {
        member.say(&format!("{n} after a death")).await;
    }
    agree(&mut room, 203).await;
    room.push(join(9, room[0].address, KEY));
    for member in &room {
        member.members(4).await;
    }
    agree(&mut room, 203).await;
    for member in &room {
        assert!(member.dropped().is_empty(), "{:?}", member.dropped());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_sealed_in_few_records() {
    const LINES: usize = 10_000;
    let mut room = Member::room_with(3, KEY).await;
    let totals = |room: &[Member]| room.iter().map(|member| member.meter.writes()).sum::<u64>();
    let before = totals(&room);
    for n in 0..LINES {
        room[1].say(&format!("line {n}")).await;
    }
    agree(&mut room, LINES).await;
    let writes = totals(&room) - before;
    assert!(writes < LINES as u64 / 4, "{writes} writes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_another_key_or_none_is_refused_and_told_why_and_the_room_says_so_once() {
    let cases = [
        (KEY, Some(6), Refusal::WrongKey, "has another room key"),
        (KEY, None, Refusal::KeyNeeded, "has no room key, and this room has one"),
        (None, KEY, Refusal::NoKey, "has a room key, and this room has none"),
    ];
    for (theirs, mine, refusal, why) in cases {
        let mut room = Member::room_with(2, theirs).await;
        for n in 10..15 {
            assert_eq!(join(n, room[0].address, mine).ended().await, Stop::Refused(refusal.clone()));
        }
        room[0].until("a word about it", |seen| !seen.dropped.is_empty()).await;
        let dropped: Vec<_> = room[0].dropped().into_iter().map(|(_, why)| why).collect();
        assert_eq!(dropped, [why]);
        room[1].say("nobody came").await;
        agree(&mut room, 1).await;
        assert_eq!(room[0].members(2).await.members.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_of_another_key_at_a_members_address_counts_as_nobody() {
    for theirs in [Some(6), None] {
        let mut room = Member::room_with(2, KEY).await;
        let lost = room.remove(0);
        let address = lost.address;
        lost.crash().await;
        let mut other = Member::start_on(rebind(address).await, 20, Start::Create(RoomId(8)), theirs);
        other.until("it has founded a room", |seen| seen.entered).await;
        room[0].members(1).await;
        room[0].say("alone").await;
        agree(&mut room, 1).await;
        room[0].until("a word about it", |seen| !seen.dropped.is_empty()).await;
        let word =
            if theirs.is_some() { "says that its room has another key" } else { "says that its room has no key" };
        assert_eq!(room[0].dropped(), [(address.to_string(), word.to_owned())]);
        other.members(1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_room_at_whose_members_address_there_is_a_keyed_one_goes_on_alone() {
    let mut room = Member::room(2).await;
    let lost = room.remove(0);
    let address = lost.address;
    lost.crash().await;
    let mut other = Member::start_on(rebind(address).await, 20, Start::Create(RoomId(8)), KEY);
    other.until("it has founded a room", |seen| seen.entered).await;
    room[0].members(1).await;
    room[0].until("a word about it", |seen| !seen.dropped.is_empty()).await;
    assert_eq!(room[0].dropped(), [(address.to_string(), "says that its room has a key".to_owned())]);
}

/// Binds the port of a node that has just died.
async fn rebind(address: SocketAddr) -> std::net::TcpListener {
    for _ in 0..500 {
        match std::net::TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("{address} is never free");
}

/// An attacker on the way to a node: it keeps all bytes that pass, and may change them.
struct Between {
    address: SocketAddr,
    /// For each connection, the bytes from the dialling node and the bytes to it.
    kept: Arc<Mutex<Vec<[Vec<u8>; 2]>>>,
}

impl Between {
    /// Starts the attacker. With `flip` it flips a bit on the first connection: in the bytes from the dialling node (0)
    /// or to it (1), at this place.
    fn start(node: SocketAddr, flip: Option<(usize, usize)>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let kept: Arc<Mutex<Vec<[Vec<u8>; 2]>>> = Arc::default();
        let keeping = Arc::clone(&kept);
        tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            for which in 0.. {
                let Ok((dialler, _)) = listener.accept().await else { return };
                let Ok(door) = TcpStream::connect(node).await else { continue };
                keeping.lock().unwrap().push(Default::default());
                let (said, heard) = (dialler.into_split(), door.into_split());
                for (way, (mut from, mut to)) in [(said.0, heard.1), (heard.0, said.1)].into_iter().enumerate() {
                    let (kept, flip) = (Arc::clone(&keeping), flip.filter(|_| which == 0));
                    tokio::spawn(async move {
                        let mut bytes = vec![0; 1 << 16];
                        while let Ok(read @ 1..) = from.read(&mut bytes).await {
                            let before = {
                                let kept = &mut kept.lock().unwrap()[which][way];
                                kept.extend_from_slice(&bytes[..read]);
                                kept.len() - read
                            };
                            match flip {
                                Some((flipped, at)) if flipped == way && (before..before + read).contains(&at) => {
                                    bytes[at - before] ^= 1;
                                }
                                Some(_) | None => {}
                            }
                            if to.write_all(&bytes[..read]).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            }
        });
        Self { address, kept }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_first_line_is_said_in_clear() {
    let secret = "do you know the way to San Jose? ".repeat(20);
    let mut room = vec![Member::start_with(1, Start::Create(RoomId(7)), KEY)];
    let between = Between::start(room[0].address, None);
    room.push(join(2, between.address, KEY));
    for member in &room {
        member.members(2).await;
    }
    for member in &room {
        member.say(&secret).await;
    }
    agree(&mut room, 2).await;
    let kept = between.kept.lock().unwrap().clone();
    assert!(kept[0].iter().all(|bytes| bytes.len() > 500), "the link runs over it");
    assert!(kept[0][0].starts_with(b"dist-chat 4 keyed\n"));
    for bytes in kept.iter().flatten() {
        for clear in ["San Jose", "hello", "node1", "node2", "127.0.0.1", "{\"ping\":"] {
            assert!(!bytes.windows(clear.len()).any(|window| window == clear.as_bytes()), "{clear}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_flipped_within_the_handshake_keeps_a_stranger_out_and_a_second_try_gets_in() {
    let mut room = Member::room_with(2, KEY).await;
    // The bit lies in the first message, the second, the third, or the hello. The joining node tries again by itself.
    for (n, flip) in [(0, FIRST_BYTES - 1), (1, 100), (0, FIRST_BYTES + 20), (0, FIRST_BYTES + THIRD_BYTES + 30)]
        .into_iter()
        .enumerate()
    {
        let between = Between::start(room[0].address, Some(flip));
        let mut joiner = join(30 + n as u64, between.address, KEY);
        if flip.1 == FIRST_BYTES - 1 {
            // The joining node cannot tell this refusal from a true one.
            assert_eq!(joiner.ended().await, Stop::Refused(Refusal::WrongKey));
            continue;
        }
        joiner.until("it is in the room", |seen| seen.entered).await;
        assert!(between.kept.lock().unwrap().len() > 1, "its first connection was cut: {flip:?}");
        assert_eq!(joiner.leave().await, Stop::Left { waiting: 0 });
    }
    room[1].say("still here").await;
    agree(&mut room, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bit_flipped_on_a_members_link_costs_that_link_and_the_room_goes_on() {
    for way in [0, 1] {
        let mut room = vec![Member::start_with(1, Start::Create(RoomId(7)), KEY)];
        let between = Between::start(room[0].address, Some((way, 6000)));
        room.push(join(2, between.address, KEY));
        for member in &room {
            member.members(2).await;
        }
        for n in 0..100 {
            room[n % 2].say(&format!("line {n}, which is not a short one, so that the link carries something")).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        agree(&mut room, 100).await;
        let spoilt = &mut room[usize::from(way == 1)];
        spoilt.until("a word about it", |seen| !seen.dropped.is_empty()).await;
        assert_eq!(spoilt.dropped()[0].1, "sends what was not sealed for this link");
        for member in &room {
            member.members(2).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_a_good_session_gets_nowhere() {
    let mut room = vec![Member::start_with(1, Start::Create(RoomId(7)), KEY)];
    let between = Between::start(room[0].address, None);
    room.push(join(2, between.address, KEY));
    room[1].say("once").await;
    agree(&mut room, 1).await;
    let said = between.kept.lock().unwrap()[0][0].clone();
    for (there, answered) in [(0, false), (1, true)] {
        let mut peer = TcpStream::connect(room[there].address).await.unwrap();
        peer.write_all(&said).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(Duration::from_secs(10), peer.read_to_end(&mut answer)).await.unwrap();
        // Another node may take the recorded first message for a new one, but the attacker cannot go on from there.
        assert!(answer.is_empty() || answered && answer.len() == 194, "{} bytes", answer.len());
    }
    room[0].until("a word about it", |seen| !seen.dropped.is_empty()).await;
    assert_eq!(room[0].dropped()[0].1, "repeats what it has recorded");
    room[1].until("a word about it", |seen| !seen.dropped.is_empty()).await;
    assert_eq!(room[1].dropped()[0].1, "sends what was not sealed for this link");
    agree(&mut room, 1).await;
}

/// Opens silent connections, connections that send a byte a second, and handshakes that lead nowhere, without an end.
async fn flood(door: SocketAddr, recorded: Vec<u8>) {
    let mut silent = VecDeque::new();
    let mut slow = VecDeque::new();
    let mut second = Instant::now();
    for n in 0_usize.. {
        let Ok(mut peer) = TcpStream::connect(door).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        match n % 4 {
            0 | 1 => silent.push_back(peer),
            2 => slow.push_back(peer),
            _ => {
                let mut said = recorded.clone();
                if n % 8 == 3 {
                    said[FIRST_BYTES - 1] ^= 1;
                }
                let _ = peer.write_all(&said).await;
                silent.push_back(peer);
            }
        }
        if silent.len() > 2000 {
            silent.pop_front();
        }
        if slow.len() > 200 {
            slow.pop_front();
        }
        if second.elapsed() > Duration::from_secs(1) {
            second = Instant::now();
            for peer in &mut slow {
                let _ = peer.write_all(b"d").await;
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_the_members_own_address_does_no_harm_even_while_they_elect() {
    let mut room = Member::room_with(3, KEY).await;
    let between = Between::start(room[0].address, None);
    let recorded = join(8, between.address, KEY);
    recorded.members(4).await;
    let said = between.kept.lock().unwrap()[0][0][..FIRST_BYTES].to_vec();
    assert_eq!(recorded.leave().await, Stop::Left { waiting: 0 });
    for member in &room {
        member.members(3).await;
    }
    let before = resident();
    let floods: Vec<_> = room.iter().map(|member| tokio::spawn(flood(member.address, said.clone()))).collect();
    let start = Instant::now();
    for n in 0..100 {
        room[n % 3].say(&format!("line {n}")).await;
        room[(n + 1) % 3].until("that line", |seen| seen.lines.len() > n).await;
    }
    assert!(start.elapsed() < Duration::from_secs(10), "a line takes {:?}", start.elapsed() / 100);
    agree(&mut room, 100).await;
    for member in &room {
        assert!(member.meter.ungreeted() <= UNGREETED_MAX);
        assert_eq!(member.members(3).await.members.len(), 3);
    }
    // The members must make new links while the flood goes on.
    let at = leader(&room).await;
    room.remove(at).crash().await;
    room[0].say("after a death").await;
    agree(&mut room, 101).await;
    for member in &room {
        member.members(2).await;
    }
    floods.iter().for_each(tokio::task::JoinHandle::abort);
    let grown = resident().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes, the flood's own sockets included");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_cost_a_few_kibibytes_each() {
    let room = Member::room_with(1, KEY).await;
    let between = Between::start(room[0].address, None);
    let recorded = join(8, between.address, KEY);
    recorded.members(2).await;
    let said = between.kept.lock().unwrap()[0][0].clone();
    let before = resident();
    let mut crowd = Vec::new();
    for n in 0..400_usize {
        let mut peer = TcpStream::connect(room[0].address).await.unwrap();
        // Each connection sends as much as it may, and none completes its first message.
        let mut part = said[..FIRST_BYTES - n % 40 - 1].to_vec();
        if n % 2 == 0 {
            part = vec![b'x'; 4095];
        }
        peer.write_all(&part).await.unwrap();
        crowd.push(peer);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let grown = resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_in_clear_learns_that_there_is_a_key_and_no_more() {
    let room = Member::room_with(2, KEY).await;
    let mut answer = Vec::new();
    introduced(room[0].address).await.read_to_end(&mut answer).await.unwrap();
    assert_eq!(Frame::decode(&answer).unwrap(), Frame::Refuse(Refusal::KeyNeeded));
    for (said, heard) in [
        (&b"dist-chat 4 salt\n"[..], &b"dist-chat 4 salt none\n"[..]),
        (b"dist-chat 1 keyed\n", b"dist-chat 4 version\n"),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
    ] {
        let mut peer = TcpStream::connect(room[0].address).await.unwrap();
        peer.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer).await;
        assert_eq!(answer, heard);
    }
}

/// Every member gets the new key, also when the leader dies meanwhile; the room refuses a node with the old key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_changes_its_key_shuts_out_who_was_not_given_the_new_one() {
    for leader_dies in [false, true] {
        let mut room = Member::room_with(4, KEY).await;
        room[1].say("before").await;
        agree(&mut room, 1).await;
        let at = leader(&room).await;
        let by = (at + 1) % 4;
        let (taken, answer) = oneshot::channel();
        let rekey = Command::Rekey(Text::parse("/rekey").unwrap(), taken);
        room[by].commands.send(rekey).await.unwrap();
        assert!(answer.await.unwrap(), "a line says so");
        if leader_dies {
            room.remove(at).crash().await;
        }
        let mut keys = Vec::new();
        for member in &mut room {
            keys.push(timeout(Duration::from_secs(10), member.rekeyed.recv()).await.unwrap().unwrap());
        }
        assert!(keys.iter().all(|key| *key == keys[0]));
        // The line that changes the key counts as a line.
        room[0].say("after").await;
        agree(&mut room, 3).await;

        let late = join(8, room[0].address, KEY).ended().await;
        assert_eq!(late, Stop::Refused(Refusal::WrongKey));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap().into_std().unwrap();
        let start = Start::Join(vec![room[0].address]);
        room.push(Member::start_holding(listener, 9, start, keys.pop()));
        agree(&mut room, 3).await;
        // New links use the new key.
        let at = leader(&room).await;
        room.remove(at).crash().await;
        room[0].say("still here").await;
        agree(&mut room, 4).await;
    }
}
