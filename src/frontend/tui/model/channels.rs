//! The channels: which one the screen shows, and how many lines of the others the user has not read.

use std::collections::{BTreeMap, BTreeSet};

use crate::present::values::FeedState;

/// The channel in which everybody is.
pub const LOBBY: &str = "lobby";
/// Channels whose unread lines the screen counts.
const CHANNELS_MAX: usize = 1024;

/// The shown channel and the unread lines of the others.
#[derive(Clone, Debug)]
pub struct Channels {
    shown: String,
    /// Lines that came while another channel was shown.
    unread: BTreeMap<String, u64>,
    /// How many lines a channel had when the user last looked at it.
    read: BTreeMap<String, u64>,
}

impl Default for Channels {
    fn default() -> Self {
        Self { shown: LOBBY.to_owned(), unread: BTreeMap::new(), read: BTreeMap::new() }
    }
}

impl Channels {
    /// The channel that the screen shows.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A line of a channel that is not shown has come.
    pub fn add_unread(&mut self, channel: &str) {
        if self.unread.len() < CHANNELS_MAX || self.unread.contains_key(channel) {
            *self.unread.entry(channel.to_owned()).or_default() += 1;
        }
    }

    /// Takes the line counts of a report: all lines of a channel that is new here count as read.
    pub fn on_state(&mut self, state: &FeedState) {
        for channel in state.channels.iter().take(CHANNELS_MAX) {
            let read = self.read.entry(channel.name.clone()).or_insert(channel.lines);
            if channel.name == self.shown {
                *read = channel.lines;
            }
        }
    }

    /// Shows another channel. The lines of both count as read, as many as `state` knows.
    pub fn switch(&mut self, channel: &str, state: Option<&FeedState>) {
        for known in state.iter().flat_map(|state| &state.channels) {
            if known.name == self.shown || known.name == channel {
                self.read.insert(known.name.clone(), known.lines);
            }
        }
        self.unread.remove(channel);
        channel.clone_into(&mut self.shown);
    }

    /// All known channels with their unread lines: the lobby, those of `state`, then others.
    pub fn list<'a>(&'a self, state: Option<&'a FeedState>) -> Vec<(&'a str, u64)> {
        let stated = state.into_iter().flat_map(|state| &state.channels).map(|channel| channel.name.as_str());
        let mut names: Vec<&str> = Vec::new();
        let mut seen = BTreeSet::new();
        let others = self.unread.keys().map(String::as_str);
        for name in std::iter::once(LOBBY).chain(stated).chain(others).chain([self.shown.as_str()]) {
            if seen.insert(name) {
                names.push(name);
            }
        }
        names.into_iter().map(|name| (name, self.unread(name, state))).collect()
    }

    fn unread(&self, channel: &str, state: Option<&FeedState>) -> u64 {
        if channel == self.shown {
            return 0;
        }
        let stated = state.into_iter().flat_map(|state| &state.channels).find(|known| known.name == channel);
        let since = stated
            .map_or(0, |known| known.lines.saturating_sub(self.read.get(channel).copied().unwrap_or(known.lines)));
        since.max(self.unread.get(channel).copied().unwrap_or(0))
    }

    /// The topic of the shown channel.
    pub fn topic<'a>(&self, state: Option<&'a FeedState>) -> Option<&'a str> {
        state?.channels.iter().find(|channel| channel.name == self.shown)?.topic.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_unread_until_the_user_looks_at_it() {
        let mut channels = Channels::default();
        channels.add_unread("dev");
        channels.add_unread("dev");
        assert_eq!(channels.list(None), [(LOBBY, 0), ("dev", 2)]);
        channels.switch("dev", None);
        assert_eq!((channels.shown(), channels.list(None)), ("dev", vec![(LOBBY, 0), ("dev", 0)]));
        channels.switch("ops", None);
        assert_eq!(channels.list(None), [(LOBBY, 0), ("ops", 0)]);
    }

    #[test]
    fn counted_channels_are_bounded() {
        let mut channels = Channels::default();
        (0..=CHANNELS_MAX).for_each(|n| channels.add_unread(&format!("{n:04}")));
        channels.add_unread("0000");
        assert_eq!(channels.unread.len(), CHANNELS_MAX);
        assert_eq!(channels.list(None)[1], ("0000", 2));
    }
}
