//! One frontend's conversation with the node: what is typed there is understood here, and what happens passes through
//! here on its way there.

mod lookups;
mod social_commands;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use super::answers;
use super::follow::{AttachOptions, Subscription};
use super::node_handle::{NodeEnded, NodeHandle};
use super::parse::{self, Intent};
use super::publisher::RoomPlace;
use super::receipts::{self, Receipts};
use super::view::{ClientView, Fate};
use crate::net::Command;
use crate::present::values::{FeedPosition, Request, Update};
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::ring::{Channel, Draft, ModerationCommand, Text, TextError};

/// Values that wait until the frontend takes them, beside those in its [`Feed`](super::broadcaster::Feed).
const TOLD_MAX: usize = 64;
/// What a frontend asks, until it is understood.
pub const ASKED_MAX: usize = 256;

/// A frontend's two ends.
#[derive(Debug)]
pub struct ClientHandle {
    /// What it is told, in order; ends with the node, or with itself.
    pub told: mpsc::Receiver<Update>,
    /// What it asks.
    pub asked: mpsc::Sender<Request>,
    /// Answers to what was to be asked and was not understood go here.
    pub answers: mpsc::WeakSender<Update>,
}

/// What happens when a frontend wants to leave.
pub enum LeaveScope {
    /// The node leaves its room: this is called, once.
    Node(Box<dyn FnOnce() + Send>),
    /// The frontend alone ends.
    Front,
}

/// A conversation.
#[derive(Clone)]
struct ClientSession {
    node_handle: NodeHandle,
    out: mpsc::Sender<Update>,
    view: Arc<Mutex<ClientView>>,
    receipts: Receipts,
    /// Where the frontend runs; nothing: where the node does.
    dir: PathBuf,
}

/// Begins one; `None`: there are as many frontends as there may be.
pub fn open(node_handle: &NodeHandle, wanted: &AttachOptions, leaving: LeaveScope) -> Option<ClientHandle> {
    let feed = Subscription::begin(node_handle, wanted)?;
    let (out, told) = mpsc::channel(TOLD_MAX);
    let (asked, asks) = mpsc::channel(ASKED_MAX);
    let answers = out.downgrade();
    let receipts = Receipts::start(node_handle.clone(), out.clone());
    let view = Arc::new(Mutex::new(ClientView::new(wanted.taste)));
    let dir = wanted.dir.clone().unwrap_or_default().into();
    let session = ClientSession { node_handle: node_handle.clone(), out, view, receipts, dir };
    let (over, is_over) = oneshot::channel();
    tokio::spawn(session.clone().deliver(feed, is_over));
    tokio::spawn(session.listen(asks, leaving, over));
    Some(ClientHandle { told, asked, answers })
}

impl ClientSession {
    fn view(&self) -> MutexGuard<'_, ClientView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what happens, until the node or the frontend has ended.
    async fn deliver(self, mut feed: Subscription, is_over: oneshot::Receiver<()>) {
        let mut is_over = Some(is_over);
        let mut place = self.node_handle.place.clone();
        place.mark_changed();
        if !self.tell(Update::Hello(self.node_handle.hello())).await {
            return;
        }
        loop {
            let told = tokio::select! {
                biased;
                () = moved(&mut place) => self.here(),
                told = feed.next() => match told {
                    Some(told) => self.passes(&told),
                    None => return,
                },
                () = over(&mut is_over) => {
                    self.tell(Update::Bye { text: "this terminal is detached; the node stays".to_owned() }).await;
                    return;
                }
            };
            if let Some(told) = told
                && !self.tell(told).await
            {
                return;
            }
        }
    }

    /// Who the node is, and where this frontend speaks; nothing before the node is in its room.
    fn here(&self) -> Option<Update> {
        let (name, _) = self.node_handle.place.borrow().clone()?;
        let view = self.view();
        let channel = Channel::name_of(view.channel()).to_owned();
        Some(Update::Here(FeedPosition { name, address: self.node_handle.uid, channel, unread: view.unread() }))
    }

    /// What the frontend is told of this.
    fn passes(&self, told: &Arc<Update>) -> Option<Update> {
        match &**told {
            Update::Line(line) => {
                let me = self.node_handle.place.borrow().as_ref().map(|(name, _)| name.clone());
                let fate = self.view().take(line, me.as_ref());
                match fate {
                    Fate::Shown => Some(Update::clone(told)),
                    Fate::Hidden => None,
                    Fate::Unread { first: true } if !self.view().is_in(&line.channel) => Some(Update::Note {
                        text: format!("{} speaks in #{}; /join #{} goes there", line.name, line.channel, line.channel),
                    }),
                    Fate::Unread { first: _ } => self.here(),
                }
            }
            Update::Private(private) if !private.own && self.view().ignores(&private.from) => None,
            Update::Private(_)
            | Update::Hello(_)
            | Update::Reactions(_)
            | Update::Event(_)
            | Update::State(_)
            | Update::Note { .. }
            | Update::Listing { .. }
            | Update::Here(_)
            | Update::Clear
            | Update::Sent(_)
            | Update::Waiting { .. }
            | Update::Missed { .. }
            | Update::CaughtUp
            | Update::LeftOut { .. }
            | Update::Bye { .. } => Some(Update::clone(told)),
        }
    }

    /// `false`: nobody listens any more.
    async fn tell(&self, told: Update) -> bool {
        self.out.send(told).await.is_ok()
    }

    async fn note(&self, text: impl Into<String>) {
        self.tell(Update::Note { text: crate::text::visible(&text.into()).into_owned() }).await;
    }

    async fn listing(&self, (heading, lines): (String, Vec<String>)) {
        self.tell(Update::Listing { heading, lines }).await;
    }

    /// Understands what is asked, in order, and waits while the node has no room for it.
    async fn listen(self, mut asks: mpsc::Receiver<Request>, leaving: LeaveScope, over: oneshot::Sender<()>) {
        loop {
            let asked = tokio::select! {
                biased;
                asked = asks.recv() => asked,
                // A frontend that is told the end may go on holding what it asks with.
                () = self.node_handle.urgent.closed() => return,
            };
            let Some(asked) = asked else { break };
            if self.node_handle.leaving.load(Ordering::Acquire) {
                return;
            }
            let goes_on = match asked {
                Request::Say { text, channel, id } => self.say_in(&text, channel.as_deref(), id).await,
                Request::Flush { id } => self.flush(id).await,
                Request::Type { line } => self.understand(&line).await,
                Request::State => self.state().await,
                Request::Leave => Ok(false),
            };
            match goes_on {
                Ok(true) => {}
                Ok(false) => break,
                Err(NodeEnded) => return,
            }
        }
        match leaving {
            LeaveScope::Node(leave) => leave(),
            LeaveScope::Front => drop(over.send(())),
        }
    }

    async fn state(&self) -> Result<bool, NodeEnded> {
        let state = self.node_handle.state().await?;
        self.tell(Update::State(Box::new(state))).await;
        Ok(true)
    }

    /// Says something where that is wanted, with a receipt where that is wanted. Whether the conversation goes on.
    async fn say_in(&self, text: &str, channel: Option<&str>, id: Option<String>) -> Result<bool, NodeEnded> {
        let place = self.place(channel);
        match place.and_then(|place| receipts::drafts(text, place.as_ref())) {
            Ok(mut drafts) => {
                let last = drafts.pop();
                for draft in drafts {
                    self.hand_over(draft).await?;
                }
                let Some(last) = last else { return Ok(true) };
                let Some(id) = id else { return self.hand_over(last).await.map(|()| true) };
                let (answer, number) = oneshot::channel();
                self.node_handle.lines.remember_stamps();
                self.node_handle.lines.say();
                self.node_handle.tell(Command::Say(last, Some(answer))).await?;
                self.receipts.line(id, number).await;
            }
            Err(why) => match id {
                Some(id) => drop(self.tell(Update::Sent(receipts::refused(id, why))).await),
                None => self.note(format!("not sent: {why}")).await,
            },
        }
        Ok(true)
    }

    /// Receipts for all that was said so far.
    async fn flush(&self, id: String) -> Result<bool, NodeEnded> {
        self.node_handle.settled().await?;
        self.tell(Update::Sent(receipts::taken(id.clone()))).await;
        self.receipts.all(id, self.node_handle.lines.said()).await;
        Ok(true)
    }

    /// Where something is said that names a channel, or none.
    fn place(&self, channel: Option<&str>) -> Result<Option<Channel>, String> {
        match channel {
            Some(channel) => Channel::parse(channel).map_err(|error| error.to_string()),
            None => Ok(self.view().channel().cloned()),
        }
    }

    /// Says something. Whether the conversation goes on.
    async fn say(&self, line: &str, channel: Option<Channel>) -> Result<bool, NodeEnded> {
        let mut rest = Some(line);
        while let Some(line) = rest {
            let (first, after) = match line.split_once('\n') {
                Some((first, after)) => (first, Some(after)),
                None => (line, None),
            };
            rest = after;
            match Text::parse(first.strip_suffix('\r').unwrap_or(first)) {
                Ok(text) => {
                    self.hand_over(Draft { text, channel: channel.clone(), act: None }).await?;
                }
                Err(TextError::Blank | TextError::Newline) => {}
                Err(TextError::TooLong { bytes }) => {
                    self.note(format!("not sent: a line of {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed")).await
                }
            }
        }
        Ok(true)
    }

    async fn understand(&self, line: &str) -> Result<bool, NodeEnded> {
        match parse::read(line) {
            Intent::Nothing => {}
            Intent::Say(text) => {
                let channel = self.view().channel().cloned();
                return self.say(text, channel).await;
            }
            Intent::Act(doing) => self.act_out(line, doing).await?,
            Intent::Private(whom, words) => self.pm(whom, words).await?,
            Intent::AskTopic => self.topic().await?,
            Intent::Join(name) => match Channel::parse(name) {
                Ok(channel) => self.join(channel).await,
                Err(why) => self.note(format!("no channel: {why}")).await,
            },
            Intent::Part => {
                let left = self.view().part();
                match left {
                    Some(channel) => {
                        self.note(format!("you have left {channel}")).await;
                        self.told_here().await;
                    }
                    None => self.note("you are in the lobby, which nobody leaves; /exit leaves the room").await,
                }
            }
            Intent::List => {
                let state = self.node_handle.state().await?;
                let listing = answers::list(&state, &self.view());
                self.listing(listing).await;
            }
            Intent::Leave => return Ok(false),
            Intent::Help(about) => match answers::help(about) {
                Ok(listing) => self.listing(listing).await,
                Err(why) => self.note(why).await,
            },
            Intent::Who(whom) => {
                let (status, state) = self.node_handle.survey().await?;
                match whom {
                    "" => self.listing(answers::who(&state, &status.banned)).await,
                    name => match answers::who_is(&state, name) {
                        Ok(listing) => self.listing(listing).await,
                        Err(why) => self.note(why).await,
                    },
                }
            }
            Intent::Status => {
                let status = self.node_handle.status().await?;
                self.listing(answers::status(&(&status).into(), status.author)).await;
            }
            Intent::Ring => self.listing(answers::ring(&self.node_handle.state().await?)).await,
            Intent::Recall(asked) => self.recall(asked).await,
            Intent::Save(file) => self.save(file).await,
            Intent::Clear => drop(self.tell(Update::Clear).await),
            Intent::Ignore(whom) => self.ignore(whom).await?,
            Intent::Order(verb, whom) => {
                let whom = whom.to_owned();
                self.act(line, |text, taken| Command::Order(ModerationCommand { verb, whom, text }, taken)).await?;
            }
            Intent::Rekey => self.act(line, Command::Rekey).await?,
            Intent::Wrong(why) => self.note(why).await,
            Intent::Misused(command) => self.note(answers::misused(command)).await,
            Intent::Unknown(name) => self.note(answers::unknown(name)).await,
        }
        Ok(true)
    }

    async fn told_here(&self) {
        let here = self.here();
        if let Some(here) = here {
            self.tell(here).await;
        }
    }

    async fn hand_over(&self, draft: Draft) -> Result<(), NodeEnded> {
        self.node_handle.lines.say();
        self.node_handle.tell(Command::Say(draft, None)).await
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
async fn moved(place: &mut watch::Receiver<RoomPlace>) {
    if place.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
