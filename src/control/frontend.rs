//! The node's side of an attached frontend. Each frontend has a task of its own, so a slow one delays only itself.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::feed::follow::AttachOptions;
use crate::feed::node_handle::NodeHandle;
use crate::feed::session::{self, ClientHandle, LeaveScope};
use crate::frontend::json::{self, ASKED_BYTES_MAX};
use crate::present::values::{Request, Update};

/// Bytes that are gathered for one write, while more is ready.
const WRITE_BYTES: usize = 64 * 1024;
/// How long the node waits, after its end, for a frontend that reads nothing.
const ENDING: Duration = Duration::from_secs(5);

/// Serves a frontend until it leaves or the node has ended.
///
/// # Errors
/// The frontend disappeared without leaving.
pub async fn serve(
    wanted: AttachOptions,
    node_handle: &NodeHandle,
    input: BufReader<OwnedReadHalf>,
    mut output: OwnedWriteHalf,
) -> io::Result<()> {
    let Some(ClientHandle { mut told, asked, answers }) = session::open(node_handle, &wanted, LeaveScope::Front) else {
        let mut line = String::new();
        // A goodbye without a hello before it means: refused.
        json::push(&Update::Bye { text: super::attach::full().what }, &mut line);
        return output.write_all(line.as_bytes()).await;
    };
    if wanted.state {
        let _ = asked.send(Request::State).await;
    }
    let mut place = node_handle.place.clone();
    let reading = tokio::spawn(async move {
        // A line that is sent before the node is in its room might end up in no room.
        let is_in = place.wait_for(Option::is_some).await.is_ok();
        if is_in { listen(input, asked, answers).await } else { Ok(()) }
    });
    let done = write(node_handle, &mut told, &mut output).await;
    reading.abort();
    done
}

async fn write(
    node_handle: &NodeHandle,
    told: &mut mpsc::Receiver<Update>,
    output: &mut OwnedWriteHalf,
) -> io::Result<()> {
    let mut lines = String::new();
    while let Some(next) = told.recv().await {
        json::push(&next, &mut lines);
        while lines.len() < WRITE_BYTES
            && let Ok(next) = told.try_recv()
        {
            json::push(&next, &mut lines);
        }
        let too_late = async {
            node_handle.urgent.closed().await;
            tokio::time::sleep(ENDING).await;
        };
        tokio::select! {
            written = output.write_all(lines.as_bytes()) => written?,
            () = too_late => return Err(io::ErrorKind::TimedOut.into()),
        }
        lines.clear();
    }
    output.shutdown().await
}

/// Forwards the frontend's requests. Answers a malformed request with an error and reads on.
async fn listen(
    mut input: BufReader<OwnedReadHalf>,
    asked: mpsc::Sender<Request>,
    answers: mpsc::WeakSender<Update>,
) -> io::Result<()> {
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        let read = (&mut input).take(ASKED_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(());
        }
        let wrong = match line.ends_with(b"\n") || read <= ASKED_BYTES_MAX {
            true => match String::from_utf8_lossy(&line).trim() {
                "" => continue,
                object => match json::read(object) {
                    Ok(one) => match asked.send(one).await {
                        Ok(()) => continue,
                        Err(_) => return Ok(()),
                    },
                    Err(why) => format!("is not understood: {why}"),
                },
            },
            false => json::too_long(read as u64 + skip_line(&mut input).await?),
        };
        let text = crate::text::visible(&format!("line {number} {wrong}")).into_owned();
        match answers.upgrade() {
            Some(answers) => drop(answers.send(Update::Note { text }).await),
            None => return Ok(()),
        }
    }
}

/// Reads to the end of the line. Returns the number of bytes, without the line feed.
async fn skip_line(input: &mut BufReader<OwnedReadHalf>) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let ready = input.fill_buf().await?;
        let (bytes, ends) = match memchr::memchr(b'\n', ready) {
            Some(end) => (end, true),
            None => (ready.len(), ready.is_empty()),
        };
        let taken = (bytes + usize::from(ends)).min(ready.len());
        input.consume(taken);
        skipped += bytes as u64;
        if ends {
            return Ok(skipped);
        }
    }
}
