//! A running node from its owner's side: handles input, news and signals until the node has ended.

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
use crate::feed::broadcaster::Broadcaster;
use crate::feed::publisher::RoomPlace as InRoom;
use crate::frontend::kind::{FrontendKind, Shows};
use crate::net::Command;
use crate::ring::Stop;

/// Time from the wish to leave until the loop tells the node to stop waiting. The node itself waits 5 s at most, so
/// this comes after that.
const LEAVE: Duration = Duration::from_millis(5_200);
/// Time from then until the loop gives the node up.
const LEAVE_NOW: Duration = Duration::from_secs(2);
/// Time from the loss of standard output until the input must end. After that the loop reads it no further.
const INPUT: Duration = Duration::from_secs(5);
/// The loop reports a chat log that fails for longer than this, unless the history fails too.
const LOG_GRACE: Duration = Duration::from_millis(1_500);
/// What happens to the program, besides signals and the node's end.
#[derive(Debug)]
pub(super) enum AppEvent {
    /// The user wants to leave, or the input has ended.
    InputEnded,
    /// The terminal is gone, and its user too.
    TerminalGone,
    /// Standard output is closed, or it takes nothing.
    OutputGone,
    /// The chat log fails, or works again.
    Log(LogNews),
}

/// Sleeps until `time`. Without a time, sleeps forever.
async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// The input, which the loop reads once the node is in its room.
pub(super) struct PersonInput {
    pub(super) shows: Shows,
    pub(super) entered: watch::Receiver<InRoom>,
    /// Lines to show before the user types the first line.
    pub(super) hint: Vec<String>,
    /// Called once, when the input has ended.
    pub(super) ended: Box<dyn FnOnce() + Send>,
}

/// The signals that this program handles.
pub(super) struct Signals {
    pub(super) interrupt: Signal,
    pub(super) terminate: Signal,
    pub(super) hang_up: Signal,
}

impl Signals {
    /// Waits for a signal that ends the program.
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

/// The health of the chat log.
#[derive(Debug, Default)]
pub(super) struct LogHealth {
    /// Why the log fails at the moment.
    pub(super) failed: Option<String>,
    /// The time to report it.
    tell: Option<tokio::time::Instant>,
    /// The loop has reported it.
    told: bool,
}

/// A running node from its owner's side.
pub(super) struct RunningNode {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) urgent: mpsc::Sender<Command>,
    pub(super) done: JoinHandle<anyhow::Result<Stop>>,
    pub(super) leaving: Arc<AtomicBool>,
    pub(super) face: FrontendKind,
    pub(super) broadcaster: Broadcaster,
    pub(super) log_name: String,
    pub(super) log: LogHealth,
    /// The store has reported that it fails.
    pub(super) failing: Arc<AtomicBool>,
    /// The loop has told the node to stop waiting.
    pub(super) hurried: bool,
}

impl RunningNode {
    /// Runs until the node has ended.
    pub(super) async fn live(
        &mut self,
        signals: &mut Signals,
        news: &mut mpsc::Receiver<AppEvent>,
        mut log: LogWriter,
        input: PersonInput,
    ) -> anyhow::Result<Stop> {
        let mut entered = Some(input.entered.clone());
        let mut input = Some(input);
        let mut patience = None;
        // After the loss of standard output, the node still sends the lines that the user typed before.
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
                    AppEvent::InputEnded => self.leave(false, &mut patience),
                    AppEvent::TerminalGone => self.leave(true, &mut patience),
                    AppEvent::OutputGone if self.face == FrontendKind::Daemon => {}
                    AppEvent::OutputGone => {
                        is_read = false;
                        // An input that is not being read yet has no time limit.
                        input_until = input.is_none().then(|| tokio::time::Instant::now() + INPUT);
                    }
                    AppEvent::Log(news) => self.log_news(news),
                },
            }
        }
    }

    /// Ends the input when its time is over.
    fn end_input(&self, patience: &mut Option<tokio::time::Instant>) {
        if patience.is_none() {
            complain("dist-chat: nobody reads standard output, and the input does not end: the rest of it is not sent");
            self.leave(false, patience);
        }
    }

    fn read(&self, input: PersonInput) -> io::Result<()> {
        input.hint.iter().for_each(|hint| self.broadcaster.event(hint));
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
                self.broadcaster.event(&format!("{name} cannot be opened anew ({why}): the old file is written on"));
            }
            LogNews::Well { lost } => {
                self.log.failed = None;
                self.log.tell = None;
                let name = &self.log_name;
                match (std::mem::take(&mut self.log.told), lost) {
                    (_, 1..) => {
                        self.broadcaster.event(&format!("{name} is written again, but for {lost} bytes of events"))
                    }
                    (true, 0) => self.broadcaster.event(&format!("{name} is written again, and whole")),
                    (false, 0) => {}
                }
            }
        }
    }

    /// Reports that the log still fails. A full disk is reported once, for the history.
    fn tell_of_log(&mut self) {
        self.log.tell = None;
        if let Some(why) = self.log.failed.as_ref().filter(|_| !self.failing.load(Ordering::Acquire)) {
            let name = &self.log_name;
            self.broadcaster
                .event(&format!("{name} cannot be written ({why}): the room goes on, and the log when it can"));
            self.log.told = true;
        }
    }

    /// Tells the node to leave: behind all queued lines, or, when urgent, before them. The node takes a second command
    /// as: stop waiting.
    fn leave(&self, urgent: bool, patience: &mut Option<tokio::time::Instant>) {
        self.leaving.store(true, Ordering::Release);
        patience.get_or_insert_with(|| tokio::time::Instant::now() + LEAVE);
        let way = if urgent { self.urgent.clone() } else { self.commands.clone() };
        // The command may wait for room in the queue, and the loop must not.
        tokio::spawn(async move { way.send(Command::Leave).await });
    }

    /// Tells the node to stop waiting. `false`: the node already knows.
    async fn leave_now(&mut self) -> bool {
        if std::mem::replace(&mut self.hurried, true) {
            self.done.abort();
            return false;
        }
        // The first command may still wait behind queued lines.
        for _ in 0..2 {
            let _ = self.urgent.send_timeout(Command::Leave, LEAVE_NOW).await;
        }
        true
    }
}
