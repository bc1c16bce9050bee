//! The node's side: answers whoever of the same user asks.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

use zeroize::Zeroizing;

use super::report::Report;
use super::{OPEN, Question};
use crate::key::RoomKey;
use crate::net::Command;

/// The longest that one asker may take, the node's own time to answer included.
const ANSWER: Duration = Duration::from_secs(3);
/// Bytes of the longest question.
const QUESTION_BYTES_MAX: u64 = 64;

/// A socket that answers. Its file goes when it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: a later node's file of the same name is not ours to remove.
    id: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if file_id(&self.path).is_ok_and(|id| id == self.id) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn file_id(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|meta| (meta.dev(), meta.ino()))
}

impl Server {
    /// Makes the socket of the node that listens there; a dead node's is replaced. Within a tokio runtime.
    ///
    /// # Errors
    /// The directory is not ours, or a living node has that socket (in another network namespace).
    pub fn bind(listens: SocketAddr) -> io::Result<Self> {
        let path = super::socket_path(&super::directory()?, listens);
        let listener = match StdListener::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                    return Err(io::Error::new(error.kind(), format!("{} is another node's", path.display())));
                }
                std::fs::remove_file(&path)?;
                StdListener::bind(&path)?
            }
            bound => bound?,
        };
        let file = SocketFile { id: file_id(&path)?, path };
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, file })
    }

    /// Answers until the node has ended. `key`: that of the room, when it is asked for.
    pub async fn serve(self, node: mpsc::Sender<Command>, key: impl Fn() -> Option<RoomKey>) {
        let Self { listener, file } = self;
        let user = rustix::process::geteuid().as_raw();
        loop {
            let asker = tokio::select! {
                accepted = listener.accept() => accepted,
                () = node.closed() => break,
            };
            match asker {
                // One asker after the other: whoever dawdles is cut off.
                Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == user || peer.uid() == 0) => {
                    let _ = tokio::time::timeout(ANSWER, answer(stream, &node, &key)).await;
                }
                Ok(_) => {}
                // Out of descriptors, perhaps; there is no event to wait for.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        drop(file);
    }
}

async fn answer(
    mut stream: UnixStream,
    node: &mpsc::Sender<Command>,
    key: impl Fn() -> Option<RoomKey>,
) -> anyhow::Result<()> {
    let mut asked = String::new();
    BufReader::new((&mut stream).take(QUESTION_BYTES_MAX)).read_line(&mut asked).await?;
    let Some(question) = Question::ALL.into_iter().find(|question| question.line() == asked) else { return Ok(()) };
    let mut line = Zeroizing::new(match question {
        Question::Status => {
            let (ask, told) = oneshot::channel();
            node.send(Command::Status(ask)).await?;
            serde_json::to_vec(&Report::from(told.await?))?
        }
        Question::Key => key().map_or_else(|| OPEN.into(), |key| key.kept().as_bytes().to_vec()),
    });
    line.push(b'\n');
    stream.write_all(&line).await?;
    Ok(())
}
