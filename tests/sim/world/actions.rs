//! What the outside does to nodes, hosts and links.

use std::sync::Arc;

use dist_chat::ring::limits::BACKLOG_LINES;
use dist_chat::ring::{
    AuthorId, Ciphertext, Config, Draft, Input, Node, OutgoingPm, PmId, PmProof, RoomId, SessionId, Start, Text,
};

use super::hand::Hand;
use super::net::Item;
use super::trace::host;
use super::{Clock, Happening, Process, World, address};

/// How far the disk is put back before a process starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewind {
    /// Not at all.
    Not,
    /// To the first so many operations of its journal.
    To(usize),
    /// To nothing, and under a new author.
    Erase,
}

impl World {
    /// Something happens to a process that runs.
    pub fn input(&mut self, slot: usize, input: Input) {
        self.step(slot, input);
    }

    /// Starts a process on a host, which gets power if it had none.
    pub fn start(&mut self, slot: usize, rewind: Rewind, start: Start) {
        self.power_on(slot);
        match rewind {
            Rewind::Not => {}
            Rewind::To(keep) => self.slots[slot].disk.rewind(keep),
            Rewind::Erase => {
                self.slots[slot].disk.rewind(0);
                self.slots[slot].author = AuthorId::of_bits(self.rng.bits());
            }
        }
        self.tell(|short| short.text(&format!("=== {} starts: {start:?}, disk {rewind:?}", host(slot))));
        if rewind != Rewind::Not {
            self.checks.replaced(slot, self.slots[slot].disk.ops());
        }
        self.slots[slot].disk.reopen();
        self.runs += 1;
        let session = SessionId(self.rng.bits());
        let here = &self.slots[slot];
        let config = Config {
            uid: here.uid,
            name: here.name.clone(),
            rename: true,
            author: here.author,
            signer: Arc::new(Hand(here.author)),
            session,
            seed: self.rng.bits(),
            start,
            saved: here.disk.saved(),
            key: self.slots[slot].key,
            rate: self.rate,
            moderators: self.moderators.clone(),
            backlog: BACKLOG_LINES,
            timing: self.timing,
        };
        let clock = Clock { started: self.now, mono: self.rng.below(1 << 40), drift: here.drift, wall: here.wall };
        self.checks.started(slot, self.runs, &config, self.now);
        self.slots[slot].stopped = None;
        self.slots[slot].process = Some(Process {
            node: Node::new(config),
            run: self.runs,
            paused: false,
            leaving: false,
            entered: false,
            clock,
            mailbox: std::collections::VecDeque::new(),
            conns: std::collections::BTreeMap::new(),
            accepted: 0,
            tick_at: None,
            spins: (0, 0),
            cutting: false,
            reads_until: 0,
            steps: 0,
        });
        self.step(slot, Input::Tick);
    }

    /// Starts the founder of a new room.
    pub fn found(&mut self, slot: usize) {
        let room = RoomId(self.rng.bits());
        self.start(slot, Rewind::Not, Start::Create(room));
    }

    /// Starts a joiner with these contacts.
    pub fn join(&mut self, slot: usize, contacts: &[usize]) {
        let contacts = contacts.iter().map(|&contact| address(contact)).collect();
        self.start(slot, Rewind::Not, Start::Join(contacts));
    }

    /// The process dies; its host says so to its peers.
    pub fn crash(&mut self, slot: usize) {
        if self.up(slot) {
            self.tell(|_| format!("=== {} crashes", host(slot)));
            let clean = self.rng.percent(50);
            self.end_process(slot, clean);
        }
    }

    /// The process has ended. `clean`: what it had sent still arrives.
    pub(super) fn end_process(&mut self, slot: usize, clean: bool) {
        let Some(process) = self.slots[slot].process.take() else { return };
        self.slots[slot].doomed = None;
        self.checks.ended(slot, self.now);
        for (conn, side) in process.conns.into_values() {
            self.net.conns[conn].ends[side].open = false;
            if !clean {
                let len = self.net.conns[conn].dirs[side].queue.len();
                let keep = self.rng.index(len + 1);
                self.truncate(conn, side, keep);
            }
            self.push(conn, side, Item::Closed);
        }
    }

    /// Loses what was sent last, but never the handshake.
    fn truncate(&mut self, conn: usize, dir: usize, keep: usize) {
        let queue = &mut self.net.conns[conn].dirs[dir].queue;
        let keep = keep.max(usize::from(matches!(queue.front(), Some((_, Item::Accepted)))));
        queue.truncate(keep);
    }

    /// The host loses its power: nothing of it answers any more, and nobody is told.
    pub fn power_off(&mut self, slot: usize) {
        self.tell(|_| format!("=== {} loses its power", host(slot)));
        self.slots[slot].host_up = false;
        self.slots[slot].doomed = None;
        let Some(process) = self.slots[slot].process.take() else { return };
        self.checks.ended(slot, self.now);
        for (conn, side) in process.conns.into_values() {
            self.net.conns[conn].ends[side].open = false;
        }
    }

    /// The host has power again; peers that still hold connections to it learn that it knows nothing of them.
    pub fn power_on(&mut self, slot: usize) {
        if std::mem::replace(&mut self.slots[slot].host_up, true) {
            return;
        }
        for conn in 0..self.net.conns.len() {
            for side in 0..2 {
                let ends = &self.net.conns[conn].ends;
                if self.net.conns[conn].opened && ends[side].slot == slot && !ends[side].open && ends[1 - side].open {
                    self.push(conn, side, Item::Closed);
                }
            }
        }
    }

    /// The process stands still; its kernel goes on accepting and buffering.
    pub fn pause(&mut self, slot: usize) {
        if let Some(process) = &mut self.slots[slot].process
            && !std::mem::replace(&mut process.paused, true)
        {
            self.tell(|_| format!("=== {} pauses", host(slot)));
        }
    }

    /// The process goes on with what has gathered.
    pub fn resume(&mut self, slot: usize) {
        let Some(process) = &mut self.slots[slot].process else { return };
        if !std::mem::replace(&mut process.paused, false) {
            return;
        }
        let run = process.run;
        let mail = std::mem::take(&mut process.mailbox);
        process.tick_at = None;
        self.tell(|_| format!("=== {} resumes", host(slot)));
        for arrival in mail {
            self.arrive(slot, run, arrival);
        }
        self.schedule_tick(slot);
    }

    /// Nothing passes from one host to another.
    pub fn block(&mut self, from: usize, to: usize) {
        if from != to && !std::mem::replace(&mut self.net.link_mut(from, to).blocked, true) {
            self.tell(|_| format!("=== {} can no longer reach {}", host(from), host(to)));
        }
    }

    /// Things pass again, what was held back first.
    pub fn unblock(&mut self, from: usize, to: usize) {
        if !std::mem::replace(&mut self.net.link_mut(from, to).blocked, false) {
            return;
        }
        self.tell(|_| format!("=== {} can reach {} again", host(from), host(to)));
        for conn in 0..self.net.conns.len() {
            for dir in 0..2 {
                let ends = &self.net.conns[conn].ends;
                if ends[dir].slot == from
                    && ends[1 - dir].slot == to
                    && let Some(&(at, _)) = self.net.conns[conn].dirs[dir].queue.front()
                {
                    // A sender that got no acknowledgement tries again at longer and longer intervals.
                    let retransmit = self.rng.below(200_000);
                    let at = at.max(self.now + retransmit);
                    for (ready, _) in &mut self.net.conns[conn].dirs[dir].queue {
                        *ready = at.max(*ready);
                    }
                    let last = self.net.conns[conn].dirs[dir].last;
                    self.net.conns[conn].dirs[dir].last = last.max(at);
                    self.at(at, Happening::Wake { conn, dir });
                }
            }
        }
    }

    /// Both directions between two hosts.
    pub fn cut_link(&mut self, a: usize, b: usize) {
        self.block(a, b);
        self.block(b, a);
    }

    /// Both directions between two hosts.
    pub fn heal_link(&mut self, a: usize, b: usize) {
        self.unblock(a, b);
        self.unblock(b, a);
    }

    /// Breaks a connection in the middle: both ends hear of it, what was on its way may be lost.
    pub fn reset(&mut self, conn: usize) {
        let ends = &self.net.conns[conn].ends;
        if self.net.conns[conn].broken || !ends[0].open || !ends[1].open {
            return;
        }
        let (a, b) = (ends[0].slot, ends[1].slot);
        self.tell(|_| format!("=== the connection from {} to {} breaks", host(a), host(b)));
        for dir in 0..2 {
            let len = self.net.conns[conn].dirs[dir].queue.len();
            let keep = self.rng.index(len + 1);
            self.truncate(conn, dir, keep);
            self.push(conn, dir, Item::Closed);
        }
        self.net.conns[conn].broken = true;
    }

    /// Somebody types, if the node can take a line.
    pub fn say(&mut self, slot: usize, words: &str) -> bool {
        self.say_all(slot, &[words.to_owned()])
    }

    /// Somebody says something to one reader, if the node can send it.
    pub fn pm(&mut self, slot: usize, whom: &str, words: &str) -> Option<PmId> {
        let to = self.slots[slot].process.as_ref()?.node.reader(whom).ok()?;
        let (id, token) = (PmId(self.rng.bits()), self.rng.bits().to_be_bytes());
        let token = PmProof([token, token].concat().try_into().ok()?);
        let ciphertext = Ciphertext::new([&token.0, words.as_bytes()].concat())?;
        self.step(slot, Input::SendPm(OutgoingPm { id, to, ciphertext, token }));
        Some(id)
    }

    /// Somebody pastes lines, if the node can take any.
    pub fn say_all(&mut self, slot: usize, lines: &[String]) -> bool {
        let texts = lines.iter().filter_map(|words| Text::parse(words).ok());
        self.submit(slot, texts.map(Draft::from).collect())
    }

    /// Somebody says these, if the node can take any.
    pub fn submit(&mut self, slot: usize, said: Vec<Draft>) -> bool {
        let Some(process) = &self.slots[slot].process else { return false };
        if process.paused || process.node.outbox_room() == 0 {
            return false;
        }
        self.step(slot, Input::Submit(said));
        true
    }

    /// Somebody wants to leave.
    pub fn leave(&mut self, slot: usize) {
        if let Some(process) = &mut self.slots[slot].process
            && !process.paused
        {
            process.leaving = true;
            self.step(slot, Input::Leave);
        }
    }

    /// Everything that breaks is whole again: links healed, the paused resumed.
    pub fn heal(&mut self) {
        let hosts = self.slots.len();
        for from in 0..hosts {
            for to in 0..hosts {
                self.unblock(from, to);
            }
            self.slots[from].doomed = None;
            self.resume(from);
        }
    }
}

/// What stands for a seal here: nothing does, but what is too short for a token counts as broken.
pub fn unsealed(ciphertext: &[u8]) -> Option<(PmProof, String)> {
    let (token, words) = ciphertext.split_first_chunk()?;
    Some((PmProof(*token), String::from_utf8(words.to_vec()).ok()?))
}
