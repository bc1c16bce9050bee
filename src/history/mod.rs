//! Queries of the history, from the file of a node that may or may not run.

mod out;
pub mod when;

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Zoned;

use crate::failure::{Exit, Failure};
use crate::present::history_lines::Plain;
use crate::present::values::LineKind;
use crate::ring::{AuthorId, Channel, Entry, Lamport, Line, LineId};
use crate::store::{Error, Moment, ReactionCounts, ReadOutcome, Reader, Selection};
pub(crate) use out::{HistoryFormat, HistoryOut};
use out::{ids, put_to};
use when::Edge;

/// Lines that `/history` shows without a number.
pub const RECALL_LINES: usize = 20;
/// Maximum lines that `/history` and `/search` show.
pub const RECALL_LINES_MAX: usize = 500;
/// How often a query from the room runs again if the log was cut meanwhile.
const RECALL_TRIES: usize = 3;
/// How many times more lines than wanted are read, to find enough that are text.
const RECALL_TIMES: usize = 4;

/// Turns the result of reading a file into a failure.
///
/// # Errors
/// The file cannot be read, or it has changed meanwhile.
pub fn judge(answer: Result<ReadOutcome, Error>, path: &Path) -> Result<(), Failure> {
    match answer.map_err(|error| unusable(path, &error))? {
        ReadOutcome::Whole | ReadOutcome::Enough => Ok(()),
        ReadOutcome::Cut => Err(Failure::new(
            Exit::Files,
            format!("{} has changed while it was read", path.display()),
            "two parts of the room have met, and lines have moved",
            "try it again",
        )),
    }
}

/// Parses the moment from which on lines are wanted.
///
/// # Errors
/// The text is not a moment.
pub fn since(text: &str, now: &Zoned) -> Result<Moment, Failure> {
    when::parse(text, Edge::Since, now).ok_or_else(|| no_moment(text, Edge::Since))
}

/// Parses a channel's name. `None`: the lobby.
///
/// # Errors
/// The text is not a channel's name.
pub fn channel(text: &str) -> Result<Option<Channel>, Failure> {
    Channel::parse(text).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{text}` cannot be a channel"), error.to_string(), "try `--channel lobby`")
    })
}

/// The failure for a text that is not a moment.
pub(crate) fn no_moment(text: &str, edge: Edge) -> Failure {
    let flag = match edge {
        Edge::Since => "--since",
        Edge::Until => "--until",
    };
    Failure::new(
        Exit::Usage,
        format!("`{text}` is no moment for {flag}"),
        "a timestamp, a date, a time or a span back from now is needed",
        format!("try `{flag} 120`, `{flag} 14:30`, `{flag} 2026-11-20`, `{flag} \"2026-11-20 14:30\"` or `{flag} 2h`"),
    )
}

/// Opens a file for reading. `None`: it holds no room yet.
///
/// # Errors
/// There is no such file, or it cannot be used.
pub fn open(path: &Path) -> Result<Option<Reader>, Failure> {
    match File::open(path) {
        Ok(_) => Reader::open(path).map_err(|error| unusable(path, &error)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(Failure::new(
                Exit::Unreachable,
                format!("no history at {}", path.display()),
                "there is no such file: no node has run there with that port, or it ran with --ephemeral",
                "try -p PORT as the node had it, or --data-dir DIR",
            ))
        }
        Err(error) => Err(Failure::new(
            Exit::Files,
            format!("cannot read {}", path.display()),
            error.to_string(),
            "try it as the user who runs the node",
        )),
    }
}

/// Why a file cannot be read, and what to try.
pub(crate) fn unusable(path: &Path, error: &Error) -> Failure {
    let (why, hint) = match error {
        Error::Damaged(why) => (
            format!("the file is damaged: {why}"),
            "start the node: it moves the file aside, and gets its lines from the others".to_owned(),
        ),
        Error::Newer(_) => (error.to_string(), "try that program".to_owned()),
        Error::Older(_) => {
            (error.to_string(), "start the node once: it makes the file today's, or says why it cannot".to_owned())
        }
        Error::Unsigned => (error.to_string(), "try that program".to_owned()),
        Error::Unwritable(_) | Error::Unsynced(_) => (
            error.to_string(),
            format!(
                "try a copy of {0}, {0}-wal and {1} where you can write: to read them, SQLite writes beside",
                path.display(),
                path.with_extension("journal").display()
            ),
        ),
    };
    Failure::new(Exit::Files, format!("cannot read {}", path.display()), why, hint)
}

/// The line with this timestamp, if there is one.
pub fn line_at(past: &Path, ts: Lamport) -> Option<LineId> {
    let reader = Reader::open(past).ok()??;
    reader.stamped(ts).ok()??.line().map(|line| line.id)
}

/// The reactions on these lines. Empty if they cannot be read.
pub fn put_to_lines(past: &Path, ids: &[LineId]) -> ReactionCounts {
    let reader = Reader::open(past).ok().flatten();
    reader.and_then(|reader| reader.reactions(ids).ok()).unwrap_or_default()
}

/// Writes all lines into a new file, in their printed form. Returns the message for the user.
pub fn save(past: &Path, file: &Path) -> String {
    let name = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let name = name.display();
    let made = File::options().write(true).create_new(true).mode(0o600).open(file);
    let out = match made {
        Ok(made) => made,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return format!("not saved: {name} exists; nothing is overwritten");
        }
        Err(error) => return format!("not saved: {name} cannot be made ({error})"),
    };
    match save_to(past, out) {
        Ok(saved) => format!("{saved} saved in {name}"),
        Err(why) => {
            let _ = std::fs::remove_file(file);
            format!("not saved in {name}: {why}")
        }
    }
}

/// The counts of a saved file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Saved {
    /// Lines of text.
    said: u64,
    /// Lines that hold only an act, such as a reaction.
    done: u64,
}

impl Saved {
    fn count(&mut self, line: &Line) {
        match is_said(line) {
            true => self.said += 1,
            false => self.done += 1,
        }
    }
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { said, done } = self;
        match said {
            1 => f.write_str("one line")?,
            said => write!(f, "{said} lines")?,
        }
        if *done > 0 { write!(f, ", and {done} of likes and the like,") } else { Ok(()) }
    }
}

fn save_to(past: &Path, out: impl io::Write) -> Result<Saved, String> {
    let unread = |error: Error| format!("the history cannot be read: {error}");
    let Some(reader) = Reader::open(past).map_err(unread)? else { return Ok(Saved::default()) };
    let mut out = HistoryOut::new(reader.tally().map_err(unread)?, HistoryFormat::Plain(Plain::default()), out);
    let mut saved = Saved::default();
    let answer = reader.select(&Selection::default(), |entry| {
        entry.line().into_iter().for_each(|line| saved.count(line));
        out.take(entry)
    });
    let (failed, counted) = out.finish();
    match (failed, counted, answer) {
        (Some(error), _, _) => Err(error.to_string()),
        (None, Err(error), _) | (None, _, Err(error)) => Err(unread(error)),
        (None, Ok(false), _) | (None, _, Ok(ReadOutcome::Cut)) => {
            Err("two parts of the room have met meanwhile: try it again".to_owned())
        }
        (None, Ok(true), Ok(ReadOutcome::Whole | ReadOutcome::Enough)) => Ok(saved),
    }
}

/// A query from the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecallQuery<'a> {
    /// The newest lines.
    Newest(usize),
    /// The newest lines with these words.
    Words(&'a str),
}

/// Answers a query: returns a heading and the lines in their printed form, at most [`RECALL_LINES_MAX`]. The newest
/// lines come from the user's channel. A search covers all channels, and a line of another channel names it.
pub fn recall(path: &Path, asked: RecallQuery<'_>, here: Option<&Channel>) -> (String, String) {
    let (words, most) = match asked {
        RecallQuery::Newest(most) => (None, most),
        RecallQuery::Words(words) => (Some(words), usize::MAX),
    };
    let shown = most.min(RECALL_LINES_MAX);
    // One line more shows whether there are more. More lines are read, since some are acts and not text.
    let newest = match words {
        Some(_) => shown + 1,
        None => shown.saturating_add(1).saturating_mul(RECALL_TIMES),
    };
    let channel = words.is_none().then(|| here.cloned());
    let wanted = Selection { words: words.map(str::to_owned), newest: Some(newest), channel, ..Selection::default() };
    let found = Reader::open(path).and_then(|reader| {
        let mut entries = find(reader.as_ref(), &wanted)?;
        entries.retain(|entry| entry.line().is_some_and(is_said));
        let counts = reader.map_or(Ok(ReactionCounts::new()), |reader| reader.reactions(&ids(&entries)))?;
        Ok((entries, counts))
    });
    let (mut entries, counts) = match found {
        Ok(found) => found,
        Err(error) => return (format!("the history cannot be read: {error}"), String::new()),
    };
    let more = entries.len() > shown;
    entries.drain(..entries.len().saturating_sub(shown));
    let (mut plain, mut text) = (Plain::default(), String::new());
    for entry in &entries {
        if let Some(channel) = entry.line().and_then(|line| line.channel.as_ref()).filter(|it| Some(*it) != here) {
            let _ = write!(text, "{channel} ");
        }
        plain.push(entry, put_to(entry, &counts), &mut text);
    }
    let cut = more && most > shown;
    (heading(entries.len(), cut, words), text)
}

/// Whether a user who looks back wants this line: not a reaction, and not a notice about oneself.
fn is_said(line: &Line) -> bool {
    match LineKind::of(line.act.as_ref()) {
        LineKind::Say | LineKind::Me | LineKind::Reply | LineKind::Topic | LineKind::Moderate => true,
        LineKind::React | LineKind::Nick | LineKind::Away => false,
    }
}

/// The last line of another author in this channel, and its timestamp.
pub fn last_of_others(path: &Path, here: Option<Channel>, own: AuthorId) -> Option<(u64, LineId)> {
    let wanted = Selection { channel: Some(here), newest: Some(RECALL_LINES_MAX), ..Selection::default() };
    let reader = Reader::open(path).ok()??;
    let found = find(Some(&reader), &wanted).ok()?;
    let meant = |line: &&Line| {
        line.id.author != own
            && matches!(LineKind::of(line.act.as_ref()), LineKind::Say | LineKind::Me | LineKind::Reply)
    };
    found.iter().rev().find_map(|entry| Some((entry.lamport.0, entry.line().filter(meant)?.id)))
}

fn find(reader: Option<&Reader>, wanted: &Selection) -> Result<VecDeque<Arc<Entry>>, Error> {
    let mut found = VecDeque::new();
    for _ in 0..RECALL_TRIES {
        found.clear();
        let take = |entry: &Arc<Entry>| {
            found.push_back(Arc::clone(entry));
            true
        };
        if reader.map_or(Ok(ReadOutcome::Whole), |reader| reader.select(wanted, take))? != ReadOutcome::Cut {
            break;
        }
    }
    Ok(found)
}

fn heading(lines: usize, cut: bool, words: Option<&str>) -> String {
    let with = words.map_or_else(String::new, |words| format!(" with \"{words}\""));
    match (lines, cut) {
        (0, _) => format!("no line{with}"),
        (1, false) => format!("one line{with}"),
        (_, false) => format!("{lines} lines{with}"),
        (_, true) => format!("the newest {lines} lines{with}; there are more: see `dist-chat history --help`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_before_the_lines() {
        assert_eq!(heading(0, false, Some("deploy")), "no line with \"deploy\"");
        assert_eq!(heading(1, false, None), "one line");
        assert_eq!(heading(3, false, Some("deploy")), "3 lines with \"deploy\"");
        assert!(heading(500, true, None).starts_with("the newest 500 lines; there are more"));
    }
}
