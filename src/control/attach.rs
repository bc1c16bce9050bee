//! The frontend's side of a socket: finds the node and talks to it.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Shutdown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use rustix::net::sockopt::socket_peercred;
use tokio::sync::mpsc;

use super::client::{self, NotFound};
use super::protocol::first_line;
use super::socket;
use crate::failure::{Exit, Failure};
use crate::feed::broadcaster::FRONTS_MAX;
use crate::feed::follow::AttachOptions;
use crate::feed::session::{ASKED_MAX, ClientHandle};
use crate::present::values::{Request, Update, Versioned};
use crate::settings::PORT_DEFAULT;

/// Maximum bytes of an object from a node: the state of the largest room fits.
const TOLD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Values that wait until the frontend shows them.
const TOLD_MAX: usize = 1024;
/// Bytes that are gathered for one write, while more is ready.
const WRITE_BYTES: usize = 64 * 1024;

/// Selects a node.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Which {
    /// Where it listens, or what it advertises
    #[arg(short, long, env = "DIST_CHAT_ADDRESS", value_name = "IP")]
    pub address: Option<IpAddr>,
    /// Its port
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    pub port: u16,
    /// Where its files live
    #[arg(long, env = "DIST_CHAT_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Which {
    /// The directory of the node's files.
    pub fn files(&self) -> &Path {
        self.data_dir.as_deref().unwrap_or(Path::new("."))
    }

    /// Connects to that node as a frontend with these options.
    ///
    /// # Errors
    /// No such node runs here, or more than one matches.
    pub fn connect(&self, wanted: &AttachOptions) -> Result<UnixStream, Failure> {
        let mut stream = self.find()?;
        let written = stream.write_all(first_line(wanted).as_bytes());
        written.map(|()| stream).map_err(|error| has_ended(&error))
    }

    fn find(&self) -> Result<UnixStream, Failure> {
        let there = socket::beside(self.files(), self.port);
        if let (Some(_), None) = (&self.data_dir, self.address) {
            return open(&there).map_err(|error| self.not_there(&error));
        }
        match client::find(self.address, self.port) {
            Ok(node) => client::socket_of(&node).and_then(|path| open(&path)).map_err(|error| has_ended(&error)),
            // A node that hangs would not answer on the other socket either.
            Err(NotFound { failure, is_silent: false })
                if failure.exit == Exit::Unreachable && self.address.is_none() =>
            {
                open(&there).map_err(|_| failure)
            }
            Err(not_found) => Err(not_found.into()),
        }
    }

    fn not_there(&self, error: &io::Error) -> Failure {
        let (port, dir) = (self.port, self.files().display());
        let what = format!("no node of yours runs with the files chat_{port}.* in {dir}");
        let why = match error.kind() {
            io::ErrorKind::NotFound => "there is no socket of one".to_owned(),
            io::ErrorKind::ConnectionRefused => "the one that made them has ended".to_owned(),
            _ => error.to_string(),
        };
        Failure::new(Exit::Unreachable, what, why, "try `dist-chat status`, or start it: `dist-chat -p PORT --daemon`")
    }
}

fn open(path: &Path) -> io::Result<UnixStream> {
    let stream = socket::connect(path)?;
    // In a directory where other users may write, the socket may belong to anybody.
    let peer = socket_peercred(&stream)?.uid;
    match peer == rustix::process::geteuid() || peer.is_root() {
        true => Ok(stream),
        false => Err(io::Error::other("it belongs to somebody else")),
    }
}

/// The node does not take another frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&full().what)
    }
}

impl std::error::Error for Full {}

/// The failure when a node already has the maximum of frontends.
pub fn full() -> Failure {
    Failure::new(
        Exit::Refused,
        format!("there are {FRONTS_MAX} frontends at this node already"),
        "it serves no more of `attach`, `tail` and `send` at once",
        "try again when one of them has ended",
    )
}

/// The failure when a node disappears during the connection, or refuses the frontend.
pub fn has_ended(error: &io::Error) -> Failure {
    if error.get_ref().is_some_and(|inner| inner.is::<Full>()) {
        return full();
    }
    let why = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            "it said no good-bye: it was killed, or could not go on".to_owned()
        }
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => "it has just gone".to_owned(),
        _ => error.to_string(),
    };
    Failure::new(Exit::Unreachable, "the node has ended", why, "try `dist-chat status`")
}

/// The failure when a node disappears before it has confirmed all lines of this frontend.
pub fn lost() -> Failure {
    let hint = "try `dist-chat status`, and say again what `dist-chat history` does not show";
    Failure::new(Exit::Unreachable, "the node has ended", "it may not have taken everything", hint)
}

/// Reads the node's values until `take` returns `false` or the node has ended. `take` also gets whether more values are
/// ready.
///
/// # Errors
/// The connection is broken, or the node has refused it.
pub fn read(stream: &UnixStream, mut take: impl FnMut(Update, bool) -> bool) -> io::Result<()> {
    let (mut input, mut line) = (BufReader::with_capacity(WRITE_BYTES, stream), Vec::new());
    let mut greeted = false;
    loop {
        line.clear();
        if (&mut input).take(TOLD_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // Skips objects of a newer node that this program does not know.
        if let Ok(Versioned { object, .. }) = serde_json::from_slice::<Versioned<Update>>(&line) {
            // A frontend that is let in gets a hello first.
            if !greeted && matches!(object, Update::Bye { .. }) {
                return Err(io::Error::other(Full));
            }
            greeted = true;
            if !take(object, !input.buffer().is_empty()) {
                return Ok(());
            }
        }
    }
}

/// Tells how the connection to a node has ended.
#[derive(Debug)]
pub struct Ending(JoinHandle<bool>);

impl Ending {
    /// Waits for the end. Returns whether the node said goodbye or the frontend stopped reading first.
    pub fn ended_well(self) -> bool {
        self.0.join().unwrap_or(false)
    }
}

/// Attaches a frontend to a node: returns its two ends, with threads between them and the node, and the connection's
/// ending.
///
/// # Errors
/// The system gives no more threads or descriptors, or the node has refused the frontend.
pub fn front(stream: UnixStream) -> io::Result<(ClientHandle, Ending)> {
    let (out, told) = mpsc::channel(TOLD_MAX);
    let (asked, asks) = mpsc::channel(ASKED_MAX);
    let (answers, input) = (out.downgrade(), stream.try_clone()?);
    let (greet, greeted) = sync_channel(1);
    let telling = thread::Builder::new().name("told".to_owned()).spawn(move || {
        let (mut well, mut greet) = (false, Some(greet));
        let done = read(&input, |told, _| {
            if let Some(greet) = greet.take() {
                let _ = greet.send(Ok(()));
            }
            let bye = matches!(told, Update::Bye { .. });
            well = out.blocking_send(told).is_err() || bye;
            !well
        });
        if let Some(greet) = greet {
            let _ = greet.send(done.and(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        well
    })?;
    greeted.recv().unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()))?;
    thread::Builder::new().name("asked".to_owned()).spawn(move || {
        // The reading thread reports the end of a node.
        let _ = write(&stream, asks);
        let _ = stream.shutdown(Shutdown::Write);
    })?;
    Ok((ClientHandle { told, asked, answers }, Ending(telling)))
}

fn write(mut stream: &UnixStream, mut asks: mpsc::Receiver<Request>) -> io::Result<()> {
    let mut lines = Vec::new();
    while let Some(asked) = asks.blocking_recv() {
        push(&asked, &mut lines)?;
        while lines.len() < WRITE_BYTES
            && let Ok(asked) = asks.try_recv()
        {
            push(&asked, &mut lines)?;
        }
        stream.write_all(&lines)?;
        lines.clear();
    }
    Ok(())
}

/// Appends an object as a line.
///
/// # Errors
/// The object has no JSON form, which does not happen.
pub fn push(asked: &Request, lines: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *lines, &Versioned::of(asked))?;
    lines.push(b'\n');
    Ok(())
}
