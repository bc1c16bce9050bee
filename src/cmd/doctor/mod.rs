//! `dist-chat doctor`: finds out why a member cannot be reached or joined. It checks layer after layer, each within its
//! own time, up to the first one that fails.
//!
//! It asks only what any stranger may: the salt of the room's passphrase, a hello, and the member's role. It never asks
//! to follow. So no member sees an arrival, and no chat log mentions it.

mod answer;
mod report;

use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::cmd::page::ManualPage;
use crate::control;
use crate::failure::{Exit, Failure, cannot_write};
use crate::key::{self, KeyError, KeyInput, RoomKey, passphrase, salt};
use crate::net::reach;
use crate::net::{self, PeerInfo, PeerState, ProbeError};
use crate::present::refusal;
use crate::ring::limits::{BOOK_NODES_MAX, PROTOCOL_VERSION};
use crate::ring::{Name, Refusal, RoomId, Span};
use crate::settings::{self, PORT_DEFAULT};
use answer::ProbeAnswer;
use report::{DoctorReport, Finding, Layer};

/// How long a layer may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The text of `doctor --help`.
pub const HELP: &str = "  dist-chat doctor HOST[:PORT]    why can that member not be reached or joined?

  ok   TCP      connected in 0.4 ms
  FAIL key      the room has a key, and none was given

Looks at host (its name), route, TCP, answer (is it a dist-chat?), version,
key, room and name in turn, 3 s at most each, and stops at the first that
fails, with what it means and what to try.

      --key-file FILE  the room's key, where it has one
  -n, --name NAME      the name that you would have  [$USER]
      --json           one object: place, ok, failed, exit, layers

It does not join, and no member sees it come. Whether a name is taken, or you
are banned, a leader says only to who joins: where that cannot be known from
here, the line begins with -- and says so.
Exit: 0 all is well, 2 usage, 4 not reached, 5 reached, and would refuse you,
      6 the key's file cannot be used
";

/// The manual page of `dist-chat doctor`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "doctor",
    usage: &["dist-chat doctor HOST[:PORT] [--key-file FILE] [-n NAME] [--json]"],
    says: &[
        "Tells why a member cannot be reached or joined. It looks at one layer after the other, each within a time of its \
         own: the host's name, the route, the TCP connection, whether a dist-chat answers and which version of the protocol \
         it speaks, the room's key, the room, and the name that you would have. The first that fails is named, with what it \
         means and what to try.",
        "It does not join, and no member sees it come. Three things are said by a leader to who joins, and not before: \
         whether a name is taken, whether you are banned, and whether the room is full. Where the node is yours and runs on \
         this machine, it is asked for the names of all members; elsewhere a name is judged by its letters alone, and the \
         line says so.",
    ],
    examples: &[
        ("Why does Ann's room not answer?", "dist-chat doctor 10.0.0.5"),
        ("Is this the key of the room?", "dist-chat doctor ann.example:2428 --key-file room.key"),
    ],
    exits: &["0", "2", "4", "5", "6"],
    help: HELP,
};

/// What is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct DoctorArgs {
    /// The member: an IP or host name, or HOST:PORT; an IPv6 address with a port stands in brackets
    #[arg(value_name = "HOST[:PORT]", value_hint = clap::ValueHint::Hostname)]
    pub place: String,
    /// The file that holds the room's key
    #[arg(long, env = "DIST_CHAT_KEY_FILE", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// The name that you would have [default: the login name]
    #[arg(short, long, env = "DIST_CHAT_NAME", value_name = "NAME", value_hint = clap::ValueHint::Other)]
    pub name: Option<String>,
    /// As one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// The result of a layer. An error names the layer that failed.
type Fails<T> = Result<T, (Layer, Failure)>;

/// Checks the layers and prints the findings. The exit code tells the result.
///
/// # Errors
/// The options are invalid or the key's file cannot be used, so nothing was checked. Or the findings cannot be written.
pub fn run(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let (host, port) = host_and_port(&args.place)?;
    let key = args.key_file.as_deref().filter(|path| !path.as_os_str().is_empty());
    let key = key.map(|path| given(&key::file::read(path)?, path)).transpose()?;
    let name = args.name.as_deref().map(settings::parse_name).transpose()?;
    let mut examination = Examination { json: args.json, findings: Vec::new(), said: Ok(()) };
    let outcome = examination.all((&host, port), key, name.as_ref());
    let exit = match outcome {
        Ok(()) => Exit::Left,
        Err((layer, failure)) => {
            let exit = failure.exit;
            examination.found(Finding::fail(layer, failure));
            exit
        }
    };
    if args.json {
        let report = serde_json::to_string(&DoctorReport::new(&args.place, exit, &examination.findings));
        examination.said = say(&(report.map_err(anyhow::Error::new)? + "\n"));
    }
    match examination.said {
        // A reader that has gone is not an error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(cannot_write(&error)),
        Ok(()) | Err(_) => Ok(exit.into()),
    }
}

fn say(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

fn host_and_port(place: &str) -> Result<(String, u16), Failure> {
    let wrong = |why: &str| {
        let hint = "try `dist-chat doctor 10.0.0.5:2428`";
        Err(Failure::new(Exit::Usage, format!("`{place}` is no place of a member"), why, hint))
    };
    let (host, port) = match (place.parse::<SocketAddr>(), place.parse::<IpAddr>(), place.rsplit_once(':')) {
        (Ok(address), ..) => (address.ip().to_string(), address.port()),
        (_, Ok(ip), _) => (ip.to_string(), PORT_DEFAULT),
        (.., None) => (place.to_owned(), PORT_DEFAULT),
        (.., Some((host, digits))) => match digits.parse() {
            Ok(port) => (host.to_owned(), port),
            Err(_) => return wrong("what follows the colon is no port"),
        },
    };
    match host.is_empty() || port == 0 {
        true => wrong("a host and a port from 1 to 65535 are needed"),
        false => Ok((host, port)),
    }
}

fn given(text: &str, path: &std::path::Path) -> Result<KeyInput, Failure> {
    key::read(text).map_err(|mistake| {
        let (why, hint) = match mistake {
            KeyError::Mistyped => ("it is mistyped: its check is wrong", "try it again, digit by digit"),
            KeyError::Short => ("it is too short for a passphrase", "ask a member for the key file or an invite"),
            KeyError::Invite => ("it is an invite", "try `dist-chat join FILE`"),
        };
        Failure::new(Exit::Usage, format!("the key in {} cannot be used", path.display()), why, hint)
    })
}

/// The findings so far. In the form for people, each line is printed at once.
struct Examination {
    json: bool,
    findings: Vec<Finding>,
    /// Whether every line could be printed.
    said: io::Result<()>,
}

impl Examination {
    fn found(&mut self, finding: Finding) {
        if !self.json && self.said.is_ok() {
            self.said = say(&finding.for_people());
        }
        self.findings.push(finding);
    }

    fn ok(&mut self, layer: Layer, what: impl Into<String>) {
        self.found(Finding::ok(layer, what));
    }

    fn all(&mut self, (host, port): (&str, u16), key: Option<KeyInput>, name: Option<&Name>) -> Fails<()> {
        let addresses = resolve(host, port)?;
        let listed: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        match host.parse::<IpAddr>() {
            Ok(_) => self.ok(Layer::Host, "an IP address, no name to look up"),
            Err(_) => self.ok(Layer::Host, format!("{host} is {}", listed.join(", "))),
        }
        let (there, stream, took) = self.connect(&addresses)?;
        self.ok(Layer::Tcp, format!("connected to {there} in {:.1} ms", took.as_secs_f64() * 1000.0));
        let of_room = self.answer(&stream)?;
        drop(stream);
        let key = room_key(of_room, key)?;
        let met = self.meet(there, key)?;
        let room = self.room(&met)?;
        self.name(there, (room, &met), name)
    }

    /// Connects to the first address that works. Otherwise returns the failure of the address that got furthest.
    fn connect(&mut self, addresses: &[SocketAddr]) -> Fails<(SocketAddr, TcpStream, Duration)> {
        let mut failed = None;
        for there in addresses {
            let Some(from) = reach::local_ip_towards(*there) else {
                failed = failed
                    .or(Some((None, (Layer::Route, no_route(there, "this machine has no network that leads there")))));
                continue;
            };
            let began = Instant::now();
            match TcpStream::connect_timeout(there, PATIENCE) {
                Ok(stream) => {
                    let took = began.elapsed();
                    self.ok(Layer::Route, format!("from {from} to {}", there.ip()));
                    return Ok((*there, stream, took));
                }
                Err(error) => failed = Some((Some((from, *there)), unconnected(there, &error))),
            }
        }
        let nothing = || (None, (Layer::Host, not_found("it", "it has no address")));
        let (way, why) = failed.unwrap_or_else(nothing);
        if let (Some((from, there)), Layer::Tcp) = (way, why.0) {
            self.ok(Layer::Route, format!("from {from} to {}", there.ip()));
        }
        Err(why)
    }

    fn answer(&mut self, stream: &TcpStream) -> Fails<salt::SaltAnswer> {
        let fails = |what: String, why: &str, hint: &str| {
            Err((Layer::Answer, Failure::new(Exit::Unreachable, what, why, hint)))
        };
        let status = "try `dist-chat status` on that machine: it says where its node listens";
        let answer = match answer::ask(stream, PATIENCE) {
            Ok(answer) => answer,
            Err(error) => {
                return fails(format!("the connection breaks ({error})"), "something in between may cut it", status);
            }
        };
        match answer {
            ProbeAnswer::DistChat(of_room) => {
                self.ok(Layer::Answer, "a dist-chat");
                self.ok(Layer::Version, format!("version {PROTOCOL_VERSION} of the protocol, as this program"));
                Ok(of_room)
            }
            ProbeAnswer::Version(theirs) => {
                self.ok(Layer::Answer, "a dist-chat");
                Err(refused(&Refusal::Version(theirs)))
            }
            ProbeAnswer::Other(kind) => fails(kind, "it is no dist-chat that has this port", status),
            ProbeAnswer::Closed => fails(
                "it closes the connection without a word".to_owned(),
                "it is no dist-chat, or an older one, or one with too many strangers at its door",
                status,
            ),
            ProbeAnswer::Silent => fails(
                format!("connected, but no answer within {} s", PATIENCE.as_secs()),
                "it is no dist-chat, or one that is stopped, or a machine in between answers in its place",
                status,
            ),
        }
    }

    /// Tries the key, and asks the member about itself.
    fn meet(&mut self, there: SocketAddr, key: Option<RoomKey>) -> Fails<PeerInfo> {
        let keyed = key.is_some();
        let met = meet(there, key);
        let refused = matches!(&met, Err((Layer::Key, _)));
        match (keyed, refused) {
            (_, true) => {}
            (true, false) => self.ok(Layer::Key, "it opens the room's door"),
            (false, false) => self.ok(Layer::Key, "none is needed: anybody who reaches it can read and write there"),
        }
        met
    }

    fn room(&mut self, met: &PeerInfo) -> Fails<RoomId> {
        let Some(room) = met.room.filter(|_| met.doing != Some(PeerState::Bootstrapping)) else {
            return Err((
                Layer::Room,
                Failure::new(
                    Exit::Unreachable,
                    format!("{} is in no room", met.uid),
                    "it is looking for its room itself",
                    "try another member, or wait until it is in",
                ),
            ));
        };
        match met.doing {
            Some(PeerState::Leading { followers, .. }) if followers as usize + 1 >= BOOK_NODES_MAX => {
                return Err(refused(&Refusal::Full));
            }
            Some(PeerState::Leading { epoch, followers }) => {
                let others = if followers == 1 { "one other".to_owned() } else { format!("{followers} others") };
                self.ok(Layer::Room, format!("{room}, which it leads (epoch {}, {others})", epoch.round));
            }
            Some(PeerState::Following(epoch)) => {
                let leader = epoch.leader;
                let reached = TcpStream::connect_timeout(&leader.0, PATIENCE).is_ok();
                let by_way = match reached {
                    true => String::new(),
                    false => "; not reached from here: messages would go through this member".to_owned(),
                };
                self.ok(Layer::Room, format!("{room}, led by {leader} (epoch {}){by_way}", epoch.round));
            }
            Some(PeerState::Between | PeerState::Bootstrapping) => {
                self.ok(Layer::Room, format!("{room}, which has no leader just now: who joins waits for one"));
            }
            None => self.found(Finding::unknown(Layer::Room, format!("{room}; it does not say who leads"))),
        }
        Ok(room)
    }

    /// Checks whether the name is free. A leader tells that only to a node that joins. But a node of this user lists
    /// its room's members.
    fn name(&mut self, there: SocketAddr, (room, met): (RoomId, &PeerInfo), name: Option<&Name>) -> Fails<()> {
        let (wanted, is_default) = (name.cloned().unwrap_or_else(settings::default_name), name.is_none());
        let own = control::client::ask_listener(there).filter(|own| own.address == met.uid && own.room == Some(room));
        let Some(own) = own else {
            let what =
                format!("`{wanted}` can be a name; whether it is free, or you are banned, is said only to who joins");
            self.found(Finding::unknown(Layer::Name, what));
            return Ok(());
        };
        let holder = own.members.iter().find(|member| member.name.folded() == wanted.folded());
        match holder {
            None => self.ok(Layer::Name, format!("nobody who is here is called {wanted}")),
            Some(holder) if is_default => {
                self.ok(Layer::Name, format!("{wanted} is {}'s: a number would be added to yours", holder.address));
            }
            Some(holder) => {
                return Err((
                    Layer::Name,
                    Failure::new(
                        Exit::Refused,
                        format!("the name {wanted} is taken, by {}", holder.address),
                        "two members cannot share one, upper and lower case alike",
                        "try another -n NAME",
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// All addresses of a host. The system's resolver may take longer than this waits.
fn resolve(host: &str, port: u16) -> Fails<Vec<SocketAddr>> {
    let (sender, found) = mpsc::channel();
    let asked = host.to_owned();
    std::thread::spawn(move || {
        let _ = sender.send((asked.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    });
    let why = match found.recv_timeout(PATIENCE) {
        Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
        Ok(Ok(_)) => "it has no address".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no name server answers within {} s", PATIENCE.as_secs()),
    };
    Err((Layer::Host, not_found(host, why)))
}

fn not_found(host: &str, why: impl Into<String>) -> Failure {
    let what = format!("cannot find the host {host}");
    Failure::new(Exit::Unreachable, what, why, "look at its spelling, or try the IP address of a member")
}

fn no_route(there: &SocketAddr, why: &str) -> Failure {
    let what = format!("cannot reach {there} (no route)");
    Failure::new(Exit::Unreachable, what, why, "try `ip route`, the VPN if there is one, or another member's address")
}

fn unconnected(there: &SocketAddr, error: &io::Error) -> (Layer, Failure) {
    use std::io::ErrorKind;
    let (reason, why, hint) = match error.kind() {
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            return (Layer::Route, no_route(there, "that machine is down, or no network leads there"));
        }
        ErrorKind::ConnectionRefused => (
            "connection refused".to_owned(),
            "nothing listens there, or a firewall refuses it",
            "try `dist-chat status` on that machine: is a node running, on that port, and on an address that others reach \
             (not 127.0.0.1)?",
        ),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => (
            format!("no answer within {} s", PATIENCE.as_secs()),
            "that machine is down, or a firewall drops what is sent to it",
            "let the firewall there pass the port; behind a router, forward it and use --advertise",
        ),
        _ => (error.to_string(), "the connection was not made", "try another member's address"),
    };
    (Layer::Tcp, Failure::new(Exit::Unreachable, format!("cannot connect to {there} ({reason})"), why, hint))
}

/// The key to try in a room with this kind of key.
fn room_key(of_room: salt::SaltAnswer, key: Option<KeyInput>) -> Fails<Option<RoomKey>> {
    match (of_room, key) {
        (salt::SaltAnswer::Open, None) => Ok(None),
        (salt::SaltAnswer::Open, Some(_)) => Err(refused(&Refusal::NoKey)),
        (_, None) => Err(refused(&Refusal::KeyNeeded)),
        (_, Some(KeyInput::Key(key))) => Ok(Some(key)),
        (salt::SaltAnswer::Generated, Some(KeyInput::Passphrase(_))) => Err((
            Layer::Key,
            Failure::new(
                Exit::Refused,
                "the room has another kind of key",
                "what you gave is a passphrase, the room has a key that the program has drawn",
                "try that key, or an invite and `dist-chat join`",
            ),
        )),
        (salt::SaltAnswer::Salt(salt), Some(KeyInput::Passphrase(phrase))) => match passphrase::key(&phrase, salt) {
            Ok(key) => Ok(Some(key)),
            Err(error) => Err((Layer::Key, error.into())),
        },
    }
}

/// Probes the member as a stranger whose author id is used only once.
fn meet(there: SocketAddr, key: Option<RoomKey>) -> Fails<PeerInfo> {
    let broken = |error: io::Error| (Layer::Room, Failure::from(anyhow::Error::new(error)));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(broken)?;
    let met = runtime.block_on(net::meet_at(there, key, Span::ms(PATIENCE.as_millis() as u64)));
    met.map_err(|unmet| match unmet {
        ProbeError::TurnedAway(why) => refused(&why),
        ProbeError::Silent => {
            let what = format!("it does not say hello within {} s", PATIENCE.as_secs());
            let why = "it is busy, stopped, or on its way out";
            (Layer::Room, Failure::new(Exit::Unreachable, what, why, "try again, or another member"))
        }
        ProbeError::Broken(why) => {
            let what = format!("what it says makes no sense: it {why}");
            let why = "something in between may change it; or it is of another version";
            (Layer::Room, Failure::new(Exit::Refused, what, why, "try another member's address"))
        }
    })
}

/// The failure for a refusal, and its layer.
fn refused(why: &Refusal) -> (Layer, Failure) {
    let layer = match why {
        Refusal::Version(_) => Layer::Version,
        Refusal::WrongKey | Refusal::KeyNeeded | Refusal::NoKey => Layer::Key,
        Refusal::Name(_) => Layer::Name,
        Refusal::Full
        | Refusal::Room(_)
        | Refusal::SameAddress
        | Refusal::Forger
        | Refusal::Kicked(_)
        | Refusal::Banned(_)
        | Refusal::Protocol => Layer::Room,
    };
    (layer, refusal::explain(why, &settings::default_name()))
}

#[cfg(test)]
mod tests;
