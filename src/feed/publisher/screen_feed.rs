//! The screen's side of the publisher: text for standard output, and values for the frontends that listen.

use std::path::PathBuf;

use super::batch::PublishBatch;
use crate::feed::broadcaster::Broadcaster;
use crate::feed::catch_up::CatchUp;
use crate::feed::failover_notice::FailoverNotice;
use crate::feed::reactions::ReactionFeed;
use crate::net::Notice;
use crate::present::builder::{self, Presentation, UpdateBuilder};
use crate::present::format;
use crate::present::values::{self, EventKind, Update};
use crate::ring::{Entry, Event, Index, Lamport, Member, Name, SessionId, Text};

/// Shows what happens.
#[derive(Debug)]
pub struct ScreenFeed {
    broadcaster: Broadcaster,
    /// Makes values for frontends.
    update_builder: UpdateBuilder,
    /// The reactions to lines.
    likes: ReactionFeed,
    /// The lines that the user missed, while they come.
    away: Option<CatchUp>,
    /// Joins the steps of a failover into one line.
    failover_notice: FailoverNotice,
    /// The screen also gets the events of the log.
    verbose: bool,
}

impl ScreenFeed {
    /// The feed of this run. `history`: the file with older lines, if the node keeps one.
    pub fn new(broadcaster: Broadcaster, session: SessionId, history: Option<PathBuf>, verbose: bool) -> Self {
        let (update_builder, likes) = (UpdateBuilder::new(session), ReactionFeed::new(history));
        Self { broadcaster, update_builder, likes, away: None, failover_notice: FailoverNotice::default(), verbose }
    }

    /// Prepares for an event, and for the notice that follows it in the batch.
    pub(super) fn hear(&mut self, event: &Event, next: Option<&Notice>) {
        self.failover_notice.hear(event, next);
    }

    /// Shows the batch and the reactions that have changed. While missed lines come, all of it is gathered instead.
    pub(super) fn hand_over(&mut self, shown: &mut Presentation) {
        if self.broadcaster.is_watched() {
            shown.told.append(&mut self.likes.changes());
        }
        match &mut self.away {
            Some(away) => away.keep(shown),
            None => self.broadcaster.show(shown),
        }
    }

    /// From now on missed lines come. `lines`: their number, if it is known.
    pub(super) fn catch_up(&mut self, lines: Option<u64>) {
        self.away.get_or_insert(CatchUp::new(lines));
    }

    /// All missed lines have come: shows them.
    pub(super) fn caught_up(&mut self) {
        if let Some(away) = self.away.take() {
            away.show(&self.broadcaster);
        }
    }

    /// The history is cut after this entry.
    pub(super) fn cut(&self, keep: Index) {
        self.broadcaster.cut(keep);
    }

    /// Adds an entry, if it is a line, for frontends. `past`: the author sent it before the node was here.
    pub(super) fn value(&mut self, entry: &Entry, past: bool, shown: &mut Presentation) {
        if !self.broadcaster.is_watched() {
            return self.likes.forget();
        }
        let to = self.likes.take(entry);
        if let Some(Update::Line(mut line)) = self.update_builder.line(entry, past) {
            line.to = to.or(line.to);
            shown.told.push(Update::Line(line));
        }
    }

    /// Takes the reaction of an entry that is not shown.
    pub(super) fn reaction(&mut self, entry: &Entry) {
        if self.broadcaster.is_watched() {
            self.likes.take(entry);
        }
    }

    /// Adds an event of the node, if people read it.
    pub(super) fn event(&self, at: Lamport, event: &Event, batch: &mut PublishBatch) {
        let Some(text) = format::event_text(event) else { return };
        let notable = format::is_for_screen(event);
        batch.event(at, &text, notable && self.failover_notice.shows(event, false), self.verbose);
        if self.broadcaster.is_watched()
            && let Some(Update::Event(told)) = builder::event(event, at)
        {
            let notable = notable && self.failover_notice.shows(event, true);
            batch.shown.told.push(Update::Event(values::FeedEvent { notable, ..told }));
        }
    }

    /// Adds an event of the program around the node.
    pub(super) fn note(&self, at: Lamport, text: &str, notable: bool, kind: EventKind, batch: &mut PublishBatch) {
        batch.event(at, text, notable, self.verbose);
        if self.broadcaster.is_watched() {
            let text = crate::text::visible(text).into_owned();
            batch.shown.told.push(Update::Event(values::FeedEvent {
                ts: at.0,
                kind,
                text,
                notable,
                ..values::FeedEvent::default()
            }));
        }
    }

    /// Adds a private message to this node's user, named `to`. The log gets it too: a screen may end before the user
    /// reads it.
    pub(super) fn private(&self, at: Lamport, from: &Member, to: Name, text: &Text, batch: &mut PublishBatch) {
        batch.event(at, &format::private_text(from, text), true, self.verbose);
        if self.broadcaster.is_watched() {
            let text = text.as_str().to_owned();
            batch.shown.told.push(Update::Private(values::FeedPm { from: from.name.clone(), to, text, own: false }));
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::super::tests::entry;
    use super::*;
    use crate::feed::broadcaster::DeliveryMode;

    fn feed() -> ScreenFeed {
        ScreenFeed::new(Broadcaster::new(None), SessionId(1), None, false)
    }

    #[test]
    fn values_are_made_only_for_frontends_that_want_them() {
        for (wants, values) in [(None, 0), (Some(DeliveryMode::TheEnd), 0), (Some(DeliveryMode::Newest), 2)] {
            let mut feed = feed();
            let _frontend = wants.map(|wants| feed.broadcaster.attach(wants).unwrap());
            let mut batch = PublishBatch::default();
            feed.value(&entry(1, "hello"), false, &mut batch.shown);
            feed.note(Lamport(2), "it rains", true, EventKind::Other, &mut batch);
            assert_eq!(batch.shown.told.len(), values, "{wants:?}");
            assert_eq!(batch.log, "2: it rains\n");
        }
    }

    #[test]
    fn missed_lines_are_shown_once_all_have_come() {
        let mut feed = feed();
        let mut frontend = feed.broadcaster.attach(DeliveryMode::Newest).unwrap();
        let mut shown = Presentation::default();
        feed.catch_up(Some(1));
        feed.value(&entry(1, "hello"), false, &mut shown);
        feed.hand_over(&mut shown);
        assert!(shown.told.is_empty() && frontend.try_next().is_none());
        feed.caught_up();
        assert!(matches!(*frontend.try_next().unwrap(), Update::Missed { lines: Some(1) }));
        assert!(matches!(&*frontend.try_next().unwrap(), Update::Line(line) if line.past));
        assert!(matches!(*frontend.try_next().unwrap(), Update::CaughtUp));
    }
}
