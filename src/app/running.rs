//! A running node with its tasks and handles, and the one order in which they end.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::frontends::{self, FrontendOutput};
use super::keys::{self, Changed, Keyed, Owner};
use super::member::{AppEvent, LogHealth, PersonInput, RunningNode, Signals};
use super::place::NodePlace;
use super::prepare::{Prepared, random};
use super::{returning, stages, verdict};
use crate::chatlog::LogWriter;
use crate::chatlog::checkpoints::LogCheckpoints;
use crate::chatlog::gap::PastLog;
use crate::control::server::Answers;
use crate::failure::{Exit, Failure, complain};
use crate::feed::leader_watch;
use crate::feed::node_handle::{NodeHandle, NodeHandleParts};
use crate::feed::own_lines::OwnLines;
use crate::feed::publisher::{EventPublisher, LogPump, LoggedBefore, Presence, RoomPlace as InRoom, ScreenFeed};
use crate::feed::stall_notice;
use crate::feed::stdout::{self};
use crate::frontend::kind::{FrontendKind, Showing};
use crate::frontend::terminal::TerminalSettings;
use crate::frontend::tui;
use crate::key::{self, RoomKey};
use crate::net::{self, Command, Keyring, Secrets};
use crate::present::builder::UpdateBuilder;
use crate::present::format;
use crate::ring::{self, SessionId, Stop, Timing, Uid};
use crate::settings::{Chat, KeyFrom, StartMode};
use crate::store::{self, LogMark, Opened};

/// Time between two marks of how far the chat log is written.
const MARK_EVERY: Duration = Duration::from_millis(500);
/// How long the chat log may take to write its last lines.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// How long all attached frontends together may take to read the rest. The node gives up a frontend that reads nothing
/// earlier.
const FRONTS_PATIENCE: Duration = Duration::from_secs(30);
/// How long the end waits for a terminal that takes nothing.
const TERMINAL_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end waits for another reader of standard output that takes nothing. The node has left its room by then,
/// so nobody else waits. A signal ends the wait.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// The facts of a run that every stage of its start reads.
struct Facts {
    chat: Chat,
    /// The port that the node listens on; it names the run's files.
    port: u16,
    listens: SocketAddr,
    uid: Uid,
    contacts: Vec<SocketAddr>,
    session: SessionId,
    /// The run creates a room.
    creates: bool,
    /// The room has a key.
    keyed: bool,
    /// The history's file; `None`: the run is ephemeral.
    file: Option<PathBuf>,
    started: Instant,
}

impl Facts {
    /// The first line of the room names its moderators, and counts as the owner's.
    fn own_lines(&self) -> OwnLines {
        let lines = OwnLines::default();
        if self.creates && !self.chat.moderators.is_empty() {
            lines.say();
        }
        lines
    }
}

/// Starts the node's task on its listener.
///
/// # Errors
/// The runtime does not take the listener, or the system gives no random numbers.
fn start_node(
    facts: &Facts,
    start: ring::Start,
    listener: TcpListener,
    key: Option<RoomKey>,
    opened: Opened,
) -> anyhow::Result<net::RunningDriver> {
    let Opened { history, saved, identity, .. } = opened;
    let secrets = Secrets { identity: identity.clone(), key };
    let config = ring::Config {
        uid: facts.uid,
        name: facts.chat.name.clone(),
        rename: facts.chat.rename,
        author: identity.author(),
        signer: Arc::new(identity),
        session: facts.session,
        seed: random()?,
        start,
        saved,
        key: None,
        rate: facts.chat.rate,
        moderators: if facts.creates { facts.chat.moderators.clone() } else { Vec::new() },
        backlog: facts.chat.backlog,
        timing: Timing::default(),
    };
    net::start(config, history, vec![listener], secrets).context("the node does not start")
}

/// Assembles the publisher, and starts the task that marks how far the chat log is written.
fn new_publisher(
    facts: &Facts,
    output: &FrontendOutput,
    lines: &OwnLines,
    urgent: &mpsc::Sender<Command>,
    logged: LoggedBefore,
) -> EventPublisher {
    let (marks, name) = (LogCheckpoints::default(), facts.chat.name.clone());
    tokio::spawn(mark_log(marks.clone(), output.log.writer(), urgent.clone()));
    EventPublisher::new(
        LogPump::new(output.log.writer(), marks, PastLog::of(urgent.clone()), logged),
        ScreenFeed::new(output.broadcaster.clone(), facts.session, facts.file.clone(), facts.chat.verbose),
        Presence::new(facts.uid, name, facts.session, output.clock.clone(), lines.clone()),
    )
}

/// The tasks that store the room's keys.
struct KeyTasks {
    /// Stores the keys that the room gets.
    changed: JoinHandle<()>,
    /// Stores the key that has let the node in; `None`: the room is open.
    right: Option<JoinHandle<()>>,
}

impl KeyTasks {
    /// Starts them. `keys` brings each new key of the room.
    fn start(
        facts: &Facts,
        output: &FrontendOutput,
        entered: &watch::Receiver<InRoom>,
        keys: mpsc::Receiver<RoomKey>,
        keyed: Keyed,
    ) -> Self {
        let owner = Owner { broadcaster: output.broadcaster.clone(), is_person: output.face.is_person() };
        let changed = Changed {
            keys,
            file: facts.file.clone(),
            keep: (!facts.chat.ephemeral).then(|| key::file::kept_in(&facts.chat.data_dir, facts.port)),
            by_file: matches!(facts.chat.key, KeyFrom::File(_)),
            entered: entered.clone(),
            owner: owner.clone(),
        };
        let changed = tokio::spawn(keys::keep_changed(changed));
        let Keyed { key, keep } = keyed;
        let right =
            key.map(|key| tokio::spawn(keys::keep_right(entered.clone(), key, facts.file.clone(), keep, owner)));
        Self { changed, right }
    }

    /// Waits until both have ended.
    async fn finish(self) {
        let _ = self.changed.await;
        if let Some(right) = self.right {
            let _ = right.await;
        }
    }
}

/// The frontends of a run.
struct Frontends {
    /// The owner's frontend, if it has a thread.
    shown: Option<Showing>,
    /// The owner's input.
    input: PersonInput,
    /// Ends when all attached frontends have gone.
    attached_gone: mpsc::Receiver<()>,
}

impl Frontends {
    /// Opens the sockets for other processes, and the owner's frontend.
    ///
    /// # Errors
    /// The system gives no threads.
    fn start(
        facts: &Facts,
        output: &FrontendOutput,
        node_handle: &NodeHandle,
        keyring: Keyring,
        answering: watch::Receiver<Option<Uid>>,
    ) -> anyhow::Result<Self> {
        let (fronts, attached_gone) = mpsc::channel(1);
        frontends::answer_askers(
            &facts.chat,
            facts.listens,
            Answers { node_handle: node_handle.clone(), keyring, fronts },
        );
        let settings = TerminalSettings::new(facts.chat.bell, facts.chat.verbose);
        let (shows, shown) = frontends::begin(output.face, node_handle, settings, &output.news, &output.lost)?;
        let is_person = output.face.is_person();
        let hint = match facts.creates && is_person {
            true => stages::opened(facts.uid, facts.keyed, node_handle.log.as_deref()),
            false => Vec::new(),
        };
        if let (Some(contact), true) = (facts.contacts.first(), is_person) {
            node_handle.broadcaster.event(&stages::reaching(*contact, facts.contacts.len() - 1));
            let joining = stages::JoinProgress {
                answering,
                entered: node_handle.place.clone(),
                node: node_handle.urgent.clone(),
                broadcaster: node_handle.broadcaster.clone(),
                keyed: facts.keyed,
            };
            tokio::spawn(joining.tell());
        }
        tokio::spawn(stall_notice::tell(node_handle.lines.clone(), node_handle.broadcaster.clone()));
        tokio::spawn(leader_watch::tell(node_handle.urgent.clone(), node_handle.broadcaster.clone()));
        let news = output.news.clone();
        let ended = Box::new(move || drop(news.try_send(AppEvent::InputEnded)));
        Ok(Self { shown, input: PersonInput { shows, entered: node_handle.place.clone(), hint, ended }, attached_gone })
    }
}

/// A run at work.
pub(super) struct Running {
    facts: Facts,
    output: FrontendOutput,
    member: RunningNode,
    node_handle: NodeHandle,
    keys: KeyTasks,
    publisher: thread::JoinHandle<()>,
    shown: Option<Showing>,
    attached_gone: mpsc::Receiver<()>,
    /// Taken when the loop starts.
    input: Option<PersonInput>,
}

impl Running {
    /// Starts a run, in this order: the output, the node, the publisher's state, the tasks that store keys, the
    /// handles, the frontends. The publisher's thread starts last, so that the frontends see its first notice.
    ///
    /// # Errors
    /// The chat log cannot be opened, or the system gives no threads.
    pub(super) fn start(prepared: Prepared) -> Result<Self, Failure> {
        let Prepared { chat, place, key, keep, open_remark, session, start, creates, opened } = prepared;
        let NodePlace { listener, listens, uid, contacts, .. } = place;
        let port = listens.port();
        let (output, mended) = FrontendOutput::open(&chat, port, &opened)?;
        let file = (!chat.ephemeral).then(|| store::file_in(&chat.data_dir, port));
        let (keyed, started) = (key.is_some(), Instant::now());
        let facts = Facts { chat, port, listens, uid, contacts, session, creates, keyed, file, started };
        let logged = LoggedBefore { mended, room: opened.saved.room, index: opened.logged.0 };
        let lines = facts.own_lines();
        let node = start_node(&facts, start, listener, key.clone(), opened)?;
        let net::RunningDriver { commands, urgent, notices, done, keyring, rekeyed, meter: _ } = node;
        let publisher = new_publisher(&facts, &output, &lines, &urgent, logged);
        let (entered, answering) = (publisher.watch_place(), publisher.watch_contact());
        let keys = KeyTasks::start(&facts, &output, &entered, rekeyed, Keyed { key, keep });
        if let Some(remark) = open_remark.filter(|_| matches!(facts.chat.start, StartMode::Join(_))) {
            tokio::spawn(keys::tell_inside(entered.clone(), output.broadcaster.clone(), remark));
        }
        let member = RunningNode {
            commands,
            urgent,
            done,
            leaving: Arc::new(AtomicBool::new(false)),
            face: output.face,
            broadcaster: output.broadcaster.clone(),
            log_name: output.log.name(),
            log: LogHealth::default(),
            failing: publisher.failing(),
            hurried: false,
        };
        let node_handle = NodeHandle::new(NodeHandleParts {
            commands: member.commands.clone(),
            urgent: member.urgent.clone(),
            broadcaster: output.broadcaster.clone(),
            lines,
            place: entered,
            wanted: facts.chat.name.clone(),
            uid,
            past: facts.file.clone(),
            log: (!facts.chat.ephemeral).then(|| output.log.place()),
            update_builder: UpdateBuilder::new(session),
            leaving: member.leaving.clone(),
        });
        let frontends = Frontends::start(&facts, &output, &node_handle, keyring, answering)?;
        let Frontends { shown, input, attached_gone } = frontends;
        let publisher = thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || publisher.run(notices))
            .context("no thread")?;
        Ok(Self { facts, output, member, node_handle, keys, publisher, shown, attached_gone, input: Some(input) })
    }

    /// Runs until the node has ended. Returns why it stopped.
    pub(super) async fn live(&mut self, signals: &mut Signals) -> anyhow::Result<Stop> {
        let Some(input) = self.input.take() else { anyhow::bail!("a run lives once") };
        self.member.live(signals, &mut self.output.told, self.output.log.writer(), input).await
    }

    /// Takes the run apart after the node has ended. The order is the flow of the last notices:
    ///
    /// 1. the publisher hands everything that the node has told to the chat log and to the frontends;
    /// 2. the tasks that keep keys end;
    /// 3. the chat log and the frontends get the reason of the end;
    /// 4. the owner's frontend shows the rest, then attached frontends do;
    /// 5. the chat log writes the rest, then standard output does;
    /// 6. the terminal gets its settings back, so that what follows on standard error is readable.
    ///
    /// # Errors
    /// The text that the user reads about the run's end, unless the node left with nothing waiting.
    pub(super) async fn shut_down(self, outcome: anyhow::Result<Stop>, signals: &mut Signals) -> Result<(), Failure> {
        let Self { facts, output, member, node_handle, keys, publisher, shown, mut attached_gone, .. } = self;
        let FrontendOutput { log, lost, screen, clock, face, broadcaster, restore, news: _news, told: _told } = output;
        let _ = tokio::task::spawn_blocking(move || publisher.join()).await;
        keys.finish().await;
        let was_in = node_handle.place.borrow().is_some();
        let end = outcome.as_ref().map_or_else(ToString::to_string, |stop| format::stop_text(stop, was_in));
        if outcome.is_ok() {
            let mut line = String::new();
            format::push_log_event(&mut line, clock.now(), &end);
            log.writer().push(&line);
        }
        broadcaster.close(&end);
        if let Some(shown) = shown {
            let patience = if face.is_person() { TERMINAL_PATIENCE } else { READER_PATIENCE };
            let all = tokio::select! {
                all = tokio::task::spawn_blocking(move || shown.finish(patience)) => all.unwrap_or(true),
                () = signals.end() => false,
            };
            if !all {
                match face {
                    FrontendKind::Full => tui::give_back(),
                    FrontendKind::Terminal | FrontendKind::Text | FrontendKind::Daemon => {}
                    FrontendKind::Json => {
                        complain("dist-chat: nobody reads standard output: the rest is in the history")
                    }
                }
            }
        }
        let _ = tokio::time::timeout(FRONTS_PATIENCE, attached_gone.recv()).await;
        let log_name = log.place();
        log.finish(LOG_PATIENCE);
        let last = screen.clone();
        let unseen = tokio::select! {
            unseen = tokio::task::spawn_blocking(move || last.finish(READER_PATIENCE)) => unseen.unwrap_or(0),
            () = signals.end() => screen.unseen(),
        };
        drop(restore);
        if unseen > 0 {
            complain(format_args!(
                "dist-chat: {unseen} lines not shown, since nobody reads them; they are in {log_name}"
            ));
        }
        if let Some(why) = member.log.failed {
            complain(format_args!("dist-chat: {log_name} lacks its end ({why})"));
        }
        if let Err(error) = &outcome
            && let Some(error) = error.downcast_ref::<store::Error>()
        {
            return Err(files_failed(&facts.chat, facts.port, error));
        }
        let stop = outcome.map_err(Failure::from)?;
        verdict::of(stop, node_handle.lines.waiting(), &facts.chat, &facts.contacts, facts.started.elapsed())?;
        match lost.0.get().filter(|error| face != FrontendKind::Daemon && !stdout::is_gone(error)) {
            Some(error) => Err(verdict::unwritten(error)),
            None => Ok(()),
        }
    }
}

/// The failure of a run that the store has ended.
fn files_failed(chat: &Chat, port: u16, error: &store::Error) -> Failure {
    match error {
        store::Error::Damaged(why) => returning::after_damage(chat, port, why),
        error => Failure::new(
            Exit::Files,
            format!(
                "cannot keep the history in {} any more; left the room",
                store::file_in(&chat.data_dir, port).display()
            ),
            error.to_string(),
            match error {
                store::Error::Unsynced(_) => {
                    "look at the disk before you start again: the other members send the missing lines"
                }
                _ => "make room on the disk and start again: the other members send the missing lines",
            },
        ),
    }
}

/// Regularly tells the store how far the chat log is written.
async fn mark_log(marks: LogCheckpoints, mut log: LogWriter, node: mpsc::Sender<Command>) {
    let mut ticks = tokio::time::interval(MARK_EVERY);
    loop {
        ticks.tick().await;
        log.poke();
        let (flushed, length) = log.flushed();
        let Some((handed, tail)) = marks.reached(flushed) else { continue };
        // The bytes that were flushed behind the mark stand at the file's end.
        let bytes = length.saturating_sub(flushed - handed);
        // The log must be synced before the mark is stored. If the log cannot be synced, a later start compares more of
        // it.
        let synced = log.clone();
        if !tokio::task::spawn_blocking(move || synced.sync()).await.is_ok_and(|done| done.is_ok()) {
            continue;
        }
        if node.send(Command::Logged(LogMark { tail, bytes })).await.is_err() {
            return;
        }
    }
}
