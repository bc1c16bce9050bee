//! The client's side of a socket: finds this user's nodes and queries them.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::protocol::{OPEN, Question};
use super::socket;
use crate::failure::{Exit, Failure};
use crate::key::{self, KeyInput, RoomKey};
use crate::present::report::StatusReport;

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Maximum bytes of an answer: the largest room fits.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// The status of the node that listens there, if it is a node of this user.
pub fn ask_listener(listens: SocketAddr) -> Option<StatusReport> {
    let dir = socket::directory().ok()?;
    let any = |ip: IpAddr| ip.is_unspecified();
    let fits = |there: &SocketAddr| {
        there.port() == listens.port() && (there.ip() == listens.ip() || any(there.ip()) || any(listens.ip()))
    };
    socket::listed(&dir).ok()?.iter().filter(|there| fits(there)).find_map(|there| ask_socket(&dir, *there).ok())
}

/// The room key of a node that listens there. `None`: the room is open.
///
/// # Errors
/// The node does not answer this question, or not in time.
pub fn ask_key(listens: SocketAddr) -> io::Result<Option<RoomKey>> {
    let answer = ask_socket_for(Question::Key, &socket::directory()?, listens)?;
    let line = std::str::from_utf8(&answer).map_err(|_| io::ErrorKind::InvalidData)?.trim();
    match key::read(line) {
        _ if line == OPEN => Ok(None),
        Ok(KeyInput::Key(key)) => Ok(Some(key)),
        Ok(KeyInput::Passphrase(_)) | Err(_) => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// A node that runs on this machine.
#[derive(Clone, Debug)]
pub struct FoundNode {
    /// The address it really listens on: its name among this user's nodes.
    pub listens: SocketAddr,
    /// Its status.
    pub report: StatusReport,
}

/// Why a node was not found.
#[derive(Clone, Debug)]
pub struct NotFound {
    /// The failure for the user.
    pub failure: Failure,
    /// The node exists but does not answer.
    pub is_silent: bool,
}

impl From<Failure> for NotFound {
    fn from(failure: Failure) -> Self {
        Self { failure, is_silent: false }
    }
}

impl From<NotFound> for Failure {
    fn from(not_found: NotFound) -> Self {
        not_found.failure
    }
}

/// Finds the one node with this address and port. The address is one that the node listens on or advertises.
///
/// # Errors
/// No such node answers, or more than one matches.
pub fn find(address: Option<IpAddr>, port: u16) -> Result<FoundNode, NotFound> {
    let cannot = |why: &io::Error| Failure::new(Exit::Files, "cannot look for nodes", why.to_string(), "");
    let dir = socket::directory().map_err(|error| cannot(&error))?;
    let listed = socket::listed(&dir).map_err(|error| cannot(&error))?;
    // A node may advertise another address than it listens on. Both name the node.
    let meant = address.map(|ip| SocketAddr::new(ip, port));
    let near: Vec<SocketAddr> = match meant {
        Some(meant) if listed.contains(&meant) => vec![meant],
        Some(_) => listed.clone(),
        None => listed.iter().copied().filter(|listens| listens.port() == port).collect(),
    };
    let mut silent = None;
    let mut living = Vec::new();
    for listens in near {
        match ask_socket(&dir, listens) {
            Ok(report) => living.push((listens, report)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => silent = Some((listens, error)),
        }
    }
    let everywhere = |listens: &SocketAddr| listens.ip().is_unspecified() && listens.port() == port;
    living.retain(|(listens, report)| {
        meant.is_none_or(|meant| [*listens, report.address.0].contains(&meant) || everywhere(listens))
    });
    let all: Vec<String> = living.iter().map(|(listens, _)| listens.to_string()).collect();
    let mut living = living.into_iter();
    match (living.next(), living.next()) {
        (Some((listens, report)), None) => Ok(FoundNode { listens, report }),
        (Some(_), Some(_)) => {
            let what = format!("more than one node has port {port}");
            Err(Failure::new(Exit::Usage, what, all.join("\n"), "try it with -a IP").into())
        }
        (None, _) => {
            let is_silent = silent.is_some();
            Err(NotFound { failure: nobody((address, port), &listed, &dir, silent), is_silent })
        }
    }
}

/// The path of that node's socket.
///
/// # Errors
/// The directory of sockets belongs to another user.
pub fn socket_of(node: &FoundNode) -> io::Result<PathBuf> {
    Ok(socket::socket_path(&socket::directory()?, node.listens))
}

fn nobody(
    (address, port): (Option<IpAddr>, u16),
    listed: &[SocketAddr],
    dir: &Path,
    silent: Option<(SocketAddr, io::Error)>,
) -> Failure {
    let place = match address {
        Some(ip) => format!("at {}", SocketAddr::new(ip, port)),
        None => format!("with port {port}"),
    };
    if let Some((listens, error)) = silent {
        let why = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                format!("the one at {listens} gives no answer within {} s: it may be stopped", PATIENCE.as_secs())
            }
            _ => format!("the one at {listens} does not answer: {error}"),
        };
        let hint = "try again, or look for its process";
        return Failure::new(Exit::Unreachable, format!("no answer from a node {place}"), why, hint);
    }
    let there: Vec<_> = listed.iter().filter(|there| ask_socket(dir, **there).is_ok()).collect();
    let others: Vec<String> = there.iter().map(|there| there.to_string()).collect();
    let why = match others.is_empty() {
        true => "no node of yours runs on this machine".to_owned(),
        false => format!("yours on this machine: {}", others.join(", ")),
    };
    let hint = match there.first() {
        Some(there) => format!("try `dist-chat status -a {} -p {}`", there.ip(), there.port()),
        None => "try starting one: `dist-chat -l`".to_owned(),
    };
    Failure::new(Exit::Unreachable, format!("no node runs {place}"), why, hint)
}

fn ask_socket(dir: &Path, listens: SocketAddr) -> io::Result<StatusReport> {
    Ok(serde_json::from_slice(&ask_socket_for(Question::Status, dir, listens)?)?)
}

fn ask_socket_for(question: Question, dir: &Path, listens: SocketAddr) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut stream = UnixStream::connect(socket::socket_path(dir, listens))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question.line().as_bytes())?;
    let mut answer = Zeroizing::new(Vec::new());
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}
