//! What a frontend is told, so that it lacks nothing: first what was said before it came, as far as it wants that, then
//! what happens; and what it was too slow for is read again in the history.
//!
//! ```text
//!   history ──▶ what was said ──┐
//!   hub ──▶ feed ───────────────┼──▶ frontend, each line once
//!   history ──▶ what found no room in the feed
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::broadcaster::{DeliveryMode, Feed, locked};
use super::node_handle::{NodeEnded, NodeHandle};
use super::view::ChannelFilter;
use crate::history;
use crate::net::Command;
use crate::present::values::{FeedLine, LineKind, ReactionCount, Update};
use crate::ring::{Act, Channel, Entry, Index, Lamport, LineId, SessionKey, WallMs};
use crate::store::{Moment, ReactionCounts, Reader, Selection};

/// Lines of the past at most that are counted back from the end; whoever wants more says since when.
pub const NEWEST_LINES_MAX: u32 = 100_000;
/// Lines of the past that wait until the frontend takes them.
const PAST_VALUES_MAX: usize = 256;
/// Runs of the program of which it is known how far their lines were told with the past.
const SESSIONS_MAX: usize = 64 * 1024;
/// Entries beside lines that are expected among the newest, at first.
const NOTES_EXPECTED: u64 = 64;
/// Entries that may not have come to the file yet in which a moment is looked up.
const UNWRITTEN_ENTRIES_MAX: u64 = 64 * 1024;
/// Between two looks whether what is missing stands in the history again.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What a frontend wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachOptions {
    /// Of what happens.
    pub told: DeliveryMode,
    /// Of the lines that are told: where a person looks, or all.
    pub taste: ChannelFilter,
    /// Of what was said before; `None`: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<StartPoint>,
    /// Lines of this channel alone, named without `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Where it runs: files that are named there are meant from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// How the node is, at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub state: bool,
}

impl AttachOptions {
    /// Every line that comes, as programs want it.
    pub fn every_line() -> Self {
        Self { told: DeliveryMode::EveryLine, ..Self::default() }
    }

    /// Whether an act of the past is a line of its own there. A person sees what is put to a line with that line, and
    /// a name with what is said under it.
    fn shows(&self, act: Option<&Act>) -> bool {
        match (self.told, LineKind::of(act)) {
            (DeliveryMode::Newest, LineKind::React | LineKind::Nick) => false,
            (
                DeliveryMode::Newest,
                LineKind::Say | LineKind::Me | LineKind::Reply | LineKind::Topic | LineKind::Away | LineKind::Moderate,
            )
            | (DeliveryMode::EveryLine | DeliveryMode::TheEnd, _) => true,
        }
    }
}

/// Where what is told begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPoint {
    /// So many lines before the end, of those that are shown as such; at most [`NEWEST_LINES_MAX`].
    Newest(u32),
    /// Not before this Lamport timestamp.
    Stamp(u64),
    /// Not before this moment, in milliseconds since 1970, by the clock of the leader that ordered a line.
    Wall(u64),
}

impl From<Moment> for StartPoint {
    fn from(moment: Moment) -> Self {
        match moment {
            Moment::Stamp(stamp) => Self::Stamp(stamp.0),
            Moment::Wall(wall) => Self::Wall(wall.0),
        }
    }
}

impl StartPoint {
    fn takes(self, entry: &Entry) -> bool {
        match self {
            Self::Newest(_) => true,
            Self::Stamp(stamp) => entry.lamport >= Lamport(stamp),
            Self::Wall(wall) => entry.wall >= WallMs(wall),
        }
    }
}

/// What one frontend is told, in order.
#[derive(Debug)]
pub struct Subscription {
    node_handle: NodeHandle,
    feed: Feed,
    channel: Option<String>,
    /// What was said before, while it comes.
    past: Option<mpsc::Receiver<Update>>,
    /// Where it ends: up to there it is for the past to tell, or nobody wants it.
    past_end: Arc<AtomicU64>,
    /// How far the lines of each run were told with it.
    heard: BTreeMap<SessionKey, u64>,
    /// A question to the history, from this entry on.
    asked: Option<(Index, oneshot::Receiver<Vec<Arc<Entry>>>)>,
    /// What was read there.
    read: VecDeque<Update>,
    /// How far the file was read, once the node has ended.
    file_read: Option<Lamport>,
    /// The end has come, and lines that belong before it are still to be read.
    bye: Option<Arc<Update>>,
}

impl Subscription {
    /// Begins; `None`: there are as many frontends as there may be. Within a tokio runtime.
    pub fn begin(node_handle: &NodeHandle, wanted: &AttachOptions) -> Option<Self> {
        // First the feed: what is said from here on is there, and what was said before is in the history.
        let feed = node_handle.broadcaster.attach(wanted.told)?;
        let past_end = Arc::<AtomicU64>::default();
        let past = wanted.past.map(|since| {
            let (out, past) = mpsc::channel(PAST_VALUES_MAX);
            let (node_handle, wanted, end) = (node_handle.clone(), wanted.clone(), Arc::clone(&past_end));
            tokio::spawn(async move {
                let last = node_handle.status().await?.tail.index;
                end.store(last.0, Ordering::Release);
                tell_past(&node_handle, since, &wanted, last, &out).await
            });
            past
        });
        Some(Self {
            node_handle: node_handle.clone(),
            feed,
            channel: wanted.channel.clone(),
            past,
            past_end,
            heard: BTreeMap::new(),
            asked: None,
            read: VecDeque::new(),
            file_read: None,
            bye: None,
        })
    }

    /// The next value; none once the node has ended. Nothing is lost where this is given up.
    pub async fn next(&mut self) -> Option<Arc<Update>> {
        loop {
            if let Some(told) = self.read.pop_front() {
                return Some(Arc::new(told));
            }
            if let Some(past) = &mut self.past {
                let told = past.recv().await;
                match &told {
                    Some(Update::Line(line)) => self.hear(line),
                    Some(_) => {}
                    None => self.past = None,
                }
                return Some(Arc::new(told.unwrap_or(Update::CaughtUp)));
            }
            if self.bye.is_none() {
                let told = match self.feed.try_next() {
                    Some(told) => Some(told),
                    None if self.lacks() => None,
                    None => Some(self.feed.next().await?),
                };
                match told {
                    Some(told) if matches!(*told, Update::Bye { .. }) && self.lacks() => self.bye = Some(told),
                    Some(told) if self.takes(&told) => return Some(told),
                    Some(_) => continue,
                    None => {}
                }
            }
            match self.lacks() {
                true => self.read_back().await,
                false => return self.bye.take(),
            }
        }
    }

    fn lacks(&self) -> bool {
        locked(&self.feed.lacks).holds_back()
    }

    fn hear(&mut self, line: &FeedLine) {
        let key = SessionKey { author: line.author, session: line.session };
        if self.heard.len() < SESSIONS_MAX || self.heard.contains_key(&key) {
            let heard = self.heard.entry(key).or_default();
            *heard = line.n.max(*heard);
        }
    }

    /// Whether this is wanted, and was not told with the past.
    fn takes(&self, told: &Update) -> bool {
        let Update::Line(line) = told else { return true };
        // Told late, and said before this began; unless a cut has put it there.
        if line.index <= self.past_end.load(Ordering::Acquire).min(self.feed.stands().0) {
            return false;
        }
        let key = SessionKey { author: line.author, session: line.session };
        let heard = self.heard.get(&key).is_some_and(|heard| *heard >= line.n);
        !heard && self.channel.as_ref().is_none_or(|channel| *channel == line.channel)
    }

    /// One step of reading what found no room.
    async fn read_back(&mut self) {
        let (from, answer) = match &mut self.asked {
            Some(asked) => asked,
            None => {
                let from = locked(&self.feed.lacks).next();
                let Ok(permit) = self.node_handle.urgent.reserve().await else { return self.read_file().await };
                let (answer, entries) = oneshot::channel();
                permit.send(Command::Past { from, answer });
                self.asked.insert((from, entries))
            }
        };
        let (from, entries) = (*from, answer.await);
        self.asked = None;
        let Ok(entries) = entries else { return self.read_file().await };
        let moves = self.take(from, &entries);
        if !moves && self.read.is_empty() && self.lacks() {
            // It was cut out, and is ordered again; nothing tells when.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn take(&mut self, from: Index, entries: &[Arc<Entry>]) -> bool {
        let (node_handle, mut read) = (&self.node_handle, Vec::new());
        let moves = locked(&self.feed.lacks)
            .read(from, entries, |entry| read.extend(node_handle.update_builder.line(entry, false)));
        let wanted = read.into_iter().filter(|told| self.takes(told)).collect::<Vec<_>>();
        self.read.extend(wanted);
        moves
    }

    /// The node has ended: what it kept can still be read. What it did not keep is counted.
    async fn read_file(&mut self) {
        let (path, from, since) = (self.node_handle.past.clone(), locked(&self.feed.lacks).next(), self.file_read);
        let page = tokio::task::spawn_blocking(move || page_of_file(path.as_deref()?, from, since));
        let page = page.await.ok().flatten().unwrap_or_default();
        self.file_read = page.last().map(|entry| entry.lamport);
        let moves = self.take(from, &page);
        if !moves && self.lacks() {
            let lines = std::mem::take(&mut *locked(&self.feed.lacks)).count();
            self.read.push_back(Update::LeftOut { lines });
        }
    }
}

/// Lines of a file at most that are taken at once.
const FILE_LINES_MAX: usize = 16 * 1024;

/// Entries with lines from this one on, which has no smaller timestamp than that.
fn page_of_file(path: &std::path::Path, from: Index, since: Option<Lamport>) -> Option<Vec<Arc<Entry>>> {
    let (reader, mut page) = (Reader::open(path).ok()??, Vec::new());
    let take = |entry: &Arc<Entry>| {
        if entry.index >= from {
            page.push(Arc::clone(entry));
        }
        page.len() < FILE_LINES_MAX
    };
    let wanted = Selection { since: since.map(Moment::Stamp), ..Selection::default() };
    reader.select(&wanted, take).ok()?;
    Some(page)
}

/// Tells what was said, from where it is wanted to the end that the log had.
async fn tell_past(
    node_handle: &NodeHandle,
    since: StartPoint,
    wanted: &AttachOptions,
    last: Index,
    out: &mpsc::Sender<Update>,
) -> Result<(), NodeEnded> {
    let channel = wanted.channel.as_deref();
    let is_wanted = |entry: &Entry| {
        let Some(line) = entry.line() else { return false };
        since.takes(entry)
            && wanted.shows(line.act.as_ref())
            && channel.is_none_or(|channel| channel == Channel::name_of(line.channel.as_ref()))
    };
    let mut from = first(node_handle, since, last, &is_wanted).await?;
    while from <= last {
        let entries = node_handle.page(from).await?;
        let Some(end) = entries.last().map(|entry| entry.index) else { return Ok(()) };
        let told: Vec<&Entry> = entries.iter().map(Arc::as_ref).filter(|entry| is_wanted(entry)).collect();
        let put = put_to(node_handle, &told).await;
        for entry in told {
            let Some(Update::Line(mut line)) = node_handle.update_builder.line(entry, true) else { continue };
            if let Some(reactions) = entry.line().and_then(|line| put.get(&line.id)) {
                line.reactions = ReactionCount::all(reactions);
            }
            if out.send(Update::Line(line)).await.is_err() {
                return Ok(());
            }
        }
        from = end.next();
    }
    Ok(())
}

/// What is put to these lines now.
async fn put_to(node_handle: &NodeHandle, entries: &[&Entry]) -> ReactionCounts {
    let ids: Vec<LineId> = entries.iter().filter_map(|entry| entry.line()).map(|line| line.id).collect();
    let Some(past) = node_handle.past.clone().filter(|_| !ids.is_empty()) else { return ReactionCounts::new() };
    tokio::task::spawn_blocking(move || history::put_to_lines(&past, &ids)).await.unwrap_or_default()
}

/// From which entry on is to be read.
async fn first(
    node_handle: &NodeHandle,
    since: StartPoint,
    last: Index,
    is_wanted: &impl Fn(&Entry) -> bool,
) -> Result<Index, NodeEnded> {
    match since {
        StartPoint::Newest(0) => Ok(last.next()),
        StartPoint::Newest(lines) => newest(node_handle, lines.min(NEWEST_LINES_MAX) as usize, last, is_wanted).await,
        StartPoint::Stamp(stamp) => {
            // Timestamps rise along the log.
            let (mut low, mut high) = (1, last.0 + 1);
            while low < high {
                let middle = low + (high - low) / 2;
                match node_handle.page(Index(middle)).await?.first() {
                    Some(entry) if entry.lamport < Lamport(stamp) => low = middle + 1,
                    Some(_) | None => high = middle,
                }
            }
            Ok(Index(low))
        }
        StartPoint::Wall(wall) => {
            let Some(path) = node_handle.past.clone() else { return Ok(Index(1)) };
            let found = tokio::task::spawn_blocking(move || first_of_file(&path, WallMs(wall))).await;
            Ok(match found {
                Ok(Some(Some(index))) => index,
                Ok(Some(None)) => Index(last.0.saturating_sub(UNWRITTEN_ENTRIES_MAX).max(1)),
                Ok(None) | Err(_) => Index(1),
            })
        }
    }
}

/// The first line in a file that is not older; `None`: it cannot be read.
fn first_of_file(path: &std::path::Path, wall: WallMs) -> Option<Option<Index>> {
    let wanted = Selection { since: Some(Moment::Wall(wall)), ..Selection::default() };
    let mut found = None;
    let take = |entry: &Arc<Entry>| {
        found = Some(entry.index);
        false
    };
    Reader::open(path).ok()??.select(&wanted, take).ok()?;
    Some(found)
}

/// Where the newest lines begin: looks back from the end, further and further until there are enough.
async fn newest(
    node_handle: &NodeHandle,
    lines: usize,
    last: Index,
    is_wanted: &impl Fn(&Entry) -> bool,
) -> Result<Index, NodeEnded> {
    let mut reach = lines as u64 + NOTES_EXPECTED;
    loop {
        let begin = Index(last.0.saturating_sub(reach) + 1);
        let (mut from, mut places) = (begin, VecDeque::with_capacity(lines.min(NOTES_EXPECTED as usize)));
        while from <= last {
            let entries = node_handle.page(from).await?;
            let Some(end) = entries.last().map(|entry| entry.index) else { break };
            for entry in entries.iter().filter(|entry| is_wanted(entry)) {
                if places.len() == lines {
                    places.pop_front();
                }
                places.push_back(entry.index);
            }
            from = end.next();
        }
        match places.front() {
            Some(place) if places.len() == lines => return Ok(*place),
            Some(place) if begin == Index(1) => return Ok(*place),
            None if begin == Index(1) => return Ok(last.next()),
            Some(_) | None => reach = reach.saturating_mul(8),
        }
    }
}

#[cfg(test)]
mod tests;
