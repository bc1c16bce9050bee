//! `dist-chat send`: says something through the node that runs here.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::termios::isatty;

use super::client::{self, Which, has_ended};
use crate::failure::{Exit, Failure, complain};
use crate::history;
use crate::ring::{Channel, Text, TextError};
use crate::ui::feed::{Asked, Sent, Told};
use crate::ui::follow::Wanted;
use crate::ui::hub::Wants;
use crate::ui::pipe::{self, Typed};
use crate::ui::talk;

/// All of `send --help`: it fits a terminal of 24 lines and 80 columns.
pub const HELP: &str = "  dist-chat send -m 'the build is done'    says that, through the node here
  make 2>&1 | dist-chat send               says each line that comes

  -m, --message TEXT   say this; repeat it for more lines
  -                    say the lines of standard input, up to its end: also
                       without it, where standard input is no terminal
      --channel C      say it in this channel  [lobby]
      --wait           end only when all of it is ordered and another member
                       holds it (a lone member: it is in the log, on disk)
  -p, --port PORT      the node's port  [2428]
  -a, --address IP     its address, where several have that port
      --data-dir DIR   the node whose files live there

The node is one of yours that runs on this machine, in a terminal or with
--daemon. Blank lines are not said, and nothing is a command: `/exit` is text.
Without --wait it ends as soon as the node has taken everything; what cannot
be ordered yet waits in the node's files.

Exit: 0 said, 2 usage, 4 no such node, 5 it serves 64 already, 7 taken, but not
ordered within 5 s
";

/// How long is waited for what the node has taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 64 * 1024;
/// The receipt for everything.
const RECEIPT: &str = "all";

/// What is to be said, and through whom.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Say this; repeat it for more lines
    #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "input")]
    pub messages: Vec<String>,
    /// Say the lines of standard input, up to its end
    #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
    pub input: Option<String>,
    /// Say it in this channel
    #[arg(long, value_name = "C")]
    pub channel: Option<String>,
    /// End only when all of it is ordered, and another member holds it
    #[arg(long)]
    pub wait: bool,
    /// Through which node.
    #[command(flatten)]
    pub which: Which,
}

/// Says it.
///
/// # Errors
/// It cannot be said, no such node runs here, or it was not ordered in time.
pub fn run(args: &Args) -> Result<(), Failure> {
    let channel = args.channel.as_deref().map(channel_name).transpose()?;
    if args.messages.is_empty() && args.input.is_none() && isatty(io::stdin()) {
        return Err(Failure::new(
            Exit::Usage,
            "what is to be said?",
            "there is no -m, and standard input is a terminal",
            "try `dist-chat send -m TEXT`, or `dist-chat send -` to type the lines",
        ));
    }
    for message in &args.messages {
        check(message)?;
    }
    let stream = args.which.connect(&Wanted { told: Wants::TheEnd, ..Wanted::default() })?;
    let receipts = receipts_of(&stream).map_err(|error| has_ended(&error))?;
    // Before it has let us in nothing is said.
    match receipts.recv() {
        Ok(Heard::Hello) => {}
        Ok(Heard::End(error)) => return Err(has_ended(&error)),
        Ok(Heard::Sent(_)) | Err(RecvError) => return Err(has_ended(&io::ErrorKind::UnexpectedEof.into())),
    }
    let out = RefCell::new(Out { stream: &stream, lines: Vec::new(), channel });
    let done = match args.messages.is_empty() {
        false => args.messages.iter().try_for_each(|message| out.borrow_mut().say(message.clone())),
        true => say_input(&out),
    };
    let asked = done.and_then(|()| out.borrow_mut().ask_for_receipt());
    asked.map_err(|error| has_ended(&error))?;
    wait(&receipts, args.wait)
}

/// A channel's name in its one form, without `#`.
///
/// # Errors
/// It is none.
pub fn channel_name(text: &str) -> Result<String, Failure> {
    history::channel(text).map(|channel| Channel::name_of(channel.as_ref()).to_owned())
}

fn check(message: &str) -> Result<(), Failure> {
    let mut blank = true;
    for line in message.lines() {
        match Text::parse(line) {
            Ok(_) => blank = false,
            Err(TextError::Blank | TextError::Newline) => {}
            Err(TextError::TooLong { bytes }) => {
                let why =
                    format!("a line of {bytes} bytes; at most {} are allowed", crate::ring::limits::TEXT_BYTES_MAX);
                return Err(Failure::new(Exit::Usage, "that cannot be said", why, "try it in several lines"));
            }
        }
    }
    match blank {
        true => Err(Failure::new(Exit::Usage, "that cannot be said", "there is nothing in it", "try `-m TEXT`")),
        false => Ok(()),
    }
}

/// What goes to the node, many lines at once.
struct Out<'a> {
    stream: &'a UnixStream,
    lines: Vec<u8>,
    channel: Option<String>,
}

impl Out<'_> {
    fn say(&mut self, text: String) -> io::Result<()> {
        self.ask(&Asked::Say { text, channel: self.channel.clone(), id: None })
    }

    fn ask_for_receipt(&mut self) -> io::Result<()> {
        self.ask(&Asked::Flush { id: RECEIPT.to_owned() })?;
        self.flush()
    }

    fn ask(&mut self, asked: &Asked) -> io::Result<()> {
        client::push(asked, &mut self.lines)?;
        if self.lines.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.lines)?;
        self.lines.clear();
        Ok(())
    }
}

/// Standard input, which may pause: what was read goes out before more is waited for.
struct Input<'a> {
    input: File,
    out: &'a RefCell<Out<'a>>,
}

impl Read for Input<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.out.borrow_mut().flush()?;
        self.input.read(bytes)
    }
}

fn say_input<'a>(out: &'a RefCell<Out<'a>>) -> io::Result<()> {
    let mut failed = Ok(());
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from)?;
    pipe::read_lines(Input { input, out }, |typed| {
        match typed {
            Typed::Line(line) if line.trim().is_empty() => {}
            Typed::Line(line) => failed = out.borrow_mut().say(line),
            Typed::TooLong { bytes } => talk::refuse(bytes),
        }
        failed.is_ok()
    })?;
    failed
}

/// What the node has told.
#[derive(Debug)]
enum Heard {
    /// Who it is.
    Hello,
    /// A receipt.
    Sent(Sent),
    /// The connection has broken, or was refused.
    End(io::Error),
}

/// Reads what the node tells meanwhile.
fn receipts_of(stream: &UnixStream) -> io::Result<Receiver<Heard>> {
    let (sender, receipts) = channel();
    let input = stream.try_clone()?;
    thread::Builder::new().name("told".to_owned()).spawn(move || {
        let done = client::read(&input, |told, _| {
            match told {
                Told::Hello(_) => return sender.send(Heard::Hello).is_ok(),
                Told::Sent(sent) => return sender.send(Heard::Sent(sent)).is_ok(),
                Told::Note { text } => complain(format_args!("dist-chat: {text}")),
                other => return !matches!(other, Told::Bye { .. }),
            }
            true
        });
        if let Err(error) = done {
            let _ = sender.send(Heard::End(error));
        }
    })?;
    Ok(receipts)
}

/// Waits for the receipt: that the node has taken everything, and, where that is wanted, that it is ordered.
fn wait(receipts: &Receiver<Heard>, ordered: bool) -> Result<(), Failure> {
    let Ok(Heard::Sent(taken)) = receipts.recv() else {
        let hint = "try `dist-chat status`, and say again what `dist-chat history` does not show";
        return Err(Failure::new(Exit::Unreachable, "the node has ended", "it may not have taken everything", hint));
    };
    if taken.why.is_some() {
        return Err(not_ordered());
    }
    if !ordered || taken.ordered {
        return Ok(());
    }
    match receipts.recv_timeout(PATIENCE) {
        Ok(Heard::Sent(sent)) if sent.ordered => Ok(()),
        Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(not_ordered()),
    }
}

/// What is told of lines that the node has taken, and nobody has ordered in time.
pub fn not_ordered() -> Failure {
    Failure::new(
        Exit::Waiting,
        "said, but not all of it is ordered",
        "no leader ordered it, or no other member took it, within 5 s",
        "the node keeps it, and it goes out when it can: see `dist-chat status`",
    )
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
