//! The asker's side: `dist-chat status`.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::report::Report;
use crate::cli::StatusQuery;
use crate::failure::{Exit, Failure};

/// How long a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer: a room of the largest size fits.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;

/// What is to be printed about the node that is meant.
///
/// # Errors
/// No such node answers, or more than one is meant.
pub fn ask(query: &StatusQuery) -> Result<String, Failure> {
    let report = find(query)?;
    match query.json {
        true => serde_json::to_string(&report)
            .map(|line| line + "\n")
            .map_err(|error| Failure::from(anyhow::Error::new(error))),
        false => Ok(report.for_people()),
    }
}

/// What the node that listens there says, if it is a node of this user.
pub fn ask_listener(listens: SocketAddr) -> Option<Report> {
    let dir = super::directory().ok()?;
    let any = |ip: IpAddr| ip.is_unspecified();
    let fits = |there: &SocketAddr| {
        there.port() == listens.port() && (there.ip() == listens.ip() || any(there.ip()) || any(listens.ip()))
    };
    super::listed(&dir).ok()?.iter().filter(|there| fits(there)).find_map(|there| ask_socket(&dir, *there).ok())
}

fn find(query: &StatusQuery) -> Result<Report, Failure> {
    let cannot = |why: &io::Error| Failure::new(Exit::Files, "cannot look for nodes", why.to_string(), "");
    let dir = super::directory().map_err(|error| cannot(&error))?;
    let listed = super::listed(&dir).map_err(|error| cannot(&error))?;
    // What is advertised may differ from what is listened on: both name the node.
    let meant = query.address.map(|ip| SocketAddr::new(ip, query.port));
    let near: Vec<SocketAddr> = match meant {
        Some(meant) if listed.contains(&meant) => vec![meant],
        Some(_) => listed.clone(),
        None => listed.iter().copied().filter(|listens| listens.port() == query.port).collect(),
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
    let everywhere = |listens: &SocketAddr| listens.ip().is_unspecified() && listens.port() == query.port;
    living.retain(|(listens, report)| {
        meant.is_none_or(|meant| [*listens, report.address.0].contains(&meant) || everywhere(listens))
    });
    let all: Vec<String> = living.iter().map(|(listens, _)| listens.to_string()).collect();
    let mut living = living.into_iter();
    match (living.next(), living.next()) {
        (Some((_, report)), None) => Ok(report),
        (Some(_), Some(_)) => Err(Failure::new(
            Exit::Usage,
            format!("more than one node has port {}", query.port),
            all.join("\n"),
            "try `dist-chat status -a IP`",
        )),
        (None, _) => Err(nobody(query, &listed, &dir, silent)),
    }
}

fn nobody(query: &StatusQuery, listed: &[SocketAddr], dir: &Path, silent: Option<(SocketAddr, io::Error)>) -> Failure {
    let place = match query.address {
        Some(ip) => format!("at {}", SocketAddr::new(ip, query.port)),
        None => format!("with port {}", query.port),
    };
    if let Some((listens, error)) = silent {
        return Failure::new(
            Exit::Unreachable,
            format!("no answer from a node {place}"),
            format!("the one at {listens} does not answer ({error}): it may be stopped"),
            "try again, or look for its process",
        );
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

fn ask_socket(dir: &Path, listens: SocketAddr) -> io::Result<Report> {
    let stream = UnixStream::connect(super::socket_path(dir, listens))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(serde_json::from_slice(&answer)?)
}
