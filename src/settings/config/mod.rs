//! The configuration file: which one it is, and what stands in it, with the place of every value.
//!
//! Its keys are the long names of the flags of `dist-chat` itself: what there is, of which kind, and what will do, is asked
//! of the command line's own definitions, so that a new flag is a key without a word here. It holds no secret: a key or an
//! invite in it is refused, as on the command line.

mod place;
mod read;
mod show;

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

pub use place::{Place, in_home, place, shown};
pub use read::read;
pub use show::show;

/// Bytes of a configuration file.
pub const CONFIG_BYTES_MAX: u64 = 64 * 1024;

/// Flags that say what is to be done now, and are no settings: a file that said them would say them at every start.
const ONCE: [&str; 8] = ["leader", "new", "ask-key", "moderators", "json", "config", "help", "version"];

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Where it is; `None`: there is none, and nothing is said.
    pub path: Option<PathBuf>,
    settings: Vec<Setting>,
}

/// One key and its values, as the command line would be given them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    /// Counted from 1.
    line: usize,
    values: Vec<String>,
}

impl File {
    /// What it says of this key, the long name of a flag: the line, counted from 1, and the values.
    pub fn get(&self, key: &str) -> Option<(usize, &[String])> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        Some((setting.line, &setting.values))
    }

    /// The command with the file's values in the place of its own defaults, and those of its subcommands that have the
    /// same flags.
    pub fn under(&self, command: Command) -> Command {
        let command = command.mut_args(|arg| match arg.get_long().and_then(|long| self.get(long)) {
            Some((_, values)) => {
                let values = values.to_vec();
                arg.default_values(values)
            }
            None => arg,
        });
        command.mut_subcommands(|sub| self.under(sub))
    }
}

/// The flags of a command that may stand in the file.
pub fn keys(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| !ONCE.contains(&long)))
}

/// What kind of value a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Switch,
    Number,
    Text,
}

impl Kind {
    fn of(arg: &Arg) -> Self {
        use std::any::TypeId;
        if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse) {
            return Self::Switch;
        }
        let id = arg.get_value_parser().type_id();
        let numbers = [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>(), TypeId::of::<usize>()];
        match numbers.into_iter().any(|number| id == number) {
            true => Self::Number,
            false => Self::Text,
        }
    }

    /// What it is called where another was found.
    fn wanted(self) -> &'static str {
        match self {
            Self::Switch => "true or false",
            Self::Number => "a number in decimal digits",
            Self::Text => "a text in quotes",
        }
    }
}

/// It may be given several times.
fn is_list(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
}

#[cfg(test)]
mod tests;
