//! Bare loops: move the same bytes through sockets without a protocol, for comparison.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::payload::Payload;
use super::plan::LOOPBACK;

/// Lines that wait for a bare loop: as many as commands wait for a node.
const LINES_MAX: usize = crate::net::transport::limits::COMMANDS_MAX;
/// Blocks that wait for one socket.
const BLOCKS_MAX: usize = 4;

/// The way a bare loop writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopKind {
    /// Lines come one by one through a channel. All waiting lines go to every reader in one write.
    Coalesced,
    /// Lines come one by one through a channel. Each goes to every reader in its own write.
    PerLine,
    /// The same prepared block goes out again and again. That is no fan-out of lines, but the most that the sockets
    /// take.
    Ready,
}

/// A running bare loop. Dropping it ends its threads.
pub struct Bare {
    /// The address that readers connect to.
    pub address: SocketAddr,
    _tasks: JoinSet<anyhow::Result<()>>,
}

impl Bare {
    async fn listen() -> anyhow::Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((LOOPBACK, 0)).await.context("cannot listen on the loopback interface")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// Sends the payload's lines forever to the first `readers` peers that connect.
    ///
    /// # Errors
    /// The system gives no socket.
    pub async fn fan_out(room: &Handle, payload: Payload, readers: usize, way: LoopKind) -> anyhow::Result<Self> {
        let (listener, address) = Self::listen().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn_on(
            async move {
                // The writers end with this task.
                let mut others = JoinSet::new();
                let mut writers = Vec::new();
                for _ in 0..readers {
                    let (socket, _) = listener.accept().await?;
                    socket.set_nodelay(true)?;
                    let (blocks, queue) = mpsc::channel(BLOCKS_MAX);
                    others.spawn(write(socket, queue, way));
                    writers.push(blocks);
                }
                let (say, mut said) = mpsc::channel(LINES_MAX);
                let source = payload.clone();
                others.spawn(async move {
                    loop {
                        for line in source.each() {
                            say.send(line).await?;
                        }
                    }
                });
                let mut lines = Vec::new();
                loop {
                    let block = match way {
                        LoopKind::Ready => payload.clone(),
                        LoopKind::Coalesced | LoopKind::PerLine => {
                            lines.clear();
                            said.recv_many(&mut lines, payload.lines()).await;
                            Payload::of(&lines)
                        }
                    };
                    for writer in &writers {
                        writer.send(block.clone()).await?;
                    }
                }
            },
            room,
        );
        Ok(Self { address, _tasks: tasks })
    }

    /// Relays the bytes of the first peer that connects to all `readers` peers, at once.
    ///
    /// # Errors
    /// The system gives no socket.
    pub async fn relay(room: &Handle, readers: usize) -> anyhow::Result<Self> {
        let (listener, address) = Self::listen().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn_on(
            async move {
                let mut sockets = Vec::new();
                for _ in 0..readers {
                    let (socket, _) = listener.accept().await?;
                    socket.set_nodelay(true)?;
                    sockets.push(socket);
                }
                let mut bytes = vec![0; 64 * 1024];
                loop {
                    let Some(first) = sockets.first_mut() else { return Ok(()) };
                    let read = first.read(&mut bytes).await?;
                    if read == 0 {
                        return Ok(());
                    }
                    for socket in &mut sockets {
                        socket.write_all(&bytes[..read]).await?;
                    }
                }
            },
            room,
        );
        Ok(Self { address, _tasks: tasks })
    }
}

/// Writes to one reader.
async fn write(mut socket: TcpStream, mut queue: mpsc::Receiver<Payload>, way: LoopKind) -> anyhow::Result<()> {
    while let Some(block) = queue.recv().await {
        match way {
            LoopKind::Ready | LoopKind::Coalesced => socket.write_all(&block.bytes).await?,
            LoopKind::PerLine => {
                for line in block.each() {
                    socket.write_all(&line).await?;
                }
            }
        }
    }
    Ok(())
}
