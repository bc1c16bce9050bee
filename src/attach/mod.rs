//! Frontends in other processes: a node serves them over its Unix sockets, to its own user and to nobody else.
//!
//! A frontend writes one line that says what it wants to be told: `attach` and a [`Wanted`] as JSON. From then on each side
//! writes objects, one a line: the node [`Told`](crate::present::values::Told), the frontend
//! [`Asked`](crate::present::values::Asked). When the frontend ends its side, the node says good-bye and ends the other.

pub mod client;
pub mod node;
mod plain;
pub mod send;
pub mod socket;
pub mod tail;
pub mod terminal;

use crate::feed::follow::Wanted;

/// The word that begins the first line.
const ATTACH: &str = "attach ";

/// The first line of a frontend.
fn first_line(wanted: &Wanted) -> String {
    // Numbers, words and a checked channel's name always have a form in JSON.
    let wanted = serde_json::to_string(wanted).unwrap_or_default();
    format!("{ATTACH}{wanted}\n")
}

/// What a frontend wants that writes this first line; `None`: it is no frontend.
pub fn read_first_line(line: &str) -> Option<Wanted> {
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
