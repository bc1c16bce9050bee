//! What is written on the sockets first: a question in one word, or what a frontend wants to be told.

use crate::feed::follow::Wanted;

/// What a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// How it is doing.
    Status,
    /// What the key of its room is.
    Key,
}

impl Question {
    pub(super) const ALL: [Self; 2] = [Self::Status, Self::Key];

    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Status => "status\n",
            Self::Key => "key\n",
        }
    }
}

/// What is answered where the room has no key.
pub(super) const OPEN: &str = "open";

/// The word that begins the first line.
const ATTACH: &str = "attach ";

/// The first line of a frontend.
pub(super) fn first_line(wanted: &Wanted) -> String {
    // Numbers, words and a checked channel's name always have a form in JSON.
    let wanted = serde_json::to_string(wanted).unwrap_or_default();
    format!("{ATTACH}{wanted}\n")
}

/// What a frontend wants that writes this first line; `None`: it is no frontend.
pub(super) fn read_first_line(line: &str) -> Option<Wanted> {
    serde_json::from_str(line.strip_prefix(ATTACH)?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::feed::broadcaster::Wants;
    use crate::feed::follow::Since;
    use crate::feed::view::Taste;

    #[test]
    fn the_first_line_says_what_is_wanted() {
        let wanted = Wanted {
            told: Wants::EveryLine,
            past: Some(Since::Newest(20)),
            channel: Some("ops".to_owned()),
            dir: Some("/home/ann".to_owned()),
            state: true,
            taste: Taste::All,
        };
        let line = first_line(&wanted);
        let expected = "attach {\"told\":\"every_line\",\"taste\":\"all\",\"past\":{\"newest\":20},\"channel\":\"ops\",\"dir\":\"/home/ann\",\"state\":true}\n";
        assert_eq!(line, expected);
        assert_eq!(read_first_line(&line).unwrap(), wanted);
        assert_eq!(read_first_line("attach {}\n").unwrap(), Wanted::default());
        assert_eq!(read_first_line("status\n"), None);
        assert_eq!(read_first_line("attach\n"), None);
    }
}
