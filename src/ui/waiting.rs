//! Says when one's own lines have to wait: they stand in no log before somebody leads.

use std::time::Duration;

use crate::ui::screen::Screen;
use crate::ui::talk::OwnLines;

/// Lines that move on within this are not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells, once for each time of waiting, how many lines wait; never ends.
pub async fn tell(lines: OwnLines, screen: Screen) {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + PATIENCE, PATIENCE);
    let (mut ordered, mut told) = (lines.ordered(), false);
    loop {
        ticks.tick().await;
        let now = lines.ordered();
        let waiting = lines.waiting();
        if now != ordered || waiting == 0 {
            (ordered, told) = (now, false);
        } else if !told {
            told = true;
            screen.event(&match waiting {
                1 => "one line of yours waits to be ordered".to_owned(),
                _ => format!("{waiting} lines of yours wait to be ordered"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::Read as _;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_told_once() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (screen, thread) = Screen::start(writer, String::new(), || {}).unwrap();
        let lines = OwnLines::default();
        lines.say();
        lines.say();
        let teller = tokio::spawn(tell(lines, screen.clone()));
        tokio::time::sleep(3 * PATIENCE).await;
        teller.abort();
        screen.finish(PATIENCE);
        thread.join().unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "/// 2 lines of yours wait to be ordered ///\n");
    }
}
