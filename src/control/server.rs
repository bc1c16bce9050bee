//! The node's side of a socket: answers other processes of the same user.

use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroizing;

use super::protocol::{OPEN, Question, read_first_line};
use super::{frontend, socket};
use crate::feed::broadcaster::FRONTS_MAX;
use crate::feed::node_handle::{NodeEnded, NodeHandle};
use crate::net::Keyring;
use crate::present::report::StatusReport;
use crate::ring::Status;

/// How long one question may take, and then its answer. Frontends stay longer.
const ANSWER: Duration = Duration::from_secs(3);
/// Maximum bytes of a question.
const QUESTION_BYTES_MAX: u64 = 512;
/// Clients at the same time: the frontends, and some questions.
const ASKERS_MAX: usize = FRONTS_MAX + 16;

/// A listening socket. Dropping it removes its file.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode. A later node's file of the same name must stay.
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
    /// Creates the socket of the node that listens there, in the runtime directory. Replaces the socket of a dead node.
    /// Call it within a tokio runtime.
    ///
    /// # Errors
    /// The directory belongs to another user, or a running node has that socket (in another network namespace).
    pub fn bind(listens: SocketAddr) -> io::Result<Self> {
        Self::bind_at(socket::socket_path(&socket::directory()?, listens))
    }

    /// Creates the socket beside a node's files. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The directory does not allow it, or a running node has that socket.
    pub fn bind_beside(data_dir: &Path, port: u16) -> io::Result<Self> {
        // The process may change its directory, and the file must be found at the end.
        Self::bind_at(std::path::absolute(socket::beside(data_dir, port))?)
    }

    fn bind_at(path: PathBuf) -> io::Result<Self> {
        let listener = match socket::bind(&path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if socket::connect(&path).is_ok() {
                    return Err(io::Error::new(error.kind(), format!("{} is another node's", path.display())));
                }
                std::fs::remove_file(&path)?;
                socket::bind(&path)?
            }
            bound => bound?,
        };
        std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let file = SocketFile { id: file_id(&path)?, path };
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, file })
    }

    /// Answers clients until the node has ended.
    pub async fn serve(self, answers: Answers) {
        let Self { listener, file } = self;
        let user = rustix::process::geteuid().as_raw();
        let places = Arc::new(Semaphore::new(ASKERS_MAX));
        loop {
            let asker = tokio::select! {
                accepted = listener.accept() => accepted,
                () = answers.node_handle.urgent.closed() => break,
            };
            match asker {
                Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| may_ask(peer.uid(), user)) => {
                    if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                        let answers = answers.clone();
                        tokio::spawn(async move {
                            let _ = answers.answer(stream).await;
                            drop(place);
                        });
                    }
                }
                Ok(_) => {}
                // Perhaps the process is out of descriptors. No event tells when one is free.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        drop(file);
    }
}

/// Whether `asker` may query a node of `user`.
fn may_ask(asker: u32, user: u32) -> bool {
    asker == user || asker == 0
}

/// The node's handles that answers need. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Answers {
    /// The node.
    pub node_handle: NodeHandle,
    /// The keys of its room.
    pub keyring: Keyring,
    /// Each frontend has a clone. When all clones are gone, every frontend has received everything.
    pub fronts: mpsc::Sender<()>,
}

impl Answers {
    async fn answer(self, stream: UnixStream) -> anyhow::Result<()> {
        let (input, mut output) = stream.into_split();
        let (mut input, mut asked) = (BufReader::new(input), String::new());
        let mut first = (&mut input).take(QUESTION_BYTES_MAX);
        tokio::time::timeout(ANSWER, first.read_line(&mut asked)).await??;
        if let Some(wanted) = read_first_line(&asked) {
            let Self { node_handle, keyring: _, fronts } = self;
            let _told = fronts;
            return Ok(frontend::serve(wanted, &node_handle, input, output).await?);
        }
        let Some(question) = Question::ALL.into_iter().find(|question| question.line() == asked) else { return Ok(()) };
        let answer = async {
            let mut line = Zeroizing::new(match question {
                Question::Status => serde_json::to_vec(&StatusReport::from(self.status().await?))?,
                Question::Key => {
                    self.keyring.keys().current.map_or_else(|| OPEN.into(), |key| key.kept().as_bytes().to_vec())
                }
            });
            line.push(b'\n');
            output.write_all(&line).await?;
            Ok(())
        };
        tokio::time::timeout(ANSWER, answer).await?
    }

    async fn status(&self) -> anyhow::Result<Status> {
        self.node_handle.status().await.map_err(|NodeEnded| anyhow::anyhow!("the node has ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_but_the_same_user_and_who_may_do_everything() {
        assert!(may_ask(1000, 1000) && may_ask(0, 1000) && may_ask(0, 0));
        assert!(!may_ask(1001, 1000) && !may_ask(1000, 0));
    }
}
