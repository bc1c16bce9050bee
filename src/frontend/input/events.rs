//! Translates crossterm's events into keys.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind};

use super::keys::Key;

impl Key {
    /// The key of an event; `None`: the screens use no such event.
    pub fn of(event: Event) -> Option<Self> {
        match event {
            Event::Key(key) => Self::pressed(key),
            Event::Paste(text) => Some(Self::Paste(text)),
            Event::Resize(columns, rows) => Some(Self::Resize(columns, rows)),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => Some(Self::WheelUp),
                MouseEventKind::ScrollDown => Some(Self::WheelDown),
                MouseEventKind::Down(MouseButton::Left) => Some(Self::Click(mouse.column, mouse.row)),
                _ => None,
            },
            Event::FocusGained | Event::FocusLost => None,
        }
    }

    fn pressed(key: KeyEvent) -> Option<Self> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        Some(match (key.code, ctrl, alt) {
            (KeyCode::Char(c), true, false) => Self::Ctrl(c.to_ascii_lowercase()),
            (KeyCode::Char(c), false, true) => Self::Alt(c),
            // AltGr sets both modifiers and types a character.
            (KeyCode::Char(c), ..) => Self::Char(c),
            (KeyCode::Enter, _, true) => Self::Newline,
            (KeyCode::Enter, ..) => Self::Enter,
            (KeyCode::Tab, ..) => Self::Tab,
            (KeyCode::BackTab, ..) => Self::BackTab,
            (KeyCode::Backspace, false, false) => Self::Backspace,
            (KeyCode::Backspace, ..) => Self::AltBackspace,
            (KeyCode::Delete, ..) => Self::Delete,
            (KeyCode::Left, false, false) => Self::Left,
            (KeyCode::Left, ..) => Self::WordLeft,
            (KeyCode::Right, false, false) => Self::Right,
            (KeyCode::Right, ..) => Self::WordRight,
            (KeyCode::Up, ..) => Self::Up,
            (KeyCode::Down, ..) => Self::Down,
            (KeyCode::Home, true, _) => Self::CtrlHome,
            (KeyCode::Home, ..) => Self::Home,
            (KeyCode::End, true, _) => Self::CtrlEnd,
            (KeyCode::End, ..) => Self::End,
            (KeyCode::PageUp, ..) => Self::PageUp,
            (KeyCode::PageDown, ..) => Self::PageDown,
            (KeyCode::Esc, ..) => Self::Escape,
            (KeyCode::F(number), ..) => Self::F(number),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_they_are() {
        let key = |code, modifiers| Key::of(Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Ctrl('c')));
        assert_eq!(key(KeyCode::Char('@'), KeyModifiers::CONTROL | KeyModifiers::ALT), Some(Key::Char('@')));
        assert_eq!(key(KeyCode::Enter, KeyModifiers::ALT), Some(Key::Newline));
        assert_eq!(key(KeyCode::Left, KeyModifiers::CONTROL), Some(Key::WordLeft));
        assert_eq!(key(KeyCode::Menu, KeyModifiers::NONE), None);
    }
}
