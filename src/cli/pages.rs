//! What the manual says of each command beside its flags.

use crate::feed::commands::{self, Command};

/// Paragraphs.
pub(super) type Says = &'static [&'static str];

/// A page of the manual.
#[derive(Debug)]
pub(super) struct Page {
    /// The subcommand; empty: the program itself.
    pub command: &'static str,
    /// How it is called.
    pub usage: Says,
    /// What it does.
    pub says: Says,
    /// What a line does, and the line.
    pub examples: &'static [(&'static str, &'static str)],
    /// The exit codes that it ends with, of [`EXITS`].
    pub exits: &'static [&'static str],
}

/// The exit codes of the program.
pub(super) const EXITS: [(&str, &str); 8] = [
    ("0", "done, or left as asked"),
    ("1", "a mistake of the program"),
    ("2", "usage: the command line, the environment or the configuration makes no sense"),
    ("3", "cannot listen: the address is not of this machine, or the port is taken"),
    ("4", "nobody is reachable, or no node of yours runs there, or it has ended without a good-bye"),
    ("5", "refused: a taken name, another room, another key, another version, a ban, a full room"),
    ("6", "files are unusable: locked by another node, damaged, not writable"),
    ("7", "left with lines that nobody has ordered; they are kept in the files"),
];

/// What there is on disk.
pub(super) const FILES: &[(&str, &str)] = &[
    ("chat_PORT.log", "what was said and what has happened, one line each, in the data directory"),
    ("chat_PORT.db", "the history and the member's identity; chat_PORT.journal beside it while a node runs"),
    ("chat_PORT.key", "the room's key as an invite has brought it, mode 0600"),
    ("~/.config/dist-chat/config.toml", "settings; dist-chat-config(1) tells of it"),
];

/// What can be typed in a room on a terminal, and what it does: the table that `/help` shows there.
pub(super) fn room() -> Vec<(String, String)> {
    let does = |command: &Command| match command.aliases {
        [] => command.does.to_owned(),
        aliases => format!("{} (also {})", command.does, aliases.join(", ")),
    };
    commands::COMMANDS.iter().map(|command| (command.usage(), does(command))).collect()
}

/// Every page.
pub(super) const PAGES: [Page; 14] = [
    Page {
        command: "",
        usage: &[
            "dist-chat -l [-a IP] [-p PORT] [-n NAME] [FLAGS]",
            "dist-chat -na IP [-np PORT] [-a IP] [-p PORT] [-n NAME] [FLAGS]",
            "dist-chat [-p PORT] [FLAGS]",
            "dist-chat COMMAND [FLAGS]",
        ],
        says: &[
            "Every person runs the same program. The programs form a ring over TCP, elect a leader, and keep one ordered \
             history that each of them holds. Any of them may end or die; whoever is left talks on.",
            "The first form opens a room, or reopens the one that the files of this port hold. The second joins through any \
             member. The third goes back into the room that the files hold, through whoever is there.",
            "A line of standard input is said in the room; blank lines are not sent. //exit leaves, and so do the end of input, \
             SIGINT and SIGTERM: everything typed is ordered first. Lines that nobody has ordered after 5 s are kept in the \
             files and go out at the next start.",
            "Where standard output is no terminal, each line that is received is one line, `> NAME(IP:PORT)[TS]: text`, and each \
             event is `/// text ///`.",
            "A flag beats its environment variable, which beats the configuration file, which beats the default. -na and -np \
             are whole tokens: a name is -n NAME.",
        ],
        examples: &[
            ("Opens a room on this machine.", "dist-chat -l -n ann"),
            ("Joins it from a second terminal.", "dist-chat -p 5002 -n bob -na 127.0.0.1"),
            ("Opens a room for others, behind a key.", "dist-chat -l -a 10.0.0.5 -n ann --key-file room.key"),
            (
                "Says one line from a script, and leaves when another member holds it.",
                "echo hello | dist-chat -p 0 -n bot -na 10.0.0.5",
            ),
        ],
        exits: &["0", "1", "2", "3", "4", "5", "6", "7"],
    },
    Page {
        command: "join",
        usage: &["dist-chat join [FILE] [-n NAME] [FLAGS]"],
        says: &[
            "Joins with an invite, the one word that dist-chat-invite(1) makes where a member runs. It is asked for at the \
             terminal, read from a file that only you can read, or taken from the first line of standard input. It holds the \
             room's key, so it is never an argument.",
            "The key is kept in chat_PORT.key beside the history, so that the node comes back without it being typed.",
        ],
        examples: &[
            ("Asks for the invite.", "dist-chat join -n bob"),
            ("Reads it.", "dist-chat join invite.txt -n bob"),
        ],
        exits: &["0", "1", "2", "3", "4", "5", "6", "7"],
    },
    Page {
        command: "status",
        usage: &["dist-chat status [-a IP] [-p PORT] [--json]"],
        says: &[
            "Asks a node of yours that runs on this machine: its room, its neighbours in the ring, its leader, who is here, how \
             long its log is, how many of its own lines wait. It is asked over a Unix socket that only you can open.",
        ],
        examples: &[("As JSON, for a script.", "dist-chat status -p 5002 --json")],
        exits: &["0", "2", "4"],
    },
    Page {
        command: "send",
        usage: &["dist-chat send [-m TEXT | -] [--channel C] [--wait] [-p PORT]"],
        says: &[
            "Says something through a node of yours that runs on this machine: what -m says, or else each line of standard \
             input. Nothing is a command, and blank lines are not said. It ends once the node has taken everything; with --wait \
             when all of it is ordered and another member holds it.",
            "A line of the input that is too long is told and not said; all the others are, and then the exit code is 2.",
        ],
        examples: &[
            ("Says one line.", "dist-chat send -m 'the build is done'"),
            ("Says what a program prints.", "make 2>&1 | dist-chat send --channel builds"),
        ],
        exits: &["0", "2", "4", "7"],
    },
    Page {
        command: "tail",
        usage: &["dist-chat tail [-f] [-n N | --since WHEN] [--channel C] [--json] [-p PORT]"],
        says: &["Prints the newest lines and, with -f, those that come, until the node leaves. A line is \
             `> NAME(IP:PORT)[TS]: text`, or with --json an object. However slowly they are read, no line is left out and none \
             comes twice. Without -f the files of a node that does not run will do."],
        examples: &[("All that comes, for a program.", "dist-chat tail -f -n 0 --json | ./bot")],
        exits: &["0", "2", "4", "6"],
    },
    Page {
        command: "attach",
        usage: &["dist-chat attach [--json | --tui] [-p PORT]"],
        says: &[
            "Is a terminal onto a node of yours that runs on this machine, with --daemon perhaps. Several can be at one node. \
             /exit or Ctrl-D leaves the terminal, and the node stays. When the node leaves, this ends too and says why, with 0; \
             where the node ends without a good-bye, since it was killed, the exit code is 4.",
            "Where standard input or output is no terminal, each line that comes is said and lines are shown as in a pipe.",
        ],
        examples: &[("A node without a terminal, and a terminal onto it.", "dist-chat -l --daemon & dist-chat attach")],
        exits: &["0", "2", "4", "7"],
    },
    Page {
        command: "history",
        usage: &[
            "dist-chat history [-p PORT] [--data-dir DIR] [--since WHEN] [--until WHEN] [--from NAME] [--grep TEXT] [-n N] [--json]",
        ],
        says: &[
            "Prints what was said, oldest first, out of the file of a node that runs or has run. WHEN is a timestamp (120), a \
             time of today (14:30), a date, both, or a span back from now (2h, \"3 days\").",
        ],
        examples: &[("The newest 20 lines with a word.", "dist-chat history -n 20 --grep deploy")],
        exits: &["0", "2", "4", "6"],
    },
    Page {
        command: "key",
        usage: &["dist-chat key [FILE]"],
        says: &[
            "Draws a key of 160 random bits into a new file that only you can read, or prints it. A room that is opened with it \
             is entered by nobody who has not got it, and all that its members say is encrypted.",
        ],
        examples: &[("A key, and a room behind it.", "dist-chat key room.key && dist-chat -l --key-file room.key")],
        exits: &["0", "6"],
    },
    Page {
        command: "invite",
        usage: &["dist-chat invite [-a IP] [-p PORT] [--qr]"],
        says: &[
            "Prints one word that says where the room of a node of yours is, and its key. Whoever has it can join: pass it on in \
             private. The invite of an open room holds addresses only.",
        ],
        examples: &[("Drawn, for a camera.", "dist-chat invite --qr")],
        exits: &["0", "2", "4", "5"],
    },
    Page {
        command: "doctor",
        usage: &["dist-chat doctor HOST[:PORT] [--key-file FILE] [-n NAME] [--json]"],
        says: &[
            "Tells why a member cannot be reached or joined. It looks at one layer after the other, each within a time of its \
             own: the host's name, the route, the TCP connection, whether a dist-chat answers and which version of the protocol \
             it speaks, the room's key, the room, and the name that you would have. The first that fails is named, with what it \
             means and what to try.",
            "It does not join, and no member sees it come. Three things are said by a leader to who joins, and not before: \
             whether a name is taken, whether you are banned, and whether the room is full. Where the node is yours and runs on \
             this machine, it is asked for the names of all members; elsewhere a name is judged by its letters alone, and the \
             line says so.",
        ],
        examples: &[
            ("Why does Ann's room not answer?", "dist-chat doctor 10.0.0.5"),
            ("Is this the key of the room?", "dist-chat doctor ann.example:2428 --key-file room.key"),
        ],
        exits: &["0", "2", "4", "5", "6"],
    },
    Page {
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
    },
    Page {
        command: "completions",
        usage: &["dist-chat completions bash|zsh|fish"],
        says: &[
            "Prints a script with which a shell completes subcommands, flags, files and values. scripts/install puts it where \
             each shell looks for it.",
        ],
        examples: &[("For this shell.", "source <(dist-chat completions bash)")],
        exits: &["0", "2"],
    },
    Page {
        command: "man",
        usage: &["dist-chat man [COMMAND]", "dist-chat man --dir DIR"],
        says: &[
            "Shows a page of this manual, or writes all of them into a directory. On a terminal man(1) shows it; where there \
             is none, what --help says is shown. In a pipe it is the page's source, as `man -l -` reads it.",
        ],
        examples: &[("Reads a page.", "dist-chat man doctor"), ("Its source.", "dist-chat man doctor > doctor.1")],
        exits: &["0", "2", "6"],
    },
    Page {
        command: "bench",
        usage: &["dist-chat bench [--quick] [--only PART,...] [--kills N]"],
        says: &[
            "Starts rooms on the loopback interface and prints a table of what they cost, beside what bare sockets cost in the \
             same run. Only the ratios within one run say something. The whole table takes minutes.",
        ],
        examples: &[("What a key and signatures cost.", "dist-chat bench --only keyed,signing")],
        exits: &["0", "1", "2"],
    },
];
