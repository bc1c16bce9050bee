//! A look at who listens somewhere, by a stranger to the core: nothing becomes of the connection.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};
use tokio::io::AsyncWriteExt as _;

use super::Locks;
use super::dial::{dial, duration};
use super::frames::Unframed;
use super::greeting::SPEAKS_FOR_ANOTHER;
use super::keyring::Keyring;
use super::link::Connected;
use super::noise::{Own, Sealer};
use crate::identity::Identity;
use crate::key::RoomKey;
use crate::ring::limits::PROTOCOL_VERSION;
use crate::ring::{AuthorId, Frame, Hello, SessionId, Timing, Uid};

/// What a node answers to somebody who says hello and is in no room; with a key, once both have shown that they have it.
///
/// Takes at most twice [`Timing::connect`]. The other end sees an author that nobody will see again.
///
/// # Errors
/// Nobody answers in time, the door stays shut, or what is said is no hello.
pub async fn hello_at(there: SocketAddr, key: Option<RoomKey>) -> anyhow::Result<Hello> {
    let (identity, timing) = (Identity::fresh()?, Timing::default());
    let locks = Locks { own: Arc::new(Own::new(&identity)?), keyring: Keyring::new(key) };
    let connected = dial(there, timing, &locks).await.map_err(|why| anyhow!("no way in: {why:?}"))?;
    tokio::time::timeout(duration(timing.connect), exchange(connected, identity.author())).await.context("no hello")?
}

async fn exchange(connected: Connected, author: AuthorId) -> anyhow::Result<Hello> {
    let Connected { mut socket, session, plain, sealed } = connected;
    let proven = session.as_ref().map(|session| session.author);
    let (sealer, opener) = session.map(|session| (session.sealer, session.opener)).unzip();
    let uid = Uid(socket.local_addr()?);
    let hello = Hello { version: PROTOCOL_VERSION, room: None, uid, author, session: SessionId(getrandom::u64()?) };
    socket.write_all(&bytes_of(hello, sealer)?).await?;
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

fn bytes_of(hello: Hello, sealer: Option<Sealer>) -> anyhow::Result<Vec<u8>> {
    let mut line = Vec::new();
    Frame::Hello(hello).encode(&mut line);
    let Some(mut sealer) = sealer else { return Ok(line) };
    let mut record = Vec::new();
    sealer.seal(&line, &mut record).map_err(|fault| anyhow!("it {fault}"))?;
    Ok(record)
}
