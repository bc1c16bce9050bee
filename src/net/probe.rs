//! Probes a node without joining its room. The core knows nothing of these connections.

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow, bail, ensure};
use tokio::io::AsyncWriteExt as _;

use super::transport::arrival::Connected;
use super::transport::arrival::Failed;
use super::transport::dial::{dial, duration};
use super::transport::frames::Unframed;
use super::transport::greeting::SPEAKS_FOR_ANOTHER;
use super::transport::keyring::HandshakeConfig;
use super::transport::noise::Encryptor;
use crate::identity::Identity;
use crate::key::RoomKey;
use crate::ring::limits::PROTOCOL_VERSION;
use crate::ring::{AuthorId, Epoch, Frame, Hello, NodeState, PollReply, Refusal, RoomId, SessionId, Span, Timing, Uid};

/// Says hello as a node in no room, and returns the other node's hello. With a key, both ends first prove that they
/// have it.
///
/// Takes at most twice [`Timing::connect`]. The other end sees an author id that is used only once.
///
/// # Errors
/// The node does not answer in time, refuses, or answers with something that is not a hello.
pub async fn hello_at(there: SocketAddr, key: Option<RoomKey>) -> anyhow::Result<Hello> {
    let (identity, timing) = (Identity::fresh()?, Timing::default());
    let locks = HandshakeConfig::new(&identity, key)?;
    let connected = dial(there, timing, &locks).await.map_err(|why| anyhow!("no way in: {why:?}"))?;
    tokio::time::timeout(duration(timing.connect), exchange(connected, identity.author())).await.context("no hello")?
}

async fn exchange(connected: Connected, author: AuthorId) -> anyhow::Result<Hello> {
    let Connected { mut socket, session, plain, sealed } = connected;
    let proven = session.as_ref().map(|session| session.author);
    let (sealer, opener) = session.map(|session| (session.sealer, session.opener)).unzip();
    let hello = own_hello(Uid(socket.local_addr()?), author)?;
    socket.write_all(&bytes_of(&[Frame::Hello(hello)], sealer)?).await?;
    let mut unframed = Unframed::with(plain, opener.map(|opener| (opener, sealed)));
    let mut frames = Vec::new();
    while frames.is_empty() {
        ensure!(unframed.read(&socket).await? > 0, "it goes away");
        unframed.open().map_err(|fault| anyhow!("it {fault}"))?;
        if unframed.find()? > 0 {
            unframed.decode(&mut frames)?;
        }
    }
    let Some(Frame::Hello(hello)) = frames.into_iter().next() else { bail!("its first frame is no hello") };
    ensure!(proven.is_none_or(|proven| proven == hello.author), "it {SPEAKS_FOR_ANOTHER}");
    Ok(hello)
}

fn own_hello(uid: Uid, author: AuthorId) -> anyhow::Result<Hello> {
    Ok(Hello { version: PROTOCOL_VERSION, room: None, uid, author, session: SessionId(getrandom::u64()?) })
}

fn bytes_of(frames: &[Frame], sealer: Option<Encryptor>) -> anyhow::Result<Vec<u8>> {
    let mut lines = Vec::new();
    frames.iter().for_each(|frame| frame.encode(&mut lines));
    let Some(mut sealer) = sealer else { return Ok(lines) };
    let mut record = Vec::new();
    sealer.seal(&lines, &mut record).map_err(|fault| anyhow!("it {fault}"))?;
    Ok(record)
}

/// What a probed node says about itself and its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The node's address in the room.
    pub uid: Uid,
    /// The node's room, if it is in one.
    pub room: Option<RoomId>,
    /// The node's role; `None`: the node has not answered that in time.
    pub doing: Option<PeerState>,
}

/// The role of a probed node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// The node leads.
    Leading {
        /// The node's epoch.
        epoch: Epoch,
        /// The number of its followers.
        followers: u32,
    },
    /// The node follows the leader of this epoch.
    Following(Epoch),
    /// The node has no leader: it polls, elects, or is about to follow.
    Between,
    /// The node is looking for a room itself.
    Bootstrapping,
}

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// The node does not answer, or not in time.
    Silent,
    /// The node refuses this stranger.
    TurnedAway(Refusal),
    /// The answer is malformed; the text says how.
    Broken(String),
}

/// Probes a node: says hello and asks for its role, then closes the connection. Takes at most twice `patience`.
///
/// # Errors
/// See [`ProbeError`].
pub async fn meet_at(there: SocketAddr, key: Option<RoomKey>, patience: Span) -> Result<PeerInfo, ProbeError> {
    let ours = |error: anyhow::Error| ProbeError::Broken(format!("{error:#}"));
    let timing = Timing { connect: patience, ..Timing::default() };
    let identity = Identity::fresh().map_err(ours)?;
    let locks = HandshakeConfig::new(&identity, key).map_err(ours)?;
    let connected = dial(there, timing, &locks).await.map_err(|why| match why {
        Failed::Refused | Failed::Unreachable => ProbeError::Silent,
        Failed::TurnedAway(refusal) => ProbeError::TurnedAway(refusal),
        Failed::Broken(why) => ProbeError::Broken(why),
    })?;
    let (mut met, mut refused) = (None, None);
    let talk = meet(connected, identity.author(), &mut met, &mut refused);
    let ended = tokio::time::timeout(duration(patience), talk).await;
    match (refused, met, ended) {
        (Some(refusal), ..) => Err(ProbeError::TurnedAway(refusal)),
        // The node has said hello. A missing role is part of the result, not a failure.
        (None, Some(met), _) => Ok(met),
        (None, None, Ok(Err(error))) => Err(ours(error)),
        (None, None, Ok(Ok(())) | Err(_)) => Err(ProbeError::Silent),
    }
}

/// Reads until the node has told its role, or until nothing more comes.
async fn meet(
    connected: Connected,
    author: AuthorId,
    met: &mut Option<PeerInfo>,
    refused: &mut Option<Refusal>,
) -> anyhow::Result<()> {
    let Connected { mut socket, session, plain, sealed } = connected;
    let (sealer, opener) = session.map(|session| (session.sealer, session.opener)).unzip();
    let hello = own_hello(Uid(socket.local_addr()?), author)?;
    socket.write_all(&bytes_of(&[Frame::Hello(hello), Frame::LeaderPoll], sealer)?).await?;
    let mut unframed = Unframed::with(plain, opener.map(|opener| (opener, sealed)));
    let mut frames = Vec::new();
    while unframed.read(&socket).await? > 0 {
        unframed.open().map_err(|fault| anyhow!("it {fault}"))?;
        if unframed.find()? > 0 {
            unframed.decode(&mut frames)?;
        }
        for frame in frames.drain(..) {
            match (frame, met.as_mut()) {
                (Frame::Refuse(refusal), _) => {
                    *refused = Some(refusal);
                    return Ok(());
                }
                (Frame::Hello(hello), None) => *met = Some(PeerInfo { uid: hello.uid, room: hello.room, doing: None }),
                (_, None) => bail!("its first frame is no hello"),
                (Frame::PollReply(answer), Some(met)) => {
                    met.doing = Some(doing(&answer));
                    return Ok(());
                }
                // The node treats this connection like any other. These frames do not matter here.
                (_, Some(_)) => {}
            }
        }
    }
    Ok(())
}

fn doing(answer: &PollReply) -> PeerState {
    match answer.state {
        NodeState::Leading { epoch, followers } => PeerState::Leading { epoch, followers },
        NodeState::Following { epoch, heard_ms: _, relay: _ } => PeerState::Following(epoch),
        NodeState::Electing | NodeState::Joining => PeerState::Between,
        NodeState::Bootstrapping => PeerState::Bootstrapping,
    }
}
