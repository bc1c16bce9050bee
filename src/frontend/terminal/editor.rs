//! The line editor of the terminal: takes keys and says what should happen. It draws nothing and sends nothing.

use super::complete::{Completion, Known, complete};
use crate::frontend::input::buffer::{EditBuffer, EditRules, Go};
use crate::frontend::input::keys::Key;
use crate::frontend::input::recall::Recall;

/// A paste of more lines needs the user's consent.
pub const PASTE_LINES_UNASKED: usize = 5;

/// What the caller has to do after a key, besides drawing the line again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditorAction {
    /// Nothing else.
    Nothing,
    /// Send the line, then call [`Editor::entered`], which empties it.
    Enter,
    /// Send these pasted lines as messages, even those that look like commands.
    Lines(Vec<String>),
    /// Print the candidates of a completion.
    List(Vec<String>),
    /// Clear the screen.
    Clear,
    /// Stop the process until the shell continues it.
    Suspend,
    /// Leave the room.
    Leave,
    /// Print this note to the user.
    Say(String),
}

/// The editor as the screen shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EditorView<'a> {
    /// Stands in place of the prompt.
    pub question: Option<String>,
    /// The text behind the prompt or question.
    pub text: &'a str,
    /// The cursor, in bytes of `text`.
    pub at: usize,
}

#[derive(Debug, Default)]
enum EditorMode {
    #[default]
    Line,
    /// Ctrl-R: the words, how many lines back the hit is, and the text before the search.
    Search { words: String, back: usize, draft: String },
    /// Asks whether to send a long paste.
    Ask { pasted: String, lines: usize },
}

/// The line that the user types, the earlier ones, and the editor's mode.
#[derive(Debug)]
pub struct Editor {
    buffer: EditBuffer,
    recall: Recall,
    mode: EditorMode,
    /// What Tab completes.
    pub known: Known,
}

impl Default for Editor {
    fn default() -> Self {
        let buffer = EditBuffer::new(EditRules::LINE);
        Self { buffer, recall: Recall::default(), mode: EditorMode::default(), known: Known::default() }
    }
}

impl Editor {
    /// What the screen shows now.
    pub fn shown(&self) -> EditorView<'_> {
        let question = match &self.mode {
            EditorMode::Line => None,
            EditorMode::Search { words, back: _, draft: _ } => Some(format!("(search `{words}') ")),
            EditorMode::Ask { pasted: _, lines } => {
                return EditorView { question: Some(format!("paste {lines} lines? y/N ")), text: "", at: 0 };
            }
        };
        EditorView { question, text: self.buffer.text(), at: self.buffer.caret() }
    }

    /// The typed text.
    pub fn line(&self) -> &str {
        self.buffer.text()
    }

    /// Remembers the sent line and empties it.
    pub fn entered(&mut self) {
        let line = self.buffer.take();
        self.recall.add(&line);
    }

    /// Handles a key.
    pub fn key(&mut self, key: Key) -> EditorAction {
        match std::mem::take(&mut self.mode) {
            EditorMode::Line => self.line_key(key),
            EditorMode::Search { words, back, draft } => self.search_key(key, words, back, draft),
            EditorMode::Ask { pasted, lines } => match key {
                Key::Char('y' | 'Y') => EditorAction::Lines(self.lines_of(&pasted)),
                Key::Char('n' | 'N') | Key::Escape | Key::Enter | Key::Ctrl('c' | 'd' | 'g') => EditorAction::Nothing,
                _other => {
                    self.mode = EditorMode::Ask { pasted, lines };
                    EditorAction::Nothing
                }
            },
        }
    }

    fn line_key(&mut self, key: Key) -> EditorAction {
        let buffer = &mut self.buffer;
        match key {
            Key::Char(c) => drop(buffer.insert(c.encode_utf8(&mut [0; 4]))),
            Key::Enter => return EditorAction::Enter,
            Key::Tab => return self.tab(),
            Key::Ctrl('c') if buffer.text().is_empty() => return EditorAction::Leave,
            Key::Ctrl('d') if buffer.text().is_empty() => return EditorAction::Leave,
            Key::Ctrl('c') => drop(buffer.take()),
            Key::Ctrl('d') | Key::Delete => buffer.remove(Go::Right),
            Key::Backspace | Key::Ctrl('h') => buffer.remove(Go::Left),
            Key::Left | Key::Ctrl('b') => buffer.go(Go::Left),
            Key::Right | Key::Ctrl('f') => buffer.go(Go::Right),
            Key::Home | Key::Ctrl('a') => buffer.go(Go::Start),
            Key::End | Key::Ctrl('e') => buffer.go(Go::End),
            Key::Alt('b') => buffer.go(Go::WordLeft),
            Key::Alt('f') => buffer.go(Go::WordRight),
            Key::Alt('d') => buffer.cut(Go::WordRight),
            Key::AltBackspace => buffer.cut(Go::WordLeft),
            Key::Ctrl('w') => buffer.cut(Go::BlankLeft),
            Key::Ctrl('k') => buffer.cut(Go::End),
            Key::Ctrl('u') => buffer.cut(Go::Start),
            Key::Ctrl('y') => buffer.paste_cut(),
            Key::Ctrl('t') => buffer.transpose(),
            Key::Up | Key::Ctrl('p') => {
                if let Some(line) = self.recall.older(buffer.text()) {
                    buffer.set(line);
                }
            }
            Key::Down | Key::Ctrl('n') => {
                if let Some(line) = self.recall.newer() {
                    buffer.set(line);
                }
            }
            Key::Ctrl('r') => {
                let draft = buffer.text().to_owned();
                self.mode = EditorMode::Search { words: String::new(), back: 0, draft };
            }
            Key::Ctrl('l') => return EditorAction::Clear,
            Key::Ctrl('z') => return EditorAction::Suspend,
            Key::Paste(text) => return self.paste(&text),
            Key::PasteTooLong { bytes } => {
                return EditorAction::Say(format!("{bytes} bytes are too many to paste, and were not taken"));
            }
            Key::Ctrl(_) | Key::Alt(_) | Key::Escape => {}
            // The decoder of bytes makes none of these.
            Key::Newline
            | Key::BackTab
            | Key::WordLeft
            | Key::WordRight
            | Key::CtrlHome
            | Key::CtrlEnd
            | Key::PageUp
            | Key::PageDown
            | Key::F(_)
            | Key::Resize(..)
            | Key::WheelUp
            | Key::WheelDown
            | Key::Click(..) => {}
        }
        EditorAction::Nothing
    }

    fn tab(&mut self) -> EditorAction {
        match complete(&self.buffer.text()[..self.buffer.caret()], &self.known) {
            Completion::Nothing => {}
            Completion::Put(from, text) => self.buffer.complete(from, &text),
            Completion::List(candidates) => return EditorAction::List(candidates),
        }
        EditorAction::Nothing
    }

    fn search_key(&mut self, key: Key, mut words: String, back: usize, draft: String) -> EditorAction {
        let (words, from) = match key {
            Key::Char(c) => {
                words.push(c);
                (words, back.saturating_sub(1))
            }
            Key::Backspace => {
                words.pop();
                (words, 0)
            }
            Key::Ctrl('r') => (words, back),
            Key::Escape | Key::Ctrl('g' | 'c') => {
                self.buffer.set(draft);
                return EditorAction::Nothing;
            }
            // The search ends with its hit as the line, and the key edits that.
            other => return self.line_key(other),
        };
        let found = if words.is_empty() { None } else { self.recall.search(&words, from) };
        let back = match found {
            Some((at, line)) => {
                self.buffer.set(line.to_owned());
                at
            }
            None => back,
        };
        self.mode = EditorMode::Search { words, back, draft };
        EditorAction::Nothing
    }

    fn paste(&mut self, text: &str) -> EditorAction {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        // Control characters never enter the line: a terminal could act on them.
        let mut text: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        // A line end in the paste must not send a half-typed command, and the rest of a private message to everybody.
        if self.buffer.text().starts_with('/') && text.contains('\n') {
            text.truncate(text.trim_end_matches('\n').len());
            if text.contains('\n') {
                return EditorAction::Say("not pasted: a command takes one line".to_owned());
            }
        }
        match text.lines().count() {
            lines if lines > PASTE_LINES_UNASKED => {
                self.mode = EditorMode::Ask { pasted: text, lines };
                EditorAction::Nothing
            }
            _ => match self.lines_of(&text) {
                lines if lines.is_empty() => EditorAction::Nothing,
                lines => EditorAction::Lines(lines),
            },
        }
    }

    /// Splits a paste into lines to send. The first one includes the text around the cursor; the text behind the last
    /// line end stays in the editor.
    fn lines_of(&mut self, pasted: &str) -> Vec<String> {
        let mut lines = Vec::new();
        let mut pieces = pasted.split('\n').peekable();
        while let Some(piece) = pieces.next() {
            self.buffer.insert(piece);
            if pieces.peek().is_some() {
                let line = self.buffer.take();
                self.recall.add(&line);
                lines.push(line);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(editor: &mut Editor, text: &str) {
        for c in text.chars() {
            assert_eq!(editor.key(Key::Char(c)), EditorAction::Nothing);
        }
    }

    #[test]
    fn leaving_takes_an_empty_line() {
        for key in ['c', 'd'] {
            let mut editor = Editor::default();
            type_in(&mut editor, "ab");
            editor.key(Key::Left);
            assert_eq!(editor.key(Key::Ctrl(key)), EditorAction::Nothing);
            assert_eq!(editor.line(), if key == 'c' { "" } else { "a" });
            editor.key(Key::Backspace);
            assert_eq!(editor.key(Key::Ctrl(key)), EditorAction::Leave);
        }
    }

    #[test]
    fn few_lines_are_sent_as_typed_and_many_after_a_question() {
        let mut editor = Editor::default();
        type_in(&mut editor, "[]");
        editor.key(Key::Left);
        assert_eq!(editor.key(Key::Paste("one".to_owned())), EditorAction::Nothing);
        assert_eq!(editor.line(), "[one]");
        let lines = |lines: &[&str]| EditorAction::Lines(lines.iter().map(|line| (*line).to_owned()).collect());
        assert_eq!(editor.key(Key::Paste("\r\ntwo\rthree".to_owned())), lines(&["[one]", "two"]));
        assert_eq!(editor.line(), "three");
        let many = "1\n2\n3\n4\n5\n6\n";
        for no in [Key::Char('n'), Key::Escape, Key::Enter, Key::Ctrl('c')] {
            assert_eq!(editor.key(Key::Paste(many.to_owned())), EditorAction::Nothing);
            assert_eq!(editor.shown().question.as_deref(), Some("paste 6 lines? y/N "));
            assert_eq!(editor.key(Key::Char('x')), EditorAction::Nothing);
            assert_eq!(editor.key(no), EditorAction::Nothing);
            assert_eq!((editor.line(), editor.shown().question), ("three", None));
        }
        editor.key(Key::Ctrl('c'));
        editor.key(Key::Paste(many.to_owned()));
        assert_eq!(editor.key(Key::Char('y')), lines(&["1", "2", "3", "4", "5", "6"]));
    }

    #[test]
    fn a_paste_never_ends_a_command() {
        let mut editor = Editor::default();
        type_in(&mut editor, "/msg bob ");
        let word = |wish| matches!(wish, EditorAction::Say(_));
        assert!(word(editor.key(Key::Paste("one\ntwo".to_owned()))));
        assert!(word(editor.key(Key::Paste("1\n2\n3\n4\n5\n6\n7\n".to_owned()))));
        assert_eq!((editor.line(), editor.shown().question), ("/msg bob ", None));
        assert_eq!(editor.key(Key::Paste("secret\r\n".to_owned())), EditorAction::Nothing);
        assert_eq!(editor.line(), "/msg bob secret");
        assert_eq!(editor.key(Key::Enter), EditorAction::Enter);
    }

    #[test]
    fn pasted_control_bytes_do_not_act() {
        let mut editor = Editor::default();
        editor.key(Key::Paste("a\x1b[31m\x03\x04\t\u{9b}b\x7f".to_owned()));
        assert_eq!(editor.line(), "a[31m\tb");
    }

    #[test]
    fn a_search_finds_what_was_typed() {
        let mut editor = Editor::default();
        for line in ["make tea", "drink it", "make coffee"] {
            type_in(&mut editor, line);
            editor.entered();
        }
        type_in(&mut editor, "draft");
        editor.key(Key::Ctrl('r'));
        type_in(&mut editor, "mak");
        assert_eq!(editor.line(), "make coffee");
        editor.key(Key::Ctrl('r'));
        assert_eq!(editor.line(), "make tea");
        assert_eq!(editor.shown().question.as_deref(), Some("(search `mak') "));
        editor.key(Key::Escape);
        assert_eq!((editor.line(), editor.shown().question), ("draft", None));
        editor.key(Key::Ctrl('r'));
        type_in(&mut editor, "drink");
        assert_eq!(editor.key(Key::Enter), EditorAction::Enter);
        assert_eq!(editor.line(), "drink it");
    }
}
