//! Three nodes, one chat, no sockets: the least that a driver of the core does. `cargo run --example in_memory_ring`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::sync::Arc;

use dist_chat::ring::{
    AuthorId, Config, ConnId, Draft, Event, Input, Name, Node, Now, Output, Rate, ReadReply, Record, RoomId,
    SavedState, SessionId, Signature, Signer, Start, Text, Time, Timing, Uid, WallMs,
};

/// A program signs its lines and checks each line that arrives. Here no line leaves the process.
#[derive(Debug)]
struct Unsigned;

impl Signer for Unsigned {
    fn sign(&self, _: &[u8]) -> Signature {
        Signature([0; 64])
    }
}

fn uid(host: u8) -> Uid {
    Uid(([127, 0, 0, 1], u16::from(host) + 1).into())
}

#[rustfmt::skip]
fn node(host: u8, name: &str, start: Start) -> Result<Node, Box<dyn Error>> {
    let (author, session, seed) = (AuthorId::of_bits(host.into()), SessionId(host.into()), host.into());
    Ok(Node::new(Config {
        uid: uid(host), name: Name::parse(name)?, rename: true, author, signer: Arc::new(Unsigned), session, seed, start,
        saved: SavedState::default(), key: None, rate: Rate::DEFAULT, moderators: vec![], backlog: 0, timing: Timing::default(),
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let join = || Start::Join(vec![uid(0).0]);
    let mut nodes = [node(0, "ann", Start::Create(RoomId(7)))?, node(1, "bob", join())?, node(2, "cid", join())?];
    // For each end of a connection the other end: a host, and the connection's id there.
    let mut ends = BTreeMap::<(usize, ConnId), (usize, ConnId)>::new();
    let mut inputs = VecDeque::from([(0, Input::Tick), (1, Input::Tick), (2, Input::Tick)]);
    let (mut micros, mut accepted, mut logs) = (0, 0, [const { Vec::new() }; 3]);
    while micros < 1_000_000 {
        // Where nothing is on its way, the clock moves on to the earliest deadline.
        let (me, input) = inputs.pop_front().unwrap_or_else(|| {
            let next = (0..3).min_by_key(|n| nodes[*n].deadline()).unwrap_or(0);
            micros = nodes[next].deadline().0.max(micros);
            (next, Input::Tick)
        });
        for output in nodes[me].step(Now { mono: Time(micros), wall: WallMs(micros / 1000) }, input) {
            match output {
                Output::Dial(id, address) => {
                    accepted += 1;
                    let (peer, there) = (usize::from(address.port() - 1), ConnId::accepted(accepted));
                    ends.extend([((me, id), (peer, there)), ((peer, there), (me, id))]);
                    inputs.extend([(me, Input::Dialled(id)), (peer, Input::Accepted(there))]);
                }
                Output::Send(ids, frame) => {
                    let peers = ids.iter().filter_map(|id| ends.get(&(me, *id)));
                    inputs.extend(peers.map(|(peer, id)| (*peer, Input::Frame(*id, (*frame).clone()))));
                }
                Output::Close(id) => inputs.extend(ends.remove(&(me, id)).map(|(peer, id)| (peer, Input::Closed(id)))),
                Output::Save(Record::Append(entries)) => logs[me].extend(entries),
                // The core holds recent entries itself; it asks the store for older ones. Here are none.
                Output::Read(id, _) => inputs.push_back((me, Input::Read(id, ReadReply::Log(vec![])))),
                Output::Persist(id) => inputs.push_back((me, Input::Persisted { id, kept: true })),
                Output::Event(Event::Entered { name, .. }) => {
                    let text = Text::parse(&format!("hello from {name}")).map_err(|error| format!("{error:?}"))?;
                    inputs.push_back((me, Input::Submit(vec![Draft { text, channel: None, act: None }])));
                }
                Output::Event(event) => println!("{micros:>7} us, host {me}: {event:?}"),
                _ => {} // A real driver also writes other records, cuts its log after a partition, and stops.
            }
        }
    }
    assert!(logs.iter().all(|log| *log == logs[0] && log.len() == 6), "every node has the same log");
    println!("{} entries, the same on all three nodes", logs[0].len());
    Ok(())
}
