//! The command line, and the environment behind it, made into something that can be run.
//!
//! [`parse`] gives a [`Request`]; the words and flags themselves are in `line`.

mod line;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _};

use crate::failure::{Exit, Failure};
use crate::ring::Name;
use crate::{bench, history};
pub use line::COMMANDS;
use line::{HELP, Line, Sub};

/// The port that is used where none is given: C-H-A-T on a phone.
pub const PORT_DEFAULT: u16 = 2428;

/// What the person wants.
#[derive(Clone, Debug)]
pub enum Request {
    /// Be a member of a room.
    Chat(Chat),
    /// Ask a node that runs here.
    Status(StatusQuery),
    /// Ask what was said.
    History(history::Args),
    /// Measure.
    Bench(bench::Args),
}

/// Everything that a member's run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// How it begins.
    pub start: Start,
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
    /// A new room, whatever the files hold.
    pub new: bool,
    /// Nothing is kept on disk.
    pub ephemeral: bool,
    /// How many old lines are shown at most to somebody who comes.
    pub backlog: u32,
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

/// Which node is asked, and how its answer is shown.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct StatusQuery {
    /// Where it listens, or what it advertises.
    #[arg(short, long, env = "DIST_CHAT_ADDRESS", value_name = "IP")]
    pub address: Option<IpAddr>,
    /// Its port.
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    pub port: u16,
    /// As one line of JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quit {
    /// This was asked for: to be printed.
    Print(String),
    /// The command line makes no sense.
    Failure(Failure),
}

impl From<clap::Error> for Quit {
    fn from(error: clap::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            // clap trims what stands at its start.
            ErrorKind::DisplayHelp => {
                let own = [HELP, history::HELP].into_iter().find(|help| text.trim() == help.trim());
                Self::Print(own.map_or(text, str::to_owned))
            }
            ErrorKind::DisplayVersion => Self::Print(text),
            _ => Self::Failure(mistake(&text)),
        }
    }
}

/// A mistake found by clap, in the form that all our mistakes have.
fn mistake(rendered: &str) -> Failure {
    let said = rendered.split("\n\nUsage:").next().unwrap_or(rendered);
    let said = said.split("\n\nFor more information").next().unwrap_or(said).trim_start_matches("error: ");
    let (what, why) = said.split_once('\n').unwrap_or((said, ""));
    let why: Vec<&str> = why.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Failure::new(Exit::Usage, what, why.join("\n"), "try `dist-chat --help`")
}

impl From<Failure> for Quit {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Reads the command line, the program's own name first, and the environment.
///
/// # Errors
/// [`Quit`]: there is nothing to run, and why.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, Quit> {
    let args = args.into_iter().map(line::whole_token).collect::<Result<Vec<_>, _>>()?;
    let mut matches = Line::command().try_get_matches_from(args)?;
    let way = line::way(&matches)?;
    let line = Line::from_arg_matches_mut(&mut matches)?;
    match line.command {
        Some(Sub::Status(query)) => Ok(Request::Status(query)),
        Some(Sub::History(args)) => Ok(Request::History(args)),
        Some(Sub::Bench(args)) => Ok(Request::Bench(args)),
        None => Ok(Request::Chat(line::chat(line, way)?)),
    }
}

/// Neither `-l` nor `-na`, and no file that remembers a room.
pub fn nothing_to_do() -> Failure {
    Failure::new(
        Exit::Usage,
        "start a room with -l, or join one with -na",
        format!("{}\n", COMMANDS.trim_start().replace("\n  ", "\n")),
        "try `dist-chat --help`",
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

    use super::*;

    fn parse_words(words: &str) -> Result<Request, Quit> {
        parse(std::iter::once("dist-chat").chain(words.split_whitespace()).map(OsString::from))
    }

    fn chat_of(words: &str) -> Chat {
        match parse_words(words) {
            Ok(Request::Chat(chat)) => chat,
            other => panic!("{words}: {other:?}"),
        }
    }

    fn contact(host: &str, port: u16) -> Contact {
        Contact { host: host.to_owned(), port }
    }

    #[test]
    fn a_room_is_created() {
        let chat = chat_of("-l -a 10.0.0.5 -p 5001 -n ann");
        assert_eq!(chat.start, Start::Found);
        assert_eq!((chat.address, chat.port), (Some([10, 0, 0, 5].into()), 5001));
        assert_eq!((chat.name.as_str(), chat.rename), ("ann", false));
        assert_eq!(chat_of("-l -n ann").port, PORT_DEFAULT);
    }

    #[test]
    fn neighbours_are_whole_tokens() {
        let one = Start::Join(vec![contact("10.0.0.5", 5001)]);
        assert_eq!(chat_of("-n ann -na 10.0.0.5 -np 5001").start, one);
        assert_eq!(chat_of("-n=ann -na=10.0.0.5 -np=5001").start, one);
        assert_eq!(chat_of("--name ann --neighbor-address 10.0.0.5 --neighbor-port 5001").start, one);
        assert_eq!(chat_of("-n ann -na 10.0.0.5:5001").start, one);
        assert_eq!(chat_of("-na host").start, Start::Join(vec![contact("host", PORT_DEFAULT)]));
        assert_eq!(chat_of("-na ::1 -np 7").start, Start::Join(vec![contact("::1", 7)]));
        assert_eq!(chat_of("-na [::1]:8").start, Start::Join(vec![contact("::1", 8)]));
    }

    #[test]
    fn neighbours_may_be_several() {
        let both = vec![contact("a", 1), contact("b", 2), contact("c", 2)];
        assert_eq!(chat_of("-na a -np 1 -na b -np 2 -na c").start, Start::Join(both));
    }

    #[test]
    fn glued_names_are_refused() {
        for words in ["-na10.0.0.5", "-nann", "-l -npeter", "-l -n= ", "-na= ", "-na a:b", "-na x -np 0", "-l -n a/b"] {
            assert!(parse_words(words).is_err(), "{words}");
        }
    }

    #[test]
    fn one_of_the_two_commands_is_needed() {
        assert_eq!(chat_of("-n ann").start, Start::Return);
        for (words, what) in
            [("-n ann --ephemeral", "start a room"), ("-l -na 10.0.0.5", "contradict"), ("--new -na x", "--new")]
        {
            match parse_words(words) {
                Err(Quit::Failure(failure)) => {
                    assert_eq!(failure.exit, Exit::Usage);
                    assert!(failure.what.contains(what), "{failure}");
                }
                other => panic!("{words}: {other:?}"),
            }
        }
    }

    #[test]
    fn status_has_flags_of_its_own() {
        let query = StatusQuery { address: Some([127, 0, 0, 1].into()), port: 5001, json: true };
        assert!(matches!(parse_words("status -a 127.0.0.1 -p 5001 --json"), Ok(Request::Status(q)) if q == query));
    }

    #[test]
    fn history_has_flags_of_its_own() {
        let Ok(Request::History(args)) = parse_words("history -p 5001 -n 20 --grep -x --since 2h --json") else {
            panic!()
        };
        assert_eq!((args.port, args.lines, args.json), (5001, Some(20), true));
        assert_eq!((args.grep.as_deref(), args.since.as_deref()), (Some("-x"), Some("2h")));
        for words in ["history -n x", "history ann", "history --from"] {
            assert!(
                matches!(parse_words(words), Err(Quit::Failure(failure)) if failure.exit == Exit::Usage),
                "{words}"
            );
        }
        assert_eq!(parse_words("history --help").unwrap_err(), Quit::Print(history::HELP.to_owned()));
    }

    #[test]
    fn advertised_addresses() {
        let of = |text: &str| text.parse::<Advertise>();
        assert_eq!(of("1.2.3.4:5").unwrap(), Advertise { ip: [1, 2, 3, 4].into(), port: Some(5) });
        assert_eq!(of("::1").unwrap().port, None);
        for bad in ["0.0.0.0", "::", "1.2.3.4:0", "host", "1.2.3.4:"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn help_fits_a_screen_and_names_every_flag() {
        assert!(HELP.starts_with(COMMANDS));
        assert!(HELP.lines().count() <= 24, "{} lines", HELP.lines().count());
        assert!(HELP.lines().all(|line| line.chars().count() < 80));
        for arg in Line::command().get_arguments() {
            let long = arg.get_long().unwrap();
            assert!(HELP.contains(&format!("--{long}")), "{long}");
        }
    }
}
