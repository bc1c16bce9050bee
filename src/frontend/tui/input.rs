//! The line that is being typed: edited, recalled, completed.

use crate::frontend::input::buffer::{EditBuffer, Rules};
use crate::frontend::input::recall::Recall;

/// The line that the user types, and what Tab and the arrow keys make of it.
#[derive(Clone, Debug)]
pub struct LineInput {
    buffer: EditBuffer,
    recall: Recall,
    completing: Option<Completing>,
}

/// Tab was the last key.
#[derive(Clone, Debug)]
struct Completing {
    /// Where the word begins.
    start: usize,
    /// What may stand there; the last is what was typed.
    candidates: Vec<String>,
    at: usize,
}

impl Default for LineInput {
    fn default() -> Self {
        Self { buffer: EditBuffer::new(Rules::MESSAGE), recall: Recall::default(), completing: None }
    }
}

impl LineInput {
    /// What is typed so far.
    pub fn text(&self) -> &str {
        self.buffer.text()
    }

    /// What stands before the caret, in bytes.
    pub fn caret(&self) -> usize {
        self.buffer.caret()
    }

    /// Nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The text, to be edited: Tab begins anew after that.
    pub fn edit(&mut self) -> &mut EditBuffer {
        self.completing = None;
        &mut self.buffer
    }

    /// Forgets what is typed.
    pub fn clear(&mut self) {
        self.edit().take();
        self.recall.rewind();
    }

    /// Takes what is typed, and remembers it.
    pub fn take(&mut self) -> String {
        let text = self.edit().take();
        self.recall.add(&text);
        text
    }

    /// Calls back the line before.
    pub fn older(&mut self) {
        if let Some(line) = self.recall.older(self.buffer.text()) {
            self.edit().set(line);
        }
    }

    /// Calls back the line after, and at last what was being typed.
    pub fn newer(&mut self) {
        if let Some(line) = self.recall.newer() {
            self.edit().set(line);
        }
    }

    /// Completes the word before the caret from what `candidates` says of it (and of where it begins), and goes on to
    /// the next of them each time; backwards with `back`.
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
        let room = Rules::MESSAGE.bytes_max + completing.start >= self.text().len() + word.len();
        if room {
            self.buffer.complete(completing.start, word);
            // One alone is done.
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
