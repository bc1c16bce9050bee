//! The settings of a run: what a person may decide before a node starts, from the command line, the environment and the
//! configuration file.
//!
//! Everything that reads settings lies above this folder; it knows none of its readers.

pub mod config;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::{Exit, Failure};
use crate::key::RoomKey;
use crate::ring::{AuthorId, Name, Rate};

/// The port that is used where none is given: C-H-A-T on a phone.
pub const PORT_DEFAULT: u16 = 2428;

/// Everything that a member's run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// How it begins.
    pub start: Start,
    /// Where the room's key comes from.
    pub key: KeyFrom,
    /// Where to listen, if that was said.
    pub address: Option<IpAddr>,
    /// What others are told to dial, if that was said.
    pub advertise: Option<Advertise>,
    /// The TCP port; zero: any that is free.
    pub port: u16,
    /// The name.
    pub name: Name,
    /// The name is only a default: another will do where it is taken.
    pub rename: bool,
    /// Log lines on standard output too.
    pub verbose: bool,
    /// Where the files live.
    pub data_dir: PathBuf,
    /// Standard input is not read.
    pub daemon: bool,
    /// Objects instead of lines, both ways.
    pub json: bool,
    /// The full screen, where there is a terminal.
    pub tui: bool,
    /// A new room, whatever the files hold.
    pub new: bool,
    /// Nothing is kept on disk.
    pub ephemeral: bool,
    /// Who may moderate a room that is founded, besides its founder; nobody in particular: everybody.
    pub moderators: Vec<AuthorId>,
    /// What is taken from one author when this node leads.
    pub rate: Rate,
    /// How many old lines are shown at most to somebody who comes.
    pub backlog: u32,
    /// When the terminal rings.
    pub bell: Bell,
}

/// How a member begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// It goes back to the room that the files remember, through any member of it.
    Return,
    /// It creates a room, or reopens the one that the files remember.
    Found,
    /// It joins through one of these, tried in turn.
    Join(Vec<Contact>),
}

/// Where the room's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFrom {
    /// Nothing was said: from the files of earlier runs, or there is none.
    Unsaid,
    /// From this file.
    File(PathBuf),
    /// It is asked for at the terminal.
    Asked,
    /// It is in an invite, and so are the members to join through: in this file, or, where none is named, typed or on
    /// the first line of standard input.
    Invite(Option<PathBuf>),
    /// It was in an invite; `None`: the room is open.
    Invited(Option<RoomKey>),
}

/// Where a member is said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its IP or host name.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What others dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertise {
    /// The IP.
    pub ip: IpAddr,
    /// The port, where it is not the one we listen on.
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

/// A name as a person gives it.
///
/// # Errors
/// No member can have it.
pub fn parse_name(text: &str) -> Result<Name, Failure> {
    Name::parse(text).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{text}` cannot be a name"), error.to_string(), "try `-n ann`")
    })
}

/// The login name with everything that no name may hold left out; `guest` where nothing is left.
pub fn default_name() -> Name {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|key| std::env::var(key).ok()).unwrap_or_default();
    let fit: String = user.chars().filter(|c| Name::parse(c.encode_utf8(&mut [0; 4])).is_ok()).take(32).collect();
    Name::parse(&fit).or_else(|_| Name::parse("guest")).unwrap_or_else(|_| unreachable!("guest is a name"))
}

/// The two commands that everything begins with.
pub const COMMANDS: &str = "  dist-chat -l -a IP -p PORT -n NAME                 create a room
  dist-chat -a IP -p PORT -n NAME -na IP -np PORT    join through any member";

/// Neither `-l` nor `-na`, and no file that remembers a room.
pub fn nothing_to_do() -> Failure {
    Failure::new(
        Exit::Usage,
        "start a room with -l, or join one with -na",
        format!("{}\n", COMMANDS.trim_start().replace("\n  ", "\n")),
        "try `dist-chat --help`",
    )
}
