//! `docs/wire.rst`: one example of every frame, as the codec writes it.

use std::sync::Arc;

use dist_chat::ring::{
    Accept, Ack, Act, AuthorId, Backlog, Batch, Body, Channel, Ciphertext, Digest, Elected, Emoji, Entries, Entry,
    Epoch, EpochBound, Frame, HealthReport, Hello, Index, Join, Lamport, Line, LineId, Member, MergeOffer, MergeRank,
    Name, NodeState, Nonce, Note, Offer, PmId, PmProof, PmReceipt, PmReply, PollReply, PrivateMessage, Refusal, Relay,
    RoomId, RunSignature, Secret, SessionId, Signature, StreamId, Subject, Submit, Tail, Text, Throttle, Token, Uid,
    WallMs, Want, limits,
};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::limits::folded;
use crate::source::{documented, item};

/// The head of the page.
const HEAD: &str = "\
.. Made by a test: UPDATE=1 cargo test --test pages writes it again.

Frames on the wire
==================

One example of every frame, as the codec writes it. :doc:`protocol` says when a node sends which frame; the doc
comments of ``enum Frame`` and of its types say what each field means.

One frame is one line of JSON, at most 1 MiB, ended by a line feed. This page folds long frames. In a room with a key
the same bytes travel in encrypted records (:doc:`security`). Random numbers of 64 bits are strings of 16 hexadecimal
digits, since numbers in a browser are exact only up to 2^53.

Short keys save bytes where many entries travel together:

=========  ============================================================================================================
key        meaning
=========  ============================================================================================================
``r``      the round of an epoch
``l``      in an epoch: its leader; in an entry: its Lamport time; in an epoch bound: the last index of that epoch
``o``      the nonce of an epoch
``e``      an epoch
``i``      an index
``w``      the leader's wall clock in milliseconds since 1970
``who``    the authors of a batch, each once: ``a`` author, ``s`` session, ``by`` name, ``at`` address
``f``      the place of a line's author in ``who``
``n``      the number of a line in its session
``t``      in a line: the author's Lamport clock when the user typed it; in a report: the round trip in microseconds
``say``    the text of a line
``in``     the channel of a line, where that is not the lobby
``do``     the act of a line: what it does besides being shown
``seal``   the signature at the end of a signed run: ``of`` how many lines, ``by`` the signature
``u``      a member
``b``      the number of entries that a member is not known to hold
=========  ============================================================================================================
";

fn uid(last: u16) -> Uid {
    format!("127.0.0.1:500{last}").parse().unwrap()
}

fn epoch(round: u64, leader: u16) -> Epoch {
    Epoch { round, leader: uid(leader), nonce: Nonce(0xe0 + u64::from(leader) - if leader == 3 { 1 } else { 0 }) }
}

fn first() -> Epoch {
    Epoch { nonce: Nonce(0xe1), ..epoch(1, 1) }
}

fn second() -> Epoch {
    Epoch { nonce: Nonce(0xe2), ..epoch(2, 3) }
}

fn third() -> Epoch {
    Epoch { nonce: Nonce(0xe3), ..epoch(3, 2) }
}

fn tail() -> Tail {
    Tail { epoch: Some(first()), index: Index(7) }
}

const ANN: AuthorId = AuthorId::of_bits(0xa0);
const BOB: AuthorId = AuthorId::of_bits(0xb0);
const ROOM: RoomId = RoomId(0x9c64_fe9d_ffcd_053c);

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn signed(of: u32) -> Option<RunSignature> {
    Some(RunSignature { of, by: Signature([0x5e; 64]) })
}

fn line(author: AuthorId, n: u64, lamport: u64, text: &str) -> Line {
    let (session, by, at) = match author {
        ANN => (0xa1, "ann", 1),
        _ => (0xb1, "bob", 2),
    };
    Line {
        id: LineId { author, session: SessionId(session), n },
        lamport: Lamport(lamport),
        name: name(by),
        uid: uid(at),
        text: Text::parse(text).unwrap(),
        channel: None,
        act: None,
        signature: signed(1),
    }
}

fn entry(index: u64, lamport: u64, wall: u64, body: Body) -> Arc<Entry> {
    let wall = WallMs(1_763_644_800_000 + wall);
    Arc::new(Entry { epoch: first(), index: Index(index), lamport: Lamport(lamport), wall, body })
}

fn said(line: Line) -> Body {
    Body::Line(Arc::new(line))
}

/// The examples in the order of the page, in groups.
#[expect(clippy::too_many_lines, reason = "one table: a frame, and its example")]
fn examples() -> Vec<(&'static str, Vec<Frame>)> {
    let ann = Member { uid: uid(1), name: name("ann"), author: ANN };
    let span = EpochBound { epoch: first(), last: Index(5) };
    let weight = |followers, epoch| MergeRank { followers, established: true, epoch };
    let ring = || vec![uid(2), uid(3)];
    let answer = |state, tail, round| Frame::PollReply(PollReply { state, tail, round });
    let following = NodeState::Following { epoch: first(), heard_ms: 120, relay: true };
    let stream = StreamId(4);
    let session = SessionId(0xb1);
    let own = LineId { author: BOB, session, n: 2 };
    let like = Act::React { to: line(ANN, 1, 4, "x").id, with: Emoji::like(), on: true };
    let plain = |n, lamport, text| Line { signature: None, ..line(BOB, n, lamport, text) };
    let topic =
        Line { channel: Channel::parse("ops").unwrap(), act: Some(Act::Topic), ..plain(3, 11, "/topic Deploy at six") };
    let liked = Line { act: Some(like), signature: signed(2), ..plain(4, 12, "/like 3") };
    let ciphertext = Ciphertext::new(vec![0x5e; 8]).unwrap();
    let id = PmId(0xf1);
    vec![
        (
            "Who is there",
            vec![
                Frame::Hello(Hello {
                    version: limits::PROTOCOL_VERSION,
                    room: Some(ROOM),
                    uid: uid(2),
                    author: BOB,
                    session,
                }),
                Frame::Refuse(Refusal::Name(name("ann-2"))),
                Frame::Ping(1_234_567),
                Frame::Pong(1_234_567),
                Frame::Adjacent(true),
                Frame::NextIs(uid(2)),
            ],
        ),
        (
            "The leader poll",
            vec![
                Frame::LeaderPoll,
                answer(NodeState::Leading { epoch: first(), followers: 2 }, tail(), 1),
                answer(following, tail(), 1),
                answer(NodeState::Bootstrapping, Tail::default(), 0),
            ],
        ),
        (
            "Joining",
            vec![
                Frame::Join(Join {
                    attempt: 1,
                    name: name("bob"),
                    rename: false,
                    epoch_bounds: vec![span],
                    complete: true,
                    tail: Index(5),
                    caught_up: true,
                    promise: Some(first()),
                    lamport: Lamport(9),
                    backlog: Some(1000),
                }),
                Frame::MoreEpochBounds,
                Frame::Accept(Accept {
                    attempt: 1,
                    room: ROOM,
                    stream,
                    epoch: second(),
                    common: Index(5),
                    tail: Tail { epoch: Some(second()), index: Index(7) },
                    name: name("bob"),
                    watermark: 1,
                    members: vec![uid(1), uid(3)],
                    lines: 2,
                    backlog: false,
                }),
                Frame::Redirect(uid(3)),
                Frame::Wait,
                Frame::NoLeader,
                Frame::Backlog(Backlog {
                    batch: Batch {
                        entries: vec![entry(4, 5, 1000, said(line(ANN, 1, 4, "good morning, I opened this room")))],
                    },
                    skip: 0,
                    last: true,
                }),
            ],
        ),
        (
            "The log",
            vec![
                Frame::Entries(Entries {
                    prev: Tail::default(),
                    batch: Batch {
                        entries: vec![
                            entry(1, 1, 0, Body::Note(Note::Elected(ann))),
                            entry(2, 3, 1000, said(line(ANN, 1, 2, "good morning"))),
                        ],
                    },
                }),
                Frame::Ack(Ack { stream, index: Index(7) }),
                Frame::StableIndex(Index(7)),
                Frame::Offer(Offer { stream, lines: vec![own] }),
                Frame::Want(Want { stream, places: vec![0] }),
                Frame::Submit(Submit { stream, lines: vec![Arc::new(line(BOB, 2, 10, "good morning, ann"))] }),
                Frame::Submit(Submit { stream, lines: vec![Arc::new(topic), Arc::new(liked)] }),
                Frame::Throttle(Throttle { stream, after: 1, wait_ms: 250 }),
                Frame::Leave(stream),
                Frame::KeyRequest(Digest([0xd1; 32])),
                Frame::Key(Secret::new("...").unwrap()),
            ],
        ),
        (
            "Elections",
            vec![
                Frame::Token(Token {
                    round: 2,
                    candidate: uid(3),
                    tail: tail(),
                    holder: uid(2),
                    caught_up: true,
                    hops: 1,
                    ring: ring(),
                }),
                Frame::TokenAck { round: 2, candidate: uid(3) },
                Frame::Swallowed { round: 2, known: 3, following: Some((third(), 120)) },
                Frame::Elected(Elected { epoch: second(), ring: ring(), hops: Some(1) }),
                Frame::Fetch(vec![span]),
                Frame::Common(Some((Index(5), tail()))),
                Frame::Pull(Index(5)),
                Frame::Pulled(Batch { entries: Vec::new() }),
            ],
        ),
        (
            "Two leaders, and the end of one",
            vec![
                Frame::MergeOffer(MergeOffer { mine: weight(2, second()), yours: None }),
                Frame::MergeAccepted(MergeOffer { mine: weight(1, third()), yours: Some(weight(2, second())) }),
                Frame::StepDown(second()),
                Frame::RivalLeader(second()),
                Frame::Handover(3),
            ],
        ),
        (
            "Beside the log",
            vec![
                Frame::PrivateMessage(PrivateMessage { id, from: BOB, to: ANN, ciphertext }),
                Frame::PmReceipt(PmReceipt { id, from: BOB, to: ANN, reply: PmReply::Opened(PmProof([0x70; 16])) }),
                Frame::HealthQuery,
                Frame::HealthReply(vec![
                    HealthReport { uid: uid(1), round_trip: Some(180), behind: Some(0) },
                    HealthReport { uid: uid(2), round_trip: None, behind: Some(3) },
                ]),
            ],
        ),
        (
            "Through a relay",
            vec![Frame::Relay(Relay {
                from: uid(2),
                to: uid(1),
                opener: true,
                frame: Some(Box::new(Frame::Ping(1_234_567))),
            })],
        ),
    ]
}

fn encoded(frame: &Frame) -> String {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    assert_eq!(&Frame::decode(&bytes).unwrap(), frame);
    String::from_utf8(bytes).unwrap().trim_end().to_owned()
}

/// The name of a frame in its JSON.
fn key(json: &str) -> &str {
    json.split('"').nth(1).unwrap()
}

/// A frame in lines of at most 113 columns, where a comma allows it.
fn lines(json: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut rest, mut room) = (json, 113);
    while rest.len() > room {
        let mut quoted = false;
        let mut end = None;
        for (at, c) in rest.char_indices() {
            quoted ^= c == '"';
            if !quoted && c == ',' && (at < room || end.is_none()) {
                end = Some(at + 1);
            }
        }
        let Some(end) = end else { break };
        lines.push(rest[..end].to_owned());
        rest = &rest[end..];
        room = 112;
    }
    lines.push(rest.to_owned());
    lines.iter().enumerate().map(|(at, line)| if at == 0 { line.clone() } else { format!(" {line}") }).collect()
}

/// The names of all frames, as the codec knows them.
pub fn kinds() -> Vec<String> {
    variants::<Frame>()
}

/// The names of an enum's variants in JSON.
fn variants<T: DeserializeOwned>() -> Vec<String> {
    let error = serde_json::from_str::<T>("\"nonesuch\"").map(drop).unwrap_err().to_string();
    let all = error.split_once("expected one of ").unwrap().1;
    all.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The variants of an enum with their doc comments.
fn meanings(head: &str) -> Vec<(String, String)> {
    let variant = |line: &'static str| {
        let name = line.strip_prefix("    ").filter(|line| line.starts_with(char::is_uppercase))?;
        name.split(|c: char| !c.is_alphanumeric()).next()
    };
    let body: &'static str = item("src/ring", head).leak();
    documented(body, variant).into_iter().map(|(_, name, meaning)| (snake(name), meaning)).collect()
}

/// Adds a group of values that stand inside frames, one of each variant.
fn group<T: Serialize + DeserializeOwned>(page: &mut String, heading: &str, words: &str, head: &str, values: &[T]) {
    let meanings = meanings(head);
    let all: Vec<String> = values.iter().map(|value| serde_json::to_string(value).unwrap()).collect();
    assert_eq!(all.iter().map(|json| key(json)).collect::<Vec<_>>(), variants::<T>(), "{heading}");
    page.push_str(&format!("\n{heading}\n{}\n\n{words}\n", "-".repeat(heading.len())));
    for json in all {
        let (_, meaning) = meanings.iter().find(|(name, _)| name == key(&json)).unwrap();
        page.push_str(&format!("\n``{}``\n", key(&json)));
        folded(meaning).iter().for_each(|line| page.push_str(&format!("   {line}\n")));
        page.push_str("\n   ::\n\n");
        lines(&json).iter().for_each(|line| page.push_str(&format!("      {line}\n")));
    }
}

/// Adds the parts of frames to the page.
fn push_parts(page: &mut String) {
    let subject = || Subject { author: BOB, name: Some(name("bob")) };
    let to = line(ANN, 1, 4, "x").id;
    let acts = [
        Act::Moderators(vec![ANN]),
        Act::Kick(subject()),
        Act::Ban(subject()),
        Act::Unban(subject()),
        Act::Rekey(Digest([0xd1; 32])),
        Act::Me,
        Act::Reply(to),
        Act::React { to, with: Emoji::like(), on: true },
        Act::Nick(name("anna")),
        Act::Topic,
        Act::Away,
    ];
    let words = "The value of ``do`` in a line.";
    group(page, "Acts", words, "pub enum Act", &acts);
    let member = Member { uid: uid(2), name: name("bob"), author: BOB };
    let notes = [
        Note::Elected(member.clone()),
        Note::Joined(member),
        Note::Left { uid: uid(2), lost: true },
        Note::Forged { uid: uid(2), of: Some(name("ann")) },
    ];
    let words = "The value of ``note`` in an entry.";
    group(page, "Notes", words, "pub enum Note", &notes);
    let evicted = |how: &str| serde_json::from_value(json!({how: {"by": "ann", "say": "/kick bob"}})).unwrap();
    let refusals = [
        Refusal::Version(limits::PROTOCOL_VERSION),
        Refusal::Room(ROOM),
        Refusal::Name(name("ann-2")),
        Refusal::Full,
        Refusal::SameAddress,
        Refusal::Forger,
        evicted("kicked"),
        evicted("banned"),
        Refusal::Protocol,
        Refusal::KeyNeeded,
        Refusal::WrongKey,
        Refusal::NoKey,
    ];
    let words = "The value of ``refuse``.";
    group(page, "Reasons of a refusal", words, "pub enum Refusal", &refusals);
}

/// The name of a variant in JSON.
fn snake(name: &str) -> String {
    name.char_indices().fold(String::new(), |word, (at, c)| {
        let gap = if at > 0 && c.is_uppercase() { "_" } else { "" };
        word + gap + &c.to_lowercase().to_string()
    })
}

#[test]
fn the_page_of_frames_is_what_the_codec_writes() {
    let meanings = meanings("pub enum Frame");
    let mut page = HEAD.to_owned();
    let mut shown = Vec::new();
    for (group, frames) in examples() {
        page.push_str(&format!("\n{group}\n{}\n", "-".repeat(group.len())));
        for frame in frames {
            let json = encoded(&frame);
            let key = key(&json).to_owned();
            if !shown.contains(&key) {
                let (_, meaning) = meanings.iter().find(|(name, _)| *name == key).unwrap();
                page.push_str(&format!("\n.. _frame-{}:\n", key.replace('_', "-")));
                page.push_str(&format!("\n``{key}``\n{}\n\n", "^".repeat(key.len() + 4)));
                page.push_str(&folded(meaning).join("\n"));
                page.push('\n');
                shown.push(key);
            }
            page.push_str("\n::\n\n");
            lines(&json).iter().for_each(|line| page.push_str(&format!("   {line}\n")));
        }
    }
    for kind in kinds() {
        assert!(shown.contains(&kind), "no example of {kind} in tests/pages/frames.rs");
    }
    push_parts(&mut page);
    crate::check("wire.rst", &page);
}
