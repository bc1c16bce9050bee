//! A node's database file: who uses it, what it remembers, and what happens when it is damaged.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};

use super::api::Store as _;
use super::error::Error;
use super::history::History;
use super::journal;
use super::lock::{Lock, OpenError};
use super::sqlite::{Sqlite, facts, open_again, open_to_read};
use crate::identity::Identity;
use crate::key::KeyMark;
use crate::ring::hex;
use crate::ring::{Index, Record, RoomId, SavedState, SessionId, Shown, Uid};

/// The fact that holds the seed of the owner's identity. Only the owner can read the file.
const IDENTITY: &str = "identity";

/// Facts of a file, read without locking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeked {
    /// The name in the last run.
    pub name: Option<String>,
    /// The advertised address of the last run.
    pub uid: Option<Uid>,
    /// The rooms; the first is the room of the last run.
    pub rooms: Vec<RoomId>,
    /// The address book of the last run's room.
    pub book: Vec<Uid>,
    /// The mark of that room's key; `None`: the room was open.
    pub key: Option<KeyMark>,
}

/// Parameters of a run that opens the file.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// A room that the file holds; `None`: no room yet.
    pub room: Option<RoomId>,
    /// The session id of this run.
    pub session: SessionId,
    /// The identity to store if the file has none.
    pub identity: Identity,
    /// The run's name, to be stored.
    pub name: String,
    /// The advertised address, to be stored.
    pub uid: Uid,
    /// The mark of the key, for a room that is new to the file; `None`: the room has no key. For other rooms see
    /// [`remember_key`]: a key that has not yet admitted this node may belong to another room.
    pub key: Option<KeyMark>,
}

/// An open file and what it holds.
#[derive(Debug)]
pub struct Opened {
    /// The store of the run.
    pub history: History,
    /// The saved state for the core.
    pub saved: SavedState,
    /// The owner's identity.
    pub identity: Identity,
    /// The chat log is complete up to this index and this many bytes.
    pub logged: (Index, u64),
    /// Lines that were shown beyond what the log tells.
    pub shown: Shown,
    /// The damaged file that was in this place, if there was one.
    pub aside: Option<Quarantined>,
}

/// A damaged file, moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its new path.
    pub path: PathBuf,
    /// The damage, as a text for people.
    pub why: String,
}

/// The path of the file for a node with this port.
pub fn file_in(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!("chat_{port}.db"))
}

/// Reads a file's facts without locking it. `None`: there is no file.
///
/// # Errors
/// See [`Error`].
pub fn peek(path: &Path) -> Result<Option<Peeked>, Error> {
    check_beginning(path)?;
    if !path.try_exists().unwrap_or(false) || path.metadata().is_ok_and(|meta| meta.len() == 0) {
        return Ok(None);
    }
    peek_into(&open_to_read(path)?).map(Some)
}

fn fact(db: &Connection, key: &str) -> Option<String> {
    db.query_row("SELECT value FROM node WHERE key = ?1", [key], |row| row.get(0)).ok()
}

fn peek_into(db: &Connection) -> Result<Peeked, Error> {
    let rooms = {
        let mut rooms = db.prepare("SELECT id FROM room ORDER BY entered DESC, no DESC")?;
        let rooms = rooms.query_map([], |row| row.get::<_, i64>(0).map(|id| RoomId(id.cast_unsigned())))?;
        rooms.collect::<Result<Vec<_>, _>>()?
    };
    let book = {
        let sql = "SELECT uid FROM book WHERE room =
                   (SELECT no FROM room ORDER BY entered DESC, no DESC LIMIT 1) ORDER BY uid";
        let mut book = db.prepare(sql)?;
        let book = book.query_map([], |row| row.get::<_, String>(0))?;
        book.filter_map(|uid| uid.ok()?.parse().ok()).collect()
    };
    let uid = fact(db, "uid").and_then(|uid| uid.parse().ok());
    let key = rooms.first().and_then(|room| fact(db, &facts::key_of(*room)));
    // An unreadable mark must not turn a keyed room into an open one.
    let key =
        key.map(|mark| mark.parse().map_err(|()| Error::Damaged("it holds a key's mark that is none".to_owned())));
    let key = key.transpose()?;
    Ok(Peeked { name: fact(db, "name"), uid, rooms, book, key })
}

/// Converts a file of an older version to today's format.
///
/// # Errors
/// See [`OpenError`].
pub fn upgrade(path: &Path) -> Result<(), OpenError> {
    let _lock = Lock::take(path)?;
    Sqlite::open(path)?;
    Ok(())
}

/// Stores the mark of a room's key while a run has the file open.
///
/// # Errors
/// See [`Error`].
pub fn remember_key(path: &Path, room: RoomId, mark: &KeyMark) -> Result<(), Error> {
    facts::write(&open_again(path)?, &facts::key_of(room), &mark.to_string())
}

/// Opens the file for a run. A damaged file is moved aside; its readable facts (room, members, owner) go into a new
/// file, and the other members send the log again.
///
/// # Errors
/// See [`OpenError`].
pub fn open(path: &Path, ask: &OpenRequest) -> Result<Opened, OpenError> {
    let lock = Lock::take(path)?;
    let opened = match check_beginning(path).and_then(|()| enter(path, ask)) {
        Err(Error::Damaged(why)) => {
            let (aside, lock, room) = move_aside(path, why)?;
            let ask = OpenRequest { room: ask.room.filter(|&asked| Some(asked) == room), ..ask.clone() };
            (enter(path, &ask)?, lock, Some(aside))
        }
        other => (other?, lock, None),
    };
    let ((file, identity, saved), lock, aside) = opened;
    let (logged, shown) = (file.log_mark()?, file.shown()?);
    let history = History::kept(file, lock)?;
    Ok(Opened { history, saved, identity, logged, shown, aside })
}

/// Refuses a write-ahead log or a journal whose database file is missing: opening would drop its content.
fn check_beginning(path: &Path) -> Result<(), Error> {
    let length = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
    let rest = length(&path.with_extension("db-wal")) + length(&journal::file_of(path));
    match length(path) == 0 && rest > 0 {
        true => Err(Error::Damaged("its beginning is missing".to_owned())),
        false => Ok(()),
    }
}

fn enter(path: &Path, ask: &OpenRequest) -> Result<(Sqlite, Identity, SavedState), Error> {
    let mut file = Sqlite::open(path)?;
    file.replay(&journal::file_of(path))?;
    sync_directory(path);
    let identity = match file.fact(IDENTITY)?.map(|digits| identity_of(&digits)) {
        Some(Some(identity)) => identity,
        Some(None) => return Err(Error::Damaged("it holds an identity that is none".to_owned())),
        None => ask.identity.clone(),
    };
    // A crash may leave a long write-ahead log that fills the disk. If shrinking fails, the next steps report it.
    let _ = file.shrink();
    file.set_fact(IDENTITY, &digits_of(&identity))?;
    file.set_fact("name", &ask.name)?;
    file.set_fact("uid", &ask.uid.to_string())?;
    file.set_fact("pid", &std::process::id().to_string())?;
    file.keep_key(ask.key.as_ref().map(KeyMark::to_string));
    file.enter(ask.room, identity.author(), ask.session)?;
    // Read everything now: here the file can still be moved aside if it is damaged.
    let saved = file.saved()?;
    Ok((file, identity, saved))
}

/// Syncs the directory, so that a new file's name survives a loss of power as its content does.
fn sync_directory(path: &Path) {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where directories cannot be synced, the file system does so itself.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
}

/// Moves a file aside after a run has found damage in it.
///
/// # Errors
/// See [`OpenError`].
pub fn set_aside(path: &Path, why: &str) -> Result<Quarantined, OpenError> {
    let _lock = Lock::take(path)?;
    move_aside(path, why.to_owned()).map(|(aside, ..)| aside)
}

/// Renames the file and its companions, and creates a new file with the facts that the old one still holds.
fn move_aside(path: &Path, why: String) -> Result<(Quarantined, Lock, Option<RoomId>), OpenError> {
    let unwritable = |error: io::Error| OpenError::Unusable(Error::Unwritable(error.to_string()));
    let left = salvage(path);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let suffixed = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let free = (0..).map(|n: u32| match n {
        0 => format!(".damaged-{now}"),
        n => format!(".damaged-{now}-{n}"),
    });
    let mark = free.into_iter().find(|mark| !suffixed(mark).exists()).unwrap_or_default();
    let parts = ["-wal", "-shm"].map(|part| (suffixed(part), suffixed(&format!("{mark}{part}"))));
    for (from, to) in parts.into_iter().chain([(journal::file_of(path), suffixed(&format!("{mark}.journal")))]) {
        match fs::rename(from, to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
            Ok(()) | Err(_) => {}
        }
    }
    let aside = Quarantined { path: suffixed(&mark), why };
    match fs::rename(path, &aside.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
        Ok(()) | Err(_) => {}
    }
    let lock = Lock::take(path)?;
    let mut file = Sqlite::open(path)?;
    if let Some(name) = left.name {
        file.set_fact("name", &name)?;
    }
    if let Some(identity) = left.identity {
        file.set_fact(IDENTITY, &digits_of(&identity))?;
    }
    if let Some(room) = left.room {
        let mut group = vec![Record::Room(room)];
        group.extend(left.book.into_iter().map(Record::LearnPeer));
        file.keep_key(left.key.map(|mark| mark.to_string()));
        file.write(&group)?;
    }
    Ok((aside, lock, left.room))
}

/// The facts that can still be read from a damaged file.
#[derive(Debug, Default)]
struct Salvaged {
    identity: Option<Identity>,
    name: Option<String>,
    room: Option<RoomId>,
    book: Vec<Uid>,
    key: Option<KeyMark>,
}

fn salvage(path: &Path) -> Salvaged {
    // Open it whatever its length: its first pages may be intact.
    let Ok(db) = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return Salvaged::default();
    };
    let identity = fact(&db, IDENTITY).and_then(|digits| identity_of(&digits));
    match peek_into(&db) {
        Ok(Peeked { name, rooms, book, key, .. }) => {
            Salvaged { identity, name, room: rooms.first().copied(), book, key }
        }
        Err(_) => Salvaged { identity, ..Salvaged::default() },
    }
}

fn digits_of(identity: &Identity) -> String {
    hex::text(&identity.seed())
}

fn identity_of(digits: &str) -> Option<Identity> {
    hex::read(digits).map(Identity::of_seed)
}

impl Opened {
    /// Makes a history that ends with the process.
    pub fn ephemeral(identity: Identity) -> Self {
        let history = History::ephemeral();
        let saved = history.saved().unwrap_or_default();
        Self { history, saved, identity, logged: (Index(0), 0), shown: Shown::default(), aside: None }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::key::RoomKey;

    const ROOM: RoomId = RoomId(7);

    fn mark(byte: u8) -> KeyMark {
        KeyMark::of(&RoomKey::new([byte; 32], Some([9; 16])))
    }

    /// Runs once in the room, and stores the mark of its key.
    fn run(path: &Path, known: Option<RoomId>, key: Option<KeyMark>) {
        let uid = "127.0.0.1:1".parse().unwrap();
        let identity = Identity::of_seed([1; 32]);
        let ask = OpenRequest { room: known, session: SessionId(2), identity, name: "ann".into(), uid, key };
        let mut opened = open(path, &ask).unwrap();
        if known.is_none() {
            opened.history.save(&Record::Room(ROOM)).unwrap();
        }
        opened.history.commit().unwrap();
        opened.history.finish().unwrap();
    }

    fn remembered(path: &Path) -> Option<KeyMark> {
        peek(path).unwrap().unwrap().key
    }

    #[test]
    fn a_room_that_had_a_key_is_remembered_as_such_whatever_becomes_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat_1.db");
        run(&path, None, Some(mark(1)));
        assert_eq!(remembered(&path), Some(mark(1)));
        run(&path, Some(ROOM), None);
        assert_eq!(remembered(&path), Some(mark(1)));
        set_aside(&path, "a test").unwrap();
        assert_eq!(remembered(&path), Some(mark(1)));
    }

    #[test]
    fn a_key_that_has_let_nobody_in_is_not_that_of_a_room_that_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat_1.db");
        run(&path, None, None);
        run(&path, Some(ROOM), Some(mark(1)));
        assert_eq!(remembered(&path), None);
        remember_key(&path, ROOM, &mark(2)).unwrap();
        assert_eq!(remembered(&path), Some(mark(2)));
    }

    #[test]
    fn a_mark_that_cannot_be_read_does_not_make_a_room_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat_1.db");
        run(&path, None, Some(mark(1)));
        facts::write(&open_again(&path).unwrap(), &facts::key_of(ROOM), "nonsense").unwrap();
        assert!(matches!(peek(&path), Err(Error::Damaged(_))));
    }

    #[test]
    fn a_name_that_was_taken_is_the_next_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("chat_1.db");
        let uid = "127.0.0.1:1".parse().unwrap();
        let identity = Identity::of_seed([1; 32]);
        let ask = OpenRequest { room: None, session: SessionId(2), identity, name: "ann".into(), uid, key: None };
        let mut opened = open(&path, &ask).unwrap();
        opened.history.save(&Record::Room(ROOM)).unwrap();
        opened.history.commit().unwrap();
        let name = || peek(&path).unwrap().unwrap().name;
        assert_eq!(name().as_deref(), Some("ann"));
        opened.history.renamed(&crate::ring::Name::parse("anna").unwrap());
        assert_eq!(name().as_deref(), Some("anna"));
        opened.history.finish().unwrap();
        assert_eq!(name().as_deref(), Some("anna"));
    }
}
