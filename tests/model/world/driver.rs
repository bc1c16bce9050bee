//! What happens in a step: a node is given its input, and what it wants is done.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use dist_chat::ring::limits::BACKLOG_LINES;
use dist_chat::ring::{
    AuthorId, Config, ConnId, Event, Frame, Input, Name, Node, Now, Output, RoomId, SessionId, Start, Text, Time,
    WallMs,
};

use super::hand::Hand;
use super::{Action, Conn, Dir, End, Item, Key, Process, State, What, disk_hash, hash_of, host, slot_at, uid};

fn parsed<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error:?}"),
    }
}

impl State {
    /// Lets it happen; gives how many outputs it had.
    pub fn apply(&mut self, action: Action) -> Result<u32, String> {
        self.outputs = 0;
        self.doom = action.dies;
        self.left.crashes -= u8::from(action.dies.is_some());
        self.left.delays -= action.cost;
        match action.what {
            What::Deliver(key, dir) => self.deliver(key, dir)?,
            What::Hold(key, dir) => {
                if let Some(conn) = self.conns.get_mut(&key) {
                    conn.dirs[dir].held = true;
                }
            }
            What::Flush(slot) => self.step(slot, Input::Tick)?,
            What::Synced(slot) => {
                let mut first = None;
                self.change(slot, |process| first = process.syncs.pop_front());
                if let Some((id, ops)) = first {
                    Rc::make_mut(&mut self.slots[slot].disk).sync_first(ops);
                    self.step(slot, Input::Persisted { id, kept: true })?;
                }
            }
            What::Tick(slot) => {
                self.left.ticks -= 1;
                self.fire(slot)?;
            }
            What::Crash { slot, lossy } => {
                self.left.crashes -= 1;
                self.end(slot, lossy);
            }
            What::Join(slot) => {
                self.left.joined |= 1 << slot;
                self.start(slot, self.to_the_contacts())?;
            }
            What::Restart(slot) => {
                self.left.restarts -= 1;
                let remembers = !self.slots[slot].disk.store().log().is_empty();
                self.start(slot, if remembers { Start::Reopen } else { self.to_the_contacts() })?;
            }
            What::Say(slot) => {
                self.left.said |= 1 << slot;
                self.say(slot)?;
            }
            What::Leave(slot) => {
                self.left.went |= 1 << slot;
                self.change(slot, |process| process.leaving = true);
                self.step(slot, Input::Leave)?;
            }
        }
        if self.conns.values().all(|conn| conn.dirs.iter().all(|dir| dir.held || dir.items.is_empty())) {
            self.conns.values_mut().flat_map(|conn| &mut conn.dirs).for_each(|dir| dir.held = false);
        }
        Ok(self.outputs)
    }

    fn to_the_contacts(&self) -> Start {
        Start::Join(self.rules.contacts.iter().map(|&slot| uid(slot).0).collect())
    }

    fn change(&mut self, slot: usize, change: impl FnOnce(&mut Process)) {
        if let Some(process) = &mut self.slots[slot].process {
            change(Rc::make_mut(process));
        }
    }

    /// A node's next timer fires; time passes for it alone, or for everybody.
    fn fire(&mut self, slot: usize) -> Result<(), String> {
        let timer = self.slots[slot].process.as_ref().and_then(|process| process.timer()).unwrap_or(0);
        if self.rules.patient {
            self.pass(timer);
        } else {
            self.change(slot, |process| process.mono += timer);
        }
        self.step(slot, Input::Tick)
    }

    fn pass(&mut self, micros: u64) {
        (0..self.slots.len()).for_each(|slot| self.change(slot, |process| process.mono += micros));
    }

    /// The earliest of all timers fires, and time passes for everybody: so many microseconds.
    pub fn next_timer(&mut self) -> Result<u64, String> {
        let timers = self.running().filter_map(|(slot, process)| Some((process.timer()?, slot)));
        let Some((timer, slot)) = timers.min() else { return Ok(0) };
        self.pass(timer);
        self.step(slot, Input::Tick)?;
        Ok(timer)
    }

    /// Starts a process.
    pub fn start(&mut self, slot: usize, start: Start) -> Result<(), String> {
        let here = &mut self.slots[slot];
        here.runs += 1;
        let run = here.runs;
        Rc::make_mut(&mut here.disk).reopen();
        let session = (slot as u64 + 1) << 8 | u64::from(run);
        let config = Config {
            uid: uid(slot),
            name: parsed(Name::parse(&host(slot).to_string())),
            rename: true,
            author: AuthorId::of_bits(slot as u64 + 1),
            signer: Arc::new(Hand(AuthorId::of_bits(slot as u64 + 1))),
            session: SessionId(session),
            seed: session,
            start,
            saved: here.disk.saved(),
            key: None,
            rate: dist_chat::ring::Rate::DEFAULT,
            moderators: Vec::new(),
            backlog: BACKLOG_LINES,
            timing: self.rules.timing,
        };
        Rc::make_mut(&mut self.checks).started(slot, session as u32, &config, 0);
        self.slots[slot].process = Some(Rc::new(Process {
            node: Node::new(config),
            mono: 0,
            entered: false,
            leaving: false,
            run,
            conns: BTreeMap::new(),
            syncs: VecDeque::new(),
            hash: 0,
        }));
        self.step(slot, Input::Tick)
    }

    /// Founds a room.
    pub fn found(&mut self, slot: usize) -> Result<(), String> {
        self.start(slot, Start::Create(RoomId(1)))
    }

    /// Somebody types a line, if the node takes one.
    pub fn say(&mut self, slot: usize) -> Result<(), String> {
        let text = parsed(Text::parse(&format!("from {}", host(slot))));
        let takes = self.slots[slot].process.as_ref().is_some_and(|process| process.node.outbox_room() > 0);
        if takes {
            let tip = self.slots[slot].disk.store().log().last().map(|last| (last.epoch, last.index));
            Rc::make_mut(&mut self.facts).insert(hash_of(&("typed", slot, tip)));
            Rc::make_mut(&mut self.checks).submitted(slot, text.clone());
        }
        self.step(slot, Input::Submit(vec![text.into()]))
    }

    /// A process ends.
    fn end(&mut self, slot: usize, lossy: bool) {
        let Some(process) = self.slots[slot].process.take() else { return };
        self.doom = None;
        let checks = Rc::make_mut(&mut self.checks);
        checks.ended(slot, 0);
        if self.rules.restarts == 0 {
            checks.gone(slot);
        }
        for &(key, side) in process.conns.values() {
            if let Some(conn) = self.conns.get_mut(&key).filter(|_| lossy) {
                let syn = matches!(conn.dirs[side].items.front(), Some((_, Item::Syn)));
                conn.dirs[side].items.truncate(usize::from(syn));
            }
            self.hang_up(key, side);
        }
    }

    /// One end of a connection is gone.
    fn hang_up(&mut self, key: Key, side: usize) {
        self.push(key, side, Item::Closed);
        let Some(conn) = self.conns.get_mut(&key) else { return };
        conn.ends[side].id = None;
        conn.dirs[1 - side] = Dir::default();
        if conn.dirs[side].items.is_empty() {
            self.conns.remove(&key);
        }
    }

    /// Puts an item behind what is on its way, if anybody is there to take it.
    fn push(&mut self, key: Key, dir: usize, item: Item) {
        let Some(conn) = self.conns.get_mut(&key) else { return };
        let knocking = matches!(conn.dirs[0].items.front(), Some((_, Item::Syn)));
        if conn.ends[1 - dir].id.is_some() || (dir == 0 && knocking) || matches!(item, Item::Syn) {
            self.stamp += 1;
            conn.dirs[dir].items.push_back((self.stamp, item));
        }
    }

    fn deliver(&mut self, key: Key, dir: usize) -> Result<(), String> {
        let Some(conn) = self.conns.get_mut(&key) else { return Ok(()) };
        let Some((_, item)) = conn.dirs[dir].items.pop_front() else { return Ok(()) };
        let End { slot, id } = conn.ends[1 - dir];
        let input = match (item, id) {
            (Item::Syn, _) => return self.knock(key, slot),
            (Item::Opened, Some(id)) => Input::Dialled(id),
            (Item::Refused, Some(id)) => {
                self.forget(key, 1 - dir);
                Input::DialFailed { conn: id, refused: true }
            }
            (Item::Frame(frame), Some(id)) => {
                let frame = match self.rules.spoil {
                    Some(spoil) => spoil(&frame, slot),
                    None => Some(Frame::clone(&frame)),
                };
                let Some(frame) = frame else { return Ok(()) };
                Input::Frame(id, frame)
            }
            (Item::Closed, Some(id)) => {
                self.forget(key, 1 - dir);
                Input::Closed(id)
            }
            (_, None) => return Ok(()),
        };
        self.step(slot, input)
    }

    /// A connection of which both ends know that it is over.
    fn forget(&mut self, key: Key, side: usize) {
        if let Some(conn) = self.conns.remove(&key)
            && let Some(id) = conn.ends[side].id
        {
            self.change(conn.ends[side].slot, |process| {
                process.conns.remove(&id);
            });
        }
    }

    fn knock(&mut self, key: Key, slot: usize) -> Result<(), String> {
        if self.slots[slot].process.is_none() {
            if let Some(conn) = self.conns.get_mut(&key) {
                conn.dirs[0].items.clear();
            }
            self.push(key, 1, Item::Refused);
            // A dialler that has hung up meanwhile hears nothing of it.
            self.conns.retain(|other, conn| *other != key || conn.ends[0].id.is_some());
            return Ok(());
        }
        // Named after the dialler, not counted: two that come in any order have the same names.
        let (dialler, run, id) = key;
        let id = ConnId::accepted(hash_of(&(dialler, run, id)) >> 8);
        if let Some(conn) = self.conns.get_mut(&key) {
            conn.ends[1].id = Some(id);
        }
        self.change(slot, |process| {
            process.conns.insert(id, (key, 1));
        });
        self.push(key, 1, Item::Opened);
        self.step(slot, Input::Accepted(id))
    }

    /// One step of a node, obedience to what it wants, the store's answers, and the checks.
    fn step(&mut self, slot: usize, input: Input) -> Result<(), String> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(process) = &mut self.slots[slot].process else { return Ok(()) };
            let process = Rc::make_mut(process);
            let now = Now { mono: Time(process.mono), wall: WallMs(process.mono / 1000) };
            let node = &mut process.node;
            let before = self.rules.tamper.map(|_| (node.status(), input.clone()));
            let stepped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.step(now, input)));
            let Ok(mut outputs) = stepped else { return Err(format!("{} panics", host(slot))) };
            if let (Some(tamper), Some((status, input))) = (self.rules.tamper, before) {
                tamper(&mut outputs, &status, &input);
            }
            for output in outputs {
                if let Some((left, lossy)) = &mut self.doom {
                    if *left == 0 {
                        let lossy = *lossy;
                        self.end(slot, lossy);
                        return Ok(());
                    }
                    *left -= 1;
                }
                self.outputs += 1;
                if self.obey(slot, output, &mut inputs)? {
                    return Ok(());
                }
            }
        }
        self.look(slot)
    }

    /// Does what a node wants. `true`: the process has ended.
    #[expect(clippy::too_many_lines, reason = "one table: an output, and what the world does")]
    fn obey(&mut self, slot: usize, output: Output, answers: &mut VecDeque<Input>) -> Result<bool, String> {
        let checks = Rc::make_mut(&mut self.checks);
        match output {
            Output::Save(record) => {
                checks.saved(slot, &record)?;
                Rc::make_mut(&mut self.slots[slot].disk).save(&record);
            }
            Output::Sync => Rc::make_mut(&mut self.slots[slot].disk).sync(),
            Output::Persist(id) => {
                let ops = self.slots[slot].disk.ops().len();
                self.change(slot, |process| process.syncs.push_back((id, ops)));
            }
            Output::Read(id, wanted) => {
                answers.push_back(Input::Read(id, Rc::make_mut(&mut self.slots[slot].disk).read(&wanted)));
            }
            Output::Cut(keep) => {
                let disk = Rc::make_mut(&mut self.slots[slot].disk);
                answers.push_front(Input::Cut(disk.cut(keep)));
                checks.cut(slot, keep, disk)?;
            }
            Output::Dial(id, address) => {
                let Some(to) = slot_at(address).filter(|&to| to < self.slots.len()) else {
                    return Err(format!("{} dials {address}", host(slot)));
                };
                let Some(process) = &self.slots[slot].process else { return Ok(false) };
                let key = (slot, process.run, id);
                let ends = [End { slot, id: Some(id) }, End { slot: to, id: None }];
                self.conns.insert(key, Conn { ends, dirs: Default::default() });
                self.change(slot, |process| {
                    process.conns.insert(id, (key, 0));
                });
                self.push(key, 0, Item::Syn);
            }
            Output::Send(conns, frame) => {
                checks.sending(slot, &frame, &self.slots[slot].disk)?;
                let round = match &*frame {
                    Frame::Token(token) => Some(token.round),
                    Frame::Elected(elected) if frame.is_ring_message() => Some(elected.epoch.round),
                    _ => None,
                };
                if let Some(round) = round {
                    let count = self.ring_messages.entry(round).or_default();
                    *count += 1;
                    if self.rules.ring_messages.is_some_and(|most| *count > most) {
                        return Err(format!("invariant 9: round {round} takes {count} messages from next to next"));
                    }
                }
                for id in conns {
                    let here = self.slots[slot].process.as_ref().and_then(|process| process.conns.get(&id));
                    if let Some(&(key, side)) = here {
                        self.push(key, side, Item::Frame(Arc::clone(&frame)));
                    }
                }
            }
            // The rooms here are open.
            Output::GiveKey(_) | Output::OfferKey(_) | Output::TakeKey(_) => {}
            // Nothing is said to one reader here, and nobody asks how all are doing.
            Output::OpenPm(..) | Output::HealthReply(_) => {}
            Output::Close(id) => {
                let mut here = None;
                self.change(slot, |process| here = process.conns.remove(&id));
                if let Some((key, side)) = here {
                    self.hang_up(key, side);
                }
            }
            Output::Event(event) => {
                checks.event(slot, &event, &self.slots[slot].disk)?;
                self.note(slot, &event);
            }
            Output::Stop(_) => {
                self.end(slot, false);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a person was shown is remembered by the checkers.
    fn note(&mut self, slot: usize, event: &Event) {
        let run = self.slots[slot].runs;
        let facts = |what: &str, entries: &[Arc<dist_chat::ring::Entry>]| -> Vec<u64> {
            entries.iter().filter_map(|entry| Some(hash_of(&(what, slot, run, entry.line()?.id)))).collect()
        };
        match event {
            Event::Line(entry) => Rc::make_mut(&mut self.facts).extend(facts("shown", std::slice::from_ref(entry))),
            Event::LogOnly(entry) => {
                Rc::make_mut(&mut self.facts).extend(facts("logged", std::slice::from_ref(entry)));
            }
            Event::Backlog { entries, .. } => Rc::make_mut(&mut self.facts).extend(facts("shown", entries)),
            Event::Entered { .. } => self.change(slot, |process| process.entered = true),
            _ => {}
        }
    }

    /// The checkers see a node after its step.
    fn look(&mut self, slot: usize) -> Result<(), String> {
        let Some(process) = &mut self.slots[slot].process else { return Ok(()) };
        let process = Rc::make_mut(process);
        process.hash = hash_of(&(&process.node, process.entered, process.leaving, process.syncs.len()));
        let (status, sizes) = (process.node.status(), process.node.sizes());
        self.slots[slot].disk_hash = disk_hash(&self.slots[slot].disk);
        let disk = &self.slots[slot].disk;
        let checks = Rc::make_mut(&mut self.checks);
        checks.sizes(slot, &sizes)?;
        checks.status(slot, &status, disk)?;
        let leader = status.epoch.and_then(|epoch| slot_at(epoch.leader.0));
        if leader.is_some_and(|leader| checks.same_log(leader, slot)) {
            let fact = hash_of(&("level", slot, self.slots[slot].runs));
            if !self.facts.contains(&fact) {
                Rc::make_mut(&mut self.facts).insert(fact);
            }
        }
        Ok(())
    }
}
