//! One seed, one run: the seed draws the room, its links, which kinds of faults strike and how often, and the talk.

mod faults;

use std::collections::BTreeSet;

use dist_chat::ring::{Act, Body, Channel, Draft, Emoji, Name, Note, RoomId, Start, Text, Uid};

use faults::{CRASHES, Fault, OTHERS};

use crate::settle;
use crate::world::actions::Rewind;
use crate::world::rng::Rng;
use crate::world::trace::host;
use crate::world::{MS, SECOND, SlowStore, Tally, World, address, slot_at, uid};

/// What ends a fault later.
#[derive(Clone, Debug)]
enum Undo {
    Restart(usize),
    Resume(usize),
    Heal(Vec<(usize, usize)>),
    Block(Vec<(usize, usize)>),
    Speed(usize, usize, u64, u64),
}

const TALK: u64 = 1;
const STRIKE: u64 = 2;
const FIRST_UNDO: u64 = 16;

/// How a run went.
#[derive(Clone, Debug)]
pub struct Report {
    /// What went wrong.
    pub failure: Option<String>,
    /// Over everything that happened.
    pub hash: u64,
    /// From the last fault until the room was whole, in microseconds.
    pub whole_after: u64,
    /// What was counted.
    pub tally: Tally,
    /// Lines typed.
    pub typed: usize,
    /// Sent lines whose last copy was destroyed.
    pub excused: usize,
    /// What the seed drew.
    pub drawn: String,
    /// The readable trace, if one was kept.
    pub trace: Option<Vec<String>>,
}

struct Swarm {
    world: World,
    /// Draws the schedule: apart from the world's chance, so that a change there leaves the plan alone.
    rng: Rng,
    /// Draws where lines are said and what they do: apart from both.
    tongue: Rng,
    faults: Vec<Fault>,
    undos: Vec<Undo>,
    gap: (u64, u64),
    talk: u64,
    lines_max: usize,
    /// Disks may be torn, put back to a backup, erased: in a hundred restarts.
    tear: u64,
    backup: u64,
    erase: u64,
    /// A host that has had its first start.
    begun: Vec<bool>,
    /// Hosts that lost their power since their last start.
    dark: Vec<bool>,
    /// Whom each host was told of at its last start.
    contacts: Vec<Vec<usize>>,
    founder: usize,
}

/// Runs one seed; with `trace` keeps a readable account.
pub fn run(seed: u64, trace: bool) -> Report {
    let mut rng = Rng::new(seed);
    let hosts = [1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9][rng.index(13)];
    let (delay, jitter) = match rng.below(4) {
        0 | 1 => (50, 100),
        2 => (rng.range(50, 2_000), rng.range(0, 2_000)),
        _ => (rng.range(1_000, 15_000), rng.range(0, 15_000)),
    };
    let mut world = World::new(rng.bits(), hosts, delay, jitter);
    world.trace = trace.then(Vec::new);
    let only_crashes = rng.percent(25);
    let mut faults: Vec<Fault> = CRASHES.into_iter().filter(|_| rng.percent(40)).collect();
    if only_crashes {
        world.checks.crashes_only();
    } else {
        faults.extend(OTHERS.into_iter().filter(|_| rng.percent(30)));
        for slot in 0..hosts {
            if rng.percent(20) {
                world.slots[slot].drift = rng.range(0, 20_000) as i64 - 10_000;
            }
        }
    }
    if rng.percent(50) {
        world.slow_store = SlowStore { percent: rng.range(1, 100), delay_max: rng.magnitude(10, 20_000) };
    }
    if rng.percent(20) {
        let same = crate::world::name("same");
        world.slots.iter_mut().for_each(|slot| slot.name = same.clone());
    }
    let destroy = |rng: &mut Rng, often| if !only_crashes && rng.percent(often) { rng.range(5, 60) } else { 0 };
    let mut swarm = Swarm {
        faults,
        undos: Vec::new(),
        gap: (rng.magnitude(5 * MS, 300 * MS), rng.magnitude(300 * MS, 2 * SECOND)),
        talk: rng.magnitude(2 * MS, 500 * MS),
        lines_max: rng.range(20, 200) as usize,
        tear: destroy(&mut rng, 60),
        backup: destroy(&mut rng, 30),
        erase: destroy(&mut rng, 30),
        begun: vec![false; hosts],
        dark: vec![false; hosts],
        contacts: vec![Vec::new(); hosts],
        founder: rng.index(hosts),
        world,
        rng,
        tongue: Rng::new(!seed),
    };
    let drawn = format!(
        "{hosts} hosts, links {delay}+{jitter} us, {:?}, gaps {:?} us, tear {} backup {} erase {} %",
        swarm.faults, swarm.gap, swarm.tear, swarm.backup, swarm.erase
    );
    swarm.begin();
    swarm.rage();
    let whole_after = swarm.end();
    let world = swarm.world;
    Report {
        failure: world.failure,
        hash: world.hash,
        whole_after,
        tally: world.tally,
        typed: world.checks.typed(),
        excused: world.checks.excused(),
        drawn,
        trace: world.trace,
    }
}

impl Swarm {
    fn begin(&mut self) {
        self.begun[self.founder] = true;
        self.world.found(self.founder);
        let late = self.rng.percent(50);
        for slot in 0..self.begun.len() {
            if slot != self.founder && !(late && self.rng.percent(30)) {
                self.begun[slot] = true;
                let at = self.rng.magnitude(100, SECOND);
                self.undo(at, Undo::Restart(slot));
            }
        }
        let first = self.rng.range(0, self.talk);
        self.world.alarm(first, TALK);
        if !self.faults.is_empty() {
            let first = self.rng.range(0, 2 * SECOND);
            self.world.alarm(first, STRIKE);
        }
    }

    fn rage(&mut self) {
        let end = self.rng.range(2 * SECOND, 8 * SECOND);
        while let Some(number) = self.world.run_until(end) {
            match number {
                TALK => self.talk(),
                STRIKE => {
                    self.strike();
                    let burst = self.rng.percent(25);
                    let gap =
                        if burst { self.rng.magnitude(1, 20 * MS) } else { self.rng.range(self.gap.0, self.gap.1) };
                    self.world.alarm(self.world.now + gap, STRIKE);
                }
                number => {
                    let undo = self.undos[(number - FIRST_UNDO) as usize].clone();
                    self.put_right(undo);
                }
            }
        }
    }

    fn talk(&mut self) {
        let live = self.world.running();
        if let Some(slot) = self.rng.pick(&live)
            && self.world.checks.typed() < self.lines_max
        {
            // One line, or many: one by one, or pasted.
            let lines = if self.rng.percent(5) { self.rng.range(2, 30) } else { 1 };
            let at_once = if lines % 2 == 0 { lines } else { 1 };
            for _ in 0..lines / at_once {
                let typed = self.world.checks.typed() as u64;
                let said = (typed..typed + at_once).filter_map(|n| self.draft(slot, n)).collect();
                self.world.submit(slot, said);
            }
        }
        let gap = self.rng.range(1, 2 * self.talk);
        self.world.alarm(self.world.now + gap, TALK);
    }

    /// A line, in the lobby as a rule; every other one does something.
    fn draft(&mut self, slot: usize, n: u64) -> Option<Draft> {
        let rng = &mut self.tongue;
        let channel = if rng.percent(60) { None } else { Channel::parse(&format!("c{}", rng.below(4))).ok()? };
        let log = self.world.slots[slot].disk.store().log();
        let line = log.get(rng.index(log.len().max(1))).and_then(|entry| entry.line()).map(|line| line.id);
        let with = if rng.percent(70) { Emoji::like() } else { Emoji::parse("🎉").ok()? };
        let (command, act) = match (rng.below(14), line) {
            (0, _) => ("/me is", Some(Act::Me)),
            (1, Some(to)) => ("/reply", Some(Act::Reply(to))),
            (2..4, Some(to)) => ("/like", Some(Act::React { to, with, on: rng.percent(70) })),
            (4, _) => ("/nick", Some(Act::Nick(Name::parse(["x", "Y", "y", "a", "b", "same"][rng.index(6)]).ok()?))),
            (5, _) => ("/topic", Some(Act::Topic)),
            (6, _) => ("/away", Some(Act::Away)),
            _ => ("say", None),
        };
        let text = if rng.percent(90) { format!("{command} line {n}") } else { command.to_owned() };
        Some(Draft { text: Text::parse(&text).ok()?, channel, act })
    }

    fn undo(&mut self, after: u64, undo: Undo) {
        let number = FIRST_UNDO + self.undos.len() as u64;
        self.undos.push(undo);
        self.world.alarm(self.world.now + after, number);
    }

    fn put_right(&mut self, undo: Undo) {
        match undo {
            Undo::Restart(slot) => self.restart(slot),
            Undo::Resume(slot) => self.world.resume(slot),
            Undo::Heal(links) => links.into_iter().for_each(|(from, to)| self.world.unblock(from, to)),
            Undo::Block(links) => links.into_iter().for_each(|(from, to)| self.world.block(from, to)),
            Undo::Speed(from, to, delay, jitter) => {
                let link = self.world.net.link_mut(from, to);
                (link.delay, link.jitter) = (delay, jitter);
            }
        }
    }

    /// It could reopen the room: a name without a single entry is nothing to go on with.
    fn has_room(&self, slot: usize) -> bool {
        let store = self.world.slots[slot].disk.store();
        store.room().is_some() && !store.log().is_empty()
    }

    /// Whether those who stay are of one room, and could find each other: each knows some other, directly or through
    /// others that stay. Who is gone for good may have been the only one who knew both sides; nobody can ask it. Two
    /// rooms there are where the first one's only host has lost its disk and opened another, and somebody was let in
    /// just before.
    fn connected(&self, stay: &[usize]) -> bool {
        let knows = |slot: usize| {
            let disk = &self.world.slots[slot].disk;
            let saved = disk.saved();
            let mut all: BTreeSet<Uid> = saved.book.into_iter().collect();
            if !self.has_room(slot) {
                // With no more than a room's name it asks its contacts, and in the end it goes on alone.
                all.extend(self.contacts[slot].iter().map(|&contact| uid(contact)));
            }
            all.extend(saved.log_state.epochs.keys().map(|epoch| epoch.leader));
            // Who said good-bye is not looked for.
            for entry in disk.store().log() {
                match &entry.body {
                    Body::Note(Note::Elected(member) | Note::Joined(member)) => all.insert(member.uid),
                    Body::Note(Note::Left { uid, lost: false } | Note::Forged { uid, .. }) => all.remove(uid),
                    Body::Note(Note::Left { lost: true, .. }) | Body::Line(_) => false,
                };
            }
            all.into_iter().filter_map(|uid| slot_at(uid.0)).collect::<Vec<_>>()
        };
        let known: Vec<Vec<usize>> = (0..self.begun.len()).map(knows).collect();
        // Who remembers no room is let in by its contacts, or is not; it introduces nobody.
        let room = |slot: usize| self.world.slots[slot].disk.store().room();
        let leaving = |slot: usize| self.world.slots[slot].process.as_ref().is_some_and(|process| process.leaving);
        let stay: Vec<usize> = stay.iter().copied().filter(|&slot| room(slot).is_some() && !leaving(slot)).collect();
        if stay.iter().any(|&slot| room(slot) != room(stay[0])) {
            return false;
        }
        let mut reached: Vec<usize> = stay.first().copied().into_iter().collect();
        let mut at = 0;
        while let Some(&slot) = reached.get(at) {
            at += 1;
            for &other in &stay {
                if !reached.contains(&other) && (known[slot].contains(&other) || known[other].contains(&slot)) {
                    reached.push(other);
                }
            }
        }
        reached.len() == stay.len()
    }

    fn restart(&mut self, slot: usize) {
        if self.world.up(slot) {
            return;
        }
        self.begun[slot] = true;
        let disk = &self.world.slots[slot].disk;
        let (synced, len) = (disk.synced() as u64, disk.ops().len() as u64);
        let dark = std::mem::take(&mut self.dark[slot]);
        let rewind = if self.rng.percent(self.erase) {
            Rewind::Erase
        } else if self.rng.percent(self.backup) {
            Rewind::To(self.rng.range(0, len) as usize)
        } else if dark && self.rng.percent(self.tear) {
            Rewind::To(self.rng.range(synced, len) as usize)
        } else {
            Rewind::Not
        };
        let remembers = match rewind {
            Rewind::Not => self.has_room(slot),
            Rewind::To(keep) => self.world.slots[slot].disk.remembers_at(keep),
            Rewind::Erase => false,
        };
        let named = |slot: usize| self.world.slots[slot].disk.store().room().is_some();
        let rooms = (0..self.begun.len()).any(|other| other != slot && named(other));
        let logs = (0..self.begun.len()).any(|other| other != slot && self.has_room(other));
        // Where nobody has a log, a room's mere name is enough to go on with; for one alone, since two with no more
        // than that may not know each other.
        let alone = !(0..self.begun.len()).any(|other| other != slot && self.world.up(other) && named(other));
        let remembers = remembers
            || !logs
                && alone
                && match rewind {
                    Rewind::Not => named(slot),
                    Rewind::To(keep) => self.world.slots[slot].disk.named_at(keep),
                    Rewind::Erase => false,
                };
        // Two that only know each other and both wait at the door would wait for ever.
        let host_there = (0..self.begun.len()).any(|other| self.world.checks.has_entered(other));
        let start = if remembers && (self.rng.percent(80) || !host_there) {
            Start::Reopen
        } else if remembers || rooms || self.founder != slot {
            Start::Join(self.draw_contacts(slot))
        } else {
            Start::Create(RoomId(self.rng.bits()))
        };
        if !matches!(start, Start::Join(_)) {
            self.contacts[slot].clear();
        }
        self.world.start(slot, rewind, start);
    }

    /// One to three others, somebody who runs among them if there is one.
    fn draw_contacts(&mut self, slot: usize) -> Vec<std::net::SocketAddr> {
        let others: Vec<usize> = (0..self.begun.len()).filter(|&other| other != slot).collect();
        let running: Vec<usize> = others.iter().copied().filter(|&other| self.world.up(other)).collect();
        let mut contacts = Vec::new();
        contacts.extend(self.rng.pick(&running));
        for _ in 0..self.rng.below(3) {
            contacts.extend(self.rng.pick(&others));
        }
        if self.rng.percent(30) {
            contacts.reverse();
        }
        contacts.dedup();
        if contacts.is_empty() {
            contacts.push(if slot == self.founder { others.first().copied().unwrap_or(slot) } else { self.founder });
        }
        self.contacts[slot] = contacts.clone();
        contacts.into_iter().map(address).collect()
    }

    /// The faults stop: links heal, the paused go on, the dead come back or are gone for good.
    fn end(&mut self) -> u64 {
        if self.world.failure.is_some() {
            return 0;
        }
        self.world.tell(|_| "=== the faults stop".into());
        let hosts = self.begun.len();
        let undos: Vec<Undo> = self.undos.clone();
        for undo in undos {
            if let Undo::Speed(from, to, ..) = undo {
                let back = self.world.net.link(to, from);
                let link = self.world.net.link_mut(from, to);
                (link.delay, link.jitter) = (back.delay.min(30 * MS), back.jitter);
            }
        }
        self.world.heal();
        let mut absent: Vec<usize> = (0..hosts).filter(|&slot| self.begun[slot] && !self.world.up(slot)).collect();
        // Who remembers the room comes first: somebody must be there whom the others can ask.
        absent.sort_by_key(|&slot| !self.has_room(slot));
        let mut gone = vec![false; hosts];
        for slot in absent {
            let room_is_up = self.world.running().iter().any(|&other| self.has_room(other));
            let stay: Vec<usize> =
                (0..hosts).filter(|&other| self.begun[other] && other != slot && !gone[other]).collect();
            let missed = !self.connected(&stay);
            let left = matches!(self.world.slots[slot].stopped, Some(dist_chat::ring::Stop::Left { .. }));
            if self.rng.percent(if left { 70 } else { 25 }) && room_is_up && !missed {
                gone[slot] = true;
                self.world.tell(|_| format!("=== {} never comes back", host(slot)));
                self.world.checks.gone(slot);
                if self.rng.percent(30) {
                    self.world.power_off(slot);
                } else {
                    self.world.power_on(slot);
                }
                continue;
            }
            (self.tear, self.backup, self.erase) =
                if room_is_up { (self.tear, self.backup, self.erase) } else { (0, 0, 0) };
            self.restart(slot);
        }
        let stay: Vec<usize> = (0..hosts).filter(|&slot| self.begun[slot] && !gone[slot]).collect();
        if !self.connected(&stay) {
            // Old backups and good-byes: nobody who is left knows of both sides.
            return 0;
        }
        let watch = if self.rng.percent(25) { 10 * SECOND } else { 3 * SECOND };
        settle::settle(&mut self.world, watch)
    }
}
