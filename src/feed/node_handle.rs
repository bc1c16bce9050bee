//! The node as its frontends see it: what they can ask for, and who it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::{mpsc, oneshot, watch};

use super::broadcaster::Broadcaster;
use super::own_lines::OwnLines;
use super::publisher::RoomPlace;
use crate::net::Command;
use crate::present::builder::UpdateBuilder;
use crate::present::values::{FeedHello, FeedState};
use crate::ring::{Entry, Index, Status, Uid};

/// What frontends need of the node; cheap to clone.
#[derive(Clone, Debug)]
pub struct NodeHandle(Arc<NodeHandleParts>);

/// See [`NodeHandle`].
#[derive(Debug)]
pub struct NodeHandleParts {
    /// Lines go here, in order.
    pub commands: mpsc::Sender<Command>,
    /// Questions go here.
    pub urgent: mpsc::Sender<Command>,
    /// What happens comes from here.
    pub broadcaster: Broadcaster,
    /// Counts what is said here.
    pub lines: OwnLines,
    /// Who the node is in its room.
    pub place: watch::Receiver<RoomPlace>,
    /// The name that it would like.
    pub wanted: crate::ring::Name,
    /// The address that it advertises.
    pub uid: Uid,
    /// The file with the history, if one is kept.
    pub past: Option<PathBuf>,
    /// The file with the log, if one is kept, as it is named from where the program was started.
    pub log: Option<String>,
    /// Makes values.
    pub update_builder: UpdateBuilder,
    /// Set once the node is leaving: nothing more is said.
    pub leaving: Arc<AtomicBool>,
}

impl std::ops::Deref for NodeHandle {
    type Target = NodeHandleParts;

    fn deref(&self) -> &NodeHandleParts {
        &self.0
    }
}

/// The node has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeEnded;

impl NodeHandle {
    /// Of these parts.
    pub fn new(parts: NodeHandleParts) -> Self {
        Self(Arc::new(parts))
    }

    /// The first word to a frontend.
    pub fn hello(&self) -> FeedHello {
        let place = self.place.borrow().clone();
        let (name, room) = place.map_or((self.wanted.clone(), None), |(name, room)| (name, Some(room)));
        // Whoever is attached may be in another directory.
        let log = self
            .log
            .as_ref()
            .map(|log| std::path::absolute(log).map_or_else(|_| log.clone(), |log| log.to_string_lossy().into_owned()));
        FeedHello { program: env!("CARGO_PKG_VERSION").to_owned(), name, address: self.uid, room, log }
    }

    /// Hands over a command that stands in line behind what was said.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn tell(&self, command: Command) -> Result<(), NodeEnded> {
        self.commands.send(command).await.map_err(|_| NodeEnded)
    }

    /// The node at this moment.
    ///
    /// # Errors
    /// It has ended.
    pub async fn status(&self) -> Result<Status, NodeEnded> {
        let (ask, answer) = oneshot::channel();
        self.urgent.send(Command::Status(ask)).await.map_err(|_| NodeEnded)?;
        answer.await.map_err(|_| NodeEnded)
    }

    /// The node once it has taken all that was handed over before.
    ///
    /// # Errors
    /// It has ended.
    pub async fn settled(&self) -> Result<Status, NodeEnded> {
        let (ask, answer) = oneshot::channel();
        self.tell(Command::Status(ask)).await?;
        answer.await.map_err(|_| NodeEnded)
    }

    /// Entries of the history from this one on, as many as come at once; none: it ends before.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn page(&self, from: Index) -> Result<Vec<Arc<Entry>>, NodeEnded> {
        let (answer, entries) = oneshot::channel();
        self.urgent.send(Command::Past { from, answer }).await.map_err(|_| NodeEnded)?;
        entries.await.map_err(|_| NodeEnded)
    }

    /// The same as frontends are told, with what the leader knows of each member.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn survey(&self) -> Result<(Status, FeedState), NodeEnded> {
        let status = self.status().await?;
        let mut state = FeedState::from(&status);
        let (ask, answer) = oneshot::channel();
        self.urgent.send(Command::Survey(ask)).await.map_err(|_| NodeEnded)?;
        state.learn(&answer.await.map_err(|_| NodeEnded)?.health);
        Ok((status, state))
    }

    /// The same as frontends are told.
    ///
    /// # Errors
    /// The node has ended.
    pub async fn state(&self) -> Result<FeedState, NodeEnded> {
        self.status().await.map(|status| FeedState::from(&status))
    }
}
