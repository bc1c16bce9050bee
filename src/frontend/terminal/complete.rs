//! What Tab makes of what was typed so far.

use crate::feed::commands::COMMANDS;
use crate::present::values::FeedState;

/// Candidates that are listed at most.
const LISTED_MAX: usize = 40;

/// What can be completed: names and channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Who is here.
    pub names: Vec<String>,
    /// Which channels there are, without `#`.
    pub channels: Vec<String>,
}

impl From<&FeedState> for Known {
    fn from(state: &FeedState) -> Self {
        let names = state.members.iter().map(|member| member.name.as_str().to_owned()).collect();
        Self { names, channels: state.channels.iter().map(|channel| channel.name.clone()).collect() }
    }
}

/// What Tab does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Nothing begins like this.
    Nothing,
    /// From this byte up to the cursor, this.
    Put(usize, String),
    /// Nothing more can be said: these begin so.
    List(Vec<String>),
}

/// Completes the word before the cursor, which stands at the end of `before`.
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
