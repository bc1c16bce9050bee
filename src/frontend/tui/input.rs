//! The input line of the full screen: edits, recalls and completes.

use crate::frontend::input::buffer::{EditBuffer, EditRules};
use crate::frontend::input::recall::Recall;

/// The line that the user types, and what Tab and the arrow keys make of it.
#[derive(Clone, Debug)]
pub struct LineInput {
    buffer: EditBuffer,
    recall: Recall,
    completing: Option<Completing>,
}

/// A completion that the next Tab continues.
#[derive(Clone, Debug)]
struct Completing {
    /// The first byte of the word.
    start: usize,
    /// The possible words; the last one is the word as the user typed it.
    candidates: Vec<String>,
    at: usize,
}

impl Default for LineInput {
    fn default() -> Self {
        Self { buffer: EditBuffer::new(EditRules::MESSAGE), recall: Recall::default(), completing: None }
    }
}

impl LineInput {
    /// The typed text.
    pub fn text(&self) -> &str {
        self.buffer.text()
    }

    /// The caret, in bytes.
    pub fn caret(&self) -> usize {
        self.buffer.caret()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The text, for an edit, after which Tab begins a new completion.
    pub fn edit(&mut self) -> &mut EditBuffer {
        self.completing = None;
        &mut self.buffer
    }

    /// Drops the text.
    pub fn clear(&mut self) {
        self.edit().take();
        self.recall.rewind();
    }

    /// Takes the text, and remembers it.
    pub fn take(&mut self) -> String {
        let text = self.edit().take();
        self.recall.add(&text);
        text
    }

    /// Recalls the line before.
    pub fn older(&mut self) {
        if let Some(line) = self.recall.older(self.buffer.text()) {
            self.edit().set(line);
        }
    }

    /// Recalls the line after; at last the text that the user was typing.
    pub fn newer(&mut self) {
        if let Some(line) = self.recall.newer() {
            self.edit().set(line);
        }
    }

    /// Completes the word before the caret. `candidates` gets the word and its first byte; each further call takes the
    /// next of its answers, or with `back` the one before.
    pub fn complete(&mut self, back: bool, candidates: impl FnOnce(&str, usize) -> Vec<String>) {
        let mut completing = match self.completing.take() {
            Some(completing) => completing,
            None => {
                let head = &self.text()[..self.caret()];
                let start = head.rfind(char::is_whitespace).map_or(0, |at| at + 1);
                let start = (start..=head.len()).find(|at| head.is_char_boundary(*at)).unwrap_or(head.len());
                let word = &head[start..];
                let mut found = candidates(word, start);
                if found.is_empty() {
                    return;
                }
                found.push(word.to_owned());
                let at = found.len() - 1;
                Completing { start, candidates: found, at }
            }
        };
        let count = completing.candidates.len();
        completing.at = (completing.at + if back { count - 1 } else { 1 }) % count;
        let Some(word) = completing.candidates.get(completing.at) else { return };
        let room = EditRules::MESSAGE.bytes_max + completing.start >= self.text().len() + word.len();
        if room {
            self.buffer.complete(completing.start, word);
            // A single candidate leaves nothing to continue.
            self.completing = (count > 2).then_some(completing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::input::recall::RECALL_LINES_MAX;

    fn typed(text: &str) -> LineInput {
        let mut input = LineInput::default();
        assert!(input.edit().insert(text));
        input
    }

    #[test]
    fn lines_are_recalled_and_the_draft_too() {
        let mut input = LineInput::default();
        for line in ["a", "b", "b", " "] {
            input.edit().insert(line);
            input.take();
        }
        input.edit().insert("draft");
        input.older();
        assert_eq!(input.text(), "b");
        input.older();
        input.older();
        assert_eq!(input.text(), "a");
        input.newer();
        input.newer();
        input.newer();
        assert_eq!(input.text(), "draft");
    }

    #[test]
    fn what_is_typed_and_remembered_is_bounded() {
        let mut input = LineInput::default();
        for n in 0..2 * RECALL_LINES_MAX {
            input.clear();
            input.edit().insert(&n.to_string());
            input.take();
        }
        (0..2 * RECALL_LINES_MAX).for_each(|_| input.older());
        assert_eq!(input.text(), RECALL_LINES_MAX.to_string());
    }

    #[test]
    fn tab_goes_through_what_fits_and_back_to_what_was_typed() {
        let mut input = typed("hi b");
        let names = |word: &str, at: usize| {
            assert_eq!((word, at), ("b", 3));
            vec!["bea".to_owned(), "bob".to_owned()]
        };
        input.complete(false, names);
        assert_eq!(input.text(), "hi bea");
        input.complete(false, |_, _| Vec::new());
        assert_eq!(input.text(), "hi bob");
        input.complete(false, |_, _| Vec::new());
        assert_eq!(input.text(), "hi b");
        input.complete(true, |_, _| Vec::new());
        assert_eq!(input.text(), "hi bob");
        input.edit().insert(" ");
        input.complete(false, |_, _| Vec::new());
        assert_eq!(input.text(), "hi bob ");
    }
}
