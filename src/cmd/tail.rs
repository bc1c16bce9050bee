//! `dist-chat tail`: prints the newest lines, and those that follow.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use jiff::Zoned;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::page::ManualPage;
use super::plain;
use super::send::channel_name;
use crate::control::attach::{self, Which, has_ended};
use crate::failure::{Exit, Failure, cannot_write, complain};
use crate::feed::broadcaster::DeliveryMode;
use crate::feed::follow::{AttachOptions, NEWEST_LINES_MAX, StartPoint};
use crate::frontend::json;
use crate::history;
use crate::present::builder::UpdateBuilder;
use crate::present::values::{ReactionCount, Update};
use crate::ring::{Channel, Lamport, SessionId, WallMs};
use crate::store::{self, Moment, ReadOutcome, Reader, Selection};

/// The text of `tail --help`. It fits a terminal of 24 lines and 80 columns.
pub const HELP: &str = "  dist-chat tail               the newest 10 lines of the room
  dist-chat tail -f            and those that come, until the node leaves
  dist-chat tail -f -n 0 --json | ./bot

  -f, --follow         go on with what comes
  -n, --lines N        so many lines before that  [10]
      --since WHEN     all lines since then: the forms are those of
                       `dist-chat history --help`
      --channel C      only what is said in this channel
      --json           one JSON object a line, as with `dist-chat --json`
  -p, --port PORT      the node's port  [2428]
  -a, --address IP     its address, where several have that port
      --data-dir DIR   where its files live  [.]

A line is `> NAME(IP:PORT)[TS]: text`, as it is where `dist-chat` writes into a
pipe. However slowly they are read, no line is left out and none comes twice.
Without -f the files of a node that does not run will do.

Exit: 0 also where the node has left, 2 usage, 4 no such node, 5 it serves 64
already, 6 file unusable
";

/// The manual page of `dist-chat tail`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "tail",
    usage: &["dist-chat tail [-f] [-n N | --since WHEN] [--channel C] [--json] [-p PORT]"],
    says: &["Prints the newest lines and, with -f, those that come, until the node leaves. A line is \
         `> NAME(IP:PORT)[TS]: text`, or with --json an object. However slowly they are read, no line is left out and none \
         comes twice. Without -f the files of a node that does not run will do."],
    examples: &[("All that comes, for a program.", "dist-chat tail -f -n 0 --json | ./bot")],
    exits: &["0", "2", "4", "6"],
    help: HELP,
};

/// Lines that the command shows without a number.
const LINES: u32 = 10;
/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = 64 * 1024;

/// What is to be shown, and of which node.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct TailArgs {
    /// Go on with what comes
    #[arg(short, long)]
    pub follow: bool,
    /// So many of the newest lines before that; 10 where nothing is said
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "since",
          value_parser = clap::value_parser!(u32).range(..=i64::from(NEWEST_LINES_MAX)))]
    pub lines: Option<u32>,
    /// All lines since this moment
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only what is said in this channel
    #[arg(long, value_name = "C")]
    pub channel: Option<String>,
    /// As JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// Of which node.
    #[command(flatten)]
    pub which: Which,
}

/// Prints the lines. If the reader closes standard output, the command ends without an error.
///
/// # Errors
/// The options are invalid, no such node runs here, or its files cannot be read.
pub fn run(args: &TailArgs) -> Result<(), Failure> {
    let channel = args.channel.as_deref().map(channel_name).transpose()?;
    let since = match &args.since {
        Some(text) => StartPoint::from(history::since(text, &Zoned::now())?),
        None => StartPoint::Newest(args.lines.unwrap_or(LINES)),
    };
    let told = if args.follow { DeliveryMode::EveryLine } else { DeliveryMode::TheEnd };
    let wanted = AttachOptions { told, past: Some(since), channel, ..AttachOptions::default() };
    let out = TailOut { json: args.json, lines: String::new(), out: stdout()?, failed: None };
    match args.which.connect(&wanted) {
        Ok(stream) => follow(&stream, args.follow, out),
        Err(failure) if failure.exit == Exit::Unreachable && !args.follow => files(args, &wanted, out, failure),
        Err(failure) => Err(failure),
    }
}

fn stdout() -> Result<File, Failure> {
    // A file of its own avoids the standard library's buffer.
    let out = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    out.map_err(|error| cannot_write(&error))
}

/// Standard output.
struct TailOut {
    json: bool,
    lines: String,
    out: File,
    failed: Option<io::Error>,
}

impl TailOut {
    fn push(&mut self, told: &Update) {
        match self.json {
            true => json::push(told, &mut self.lines),
            false => {
                if let Update::Line(line) = told {
                    plain::push(line, &mut self.lines);
                }
            }
        }
    }

    /// Writes what is gathered. Returns whether the reader takes more.
    fn write(&mut self) -> bool {
        if self.failed.is_none() && !self.lines.is_empty() {
            self.failed = self.out.write_all(self.lines.as_bytes()).err();
            self.lines.clear();
        }
        self.failed.is_none()
    }

    fn end(mut self) -> Result<(), Failure> {
        self.write();
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot_write(&error)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Prints what the node sends.
fn follow(stream: &UnixStream, goes_on: bool, mut out: TailOut) -> Result<(), Failure> {
    let reader_gone = Arc::new(AtomicBool::new(false));
    if goes_on {
        end_with_reader(stream, &out, Arc::clone(&reader_gone)).map_err(|error| has_ended(&error))?;
    }
    let mut ended = false;
    let read = attach::read(stream, |told, more| {
        match told {
            Update::Line(_) => out.push(&told),
            Update::LeftOut { lines } => {
                complain(format_args!("dist-chat: {lines} lines are lost here; see the history"))
            }
            Update::CaughtUp => ended = !goes_on,
            Update::Bye { text } => {
                ended = true;
                out.write();
                complain(format_args!("dist-chat: {text}"));
            }
            Update::Hello(_)
            | Update::Private(_)
            | Update::Reactions(_)
            | Update::Event(_)
            | Update::State(_)
            | Update::Note { .. }
            | Update::Sent(_)
            | Update::Listing { .. }
            | Update::Here(_)
            | Update::Clear
            | Update::Waiting { .. }
            | Update::Missed { .. } => {}
        }
        !ended && ((more && out.lines.len() < WRITE_BYTES) || out.write())
    });
    let reader_gone = out.failed.is_some() || reader_gone.load(Ordering::Acquire);
    out.end()?;
    match read {
        _ if ended || reader_gone => Ok(()),
        Ok(()) => Err(has_ended(&io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(has_ended(&error)),
    }
}

/// Ends the connection when the reader of standard output goes away, even while no line comes.
fn end_with_reader(stream: &UnixStream, out: &TailOut, gone: Arc<AtomicBool>) -> io::Result<()> {
    let (stream, out) = (stream.try_clone()?, out.out.try_clone()?);
    thread::Builder::new().name("reader".to_owned()).spawn(move || {
        let mut fds = [PollFd::new(&out, PollFlags::empty())];
        // No event is requested: poll always reports a reader that has gone.
        while poll(&mut fds, None).is_err_and(|error| error == Errno::INTR) {}
        if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            gone.store(true, Ordering::Release);
            let _ = stream.shutdown(Shutdown::Both);
        }
    })?;
    Ok(())
}

/// Prints lines from the files of a node that does not run.
fn files(args: &TailArgs, wanted: &AttachOptions, mut out: TailOut, nobody: Failure) -> Result<(), Failure> {
    let path = store::file_in(args.which.files(), args.which.port);
    if !path.exists() {
        return Err(nobody);
    }
    let Some(reader) = history::open(&path)? else { return Ok(()) };
    let answer = show(&reader, wanted, &mut out);
    out.end()?;
    history::judge(answer, &path)
}

fn show(reader: &Reader, wanted: &AttachOptions, out: &mut TailOut) -> Result<ReadOutcome, store::Error> {
    let update_builder = UpdateBuilder::new(SessionId(0));
    let channel = wanted.channel.as_deref().and_then(|name| Channel::parse(name).ok());
    let mut selection = Selection { channel, ..Selection::default() };
    match wanted.past {
        Some(StartPoint::Stamp(stamp)) => selection.since = Some(Moment::Stamp(Lamport(stamp))),
        Some(StartPoint::Wall(wall)) => selection.since = Some(Moment::Wall(WallMs(wall))),
        Some(StartPoint::Newest(lines)) => selection.newest = Some(lines as usize),
        None => return Ok(ReadOutcome::Whole),
    }
    let tally = reader.tally()?;
    reader.select(&selection, |entry| {
        if let (Some(Update::Line(mut told)), Some(line)) = (update_builder.line(entry, true), entry.line()) {
            let put = tally.of(&[line.id]).ok().flatten();
            told.reactions =
                put.and_then(|put| put.get(&line.id).map(|put| ReactionCount::all(put))).unwrap_or_default();
            out.push(&Update::Line(told));
        }
        out.lines.len() < WRITE_BYTES || out.write()
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
