//! A search: words that the index knows, and text that it does not know.

use std::collections::BTreeSet;
use std::sync::Arc;

use memchr::memmem::Finder;
use rusqlite::{Connection, params};

use crate::ring::{Entry, Index};
use crate::store::error::Error;

/// How the index in the file splits lines into words.
pub(super) const TOKENIZER: &str = "unicode61 remove_diacritics 2";

/// A search.
#[derive(Debug)]
pub(super) struct Query {
    /// The query for the index; `None`: it has no word that an index knows.
    expression: Option<String>,
    /// Texts, in lower case, that a line must contain.
    texts: Vec<String>,
    /// The longest part of a text that has the same bytes in the file.
    needle: Option<Finder<'static>>,
    /// The runs of ASCII letters and digits in the words, in lower case. An ASCII line that lacks one of them does not
    /// match.
    runs: Vec<Finder<'static>>,
    rules: TokenizerRules,
}

impl Query {
    /// Parses a user's search. `None`: it is empty.
    pub fn new(typed: &str) -> Result<Option<Self>, Error> {
        let rules = TokenizerRules::new()?;
        let (mut words, mut texts, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        for term in typed.split(|c: char| c.is_whitespace() || c.is_control()).filter(|term| !term.is_empty()) {
            let word = format!("\"{}\"*", term.replace('"', "\"\""));
            match term.chars().any(is_alone) || !rules.knows(term, &word)? {
                true => texts.push(term.to_lowercase()),
                false => {
                    words.push(word);
                    let lower = term.to_ascii_lowercase();
                    let parts = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
                    runs.extend(parts.filter(|_| term.is_ascii()).map(|part| Finder::new(part).into_owned()));
                }
            }
        }
        let parts = texts.iter().flat_map(|text| text.split(|c: char| !is_alone(c)));
        let needle = parts.max_by_key(|part| part.len()).filter(|part| !part.is_empty());
        let needle = needle.map(|part| Finder::new(part).into_owned());
        let expression = (!words.is_empty()).then(|| words.join(" "));
        Ok((expression.is_some() || !texts.is_empty()).then_some(Self { expression, texts, needle, runs, rules }))
    }

    /// The query for the index.
    pub fn expression(&self) -> Option<&str> {
        self.expression.as_deref()
    }

    /// Whether a batch, as it is written, may hold a matching line.
    pub fn may_be_in(&self, body: &[u8]) -> bool {
        self.needle.as_ref().is_none_or(|needle| needle.find(body).is_some()) && self.may_have_words(body)
    }

    /// Characters outside ASCII may have accents, which do not matter in a search.
    fn may_have_words(&self, said: &[u8]) -> bool {
        if self.runs.is_empty() || !said.is_ascii() {
            return true;
        }
        let said = said.to_ascii_lowercase();
        self.runs.iter().all(|run| run.find(&said).is_some())
    }

    /// Whether a line has the texts that the index cannot search.
    pub fn has_texts(&self, entry: &Entry) -> bool {
        self.texts.is_empty()
            || entry.line().is_some_and(|line| {
                let said = line.text.as_str().to_lowercase();
                self.texts.iter().all(|text| said.contains(text.as_str()))
            })
    }

    /// Keeps the matching lines among lines that are not indexed.
    pub fn keep_found(&self, lines: &mut Vec<Arc<Entry>>) -> Result<(), Error> {
        let may_be =
            |entry: &Entry| entry.line().is_some_and(|line| self.may_have_words(line.text.as_str().as_bytes()));
        lines.retain(|entry| may_be(entry) && self.has_texts(entry));
        if let Some(expression) = &self.expression
            && !lines.is_empty()
        {
            let found = self.rules.find(expression, lines)?;
            lines.retain(|entry| found.contains(&entry.index));
        }
        Ok(())
    }
}

/// Characters that match anywhere: those of scripts without spaces between words (Thai, Lao, Burmese, Khmer, Chinese,
/// Japanese), and signs and emoji. None of them has an upper or lower case, or is escaped in JSON.
fn is_alone(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2600}'..='\u{27bf}'
        | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{1f000}'..='\u{3ffff}')
}

/// The index's rules for lines that are not in it: an index in memory.
#[derive(Debug)]
struct TokenizerRules(Connection);

impl TokenizerRules {
    fn new() -> Result<Self, Error> {
        let db = Connection::open_in_memory()?;
        db.execute_batch(&format!("CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize='{TOKENIZER}')"))?;
        Ok(Self(db))
    }

    /// Whether a term contains a word: then the term finds itself.
    fn knows(&self, term: &str, expression: &str) -> Result<bool, Error> {
        let tx = self.0.unchecked_transaction()?;
        tx.execute("INSERT INTO words (rowid, text) VALUES (1, ?1)", [term])?;
        let knows = tx.prepare_cached("SELECT 1 FROM words WHERE words MATCH ?1")?.exists([expression])?;
        tx.rollback()?;
        Ok(knows)
    }

    fn find(&self, expression: &str, lines: &[Arc<Entry>]) -> Result<BTreeSet<Index>, Error> {
        let tx = self.0.unchecked_transaction()?;
        let mut insert = tx.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
        for entry in lines {
            if let Some(line) = entry.line() {
                insert.execute(params![entry.index.0.cast_signed(), line.text.as_str()])?;
            }
        }
        let mut find = tx.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1")?;
        let found = find.query_map([expression], |row| row.get::<_, i64>(0))?;
        let found = found.map(|index| index.map(|index| Index(index.unsigned_abs()))).collect::<Result<_, _>>()?;
        drop((insert, find));
        tx.rollback()?;
        Ok(found)
    }
}
