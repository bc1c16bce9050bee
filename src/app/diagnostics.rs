//! Writes the program's `tracing` events into the chat log, in the log's own form.

use std::fmt::{self, Write as _};
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::chatlog::LogWriter;
use crate::feed::broadcaster::Broadcaster;
use crate::feed::clock::FeedClock;
use crate::present::format;

/// Sends all events of level INFO and above to the log, and to the frontends if `broadcaster` is there.
///
/// # Errors
/// This process has called it before.
pub fn install(log: LogWriter, clock: FeedClock, broadcaster: Option<Broadcaster>) -> anyhow::Result<()> {
    let layer = ToLog { log: Mutex::new(log), clock, broadcaster };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer.with_filter(LevelFilter::INFO)))?;
    Ok(())
}

struct ToLog {
    log: Mutex<LogWriter>,
    clock: FeedClock,
    broadcaster: Option<Broadcaster>,
}

impl<S: Subscriber> Layer<S> for ToLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Words(String::new());
        event.record(&mut text);
        let mut line = String::new();
        format::push_log_event(&mut line, self.clock.now(), &text.0);
        if let Ok(log) = self.log.lock() {
            // A clone, so that this thread holds no lock while the disk is slow.
            let mut log = log.clone();
            log.push(&line);
        }
        if let Some(broadcaster) = &self.broadcaster {
            broadcaster.logged(self.clock.now(), &text.0);
        }
    }
}

/// An event as text: its message, then its other fields.
struct Words(String);

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.0.insert_str(0, value),
            name => drop(write!(self.0, " {name}={value}")),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.insert_str(0, &format!("{value:?}")),
            name => drop(write!(self.0, " {name}={value:?}")),
        }
    }
}
