//! A run at work: its tasks and handles, and the one order in which they end.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::keys::{self, Changed, Owner};
use super::member::{Input, LogHealth, Member, News, Signals};
use super::prepare::{Prepared, random};
use super::{diagnostics, returning, stages, verdict};
use crate::chatlog::checkpoints::Marks;
use crate::chatlog::gap::Past;
use crate::chatlog::reconcile::{self, Mended};
use crate::chatlog::{ChatLog, LogWriter};
use crate::control::server::{Answers, Server};
use crate::failure::{Exit, Failure, complain};
use crate::feed::broadcaster::{Hub, Wants};
use crate::feed::clock::Clock;
use crate::feed::failover_notice::Succession;
use crate::feed::follow::{Since, Wanted};
use crate::feed::leader_watch;
use crate::feed::node_handle::{Desk, Parts};
use crate::feed::own_lines::OwnLines;
use crate::feed::publisher::{Herald, Place as InRoom};
use crate::feed::reactions::Likes;
use crate::feed::screen::Screen;
use crate::feed::session::{self, Leaving};
use crate::feed::stall_notice;
use crate::feed::stdout::{self, Outlet};
use crate::feed::view::Taste;
use crate::frontend::kind::{self, Face, Showing, Shows};
use crate::frontend::stdin::Talk;
use crate::frontend::terminal::{self, End, Restore, Settings};
use crate::frontend::tui;
use crate::key;
use crate::net::{self, Command, Secrets};
use crate::present::builder::Teller;
use crate::present::format;
use crate::ring::{self, Stop, Timing};
use crate::settings::{Chat, KeyFrom, Start};
use crate::store::{self, LogMark, Opened};

/// What threads tell the loop; each of them tells at most one thing.
const NEWS_MAX: usize = 8;
/// Older lines that the full screen begins with.
const FULL_LINES: u32 = 500;
/// Between two marks of how far the log is written.
const MARK_EVERY: Duration = Duration::from_millis(500);
/// How long the log may take for its last lines.
const LOG_PATIENCE: Duration = Duration::from_secs(10);
/// How long frontends elsewhere may take, together, for what they have not read. Each is given up earlier when it takes
/// nothing.
const FRONTS_PATIENCE: Duration = Duration::from_secs(30);
/// How long a terminal that takes nothing is waited for at the end.
const TERMINAL_PATIENCE: Duration = Duration::from_secs(5);
/// How long another reader of standard output that takes nothing is waited for at the end: the node has left its room,
/// and holds up nobody there. A signal ends that.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// Where the run is shown and logged.
struct Output {
    news: mpsc::Sender<News>,
    told: mpsc::Receiver<News>,
    mended: Mended,
    log: ChatLog,
    lost: Lost,
    screen: Screen,
    clock: Clock,
    face: Face,
    hub: Hub,
    restore: Option<Restore>,
}

impl Output {
    /// Opens the chat log and compares it with the history, and takes standard output.
    fn open(chat: &Chat, port: u16, opened: &Opened) -> Result<Self, Failure> {
        let (news, told) = mpsc::channel(NEWS_MAX);
        let log_news = news.clone();
        let mut mended = Mended::default();
        let log = match chat.ephemeral {
            true => ChatLog::none(),
            false => ChatLog::open(
                &chat.data_dir,
                port,
                |file| {
                    mended = reconcile::mend_log(opened, file)?;
                    Ok(())
                },
                // Where it finds no room there is other news of it, not yet told.
                move |told| drop(log_news.try_send(News::Log(told))),
            )?,
        };
        let lost = Lost::default();
        let screen = Outlet::stdout().and_then(|out| Screen::start(out, log.place(), lost.tell(&news)));
        let (screen, _) = screen.context("no thread")?;
        let clock = Clock::default();
        let face = Face::of(chat);
        let hub = Hub::new(face.takes_text().then(|| screen.clone()));
        diagnostics::install(log.writer(), clock.clone(), chat.verbose.then(|| hub.clone()))?;
        let restore = face.is_person().then(Restore::new);
        Ok(Self { news, told, mended, log, lost, screen, clock, face, hub, restore })
    }
}

/// A run at work.
pub(super) struct Running {
    chat: Chat,
    port: u16,
    contacts: Vec<SocketAddr>,
    started: Instant,
    lines: OwnLines,
    log: ChatLog,
    lost: Lost,
    screen: Screen,
    clock: Clock,
    face: Face,
    hub: Hub,
    restore: Option<Restore>,
    told: mpsc::Receiver<News>,
    member: Member,
    desk: Desk,
    /// Frontends elsewhere have gone once this ends.
    fronts_gone: mpsc::Receiver<()>,
    /// Keeps the keys that the room gets.
    rekeyed: JoinHandle<()>,
    /// Keeps the key that has let the node in.
    kept: Option<JoinHandle<()>>,
    herald: thread::JoinHandle<()>,
    shown: Option<Showing>,
    /// Until it is read.
    input: Option<Input>,
}

impl Running {
    /// Starts the node, and everything around it.
    ///
    /// # Errors
    /// The chat log cannot be opened, or the system gives no threads.
    #[allow(clippy::too_many_lines, reason = "the parts start in one order, each with those before it")]
    pub(super) fn start(prepared: Prepared) -> Result<Self, Failure> {
        let Prepared { chat, place, key, keep, open_remark, session, start, creates, opened } = prepared;
        let port = place.listens.port();
        let Output { news, told, mended, log, lost, screen, clock, face, hub, restore } =
            Output::open(&chat, port, &opened)?;
        let started = Instant::now();
        let Opened { history, saved, identity, logged, .. } = opened;
        let saved_room = saved.room;
        let secrets = Secrets { identity: identity.clone(), key: key.clone() };
        let joins = matches!(chat.start, Start::Join(_));
        let config = ring::Config {
            uid: place.uid,
            name: chat.name.clone(),
            rename: chat.rename,
            author: identity.author(),
            signer: Arc::new(identity),
            session,
            seed: random()?,
            start,
            saved,
            key: None,
            rate: chat.rate,
            moderators: if creates { chat.moderators.clone() } else { Vec::new() },
            backlog: chat.backlog,
            timing: Timing::default(),
        };
        let lines = OwnLines::default();
        if creates && !chat.moderators.is_empty() {
            // The first line of the room says who moderates it.
            lines.say();
        }
        let running = net::start(config, history, vec![place.listener], secrets).context("the node does not start")?;
        let marks = Marks::default();
        let failing = Arc::new(AtomicBool::new(false));
        tokio::spawn(mark_log(marks.clone(), log.writer(), running.urgent.clone()));
        let (in_room, entered) = watch::channel(InRoom::None);
        let (reached, answering) = watch::channel(None);
        let file = (!chat.ephemeral).then(|| store::file_in(&chat.data_dir, port));
        let owner = Owner { hub: hub.clone(), is_person: face.is_person() };
        let changed = Changed {
            keys: running.rekeyed,
            file: file.clone(),
            keep: (!chat.ephemeral).then(|| key::file::kept_in(&chat.data_dir, port)),
            by_file: matches!(chat.key, KeyFrom::File(_)),
            entered: entered.clone(),
            owner: owner.clone(),
        };
        let rekeyed = tokio::spawn(keys::keep_changed(changed));
        let kept = key
            .as_ref()
            .map(|key| tokio::spawn(keys::keep_right(entered.clone(), key.clone(), file.clone(), keep, owner)));
        if let Some(remark) = open_remark.filter(|_| joins) {
            tokio::spawn(keys::tell_inside(entered.clone(), hub.clone(), remark));
        }
        let Mended { mut ahead, missing } = mended;
        let herald = Herald {
            log: log.writer(),
            hub: hub.clone(),
            verbose: chat.verbose,
            clock: clock.clone(),
            uid: place.uid,
            wanted: chat.name.clone(),
            session,
            lines: lines.clone(),
            teller: Teller::new(session),
            likes: Likes::new(file.clone()),
            place: in_room,
            marks,
            reached,
            away: None,
            last: None,
            logged: logged.0,
            ahead: saved_room.and_then(|room| ahead.remove(&room)).unwrap_or_default(),
            elsewhere: ahead,
            missing,
            past: Past::of(running.urgent.clone()),
            failing: failing.clone(),
            succession: Succession::default(),
        };
        let notices = running.notices;
        let member = Member {
            commands: running.commands,
            urgent: running.urgent,
            done: running.done,
            leaving: Arc::new(AtomicBool::new(false)),
            face,
            hub: hub.clone(),
            log_name: log.name(),
            log: LogHealth::default(),
            failing,
            hurried: false,
        };
        let desk = Desk::new(Parts {
            commands: member.commands.clone(),
            urgent: member.urgent.clone(),
            hub: hub.clone(),
            lines: lines.clone(),
            place: entered.clone(),
            wanted: chat.name.clone(),
            uid: place.uid,
            past: file,
            log: (!chat.ephemeral).then(|| log.place()),
            teller: Teller::new(session),
            leaving: member.leaving.clone(),
        });
        let (fronts, fronts_gone) = mpsc::channel(1);
        answer_askers(&chat, place.listens, Answers { desk: desk.clone(), keyring: running.keyring, fronts });
        let (shows, shown) = begin(face, &desk, Settings::new(chat.bell, chat.verbose), &news, &lost)?;
        let hint = match creates && face.is_person() {
            true => stages::opened(place.uid, key.is_some(), desk.log.as_deref()),
            false => Vec::new(),
        };
        if let (Some(contact), true) = (place.contacts.first(), face.is_person()) {
            hub.event(&stages::reaching(*contact, place.contacts.len() - 1));
            let node = member.urgent.clone();
            let joining =
                stages::Joining { answering, entered: entered.clone(), node, hub: hub.clone(), keyed: key.is_some() };
            tokio::spawn(joining.tell());
        }
        tokio::spawn(stall_notice::tell(lines.clone(), hub.clone()));
        tokio::spawn(leader_watch::tell(member.urgent.clone(), hub.clone()));
        let herald =
            thread::Builder::new().name("herald".to_owned()).spawn(move || herald.run(notices)).context("no thread")?;
        let input = Input { shows, entered, hint, ended: Box::new(move || drop(news.try_send(News::InputEnded))) };
        Ok(Self {
            chat,
            port,
            contacts: place.contacts,
            started,
            lines,
            log,
            lost,
            screen,
            clock,
            face,
            hub,
            restore,
            told,
            member,
            desk,
            fronts_gone,
            rekeyed,
            kept,
            herald,
            shown,
            input: Some(input),
        })
    }

    /// Lives until the node has ended. Gives why it has.
    pub(super) async fn live(&mut self, signals: &mut Signals) -> anyhow::Result<Stop> {
        let Some(input) = self.input.take() else { anyhow::bail!("a run lives once") };
        self.member.live(signals, &mut self.told, self.log.writer(), input).await
    }

    /// Takes the run apart after the node has ended, in this order: the publisher, the tasks that keep keys, the owner's
    /// frontend, frontends elsewhere, the chat log, standard output, the terminal's settings.
    ///
    /// # Errors
    /// What the person reads of the run's end, unless the node left with nothing waiting.
    pub(super) async fn shut_down(self, outcome: anyhow::Result<Stop>, signals: &mut Signals) -> Result<(), Failure> {
        let Self { chat, port, contacts, started, lines, log, lost, screen, clock, face, hub, .. } = self;
        let Self { restore, told: _told, member, desk, mut fronts_gone, rekeyed, kept, herald, shown, .. } = self;
        // The node has ended and told everything: the herald ends, then the log and the screen have it all.
        let _ = tokio::task::spawn_blocking(move || herald.join()).await;
        let _ = rekeyed.await;
        if let Some(kept) = kept {
            let _ = kept.await;
        }
        let was_in = desk.place.borrow().is_some();
        let end = outcome.as_ref().map_or_else(ToString::to_string, |stop| format::stop_text(stop, was_in));
        if outcome.is_ok() {
            let mut line = String::new();
            format::push_log_event(&mut line, clock.now(), &end);
            log.writer().push(&line);
        }
        hub.close(&end);
        if let Some(shown) = shown {
            let patience = if face.is_person() { TERMINAL_PATIENCE } else { READER_PATIENCE };
            let all = tokio::select! {
                all = tokio::task::spawn_blocking(move || shown.finish(patience)) => all.unwrap_or(true),
                () = signals.end() => false,
            };
            if !all {
                match face {
                    Face::Full => tui::give_back(),
                    Face::Terminal | Face::Text | Face::Daemon => {}
                    Face::Json => complain("dist-chat: nobody reads what is told: the rest of it is in the history"),
                }
            }
        }
        // Frontends elsewhere are told the end too.
        let _ = tokio::time::timeout(FRONTS_PATIENCE, fronts_gone.recv()).await;
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
            return Err(files_failed(&chat, port, error));
        }
        verdict::of(outcome.map_err(Failure::from)?, lines.waiting(), &chat, &contacts, started.elapsed())?;
        match lost.0.get().filter(|error| face != Face::Daemon && !stdout::is_gone(error)) {
            Some(error) => Err(verdict::unwritten(error)),
            None => Ok(()),
        }
    }
}

/// Why standard output takes no more, once it does not.
#[derive(Clone, Default)]
struct Lost(Arc<OnceLock<io::Error>>);

impl Lost {
    /// Takes the reason, and tells of it.
    fn tell(&self, news: &mpsc::Sender<News>) -> impl FnOnce(io::Error) + Send + use<> {
        let (lost, news) = (self.clone(), news.clone());
        move |error| {
            let _ = lost.0.set(error);
            let _ = news.try_send(News::OutputGone);
        }
    }
}

/// Shows the owner of the node what happens, from here on.
fn begin(
    face: Face,
    desk: &Desk,
    settings: Settings,
    news: &mpsc::Sender<News>,
    lost: &Lost,
) -> anyhow::Result<(Shows, Option<Showing>)> {
    let open = |taste| {
        let news = news.clone();
        let leave = Box::new(move || drop(news.try_send(News::InputEnded)));
        let told = if face == Face::Json { Wants::EveryLine } else { Wants::Newest };
        // The full screen is for looking back, too.
        let past = (face == Face::Full).then_some(Since::Newest(FULL_LINES));
        let wanted = Wanted { told, taste, past, ..Wanted::default() };
        session::open(desk, &wanted, Leaving::Node(leave)).context("no room for the first frontend")
    };
    Ok(match face {
        Face::Daemon => (Shows::Daemon, None),
        Face::Text => {
            let (commands, leaving, lines) = (desk.commands.clone(), desk.leaving.clone(), desk.lines.clone());
            (Shows::Text(Talk { commands, leaving, lines }), None)
        }
        Face::Terminal => {
            let front = open(Taste::Here)?;
            let news = news.clone();
            let ended = move |end| match end {
                End::Gone => drop(news.try_send(News::TerminalGone)),
                End::Left | End::Over => {}
            };
            let started = terminal::start(front.told, front.asked, settings, ended).context("no thread")?;
            (Shows::Terminal(started.0), Some(Showing::of(started.1)))
        }
        Face::Full => {
            let thread = kind::full(open(Taste::All)?, settings).context("no thread")?;
            (Shows::Full, Some(Showing::of(thread)))
        }
        Face::Json => {
            let front = open(Taste::All)?;
            let shown = kind::write(front.told, lost.tell(news)).context("no thread")?;
            (Shows::Json { asked: front.asked, answers: front.answers }, Some(shown))
        }
    })
}

/// The store has ended the run.
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
                    "look at the disk before you start again: what is missing comes from the others"
                }
                _ => "make room on the disk and start again: what is missing comes from the others",
            },
        ),
    }
}

/// Tells the store, now and then, how far the log that people read is written.
async fn mark_log(marks: Marks, mut log: LogWriter, node: mpsc::Sender<Command>) {
    let mut ticks = tokio::time::interval(MARK_EVERY);
    loop {
        ticks.tick().await;
        log.poke();
        let (flushed, length) = log.flushed();
        let Some((handed, tail)) = marks.reached(flushed) else { continue };
        // What was flushed behind the mark stands at the file's end.
        let bytes = length.saturating_sub(flushed - handed);
        // The mark must not outlive what it marks. Where the log cannot be synced, a later start compares more of it.
        let synced = log.clone();
        if !tokio::task::spawn_blocking(move || synced.sync()).await.is_ok_and(|done| done.is_ok()) {
            continue;
        }
        if node.send(Command::Logged(LogMark { tail, bytes })).await.is_err() {
            return;
        }
    }
}

/// A node that cannot be asked is still a node: it says why in its log.
fn answer_askers(chat: &Chat, listens: SocketAddr, answers: Answers) {
    match Server::bind(listens) {
        Ok(server) => drop(tokio::spawn(server.serve(answers.clone()))),
        Err(error) => tracing::warn!("`dist-chat status` will not find this node: {error}"),
    }
    if chat.ephemeral {
        return;
    }
    match Server::bind_beside(&chat.data_dir, listens.port()) {
        Ok(server) => drop(tokio::spawn(server.serve(answers))),
        Err(error) => tracing::warn!("this node has no socket beside its files: {error}"),
    }
}
