//! Says when one's own lines have to wait: they stand in no log before somebody leads.

use std::time::Duration;

use super::broadcaster::Broadcaster;
use super::own_lines::OwnLines;
use crate::present::format;
use crate::present::values::Update;

/// Lines that move on within this are not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells, once for each time of waiting, how many lines wait, and that it is over; never ends.
pub async fn tell(lines: OwnLines, broadcaster: Broadcaster) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + PATIENCE, PATIENCE);
    let (mut ordered, mut told) = (lines.ordered(), false);
    loop {
        ticks.tick().await;
        let now = lines.ordered();
        let waiting = lines.waiting();
        if now != ordered || waiting == 0 {
            if told && waiting == 0 {
                broadcaster.tell(Update::Waiting { lines: 0 });
            }
            (ordered, told) = (now, told && waiting > 0);
        } else if !told {
            told = true;
            let mut text = String::new();
            format::push_screen_event(&mut text, &format::waiting_text(waiting));
            broadcaster.text(&text);
            broadcaster.tell(Update::Waiting { lines: waiting });
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::Read as _;

    use super::*;
    use crate::feed::screen::Screen;

    #[tokio::test]
    async fn what_waits_is_told_once() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (screen, thread) = Screen::start(writer, String::new(), |_| {}).unwrap();
        let (lines, broadcaster) = (OwnLines::default(), Broadcaster::new(Some(screen.clone())));
        let mut feed = broadcaster.attach(crate::feed::broadcaster::DeliveryMode::Newest).unwrap();
        lines.say();
        lines.say();
        let update_builder = tokio::spawn(tell(lines.clone(), broadcaster));
        assert_eq!(*feed.next().await.unwrap(), Update::Waiting { lines: 2 });
        tokio::time::sleep(2 * PATIENCE).await;
        lines.witness(2, crate::ring::Lamport(2));
        assert_eq!(*feed.next().await.unwrap(), Update::Waiting { lines: 0 });
        update_builder.abort();
        screen.finish(PATIENCE);
        thread.join().unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "/// 2 lines of yours wait to be ordered ///\n");
    }
}
