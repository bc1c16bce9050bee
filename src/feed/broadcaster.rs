//! Everybody who is shown what happens: standard output, where lines go as text, and any number of frontends, which get
//! values, each through a bounded queue of its own.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::screen::Screen;
use crate::chatlog::gap::LogGap;
use crate::present::builder::Presentation;
use crate::present::format;
use crate::present::values::{self, EventKind, Update};
use crate::ring::{Index, Lamport, LineId};

/// Frontends at once.
pub const FRONTS_MAX: usize = 64;
/// Values that wait for one frontend; what comes beyond is left out there, counted and said.
pub const FEED_VALUES_MAX: usize = 8192;
/// Beside them: how many lines were left out, and the end.
const ENDING_VALUES: usize = 2;

/// Tells all of them; cheap to clone.
#[derive(Clone)]
pub struct Broadcaster(Arc<BroadcasterShared>);

struct BroadcasterShared {
    /// Standard output as text; none: it belongs to a frontend.
    plain: Option<Screen>,
    fronts: Mutex<Vec<Subscriber>>,
    /// How many there are that want values.
    count: AtomicUsize,
}

struct Subscriber {
    feed: mpsc::Sender<Arc<Update>>,
    wants: DeliveryMode,
    /// Where every line is wanted: those that found no room.
    lacks: Lacks,
    stands: Arc<AtomicU64>,
    left_out: u64,
}

/// What a frontend wants to be told of what happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// What it has time for; for the rest there is the log.
    #[default]
    Newest,
    /// Every line.
    EveryLine,
    /// The end, and nothing else.
    TheEnd,
}

/// Lines that a frontend lacks and will read in the history.
pub type Lacks = Arc<Mutex<LogGap>>;

/// What one frontend is told, in order.
#[derive(Debug)]
pub struct Feed {
    told: mpsc::Receiver<Arc<Update>>,
    /// Lines that come after everything that waits here, and are not told here: they are to be read in the history.
    pub lacks: Lacks,
    /// The log up to here was never cut since this began.
    stands: Arc<AtomicU64>,
}

impl Feed {
    /// The entry up to which the log was never cut since this began.
    pub fn stands(&self) -> Index {
        Index(self.stands.load(Ordering::Acquire))
    }

    /// The next value; none once the node has ended.
    pub async fn next(&mut self) -> Option<Arc<Update>> {
        self.told.recv().await
    }

    /// The next value, if there is one at once.
    pub fn try_next(&mut self) -> Option<Arc<Update>> {
        self.told.try_recv().ok()
    }
}

/// What is missing, to be looked at and changed.
pub fn locked(lacks: &Lacks) -> MutexGuard<'_, LogGap> {
    lacks.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Subscriber {
    /// Whether it still listens.
    fn tell(&mut self, told: &Arc<Update>) -> bool {
        if self.feed.is_closed() {
            return false;
        }
        let ends = matches!(**told, Update::Bye { .. });
        if self.wants == DeliveryMode::TheEnd && !ends {
            return true;
        }
        // Nobody else sends here: room that is seen is there. The last of it is for the end.
        let mut room = self.feed.capacity().saturating_sub(if ends { 0 } else { ENDING_VALUES });
        if self.left_out > 0 && room > 0 {
            let _ = self.feed.try_send(Arc::new(Update::LeftOut { lines: self.left_out }));
            self.left_out = 0;
            room -= 1;
        }
        if let Update::Line(line) = &**told {
            if self.lacks(line, room == 0) {
                return true;
            }
            self.left_out += u64::from(room == 0);
        }
        if room > 0 {
            let _ = self.feed.try_send(Arc::clone(told));
        }
        true
    }

    /// Whether a line is not told here, and is not left out either: it will be read in the history.
    fn lacks(&mut self, line: &values::FeedLine, full: bool) -> bool {
        if self.wants != DeliveryMode::EveryLine {
            return false;
        }
        let mut missing = locked(&self.lacks);
        let id = LineId { author: line.author, session: line.session, n: line.n };
        (full || missing.holds_back()) && missing.add_line(Index(line.index), id)
    }
}

impl Broadcaster {
    /// Nobody yet but standard output, if it takes text.
    pub fn new(plain: Option<Screen>) -> Self {
        Self(Arc::new(BroadcasterShared { plain, fronts: Mutex::default(), count: AtomicUsize::new(0) }))
    }

    fn fronts(&self) -> MutexGuard<'_, Vec<Subscriber>> {
        self.0.fronts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more frontend, from here on; `None`: there are [`FRONTS_MAX`].
    pub fn attach(&self, wants: DeliveryMode) -> Option<Feed> {
        let mut fronts = self.fronts();
        fronts.retain(|front| !front.feed.is_closed());
        let room = fronts.len() < FRONTS_MAX;
        let feed = room.then(|| {
            let (feed, told) = mpsc::channel(FEED_VALUES_MAX + ENDING_VALUES);
            let (lacks, stands) = (Lacks::default(), Arc::new(AtomicU64::new(u64::MAX)));
            fronts.push(Subscriber { feed, wants, lacks: lacks.clone(), stands: stands.clone(), left_out: 0 });
            Feed { told, lacks, stands }
        });
        self.count(&fronts);
        feed
    }

    /// Those who want only the end need no values.
    fn count(&self, fronts: &[Subscriber]) {
        let watch = fronts.iter().filter(|front| front.wants != DeliveryMode::TheEnd).count();
        self.0.count.store(watch, Ordering::Release);
    }

    /// The log was cut after this entry: lines that frontends lack may stand elsewhere now. Lines that stood behind
    /// have been told before.
    pub fn cut(&self, keep: Index) {
        for front in self.fronts().iter() {
            front.stands.fetch_min(keep.0, Ordering::AcqRel);
            locked(&front.lacks).cut(keep);
        }
    }

    /// Whether there are any frontends: without, no values need be made.
    pub fn is_watched(&self) -> bool {
        self.0.count.load(Ordering::Acquire) > 0
    }

    /// Tells all frontends. Never waits.
    pub fn tell(&self, told: Update) {
        if self.is_watched() {
            let told = Arc::new(told);
            let mut fronts = self.fronts();
            fronts.retain_mut(|front| front.tell(&told));
            self.count(&fronts);
        }
    }

    /// Shows this to all, and empties it.
    pub fn show(&self, shown: &mut Presentation) {
        self.text(&shown.text);
        shown.text.clear();
        shown.told.drain(..).for_each(|told| self.tell(told));
    }

    /// Shows whole lines of text on standard output, if it takes text.
    pub fn text(&self, text: &str) {
        if let Some(plain) = &self.0.plain {
            plain.push(text);
        }
    }

    /// Shows everybody a word of the program itself: `/// text ///` where it is text.
    pub fn event(&self, text: &str) {
        if let Some(plain) = &self.0.plain {
            plain.event(text);
        }
        self.tell(Update::Event(values::FeedEvent {
            kind: EventKind::Other,
            text: crate::text::visible(text).into_owned(),
            notable: true,
            ..values::FeedEvent::default()
        }));
    }

    /// What goes to the log goes to standard output too; frontends get it as what is not notable.
    pub fn logged(&self, at: Lamport, text: &str) {
        if let Some(plain) = &self.0.plain {
            let mut line = String::new();
            format::push_log_event(&mut line, at, text);
            plain.push(&line);
        }
    }

    /// The end: frontends are told why, and nothing more.
    pub fn close(&self, text: &str) {
        let (bye, mut fronts) = (Arc::new(Update::Bye { text: text.to_owned() }), self.fronts());
        for front in fronts.iter_mut() {
            front.tell(&bye);
        }
        fronts.clear();
        self.0.count.store(0, Ordering::Release);
    }
}

impl fmt::Debug for Broadcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("plain", &self.0.plain).field("fronts", &self.fronts().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Name, SessionId};

    fn note(n: u64) -> Update {
        Update::Line(Box::new(values::FeedLine {
            index: n,
            ts: n,
            time: String::new(),
            name: Name::parse("ann").unwrap(),
            address: "10.0.0.5:2428".parse().unwrap(),
            author: AuthorId::of_bits(1),
            session: SessionId(1),
            n,
            channel: "lobby".to_owned(),
            kind: values::LineKind::Say,
            text: "hello".to_owned(),
            typed: None,
            to: None,
            own: false,
            past: false,
            reactions: Vec::new(),
        }))
    }

    #[tokio::test]
    async fn a_frontend_that_takes_nothing_is_told_what_it_lacks_and_holds_up_nobody() {
        let broadcaster = Broadcaster::new(None);
        let (mut slow, mut quick) =
            (broadcaster.attach(DeliveryMode::Newest).unwrap(), broadcaster.attach(DeliveryMode::Newest).unwrap());
        let total = FEED_VALUES_MAX as u64 + 10;
        for n in 1..=total {
            broadcaster.tell(note(n));
            assert_eq!(*quick.next().await.unwrap(), note(n));
        }
        for n in 1..=FEED_VALUES_MAX as u64 {
            assert_eq!(*slow.next().await.unwrap(), note(n));
        }
        broadcaster.tell(note(total + 1));
        assert_eq!(*slow.next().await.unwrap(), Update::LeftOut { lines: 10 });
        assert_eq!(*slow.next().await.unwrap(), note(total + 1));
        broadcaster.close("left");
        assert_eq!(*slow.next().await.unwrap(), Update::Bye { text: "left".to_owned() });
        assert_eq!(slow.next().await, None);
    }

    #[test]
    fn whoever_has_gone_makes_room() {
        let broadcaster = Broadcaster::new(None);
        let mut fronts: Vec<Feed> =
            (0..FRONTS_MAX).map(|_| broadcaster.attach(DeliveryMode::EveryLine).unwrap()).collect();
        assert!(broadcaster.attach(DeliveryMode::Newest).is_none());
        fronts.pop();
        assert!(broadcaster.attach(DeliveryMode::Newest).is_some());
        drop(fronts);
        broadcaster.tell(note(1));
        assert!(!broadcaster.is_watched());
    }
}
