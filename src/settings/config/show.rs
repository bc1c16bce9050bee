//! Prints every setting and where it comes from, for `dist-chat config`.

use std::fmt::Write as _;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::{ConfigFile, ConfigPath, ValueKind, is_list, keys, shown};

/// Columns before the origin of a value.
const VALUE_COLUMNS: usize = 36;

/// Each setting as a line of TOML with its origin behind it. `unset`: the text for a key without a value.
pub fn show(
    command: &Command,
    matches: &ArgMatches,
    (place, file): (&ConfigPath, &ConfigFile),
    unset: impl Fn(&str) -> Option<(String, &'static str)>,
) -> String {
    let mut said = match (place, &file.path) {
        (ConfigPath::Nowhere, _) => "# no configuration file is read\n".to_owned(),
        (ConfigPath::Usual(path) | ConfigPath::Named(path), Some(_)) => format!("# {}\n", shown(path)),
        (ConfigPath::Usual(path) | ConfigPath::Named(path), None) => format!("# {} (not there)\n", shown(path)),
    };
    for arg in keys(command) {
        let (Some(key), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
        let values: Vec<String> =
            matches.get_raw(id).into_iter().flatten().map(|raw| raw.to_string_lossy().into()).collect();
        let line = match (values.as_slice(), unset(key)) {
            ([], Some((value, from))) => format!("{:VALUE_COLUMNS$} # {from}", format!("{key} = {}", quoted(&value))),
            ([], None) => format!("# {key} is not set"),
            (values, _) => {
                let set = format!("{key} = {}", written(arg, values));
                format!("{set:VALUE_COLUMNS$} # {}", origin(arg, key, matches.value_source(id), file))
            }
        };
        let _ = writeln!(said, "{line}");
    }
    said
}

fn origin(arg: &Arg, key: &str, source: Option<ValueSource>, file: &ConfigFile) -> String {
    match (source, file.get(key), &file.path) {
        (Some(ValueSource::CommandLine), ..) => format!("--{key}"),
        (Some(ValueSource::EnvVariable), ..) => {
            arg.get_env().map_or_else(|| "environment".to_owned(), |name| name.to_string_lossy().into_owned())
        }
        (_, Some((line, _)), Some(path)) => format!("{}:{line}", shown(path)),
        _ => "default".to_owned(),
    }
}

fn written(arg: &Arg, values: &[String]) -> String {
    let one = |value: &String| match ValueKind::of(arg) {
        // As in the environment: everything but these values means yes.
        ValueKind::Switch => (!["", "0", "f", "false", "n", "no", "off"].contains(&&*value.to_lowercase())).to_string(),
        ValueKind::Number => value.trim_start_matches('+').to_owned(),
        ValueKind::Text => quoted(value),
    };
    match is_list(arg) {
        true => format!("[{}]", values.iter().map(one).collect::<Vec<_>>().join(", ")),
        false => values.last().map(one).unwrap_or_default(),
    }
}

/// A text in TOML's quotes. The rules are JSON's, except for one character.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\x7f', "\\u007F")
}
