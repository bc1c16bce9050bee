//! The words and flags of the command line, and the rules that combine them.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser as _};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, CommandFactory as _, Parser, Subcommand, ValueHint};

use crate::cmd::{
    attach, bench, chat, completions, config as config_cmd, doctor, history, invite, key as key_cmd, man, send, status,
    tail,
};
use crate::failure::{Exit, Failure};
use crate::key;
use crate::ring::limits::{BACKLOG_LINES, BACKLOG_LINES_MAX, MODERATORS_MAX};
use crate::ring::{AuthorId, Rate};
use crate::settings::{
    Advertise, Bell, Chat, Contact, KeyFrom, PORT_DEFAULT, StartMode, config, default_name, nothing_to_do, parse_name,
};

/// Group chat with no server: a ring, an election, one ordered log
#[derive(Parser)]
#[command(name = "dist-chat", version, override_help = chat::HELP, args_conflicts_with_subcommands = true)]
pub(super) struct CliLine {
    #[command(subcommand)]
    pub(super) command: Option<CliCommand>,
    /// Start the room here, or reopen the one that the files hold
    #[arg(short, long, env = "DIST_CHAT_LEADER", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    leader: bool,
    /// A member's IP or host name, or HOST:PORT; repeat it for more, they are tried in turn (short: -na)
    #[arg(long, env = "DIST_CHAT_NEIGHBOR_ADDRESS", value_name = "IP", value_delimiter = ',', value_hint = ValueHint::Hostname)]
    neighbor_address: Vec<String>,
    /// Its port; each belongs to the neighbor at the same place, the last to all that are left (short: -np) [default:
    /// 2428]
    #[arg(long, env = "DIST_CHAT_NEIGHBOR_PORT", value_name = "PORT", value_delimiter = ',')]
    neighbor_port: Vec<u16>,
    /// The room's key is the one line of this file, which nobody else may be able to read
    #[arg(long, env = "DIST_CHAT_KEY_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
    /// Ask for the room's key at the terminal; what is typed is not shown
    #[arg(long, env = "DIST_CHAT_ASK_KEY", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    ask_key: bool,
    /// With -l: a new room, whatever the files hold
    #[arg(long, env = "DIST_CHAT_NEW", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    new: bool,
    /// With -l, where a room is created: who may put others out, beside its founder; commas separate [default:
    /// everybody]
    #[arg(long, env = "DIST_CHAT_MODERATORS", value_name = "AUTHOR", value_delimiter = ',', value_parser = author)]
    moderators: Vec<AuthorId>,
    /// Read this configuration instead of ~/.config/dist-chat/config.toml; an empty name: none
    #[arg(long, env = "DIST_CHAT_CONFIG", value_name = "FILE", global = true, value_hint = ValueHint::FilePath,
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    #[command(flatten)]
    member: MemberArgs,
}

/// What a member can be told however it begins.
#[derive(Args)]
struct MemberArgs {
    /// The IP to listen on [default: with -l 127.0.0.1; joining, the local one towards the contact]
    #[arg(short, long, env = "DIST_CHAT_ADDRESS", value_name = "IP")]
    address: Option<IpAddr>,
    /// What others dial (NAT, containers) [default: where it listens]
    #[arg(long, env = "DIST_CHAT_ADVERTISE", value_name = "IP[:PORT]")]
    advertise: Option<Advertise>,
    /// The TCP port; 0: any that is free
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    port: u16,
    /// 1 to 32 letters, digits, _ - . and unique in the room [default: the login name]
    #[arg(short, long, env = "DIST_CHAT_NAME", value_name = "NAME", value_hint = ValueHint::Other)]
    name: Option<String>,
    /// The log's event lines on standard output too
    #[arg(short, long, env = "DIST_CHAT_VERBOSE", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    verbose: bool,
    /// Where chat_PORT.log and chat_PORT.db live
    #[arg(long, env = "DIST_CHAT_DATA_DIR", value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    data_dir: PathBuf,
    /// No terminal: standard input is not read, the node stays until a signal
    #[arg(long, env = "DIST_CHAT_DAEMON", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    daemon: bool,
    /// One JSON object a line instead of text, both ways
    #[arg(long, env = "DIST_CHAT_JSON", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    json: bool,
    /// The full screen, on a terminal
    #[arg(long, env = "DIST_CHAT_TUI", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    tui: bool,
    /// Keep nothing on disk: neither log nor history
    #[arg(long, env = "DIST_CHAT_EPHEMERAL", action = ArgAction::SetTrue, value_parser = FalseyValueParser::new())]
    ephemeral: bool,
    /// How many of the newest lines are shown to who comes, or comes back after long
    #[arg(long, env = "DIST_CHAT_BACKLOG", value_name = "N", default_value_t = BACKLOG_LINES,
          value_parser = clap::value_parser!(u32).range(..=i64::from(BACKLOG_LINES_MAX)))]
    backlog: u32,
    /// Lines a second that this node takes of one author when it leads; 0: no limit
    #[arg(long, env = "DIST_CHAT_RATE_LIMIT", value_name = "N", default_value_t = Rate::DEFAULT.lines,
          value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    rate_limit: u64,
    /// When the terminal's bell rings
    #[arg(long, env = "DIST_CHAT_BELL", value_name = "WHEN", value_enum, default_value_t)]
    bell: Bell,
}

fn author(digits: &str) -> Result<AuthorId, String> {
    AuthorId::parse(digits).ok_or_else(|| "an author has 64 hexadecimal digits; `/status` says one's own".to_owned())
}

/// Joins with an invite.
#[derive(Args)]
pub(super) struct JoinArgs {
    /// The file that holds the invite; without one it is asked for, or read from standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    #[command(flatten)]
    member: MemberArgs,
}

#[derive(Subcommand)]
pub(super) enum CliCommand {
    /// Joins a room with an invite
    #[command(override_help = chat::JOIN_HELP)]
    Join(JoinArgs),
    /// Says how a node that runs here is doing
    #[command(override_help = status::HELP)]
    Status(status::StatusArgs),
    /// Says something through a node that runs here
    #[command(override_help = send::HELP)]
    Send(send::SendArgs),
    /// Says what was said last, and what comes
    #[command(override_help = tail::HELP)]
    Tail(tail::TailArgs),
    /// Is a terminal onto a node that runs here
    #[command(override_help = attach::HELP)]
    Attach(attach::AttachArgs),
    /// Says what was said
    #[command(override_help = history::HELP)]
    History(history::HistoryArgs),
    /// Makes a new key for a room
    #[command(override_help = key_cmd::HELP)]
    Key(key_cmd::KeyArgs),
    /// Makes an invite to the room of a node that runs here
    #[command(override_help = invite::HELP)]
    Invite(invite::InviteArgs),
    /// Tells why a member cannot be reached or joined
    #[command(override_help = doctor::HELP)]
    Doctor(doctor::DoctorArgs),
    /// Says every setting, and where it comes from
    #[command(override_help = config_cmd::HELP)]
    Config(config_cmd::ConfigArgs),
    /// Prints what a shell completes the command line with
    #[command(override_help = completions::HELP)]
    Completions(completions::CompletionsArgs),
    /// Prints a page of the manual
    #[command(override_help = man::HELP)]
    Man(man::ManArgs),
    /// Measures what a room costs, beside bare sockets
    #[command(hide = true, override_help = bench::HELP)]
    Bench(bench::BenchArgs),
}

/// All commands and flags, as clap defines them.
pub(super) fn command() -> Command {
    let line = CliLine::command();
    let settings: Vec<Arg> = config::keys(&line).cloned().collect();
    line.mut_subcommand("config", |sub| sub.args(settings))
}

/// Environment variables that the program does not read, but that a user may take for the place of a key.
const NO_PLACE_FOR_A_KEY: [&str; 6] = ["KEY", "ROOM_KEY", "PASSPHRASE", "PASSWORD", "INVITE", "TOKEN"];

/// Refuses a key in the environment or on the command line, since other users can read it in the process list. The
/// message does not repeat the key.
pub(super) fn refuse_secrets(args: &[OsString], variables: &[(String, String)]) -> Result<(), Failure> {
    let refuse = |what: &str, why: &str, hint: &str| Err(Failure::new(Exit::Usage, what, why, hint));
    for arg in args.iter().filter_map(|arg| arg.to_str()) {
        let (flag, value) = arg.split_once('=').unwrap_or((arg, arg));
        if key::invite::is_one(value) {
            return refuse(
                "an invite is never an argument",
                "process lists show arguments to others, and it is in this shell's history now\n\
                 where others can read those, the room needs another key",
                "try `dist-chat join`, which asks for it, or `dist-chat join FILE`",
            );
        }
        if key::is_secret(value) || ["--key", "--passphrase", "--password"].contains(&flag) {
            return refuse(
                "a key is never an argument",
                "process lists show arguments to others, and shells keep them in their history",
                "try --key-file FILE, or --ask-key to type it",
            );
        }
    }
    let misplaced = |(name, value): &&(String, String)| {
        let short = name.strip_prefix("DIST_CHAT_");
        let of_a_key = short.is_some_and(|name| NO_PLACE_FOR_A_KEY.contains(&name));
        of_a_key || short.is_some() && (key::is_secret(value) || key::invite::is_one(value))
    };
    match variables.iter().find(misplaced) {
        Some((name, _)) => refuse(
            &format!("{name} is no place for a key"),
            "the environment of a process can be read in /proc, and goes to all of its children",
            "try DIST_CHAT_KEY_FILE=FILE with a file of mode 0600, and unset that variable",
        ),
        None => Ok(()),
    }
}

/// Makes `-na` and `-np` whole tokens. clap would read any other token that begins with `-n` as a name, even
/// `-na10.0.0.5`. Here only `-n NAME` and `-n=NAME` are names.
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

/// The source of a value, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Default,
    File,
    Environment,
    Typed,
}

/// The source of this flag's value. Values from the file are defaults for clap (see [`config::ConfigFile::under`]).
fn origin(matches: &ArgMatches, file: &config::ConfigFile, id: &str) -> Origin {
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => Origin::Typed,
        Some(ValueSource::EnvVariable) => Origin::Environment,
        _ if file.get(&id.replace('_', "-")).is_some() => Origin::File,
        _ => Origin::Default,
    }
}

/// How the user wants to begin: with a new room or with neighbours. A flag beats the environment, which beats the file.
/// `-l` beats neighbours from a weaker source, and the other way round. Two of the same source contradict each other.
pub(super) fn way(matches: &ArgMatches, file: &config::ConfigFile) -> Result<StartFlags, Failure> {
    if matches.subcommand_name().is_some() {
        return Ok(StartFlags::Return);
    }
    let given = |id: &str| Some(origin(matches, file, id)).filter(|origin| *origin > Origin::Default);
    let leader = matches.get_flag("leader").then(|| given("leader")).flatten();
    match (leader, given("neighbor_address")) {
        (None, None) => Ok(StartFlags::Return),
        (Some(_), None) => Ok(StartFlags::Found),
        (None, Some(_)) => Ok(StartFlags::Join),
        (Some(leader), Some(neighbor)) if leader > neighbor => Ok(StartFlags::Found),
        (Some(leader), Some(neighbor)) if leader < neighbor => Ok(StartFlags::Join),
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
pub(super) enum StartFlags {
    Return,
    Found,
    Join,
}

pub(super) fn chat(line: CliLine, way: StartFlags, key: KeyFrom) -> Result<Chat, Failure> {
    let start = match way {
        StartFlags::Return => StartMode::Resume,
        StartFlags::Found => StartMode::Create,
        StartFlags::Join => StartMode::Join(contacts(&line.neighbor_address, &line.neighbor_port)?),
    };
    if line.new && start != StartMode::Create {
        return Err(Failure::new(
            Exit::Usage,
            "--new goes with -l",
            "who joins a room takes that room's history",
            "try it without --new",
        ));
    }
    if !line.moderators.is_empty() && start != StartMode::Create {
        return Err(Failure::new(
            Exit::Usage,
            "--moderators goes with -l",
            "who may moderate is said when a room is created",
            "try it without --moderators",
        ));
    }
    if line.moderators.len() >= MODERATORS_MAX {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} moderators are too many", line.moderators.len()),
            format!("a room has at most {MODERATORS_MAX}, its founder among them"),
            "try fewer",
        ));
    }
    if line.member.ephemeral && start == StartMode::Resume {
        return Err(nothing_to_do());
    }
    Ok(Chat { moderators: line.moderators, ..member(line.member, start, key, line.new)? })
}

/// The settings of `join`. The invite holds the contacts and the key.
pub(super) fn join(args: JoinArgs) -> Result<Chat, Failure> {
    member(args.member, StartMode::Join(Vec::new()), KeyFrom::Invite(args.file), false)
}

fn member(told: MemberArgs, start: StartMode, key: KeyFrom, new: bool) -> Result<Chat, Failure> {
    let (name, rename) = match told.name {
        Some(name) => (parse_name(&name)?, false),
        None => (default_name(), true),
    };
    Ok(Chat {
        start,
        key,
        address: told.address,
        advertise: told.advertise,
        port: told.port,
        name,
        rename,
        verbose: told.verbose,
        data_dir: told.data_dir,
        daemon: told.daemon,
        json: told.json,
        tui: told.tui,
        new,
        ephemeral: told.ephemeral,
        moderators: Vec::new(),
        rate: Rate::of(told.rate_limit),
        backlog: told.backlog,
        bell: told.bell,
    })
}

/// The source of the key. A flag beats the environment, which beats the file. Both flags together contradict each
/// other.
pub(super) fn key_from(matches: &ArgMatches, file: &config::ConfigFile) -> Result<KeyFrom, Failure> {
    if matches.subcommand_name().is_some() {
        return Ok(KeyFrom::Unsaid);
    }
    let path = matches.get_one::<PathBuf>("key_file").filter(|file| !file.as_os_str().is_empty());
    let asked = matches.get_flag("ask_key");
    let of = |id: &str| origin(matches, file, id);
    match (path, asked) {
        (None, false) => Ok(KeyFrom::Unsaid),
        (None, true) => Ok(KeyFrom::Asked),
        (Some(path), false) => Ok(KeyFrom::File(path.clone())),
        (Some(_), true) if of("key_file") == Origin::Typed && of("ask_key") == Origin::Typed => Err(Failure::new(
            Exit::Usage,
            "--key-file and --ask-key contradict each other",
            "the key is read from a file or typed",
            "try one of them",
        )),
        (Some(_), true) if of("ask_key") > of("key_file") => Ok(KeyFrom::Asked),
        (Some(path), true) => Ok(KeyFrom::File(path.clone())),
    }
}

/// Pairs each host with the port at its place. The last port serves all remaining hosts. A host may also be
/// `HOST:PORT`.
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
