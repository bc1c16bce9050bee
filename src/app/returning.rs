//! Applies the files of earlier runs to this one: its room, its address and its name.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::place;
use crate::failure::{Exit, Failure};
use crate::identity::Identity;
use crate::key::{KeyMark, RoomKey};
use crate::net::reach;
use crate::ring::{self, Name, RoomId, SessionId, Uid};
use crate::settings::{self, Chat, StartMode};
use crate::store::{self, OpenError, OpenRequest, Opened, Peeked};

/// The state in the files of this port. `None` if the run does not use them, or if the port is not known yet.
///
/// # Errors
/// A damaged file cannot be moved aside, or a newer program wrote the file.
pub fn remembered(chat: &Chat) -> Result<Option<Peeked>, Failure> {
    if chat.ephemeral || chat.port == 0 {
        return Ok(None);
    }
    let path = store::file_in(&chat.data_dir, chat.port);
    let mut peeked = store::peek(&path);
    if let Err(store::Error::Older(1..)) = peeked {
        peeked = match store::upgrade(&path) {
            Ok(()) => store::peek(&path),
            Err(OpenError::Unusable(error)) => Err(error),
            Err(held @ OpenError::Held(_)) => return Err(unusable(&path, &held)),
        };
    }
    match peeked {
        Ok(peeked) => Ok(peeked),
        // A user who names a member gets everything from that member.
        Err(store::Error::Damaged(_) | store::Error::Unwritable(_) | store::Error::Older(_))
            if matches!(chat.start, StartMode::Join(_)) || chat.new =>
        {
            Ok(None)
        }
        Err(store::Error::Damaged(why)) => {
            let aside = store::set_aside(&path, &why).map_err(|error| unusable(&path, &error))?;
            // A damaged file that still names its room counts: the run must not found a second room beside it.
            match store::peek(&path).ok().flatten().filter(|peeked| !peeked.rooms.is_empty()) {
                Some(peeked) => {
                    crate::failure::complain(format_args!("dist-chat: {}", aside_text(&aside)));
                    Ok(Some(peeked))
                }
                None => Err(forgotten(&path, &aside)),
            }
        }
        Err(store::Error::Older(_)) => Ok(None),
        Err(
            error @ (store::Error::Newer(_)
            | store::Error::Unsigned
            | store::Error::Unsynced(_)
            | store::Error::Unwritable(_)),
        ) => Err(unusable(&path, &OpenError::Unusable(error))),
    }
}

fn forgotten(path: &Path, aside: &store::Quarantined) -> Failure {
    Failure::new(
        Exit::Files,
        format!("the history in {} is damaged ({})", path.display(), aside.why),
        format!("it is now {}, and does not say any more which room it held", aside.path.display()),
        "join a member of the room with -na, and its lines come from there; or open a new room with -l --new",
    )
}

/// Fills in what the user has left open, with the last run's values.
pub fn fill_in(chat: &mut Chat, remembered: Option<&Peeked>) -> Result<(), Failure> {
    let known = remembered.filter(|peeked| !peeked.rooms.is_empty());
    if chat.start == StartMode::Resume && known.is_none() {
        return Err(settings::nothing_to_do());
    }
    let Some(peeked) = known else { return Ok(()) };
    if chat.rename
        && let Some(Ok(name)) = peeked.name.as_deref().map(Name::parse)
    {
        chat.name = name;
    }
    if chat.address.is_none()
        && chat.advertise.is_none()
        && !matches!(chat.start, StartMode::Join(_))
        && !chat.new
        && let Some(ip) = peeked.uid.map(|uid| uid.0.ip())
    {
        // If the machine no longer has the address, the one towards a member is as good.
        let towards = || peeked.book.iter().find_map(|uid| reach::local_ip_towards(uid.0));
        chat.address = if reach::is_ours(ip) { Some(ip) } else { towards() };
    }
    Ok(())
}

/// The room of this run, if the files have it, and how the node starts.
pub async fn begin(
    chat: &Chat,
    remembered: Option<&Peeked>,
    (contacts, key): (&[SocketAddr], Option<&RoomKey>),
    fresh: RoomId,
) -> (Option<RoomId>, ring::Start) {
    let rooms = remembered.map_or(&[][..], |peeked| &peeked.rooms);
    let last = rooms.first().copied();
    match &chat.start {
        StartMode::Create if chat.new => (None, ring::Start::Create(fresh)),
        StartMode::Create | StartMode::Resume => match last {
            Some(room) if chat.start == StartMode::Resume => (Some(room), ring::Start::Resume),
            Some(room) => (Some(room), ring::Start::Reopen),
            None => (None, ring::Start::Create(fresh)),
        },
        StartMode::Join(_) => {
            // The room of the contacts: one that the files hold, or a new one.
            let there = if rooms.is_empty() { None } else { place::room_of(contacts, key).await };
            let room = match there {
                Some(room) => rooms.iter().copied().find(|known| *known == room),
                None => last,
            };
            (room, ring::Start::Join(contacts.to_vec()))
        }
    }
}

/// Opens the store.
///
/// # Errors
/// Another process has the file open, or the file cannot be used.
pub fn open(
    chat: &Chat,
    port: u16,
    (room, key): (Option<RoomId>, Option<KeyMark>),
    uid: Uid,
    (identity, session): (Identity, SessionId),
) -> Result<Opened, Failure> {
    if chat.ephemeral {
        return Ok(Opened::ephemeral(identity));
    }
    let path = store::file_in(&chat.data_dir, port);
    let ask = OpenRequest { room, session, identity, name: chat.name.to_string(), uid, key };
    store::open(&path, &ask).map_err(|error| unusable(&path, &error))
}

/// The message about a damaged file that was moved aside.
pub fn aside_text(aside: &store::Quarantined) -> String {
    let file = aside.path.file_name().unwrap_or_default().to_string_lossy();
    format!("the history file was damaged ({}): it is now {file}, and its lines come from the others again", aside.why)
}

/// Checks that the directory of the files exists. The program does not create it, so that a typing mistake has no
/// effect.
///
/// # Errors
/// There is no such directory.
pub fn check_directory(chat: &Chat) -> Result<(), Failure> {
    let dir = chat.data_dir.display();
    match std::fs::metadata(&chat.data_dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !chat.ephemeral => Err(Failure::new(
            Exit::Files,
            format!("cannot use {dir}"),
            "there is no such directory",
            format!("try `mkdir -p {dir}`, or another directory with --data-dir DIR"),
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn unusable(path: &Path, error: &OpenError) -> Failure {
    let what = format!("cannot use {}", path.display());
    let (why, hint) = match error {
        OpenError::Held(who) => (
            format!("it is in use by {who}"),
            "try another port with -p PORT, or another directory with --data-dir DIR",
        ),
        OpenError::Unusable(error @ store::Error::Unsigned) => {
            (error.to_string(), "move it away and start again; the older program still reads it")
        }
        OpenError::Unusable(error @ store::Error::Newer(_)) => {
            (error.to_string(), "try that program, or --data-dir DIR")
        }
        OpenError::Unusable(error) => {
            (error.to_string(), "try another directory with --data-dir DIR, or --ephemeral to keep nothing")
        }
    };
    Failure::new(Exit::Files, what, why, hint)
}

/// Moves aside the file that a run has found damaged, so that the next run starts anew. Returns the run's failure.
pub fn after_damage(chat: &Chat, port: u16, why: &str) -> Failure {
    let path: PathBuf = store::file_in(&chat.data_dir, port);
    match store::set_aside(&path, why) {
        Ok(aside) => Failure::new(
            Exit::Files,
            format!("the history in {} is damaged; left the room", path.display()),
            format!("{why}\nit is now {}", aside.path.display()),
            "start again: its lines come from the others; then check the disk",
        ),
        Err(error) => unusable(&path, &error),
    }
}
