//! A screen without a terminal, and a room for it to show.

use std::path::PathBuf;
use std::time::Duration;

use dist_chat::frontend::input::keys::Key;
use dist_chat::frontend::tui::pacing::FramePacer;
use dist_chat::frontend::tui::{Model, TuiSettings};
use dist_chat::present::paint::Paint;
use dist_chat::present::report::RoleWord;
use dist_chat::present::values::{
    EventKind, FeedChannel, FeedEvent, FeedHello, FeedLine, FeedLink, FeedMember, FeedPosition, FeedState, LineKind,
    ReactionCount, Request, Update,
};
use dist_chat::ring::{AuthorId, Name, RoomId, SessionId, Uid};
use dist_chat::settings::Bell;
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use unicode_width::UnicodeWidthStr as _;

/// The names of the members, in the order of their addresses.
pub const NAMES: [&str; 12] =
    ["ann", "bob", "carl", "dora", "emil", "fritz", "gerda", "hans", "ida", "jan", "kurt", "lena"];

pub fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

pub fn uid(place: usize) -> Uid {
    format!("10.0.0.{}:2428", place + 1).parse().unwrap()
}

fn place(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
}

/// A screen, its clock, and its requests to the node.
pub struct Screen {
    pub stage: FramePacer<TestBackend>,
    pub now: Duration,
    pub asked: Vec<Request>,
    ts: u64,
}

impl Screen {
    pub fn new(columns: u16, rows: u16) -> Self {
        Self::painted(columns, rows, Paint::Plain)
    }

    pub fn painted(columns: u16, rows: u16, colours: Paint) -> Self {
        let commands = ["/help", "/history", "/join"].map(str::to_owned).to_vec();
        let settings = TuiSettings { colours, bell: Bell::Mention, zone: TimeZone::UTC, commands };
        let model = Model::new(settings, (columns, rows));
        let terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
        Self { stage: FramePacer::new(model, terminal), now: Duration::from_secs(1), asked: Vec::new(), ts: 100 }
    }

    /// A screen in a room with a leader, in which the user is `ann`.
    pub fn in_room(columns: u16, rows: u16, members: usize, leader: usize) -> Self {
        let mut screen = Self::new(columns, rows);
        let room = Some(RoomId(0x3f2a));
        screen.told(Update::Hello(FeedHello {
            program: "0.1.0".to_owned(),
            name: name("ann"),
            address: uid(0),
            room,
            log: None,
        }));
        screen.told(Update::State(Box::new(state(members, Some(leader)))));
        // After this time, the screen shows the pulse of the first state no more.
        screen.wait(2_000);
        screen
    }

    pub fn told(&mut self, told: Update) {
        self.stage.told(told, self.now);
    }

    pub fn key(&mut self, key: Key) {
        self.stage.key(key, self.now).unwrap();
        let asked = &mut self.asked;
        self.stage.ask(|this| {
            asked.push(this);
            None
        });
    }

    pub fn keys(&mut self, text: &str) {
        text.chars().for_each(|c| self.key(Key::Char(c)));
    }

    /// The lines that the screen has sent to the node since the last call.
    pub fn typed(&mut self) -> Vec<String> {
        let asked = std::mem::take(&mut self.asked);
        let line = |asked| match asked {
            Request::Type { line } => Some(line),
            Request::Say { text, .. } => Some(format!("say {text}")),
            Request::Leave => Some("leave".to_owned()),
            Request::State | Request::Flush { .. } => None,
        };
        asked.into_iter().filter_map(line).collect()
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    pub fn say(&mut self, who: &str, text: &str) -> u64 {
        let line = self.line(who, text);
        let ts = line.ts;
        self.told(Update::Line(Box::new(line)));
        ts
    }

    pub fn line(&mut self, who: &str, text: &str) -> FeedLine {
        self.ts += 1;
        FeedLine {
            index: self.ts,
            ts: self.ts,
            time: format!("2026-11-20T15:{:02}:05.678+00:00", self.ts % 60),
            name: name(who),
            address: uid(place(who)),
            author: AuthorId::of_bits(1),
            session: SessionId(2),
            n: 3,
            channel: "lobby".to_owned(),
            kind: LineKind::Say,
            text: text.to_owned(),
            typed: None,
            to: None,
            own: who == "ann",
            past: false,
            reactions: Vec::new(),
        }
    }

    /// The node reports the channel in which the user types.
    pub fn here(&mut self, channel: &str) {
        self.told(Update::Here(FeedPosition {
            name: name("ann"),
            address: uid(0),
            channel: channel.to_owned(),
            unread: 0,
        }));
    }

    /// The screen as text, as a user sees it, without blanks at the ends of lines.
    pub fn text(&mut self) -> String {
        self.wait(40);
        self.stage.turn(self.now).unwrap();
        let buffer = self.stage.terminal().backend().buffer().clone();
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let mut row = String::new();
            let mut x = 0;
            while x < buffer.area.width {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += u16::try_from(symbol.width().max(1)).unwrap();
            }
            assert!(!row.chars().any(char::is_control), "{row:?}");
            text.push_str(row.trim_end());
            text.push('\n');
        }
        text
    }

    /// Compares the screen with the file of this name.
    pub fn shows(&mut self, picture: &str) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tui").join(format!("{picture}.txt"));
        let text = self.text();
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, text).unwrap();
            return;
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == expected, "{picture} is now\n{text}\nand was\n{expected}\n(UPDATE=1 writes it anew)");
    }
}

/// The answer of `ann`'s node in a room of so many members.
pub fn state(members: usize, leader: Option<usize>) -> FeedState {
    FeedState {
        room: Some(RoomId(0x3f2a)),
        name: name("ann"),
        address: uid(0),
        role: match leader {
            None => RoleWord::Electing,
            Some(0) => RoleWord::Leader,
            Some(_) => RoleWord::Follower,
        },
        leader: leader.map(uid),
        round: Some(3),
        next: Some(uid(1 % members)),
        prev: Some(uid(members - 1)),
        members: (0..members).map(|place| member(place, members, leader)).collect(),
        channels: vec![channel("lobby", 20)],
        last: 120,
        lamport: 140,
        waiting: 0,
    }
}

fn member(place: usize, members: usize, leader: Option<usize>) -> FeedMember {
    let linked = place != 0 && (place == 1 || place == members - 1 || leader == Some(place));
    FeedMember {
        address: uid(place),
        name: name(NAMES[place]),
        author: AuthorId::of_bits(u64::try_from(place).unwrap()),
        away: None,
        link: linked.then_some(FeedLink { up: true, silent_ms: 40 }),
        rtt_us: linked.then_some(400 + 1_300 * u64::try_from(place).unwrap()),
        behind: None,
    }
}

pub fn channel(name: &str, lines: u64) -> FeedChannel {
    FeedChannel { name: name.to_owned(), topic: None, lines }
}

pub fn count(with: &str, count: u64) -> ReactionCount {
    ReactionCount { with: with.to_owned(), count }
}

pub fn event(kind: EventKind, text: &str) -> FeedEvent {
    FeedEvent { kind, text: text.to_owned(), ts: 1, notable: !text.is_empty(), ..FeedEvent::default() }
}
