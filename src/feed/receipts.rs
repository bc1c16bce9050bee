//! Tells a frontend how far what it has said has come.

use tokio::sync::{mpsc, oneshot};

use super::node_handle::NodeHandle;
use crate::present::values::{SendResult, Update};
use crate::ring::limits::TEXT_BYTES_MAX;
use crate::ring::{Channel, Draft, Text, TextError};

/// Receipts of one frontend that are not given yet; beyond, what it asks next waits.
const RECEIPTS_MAX: usize = 1024;

/// The receipts that one frontend waits for, in the order in which it will get them.
#[derive(Clone, Debug)]
pub struct Receipts(mpsc::Sender<Due>);

/// A receipt that is due.
#[derive(Debug)]
enum Due {
    /// For one line: the node tells its number, or drops this.
    Line(String, oneshot::Receiver<u64>),
    /// For all that was said so far.
    All(String, u64),
}

impl Receipts {
    /// Gives them to whoever takes `out`, until the node or the frontend has ended. Within a tokio runtime.
    pub fn start(node_handle: NodeHandle, out: mpsc::Sender<Update>) -> Self {
        let (due, dues) = mpsc::channel(RECEIPTS_MAX);
        tokio::spawn(give(node_handle, dues, out));
        Self(due)
    }

    /// One for a line. Waits while there are too many.
    pub async fn line(&self, id: String, number: oneshot::Receiver<u64>) {
        let _ = self.0.send(Due::Line(id, number)).await;
    }

    /// One for all that was said up to this number. Waits while there are too many.
    pub async fn all(&self, id: String, said: u64) {
        let _ = self.0.send(Due::All(id, said)).await;
    }
}

async fn give(node_handle: NodeHandle, mut dues: mpsc::Receiver<Due>, out: mpsc::Sender<Update>) {
    let mut held = node_handle.lines.held();
    while let Some(due) = dues.recv().await {
        let (id, number, is_line) = match due {
            Due::Line(id, number) => (id, number.await.ok(), true),
            Due::All(id, said) => (id, Some(said), false),
        };
        let sent = match number {
            None => refused(id, "the node is leaving, and takes no more"),
            Some(n) => {
                let is_held = tokio::select! {
                    held = held.wait_for(|held| *held >= n) => held.is_ok(),
                    () = node_handle.urgent.closed() => *node_handle.lines.held().borrow() >= n,
                    () = out.closed() => return,
                };
                match is_held {
                    true => {
                        let ts = if is_line { node_handle.lines.stamp(n).map(|stamp| stamp.0) } else { None };
                        SendResult { id, ordered: true, ts, why: None }
                    }
                    false => {
                        refused(id, "the node has ended before it was ordered; it is kept in the files, if any are")
                    }
                }
            }
        };
        if out.send(Update::Sent(sent)).await.is_err() {
            return;
        }
    }
}

/// It was not taken.
pub fn refused(id: String, why: impl Into<String>) -> SendResult {
    SendResult { id, ordered: false, ts: None, why: Some(why.into()) }
}

/// All of it is with the node.
pub fn taken(id: String) -> SendResult {
    SendResult { id, ordered: false, ts: None, why: None }
}

/// The lines that a program says: each line of its text that is not blank; why they cannot be said.
///
/// # Errors
/// For people: what is wrong with it. Nothing of it is said then.
pub fn drafts(text: &str, channel: Option<&Channel>) -> Result<Vec<Draft>, String> {
    let mut drafts = Vec::new();
    for line in text.split('\n') {
        match Text::parse(line.strip_suffix('\r').unwrap_or(line)) {
            Ok(text) => drafts.push(Draft { text, channel: channel.cloned(), act: None }),
            Err(TextError::Blank | TextError::Newline) => {}
            Err(TextError::TooLong { bytes }) => {
                return Err(format!("a line of {bytes} bytes; at most {TEXT_BYTES_MAX} are allowed"));
            }
        }
    }
    match drafts.is_empty() {
        true => Err("there is nothing in it".to_owned()),
        false => Ok(drafts),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn each_line_of_a_text_is_said_where_it_is_to_be_said() {
        let ops = Channel::parse("#Ops").unwrap();
        let said = drafts("one\r\n\n two\n", ops.as_ref()).unwrap();
        let texts: Vec<_> = said.iter().map(|draft| draft.text.as_str()).collect();
        assert_eq!(texts, ["one", " two"]);
        assert!(said.iter().all(|draft| draft.channel.as_ref().is_some_and(|channel| channel.as_str() == "ops")));
    }

    #[test]
    fn what_cannot_be_said_is_said_not_at_all() {
        let long = format!("short\n{}", "x".repeat(TEXT_BYTES_MAX + 1));
        for text in ["", " \n\t", &long] {
            assert!(drafts(text, None).is_err());
        }
    }
}
