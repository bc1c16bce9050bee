//! The first line on a socket: a one-word question, or the options of a frontend.

use crate::feed::follow::AttachOptions;

/// A question to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// The node's status.
    Status,
    /// The room's key.
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

/// The answer to `key` when the room has no key.
pub(super) const OPEN: &str = "open";

/// The start of a frontend's first line.
const ATTACH: &str = "attach ";

/// The first line of a frontend.
pub(super) fn first_line(wanted: &AttachOptions) -> String {
    // Numbers, words and a valid channel name always have a JSON form.
    let wanted = serde_json::to_string(wanted).unwrap_or_default();
    format!("{ATTACH}{wanted}\n")
}

/// The options in a frontend's first line. `None`: the line is not from a frontend.
pub(super) fn read_first_line(line: &str) -> Option<AttachOptions> {
    serde_json::from_str(line.strip_prefix(ATTACH)?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::feed::broadcaster::DeliveryMode;
    use crate::feed::follow::StartPoint;
    use crate::feed::view::ChannelFilter;

    #[test]
    fn the_first_line_says_what_is_wanted() {
        let wanted = AttachOptions {
            told: DeliveryMode::EveryLine,
            past: Some(StartPoint::Newest(20)),
            channel: Some("ops".to_owned()),
            dir: Some("/home/ann".to_owned()),
            state: true,
            taste: ChannelFilter::All,
        };
        let line = first_line(&wanted);
        let expected = "attach {\"told\":\"every_line\",\"taste\":\"all\",\"past\":{\"newest\":20},\"channel\":\"ops\",\"dir\":\"/home/ann\",\"state\":true}\n";
        assert_eq!(line, expected);
        assert_eq!(read_first_line(&line).unwrap(), wanted);
        assert_eq!(read_first_line("attach {}\n").unwrap(), AttachOptions::default());
        assert_eq!(read_first_line("status\n"), None);
        assert_eq!(read_first_line("attach\n"), None);
    }
}
