//! The state of the full screen and its changes. It takes values and returns values; time is an argument, counted from
//! the start.

pub mod messages;
pub mod ring;
pub mod search;

mod channels;
mod composer;
mod keys;
mod room;
mod timeline;
mod typed;

use std::time::Duration;

use jiff::tz::TimeZone;

use super::layout::{Areas, Panes, RingPane};
use super::message_rows::{self, Look};
use super::paint::TuiStyle;
use crate::present::paint::Paint as Colours;
use crate::present::values::{FeedEvent, FeedLine, FeedPosition, FeedReactions, FeedState, LineKind, Request, Update};
use crate::settings::Bell;
use channels::Channels;
pub use channels::LOBBY;
use composer::Composer;
pub use composer::ComposerMode;
use messages::{MessageRow, tally};
use room::RoomState;
use timeline::{Timeline, Window};

/// How often to request the node's state while the ring is visible.
pub const STATE_EVERY: Duration = Duration::from_millis(500);
/// How often to request the node's state while the ring is hidden.
pub const STATE_SELDOM: Duration = Duration::from_secs(3);
/// Shortest time between two drawings.
pub const FRAME: Duration = Duration::from_millis(33);

/// The user's settings for the full screen.
#[derive(Clone, Debug)]
pub struct TuiSettings {
    /// The colours of the terminal.
    pub colours: Colours,
    /// When the terminal rings.
    pub bell: Bell,
    /// The user's time zone, in which times appear.
    pub zone: TimeZone,
    /// The commands that Tab completes, with their slash.
    pub commands: Vec<String>,
}

/// The whole state of the screen.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) settings: TuiSettings,
    pub(super) size: (u16, u16),
    pub(super) panes: Panes,
    pub(super) composer: Composer,
    pub(super) timeline: Timeline,
    pub(super) channels: Channels,
    pub(super) room: RoomState,
    /// The terminal reports the mouse.
    pub(super) mouse: bool,
    /// The user has asked to leave.
    pub(super) leaving: bool,
    pub(super) bye: Option<String>,
    asked: Option<Duration>,
    /// Something moved at the last tick.
    moved: bool,
    /// When the next part of the ring's picture vanishes.
    fades: Option<Duration>,
    /// The terminal has to ring.
    rings: bool,
    changed: bool,
}

impl Model {
    /// A screen of this many columns and rows, before any update.
    pub fn new(settings: TuiSettings, size: (u16, u16)) -> Self {
        Self {
            settings,
            size,
            panes: Panes { members: true, channels: true, ring: RingPane::Side },
            composer: Composer::default(),
            timeline: Timeline::default(),
            channels: Channels::default(),
            room: RoomState::default(),
            mouse: false,
            leaving: false,
            bye: None,
            asked: None,
            moved: false,
            fades: None,
            rings: false,
            changed: true,
        }
    }

    /// The node's good-bye.
    pub fn bye(&self) -> Option<&str> {
        self.bye.as_deref()
    }

    /// Whether the terminal should report the mouse.
    pub fn mouse(&self) -> bool {
        self.mouse
    }

    /// Columns and rows of the terminal.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// The number of messages kept.
    pub fn messages(&self) -> usize {
        self.timeline.messages().len()
    }

    /// The text of the input line.
    pub fn typed(&self) -> &str {
        self.composer.input.text()
    }

    /// Whether anything has changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the terminal has to ring, since the last call.
    pub fn take_rings(&mut self) -> bool {
        std::mem::take(&mut self.rings)
    }

    /// Rings for a new line of another user, as the settings say. `meant`: the line is addressed to this user.
    fn ring_for(&mut self, meant: bool) {
        self.rings |= match self.settings.bell {
            Bell::Off => false,
            Bell::Mention => meant,
            Bell::All => true,
        };
    }

    /// Takes an update from the node.
    pub fn told(&mut self, told: Update, now: Duration) {
        self.changed = true;
        match told {
            Update::Hello(hello) => self.room.hello = Some(hello),
            Update::Line(line) => self.line(line),
            Update::Private(private) => {
                if !private.own {
                    self.ring_for(true);
                }
                self.timeline.push(MessageRow::Private(private));
            }
            Update::Reactions(reactions) => self.reacted(&reactions),
            Update::Event(event) => self.event(&event, now),
            Update::State(state) => self.stated(*state, now),
            Update::Note { text } => self.timeline.push(MessageRow::Note(text)),
            Update::Listing { heading, lines } => {
                self.timeline.push(MessageRow::Note(heading));
                lines.into_iter().for_each(|line| self.timeline.push(MessageRow::Note(format!("  {line}"))));
            }
            Update::Here(here) => self.here(here),
            Update::Clear => self.timeline.clear(),
            Update::Sent(sent) => {
                if let Some(why) = sent.why.filter(|_| !sent.ordered) {
                    self.timeline.push(MessageRow::Note(format!("not sent: {why}")));
                }
            }
            Update::Waiting { lines } => self.composer.set_waiting(lines),
            Update::Missed { lines } => self.timeline.begin_missed(lines),
            Update::CaughtUp => self.timeline.begin_new(),
            Update::LeftOut { lines } => {
                let what = if lines == 1 { "1 line is" } else { &format!("{lines} lines are") };
                self.timeline.push(MessageRow::Divider(format!("{what} left out here; the log has them")));
            }
            Update::Bye { text } => {
                self.bye = Some(text.clone());
                self.timeline.push(MessageRow::Event(text));
            }
        }
    }

    /// Takes the node's current name and channel.
    fn here(&mut self, here: FeedPosition) {
        self.room.rename(&here);
        if here.channel != self.channels.shown() {
            self.channels.switch(&here.channel, self.room.state.as_ref());
            self.timeline.follow();
        }
    }

    fn line(&mut self, line: Box<FeedLine>) {
        self.timeline.begin_line(line.past);
        if line.own {
            self.composer.confirm(&line.text);
        }
        self.room.add_speaker(line.name.as_str());
        // Other updates show their effect: the totals beside the line, and the new name if it is free.
        if matches!(line.kind, LineKind::React | LineKind::Nick) {
            return;
        }
        let elsewhere = line.channel != self.channels.shown();
        let mentioned = self.own_name().is_some_and(|own| !message_rows::mentions(&line.text, own).is_empty());
        if !line.own && !line.past {
            self.ring_for(mentioned);
        }
        // Every channel shows a line that mentions the user.
        let everywhere = elsewhere && mentioned && !line.own && !line.past;
        if elsewhere && !everywhere && !line.own && (!line.past || self.timeline.is_missed()) {
            self.channels.add_unread(&line.channel);
        }
        let quote = line.to.filter(|_| line.kind == LineKind::Reply).and_then(|ts| self.timeline.messages().quote(ts));
        let channel = line.channel.clone();
        let shown = MessageRow::Line { line, quote };
        if everywhere {
            self.timeline.push(shown);
        } else {
            self.timeline.push_in(channel, shown, !elsewhere);
        }
    }

    fn reacted(&mut self, reactions: &FeedReactions) {
        if !self.timeline.react(reactions) && !reactions.reactions.is_empty() {
            let text = format!("{}: {} – {}", reactions.name, reactions.text, tally(&reactions.reactions));
            self.timeline.push(MessageRow::Event(text));
        }
    }

    fn event(&mut self, event: &FeedEvent, now: Duration) {
        self.room.on_event(event, now);
        if event.notable {
            self.timeline.push(MessageRow::Event(event.text.clone()));
        }
        // The event has changed the room's state: request it again.
        self.asked = None;
    }

    fn stated(&mut self, state: FeedState, now: Duration) {
        self.channels.on_state(&state);
        self.composer.on_state(state.waiting);
        self.room.on_state(state, now);
    }

    /// Does all that is due `now`, and returns requests for the node.
    pub fn tick(&mut self, now: Duration) -> Vec<Request> {
        // One more drawing shows that a movement has ended or a text has vanished.
        let moves = self.is_ring_shown() && self.room.ring.moves(now);
        let faded = self.fades.is_some_and(|at| now >= at);
        self.changed |= moves || self.moved || faded;
        self.moved = moves;
        self.fades = self.room.ring.fades(now);
        self.room.ring.tick(now);
        let due = self.asked.is_none_or(|asked| now >= asked + self.state_every());
        if due && self.bye.is_none() {
            self.asked = Some(now);
            return vec![Request::State];
        }
        Vec::new()
    }

    fn state_every(&self) -> Duration {
        if self.is_ring_shown() { STATE_EVERY } else { STATE_SELDOM }
    }

    /// The latest time for the next [`Model::tick`] if nothing happens.
    pub fn wake(&self, now: Duration) -> Duration {
        let ask = self.asked.map_or(now, |asked| asked + self.state_every());
        let moves = (self.moved || self.is_ring_shown() && self.room.ring.moves(now)).then_some(now + FRAME);
        [Some(ask), moves, self.room.ring.fades(now)].into_iter().flatten().min().unwrap_or(ask)
    }

    /// Whether the ring is visible.
    pub fn is_ring_shown(&self) -> bool {
        self.areas().ring.is_some()
    }

    /// The area of each pane.
    pub fn areas(&self) -> Areas {
        let members = self.room.state.as_ref().map_or(1, |state| state.members.len());
        let channels = self.channels().len();
        Areas::of(self.size, self.panes, self.input_rows(), (members, channels))
    }

    /// Colours and styles.
    pub fn paint(&self) -> TuiStyle {
        TuiStyle { colours: self.settings.colours }
    }

    /// The node's name.
    pub fn own_name(&self) -> Option<&str> {
        self.room.own_name()
    }

    pub(super) fn look(&self) -> Look<'_> {
        Look {
            own: self.own_name(),
            channel: self.channels.shown(),
            paint: self.paint(),
            zone: &self.settings.zone,
            search: self.composer.search(),
        }
    }

    /// The window of the messages.
    fn window(&self) -> Window<'_> {
        let area = self.areas().messages;
        Window { look: self.look(), width: usize::from(area.width), height: usize::from(area.height) }
    }

    /// Scrolls by this many rows.
    fn scroll_by(&mut self, up: bool, rows: usize) {
        let window = self.window();
        let anchor = match up {
            true => self.timeline.anchor_above(rows, &window),
            false => self.timeline.anchor_below(self.timeline.scroll(), rows, &window),
        };
        self.timeline.scroll_to(anchor, self.channels.shown());
    }

    /// Brings a message to the middle of the window.
    fn show(&mut self, seq: u64) {
        let Some(message) = self.timeline.messages().get(seq) else { return };
        let anchor = self.timeline.anchor_around(message, &self.window());
        self.timeline.jump_to(anchor);
    }

    /// The known channels and their numbers of unread lines.
    pub fn channels(&self) -> Vec<(&str, u64)> {
        self.channels.list(self.room.state.as_ref())
    }

    /// The topic of the shown channel.
    pub fn topic(&self) -> Option<&str> {
        self.channels.topic(self.room.state.as_ref())
    }
}
