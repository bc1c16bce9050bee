//! `dist-chat config`: prints every setting, and where it comes from.

use clap::{ArgMatches, Command};

use super::page::ManualPage;
use crate::failure::{Exit, Failure};
use crate::settings::{config, default_name};

/// The text of `config --help`.
pub const HELP: &str = "  dist-chat config [FLAGS]    every setting, and where it comes from
  dist-chat config --path     which file is read

  name = \"ann\"               # ~/.config/dist-chat/config.toml:1
  port = 5001                # DIST_CHAT_PORT
  data-dir = \".\"             # default

The file is dist-chat/config.toml in $XDG_CONFIG_HOME or ~/.config; --config
FILE or DIST_CHAT_CONFIG names another, an empty DIST_CHAT_CONFIG none. Its
keys are the long names of the flags of `dist-chat`: a flag beats the
environment, which beats the file. What is printed is such a file.
-l, --new, --ask-key, --moderators and --json are said at a start, and are no
settings; nor is a key, ever: name its file with key-file. A path is taken from
where the file is, ~/ from home.
A list: neighbor-address = [\"10.0.0.5\", \"10.0.0.6\"]
Exit: 0, 2 a line makes no sense (it is named), 6 the file cannot be read
";

/// The manual page of `dist-chat config`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "config",
    usage: &["dist-chat config [FLAGS]", "dist-chat config --path"],
    says: &[
        "Prints every setting and where it comes from: a flag, an environment variable, a line of the configuration, or the \
         program's default. What is printed is itself such a file.",
        "The file is dist-chat/config.toml in $XDG_CONFIG_HOME, or in ~/.config. --config FILE or DIST_CHAT_CONFIG names \
         another; an empty DIST_CHAT_CONFIG means that none is read. Its keys are the long names of the flags of dist-chat: \
         name = \"ann\", port = 5000, neighbor-address = [\"10.0.0.5\"]. What is said at a start alone (leader, new, ask-key, \
         moderators) is no setting. A path begins where the file is, or at home (~/).",
        "A key or an invite in the file is refused. So is a key-file in a file that others can write.",
        "A switch that the file sets is taken back for one start by its variable: DIST_CHAT_VERBOSE=0.",
    ],
    examples: &[
        ("Where does the port come from?", "dist-chat config | grep port"),
        ("Begins a file with what is set now.", "dist-chat config > config.toml"),
    ],
    exits: &["0", "2", "6"],
    help: HELP,
};

/// What is to be said of the configuration. The flags of `dist-chat` itself are added to these.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct ConfigArgs {
    /// Only where the file is
    #[arg(long)]
    pub path: bool,
}

/// The output of `dist-chat config`.
///
/// # Errors
/// The user wants the path of the configuration, and the program reads none.
pub fn run(
    command: &Command,
    matches: &ArgMatches,
    config: (&config::ConfigPath, &config::ConfigFile),
) -> Result<String, Failure> {
    if matches.get_flag("path") {
        return match config.0 {
            config::ConfigPath::Usual(path) | config::ConfigPath::Named(path) => Ok(format!("{}\n", path.display())),
            config::ConfigPath::Nowhere => Err(Failure::new(
                Exit::Usage,
                "no configuration file is read",
                "DIST_CHAT_CONFIG is empty, or there is no home directory",
                "try --config FILE",
            )),
        };
    }
    let unset = |key: &str| (key == "name").then(|| (default_name().to_string(), "default: the login name"));
    Ok(config::show(command, matches, config, unset))
}
