//! `dist-chat completions`: prints a completion script for a shell, made from the definitions of commands and flags.

use std::fmt::Write as _;

use clap::Command;

use super::page::ManualPage;

/// The text of `completions --help`.
pub const HELP: &str = "  dist-chat completions bash    prints what bash completes a command line with
  dist-chat completions zsh     ... zsh
  dist-chat completions fish    ... fish

Subcommands, flags, files and the values of flags that have few. To have it at
each start of the shell, put it where the shell looks (scripts/install does):
  bash  ~/.local/share/bash-completion/completions/dist-chat
  zsh   _dist-chat in a directory of $fpath
  fish  ~/.local/share/fish/vendor_completions.d/dist-chat.fish
or, for this shell alone: source <(dist-chat completions bash)
Exit: 0, 2 another shell
";

/// The manual page of `dist-chat completions`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "completions",
    usage: &["dist-chat completions bash|zsh|fish"],
    says: &[
        "Prints a script with which a shell completes subcommands, flags, files and values. scripts/install puts it where \
         each shell looks for it.",
    ],
    examples: &[("For this shell.", "source <(dist-chat completions bash)")],
    exits: &["0", "2"],
    help: HELP,
};

/// For which shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// The arguments of `dist-chat completions`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The script with which a shell completes `command`.
pub fn run(args: &CompletionsArgs, mut command: Command) -> String {
    let shell = match args.shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "dist-chat", &mut script);
    let script = String::from_utf8_lossy(&script);
    // -na and -np are whole tokens that clap does not know (see `line::whole_token`).
    match args.shell {
        // The generator for bash uses two names for a subcommand of a program with a hyphen: it sets one and looks for
        // the other.
        Shell::Bash => script
            .replace("dist__subcmd__chat", "dist__chat")
            .replace(" --neighbor-address ", " -na -np --neighbor-address ")
            .replace("--neighbor-address)", "--neighbor-address|-na)")
            .replace("--neighbor-port)", "--neighbor-port|-np)"),
        Shell::Zsh => script.lines().map(zsh_line).collect(),
        Shell::Fish => script
            .replace(" -l neighbor-address ", " -o na -l neighbor-address ")
            .replace(" -l neighbor-port ", " -o np -l neighbor-port "),
    }
}

/// A flag's line, and a second line for its whole token, if it has one.
fn zsh_line(line: &str) -> String {
    let mut lines = format!("{line}\n");
    for (long, token) in [("'*--neighbor-address=[", "'*-na["), ("'*--neighbor-port=[", "'*-np[")] {
        if let Some(rest) = line.strip_prefix(long) {
            let _ = writeln!(lines, "{token}{rest}");
        }
    }
    lines
}
