//! `dist-chat send`: submits lines through the node that runs here.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use rustix::termios::isatty;

use super::page::ManualPage;
use crate::control::attach::{self, Which, has_ended, lost};
use crate::failure::{Exit, Failure, complain};
use crate::feed::broadcaster::DeliveryMode;
use crate::feed::follow::AttachOptions;
use crate::frontend::pipe::{self, InputLine};
use crate::frontend::stdin;
use crate::history;
use crate::present::values::{Request, SendResult, Update};
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::ring::{Channel, Text, TextError};

/// The text of `send --help`. It fits a terminal of 24 lines and 80 columns.
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

Exit: 0 said, 2 usage, or a line is too long (the others are said), 4 no such
node, or it has ended, 5 it serves 64 already, 7 not ordered within 5 s
";

/// The manual page of `dist-chat send`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "send",
    usage: &["dist-chat send [-m TEXT | -] [--channel C] [--wait] [-p PORT]"],
    says: &[
        "Says something through a node of yours that runs on this machine: what -m says, or else each line of standard \
         input. Nothing is a command, and blank lines are not said. It ends once the node has taken everything; with --wait \
         when all of it is ordered and another member holds it.",
        "A line of the input that is too long is told and not said; all the others are, and then the exit code is 2.",
    ],
    examples: &[
        ("Says one line.", "dist-chat send -m 'the build is done'"),
        ("Says what a program prints.", "make 2>&1 | dist-chat send --channel builds"),
    ],
    exits: &["0", "2", "4", "7"],
    help: HELP,
};

/// How long the command waits until the node has ordered its lines.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 64 * 1024;
/// The name of the receipt for all lines.
const RECEIPT: &str = "all";

/// What is to be said, and through whom.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct SendArgs {
    /// Say this; repeat it for more lines
    #[arg(short, long = "message", value_name = "TEXT", allow_hyphen_values = true)]
    pub messages: Vec<String>,
    /// Say the lines of standard input, up to its end
    #[arg(value_name = "-", value_hint = clap::ValueHint::Other)]
    pub input: Vec<String>,
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

impl SendArgs {
    /// Refuses any word other than `-`: a line to send stands behind a flag.
    ///
    /// # Errors
    /// There are such words, or both `-` and a flag.
    pub fn refuse_words(&self) -> Result<(), Failure> {
        let refuse = |what: &str, why: &str, hint: String| Err(Failure::new(Exit::Usage, what, why, hint));
        match (self.messages.as_slice(), self.input.as_slice()) {
            (_, []) => Ok(()),
            ([], [dash]) if dash == "-" => Ok(()),
            (_, [dash]) if dash == "-" => {
                let why = "what is said is given here, or it is read";
                refuse("-m and - contradict each other", why, "try one of them".to_owned())
            }
            (messages, words) => {
                let all = [messages, words].concat().join(" ").replace('\'', r"'\''");
                let why = "what is said stands behind -m, in quotation marks where it has blanks";
                refuse("that is not where words stand", why, format!("try `dist-chat send -m '{all}'`"))
            }
        }
    }
}

/// Submits the lines.
///
/// # Errors
/// A line is invalid, no such node runs here, the node has ended, or it has not ordered the lines in time.
pub fn run(args: &SendArgs) -> Result<(), Failure> {
    let channel = args.channel.as_deref().map(channel_name).transpose()?;
    if args.messages.is_empty() && args.input.is_empty() && isatty(io::stdin()) {
        return Err(Failure::new(
            Exit::Usage,
            "which message?",
            "there is no -m, and standard input is a terminal",
            "try `dist-chat send -m TEXT`, or `dist-chat send -` to type the lines",
        ));
    }
    for message in &args.messages {
        check(message)?;
    }
    let stream = args.which.connect(&AttachOptions { told: DeliveryMode::TheEnd, ..AttachOptions::default() })?;
    let receipts = receipts_of(&stream).map_err(|error| has_ended(&error))?;
    // The command sends no line before the node has let it in.
    match receipts.recv() {
        Ok(Heard::Hello) => {}
        Ok(Heard::End(error)) => return Err(has_ended(&error)),
        Ok(Heard::Sent(_)) | Err(RecvError) => return Err(has_ended(&io::ErrorKind::UnexpectedEof.into())),
    }
    let out = RefCell::new(SendOut { stream: &stream, lines: Vec::new(), channel, is_lost: false });
    let said = match args.messages.is_empty() {
        false => args.messages.iter().try_for_each(|message| out.borrow_mut().say(message.clone())).map(|()| 0),
        true => say_input(&out),
    };
    let asked = said.and_then(|refused| out.borrow_mut().ask_for_receipt().map(|()| refused));
    let refused = asked.map_err(|error| match out.borrow().is_lost {
        true => lost(),
        false => Failure::new(Exit::Files, format!("cannot read standard input: {error}"), "", ""),
    })?;
    wait(&receipts, args.wait)?;
    match refused {
        0 => Ok(()),
        refused => Err(not_all_said(refused)),
    }
}

/// The failure when lines of the input were too long.
fn not_all_said(lines: u64) -> Failure {
    let what = match lines {
        1 => "1 line was not said".to_owned(),
        lines => format!("{lines} lines were not said"),
    };
    let why = format!("a line has at most {TEXT_BYTES_MAX} bytes; the node has taken all the others");
    Failure::new(Exit::Usage, what, why, "try it in several lines")
}

/// Parses a channel's name into its one form, without `#`.
///
/// # Errors
/// The text is not a channel's name.
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
                let why = format!("a line of {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed");
                return Err(Failure::new(Exit::Usage, "that cannot be said", why, "try it in several lines"));
            }
        }
    }
    match blank {
        true => Err(Failure::new(Exit::Usage, "that cannot be said", "there is nothing in it", "try `-m TEXT`")),
        false => Ok(()),
    }
}

/// The connection to the node. Gathers many lines for one write.
struct SendOut<'a> {
    stream: &'a UnixStream,
    lines: Vec<u8>,
    channel: Option<String>,
    /// The node takes no more lines.
    is_lost: bool,
}

impl SendOut<'_> {
    fn say(&mut self, text: String) -> io::Result<()> {
        self.ask(&Request::Say { text, channel: self.channel.clone(), id: None })
    }

    fn ask_for_receipt(&mut self) -> io::Result<()> {
        self.ask(&Request::Flush { id: RECEIPT.to_owned() })?;
        self.flush()
    }

    fn ask(&mut self, asked: &Request) -> io::Result<()> {
        attach::push(asked, &mut self.lines)?;
        if self.lines.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.stream.write_all(&self.lines);
        self.is_lost = written.is_err();
        self.lines.clear();
        written
    }
}

/// Standard input. Before it waits for more, it sends what was read.
struct SendInput<'a> {
    input: File,
    out: &'a RefCell<SendOut<'a>>,
}

impl Read for SendInput<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.out.borrow_mut().flush()?;
        self.input.read(bytes)
    }
}

/// Submits each line of standard input. Returns how many lines were too long.
fn say_input<'a>(out: &'a RefCell<SendOut<'a>>) -> io::Result<u64> {
    let (mut failed, mut refused) = (Ok(()), 0);
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from)?;
    pipe::read_lines(SendInput { input, out }, |typed| {
        match typed {
            InputLine::Line(line) if line.trim().is_empty() => {}
            InputLine::Line(line) => failed = out.borrow_mut().say(line),
            InputLine::TooLong { bytes } => {
                stdin::refuse(bytes);
                refused += 1;
            }
        }
        failed.is_ok()
    })?;
    failed.map(|()| refused)
}

/// A message from the node.
#[derive(Debug)]
enum Heard {
    /// The node has let this frontend in.
    Hello,
    /// A receipt.
    Sent(SendResult),
    /// The connection is broken, or the node has refused it.
    End(io::Error),
}

/// Starts a thread that reads the node's messages.
fn receipts_of(stream: &UnixStream) -> io::Result<Receiver<Heard>> {
    let (sender, receipts) = channel();
    let input = stream.try_clone()?;
    thread::Builder::new().name("told".to_owned()).spawn(move || {
        let done = attach::read(&input, |told, _| {
            match told {
                Update::Hello(_) => return sender.send(Heard::Hello).is_ok(),
                Update::Sent(sent) => return sender.send(Heard::Sent(sent)).is_ok(),
                Update::Note { text } => complain(format_args!("dist-chat: {text}")),
                other => return !matches!(other, Update::Bye { .. }),
            }
            true
        });
        if let Err(error) = done {
            let _ = sender.send(Heard::End(error));
        }
    })?;
    Ok(receipts)
}

/// Waits for the receipt that the node has taken every line. With `ordered`, waits until every line is ordered.
fn wait(receipts: &Receiver<Heard>, ordered: bool) -> Result<(), Failure> {
    let Ok(Heard::Sent(taken)) = receipts.recv() else {
        return Err(lost());
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

/// The failure when the node has taken lines that no leader has ordered in time.
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
