//! The text and values that one batch of notices produces.

use crate::chatlog;
use crate::present::builder::Presentation;
use crate::present::format;
use crate::ring::Lamport;

/// Output that is collected before it is handed to the chat log and to the screen.
#[derive(Debug, Default)]
pub(super) struct PublishBatch {
    /// Whole lines for the chat log.
    pub(super) log: String,
    /// Text and values for the screen and the frontends.
    pub(super) shown: Presentation,
}

impl PublishBatch {
    /// Whether the log part is as large as one write should be.
    pub(super) fn is_large(&self) -> bool {
        self.log.len() >= chatlog::WRITE_BYTES_MAX
    }

    /// Adds an event to the log. A notable event goes to the screen, too. With `verbose` the screen also gets the log
    /// line.
    pub(super) fn event(&mut self, at: Lamport, text: &str, notable: bool, verbose: bool) {
        let start = self.log.len();
        format::push_log_event(&mut self.log, at, text);
        if notable {
            format::push_screen_event(&mut self.shown.text, text);
        }
        if verbose {
            self.shown.text.push_str(&self.log[start..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_logged_and_the_screen_gets_a_choice() {
        let cases = [
            (false, false, ""),
            (true, false, "/// it rains ///\n"),
            (false, true, "12: it rains\n"),
            (true, true, "/// it rains ///\n12: it rains\n"),
        ];
        for (notable, verbose, shown) in cases {
            let mut batch = PublishBatch::default();
            batch.event(Lamport(12), "it rains", notable, verbose);
            assert_eq!((batch.log.as_str(), batch.shown.text.as_str()), ("12: it rains\n", shown));
        }
    }

    #[test]
    fn a_batch_is_large_from_one_write_on() {
        for (bytes, large) in [(0, false), (chatlog::WRITE_BYTES_MAX - 1, false), (chatlog::WRITE_BYTES_MAX, true)] {
            let batch = PublishBatch { log: "x".repeat(bytes), shown: Presentation::default() };
            assert_eq!(batch.is_large(), large, "{bytes}");
        }
    }
}
