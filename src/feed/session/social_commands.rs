//! What a frontend does in the room: lines that do something, and words for one member alone.

use tokio::sync::oneshot;

use super::ClientSession;
use crate::feed::node_handle::NodeEnded;
use crate::feed::parse::SocialAct;
use crate::history;
use crate::net::Command;
use crate::present::format;
use crate::present::values::{FeedPm, Update};
use crate::ring::limits::{TEXT_BYTES_MAX, TOPIC_CHARS_MAX};
use crate::ring::{Act, Draft, Emoji, Lamport, LineId, Text};

impl ClientSession {
    /// Says something to one member alone.
    pub(super) async fn pm(&self, whom: &str, words: &str) -> Result<(), NodeEnded> {
        let Ok(text) = Text::parse(words) else {
            self.note(format!("not sent: a message has at most {TEXT_BYTES_MAX} bytes")).await;
            return Ok(());
        };
        let (answer, sent) = oneshot::channel();
        let command = Command::SendPm { to: whom.to_owned(), text, answer };
        self.node_handle.urgent.send(command).await.map_err(|_| NodeEnded)?;
        match sent.await.map_err(|_| NodeEnded)? {
            Ok((_, to)) => {
                let from = self.node_handle.hello().name;
                self.tell(Update::Private(FeedPm { from, to: to.name, text: words.to_owned(), own: true })).await;
            }
            Err(why) => self.note(format::unsaid_text(&why)).await,
        }
        Ok(())
    }

    /// Says a line that does something.
    pub(super) async fn act_out(&self, line: &str, doing: SocialAct<'_>) -> Result<(), NodeEnded> {
        let composed = match self.compose(line.trim_end(), doing).await {
            Ok((typed, act)) => match Text::parse(&typed) {
                Ok(text) => Ok((text, act)),
                Err(_) => Err("not sent: that is too long".to_owned()),
            },
            Err(why) => Err(why),
        };
        match composed {
            Ok((text, act)) => {
                let channel = self.view().channel().cloned();
                self.hand_over(Draft { text, channel, act: Some(act) }).await
            }
            Err(why) => {
                self.note(why).await;
                Ok(())
            }
        }
    }

    /// What is said, and what that does. A line that is meant is named, so that it can be read in every log.
    async fn compose(&self, line: &str, doing: SocialAct<'_>) -> Result<(String, Act), String> {
        Ok(match doing {
            SocialAct::Me => (line.to_owned(), Act::Me),
            SocialAct::Topic | SocialAct::Away if line.chars().count() > TOPIC_CHARS_MAX => {
                return Err(format!("not sent: that takes at most {TOPIC_CHARS_MAX} characters"));
            }
            SocialAct::Topic => (line.to_owned(), Act::Topic),
            SocialAct::Away => (line.to_owned(), Act::Away),
            SocialAct::Nick(name) => (line.to_owned(), Act::Nick(name)),
            SocialAct::Reply(ts, words) => {
                let (ts, to) = self.find(ts).await?;
                (format!("/reply {ts} {words}"), Act::Reply(to))
            }
            SocialAct::React { ts, with, on } => {
                let (ts, to) = self.find(ts).await?;
                let likes = with == Emoji::like();
                let typed = match (likes, on) {
                    (true, true) => format!("/like {ts}"),
                    (true, false) => format!("/unlike {ts}"),
                    (false, true) => format!("/react {with} {ts}"),
                    (false, false) => format!("/unreact {with} {ts}"),
                };
                (typed, Act::React { to, with, on })
            }
        })
    }

    /// The line with this timestamp, or the last one of another.
    async fn find(&self, ts: Option<u64>) -> Result<(u64, LineId), String> {
        if let Some(found) = self.view().line(ts) {
            return Ok(found);
        }
        let none = || match ts {
            Some(ts) => format!("there is no line [{ts}] here"),
            None => "nobody else has said anything here yet; /help reply says how to mean another line".to_owned(),
        };
        let past = self.node_handle.past.clone().ok_or_else(none)?;
        let here = self.view().channel().cloned();
        let own = self.node_handle.status().await.map(|status| status.author);
        let found = tokio::task::spawn_blocking(move || match ts {
            Some(ts) => history::line_at(&past, Lamport(ts)).map(|id| (ts, id)),
            None => history::last_of_others(&past, here, own.ok()?),
        });
        let (ts, id) = found.await.ok().flatten().ok_or_else(none)?;
        self.view().found(ts, id);
        Ok((ts, id))
    }

    /// Has something done; the line says so to all.
    pub(super) async fn act(
        &self,
        line: &str,
        command: impl FnOnce(Text, oneshot::Sender<bool>) -> Command,
    ) -> Result<(), NodeEnded> {
        let Ok(text) = Text::parse(line.trim_end()) else { return Ok(()) };
        let (taken, answer) = oneshot::channel();
        self.node_handle.tell(command(text, taken)).await?;
        if let Ok(true) = answer.await {
            self.node_handle.lines.say();
        }
        Ok(())
    }
}
