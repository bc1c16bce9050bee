//! Tells what happens: every notice goes to the log, and what people want to know to the screen.
//!
//! Runs on a thread of its own, since the log may block on a disk. The node waits while notices are not taken, so this
//! never waits for anything but the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};

use crate::chatlog::{self, LogWriter};
use crate::net::Notice;
use crate::ring::{Event, Lamport, Name, RoomId, SessionId, Uid};
use crate::ui::format::{self, LineFormat};
use crate::ui::screen::Screen;
use crate::ui::talk::OwnLines;

/// The node's clock as far as the frontends know it: never behind any line that was shown.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    /// What it says now.
    pub fn now(&self) -> Lamport {
        Lamport(self.0.load(Ordering::Relaxed))
    }

    /// It is at least this late.
    pub fn witness(&self, lamport: Lamport) {
        self.0.fetch_max(lamport.0, Ordering::Relaxed);
    }
}

/// Who this node is in its room; nothing before it is in.
pub type Place = Option<(Name, RoomId)>;

/// Everything that a herald tells, and whom.
#[derive(Debug)]
pub struct Herald {
    /// The log.
    pub log: LogWriter,
    /// The screen.
    pub screen: Screen,
    /// Log lines go to the screen too.
    pub verbose: bool,
    /// Kept at the latest timestamp.
    pub clock: Clock,
    /// The node's address.
    pub uid: Uid,
    /// The name that was asked for.
    pub wanted: Name,
    /// The node's run: its own lines are counted.
    pub session: SessionId,
    /// The count.
    pub lines: OwnLines,
    /// Told when the node is in its room, and when its name changes there.
    pub place: watch::Sender<Place>,
}

impl Herald {
    /// Tells until the node has ended.
    pub fn run(mut self, mut notices: mpsc::Receiver<Vec<Notice>>) {
        let mut lines = LineFormat::default();
        let (mut log, mut screen) = (String::new(), String::new());
        while let Some(batch) = notices.blocking_recv() {
            for notice in batch {
                match notice {
                    Notice::Clock(at) => self.clock.witness(at),
                    Notice::Event(event) => self.tell(&event, &mut lines, &mut log, &mut screen),
                    Notice::PeerDropped { peer, why } => {
                        self.push(&format!("{peer} lost its link: {why}"), false, &mut log, &mut screen);
                    }
                }
                if log.len() >= chatlog::WRITE_BYTES_MAX {
                    self.hand_over(&mut log, &mut screen);
                }
            }
            self.hand_over(&mut log, &mut screen);
        }
    }

    fn hand_over(&mut self, log: &mut String, screen: &mut String) {
        if !log.is_empty() {
            self.log.push(log);
            log.clear();
        }
        self.screen.push(screen);
        screen.clear();
    }

    fn tell(&mut self, event: &Event, lines: &mut LineFormat, log: &mut String, screen: &mut String) {
        match event {
            Event::Line(entry) => {
                self.clock.witness(entry.lamport);
                if let Some(line) = entry.line().filter(|line| line.id.session == self.session) {
                    self.lines.witness(line.id.n);
                }
                lines.push(entry, log, screen);
            }
            Event::Backlog(entries) => {
                for entry in entries {
                    self.clock.witness(entry.lamport);
                    lines.push(entry, log, screen);
                    if log.len() >= chatlog::WRITE_BYTES_MAX {
                        self.hand_over(log, screen);
                    }
                }
            }
            Event::Entered { name, room } => self.enter(name, *room, log, screen),
            event => {
                if let Some(text) = format::event_text(event) {
                    self.push(&text, format::is_for_screen(event), log, screen);
                }
            }
        }
    }

    fn enter(&mut self, name: &Name, room: RoomId, log: &mut String, screen: &mut String) {
        let place = Some((name.clone(), room));
        if *self.place.borrow() == place {
            return;
        }
        let welcome = format::welcome(name, &self.wanted, self.uid, room);
        self.push(&welcome, true, log, screen);
        self.hand_over(log, screen);
        self.place.send_replace(place);
    }

    fn push(&self, text: &str, shown: bool, log: &mut String, screen: &mut String) {
        let start = log.len();
        format::push_log_event(log, self.clock.now(), text);
        if shown {
            format::push_screen_event(screen, text);
        }
        if self.verbose {
            screen.push_str(&log[start..]);
        }
    }
}
