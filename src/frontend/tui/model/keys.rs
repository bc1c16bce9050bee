//! The key bindings of the full screen.

use std::time::Duration;

use super::messages::MessageRow;
use super::search::Search;
use super::{ComposerMode, Model};
use crate::frontend::input::buffer::{EditRules, Go};
use crate::frontend::input::keys::Key;
use crate::frontend::tui::help;
use crate::frontend::tui::layout::RingPane;
use crate::present::values::Request;

/// Most lines that one paste may send.
const PASTE_LINES_MAX: usize = 500;
/// Rows of one step of the wheel.
const WHEEL_ROWS: usize = 3;

impl Model {
    /// Handles a key, and returns requests for the node.
    pub fn key(&mut self, key: Key, _now: Duration) -> Vec<Request> {
        self.changed = true;
        match &key {
            Key::Resize(columns, rows) => {
                self.size = (*columns, *rows);
                return Vec::new();
            }
            Key::Ctrl('c') => return self.interrupt(),
            Key::Ctrl('l') => return Vec::new(),
            Key::F(number) if self.pane(*number) => return Vec::new(),
            _ => {}
        }
        match std::mem::take(&mut self.composer.mode) {
            ComposerMode::Talk => self.talk(key),
            ComposerMode::Search(search) => self.search(search, key),
            ComposerMode::Ask(lines) => self.answer(lines, &key),
            ComposerMode::Help(top) => {
                self.help(top, &key);
                Vec::new()
            }
        }
    }

    /// ^C ends a search, question or help; else it clears the line; with an empty line it leaves the room.
    fn interrupt(&mut self) -> Vec<Request> {
        match std::mem::take(&mut self.composer.mode) {
            ComposerMode::Talk if self.composer.input.is_empty() => self.leave(),
            ComposerMode::Talk => {
                self.composer.input.clear();
                Vec::new()
            }
            ComposerMode::Search(_) | ComposerMode::Ask(_) | ComposerMode::Help(_) => Vec::new(),
        }
    }

    fn leave(&mut self) -> Vec<Request> {
        self.leaving = true;
        vec![Request::Leave]
    }

    /// F1 to F5. `false`: the key has no binding.
    fn pane(&mut self, number: u8) -> bool {
        match number {
            1 => {
                self.composer.mode = match self.composer.mode {
                    ComposerMode::Help(_) => ComposerMode::Talk,
                    ComposerMode::Talk | ComposerMode::Search(_) | ComposerMode::Ask(_) => ComposerMode::Help(0),
                };
            }
            2 => self.panes.members = !self.panes.members,
            3 => self.panes.channels = !self.panes.channels,
            4 => {
                self.panes.ring = match self.panes.ring {
                    RingPane::Hidden => RingPane::Side,
                    RingPane::Side => RingPane::Large,
                    RingPane::Large => RingPane::Hidden,
                };
            }
            5 => self.mouse = !self.mouse,
            _ => return false,
        }
        true
    }

    fn help(&mut self, top: u16, key: &Key) {
        let top = match key {
            Key::Down | Key::PageDown | Key::WheelDown => top.saturating_add(1),
            Key::Up | Key::PageUp | Key::WheelUp => top.saturating_sub(1),
            Key::Escape | Key::Enter | Key::Char('q') => return,
            _ => top,
        };
        self.composer.mode = ComposerMode::Help(top.min(help::last_line()));
    }

    fn answer(&mut self, lines: Vec<String>, key: &Key) -> Vec<Request> {
        match key {
            Key::Char('y' | 'Y') => self.say_all(lines),
            Key::Char('n' | 'N') | Key::Escape => Vec::new(),
            _ => {
                self.composer.mode = ComposerMode::Ask(lines);
                Vec::new()
            }
        }
    }

    /// Sends each line as a message, even those that look like commands.
    fn say_all(&mut self, lines: Vec<String>) -> Vec<Request> {
        self.timeline.follow();
        let said: Vec<String> = lines.into_iter().filter(|line| !line.trim().is_empty()).collect();
        said.iter().for_each(|line| self.composer.add_pending(line));
        said.into_iter().map(|text| Request::Say { text, channel: None, id: None }).collect()
    }

    fn talk(&mut self, key: Key) -> Vec<Request> {
        match key {
            Key::Enter => return self.enter(),
            Key::Ctrl('d') if self.composer.input.is_empty() => return self.leave(),
            Key::Ctrl('n') => return self.next_channel(true),
            Key::Ctrl('p') => return self.next_channel(false),
            Key::Alt(digit @ '1'..='9') => {
                let place = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok()).unwrap_or(1) - 1;
                let name = self.channels().get(place).map(|(name, _)| (*name).to_owned());
                return name.map_or_else(Vec::new, |name| join(&name));
            }
            Key::Click(column, row) => return self.click(column, row),
            Key::Paste(text) => self.paste(&text),
            Key::Ctrl('f') => self.composer.mode = ComposerMode::Search(Search::begin()),
            Key::Char('/') if self.timeline.scroll().is_some() && self.composer.input.is_empty() => {
                self.composer.mode = ComposerMode::Search(Search::begin());
            }
            Key::Tab => self.complete(false),
            Key::BackTab => self.complete(true),
            Key::Escape => self.timeline.follow(),
            key => {
                if !self.edit(&key) {
                    self.move_view(&key);
                }
            }
        }
        Vec::new()
    }

    /// Keys that edit the line. `false`: the key is none of them.
    fn edit(&mut self, key: &Key) -> bool {
        let input = &mut self.composer.input;
        match key {
            Key::Char(c) => drop(input.edit().insert(c.encode_utf8(&mut [0; 4]))),
            Key::Newline => drop(input.edit().insert("\n")),
            Key::Backspace | Key::Ctrl('h') => input.edit().remove(Go::Left),
            Key::Delete | Key::Ctrl('d') => input.edit().remove(Go::Right),
            Key::Ctrl('w') => input.edit().cut(Go::BlankLeft),
            Key::AltBackspace => input.edit().cut(Go::WordLeft),
            Key::Alt('d') => input.edit().cut(Go::WordRight),
            Key::Ctrl('u') => input.edit().cut(Go::Start),
            Key::Ctrl('k') => input.edit().cut(Go::End),
            Key::Ctrl('y') => input.edit().paste_cut(),
            Key::Ctrl('t') => input.edit().transpose(),
            Key::Left | Key::Ctrl('b') => input.edit().go(Go::Left),
            Key::Right => input.edit().go(Go::Right),
            Key::WordLeft | Key::Alt('b') => input.edit().go(Go::WordLeft),
            Key::WordRight | Key::Alt('f') => input.edit().go(Go::WordRight),
            Key::Ctrl('a') => input.edit().go(Go::Start),
            Key::Ctrl('e') => input.edit().go(Go::End),
            Key::Home if !input.is_empty() => input.edit().go(Go::Start),
            Key::End if !input.is_empty() => input.edit().go(Go::End),
            Key::Up => input.older(),
            Key::Down => input.newer(),
            _ => return false,
        }
        true
    }

    /// Keys that scroll.
    fn move_view(&mut self, key: &Key) {
        let page = usize::from(self.areas().messages.height).saturating_sub(1).max(1);
        match key {
            Key::PageUp => self.scroll_by(true, page),
            Key::PageDown => self.scroll_by(false, page),
            Key::WheelUp => self.scroll_by(true, WHEEL_ROWS),
            Key::WheelDown => self.scroll_by(false, WHEEL_ROWS),
            Key::Home | Key::CtrlHome => self.scroll_by(true, usize::MAX),
            Key::End | Key::CtrlEnd => self.timeline.follow(),
            _ => {}
        }
    }

    fn enter(&mut self) -> Vec<Request> {
        let text = self.composer.input.take();
        self.timeline.follow();
        if text.contains('\n') || text.trim().is_empty() {
            return self.say_all(text.split('\n').map(str::to_owned).collect());
        }
        if !text.starts_with('/') {
            self.composer.add_pending(&text);
        }
        vec![Request::Type { line: text }]
    }

    fn next_channel(&mut self, forwards: bool) -> Vec<Request> {
        let channels = self.channels();
        let place = channels.iter().position(|(name, _)| *name == self.channels.shown()).unwrap_or(0);
        let step = if forwards { 1 } else { channels.len() - 1 };
        match channels.get((place + step) % channels.len()).map(|(name, _)| (*name).to_owned()) {
            Some(name) if name != self.channels.shown() => join(&name),
            Some(_) | None => Vec::new(),
        }
    }

    fn click(&mut self, column: u16, row: u16) -> Vec<Request> {
        let Some(area) = self.areas().channels else { return Vec::new() };
        // The first row is the title.
        if !area.contains((column, row).into()) || row == area.y {
            return Vec::new();
        }
        let place = usize::from(row - area.y) - 1;
        let name = self.channels().get(place).map(|(name, _)| (*name).to_owned());
        name.filter(|name| *name != self.channels.shown()).map_or_else(Vec::new, |name| join(&name))
    }

    fn paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text = text.trim_end_matches('\n');
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        if lines.len() > PASTE_LINES_MAX {
            let note = format!("that paste has {} lines; {PASTE_LINES_MAX} can be sent at once", lines.len());
            self.timeline.push(MessageRow::Note(note));
        } else if lines.len() > EditRules::MESSAGE.lines_max {
            self.composer.mode = ComposerMode::Ask(lines);
        } else if lines.len() > 1 && self.composer.input.text().starts_with('/') {
            // The rest of a private message would go to everybody.
            self.timeline.push(MessageRow::Note("not pasted: a command takes one line".to_owned()));
        } else if !self.composer.input.edit().insert(text) {
            self.timeline.push(MessageRow::Note("that is too long for one message".to_owned()));
        }
    }

    fn complete(&mut self, back: bool) {
        let names = self.room.others();
        let channels: Vec<String> = self.channels().iter().map(|(name, _)| format!("#{name}")).collect();
        let commands = self.settings.commands.clone();
        self.composer.input.complete(back, |word, at| {
            let fits = |candidate: &&String| candidate.to_lowercase().starts_with(&word.to_lowercase());
            match word.chars().next() {
                Some('/') if at == 0 => commands.iter().filter(fits).map(|command| format!("{command} ")).collect(),
                Some('#') => channels.iter().filter(fits).cloned().collect(),
                _ => {
                    let after = if at == 0 { ": " } else { "" };
                    names.iter().filter(fits).map(|name| format!("{name}{after}")).collect()
                }
            }
        });
    }

    fn search(&mut self, mut search: Search, key: Key) -> Vec<Request> {
        match key {
            Key::Escape => return Vec::new(),
            Key::Enter if search.typing => search.typing = false,
            Key::Enter | Key::Up | Key::Ctrl('p') => self.find(&mut search, true),
            Key::Down | Key::Ctrl('n') => self.find(&mut search, false),
            Key::Char('n') if !search.typing => self.find(&mut search, true),
            Key::Char('N') if !search.typing => self.find(&mut search, false),
            Key::Char('/') | Key::Ctrl('f') if !search.typing => search = Search::begin(),
            Key::Char(c) if search.typing => self.sought(&mut search, |search| search.push(c.encode_utf8(&mut [0; 4]))),
            Key::Paste(text) if search.typing => self.sought(&mut search, |search| search.push(&text)),
            Key::Backspace | Key::Ctrl('h') if search.typing => self.sought(&mut search, Search::pop),
            key => self.move_view(&key),
        }
        self.composer.mode = ComposerMode::Search(search);
        Vec::new()
    }

    /// Changes the words of the search, and shows the newest message that contains them.
    fn sought(&mut self, search: &mut Search, change: impl FnOnce(&mut Search)) {
        change(search);
        search.hit = None;
        search.hits = self
            .timeline
            .messages()
            .iter()
            .filter(|message| message.is_in(self.channels.shown()) && search.finds(message))
            .count();
        self.find(search, true);
    }

    /// Shows the next older, or newer, message that contains the words.
    fn find(&mut self, search: &mut Search, older: bool) {
        let wanted =
            |message: &&super::messages::Message| message.is_in(self.channels.shown()) && search.finds(message);
        let hit = match (search.hit, older) {
            (None, _) => self.timeline.messages().iter().rev().find(wanted),
            (Some(hit), true) => match hit.checked_sub(1) {
                Some(before) => self.timeline.messages().up_to(before).rev().find(wanted),
                None => None,
            },
            (Some(hit), false) => self.timeline.messages().from(hit + 1).find(wanted),
        };
        if let Some(seq) = hit.map(|message| message.seq) {
            search.hit = Some(seq);
            self.show(seq);
        }
    }
}

/// Requests another channel. The screen changes once the node confirms it.
fn join(channel: &str) -> Vec<Request> {
    vec![Request::Type { line: format!("/join #{channel}") }]
}
