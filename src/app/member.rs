//! A node at work, seen from its owner: what is typed, told and signalled, until it has ended.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::chatlog::{LogNews, LogWriter};
use crate::failure::complain;
use crate::feed::broadcaster::Hub;
use crate::feed::publisher::Place as InRoom;
use crate::frontend::kind::{Face, Shows};
use crate::net::Command;
use crate::ring::Stop;

/// From the wish to leave until the node is told not to wait any longer. It waits 5 s at most by itself: this comes
/// after that.
const LEAVE: Duration = Duration::from_millis(5_200);
/// From that until the node is given up.
const LEAVE_NOW: Duration = Duration::from_secs(2);
/// From the moment when nobody reads standard output any more until what is said there ends, or is not read on.
const INPUT: Duration = Duration::from_secs(5);
/// A log that fails for longer is worth a word, unless the history fails too.
const LOG_GRACE: Duration = Duration::from_millis(1_500);
/// What happens to the program, besides signals and the node's end.
#[derive(Debug)]
pub(super) enum News {
    /// The person wants to leave, or the input has ended.
    InputEnded,
    /// The terminal is gone, and the person with it.
    TerminalGone,
    /// Nobody reads standard output any more, or it takes nothing.
    OutputGone,
    /// The chat log takes no more, or does again.
    Log(LogNews),
}

/// That time; none: never.
async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// What is read once the node is in its room.
pub(super) struct Input {
    pub(super) shows: Shows,
    pub(super) entered: watch::Receiver<InRoom>,
    /// What to tell before the first line is typed.
    pub(super) hint: Vec<String>,
    /// Called once, when the input has ended.
    pub(super) ended: Box<dyn FnOnce() + Send>,
}

/// The signals that mean something here.
pub(super) struct Signals {
    pub(super) interrupt: Signal,
    pub(super) terminate: Signal,
    pub(super) hang_up: Signal,
}

impl Signals {
    /// One that wants the program to end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

/// What is known of the log that people read.
#[derive(Debug, Default)]
pub(super) struct LogHealth {
    /// Why it takes nothing, at the moment.
    pub(super) failed: Option<String>,
    /// When that is worth a word.
    tell: Option<tokio::time::Instant>,
    /// It was told.
    told: bool,
}

/// A node at work, seen from its owner.
pub(super) struct Member {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) urgent: mpsc::Sender<Command>,
    pub(super) done: JoinHandle<anyhow::Result<Stop>>,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) face: Face,
    pub(super) hub: Hub,
    pub(super) log_name: String,
    pub(super) log: LogHealth,
    /// The store has said that it fails.
    pub(super) failing: Arc<AtomicBool>,
    /// The node has been told to wait no longer.
    pub(super) hurried: bool,
}

impl Member {
    /// Lives until the node has ended.
    pub(super) async fn live(
        &mut self,
        signals: &mut Signals,
        news: &mut mpsc::Receiver<News>,
        mut log: LogWriter,
        input: Input,
    ) -> anyhow::Result<Stop> {
        let mut entered = Some(input.entered.clone());
        let mut input = Some(input);
        let mut patience = None;
        // Once nobody reads what is told: what was typed before is said all the same.
        let (mut is_read, mut input_until) = (true, None);
        loop {
            let late = at(patience);
            let typed_enough = at(input_until);
            let is_in = async {
                match &mut entered {
                    Some(entered) => entered.wait_for(Option::is_some).await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            let tell = at(self.log.tell);
            tokio::select! {
                () = tell => self.tell_of_log(),
                done = &mut self.done => {
                    return done.context("the node's task")?;
                }
                () = late => {
                    if self.leave_now().await {
                        patience = Some(tokio::time::Instant::now() + LEAVE_NOW);
                    } else {
                        return Err(anyhow::anyhow!("the node does not stop"));
                    }
                }
                is_in = is_in => {
                    entered = None;
                    if let Some(input) = input.take_if(|_| is_in) {
                        self.read(input).context("no thread")?;
                        input_until = (!is_read).then(|| tokio::time::Instant::now() + INPUT);
                    }
                }
                () = typed_enough => {
                    input_until = None;
                    self.end_input(&mut patience);
                }
                _ = signals.interrupt.recv() => self.leave(true, &mut patience),
                _ = signals.terminate.recv() => self.leave(true, &mut patience),
                _ = signals.hang_up.recv() => log.reopen(),
                Some(news) = news.recv() => match news {
                    News::InputEnded => self.leave(false, &mut patience),
                    News::TerminalGone => self.leave(true, &mut patience),
                    News::OutputGone if self.face == Face::Daemon => {}
                    News::OutputGone => {
                        is_read = false;
                        // Before anything is read, there is nothing to end.
                        input_until = input.is_none().then(|| tokio::time::Instant::now() + INPUT);
                    }
                    News::Log(news) => self.log_news(news),
                },
            }
        }
    }

    /// The input has had its time.
    fn end_input(&self, patience: &mut Option<tokio::time::Instant>) {
        if patience.is_none() {
            complain("dist-chat: nobody reads what is told, and the input does not end: no more of it is said");
            self.leave(false, patience);
        }
    }

    fn read(&self, input: Input) -> io::Result<()> {
        input.hint.iter().for_each(|hint| self.hub.event(hint));
        input.shows.read(input.ended)
    }

    fn log_news(&mut self, news: LogNews) {
        match news {
            LogNews::Failing(why) => {
                self.log.failed = Some(why);
                self.log.tell = Some(tokio::time::Instant::now() + LOG_GRACE);
            }
            LogNews::Kept(why) => {
                let name = &self.log_name;
                self.hub.event(&format!("{name} cannot be opened anew ({why}): the old file is written on"));
            }
            LogNews::Well { lost } => {
                self.log.failed = None;
                self.log.tell = None;
                let name = &self.log_name;
                match (std::mem::take(&mut self.log.told), lost) {
                    (_, 1..) => self.hub.event(&format!("{name} is written again, but for {lost} bytes of events")),
                    (true, 0) => self.hub.event(&format!("{name} is written again, and whole")),
                    (false, 0) => {}
                }
            }
        }
    }

    /// The log still takes nothing: a full disk is told once, of the history.
    fn tell_of_log(&mut self) {
        self.log.tell = None;
        if let Some(why) = self.log.failed.as_ref().filter(|_| !self.failing.load(Ordering::Acquire)) {
            let name = &self.log_name;
            self.hub.event(&format!("{name} cannot be written ({why}): the room goes on, and the log when it can"));
            self.log.told = true;
        }
    }

    /// Tells the node to leave: behind everything that was said, or, when urgent, before it. The node takes a second
    /// time as: without waiting.
    fn leave(&self, urgent: bool, patience: &mut Option<tokio::time::Instant>) {
        self.leaving.store(true, Ordering::Release);
        patience.get_or_insert_with(|| tokio::time::Instant::now() + LEAVE);
        let way = if urgent { self.urgent.clone() } else { self.commands.clone() };
        // It may have to wait for room, and the loop must not.
        tokio::spawn(async move { way.send(Command::Leave).await });
    }

    /// Tells the node to wait no longer. `false`: it has been told before.
    async fn leave_now(&mut self) -> bool {
        if std::mem::replace(&mut self.hurried, true) {
            self.done.abort();
            return false;
        }
        // The first may still stand in line behind what was said.
        for _ in 0..2 {
            let _ = self.urgent.send_timeout(Command::Leave, LEAVE_NOW).await;
        }
        true
    }
}
