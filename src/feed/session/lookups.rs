//! What a frontend looks at: the past, the channels and what is said of them.

use super::ClientSession;
use crate::feed::node_handle::NodeEnded;
use crate::feed::view::{ChannelFilter, Whose};
use crate::history::{self, RecallQuery};
use crate::ring::Channel;
use crate::settings::config;

/// Lines at least, and at most, that somebody is shown who comes into a channel.
const JOIN_LINES: (u64, u64) = (5, 50);
/// What is told where nothing is kept.
const EPHEMERAL: &str = "nothing is kept here: this node runs with --ephemeral";

impl ClientSession {
    /// Goes to a channel, where what was said last can be read.
    pub(super) async fn join(&self, channel: Option<Channel>) {
        let (unread, joined, taste) = {
            let mut view = self.view();
            let unread = view.unread_in(Channel::name_of(channel.as_ref()));
            (unread, view.join(channel.clone()), view.taste())
        };
        if !joined {
            return self.note("you are in as many channels as one can be: /part leaves one").await;
        }
        self.told_here().await;
        if let (ChannelFilter::Here, Some(past)) = (taste, self.node_handle.past.clone()) {
            let lines = unread.clamp(JOIN_LINES.0, JOIN_LINES.1);
            let lines = usize::try_from(lines).unwrap_or(usize::MAX);
            let asked = tokio::task::spawn_blocking(move || {
                history::recall(&past, RecallQuery::Newest(lines), channel.as_ref())
            });
            if let Ok((heading, lines)) = asked.await {
                let name = Channel::name_of(self.view().channel()).to_owned();
                let lines = lines.lines().map(str::to_owned).collect();
                self.listing((format!("#{name}: {heading}"), lines)).await;
            }
        }
    }

    pub(super) async fn topic(&self) -> Result<(), NodeEnded> {
        let here = Channel::name_of(self.view().channel()).to_owned();
        let state = self.node_handle.state().await?;
        let topic = state.channels.into_iter().find(|channel| channel.name == here).and_then(|channel| channel.topic);
        self.note(match topic {
            Some(topic) => format!("the topic of #{here}: {topic}"),
            None => format!("#{here} has no topic; /topic TEXT sets one"),
        })
        .await;
        Ok(())
    }

    pub(super) async fn recall(&self, asked: RecallQuery<'_>) {
        let Some(past) = self.node_handle.past.clone() else { return self.note(EPHEMERAL).await };
        let (words, newest) = match asked {
            RecallQuery::Words(words) => (Some(words.to_owned()), 0),
            RecallQuery::Newest(newest) => (None, newest),
        };
        let here = self.view().channel().cloned();
        let found = tokio::task::spawn_blocking(move || {
            let asked = words.as_deref().map_or(RecallQuery::Newest(newest), RecallQuery::Words);
            history::recall(&past, asked, here.as_ref())
        });
        if let Ok((heading, lines)) = found.await {
            self.listing((heading, lines.lines().map(str::to_owned).collect())).await;
        }
    }

    /// Shows no more of somebody, or again.
    pub(super) async fn ignore(&self, whom: &str) -> Result<(), NodeEnded> {
        let (state, folded) = (self.node_handle.state().await?, whom.to_lowercase());
        let who = match state.members.iter().any(|member| member.name.folded() == folded) {
            _ if state.name.folded() == folded => Whose::Own,
            true => Whose::Others,
            false => Whose::Nobodys,
        };
        let answer = self.view().ignore(whom, who);
        self.note(answer).await;
        Ok(())
    }

    pub(super) async fn save(&self, file: &str) {
        let Some(past) = self.node_handle.past.clone() else { return self.note(EPHEMERAL).await };
        let file = config::in_home(file).unwrap_or_else(|| self.dir.join(file));
        let saved = tokio::task::spawn_blocking(move || history::save(&past, &file)).await;
        self.note(saved.unwrap_or_else(|_| "not saved".to_owned())).await;
    }
}
