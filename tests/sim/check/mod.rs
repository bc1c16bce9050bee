//! The invariants of the protocol, checked after every step.
//!
//! Nothing here looks into the core or trusts the store: the checkers keep their own picture, built from what nodes are
//! told to do and what they want done. Each file holds one kind of promise; every check says which invariant it guards.

mod history;
mod lines;
mod reign;
mod screen;
pub mod social;
mod steady;

use dist_chat::ring::{Config, Event, Frame, Index, LineId, Record, SessionKey, Status, Text};

use crate::world::disk::{Disk, Op};
use history::History;
use lines::Lines;
use reign::Reign;
use screen::Screen;
use social::Social;
use steady::Steady;

/// What a checker says; the error names the invariant.
pub type Verdict = Result<(), String>;

/// Who stands at a host now.
#[derive(Clone, Debug)]
struct Run {
    run: u32,
    key: SessionKey,
}

/// All checkers.
#[derive(Clone, Debug)]
pub struct Checks {
    runs: Vec<Option<Run>>,
    history: History,
    lines: Lines,
    reign: Reign,
    screen: Screen,
    steady: Steady,
    social: Social,
}

impl Checks {
    /// Checkers for so many hosts.
    pub fn new(hosts: usize) -> Self {
        Self {
            runs: vec![None; hosts],
            history: History::new(hosts),
            lines: Lines::new(hosts),
            reign: Reign::new(hosts),
            screen: Screen::new(hosts),
            steady: Steady::new(hosts),
            social: Social::default(),
        }
    }

    /// The only faults of this run are crashes and exits: invariant 10 holds as long as somebody who joined is up.
    pub fn crashes_only(&mut self) {
        self.steady.enable();
    }

    /// A process begins.
    pub fn started(&mut self, slot: usize, run: u32, config: &Config, now: u64) {
        let key = SessionKey { author: config.author, session: config.session };
        self.runs[slot] = Some(Run { run, key });
        self.lines.session(key);
        self.reign.started(slot, config.saved.promise);
        self.screen.started(slot);
        self.steady.started(slot, self.history.len(slot), now);
    }

    /// A process has ended.
    pub fn ended(&mut self, slot: usize, now: u64) {
        self.runs[slot] = None;
        self.screen.ended(slot);
        self.steady.ended(slot, now);
    }

    /// A disk went back to an earlier state: what it lost that nobody else has is excused.
    pub fn replaced(&mut self, slot: usize, ops: &[Op]) {
        self.lines.forget(slot);
        self.history.forget(slot);
        for op in ops {
            // What was right once is right again.
            let _ = match op {
                Op::Save(record) => self.record(slot, record, None),
                Op::Cut(keep) => self.cut_log(slot, *keep),
                Op::Reopen => Ok(()),
            };
        }
        self.lines.excuse();
    }

    /// A node never comes back, nor does its disk.
    pub fn gone(&mut self, slot: usize) {
        self.lines.forget(slot);
        self.history.forget(slot);
        self.lines.excuse();
    }

    /// Somebody typed a line that the node takes.
    pub fn submitted(&mut self, slot: usize, text: Text) {
        if let Some(run) = &self.runs[slot] {
            self.lines.submitted(slot, run.key, text, self.history.tip(slot));
            self.screen.submitted(self.lines.count());
        }
    }

    /// A record is about to be written.
    pub fn saved(&mut self, slot: usize, record: &Record) -> Verdict {
        if let Record::Promise(epoch) = record {
            self.reign.promised(slot, *epoch)?;
        }
        let run = self.runs[slot].clone();
        self.record(slot, record, run.as_ref())
    }

    fn record(&mut self, slot: usize, record: &Record, run: Option<&Run>) -> Verdict {
        match record {
            Record::Append(entries) => {
                for entry in entries {
                    let line = entry.line().map(|line| self.lines.number(line)).transpose()?;
                    let tip = line.and_then(|line| self.lines.read_before(line));
                    let fresh = self.history.append(slot, entry, line, tip)?;
                    if fresh && let Some(run) = run {
                        self.reign.ordered(slot, run.run, entry)?;
                    }
                    if let Some(line) = line {
                        self.lines.appended(slot, line)?;
                    }
                }
                Ok(())
            }
            Record::Queue(lines) => lines.iter().try_for_each(|line| {
                let line = self.lines.number(line)?;
                self.lines.queued(slot, line)
            }),
            Record::Room(_) | Record::Promise(_) | Record::LearnPeer(_) | Record::ForgetPeer(_) | Record::Shown(_) => {
                Ok(())
            }
        }
    }

    fn cut_log(&mut self, slot: usize, keep: Index) -> Verdict {
        let lines = self.history.cut(slot, keep);
        self.lines.cut(slot, &lines);
        Ok(())
    }

    /// A log was cut, and this is the disk after it.
    pub fn cut(&mut self, slot: usize, keep: Index, disk: &Disk) -> Verdict {
        self.steady.cut(slot, self.history.len(slot), keep)?;
        self.cut_log(slot, keep)?;
        self.lines.agrees(slot, disk.store())
    }

    /// A frame is about to leave.
    pub fn sending(&mut self, slot: usize, frame: &Frame, disk: &Disk) -> Verdict {
        match frame {
            Frame::Ack(ack) if ack.index.0 > self.history.len(slot) => {
                Err(format!("invariant 6: acknowledges {} and has written {}", ack.index.0, self.history.len(slot)))
            }
            Frame::Submit(submit) => {
                submit.lines.iter().try_for_each(|line| self.lines.holds(slot, self.lines.number(line)?))
            }
            Frame::Elected(elected) => self.reign.announcing(slot, elected, disk.promise_synced()),
            Frame::Relay(relay) => match relay.frame.as_deref() {
                Some(inner) if relay.from == crate::world::uid(slot) => self.sending(slot, inner, disk),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A node tells its person something.
    pub fn event(&mut self, slot: usize, event: &Event, disk: &Disk) -> Verdict {
        match event {
            Event::Line(entry) => {
                let line = self.lines.shown(entry)?;
                self.history.stands(slot, entry)?;
                self.screen.shown(slot, line)?;
                self.screen.logged(slot, line)
            }
            Event::LogOnly(entry) => {
                let line = self.lines.shown(entry)?;
                self.history.stands(slot, entry)?;
                self.screen.logged(slot, line)
            }
            Event::Backlog { entries, logged } => entries.iter().try_for_each(|entry| {
                let line = self.lines.shown(entry)?;
                self.screen.shown(slot, line)?;
                if *logged { self.screen.logged(slot, line) } else { Ok(()) }
            }),
            Event::Entered { .. } => {
                self.screen.entered(slot, self.lines.count());
                self.steady.entered(slot);
                Ok(())
            }
            Event::Leader(epoch) => self.reign.obeys(slot, *epoch),
            Event::Confirmed { n, alone } => match &self.runs[slot] {
                Some(run) => {
                    let SessionKey { author, session } = run.key;
                    match disk.is_synced(LineId { author, session, n: *n }) {
                        true => self.lines.sent(slot, run.key, *n, *alone),
                        false => Err(format!("invariant 6: calls line {n} sent before it is on the medium")),
                    }
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Invariant 8: every queue, map and buffer is within its named limit.
    pub fn sizes(&self, _slot: usize, sizes: &[(&'static str, usize, usize)]) -> Verdict {
        match sizes.iter().find(|(_, size, limit)| size > limit) {
            Some((name, size, limit)) => Err(format!("invariant 8: {name} holds {size}, its limit is {limit}")),
            None => Ok(()),
        }
    }

    /// How a node says that it stands.
    pub fn status(&mut self, slot: usize, status: &Status, disk: &Disk) -> Verdict {
        let Some(run) = &self.runs[slot] else { return Ok(()) };
        if self.reign.status(slot, run.run, status)? {
            // A winner that has never heard of somebody who is up cannot ask it: a partition that nobody made.
            let saved = disk.saved();
            let known = |other: usize| {
                let uid = crate::world::uid(other);
                other == slot || saved.book.contains(&uid) || saved.log_state.view.contains(uid)
            };
            self.steady.won(known);
        }
        if status.tail.index.0 != self.history.len(slot) {
            let len = self.history.len(slot);
            return Err(format!("invariant 2: says that its log ends at {}; it ends at {len}", status.tail.index.0));
        }
        self.social.status(self.history.tip(slot), status)?;
        let leader = status.epoch.and_then(|epoch| crate::world::slot_at(epoch.leader.0));
        let level = leader.is_some_and(|leader| self.history.tip(leader) == self.history.tip(slot));
        self.steady.status(slot, level);
        if disk.store().log().len() as u64 != self.history.len(slot) {
            return Err("the store has lost entries".into());
        }
        Ok(())
    }

    /// Whether two hosts have the same log.
    pub fn same_log(&self, a: usize, b: usize) -> bool {
        self.history.tip(a) == self.history.tip(b)
    }

    /// Whether a log holds every line that was typed from this one on.
    pub fn holds_all_from(&self, slot: usize, first: usize) -> bool {
        (first..self.lines.count()).all(|line| self.lines.stands(slot, line as history::LineNo))
    }

    /// Invariant 6: the store's queue is what must be in it.
    pub fn agrees(&self, slot: usize, disk: &Disk) -> Verdict {
        self.lines.agrees(slot, disk.store())
    }

    /// How many lines wait there, in pending queue and outbox.
    pub fn waiting(&self, slot: usize) -> usize {
        self.lines.waiting(slot)
    }

    /// After the faults: every line that was sent, and is not excused, stands in this log once.
    pub fn all_sent_stand(&self, slot: usize) -> Verdict {
        self.lines.all_sent_stand(slot)
    }

    /// After the faults: whoever is in the room was shown every line typed since it entered that stands in its log.
    pub fn all_shown(&self, slot: usize) -> Verdict {
        self.screen.all_shown(slot, |line| self.lines.stands(slot, line))
    }

    /// Whether this host has entered.
    pub fn has_entered(&self, slot: usize) -> bool {
        self.screen.has_entered(slot)
    }

    /// Lines that were typed.
    pub fn typed(&self) -> usize {
        self.lines.count()
    }

    /// Sent lines whose last copy a fault has destroyed.
    pub fn excused(&self) -> usize {
        self.lines.excused()
    }
}
