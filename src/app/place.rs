//! The addresses of a node: where it listens, what peers dial, and which contacts it asks first.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::control;
use crate::failure::{Exit, Failure};
use crate::key::RoomKey;
use crate::net::{self, reach};
use crate::ring::{Frame, Hello, RoomId, Uid};
use crate::settings::{Chat, Contact, StartMode};

/// The addresses of a node.
#[derive(Debug)]
pub struct NodePlace {
    /// The socket that peers connect to.
    pub listener: TcpListener,
    /// The address that the node really listens on.
    pub listens: SocketAddr,
    /// The address that peers dial.
    pub uid: Uid,
    /// The contacts to ask, in this order. Empty: this node starts the room.
    pub contacts: Vec<SocketAddr>,
    /// A remark about the choice for the user, if there is something to say.
    pub remark: Option<String>,
}

/// Finds the addresses and binds the listener.
///
/// # Errors
/// The address is not this machine's, the port is taken, no contact is found, or no peer could dial the advertised
/// address.
pub fn take(chat: &Chat) -> Result<NodePlace, Failure> {
    let contacts = match &chat.start {
        StartMode::Create | StartMode::Resume => Vec::new(),
        StartMode::Join(contacts) => resolve(contacts)?,
    };
    let seen_by_contact = contacts.iter().find_map(|contact| reach::local_ip_towards(*contact));
    let ip = match (chat.address, contacts.first()) {
        (Some(ip), _) => ip,
        (None, None) => Ipv4Addr::LOCALHOST.into(),
        (None, Some(first)) => seen_by_contact.ok_or_else(|| no_way_to(*first))?,
    };
    let (listener, listens) = listen(ip, chat.port)?;
    let (uid, remark) = advertised(chat, listens, &contacts, seen_by_contact);
    refuse_loopback(uid, &contacts)?;
    let others: Vec<SocketAddr> = contacts.iter().copied().filter(|contact| *contact != uid.0).collect();
    match others.is_empty() && !contacts.is_empty() {
        true => Err(Failure::new(
            Exit::Unreachable,
            format!("{uid} is this node itself"),
            "nobody else is named with -na",
            "try another member's address, or -l to start a room",
        )),
        false => Ok(NodePlace { listener, listens, uid, contacts: others, remark }),
    }
}

/// All addresses of all contacts that resolve.
fn resolve(contacts: &[Contact]) -> Result<Vec<SocketAddr>, Failure> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for Contact { host, port } in contacts {
        match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => found.extend(addresses),
            Err(error) => missing.push((host, error)),
        }
    }
    found.dedup();
    match (found.is_empty(), missing.first()) {
        (true, Some((host, error))) => Err(Failure::new(
            Exit::Unreachable,
            format!("cannot find the host {host}"),
            error.to_string(),
            "try the IP address of a member",
        )),
        _ => Ok(found),
    }
}

/// The room of the first contact that answers in time. A room with a key answers only peers that have the key.
pub async fn room_of(contacts: &[SocketAddr], key: Option<&RoomKey>) -> Option<RoomId> {
    for there in contacts {
        if let Ok(Hello { room: Some(room), .. }) = net::hello_at(*there, key.cloned()).await {
            return Some(room);
        }
    }
    None
}

fn no_way_to(there: SocketAddr) -> Failure {
    Failure::new(
        Exit::Unreachable,
        format!("cannot reach {there} (no route)"),
        "this machine has no network that leads there",
        "try `ip route`, or another member's address",
    )
}

/// The address that peers dial: the advertised one, or the listening one. If the node listens everywhere, the address
/// that the contact sees.
fn advertised(
    chat: &Chat,
    listens: SocketAddr,
    contacts: &[SocketAddr],
    seen_by_contact: Option<IpAddr>,
) -> (Uid, Option<String>) {
    if let Some(said) = chat.advertise {
        return (Uid(SocketAddr::new(said.ip, said.port.unwrap_or(listens.port()))), None);
    }
    if !listens.ip().is_unspecified() {
        return (Uid(listens), None);
    }
    // Without a contact: the address towards the rest of the world (addresses for documentation, never dialled).
    let world = match listens.is_ipv4() {
        true => SocketAddr::from(([192, 0, 2, 1], 9)),
        false => SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9)),
    };
    let loopback: IpAddr = if listens.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let ip = seen_by_contact.or_else(|| reach::local_ip_towards(world)).unwrap_or(loopback);
    let uid = Uid(SocketAddr::new(ip, listens.port()));
    let remark = contacts
        .is_empty()
        .then(|| format!("listening on {listens}; others are told {uid} (--advertise changes that)"));
    (uid, remark)
}

/// Refuses a loopback address in a room of other machines, which could not dial it.
fn refuse_loopback(uid: Uid, contacts: &[SocketAddr]) -> Result<(), Failure> {
    let away = contacts.iter().find(|contact| !contact.ip().is_loopback());
    match away.filter(|_| uid.0.ip().is_loopback()) {
        None => Ok(()),
        Some(contact) => Err(Failure::new(
            Exit::Usage,
            format!("others cannot dial {uid}"),
            format!("it is a loopback address, and the room is reached at {contact}"),
            "try without -a, or with --advertise IP",
        )),
    }
}

fn listen(ip: IpAddr, port: u16) -> Result<(TcpListener, SocketAddr), Failure> {
    let wanted = SocketAddr::new(ip, port);
    let bound = TcpListener::bind(wanted).and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (listens, listener) = bound.map_err(|error| cannot_listen(wanted, &error))?;
    Ok((listener, listens))
}

fn cannot_listen(wanted: SocketAddr, error: &io::Error) -> Failure {
    let what = format!("cannot listen on {wanted}");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let holder = match holder(wanted) {
                Holder::Ours(who) => format!("a dist-chat of yours has that port: {who}"),
                Holder::DistChat => "a dist-chat has that port".to_owned(),
                Holder::Other => "another program has that port".to_owned(),
            };
            Failure::new(Exit::CannotListen, what, holder, "try another port with -p PORT")
        }
        io::ErrorKind::AddrNotAvailable => Failure::new(
            Exit::CannotListen,
            what,
            format!("{} is no address of this machine", wanted.ip()),
            "try one that `ip address` shows, or -a 0.0.0.0 with --advertise",
        ),
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::CannotListen, what, error.to_string(), "try a port above 1023")
        }
        _ => Failure::new(Exit::CannotListen, what, error.to_string(), "try another address or port"),
    }
}

/// The process that holds our port.
enum Holder {
    Ours(String),
    DistChat,
    Other,
}

/// Finds the holder over the status socket. If nothing answers there (another user's process), says hello.
fn holder(there: SocketAddr) -> Holder {
    if let Some(report) = control::client::ask_listener(there) {
        return Holder::Ours(format!("{}({})", report.name, report.address));
    }
    match reach::greet(there) {
        Ok(Some(Frame::Hello(_) | Frame::Refuse(_))) => Holder::DistChat,
        Ok(_) | Err(_) => Holder::Other,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn loopback_is_refused_in_a_room_of_other_machines() {
        let uid = |text: &str| text.parse::<Uid>().unwrap();
        let contact = |text: &str| vec![text.parse::<SocketAddr>().unwrap()];
        assert!(refuse_loopback(uid("127.0.0.1:1"), &contact("10.0.0.5:2")).is_err());
        assert!(refuse_loopback(uid("127.0.0.1:1"), &contact("127.0.0.1:2")).is_ok());
        assert!(refuse_loopback(uid("10.0.0.5:1"), &contact("127.0.0.1:2")).is_ok());
        assert!(refuse_loopback(uid("127.0.0.1:1"), &[]).is_ok());
    }

    #[test]
    fn a_taken_port_says_that_no_dist_chat_has_it() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        let silent = std::thread::spawn(move || drop(other.accept()));
        let failure = listen(address.ip(), address.port()).unwrap_err();
        assert_eq!(failure.exit, Exit::CannotListen);
        assert_eq!(failure.why, "another program has that port");
        silent.join().unwrap();
    }
}
