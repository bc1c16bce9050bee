//! Texts that the program makes from the definitions of its flags: a page of the handbook, manual pages and
//! completions.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::{Dir, PROGRAM, program, run, run_args};
use crate::pty::Term;

/// The subcommands that the manual describes.
const COMMANDS: [&str; 13] = [
    "join",
    "status",
    "send",
    "tail",
    "attach",
    "history",
    "key",
    "invite",
    "doctor",
    "config",
    "completions",
    "man",
    "bench",
];

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn fed(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_handbook_lists_every_command_as_it_is() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.rst");
    let made = run_args(&["man", "--rst"]).out;
    if std::env::var_os("REGENERATE").is_some() {
        std::fs::write(&page, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    let differs = kept.lines().zip(made.lines()).position(|(kept, made)| kept != made);
    assert!(
        kept == made,
        "docs/commands.rst is not what the program says (line {:?}): REGENERATE=1 cargo test --test cli manual",
        differs.map(|line| line + 1)
    );
    for command in COMMANDS {
        let help = run_args(&[command, "--help"]);
        assert_eq!(help.code, 0, "{}", help.err);
        assert!(
            help.out.lines().count() <= 24 && help.out.lines().all(|line| line.chars().count() < 80),
            "{}",
            help.out
        );
        assert!(help.out.contains("Exit: 0") || command == "join", "{command}: {}", help.out);
        let indented: String = help.out.lines().map(|line| format!("{}\n", format!("   {line}").trim_end())).collect();
        assert!(made.contains(&indented), "{command}");
    }
}

#[test]
fn every_flag_of_every_command_is_explained() {
    // A table row with an empty meaning shows a flag without a help text.
    let made = run_args(&["man", "--rst"]).out;
    let mut rows = made.lines();
    while let Some(row) = rows.next() {
        if row.starts_with("   * - ") {
            let meaning = rows.next().unwrap();
            assert!(meaning.len() > "     - ".len() + 5, "{row}");
        }
    }
}

#[test]
fn each_page_of_the_manual_is_without_fault() {
    let dir = Dir::new();
    assert_eq!(run(program(&dir.0, &["man", "--dir", "man1"]), b"").code, 0);
    let mut names: Vec<String> = std::fs::read_dir(dir.0.join("man1"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), COMMANDS.len() + 1, "{names:?}");
    let main = std::fs::read_to_string(dir.0.join("man1/dist-chat.1")).unwrap();
    for part in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "FILES", "EXAMPLES"] {
        assert!(main.contains(&format!(".SH {part}")), "{part}");
    }
    assert!(main.contains("DIST_CHAT_NAME") && main.contains("EXIT STATUS"), "{main}");
    assert_eq!(run_args(&["man"]).out, main);
    assert_eq!(run_args(&["man", "nonesuch"]).code, 2);
    assert_eq!(run(program(&dir.0, &["man", "--dir", "/proc/nonesuch"]), b"").code, 6);
    if !is_there("groff") {
        eprintln!("SKIPPED: no groff here to read the pages with");
        return;
    }
    for name in names {
        let mut groff = Command::new("groff");
        groff.args(["-Kutf8", "-man", "-Tutf8", "-ww"]).arg(dir.0.join("man1").join(&name));
        let read = fed(groff, b"");
        assert!(read.status.success() && read.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&read.stderr));
        assert!(!read.stdout.is_empty());
    }
}

/// The completions that bash offers for the last of these words.
fn proposed(words: &str) -> Vec<String> {
    let script = format!(
        "source <({PROGRAM} completions bash)\n\
         complete -p dist-chat >&2 || exit 3\n\
         fun=$(complete -p dist-chat | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         words=\"{words}\"; read -ra COMP_WORDS <<< \"$words\"; [[ $words == *' ' ]] && COMP_WORDS+=('')\n\
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE=$words; COMP_POINT=${{#words}}\n\
         $fun dist-chat \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-s"]);
    let output = fed(bash, script.as_bytes());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && err.contains("complete "), "{err}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    if !is_there("bash") {
        eprintln!("SKIPPED: no bash here");
        return;
    }
    let has = |words: &str, wanted: &[&str]| {
        let all = proposed(words);
        for word in wanted {
            assert!(all.iter().any(|other| other == word), "{words}: no {word} in {all:?}");
        }
    };
    has("dist-chat ", &COMMANDS[..12]);
    has("dist-chat --", &["--leader", "--neighbor-address", "--data-dir", "--config"]);
    has("dist-chat -n", &["-n", "-na", "-np"]);
    has("dist-chat doc", &["doctor"]);
    has("dist-chat status --", &["--port", "--json"]);
    has("dist-chat history --s", &["--since"]);
    has("dist-chat config --", &["--path", "--port", "--key-file"]);
    has("dist-chat completions ", &["bash", "zsh", "fish"]);
    assert_eq!(run_args(&["completions", "tcsh"]).code, 2);
}

#[test]
fn zsh_and_fish_take_their_scripts() {
    for (shell, check) in [("zsh", &["-n"][..]), ("fish", &["--no-execute"])] {
        let script = run_args(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains("dist-chat") && script.out.contains("neighbor-address"));
        let token = if shell == "zsh" { "\n'*-na[A member" } else { " -o na -l neighbor-address " };
        assert!(script.out.contains(token), "{}", script.out);
        if !is_there(shell) {
            eprintln!("skipped: no {shell} here to read its script");
            continue;
        }
        let mut command = Command::new(shell);
        command.args(check);
        let read = fed(command, script.out.as_bytes());
        assert!(read.status.success(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
    }
}

#[test]
fn on_a_terminal_a_page_is_shown_and_not_its_source() {
    // Without `man` in the path, the program shows its `--help` text. With `man`, it hands the page to `man` and shows
    // the result.
    let dir = Dir::new();
    let bin = dir.0.join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = [("PATH", bin.to_str().unwrap())];
    let shown = |what: &str| {
        let mut term = Term::start(&["man", "status"], &path);
        term.wait_row(what);
        assert_eq!(term.ended(), 0);
        assert!(term.look(|seen| !seen.has(".TH") && !seen.has(".SH")), "{what}");
    };
    shown("It is asked over a socket that only you can open");
    let man = bin.join("man");
    std::fs::write(&man, "#!/bin/sh\nread -r page\necho \"shown: $# $1 $2 ${page%% *}\"\n").unwrap();
    std::fs::set_permissions(&man, std::fs::Permissions::from_mode(0o755)).unwrap();
    shown("shown: 2 -l - .ie");
    std::fs::write(&man, "#!/bin/sh\nexit 1\n").unwrap();
    shown("It is asked over a socket that only you can open");
}
