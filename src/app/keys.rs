//! The key of a run: named, typed, invited, remembered, or none.
//!
//! A room that had a key never opens without one by accident: the files remember that it had one.

use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::termios::isatty;
use tokio::sync::{mpsc, watch};
use zeroize::Zeroizing;

use super::Signals;
use crate::failure::{Exit, Failure, complain};
use crate::feed::broadcaster::Broadcaster;
use crate::feed::publisher::RoomPlace as InRoom;
use crate::key::invite::Invite;
use crate::key::{self, KeyError, KeyInput, KeyMark, RoomKey, TEXT_BYTES_MAX, ask, file, passphrase, salt};
use crate::ring::RoomId;
use crate::settings::{Chat, Contact, KeyFrom, StartMode};
use crate::store::{self, Peeked};

/// The key of a run.
#[derive(Debug, Default)]
pub struct Keyed {
    /// The key; `None`: the room is open.
    pub key: Option<RoomKey>,
    /// The file that gets the key once the key has let the node in.
    pub keep: Option<PathBuf>,
}

/// Reads the invite, if the run begins with one. The run then goes on as if the user had given the invite's parts.
///
/// # Errors
/// There is no invite, or it is damaged.
pub async fn accept_invite(chat: &mut Chat, signals: &mut Signals) -> Result<(), Failure> {
    let KeyFrom::Invite(from) = &chat.key else { return Ok(()) };
    let token = match from {
        Some(path) => file::read(path)?,
        None if isatty(io::stdin()) => typed("invite (it is not shown): ", signals).await?,
        None => first_line()?,
    };
    let invite = Invite::parse(&token).ok_or_else(|| match key::invite::is_one(&token) {
        true => Failure::new(
            Exit::Usage,
            "that invite is damaged",
            "its check is wrong: a part is missing, or a newer program made it",
            "try to copy all of it again",
        ),
        false => Failure::new(
            Exit::Usage,
            "that is no invite",
            "an invite begins with dcinvite1",
            "`dist-chat invite` prints one, where a member of the room runs",
        ),
    })?;
    let contact = |address: &SocketAddr| Contact { host: address.ip().to_string(), port: address.port() };
    chat.start = StartMode::Join(invite.addresses.iter().map(contact).collect());
    chat.key = KeyFrom::Invited(invite.key);
    Ok(())
}

/// The first line of standard input. Reads not a byte more, since the following lines go to the room.
fn first_line() -> Result<Zeroizing<String>, Failure> {
    let nothing = |why: String| {
        let hint = "try `dist-chat join FILE`, or without a pipe to be asked";
        Failure::new(Exit::Usage, "no invite on standard input", why, hint)
    };
    let mut stdin =
        io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from).map_err(|e| nothing(e.to_string()))?;
    let mut line = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX));
    let mut byte = [0];
    while line.len() < TEXT_BYTES_MAX {
        match stdin.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(nothing(error.to_string())),
        }
    }
    match std::str::from_utf8(&line).map(str::trim) {
        Ok("") => Err(nothing("its first line is empty".to_owned())),
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(nothing("its first line is no text".to_owned())),
    }
}

/// Asks the user. A signal ends the question.
async fn typed(prompt: &'static str, signals: &mut Signals) -> Result<Zeroizing<String>, Failure> {
    let unasked = |what: &str, why: String| Failure::new(Exit::Usage, what, why, "try a file that only you can read");
    if !ask::is_somebody_there() {
        return Err(unasked("there is nobody to ask for the key", "there is no terminal here".to_owned()));
    }
    let restore = ask::EchoGuard::new();
    let answer = tokio::task::spawn_blocking(|| ask::ask(prompt));
    let answer = tokio::select! {
        answer = answer => answer.unwrap_or_else(|error| Err(io::Error::other(error))),
        _ = signals.terminate.recv() => Err(io::ErrorKind::Interrupted.into()),
        _ = signals.hang_up.recv() => Err(io::ErrorKind::Interrupted.into()),
    };
    restore.now();
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::UnexpectedEof => {
            unasked("nothing was typed", "the question was broken off".to_owned())
        }
        _ => unasked("there is nobody to ask for the key", error.to_string()),
    })
}

/// Finds the key of this run. `contacts`: the nodes to ask for the salt of a passphrase.
///
/// # Errors
/// The key cannot be read, or it is not the key of the room in the files.
pub async fn take(
    chat: &Chat,
    remembered: Option<&Peeked>,
    contacts: &[SocketAddr],
    port: u16,
    signals: &mut Signals,
) -> Result<Keyed, Failure> {
    let own = (!chat.ephemeral).then(|| file::kept_in(&chat.data_dir, port));
    let known = remembered.filter(|peeked| !peeked.rooms.is_empty() && !chat.new);
    // The room that this run returns to, if that is clear.
    let back = known.filter(|_| matches!(chat.start, StartMode::Create | StartMode::Resume));
    let mark = back.and_then(|peeked| peeked.key.as_ref());
    let had_a_key = known.is_some_and(|peeked| peeked.key.is_some());
    let (text, source) = match &chat.key {
        KeyFrom::Invited(key) => {
            let keep = own.filter(|_| key.is_some());
            return Ok(Keyed { key: key.clone(), keep });
        }
        KeyFrom::Invite(_) => unreachable!("the invite has been read"),
        KeyFrom::File(path) => (file::read(path)?, KeySource::File(path.clone())),
        KeyFrom::Asked => (typed("room key (it is not shown): ", signals).await?, KeySource::Person),
        KeyFrom::Unsaid => {
            let known_open = back.is_some() && mark.is_none();
            match own.filter(|own| chat.port != 0 && !known_open && own.exists()) {
                Some(own) => {
                    let text = file::read(&own)?;
                    complain(format_args!("dist-chat: the room's key is that of {}", own.display()));
                    (text, KeySource::File(own))
                }
                None if !had_a_key => return Ok(Keyed::default()),
                None if ask::is_somebody_there() => {
                    (typed("this room has a key (it is not shown): ", signals).await?, KeySource::Person)
                }
                None => return Err(no_key_given()),
            }
        }
    };
    let key = match key::read(&text).map_err(|mistake| no_key(mistake, &source))? {
        KeyInput::Key(key) => key,
        KeyInput::Passphrase(phrase) => {
            let salt = match (mark, &chat.start) {
                (Some(KeyMark { salt: Some(salt), .. }), _) => *salt,
                (Some(KeyMark { salt: None, .. }), _) => {
                    return Err(another_key(Some("the room's key is no passphrase")));
                }
                (None, StartMode::Join(_)) => salt_of(contacts).await?,
                (None, StartMode::Create | StartMode::Resume) => {
                    if matches!(source, KeySource::Person) && *typed("once more: ", signals).await? != *phrase {
                        let why = "a room with a key that nobody knows would be of no use";
                        return Err(Failure::new(Exit::Usage, "the two passphrases differ", why, "try again"));
                    }
                    passphrase::fresh_salt()?
                }
            };
            let made = tokio::task::spawn_blocking(move || passphrase::key(&phrase, salt)).await;
            made.map_err(anyhow::Error::new)??
        }
    };
    match mark {
        Some(mark) if *mark != KeyMark::of(&key) => Err(another_key(None)),
        Some(_) | None => Ok(Keyed { key: Some(key), keep: None }),
    }
}

/// The source of a key.
enum KeySource {
    File(PathBuf),
    Person,
}

fn no_key(mistake: KeyError, source: &KeySource) -> Failure {
    let place = match source {
        KeySource::File(path) => format!("in {}", path.display()),
        KeySource::Person => "that was typed".to_owned(),
    };
    let (what, why, hint) = match mistake {
        KeyError::Mistyped => ("the key", "is mistyped: its check is wrong", "try it again, digit by digit"),
        KeyError::Short => (
            "the passphrase",
            "is too short: everybody who reaches the port could guess it",
            "try 12 characters or more, several words; or a key of `dist-chat key`",
        ),
        KeyError::Invite => ("the key", "is an invite", "try `dist-chat join`"),
    };
    Failure::new(Exit::Usage, format!("{what} {place} cannot be used"), format!("it {why}"), hint)
}

fn no_key_given() -> Failure {
    Failure::new(
        Exit::Refused,
        "the room of these files has a key, and none was given",
        "it is not opened to everybody by accident",
        "try --key-file FILE, or --ask-key at a terminal\nfor another room: -l --new, or another -p PORT or --data-dir DIR",
    )
}

fn another_key(why: Option<&str>) -> Failure {
    Failure::new(
        Exit::Refused,
        "that is not the key of the room of these files",
        why.unwrap_or("it is not the one that the room had when this node was in it last"),
        "try that key; where the room has another one by now, join it through a member with -na",
    )
}

/// The salt of the room of these members.
async fn salt_of(contacts: &[SocketAddr]) -> Result<[u8; key::SALT_BYTES], Failure> {
    let refused = |there: &SocketAddr, what: &str, why: &str, hint: &str| {
        Err(Failure::new(Exit::Refused, format!("the room at {there} {what}"), why, hint))
    };
    let mut last = None;
    for there in contacts.iter().copied() {
        let answer = tokio::task::spawn_blocking(move || salt::ask(there)).await;
        match answer.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(salt::SaltAnswer::Salt(salt)) => return Ok(salt),
            Ok(salt::SaltAnswer::Generated) => {
                let why = "what you gave is a passphrase, the room has a key that the program has drawn";
                return refused(
                    &there,
                    "has another kind of key",
                    why,
                    "try that key, or an invite and `dist-chat join`",
                );
            }
            Ok(salt::SaltAnswer::Open) => {
                let why = "you gave a key, so it cannot be the room that you mean";
                return refused(&there, "is open", why, "try another address, or without the key");
            }
            Err(error) => last = Some((there, error)),
        }
    }
    let (there, error) = last.unwrap_or_else(|| (SocketAddr::from(([0; 4], 0)), io::ErrorKind::NotConnected.into()));
    let why = match error.kind() {
        io::ErrorKind::InvalidData => {
            "what listens there does not answer as a dist-chat of this version does".to_owned()
        }
        _ => error.to_string(),
    };
    Err(Failure::new(
        Exit::Unreachable,
        format!("cannot ask {there} for the salt of the room's passphrase"),
        why,
        "try another member's address, or an invite and `dist-chat join`",
    ))
}

/// Reports to the owner about keys while the node runs.
#[derive(Clone)]
pub struct Owner {
    /// The frontends.
    pub broadcaster: Broadcaster,
    /// A user types on the terminal. Standard error would write into the line that is being typed.
    pub is_person: bool,
}

impl Owner {
    fn remark(&self, text: &str) {
        match self.is_person {
            true => self.broadcaster.event(text),
            false => complain(format_args!("dist-chat: {text}")),
        }
    }

    /// Stores in the history's file that the room has a key.
    fn remember(&self, key: &RoomKey, path: &Path, room: RoomId) {
        if let Err(error) = store::remember_key(path, room, &KeyMark::of(key)) {
            self.remark(&format!("{} does not remember that the room has a key: {error}", path.display()));
        }
    }

    /// Writes the key into its file.
    fn keep_in(&self, key: &RoomKey, path: &Path) {
        let path_shown = path.display();
        self.remark(&match file::replace(path, &key.kept()) {
            Ok(()) => format!("the room's key is now in {path_shown}: everybody who can read that file can join"),
            Err(error) => format!("the room's key is not kept: {path_shown}: {error}"),
        });
    }
}

/// Stores the key, and that the room has it, once the node is in the room: only then the key has proved right.
pub async fn keep_right(
    mut entered: watch::Receiver<InRoom>,
    key: RoomKey,
    file: Option<PathBuf>,
    keep: Option<PathBuf>,
    owner: Owner,
) {
    let room = match entered.wait_for(Option::is_some).await.as_deref() {
        Ok(Some((_, room))) => *room,
        Ok(None) | Err(_) => return,
    };
    let kept = tokio::task::spawn_blocking(move || {
        if let Some(file) = file {
            owner.remember(&key, &file, room);
        }
        if let Some(keep) = keep {
            owner.keep_in(&key, &keep);
        }
    });
    let _ = kept.await;
}

/// Shows the remark once the node is in the room: only a member knows whether the room is open.
pub async fn tell_inside(mut entered: watch::Receiver<InRoom>, broadcaster: Broadcaster, remark: String) {
    if entered.wait_for(Option::is_some).await.is_ok() {
        broadcaster.event(&remark);
    }
}

/// The parts of [`keep_changed`].
pub struct Changed {
    /// The room's new keys.
    pub keys: mpsc::Receiver<RoomKey>,
    /// The history's file; `None`: the run is ephemeral.
    pub file: Option<PathBuf>,
    /// The file for the key; `None`: the run is ephemeral.
    pub keep: Option<PathBuf>,
    /// The user named the file with this run's key.
    pub by_file: bool,
    /// The node's room.
    pub entered: watch::Receiver<InRoom>,
    /// Gets the reports.
    pub owner: Owner,
}

/// Stores every new key of the room until the node has ended.
pub async fn keep_changed(changed: Changed) {
    let Changed { mut keys, file, keep, by_file, entered, owner } = changed;
    while let Some(key) = keys.recv().await {
        let room = entered.borrow().as_ref().map(|(_, room)| *room);
        let (file, keep, told) = (file.clone(), keep.clone(), owner.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let Some(keep) = keep else { return "it is not kept, with --ephemeral".to_owned() };
            if let Err(error) = file::replace(&keep, &key.kept()) {
                return format!("it cannot be kept in {} ({error})", keep.display());
            }
            if let (Some(file), Some(room)) = (file, room) {
                told.remember(&key, &file, room);
            }
            let hint = if by_file { "; from now on start without --key-file" } else { "" };
            format!("it is kept in {}{hint}", keep.display())
        });
        if let Ok(kept) = kept.await {
            owner
                .broadcaster
                .event(&format!("the room has another key: {kept}; `dist-chat invite` tells it to whom you choose"));
        }
    }
}

/// A remark for the owner of a node without a key, if there is something to say.
pub fn open_remark(key: Option<&RoomKey>, listens: SocketAddr) -> Option<String> {
    (key.is_none() && !listens.ip().is_loopback()).then(|| {
        format!("no key: anybody who reaches {listens} can read and write here (`dist-chat key --help` sets one)")
    })
}
