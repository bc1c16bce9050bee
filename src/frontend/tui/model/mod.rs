//! What the full screen knows and how it changes: values in, values out. Time is an argument, counted from the start.

pub mod messages;
pub mod ring;
pub mod search;

mod keys;
mod scroll;
mod typed;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::tz::TimeZone;

use super::input::Input;
use super::layout::{Areas, Panes, RingPane};
use super::message_rows::{self, Look};
use super::paint::Paint;
use crate::present::paint::Paint as Colours;
use crate::present::values::{Asked, Event, Hello, Here, Kind, Line, Reactions, State, Told};
use crate::settings::Bell;
use messages::{Message, Messages, Shown, tally};
use ring::Ring;
use search::Search;

/// Between two questions how the room is doing while the ring is shown, ..
pub const STATE_EVERY: Duration = Duration::from_millis(500);
/// .. and while it is not.
pub const STATE_SELDOM: Duration = Duration::from_secs(3);
/// Between two pictures of what moves.
pub const FRAME: Duration = Duration::from_millis(33);
/// Own lines that are shown as waiting, at most; more are counted.
const PENDING_LINES_MAX: usize = 256;
/// Names that are kept to complete words, besides those of members.
const SPEAKERS_MAX: usize = 256;
/// Channels whose unread lines are counted.
const CHANNELS_MAX: usize = 1024;
/// The channel where everybody is.
pub const LOBBY: &str = "lobby";

/// What a screen is told before it begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The colours.
    pub colours: Colours,
    /// When the terminal rings.
    pub bell: Bell,
    /// Where the person is: times are shown as they are there.
    pub zone: TimeZone,
    /// The commands that Tab completes, with their slash.
    pub commands: Vec<String>,
}

/// What keys are for at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A line is typed.
    Talk,
    /// Something is searched.
    Search(Search),
    /// These lines were pasted; are they to be sent?
    Ask(Vec<String>),
    /// The keys are explained, from this line on.
    Help(u16),
}

/// The last row that is shown, when it is not the last of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Of this message ..
    pub seq: u64,
    /// .. the row of this number, from zero.
    pub row: usize,
}

/// All that the screen shows.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) settings: Settings,
    pub(super) size: (u16, u16),
    pub(super) hello: Option<Hello>,
    pub(super) state: Option<State>,
    pub(super) messages: Messages,
    pub(super) input: Input,
    pub(super) mode: Mode,
    pub(super) panes: Panes,
    pub(super) scroll: Option<Anchor>,
    /// Messages that came below what is shown.
    pub(super) below: u64,
    pub(super) channel: String,
    unread: BTreeMap<String, u64>,
    /// How many lines a channel had when it was looked at last.
    read: BTreeMap<String, u64>,
    pub(super) waiting: u64,
    /// What was typed and has not come back.
    pub(super) pending: VecDeque<String>,
    speakers: VecDeque<String>,
    pub(super) ring: Ring,
    /// The mouse is listened to.
    pub(super) mouse: bool,
    /// The person wants to leave.
    pub(super) leaving: bool,
    pub(super) bye: Option<String>,
    /// Lines said before this screen was there are coming.
    past: Past,
    asked: Option<Duration>,
    /// Something moved when this was looked at last.
    moved: bool,
    /// When the next thing is no longer shown.
    fades: Option<Duration>,
    /// The terminal is to ring.
    rings: bool,
    changed: bool,
}

/// Whether what comes was said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    /// It is not known yet.
    Unsaid,
    /// It was, before this screen was there at all.
    Before,
    /// It was, while this screen or its node was away: it is new to the person.
    Missed,
    /// It is new.
    New,
}

impl Model {
    /// A screen of so many columns and rows, before anything has happened.
    pub fn new(settings: Settings, size: (u16, u16)) -> Self {
        Self {
            settings,
            size,
            hello: None,
            state: None,
            messages: Messages::default(),
            input: Input::default(),
            mode: Mode::Talk,
            panes: Panes { members: true, channels: true, ring: RingPane::Side },
            scroll: None,
            below: 0,
            channel: LOBBY.to_owned(),
            unread: BTreeMap::new(),
            read: BTreeMap::new(),
            waiting: 0,
            pending: VecDeque::new(),
            speakers: VecDeque::new(),
            ring: Ring::default(),
            mouse: false,
            leaving: false,
            bye: None,
            past: Past::Unsaid,
            asked: None,
            moved: false,
            fades: None,
            rings: false,
            changed: true,
        }
    }

    /// Why it is over, when it is.
    pub fn bye(&self) -> Option<&str> {
        self.bye.as_deref()
    }

    /// The mouse is to be listened to.
    pub fn mouse(&self) -> bool {
        self.mouse
    }

    /// The terminal's size.
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// How many messages are kept.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// What is typed.
    pub fn typed(&self) -> &str {
        self.input.text()
    }

    /// Whether anything has changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the terminal is to ring, for what has come since this was asked last.
    pub fn take_rings(&mut self) -> bool {
        std::mem::take(&mut self.rings)
    }

    /// Rings for something that is new, and another's; `meant`: for the person at this screen.
    fn ring_for(&mut self, meant: bool) {
        self.rings |= match self.settings.bell {
            Bell::Off => false,
            Bell::Mention => meant,
            Bell::All => true,
        };
    }

    /// Takes in what the node tells, `now`.
    pub fn told(&mut self, told: Told, now: Duration) {
        self.changed = true;
        match told {
            Told::Hello(hello) => self.hello = Some(hello),
            Told::Line(line) => self.line(line),
            Told::Private(private) => {
                if !private.own {
                    self.ring_for(true);
                }
                self.push(None, Shown::Private(private));
            }
            Told::Reactions(reactions) => self.reacted(&reactions),
            Told::Event(event) => self.event(&event, now),
            Told::State(state) => self.stated(*state, now),
            Told::Note { text } => self.push(None, Shown::Note(text)),
            Told::Listing { heading, lines } => {
                self.push(None, Shown::Note(heading));
                lines.into_iter().for_each(|line| self.push(None, Shown::Note(format!("  {line}"))));
            }
            Told::Here(here) => self.here(here),
            Told::Clear => {
                self.messages.clear();
                self.follow();
            }
            Told::Sent(sent) => {
                if let Some(why) = sent.why.filter(|_| !sent.ordered) {
                    self.push(None, Shown::Note(format!("not sent: {why}")));
                }
            }
            Told::Waiting { lines } => self.waits(lines),
            Told::Missed { lines } => {
                let text = match lines {
                    Some(1) => "missed: 1 line".to_owned(),
                    Some(lines) => format!("missed: {lines} lines"),
                    None => "missed".to_owned(),
                };
                self.past = Past::Missed;
                self.push(None, Shown::Divider(text));
            }
            Told::CaughtUp => self.new_from_here(),
            Told::LeftOut { lines } => {
                let what = if lines == 1 { "1 line is" } else { &format!("{lines} lines are") };
                self.push(None, Shown::Divider(format!("{what} left out here; the log has them")));
            }
            Told::Bye { text } => {
                self.bye = Some(text.clone());
                self.push(None, Shown::Event(text));
            }
        }
    }

    /// The node's name may have changed, and so may the channel.
    fn here(&mut self, here: Here) {
        if let Some(hello) = &mut self.hello {
            hello.name = here.name.clone();
        }
        if let Some(state) = &mut self.state {
            let own = state.members.iter_mut().find(|member| member.address == here.address);
            own.into_iter().for_each(|member| member.name = here.name.clone());
            state.name = here.name;
        }
        if here.channel != self.channel {
            self.look_at(&here.channel);
        }
    }

    fn new_from_here(&mut self) {
        if matches!(self.past, Past::Before | Past::Missed) {
            self.push(None, Shown::Divider("new".to_owned()));
        }
        self.past = Past::New;
    }

    fn line(&mut self, line: Box<Line>) {
        match (line.past, self.past) {
            (true, Past::Unsaid | Past::New) => {
                self.past = Past::Before;
                self.push(None, Shown::Divider("said before".to_owned()));
            }
            (false, Past::Before | Past::Missed) => self.new_from_here(),
            (true, Past::Before | Past::Missed) | (false, Past::Unsaid | Past::New) => {}
        }
        if line.own
            && let Some(place) = self.pending.iter().position(|typed| typed.trim() == line.text.trim())
        {
            // Lines are ordered as they were typed: what came before it was not taken, or was another thing.
            self.pending.drain(..=place);
        }
        self.spoke(line.name.as_str());
        // What comes of them follows: the total, which stands with the line that is meant; the name, if it is free.
        if matches!(line.kind, Kind::React | Kind::Nick) {
            return;
        }
        let elsewhere = line.channel != self.channel;
        let mentioned = self.own_name().is_some_and(|own| !message_rows::mentions(&line.text, own).is_empty());
        if !line.own && !line.past {
            self.ring_for(mentioned);
        }
        // Who is spoken to hears it, wherever that is.
        let everywhere = elsewhere && mentioned && !line.own && !line.past;
        if elsewhere
            && !everywhere
            && !line.own
            && (!line.past || self.past == Past::Missed)
            && (self.unread.len() < CHANNELS_MAX || self.unread.contains_key(&line.channel))
        {
            *self.unread.entry(line.channel.clone()).or_default() += 1;
        }
        let quote = line.to.filter(|_| line.kind == Kind::Reply).and_then(|ts| self.messages.quote(ts));
        self.push((!everywhere).then(|| line.channel.clone()), Shown::Line { line, quote });
    }

    fn spoke(&mut self, name: &str) {
        if let Some(place) = self.speakers.iter().position(|known| known == name) {
            self.speakers.remove(place);
        }
        self.speakers.push_front(name.to_owned());
        self.speakers.truncate(SPEAKERS_MAX);
    }

    fn reacted(&mut self, reactions: &Reactions) {
        if !self.messages.react(reactions) && !reactions.reactions.is_empty() {
            let text = format!("{}: {} – {}", reactions.name, reactions.text, tally(&reactions.reactions));
            self.push(None, Shown::Event(text));
        }
    }

    fn event(&mut self, event: &Event, now: Duration) {
        self.ring.event(event, self.state.as_ref(), now);
        if event.notable {
            self.push(None, Shown::Event(event.text.clone()));
        }
        // What has happened has changed how the room is doing.
        self.asked = None;
    }

    fn stated(&mut self, state: State, now: Duration) {
        self.ring.state(&state, now);
        for channel in state.channels.iter().take(CHANNELS_MAX) {
            let here = channel.name == self.channel;
            let read = self.read.entry(channel.name.clone()).or_insert(channel.lines);
            if here {
                *read = channel.lines;
            }
        }
        if state.waiting == 0 && self.waiting > 0 {
            self.waits(0);
        }
        self.state = Some(state);
    }

    fn waits(&mut self, lines: u64) {
        self.waiting = lines;
        if lines == 0 {
            self.pending.clear();
        }
    }

    fn push(&mut self, channel: Option<String>, what: Shown) {
        let here = channel.as_ref().is_none_or(|channel| *channel == self.channel);
        let seq = self.messages.push(channel, what);
        if let Some(anchor) = self.scroll
            && here
            && seq > anchor.seq
        {
            self.below += 1;
        }
    }

    /// What is due `now`: questions to the node.
    pub fn tick(&mut self, now: Duration) -> Vec<Asked> {
        // What has stopped, or is no longer shown, is drawn once more without it.
        let moves = self.is_ring_shown() && self.ring.moves(now);
        let faded = self.fades.is_some_and(|at| now >= at);
        self.changed |= moves || self.moved || faded;
        self.moved = moves;
        self.fades = self.ring.fades(now);
        self.ring.tick(now);
        let due = self.asked.is_none_or(|asked| now >= asked + self.state_every());
        if due && self.bye.is_none() {
            self.asked = Some(now);
            return vec![Asked::State];
        }
        Vec::new()
    }

    fn state_every(&self) -> Duration {
        if self.is_ring_shown() { STATE_EVERY } else { STATE_SELDOM }
    }

    /// When [`Model::tick`] is to be called at the latest, if nothing happens.
    pub fn wake(&self, now: Duration) -> Duration {
        let ask = self.asked.map_or(now, |asked| asked + self.state_every());
        let moves = (self.moved || self.is_ring_shown() && self.ring.moves(now)).then_some(now + FRAME);
        [Some(ask), moves, self.ring.fades(now)].into_iter().flatten().min().unwrap_or(ask)
    }

    /// The ring is drawn at the moment.
    pub fn is_ring_shown(&self) -> bool {
        self.areas().ring.is_some()
    }

    /// What stands where.
    pub fn areas(&self) -> Areas {
        let members = self.state.as_ref().map_or(1, |state| state.members.len());
        let channels = self.channels().len();
        Areas::of(self.size, self.panes, self.input_rows(), (members, channels))
    }

    /// How things look.
    pub fn paint(&self) -> Paint {
        Paint { colours: self.settings.colours }
    }

    /// The node's name.
    pub fn own_name(&self) -> Option<&str> {
        let stated = self.state.as_ref().map(|state| state.name.as_str());
        stated.or_else(|| self.hello.as_ref().map(|hello| hello.name.as_str()))
    }

    pub(super) fn look(&self) -> Look<'_> {
        let search = match &self.mode {
            Mode::Search(search) => Some(search),
            Mode::Talk | Mode::Ask(_) | Mode::Help(_) => None,
        };
        Look { own: self.own_name(), channel: &self.channel, paint: self.paint(), zone: &self.settings.zone, search }
    }

    /// Whether this message belongs to what is shown.
    pub fn is_here(&self, message: &Message) -> bool {
        message.channel.as_ref().is_none_or(|channel| *channel == self.channel)
    }

    /// The channels that are known, and how many lines of each are unread.
    pub fn channels(&self) -> Vec<(&str, u64)> {
        let stated = self.state.iter().flat_map(|state| &state.channels).map(|channel| channel.name.as_str());
        let mut names: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        let others = self.unread.keys().map(String::as_str);
        for name in std::iter::once(LOBBY).chain(stated).chain(others).chain([self.channel.as_str()]) {
            if seen.insert(name) {
                names.push(name);
            }
        }
        names.into_iter().map(|name| (name, self.unread(name))).collect()
    }

    fn unread(&self, channel: &str) -> u64 {
        if channel == self.channel {
            return 0;
        }
        let stated = self.state.iter().flat_map(|state| &state.channels).find(|known| known.name == channel);
        let since = stated
            .map_or(0, |known| known.lines.saturating_sub(self.read.get(channel).copied().unwrap_or(known.lines)));
        since.max(self.unread.get(channel).copied().unwrap_or(0))
    }

    /// The topic of the channel that is shown.
    pub fn topic(&self) -> Option<&str> {
        let channels = &self.state.as_ref()?.channels;
        channels.iter().find(|channel| channel.name == self.channel)?.topic.as_deref()
    }

    /// Shows another channel from here on.
    fn look_at(&mut self, channel: &str) {
        let lines = self.state.iter().flat_map(|state| &state.channels);
        let lines: Vec<(String, u64)> = lines.map(|known| (known.name.clone(), known.lines)).collect();
        for (name, lines) in lines {
            if name == self.channel || name == channel {
                self.read.insert(name, lines);
            }
        }
        self.unread.remove(channel);
        self.channel = channel.to_owned();
        self.follow();
    }
}
