//! The search for words in the messages.

use std::ops::Range;

use super::messages::Message;

/// Most bytes of the searched words.
const QUERY_BYTES_MAX: usize = 256;

/// The words of a search, and its hit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    query: String,
    /// The words in lower case.
    words: Vec<String>,
    /// The user still types the words.
    pub typing: bool,
    /// The number of the message that the screen shows.
    pub hit: Option<u64>,
    /// How many messages contain the words.
    pub hits: usize,
}

impl Search {
    /// A search without words.
    pub fn begin() -> Self {
        Self { typing: true, ..Self::default() }
    }

    /// The words as typed.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Appends text, if there is room for it.
    pub fn push(&mut self, text: &str) {
        if self.query.len() + text.len() <= QUERY_BYTES_MAX {
            self.query.extend(text.chars().filter(|c| !c.is_control()));
            self.split();
        }
    }

    /// Removes the last letter.
    pub fn pop(&mut self) {
        self.query.pop();
        self.split();
    }

    fn split(&mut self) {
        self.words = self.query.split_whitespace().map(str::to_lowercase).collect();
    }

    /// Whether the message contains all words, in its text or as its author.
    pub fn finds(&self, message: &Message) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let text = message.text().to_lowercase();
        let author = message.author().map(str::to_lowercase);
        self.words.iter().all(|word| text.contains(word) || author.as_ref().is_some_and(|name| name.contains(word)))
    }

    /// The byte ranges of the words in `text`, in order and without overlaps.
    pub fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut places: Vec<Range<usize>> = self.words.iter().flat_map(|word| find_all(text, word)).collect();
        places.sort_by_key(|range| (range.start, range.end));
        let mut end = 0;
        places.retain(|range| {
            let apart = range.start >= end;
            end = end.max(range.end);
            apart
        });
        places
    }
}

/// The byte ranges of `word`, which is in lower case, in `text` of any case.
pub fn find_all(text: &str, word: &str) -> Vec<Range<usize>> {
    if word.is_empty() {
        return Vec::new();
    }
    // Lower case may be longer or shorter, so each of its bytes remembers its original letter.
    let mut lower = String::with_capacity(text.len());
    let mut origins = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        lower.extend(c.to_lowercase());
        origins.resize(lower.len(), at..at + c.len_utf8());
    }
    lower
        .match_indices(word)
        .filter_map(|(at, found)| Some(origins.get(at)?.start..origins.get(at + found.len() - 1)?.end))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_letters_stay_whole() {
        assert_eq!(find_all("Ann and ANN", "ann"), [0..3, 8..11]);
        assert_eq!(find_all("İx İx", "x"), [2..3, 6..7]);
        assert_eq!(find_all("abc", ""), []);
        let mut search = Search::begin();
        search.push("an nn");
        assert_eq!(search.places("ann nn"), [0..2, 4..6]);
    }
}
