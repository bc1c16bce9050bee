//! Completes the word before the cursor when the user presses Tab.

use crate::feed::commands::COMMANDS;
use crate::present::values::FeedState;

/// Most candidates in one list.
const LISTED_MAX: usize = 40;

/// The names and channels that Tab completes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Names of the members.
    pub names: Vec<String>,
    /// Names of the channels, without `#`.
    pub channels: Vec<String>,
}

impl From<&FeedState> for Known {
    fn from(state: &FeedState) -> Self {
        let names = state.members.iter().map(|member| member.name.as_str().to_owned()).collect();
        Self { names, channels: state.channels.iter().map(|channel| channel.name.clone()).collect() }
    }
}

/// The effect of Tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// No candidate begins like the word.
    Nothing,
    /// This text replaces the bytes from here up to the cursor.
    Put(usize, String),
    /// Several candidates begin like the word and share no longer beginning.
    List(Vec<String>),
}

/// Completes the word at the end of `before`, the text up to the cursor.
pub fn complete(before: &str, known: &Known) -> Completion {
    let from = before.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8());
    let (head, word) = before.split_at(from);
    let (candidates, tail) = match (head.trim(), word.strip_prefix('/')) {
        ("", Some(_)) if from == 0 => (COMMANDS.iter().map(|command| command.name.to_owned()).collect(), " "),
        ("/help", slash) => {
            let from = usize::from(slash.is_none());
            (COMMANDS.iter().map(|command| command.name[from..].to_owned()).collect(), "")
        }
        ("/join", _) => {
            let hash = if word.is_empty() || word.starts_with('#') { "#" } else { "" };
            (known.channels.iter().map(|channel| format!("{hash}{channel}")).collect(), " ")
        }
        _ if word.is_empty() => return Completion::Nothing,
        _ => (known.names.clone(), if from == 0 { ": " } else { " " }),
    };
    choose(from, word, candidates, tail)
}

fn choose(from: usize, word: &str, mut candidates: Vec<String>, tail: &str) -> Completion {
    let begin = word.to_lowercase();
    candidates.retain(|candidate| candidate.to_lowercase().starts_with(&begin));
    candidates.sort();
    candidates.dedup();
    match &candidates[..] {
        [] => Completion::Nothing,
        [one] => Completion::Put(from, format!("{one}{tail}")),
        [first, rest @ ..] => {
            let common = rest.iter().fold(first.chars().count(), |common, other| {
                let alike = first.chars().zip(other.chars()).take_while(|(a, b)| a.to_lowercase().eq(b.to_lowercase()));
                common.min(alike.count())
            });
            let common: String = first.chars().take(common).collect();
            match common.chars().count() > word.chars().count() {
                true => Completion::Put(from, common),
                false => {
                    candidates.truncate(LISTED_MAX);
                    Completion::List(candidates)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(before: &str) -> Completion {
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        complete(
            before,
            &Known {
                names: strings(&["bob", "Carol", "carla", "dörte", "ann"]), channels: strings(&["lobby", "dev"])
            },
        )
    }

    fn put(from: usize, text: &str) -> Completion {
        Completion::Put(from, text.to_owned())
    }

    #[test]
    fn names_are_completed() {
        assert_eq!(completed("bo"), put(0, "bob: "));
        assert_eq!(completed("hello BO"), put(6, "bob "));
        assert_eq!(completed("漢字 dö"), put(7, "dörte "));
        assert_eq!(completed("car"), Completion::List(vec!["Carol".to_owned(), "carla".to_owned()]));
        assert_eq!(completed("ca"), put(0, "Car"));
        assert_eq!(completed("x"), Completion::Nothing);
        assert_eq!(completed("hello "), Completion::Nothing);
        assert_eq!(completed(""), Completion::Nothing);
    }

    #[test]
    fn commands_and_channels_are_completed() {
        assert_eq!(completed("/hi"), put(0, "/history "));
        assert_eq!(completed("/join d"), put(6, "dev "));
        assert_eq!(completed("/join #l"), put(6, "#lobby "));
        assert_eq!(completed("/msg b"), put(5, "bob "));
        assert_eq!(completed("/help sea"), put(6, "search"));
        assert!(matches!(completed("/"), Completion::List(_)));
        assert_eq!(completed("look at /hi"), Completion::Nothing);
    }
}
