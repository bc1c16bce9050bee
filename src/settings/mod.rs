//! The settings of a run: everything that a user decides before a node starts, from the command line, the environment
//! and the configuration file.
//!
//! All readers of settings lie above this folder; it imports none of them.

pub mod config;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::{Exit, Failure};
use crate::key::RoomKey;
use crate::ring::{AuthorId, Name, Rate};

/// The default port: C-H-A-T on a phone.
pub const PORT_DEFAULT: u16 = 2428;

/// All settings of a member's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// How the node starts.
    pub start: StartMode,
    /// Where the room's key comes from.
    pub key: KeyFrom,
    /// The listen address, if the user gave one.
    pub address: Option<IpAddr>,
    /// The advertised address, if the user gave one.
    pub advertise: Option<Advertise>,
    /// The TCP port; zero: any free port.
    pub port: u16,
    /// The user's name in the room.
    pub name: Name,
    /// The name is only a default: if it is taken, the node may choose another.
    pub rename: bool,
    /// Show the log's event lines on standard output too.
    pub verbose: bool,
    /// The directory of the node's files.
    pub data_dir: PathBuf,
    /// Do not read standard input.
    pub daemon: bool,
    /// Read and write JSON objects instead of lines.
    pub json: bool,
    /// Use the full screen, if there is a terminal.
    pub tui: bool,
    /// Create a new room, whatever the files hold.
    pub new: bool,
    /// Keep no files.
    pub ephemeral: bool,
    /// Moderators of a created room, beside its creator; empty: every member may moderate.
    pub moderators: Vec<AuthorId>,
    /// The rate limit for each author while this node leads.
    pub rate: Rate,
    /// The most old lines that a newcomer sees.
    pub backlog: u32,
    /// When the terminal rings.
    pub bell: Bell,
}

/// How a node starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartMode {
    /// Goes back to the room in the files, through any member of it.
    Resume,
    /// Creates a room, or reopens the one in the files.
    Create,
    /// Joins a room through one of these, tried in turn.
    Join(Vec<Contact>),
}

/// The source of the room's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFrom {
    /// No source given: the key in the files of earlier runs, or none.
    Unsaid,
    /// This file.
    File(PathBuf),
    /// A question at the terminal.
    Asked,
    /// An invite, which also names members to join through: in this file, or, if none is named, typed or on the first
    /// line of standard input.
    Invite(Option<PathBuf>),
    /// An invite that has been read; `None`: the room is open.
    Invited(Option<RoomKey>),
}

/// A member's address, as the user gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// An IP address or a host name.
    pub host: String,
    /// The member's port.
    pub port: u16,
}

/// The advertised address: other nodes dial it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// The advertised IP address.
    pub ip: IpAddr,
    /// The port, if it differs from the listening port.
    pub port: Option<u16>,
}

impl FromStr for Advertise {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let (ip, port) = match (s.parse::<SocketAddr>(), s.parse::<IpAddr>()) {
            (Ok(address), _) => (address.ip(), Some(address.port())),
            (_, Ok(ip)) => (ip, None),
            _ => return Err("an IP or IP:PORT is needed, [IP]:PORT for IPv6".to_owned()),
        };
        match ip.is_unspecified() || port == Some(0) {
            true => Err("nobody can dial that".to_owned()),
            false => Ok(Self { ip, port }),
        }
    }
}

/// When the terminal rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Bell {
    /// Never.
    Off,
    /// When somebody mentions one's name, or says something to oneself alone.
    #[default]
    Mention,
    /// With every line of others.
    All,
}

/// Parses a user's name.
///
/// # Errors
/// It is not a valid name.
pub fn parse_name(text: &str) -> Result<Name, Failure> {
    Name::parse(text).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{text}` cannot be a name"), error.to_string(), "try `-n ann`")
    })
}

/// The login name without the characters that a name may not have; `guest` if nothing is left.
pub fn default_name() -> Name {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|key| std::env::var(key).ok()).unwrap_or_default();
    let fit: String = user.chars().filter(|c| Name::parse(c.encode_utf8(&mut [0; 4])).is_ok()).take(32).collect();
    Name::parse(&fit).or_else(|_| Name::parse("guest")).unwrap_or_else(|_| unreachable!("guest is a name"))
}

/// The two commands for beginners.
pub const COMMANDS: &str = "  dist-chat -l -a IP -p PORT -n NAME                 create a room
  dist-chat -a IP -p PORT -n NAME -na IP -np PORT    join through any member";

/// The failure when the user gives neither `-l` nor `-na`, and no file remembers a room.
pub fn nothing_to_do() -> Failure {
    Failure::new(
        Exit::Usage,
        "start a room with -l, or join one with -na",
        format!("{}\n", COMMANDS.trim_start().replace("\n  ", "\n")),
        "try `dist-chat --help`",
    )
}
