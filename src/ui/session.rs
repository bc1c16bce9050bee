//! One frontend's conversation with the node: what is typed there is understood here, and what happens passes through
//! here on its way there.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::answers;
use super::desk::{Desk, Ended};
use super::feed::{Asked, Here, Told};
use super::follow::{Following, Wanted};
use super::meaning::{self, Meaning};
use super::receipts::{self, Receipts};
use crate::history::{self, Recall};
use crate::net::Command;
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::ring::{Order, Text, TextError};

/// Values that wait until the frontend takes them, beside those in its [`Feed`](super::hub::Feed).
const TOLD_MAX: usize = 64;
/// What a frontend asks, until it is understood.
pub const ASKED_MAX: usize = 256;
/// Names that one frontend shows nothing of.
const IGNORED_MAX: usize = 256;

/// A frontend's two ends.
#[derive(Debug)]
pub struct Front {
    /// What it is told, in order; ends with the node, or with itself.
    pub told: mpsc::Receiver<Told>,
    /// What it asks.
    pub asked: mpsc::Sender<Asked>,
    /// Answers to what was to be asked and was not understood go here.
    pub answers: mpsc::WeakSender<Told>,
}

/// What happens when a frontend wants to leave.
pub enum Leaving {
    /// The node leaves its room: this is called, once.
    Node(Box<dyn FnOnce() + Send>),
    /// The frontend alone ends.
    Front,
}

/// What a frontend has chosen to see, and where it speaks.
#[derive(Debug, Default)]
struct View {
    /// Nothing of these is shown: folded names.
    ignored: BTreeSet<String>,
}

/// A conversation.
#[derive(Clone)]
struct Session {
    desk: Desk,
    out: mpsc::Sender<Told>,
    view: Arc<Mutex<View>>,
    receipts: Receipts,
}

/// Begins one; `None`: there are as many frontends as there may be.
pub fn open(desk: &Desk, wanted: &Wanted, leaving: Leaving) -> Option<Front> {
    let feed = Following::begin(desk, wanted)?;
    let (out, told) = mpsc::channel(TOLD_MAX);
    let (asked, asks) = mpsc::channel(ASKED_MAX);
    let answers = out.downgrade();
    let receipts = Receipts::start(desk.clone(), out.clone());
    let session = Session { desk: desk.clone(), out, view: Arc::default(), receipts };
    let (over, is_over) = oneshot::channel();
    tokio::spawn(session.clone().deliver(feed, is_over));
    tokio::spawn(session.listen(asks, leaving, over));
    Some(Front { told, asked, answers })
}

impl Session {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what happens, until the node or the frontend has ended.
    async fn deliver(self, mut feed: Following, is_over: oneshot::Receiver<()>) {
        let mut is_over = Some(is_over);
        let mut place = self.desk.place.clone();
        place.mark_changed();
        if !self.tell(Told::Hello(self.desk.hello())).await {
            return;
        }
        loop {
            let told = tokio::select! {
                biased;
                () = moved(&mut place) => match self.here(&place) {
                    Some(here) => here,
                    None => continue,
                },
                told = feed.next() => match told {
                    Some(told) if self.wants(&told) => Told::clone(&told),
                    Some(_) => continue,
                    None => return,
                },
                () = over(&mut is_over) => {
                    self.tell(Told::Bye { text: "left this terminal; the node stays".to_owned() }).await;
                    return;
                }
            };
            if !self.tell(told).await {
                return;
            }
        }
    }

    fn here(&self, place: &watch::Receiver<super::herald::Place>) -> Option<Told> {
        let (name, _) = place.borrow().clone()?;
        Some(Told::Here(Here { name, address: self.desk.uid, channel: "lobby".to_owned(), unread: 0 }))
    }

    /// Whether the frontend is to be told this.
    fn wants(&self, told: &Told) -> bool {
        match told {
            Told::Line(line) => line.own || !self.view().ignored.contains(&line.name.folded()),
            Told::Private(private) => private.own || !self.view().ignored.contains(&private.from.folded()),
            Told::Hello(_)
            | Told::Reactions(_)
            | Told::Event(_)
            | Told::State(_)
            | Told::Note { .. }
            | Told::Listing { .. }
            | Told::Here(_)
            | Told::Clear
            | Told::Sent(_)
            | Told::Waiting { .. }
            | Told::Missed { .. }
            | Told::CaughtUp
            | Told::LeftOut { .. }
            | Told::Bye { .. } => true,
        }
    }

    /// `false`: nobody listens any more.
    async fn tell(&self, told: Told) -> bool {
        self.out.send(told).await.is_ok()
    }

    async fn note(&self, text: impl Into<String>) {
        self.tell(Told::Note { text: crate::text::visible(&text.into()).into_owned() }).await;
    }

    async fn listing(&self, (heading, lines): (String, Vec<String>)) {
        self.tell(Told::Listing { heading, lines }).await;
    }

    /// Understands what is asked, in order, and waits while the node has no room for it.
    async fn listen(self, mut asks: mpsc::Receiver<Asked>, leaving: Leaving, over: oneshot::Sender<()>) {
        while let Some(asked) = asks.recv().await {
            if self.desk.leaving.load(Ordering::Acquire) {
                return;
            }
            let goes_on = match asked {
                Asked::Say { text, channel, id } => self.say_in(&text, channel.as_deref(), id).await,
                Asked::Flush { id } => self.flush(id).await,
                Asked::Type { line } => self.understand(&line).await,
                Asked::State => self.state().await,
                Asked::Leave => Ok(false),
            };
            match goes_on {
                Ok(true) => {}
                Ok(false) => break,
                Err(Ended) => return,
            }
        }
        match leaving {
            Leaving::Node(leave) => leave(),
            Leaving::Front => drop(over.send(())),
        }
    }

    async fn state(&self) -> Result<bool, Ended> {
        let state = self.desk.state().await?;
        self.tell(Told::State(Box::new(state))).await;
        Ok(true)
    }

    /// Says something where that is wanted, with a receipt where that is wanted. Whether the conversation goes on.
    async fn say_in(&self, text: &str, channel: Option<&str>, id: Option<String>) -> Result<bool, Ended> {
        match receipts::sayings(text, channel) {
            Ok(mut sayings) => {
                let last = sayings.pop();
                for saying in sayings {
                    self.desk.lines.say();
                    self.desk.tell(Command::Say(saying, None)).await?;
                }
                let Some(last) = last else { return Ok(true) };
                let due = id.map(|id| (id, oneshot::channel()));
                if due.is_some() {
                    self.desk.lines.remember_stamps();
                }
                let (answer, due) = due.map_or((None, None), |(id, (answer, n))| (Some(answer), Some((id, n))));
                self.desk.lines.say();
                self.desk.tell(Command::Say(last, answer)).await?;
                if let Some((id, number)) = due {
                    self.receipts.line(id, number).await;
                }
            }
            Err(why) => match id {
                Some(id) => drop(self.tell(Told::Sent(receipts::refused(id, why))).await),
                None => self.note(format!("not sent: {why}")).await,
            },
        }
        Ok(true)
    }

    /// Receipts for all that was said so far.
    async fn flush(&self, id: String) -> Result<bool, Ended> {
        self.desk.settled().await?;
        self.tell(Told::Sent(receipts::taken(id.clone()))).await;
        self.receipts.all(id, self.desk.lines.said()).await;
        Ok(true)
    }

    /// Says something. Whether the conversation goes on.
    async fn say(&self, line: &str) -> Result<bool, Ended> {
        let mut rest = Some(line);
        while let Some(line) = rest {
            let (first, after) = match line.split_once('\n') {
                Some((first, after)) => (first, Some(after)),
                None => (line, None),
            };
            rest = after;
            match Text::parse(first.strip_suffix('\r').unwrap_or(first)) {
                Ok(text) => {
                    self.desk.lines.say();
                    self.desk.tell(Command::Say(text.into(), None)).await?;
                }
                Err(TextError::Blank | TextError::Newline) => {}
                Err(TextError::TooLong { bytes }) => {
                    self.note(format!("not sent: a line of {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed")).await
                }
            }
        }
        Ok(true)
    }

    async fn understand(&self, line: &str) -> Result<bool, Ended> {
        match meaning::read(line) {
            Meaning::Nothing => {}
            Meaning::Say(text) => return self.say(text).await,
            Meaning::Leave => return Ok(false),
            Meaning::Help(about) => match answers::help(about) {
                Ok(listing) => self.listing(listing).await,
                Err(why) => self.note(why).await,
            },
            Meaning::Who => {
                let status = self.desk.status().await?;
                self.listing(answers::who(&(&status).into(), &status.banned)).await;
            }
            Meaning::Status => {
                let status = self.desk.status().await?;
                self.listing(answers::status(&(&status).into(), status.author)).await;
            }
            Meaning::Ring => self.listing(answers::ring(&self.desk.state().await?)).await,
            Meaning::Recall(asked) => self.recall(asked).await,
            Meaning::Save(file) => self.save(file).await,
            Meaning::Clear => drop(self.tell(Told::Clear).await),
            Meaning::Ignore(whom) => self.ignore(whom).await,
            Meaning::Order(verb, whom) => {
                let whom = whom.to_owned();
                self.act(line, |text, taken| Command::Order(Order { verb, whom, text }, taken)).await?;
            }
            Meaning::Rekey => self.act(line, Command::Rekey).await?,
            Meaning::Misused(command) => self.note(answers::misused(command)).await,
            Meaning::Unknown(name) => self.note(answers::unknown(name)).await,
        }
        Ok(true)
    }

    /// Has something done; the line says so to all.
    async fn act(&self, line: &str, command: impl FnOnce(Text, oneshot::Sender<bool>) -> Command) -> Result<(), Ended> {
        let Ok(text) = Text::parse(line.trim_end()) else { return Ok(()) };
        let (taken, answer) = oneshot::channel();
        self.desk.tell(command(text, taken)).await?;
        if let Ok(true) = answer.await {
            self.desk.lines.say();
        }
        Ok(())
    }

    async fn recall(&self, asked: Recall<'_>) {
        let Some(past) = self.desk.past.clone() else {
            return self.note("nothing is kept here: this node runs with --ephemeral").await;
        };
        let (words, newest) = match asked {
            Recall::Words(words) => (Some(words.to_owned()), 0),
            Recall::Newest(newest) => (None, newest),
        };
        let found = tokio::task::spawn_blocking(move || match &words {
            Some(words) => history::recall(&past, Recall::Words(words)),
            None => history::recall(&past, Recall::Newest(newest)),
        });
        if let Ok((heading, lines)) = found.await {
            self.listing((heading, lines.lines().map(str::to_owned).collect())).await;
        }
    }

    async fn save(&self, file: &str) {
        let Some(past) = self.desk.past.clone() else {
            return self.note("nothing is kept here: this node runs with --ephemeral").await;
        };
        let file = std::path::PathBuf::from(file);
        let saved = tokio::task::spawn_blocking(move || history::save(&past, &file)).await;
        self.note(saved.unwrap_or_else(|_| "not saved".to_owned())).await;
    }

    async fn ignore(&self, whom: &str) {
        let answer = self.ignored(whom);
        self.note(answer).await;
    }

    /// Changes who is ignored, and says how it is then.
    fn ignored(&self, whom: &str) -> String {
        let mut view = self.view();
        let folded = whom.to_lowercase();
        if whom.is_empty() {
            let names: Vec<&str> = view.ignored.iter().map(String::as_str).collect();
            return match names.is_empty() {
                true => "you ignore nobody".to_owned(),
                false => format!("you ignore {}; /ignore NAME shows them again", names.join(", ")),
            };
        }
        if view.ignored.remove(&folded) {
            return format!("lines of {whom} are shown again");
        }
        if view.ignored.len() >= IGNORED_MAX {
            return format!("not done: {IGNORED_MAX} names are ignored, which is as many as there may be");
        }
        view.ignored.insert(folded);
        format!("lines of {whom} are not shown here; /ignore {whom} shows them again")
    }
}

/// Waits until the frontend has left, or, where the node leaves, for ever.
async fn over(left: &mut Option<oneshot::Receiver<()>>) {
    if let Some(receiver) = left
        && receiver.await.is_err()
    {
        *left = None;
    }
    if left.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the node is somebody else, or for ever.
async fn moved(place: &mut watch::Receiver<super::herald::Place>) {
    if place.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
