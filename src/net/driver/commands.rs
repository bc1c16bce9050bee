//! Executes commands and answers them.

use tokio::sync::oneshot;

use super::Driver;
use crate::key::RoomKey;
use crate::net::api::Command;
use crate::net::transport::limits::{HEALTH_QUERIES_MAX, TURN_COMMANDS_MAX};
use crate::ring::limits::BATCH_BYTES_MAX;
use crate::ring::{Draft, Input, Member, PmError, PmId, ReadReply, ReadRequest, Text};
use crate::store::Store;

/// Lines that were typed in a row.
#[derive(Debug, Default)]
struct SubmitBatch {
    lines: Vec<Draft>,
    /// The senders that want a line's number, each with its line's place in the row, from 1.
    answers: Vec<(u64, oneshot::Sender<u64>)>,
}

impl SubmitBatch {
    fn push(&mut self, draft: Draft, answer: Option<oneshot::Sender<u64>>) {
        // Moderation has a command of its own. A draft that moderates would make the numbers of the following lines
        // wrong.
        debug_assert!(draft.is_valid(), "who moderates gives an order");
        if draft.is_valid() {
            self.lines.push(draft);
            self.answers.extend(answer.map(|answer| (self.lines.len() as u64, answer)));
        }
    }
}

impl<S> Driver<S>
where
    S: Store,
    S::Error: Into<anyhow::Error>,
{
    /// Steps the commands that were taken, or else the commands that are ready now.
    pub(super) async fn take_commands(&mut self) -> anyhow::Result<()> {
        let room = self.command_room();
        if self.said.is_empty() && room > 0 {
            tokio::select! {
                biased;
                _ = self.commands.ordered.recv_many(&mut self.said, room) => {}
                () = std::future::ready(()) => {}
            }
        }
        let mut said = std::mem::take(&mut self.said);
        let mut lines = SubmitBatch::default();
        for command in said.drain(..) {
            match command {
                // Lines that were typed in a row are submitted together.
                Command::Say(draft, answer) => lines.push(draft, answer),
                other => {
                    self.submit(&mut lines)?;
                    if self.stop.is_none() {
                        self.command(other)?;
                    }
                }
            }
        }
        self.said = said;
        self.submit(&mut lines)
    }

    fn submit(&mut self, typed: &mut SubmitBatch) -> anyhow::Result<()> {
        let SubmitBatch { lines, answers } = std::mem::take(typed);
        if lines.is_empty() || self.stop.is_some() {
            return Ok(());
        }
        let before = self.node.said();
        self.step(Input::Submit(lines))?;
        // The node takes a prefix of the row. Lines that it does not take stand at its end.
        let last = self.node.said();
        for (place, answer) in answers {
            let n = before + place;
            if n <= last {
                // An error means that the asker no longer waits.
                let _ = answer.send(n);
            }
        }
        Ok(())
    }

    /// How many commands the driver may take: no more than fit into the outbox if each is a line.
    pub(super) fn command_room(&self) -> usize {
        let room = if self.leaving { TURN_COMMANDS_MAX } else { self.node.outbox_room() };
        room.min(TURN_COMMANDS_MAX)
    }

    /// Executes one command and answers it.
    pub(super) fn command(&mut self, command: Command) -> anyhow::Result<()> {
        match command {
            Command::Say(draft, answer) => {
                let mut typed = SubmitBatch::default();
                typed.push(draft, answer);
                self.submit(&mut typed)
            }
            Command::Order(order, taken) => {
                let before = self.node.said();
                self.step(Input::Moderate(order))?;
                // An error means that the asker no longer waits.
                let _ = taken.send(self.node.said() > before);
                Ok(())
            }
            Command::Rekey(text, taken) => {
                let (before, key) = (self.node.said(), RoomKey::fresh()?);
                let digest = key.digest();
                self.keys.offer(key);
                self.step(Input::Rekey(digest, text))?;
                let _ = taken.send(self.node.said() > before);
                Ok(())
            }
            Command::SendPm { to, text, answer } => {
                let said = self.pm(&to, text)?;
                let _ = answer.send(said);
                Ok(())
            }
            Command::Survey(answer) => {
                // Beyond this limit a query gets no answer.
                if self.surveys.len() < HEALTH_QUERIES_MAX {
                    self.surveys.push(answer);
                }
                self.step(Input::HealthQuery)
            }
            Command::Leave => {
                self.leaving = true;
                self.step(Input::Leave)
            }
            Command::Logged(mark) => {
                self.store.logged(mark);
                Ok(())
            }
            Command::Status(answer) => {
                // An error means that the asker no longer waits.
                let _ = answer.send(self.node.status());
                Ok(())
            }
            Command::Past { from, answer } => {
                if let ReadReply::Log(entries) = self.read(&ReadRequest::Log { from, bytes_max: BATCH_BYTES_MAX })? {
                    let _ = answer.send(entries);
                }
                Ok(())
            }
        }
    }

    /// Sends a private message to one member.
    fn pm(&mut self, to: &str, text: Text) -> anyhow::Result<Result<(PmId, Member), PmError>> {
        let to = match self.node.reader(to) {
            Ok(to) => to,
            Err(why) => return Ok(Err(why)),
        };
        let Some(&room) = self.entered.get() else { return Ok(Err(PmError::NotNow)) };
        let Some(outgoing) = self.pms.seal(room, to, text)? else { return Ok(Err(PmError::NoKey)) };
        let (id, to) = (outgoing.id, outgoing.to.clone());
        self.step(Input::SendPm(outgoing))?;
        Ok(Ok((id, to)))
    }
}
