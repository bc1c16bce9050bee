//! The driver of every node: gives inputs, obeys outputs in order, carries what they send.

use std::sync::Arc;

use dist_chat::ring::{
    AuthorId, Batch, ConnId, DecodeError, Digest, Event as Told, ForgedLine, Frame, Input, ModerationCommand, Now,
    Output, Record, Secret, Time, WallMs,
};

use super::net::Item;
use super::telling::input_kind;
use super::trace::host;
use super::{Arrival, Happening, MS, World, actions, hand, slot_at};

/// So many ticks at one instant mean that a node spins.
const SPINS_MAX: u32 = 1_000;
/// The wall clock's start, in milliseconds.
const WALL_START: i64 = 1_700_000_000_000;

impl World {
    /// Something reaches a process: at once, or when it is resumed. What is meant for an earlier run is lost.
    pub(super) fn arrive(&mut self, slot: usize, run: u32, arrival: Arrival) {
        let Some(process) = &mut self.slots[slot].process else { return };
        if process.run != run {
            return;
        }
        if process.paused {
            process.mailbox.push_back(arrival);
            return;
        }
        self.take(slot, arrival);
    }

    pub(super) fn take(&mut self, slot: usize, arrival: Arrival) {
        let input = match arrival {
            Arrival::Read(id, found) => Input::Read(id, found),
            Arrival::KeyHeld(key) => Input::KeyInstalled(key),
            Arrival::Opened { id, from, token } => Input::PmOpened { id, from, token },
            Arrival::Persisted(id, ops) => {
                self.slots[slot].disk.sync_first(ops);
                Input::Persisted { id, kept: true }
            }
            Arrival::Cut(cut) => {
                if let Some(process) = &mut self.slots[slot].process {
                    process.cutting = false;
                }
                Input::Cut(*cut)
            }
            Arrival::Dialled(conn) => match self.end_id(conn, 0) {
                Some(id) => Input::Dialled(id),
                None => return,
            },
            Arrival::DialFailed { conn, refused } => match self.end_id(conn, 0) {
                Some(id) => {
                    self.drop_end(conn, 0);
                    Input::DialFailed { conn: id, refused }
                }
                None => return,
            },
            Arrival::Item { conn, side, item } => match item {
                Item::Accepted => {
                    let Some(process) = &mut self.slots[slot].process else { return };
                    process.accepted += 1;
                    let id = ConnId::accepted(process.accepted);
                    process.conns.insert(id, (conn, side));
                    let end = &mut self.net.conns[conn].ends[side];
                    (end.id, end.open) = (Some(id), true);
                    Input::Accepted(id)
                }
                Item::Frame(bytes) => match (self.end_id(conn, side), self.on_the_wire(conn, side, &bytes)) {
                    (Some(id), Ok(frame)) => match self.looked_through(slot, &frame) {
                        Ok(()) => Input::Frame(id, frame),
                        Err(forged) => Input::Forged(id, forged),
                    },
                    (Some(_), Err(error)) => {
                        return self.fail(format!("a node sent what is no frame: {error}"));
                    }
                    (None, _) => return,
                },
                Item::Closed => match self.end_id(conn, side) {
                    Some(id) => {
                        self.drop_end(conn, side);
                        Input::Closed(id)
                    }
                    None => return,
                },
            },
        };
        self.step(slot, input);
    }

    /// What arrives of a frame: a forger has sent another.
    fn on_the_wire(&self, conn: usize, side: usize, bytes: &[u8]) -> Result<Frame, DecodeError> {
        let mut frame = Frame::decode(bytes)?;
        if let Some((_, forge)) = self.forger.filter(|(slot, _)| *slot == self.net.conns[conn].ends[1 - side].slot) {
            forge(&mut frame);
        }
        Ok(frame)
    }

    /// Whether everything in a frame was said by those in whose name it stands there; a newcomer has not looked yet.
    fn looked_through(&self, slot: usize, frame: &Frame) -> Result<(), ForgedLine> {
        match self.slots[slot].disk.store().room() {
            Some(room) => frame.verify(room, hand::signed),
            None => Ok(()),
        }
    }

    /// The process's name for this end, while it holds it.
    fn end_id(&self, conn: usize, side: usize) -> Option<ConnId> {
        let end = &self.net.conns[conn].ends[side];
        if end.open { end.id } else { None }
    }

    fn drop_end(&mut self, conn: usize, side: usize) {
        let end = &mut self.net.conns[conn].ends[side];
        end.open = false;
        let (slot, id) = (end.slot, end.id);
        if let (Some(process), Some(id)) = (&mut self.slots[slot].process, id) {
            process.conns.remove(&id);
        }
    }

    pub(super) fn tick(&mut self, slot: usize, run: u32) {
        let now = self.now;
        let Some(process) = &mut self.slots[slot].process else { return };
        if process.run != run || process.tick_at != Some(now) {
            return;
        }
        process.tick_at = None;
        if process.paused {
            return;
        }
        if process.node.deadline().0 > process.clock.local(now) {
            return self.schedule_tick(slot);
        }
        if process.spins.0 == now {
            process.spins.1 += 1;
            if process.spins.1 > SPINS_MAX {
                return self.fail(format!("{} ticks without end", host(slot)));
            }
        } else {
            process.spins = (now, 0);
        }
        self.step(slot, Input::Tick);
    }

    pub(super) fn schedule_tick(&mut self, slot: usize) {
        let now = self.now;
        let Some(process) = &mut self.slots[slot].process else { return };
        let at = process.clock.global(process.node.deadline().0, now);
        if process.paused || process.tick_at.is_some_and(|set| set <= at) {
            return;
        }
        process.tick_at = Some(at);
        let run = process.run;
        self.at(at, Happening::Tick { slot, run });
    }

    /// One step of a node, and the obedience to what it wants.
    pub(super) fn step(&mut self, slot: usize, input: Input) {
        let now = self.now;
        self.tell_input(slot, &input);
        self.mix((now << 8) ^ (slot as u64) << 4 ^ input_kind(&input));
        let shot = self.slots[slot].wall;
        let Some(process) = &mut self.slots[slot].process else { return };
        let mono = process.clock.local(now);
        let wall = (WALL_START + i64::try_from(mono / MS).unwrap_or(0) + process.clock.wall + shot).max(0);
        let now = Now { mono: Time(mono), wall: WallMs(wall.unsigned_abs()) };
        process.steps += 1;
        let run = process.run;
        let steps = process.steps;
        let submitted = match &input {
            Input::Submit(said) => said.iter().map(|draft| draft.text.clone()).collect(),
            Input::Moderate(ModerationCommand { text, .. }) | Input::Rekey(_, text) => vec![text.clone()],
            _ => Vec::new(),
        };
        let said = process.node.said();
        // A panic of the core is a finding like any other, and wants its trace.
        let node = &mut process.node;
        let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.step(now, input)));
        let Ok(mut outputs) = stepped else { return self.fail(format!("{} panics", host(slot))) };
        self.tally.steps += 1;
        // What a founder says of itself was typed by nobody.
        let founding = || {
            let mut saved = outputs.iter().filter_map(|output| match output {
                Output::Save(Record::Append(entries)) => entries.iter().find_map(|entry| entry.line()),
                _ => None,
            });
            saved.next().map(|line| line.text.clone())
        };
        let taken = usize::try_from(process.node.said() - said).unwrap_or(usize::MAX);
        for text in submitted.into_iter().chain(founding()).take(taken) {
            self.checks.submitted(slot, text);
        }
        if let Some(tamper) = self.tamper {
            tamper(&mut outputs, slot, self.tally.steps);
        }
        let telling =
            outputs.iter().any(|output| matches!(output, Output::Save(_) | Output::Cut(_) | Output::Event(_)));
        let cuts = outputs.iter().any(|output| matches!(output, Output::Cut(_)));
        let mut answers = Vec::new();
        for output in outputs {
            self.tell_output(slot, &output);
            if self.obey(slot, run, output, &mut answers) {
                return;
            }
            if self.failure.is_some() {
                return;
            }
            if self.strike(slot) {
                return;
            }
        }
        if !cuts {
            self.look(slot, telling || steps % 16 == 0);
        }
        let wanted = self.slots[slot].process.as_ref().and_then(|process| process.node.key_wanted());
        let here = &self.slots[slot];
        if wanted.is_some_and(|key| here.drawn == Some(key) || here.offered.contains(&key)) {
            self.hold_key(slot, wanted);
        }
        for arrival in answers {
            self.arrive(slot, run, arrival);
        }
        self.schedule_tick(slot);
    }

    /// Lets the checkers see a node after its step.
    fn look(&mut self, slot: usize, closely: bool) {
        let Some(process) = &self.slots[slot].process else { return };
        let mut verdict = self.checks.sizes(slot, &process.node.sizes());
        // Between the wish to cut and the answer a node speaks of the log that it had.
        if closely && !process.cutting && verdict.is_ok() {
            verdict = self.checks.status(slot, &process.node.status(), &self.slots[slot].disk);
        }
        self.verdict(verdict);
    }

    /// Kills the process in the middle of its outputs, if that is due.
    fn strike(&mut self, slot: usize) -> bool {
        match self.slots[slot].doomed {
            Some((0, power)) => {
                self.slots[slot].doomed = None;
                if power {
                    self.power_off(slot)
                } else {
                    self.crash(slot)
                }
                true
            }
            Some((left, power)) => {
                self.slots[slot].doomed = Some((left - 1, power));
                false
            }
            None => false,
        }
    }

    /// Does what a node wants. `true`: the process has ended.
    #[expect(clippy::too_many_lines, reason = "one table: an output, and what the world does")]
    fn obey(&mut self, slot: usize, run: u32, output: Output, answers: &mut Vec<Arrival>) -> bool {
        match output {
            Output::Save(record) => {
                let verdict = self.checks.saved(slot, &record);
                self.verdict(verdict);
                let forged = match &record {
                    Record::Append(entries) => {
                        let batch = Batch { entries: entries.clone() };
                        self.looked_through(slot, &Frame::Pulled(batch)).err()
                    }
                    _ => None,
                };
                if let Some(forged) = forged {
                    self.fail(format!("{} writes what nobody has said: {forged:?}", host(slot)));
                }
                if self.failure.is_none() {
                    self.slots[slot].disk.save(&record);
                }
            }
            Output::Sync => self.slots[slot].disk.sync(),
            Output::Persist(id) => {
                let ops = self.slots[slot].disk.ops().len();
                self.answer(slot, run, Arrival::Persisted(id, ops), answers);
            }
            Output::Read(id, wanted) => {
                let found = self.slots[slot].disk.read(&wanted);
                self.answer(slot, run, Arrival::Read(id, found), answers);
            }
            Output::Cut(keep) => {
                let cut = self.slots[slot].disk.cut(keep);
                let verdict = self.checks.cut(slot, keep, &self.slots[slot].disk);
                self.verdict(verdict);
                if let Some(process) = &mut self.slots[slot].process {
                    process.cutting = true;
                }
                self.answer(slot, run, Arrival::Cut(Box::new(cut)), answers);
            }
            Output::Dial(id, address) => self.dial(slot, run, id, address),
            Output::Send(conns, frame) => self.send(slot, &conns, &frame),
            Output::GiveKey(id) => {
                let digits = self.slots[slot].key.map(|key| AuthorId(key.0).to_string());
                if let Some(secret) = digits.and_then(|digits| Secret::new(&digits)) {
                    self.send(slot, &[id], &Arc::new(Frame::Key(secret)));
                }
            }
            Output::OfferKey(ids) => {
                let digits = self.slots[slot].drawn.map(|key| AuthorId(key.0).to_string());
                if let Some(secret) = digits.and_then(|digits| Secret::new(&digits)) {
                    self.send(slot, &ids, &Arc::new(Frame::Key(secret)));
                }
            }
            Output::TakeKey(secret) => {
                self.slots[slot].offered.extend(AuthorId::parse(secret.reveal()).map(|key| Digest(key.0)));
            }
            Output::OpenPm(member, pm) => {
                let opened = actions::unsealed(pm.ciphertext.bytes());
                let token = opened.map(|(token, words)| {
                    self.slots[slot].heard.push((member.name, words));
                    token
                });
                answers.insert(0, Arrival::Opened { id: pm.id, from: pm.from, token });
            }
            Output::HealthReply(survey) => self.slots[slot].survey = Some(*survey),
            Output::Close(id) => self.close(slot, id),
            Output::Event(event) => {
                if let Told::ElectionStarted { .. } | Told::LeaderPoll { .. } | Told::LeaderLost(_) | Told::Leader(_) =
                    event
                {
                    self.unrest = Some(format!("{}: {event:?}", host(slot)));
                }
                if let (Told::Entered { .. }, Some(process)) = (&event, &mut self.slots[slot].process) {
                    process.entered = true;
                }
                if let Told::PmSettled { id, to: _, outcome } = &event {
                    self.slots[slot].fates.push((*id, *outcome));
                }
                self.tally.rounds += u64::from(matches!(event, Told::ElectionStarted { .. }));
                let verdict = self.checks.event(slot, &event, &self.slots[slot].disk);
                self.verdict(verdict);
            }
            Output::Stop(stop) => {
                self.slots[slot].stopped = Some(stop);
                self.end_process(slot, true);
                return true;
            }
        }
        false
    }

    /// From now on a host holds this key.
    fn hold_key(&mut self, slot: usize, key: Option<Digest>) {
        self.slots[slot].key = key;
        if let (Some(process), Some(key)) = (&self.slots[slot].process, key) {
            let run = process.run;
            self.at(self.now, Happening::Stored { slot, run, arrival: Box::new(Arrival::KeyHeld(key)) });
        }
    }

    /// The store answers at once, or later but never out of turn.
    fn answer(&mut self, slot: usize, run: u32, arrival: Arrival, answers: &mut Vec<Arrival>) {
        // A cut is answered before anything else happens.
        let cut = matches!(arrival, Arrival::Cut(_));
        let late = !cut && self.slow_store.percent > 0 && self.rng.percent(self.slow_store.percent);
        let delay = if late { 1 + self.rng.below(self.slow_store.delay_max) } else { 0 };
        let Some(process) = &mut self.slots[slot].process else { return };
        let at = if cut { self.now } else { (self.now + delay).max(process.reads_until) };
        if at == self.now {
            answers.push(arrival);
        } else {
            process.reads_until = at;
            self.at(at, Happening::Stored { slot, run, arrival: Box::new(arrival) });
        }
    }

    fn dial(&mut self, slot: usize, run: u32, id: ConnId, address: std::net::SocketAddr) {
        let target = slot_at(address).filter(|&to| to < self.slots.len());
        let conn = self.net.dial(self.now, (slot, run, id), target.unwrap_or(slot));
        let Some(process) = &mut self.slots[slot].process else { return };
        process.conns.insert(id, (conn, 0));
        let silent = target.is_none_or(|to| self.net.blocked(slot, to));
        if silent {
            self.silent(conn);
        } else {
            let at = self.now + self.travel(slot, target.unwrap_or(slot));
            self.at(at, Happening::Syn(conn));
        }
    }

    fn travel(&mut self, from: usize, to: usize) -> u64 {
        let link = self.net.link(from, to);
        1 + link.delay + self.rng.below(link.jitter + 1)
    }

    /// Nobody answers a dial.
    fn silent(&mut self, conn: usize) {
        let at = self.net.conns[conn].dialled + self.timing.connect.0;
        self.at(at, Happening::DialFail { conn, refused: false });
    }

    pub(super) fn syn(&mut self, conn: usize) {
        let (from, to) = (self.net.conns[conn].ends[0].slot, self.net.conns[conn].ends[1].slot);
        if !self.slots[to].host_up || self.net.blocked(from, to) || self.net.blocked(to, from) {
            return self.silent(conn);
        }
        let back = self.now + self.travel(to, from);
        match &self.slots[to].process {
            Some(process) => {
                self.net.conns[conn].ends[1].run = process.run;
                self.at(back, Happening::SynAck(conn));
            }
            None => self.at(back, Happening::DialFail { conn, refused: true }),
        }
    }

    pub(super) fn syn_ack(&mut self, conn: usize) {
        let [dialler, other] = &self.net.conns[conn].ends;
        let (from, run, to) = (dialler.slot, dialler.run, other.slot);
        if self.net.blocked(to, from) {
            return self.silent(conn);
        }
        let alive = self.slots[from].process.as_ref().is_some_and(|process| process.run == run);
        if alive && self.net.conns[conn].ends[0].open {
            self.net.conns[conn].opened = true;
            self.push(conn, 0, Item::Accepted);
            self.arrive(from, run, Arrival::Dialled(conn));
        }
    }

    fn send(&mut self, slot: usize, conns: &[ConnId], frame: &Arc<Frame>) {
        let verdict = self.checks.sending(slot, frame, &self.slots[slot].disk);
        self.verdict(verdict);
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.mix(bytes.len() as u64);
        let bytes: Arc<[u8]> = bytes.into();
        for id in conns {
            let Some(process) = &self.slots[slot].process else { return };
            let Some(&(conn, side)) = process.conns.get(id) else { continue };
            self.tally.frames += 1;
            self.tally.ring_messages += u64::from(frame.is_ring_message());
            self.tally.asks += u64::from(matches!(**frame, Frame::LeaderPoll));
            self.push(conn, side, Item::Frame(Arc::clone(&bytes)));
        }
    }

    fn close(&mut self, slot: usize, id: ConnId) {
        let Some(process) = &self.slots[slot].process else { return };
        let Some(&(conn, side)) = process.conns.get(&id) else { return };
        self.drop_end(conn, side);
        self.push(conn, side, Item::Closed);
    }

    /// Puts something behind whatever is on its way in this direction.
    pub(super) fn push(&mut self, conn: usize, dir: usize, item: Item) {
        if self.net.conns[conn].broken {
            return;
        }
        let (from, to) = (self.net.conns[conn].ends[dir].slot, self.net.conns[conn].ends[1 - dir].slot);
        let arrival = self.now + self.travel(from, to);
        let direction = &mut self.net.conns[conn].dirs[dir];
        let at = arrival.max(direction.last);
        direction.last = at;
        let first = direction.queue.is_empty();
        direction.queue.push_back((at, item));
        if first {
            self.at(at, Happening::Wake { conn, dir });
        }
    }

    /// Delivers what has arrived in one direction.
    pub(super) fn wake(&mut self, conn: usize, dir: usize) {
        let side = 1 - dir;
        let (from, to) = (self.net.conns[conn].ends[dir].slot, self.net.conns[conn].ends[side].slot);
        while self.failure.is_none() {
            if !self.slots[to].host_up {
                self.net.conns[conn].dirs[dir].queue.clear();
                return;
            }
            if self.net.blocked(from, to) {
                return;
            }
            match self.net.conns[conn].dirs[dir].queue.front() {
                None => return,
                Some(&(at, _)) if at > self.now => return self.at(at, Happening::Wake { conn, dir }),
                Some(_) => {}
            }
            let Some((_, item)) = self.net.conns[conn].dirs[dir].queue.pop_front() else { return };
            let end = &self.net.conns[conn].ends[side];
            let (run, open) = (end.run, end.open);
            let there = self.slots[to].process.as_ref().is_some_and(|process| process.run == run);
            match item {
                Item::Accepted if there => self.arrive(to, run, Arrival::Item { conn, side, item }),
                Item::Frame(_) | Item::Closed if there && (open || self.waiting(to, conn)) => {
                    self.arrive(to, run, Arrival::Item { conn, side, item });
                }
                // Nobody there holds this connection: the kernel answers with a reset.
                Item::Accepted | Item::Frame(_) => {
                    if self.net.conns[conn].ends[dir].open && self.net.conns[conn].dirs[side].queue.is_empty() {
                        self.push(conn, side, Item::Closed);
                    }
                }
                Item::Closed => {}
            }
        }
    }

    /// Whether a paused process will find this connection when it wakes up.
    fn waiting(&self, slot: usize, conn: usize) -> bool {
        self.slots[slot].process.as_ref().is_some_and(|process| {
            process.mailbox.iter().any(
                |arrival| matches!(arrival, Arrival::Item { conn: other, item: Item::Accepted, .. } if *other == conn),
            )
        })
    }
}
