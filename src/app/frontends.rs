//! The outputs of a run, the owner's frontend, and the sockets for frontends of other processes.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::diagnostics;
use super::member::AppEvent;
use crate::chatlog::ChatLog;
use crate::chatlog::reconcile::{self, Reconciled};
use crate::control::server::{Answers, Server};
use crate::failure::Failure;
use crate::feed::broadcaster::{Broadcaster, DeliveryMode};
use crate::feed::clock::FeedClock;
use crate::feed::follow::{AttachOptions, StartPoint};
use crate::feed::node_handle::NodeHandle;
use crate::feed::screen::Screen;
use crate::feed::session::{self, LeaveScope};
use crate::feed::stdout::StdoutWriter;
use crate::feed::view::ChannelFilter;
use crate::frontend::kind::{self, FrontendKind, Showing, Shows};
use crate::frontend::stdin::StdinSender;
use crate::frontend::terminal::{self, TerminalEnd, TerminalSettings, TtyGuard};
use crate::settings::Chat;
use crate::store::Opened;

/// Places in the queue from threads to the loop. Each thread sends at most one message.
const NEWS_MAX: usize = 8;
/// Older lines that the full screen shows at its start.
const FULL_LINES: u32 = 500;

/// The outputs of a run: the chat log, standard output and the frontends.
pub(super) struct FrontendOutput {
    pub(super) news: mpsc::Sender<AppEvent>,
    pub(super) told: mpsc::Receiver<AppEvent>,
    pub(super) log: ChatLog,
    pub(super) lost: Lost,
    pub(super) screen: Screen,
    pub(super) clock: FeedClock,
    pub(super) face: FrontendKind,
    pub(super) broadcaster: Broadcaster,
    pub(super) restore: Option<TtyGuard>,
}

impl FrontendOutput {
    /// Opens the chat log, compares it with the history, and takes standard output. Also returns the result of the
    /// comparison.
    pub(super) fn open(chat: &Chat, port: u16, opened: &Opened) -> Result<(Self, Reconciled), Failure> {
        let (news, told) = mpsc::channel(NEWS_MAX);
        let log_news = news.clone();
        let mut mended = Reconciled::default();
        let log = match chat.ephemeral {
            true => ChatLog::none(),
            false => ChatLog::open(
                &chat.data_dir,
                port,
                |file| {
                    mended = reconcile::mend_log(opened, file)?;
                    Ok(())
                },
                // If the queue is full, it already holds an unread message about the log.
                move |told| drop(log_news.try_send(AppEvent::Log(told))),
            )?,
        };
        let lost = Lost::default();
        let screen = StdoutWriter::stdout().and_then(|out| Screen::start(out, log.place(), lost.tell(&news)));
        let (screen, _) = screen.context("no thread")?;
        let clock = FeedClock::default();
        let face = FrontendKind::of(chat);
        let broadcaster = Broadcaster::new(face.takes_text().then(|| screen.clone()));
        diagnostics::install(log.writer(), clock.clone(), chat.verbose.then(|| broadcaster.clone()))?;
        let restore = face.is_person().then(TtyGuard::new);
        Ok((Self { news, told, log, lost, screen, clock, face, broadcaster, restore }, mended))
    }
}

/// Why standard output takes no more. Empty while it works.
#[derive(Clone, Default)]
pub(super) struct Lost(pub(super) Arc<OnceLock<io::Error>>);

impl Lost {
    /// A callback that stores the reason and reports it to the loop.
    fn tell(&self, news: &mpsc::Sender<AppEvent>) -> impl FnOnce(io::Error) + Send + use<> {
        let (lost, news) = (self.clone(), news.clone());
        move |error| {
            let _ = lost.0.set(error);
            let _ = news.try_send(AppEvent::OutputGone);
        }
    }
}

/// Starts the owner's frontend.
pub(super) fn begin(
    face: FrontendKind,
    node_handle: &NodeHandle,
    settings: TerminalSettings,
    news: &mpsc::Sender<AppEvent>,
    lost: &Lost,
) -> anyhow::Result<(Shows, Option<Showing>)> {
    let open = |taste| {
        let news = news.clone();
        let leave = Box::new(move || drop(news.try_send(AppEvent::InputEnded)));
        let told = if face == FrontendKind::Json { DeliveryMode::EveryLine } else { DeliveryMode::Newest };
        // The full screen also shows older lines.
        let past = (face == FrontendKind::Full).then_some(StartPoint::Newest(FULL_LINES));
        let wanted = AttachOptions { told, taste, past, ..AttachOptions::default() };
        session::open(node_handle, &wanted, LeaveScope::Node(leave)).context("no room for the first frontend")
    };
    Ok(match face {
        FrontendKind::Daemon => (Shows::Daemon, None),
        FrontendKind::Text => {
            let (commands, leaving, lines) =
                (node_handle.commands.clone(), node_handle.leaving.clone(), node_handle.lines.clone());
            (Shows::Text(StdinSender { commands, leaving, lines }), None)
        }
        FrontendKind::Terminal => {
            let front = open(ChannelFilter::Here)?;
            let news = news.clone();
            let ended = move |end| match end {
                TerminalEnd::Gone => drop(news.try_send(AppEvent::TerminalGone)),
                TerminalEnd::Left | TerminalEnd::Over => {}
            };
            let started = terminal::start(front.told, front.asked, settings, ended).context("no thread")?;
            (Shows::Terminal(started.0), Some(Showing::of(started.1)))
        }
        FrontendKind::Full => {
            let thread = kind::full(open(ChannelFilter::All)?, settings).context("no thread")?;
            (Shows::Full, Some(Showing::of(thread)))
        }
        FrontendKind::Json => {
            let front = open(ChannelFilter::All)?;
            let shown = kind::write(front.told, lost.tell(news)).context("no thread")?;
            (Shows::Json { asked: front.asked, answers: front.answers }, Some(shown))
        }
    })
}

/// Opens the sockets for other processes. A node without sockets still works, and says why in its log.
pub(super) fn answer_askers(chat: &Chat, listens: SocketAddr, answers: Answers) {
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
