//! `dist-chat attach`: a terminal or a pipe for a node that runs here.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::ArgAction;
use clap::builder::FalseyValueParser;
use tokio::sync::mpsc;

use super::page::ManualPage;
use super::plain;
use super::send::not_ordered;
use crate::control::attach::{self, Ending, Which, has_ended, lost};
use crate::failure::{Failure, complain};
use crate::feed::broadcaster::DeliveryMode;
use crate::feed::follow::{AttachOptions, StartPoint};
use crate::feed::session::ClientHandle;
use crate::feed::view::ChannelFilter;
use crate::frontend::json;
use crate::frontend::kind::{self, Showing};
use crate::frontend::pipe::{self, InputLine};
use crate::frontend::stdin;
use crate::frontend::terminal::{self, Renderer, TerminalEnd, TerminalSettings, TtyGuard};
use crate::frontend::tui;
use crate::present::paint::Paint;
use crate::present::values::{Request, SendResult, Update};
use crate::settings::Bell;

/// The text of `attach --help`. It fits a terminal of 24 lines and 80 columns.
pub const HELP: &str = "  dist-chat -l --daemon &      a node that runs without a terminal
  dist-chat attach             a terminal onto it, as if it ran here

  -p, --port PORT      the node's port  [2428]
  -a, --address IP     its address, where several have that port
      --data-dir DIR   the node whose files live there
      --json           objects, one a line, both ways: as `dist-chat --json`
      --tui            the full screen
      --bell WHEN      off, mention, all: when the terminal rings  [mention]

The node is one of yours on this machine, in a terminal or with --daemon; it
may have many of these at once. The newest 20 lines are shown first.

/exit, or ^D on an empty line, leaves this terminal and nothing else: the node
stays in its room. When the node leaves, this ends too, and says why; where it
ends without a good-bye (it was killed), the exit code is 4.

Where standard input or output is no terminal each input line is sent,
and lines are shown as in a pipe; the end of the input ends it, once all that
was said is ordered.
Exit: 0 left, 2 usage, 4 no such node, 5 it serves 64, 7 not ordered within 5 s
";

/// The manual page of `dist-chat attach`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "attach",
    usage: &["dist-chat attach [--json | --tui] [-p PORT]"],
    says: &[
        "Is a terminal onto a node of yours that runs on this machine, with --daemon perhaps. Several can be at one node. \
         /exit or Ctrl-D leaves the terminal, and the node stays. When the node leaves, this ends too and says why, with 0; \
         where the node ends without a good-bye, since it was killed, the exit code is 4.",
        "Where standard input or output is no terminal, each input line is sent, and lines are shown as in a pipe.",
    ],
    examples: &[("A node without a terminal, and a terminal onto it.", "dist-chat -l --daemon & dist-chat attach")],
    exits: &["0", "2", "4", "7"],
    help: HELP,
};

/// Older lines that the frontend shows at its start.
const LINES: u32 = 20;
/// Values that wait until the frontend shows them.
const TOLD_MAX: usize = 64;
/// How long the end waits until the node has ordered all lines.
const PATIENCE: Duration = Duration::from_secs(5);
/// The name of the receipt for all lines of a pipe.
const RECEIPT: &str = "all that came through the pipe";

/// Which node, and how it is shown.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct AttachArgs {
    /// Which node.
    #[command(flatten)]
    pub which: Which,
    /// One JSON object a line instead of text, both ways
    #[arg(long, env = "DIST_CHAT_JSON", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub json: bool,
    /// The full screen, on a terminal
    #[arg(long, env = "DIST_CHAT_TUI", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    pub tui: bool,
    /// When the terminal's bell rings
    #[arg(long, env = "DIST_CHAT_BELL", value_name = "WHEN", value_enum, default_value_t)]
    pub bell: Bell,
}

/// Attaches to the node until the user leaves or the node ends.
///
/// # Errors
/// No such node runs here, the node ended without a goodbye, or the lines were not ordered in time.
pub fn run(args: &AttachArgs) -> Result<(), Failure> {
    let person = !args.json && kind::is_terminal();
    let told = if person { DeliveryMode::Newest } else { DeliveryMode::EveryLine };
    let taste = if person && !args.tui { ChannelFilter::Here } else { ChannelFilter::All };
    let dir = std::env::current_dir().ok().and_then(|dir| dir.into_os_string().into_string().ok());
    let past = Some(StartPoint::Newest(LINES));
    let wanted = AttachOptions { told, taste, past, channel: None, dir, state: args.json || person };
    let (front, ending) = attach::front(args.which.connect(&wanted)?).map_err(|error| has_ended(&error))?;
    match (person, args.json) {
        (true, _) => at_terminal(front, ending, args),
        (false, true) => {
            let answers = front.answers.clone();
            let ask = move |input, asked: &_| json::read_all(input, asked, Some(&answers));
            through_pipe((front, ending), ask, |told, _, lines| json::push(told, lines))
        }
        (false, false) => {
            let mut renderer = Renderer::new(Paint::Plain, Bell::Off, false);
            through_pipe((front, ending), say_all, move |told, left, lines| match told {
                // The user has left and needs no goodbye.
                Update::Bye { .. } if left => {}
                told => push_plain(&mut renderer, told, lines),
            })
        }
    }
    .map_err(|error| has_ended(&error))?
}

/// Attaches a terminal. It uses the same frontends as a node in a terminal.
fn at_terminal(front: ClientHandle, ending: Ending, args: &AttachArgs) -> io::Result<Result<(), Failure>> {
    let ClientHandle { mut told, asked, answers } = front;
    let (out, shown) = mpsc::channel(TOLD_MAX);
    let restore = TtyGuard::new();
    let settings = TerminalSettings::new(args.bell, false);
    let showing = match args.tui {
        true => kind::full(ClientHandle { told: shown, asked, answers }, settings)?,
        false => {
            let leave = asked.clone();
            let (terminal, thread) = terminal::start(shown, asked, settings, move |end| match end {
                TerminalEnd::Gone => drop(leave.blocking_send(Request::Leave)),
                TerminalEnd::Left | TerminalEnd::Over => {}
            })?;
            terminal.read()?;
            thread
        }
    };
    let mut bye = String::new();
    while let Some(told) = told.blocking_recv() {
        if let Update::Bye { text } = &told {
            bye.clone_from(text);
        }
        // An error means that the terminal is gone. Its thread has already asked to leave.
        let _ = out.blocking_send(told);
    }
    let is_well = ending.ended_well();
    if !is_well {
        // No other value tells the screen that the connection is over.
        let _ = out.blocking_send(Update::Bye { text: lost().what });
    }
    drop(out);
    if !Showing::of(showing).finish(PATIENCE) && args.tui {
        tui::give_back();
    }
    drop(restore);
    if !is_well {
        return Ok(Err(lost()));
    }
    if args.tui {
        // The goodbye has gone with the screen.
        complain(format_args!("dist-chat: {bye}"));
    }
    Ok(Ok(()))
}

/// Attaches a pipe. It ends with the input, once the node has ordered every line, or with the node. The node's end is
/// an error without its goodbye. `push` also gets whether this end has closed the connection itself.
fn through_pipe(
    (front, ending): (ClientHandle, Ending),
    ask: impl FnOnce(File, &mpsc::Sender<Request>) -> io::Result<()> + Send + 'static,
    mut push: impl FnMut(&Update, bool, &mut String),
) -> io::Result<Result<(), Failure>> {
    let ClientHandle { mut told, asked, answers: _ } = front;
    let ((receipt, receipts), (outcome, ordered)) = (channel(), channel());
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
        if let Err(error) = input.and_then(|input| ask(input, &asked)) {
            complain(format_args!("dist-chat: cannot read standard input: {error}"));
        }
        let _ = outcome.send(settle(&asked, &receipts));
        // Dropping `asked` tells the node that this was all.
    })?;
    let mut out = io::stdout().as_fd().try_clone_to_owned().map(File::from)?;
    let (mut lines, mut settled) = (String::new(), None);
    let mut take = |told: &Update, lines: &mut String| match told {
        Update::Sent(sent) if sent.id == RECEIPT => drop(receipt.send(sent.clone())),
        told => {
            settled = settled.or_else(|| ordered.try_recv().ok());
            push(told, settled.is_some(), lines);
        }
    };
    while let Some(next) = told.blocking_recv() {
        take(&next, &mut lines);
        while lines.len() < 64 * 1024
            && let Ok(next) = told.try_recv()
        {
            take(&next, &mut lines);
        }
        if io::Write::write_all(&mut out, lines.as_bytes()).is_err() {
            // The reader of standard output is gone.
            return Ok(Ok(()));
        }
        lines.clear();
    }
    Ok(match settled.or_else(|| ordered.try_recv().ok()) {
        _ if !ending.ended_well() => Err(lost()),
        Some(false) => Err(not_ordered()),
        Some(true) | None => Ok(()),
    })
}

/// Waits until the node has ordered all lines. Returns whether it has.
fn settle(asked: &mpsc::Sender<Request>, receipts: &Receiver<SendResult>) -> bool {
    if asked.blocking_send(Request::Flush { id: RECEIPT.to_owned() }).is_err() {
        return true;
    }
    let Ok(taken) = receipts.recv() else { return true };
    taken.ordered || receipts.recv_timeout(PATIENCE).is_ok_and(|sent| sent.ordered)
}

fn push_plain(renderer: &mut Renderer, told: &Update, lines: &mut String) {
    match told {
        // Notes are not part of the room's text, so they go to standard error.
        Update::Note { text } => complain(format_args!("dist-chat: {text}")),
        Update::Bye { text } => complain(format_args!("dist-chat: {text}")),
        Update::CaughtUp => {}
        Update::Line(line) => plain::push(line, lines),
        told => drop(renderer.push(lines, told, Instant::now())),
    }
}

/// Submits each line of the input.
fn say_all(input: File, asked: &mpsc::Sender<Request>) -> io::Result<()> {
    pipe::read_lines(input, |typed| match typed {
        InputLine::Line(line) if stdin::leaves(&line) => false,
        InputLine::Line(line) if line.trim().is_empty() => true,
        InputLine::Line(text) => asked.blocking_send(Request::Say { text, channel: None, id: None }).is_ok(),
        InputLine::TooLong { bytes } => {
            stdin::refuse(bytes);
            true
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_screen() {
        assert!(HELP.lines().count() <= 24, "{} lines", HELP.lines().count());
        assert!(HELP.lines().all(|line| line.chars().count() < 80));
    }
}
