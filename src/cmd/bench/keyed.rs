//! Measures the cost of a room key: the same room with and without one, in one run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::lab::{Lab, start_node, wait_until};
use super::payload::text;
use super::plan::{FULL_NODES, LATENCY_RATE, Plan, median, percentile};
use super::scan::number;
use super::table::{Aim, Table, rate, time};
use super::times::Times;
use crate::key::{PSK_BYTES, RoomKey};
use crate::net::{Command, Notice};
use crate::ring::{Event, RoomId, Start, Stop};

/// A key, and none.
const BOTH: [Option<[u8; PSK_BYTES]>; 2] = [Some([7; PSK_BYTES]), None];

/// A room of real nodes in this process, with stores in memory. Dropping it ends all nodes.
struct KeyedRoom {
    members: Vec<KeyedMember>,
    /// Lines that all members together have shown.
    shown: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

struct KeyedMember {
    commands: mpsc::Sender<Command>,
    _urgent: mpsc::Sender<Command>,
    running: JoinHandle<anyhow::Result<Stop>>,
}

impl Drop for KeyedMember {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl KeyedRoom {
    fn form(lab: &Lab, psk: Option<[u8; PSK_BYTES]>, times: Option<&Arc<Times>>) -> anyhow::Result<Self> {
        let mut room = Self { members: Vec::new(), shown: Arc::default(), _tasks: JoinSet::new() };
        let entered = Arc::new(AtomicUsize::new(0));
        let mut contact = None;
        for k in 0..FULL_NODES {
            let address = room.add(lab, k, contact, psk, times, &entered)?;
            contact.get_or_insert(address);
            wait_until("a member is in the room", || Ok(entered.load(Ordering::SeqCst) > k))?;
        }
        Ok(room)
    }

    fn add(
        &mut self,
        lab: &Lab,
        k: usize,
        contact: Option<SocketAddr>,
        psk: Option<[u8; PSK_BYTES]>,
        times: Option<&Arc<Times>>,
        entered: &Arc<AtomicUsize>,
    ) -> anyhow::Result<SocketAddr> {
        let start = match contact {
            Some(contact) => Start::Join(vec![contact]),
            None => Start::Create(RoomId(getrandom::u64()?)),
        };
        let key = psk.map(|psk| RoomKey::new(psk, None));
        let (address, running) = start_node(lab, &format!("node{k}"), start, key)?;
        let _within = lab.room.enter();
        let mut notices = running.notices;
        let (shown, times, entered) = (Arc::clone(&self.shown), times.cloned(), Arc::clone(entered));
        let hear = async move {
            while let Some(batch) = notices.recv().await {
                for notice in batch {
                    match notice {
                        Notice::Event(Event::Line(entry)) => {
                            let said = entry.line().and_then(|line| number(line.text.as_str().as_bytes()));
                            if let (Some(times), Some(n)) = (&times, said) {
                                times.delivered(n, n);
                            }
                            shown.fetch_add(1, Ordering::Relaxed);
                        }
                        Notice::Event(Event::Entered { .. }) => drop(entered.fetch_add(1, Ordering::SeqCst)),
                        Notice::Event(_)
                        | Notice::PrivateMessage { .. }
                        | Notice::Clock(_)
                        | Notice::Health(_)
                        | Notice::PeerDropped { .. } => {}
                    }
                }
            }
        };
        self._tasks.spawn_on(hear, lab.readers.handle());
        let (commands, urgent) = (running.commands, running.urgent);
        self.members.push(KeyedMember { commands, _urgent: urgent, running: running.done });
        Ok(address)
    }
}

/// Measures the cost of a key and adds it to the table.
pub fn measure(lab: &Lab, plan: &Plan, table: &mut Table) -> anyhow::Result<()> {
    let (mut rates, mut p50, mut p99) =
        ([const { Vec::new() }; 2], [const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for _ in 0..plan.rounds {
        for (k, psk) in BOTH.into_iter().enumerate() {
            let micros = latency(lab, plan, psk)?;
            p50[k].push(median(&micros));
            p99[k].push(percentile(&micros, 99.0));
        }
        for (k, psk) in BOTH.into_iter().enumerate() {
            rates[k].push(flat_out(lab, plan, psk)?);
        }
    }
    table.part(&format!("the key's cost, {FULL_NODES} nodes in memory"), &["lines/s", "p50", "p99"]);
    for (k, label) in ["with a room key", "without"].into_iter().enumerate() {
        let cells = [rate(median(&rates[k])), time(median(&p50[k])), time(median(&p99[k]))];
        table.row(&format!("{label}; p50, p99 at {LATENCY_RATE} lines/s"), &cells);
    }
    let ratio = |of: &[Vec<f64>; 2]| median(&of[0]) / median(&of[1]);
    table.ratio("lines/s with a key / without", ratio(&rates), Aim::AtLeast(0.8));
    table.ratio(&format!("p50 at {LATENCY_RATE} lines/s, with a key / without"), ratio(&p50), Aim::AtMost(1.2));
    table.ratio(&format!("p99 at {LATENCY_RATE} lines/s, with a key / without"), ratio(&p99), Aim::AtMost(1.2));
    Ok(())
}

/// Lines a second that all members together show while every member submits as fast as the room takes lines.
fn flat_out(lab: &Lab, plan: &Plan, psk: Option<[u8; PSK_BYTES]>) -> anyhow::Result<f64> {
    let room = KeyedRoom::form(lab, psk, None)?;
    let texts = (0..plan.typed_lines as u64).map(text).collect::<anyhow::Result<Arc<[_]>>>()?;
    let target = (plan.typed_lines * FULL_NODES * FULL_NODES) as u64;
    let start = Instant::now();
    for member in &room.members {
        let (commands, texts) = (member.commands.clone(), Arc::clone(&texts));
        lab.room.spawn(async move {
            for text in texts.iter() {
                if commands.send(Command::Say(text.clone().into(), None)).await.is_err() {
                    return;
                }
            }
        });
    }
    wait_until("every member shows every line", || Ok(room.shown.load(Ordering::Relaxed) >= target))?;
    Ok(target as f64 / start.elapsed().as_secs_f64())
}

/// Microseconds from submitting a line at a follower until the last member has its notice.
fn latency(lab: &Lab, plan: &Plan, psk: Option<[u8; PSK_BYTES]>) -> anyhow::Result<Vec<f64>> {
    let times = Times::new(plan.latency_lines);
    let room = KeyedRoom::form(lab, psk, Some(&times))?;
    // The founder leads, so the second member follows.
    let speaker = room.members.get(1).context("a room of one")?;
    times.begin(0);
    let pace = Duration::from_secs(1) / LATENCY_RATE;
    let start = Instant::now();
    for n in 1..=times.lines() {
        let line = text(n)?;
        let due = start + pace * u32::try_from(n)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        times.sent(n);
        speaker.commands.blocking_send(Command::Say(line.into(), None)).context("a node has ended")?;
    }
    wait_until("every member has every line", || Ok(times.complete(FULL_NODES)))?;
    Ok(times.micros())
}
