//! The words and flags of the command line, and what follows from them together.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Parser, Subcommand};

use super::{Advertise, Chat, Contact, PORT_DEFAULT, Start, StatusQuery, nothing_to_do};
use crate::failure::{Exit, Failure};
use crate::ring::Name;
use crate::ring::limits::{BACKLOG_LINES, BACKLOG_LINES_MAX};
use crate::{bench, history};

/// The two commands that everything begins with.
pub const COMMANDS: &str = "  dist-chat -l -a IP -p PORT -n NAME                 create a room
  dist-chat -a IP -p PORT -n NAME -na IP -np PORT    join through any member";

/// All of `--help`: it fits a terminal of 24 lines and 80 columns.
pub(super) const HELP: &str = "  dist-chat -l -a IP -p PORT -n NAME                 create a room
  dist-chat -a IP -p PORT -n NAME -na IP -np PORT    join through any member

  -l,  --leader               start the room here
  -a,  --address IP           listen here      [127.0.0.1; joining: what fits]
       --advertise IP[:PORT]  what others dial [where we listen]
  -p,  --port PORT            TCP port         [2428]
  -n,  --name NAME            1 to 32 letters, digits, _ - .  [$USER]
  -na, --neighbor-address IP  a member's IP or host name; repeat it for more
  -np, --neighbor-port PORT   its port         [2428]
  -v,  --verbose              log lines on stdout too
       --data-dir DIR         where chat_PORT.log and .db live  [.]
       --ephemeral            keep nothing on disk
       --backlog N            show so many old lines  [1000]
       --daemon               no terminal: ignore stdin, stay until a signal
       --new                  with -l: a new room, whatever the files hold

  dist-chat [-p PORT]                    back into the room that the files hold
  dist-chat history, status, bench --help    more;  -h, --help, -V, --version

Type a line to say it, //exit to leave. Each flag has a variable of its own in
the environment: DIST_CHAT_NAME=ann is --name ann; a flag beats it.
Exit: 0 left, 2 usage, 3 cannot listen, 4 nobody there, 5 refused, 6 files,
      7 left with lines that nobody has ordered
";

#[derive(Parser)]
#[command(name = "dist-chat", version, override_help = HELP, args_conflicts_with_subcommands = true)]
pub(super) struct Line {
    #[command(subcommand)]
    pub(super) command: Option<Sub>,
    #[arg(short, long, env = "DIST_CHAT_LEADER", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    leader: bool,
    #[arg(short, long, env = "DIST_CHAT_ADDRESS", value_name = "IP")]
    address: Option<IpAddr>,
    #[arg(long, env = "DIST_CHAT_ADVERTISE", value_name = "IP[:PORT]")]
    advertise: Option<Advertise>,
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    port: u16,
    #[arg(short, long, env = "DIST_CHAT_NAME", value_name = "NAME")]
    name: Option<String>,
    #[arg(long, env = "DIST_CHAT_NEIGHBOR_ADDRESS", value_name = "IP", value_delimiter = ',')]
    neighbor_address: Vec<String>,
    #[arg(long, env = "DIST_CHAT_NEIGHBOR_PORT", value_name = "PORT", value_delimiter = ',')]
    neighbor_port: Vec<u16>,
    #[arg(short, long, env = "DIST_CHAT_VERBOSE", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    verbose: bool,
    #[arg(long, env = "DIST_CHAT_DATA_DIR", value_name = "DIR", default_value = ".")]
    data_dir: PathBuf,
    #[arg(long, env = "DIST_CHAT_DAEMON", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    daemon: bool,
    #[arg(long, env = "DIST_CHAT_NEW", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    new: bool,
    #[arg(long, env = "DIST_CHAT_EPHEMERAL", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    ephemeral: bool,
    #[arg(long, env = "DIST_CHAT_BACKLOG", value_name = "N", default_value_t = BACKLOG_LINES,
          value_parser = clap::value_parser!(u32).range(..=i64::from(BACKLOG_LINES_MAX)))]
    backlog: u32,
}

#[derive(Subcommand)]
pub(super) enum Sub {
    #[command(override_help = HELP)]
    Status(StatusQuery),
    #[command(override_help = history::HELP)]
    History(history::Args),
    /// Measures what a room costs, beside bare sockets
    Bench(bench::Args),
}

/// `-na` and `-np` are whole tokens. Any other token that begins with `-n` would be read as a name by clap, `-na10.0.0.5`
/// among them: only `-n NAME` and `-n=NAME` are names here.
pub(super) fn whole_token(arg: OsString) -> Result<OsString, Failure> {
    let Some(text) = arg.to_str() else { return Ok(arg) };
    let Some(rest) = text.strip_prefix("-n") else { return Ok(arg) };
    let long = match rest {
        "a" => "--neighbor-address".into(),
        "p" => "--neighbor-port".into(),
        rest => match (rest.strip_prefix("a="), rest.strip_prefix("p=")) {
            (Some(host), _) => format!("--neighbor-address={host}").into(),
            (_, Some(port)) => format!("--neighbor-port={port}").into(),
            _ if rest.is_empty() || rest.starts_with('=') => return Ok(arg),
            _ => {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("what is `{text}`?"),
                    "-n, -na and -np stand apart from what follows them",
                    "try `-n NAME`, `-na IP` or `-np PORT`",
                ));
            }
        },
    };
    Ok(long)
}

/// How the person wants to begin. A flag beats the environment, `-l` what stands there of neighbours and the other way
/// round; two of the same kind contradict each other.
pub(super) fn way(matches: &ArgMatches) -> Result<Way, Failure> {
    if matches.subcommand_name().is_some() {
        return Ok(Way::Return);
    }
    let given = |id: &str| matches.value_source(id).filter(|source| *source != ValueSource::DefaultValue);
    let leader = matches.get_flag("leader").then(|| given("leader")).flatten();
    match (leader, given("neighbor_address")) {
        (None, None) => Ok(Way::Return),
        (Some(_), None) => Ok(Way::Found),
        (None, Some(_)) => Ok(Way::Join),
        (Some(ValueSource::CommandLine), Some(ValueSource::EnvVariable)) => Ok(Way::Found),
        (Some(ValueSource::EnvVariable), Some(ValueSource::CommandLine)) => Ok(Way::Join),
        (Some(_), Some(_)) => Err(Failure::new(
            Exit::Usage,
            "-l and -na contradict each other",
            "-l starts a room here, -na joins one that is there",
            "try one of them",
        )),
    }
}

/// See [`way`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Return,
    Found,
    Join,
}

pub(super) fn chat(line: Line, way: Way) -> Result<Chat, Failure> {
    let (name, rename) = match line.name {
        Some(name) => (parse_name(&name)?, false),
        None => (default_name(), true),
    };
    let start = match way {
        Way::Return => Start::Return,
        Way::Found => Start::Found,
        Way::Join => Start::Join(contacts(&line.neighbor_address, &line.neighbor_port)?),
    };
    if line.new && start != Start::Found {
        return Err(Failure::new(
            Exit::Usage,
            "--new goes with -l",
            "who joins a room takes that room's history",
            "try it without --new",
        ));
    }
    if line.ephemeral && start == Start::Return {
        return Err(nothing_to_do());
    }
    Ok(Chat {
        start,
        address: line.address,
        advertise: line.advertise,
        port: line.port,
        name,
        rename,
        verbose: line.verbose,
        data_dir: line.data_dir,
        daemon: line.daemon,
        new: line.new,
        ephemeral: line.ephemeral,
        backlog: line.backlog,
    })
}

fn parse_name(text: &str) -> Result<Name, Failure> {
    Name::parse(text).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{text}` cannot be a name"), error.to_string(), "try `-n ann`")
    })
}

/// The login name with everything that no name may hold left out; `guest` where nothing is left.
fn default_name() -> Name {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|key| std::env::var(key).ok()).unwrap_or_default();
    let fit: String = user.chars().filter(|c| Name::parse(c.encode_utf8(&mut [0; 4])).is_ok()).take(32).collect();
    Name::parse(&fit).or_else(|_| Name::parse("guest")).unwrap_or_else(|_| unreachable!("guest is a name"))
}

/// Pairs each host with the port at its place; the last port serves the hosts that are left. `HOST:PORT` is taken too.
fn contacts(hosts: &[String], ports: &[u16]) -> Result<Vec<Contact>, Failure> {
    let mut contacts = Vec::with_capacity(hosts.len());
    for (place, host) in hosts.iter().enumerate() {
        let port = ports.get(place).or(ports.last()).copied().unwrap_or(PORT_DEFAULT);
        let host = host.trim();
        contacts.push(match (host.parse::<SocketAddr>(), host.parse::<IpAddr>(), host.split_once(':')) {
            (Ok(address), ..) => Contact { host: address.ip().to_string(), port: address.port() },
            (_, Ok(_), _) | (.., None) => Contact { host: host.to_owned(), port },
            (.., Some((name, digits))) => match digits.parse() {
                Ok(port) => Contact { host: name.to_owned(), port },
                Err(_) => return Err(bad_contact(host, "what follows the colon is no port")),
            },
        });
    }
    match contacts.iter().find(|contact| contact.host.is_empty() || contact.port == 0) {
        Some(contact) => Err(bad_contact(&contact.host, "a host and a port from 1 to 65535 are needed")),
        None => Ok(contacts),
    }
}

fn bad_contact(host: &str, why: &str) -> Failure {
    Failure::new(Exit::Usage, format!("`{host}` is no neighbor's address"), why, "try `-na 10.0.0.5 -np 2428`")
}
