//! The terminal of the full screen: taken, written to, and restored however the program ends.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
};
use ratatui::crossterm::{cursor, execute};

use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::mpsc;

use super::model::{Model, TuiSettings};
use super::pacing::FramePacer;
use crate::frontend::input::keys::Key;
use crate::frontend::terminal::TtyGuard;
use crate::present::values::{Request, Update};

/// Most inputs in the queue.
const HAPPENED_MAX: usize = 1024;
/// Most inputs between two drawings.
const BATCH_MAX: usize = 256;
/// How often the keyboard's thread checks whether its receiver is still there.
const LOOK_UP: Duration = Duration::from_millis(100);
/// Shortest time between two rings of the bell.
const RING_EVERY: Duration = Duration::from_secs(1);
/// Pause between two attempts to send waiting requests.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Why the full screen has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TuiEnd {
    /// The node has said good-bye, with this text for the user.
    Bye(String),
    /// The node has closed the channel without a good-bye.
    Silent,
    /// The keyboard is gone.
    NoKeyboard,
}

/// An input of the full screen.
enum Happened {
    Told(Update),
    /// The node has closed the channel.
    Silent,
    Key(Key),
    NoKeyboard,
}

/// A taken terminal. On drop, its settings and its screen are as before.
struct Taken {
    _restore: TtyGuard,
}

impl Taken {
    fn take() -> io::Result<Self> {
        let restore = TtyGuard::new();
        enable_raw_mode()?;
        let taken = Self { _restore: restore };
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::SetCursorStyle::DefaultUserShape)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Restores the terminal, for code that ends the program while [`run`] has it. Takes every step, even after one that
/// fails.
pub fn give_back() {
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture);
    let _ = execute!(out, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
    let _ = out.flush();
}

/// Restores the terminal before a panic is printed, so that the user can read it.
fn give_back_on_panic() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some(THREAD) {
            give_back();
        }
        others(panic);
    }));
}

/// The name of the thread that calls [`run`]: a panic there restores the terminal.
pub const THREAD: &str = "tui";

/// Shows the full screen until the node says good-bye.
///
/// Blocks. Requests go to `asked`; while that channel is full they wait, and the screen goes on.
///
/// # Errors
/// The terminal supports no full screen, or is gone.
pub fn run(told: mpsc::Receiver<Update>, asked: &mpsc::Sender<Request>, settings: TuiSettings) -> io::Result<TuiEnd> {
    give_back_on_panic();
    let _taken = Taken::take()?;
    let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut stage = FramePacer::new(Model::new(settings, size()?), terminal);
    let (happens, happened) = sync_channel(HAPPENED_MAX);
    let wanted = Arc::new(AtomicBool::new(true));
    listen(told, happens.clone())?;
    read_keys(happens, wanted.clone())?;
    let end = live(&mut stage, &happened, asked);
    wanted.store(false, Ordering::Release);
    end
}

fn listen(mut told: mpsc::Receiver<Update>, happens: SyncSender<Happened>) -> io::Result<()> {
    let listen = move || {
        while let Some(told) = told.blocking_recv() {
            if happens.send(Happened::Told(told)).is_err() {
                return;
            }
        }
        let _ = happens.send(Happened::Silent);
    };
    std::thread::Builder::new().name("tui-told".to_owned()).spawn(listen).map(drop)
}

fn read_keys(happens: SyncSender<Happened>, wanted: Arc<AtomicBool>) -> io::Result<()> {
    let read = move || {
        while wanted.load(Ordering::Acquire) {
            let key = match event::poll(LOOK_UP).and_then(|there| there.then(event::read).transpose()) {
                Ok(Some(event)) => Key::of(event),
                Ok(None) => None,
                Err(_) => return drop(happens.send(Happened::NoKeyboard)),
            };
            if let Some(key) = key
                && happens.send(Happened::Key(key)).is_err()
            {
                return;
            }
        }
    };
    std::thread::Builder::new().name("tui-keys".to_owned()).spawn(read).map(drop)
}

fn live(
    stage: &mut FramePacer<CrosstermBackend<io::Stdout>>,
    happened: &Receiver<Happened>,
    asked: &mpsc::Sender<Request>,
) -> io::Result<TuiEnd> {
    let start = Instant::now();
    let mut mouse = false;
    let mut rang: Option<Duration> = None;
    loop {
        stage.ask(|want| match asked.try_send(want) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(back)) => Some(back),
            Err(mpsc::error::TrySendError::Closed(asked)) => {
                // The node is leaving already. In raw mode ^C is no signal, so raise it here.
                if asked == Request::Leave {
                    let _ = kill_process(getpid(), Signal::INT);
                }
                None
            }
        });
        stage.turn(start.elapsed())?;
        if mouse != stage.model().mouse() {
            mouse = stage.model().mouse();
            if mouse {
                execute!(io::stdout(), EnableMouseCapture)?;
            } else {
                execute!(io::stdout(), DisableMouseCapture)?;
            }
        }
        let now = start.elapsed();
        if stage.take_rings() && rang.is_none_or(|rang| now >= rang + RING_EVERY) {
            rang = Some(now);
            let mut out = io::stdout();
            out.write_all(b"\x07").and_then(|()| out.flush())?;
        }
        let mut patience = stage.wake(now).saturating_sub(now);
        if stage.has_more() {
            patience = patience.min(TRY_AGAIN);
        }
        let mut next = match happened.recv_timeout(patience) {
            Ok(next) => Some(next),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(TuiEnd::Silent),
        };
        // Inputs that come at once share one drawing.
        for _ in 0..BATCH_MAX {
            let Some(this) = next else { break };
            match this {
                Happened::Told(told) => stage.told(told, start.elapsed()),
                Happened::Key(key) => stage.key(key, start.elapsed())?,
                Happened::Silent => return Ok(TuiEnd::Silent),
                Happened::NoKeyboard => return Ok(TuiEnd::NoKeyboard),
            }
            if let Some(bye) = stage.model().bye() {
                return Ok(TuiEnd::Bye(bye.to_owned()));
            }
            next = happened.try_recv().ok();
        }
    }
}
