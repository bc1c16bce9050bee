//! `dist-chat` itself and `dist-chat join`: runs a member of a room.

use super::page::ManualPage;

/// The text of `--help`. It fits a terminal of 24 lines and 80 columns.
pub const HELP: &str = "  dist-chat -l -a IP -p PORT -n NAME                 create a room
  dist-chat -a IP -p PORT -n NAME -na IP -np PORT    join through any member
  dist-chat join -n NAME      join with an invite, which is asked for
  dist-chat [-p PORT]         back into the room that the files hold
  dist-chat send|tail|attach|status|history|key|invite|doctor|config|... -h
  -l,  --leader               start the room here
  -a,  --address IP           listen here      [127.0.0.1; joining: what fits]
       --advertise IP[:PORT]  what others dial [where we listen]
  -p,  --port PORT            TCP port         [2428]
  -n,  --name NAME            1 to 32 letters, digits, _ - .  [$USER]
  -na, --neighbor-address IP  a member's IP or host name; repeat it for more
  -np, --neighbor-port PORT   its port         [2428]
       --key-file FILE        the room's key, mode 0600; --ask-key: typed
  -v,  --verbose              log lines on stdout too; --json: speak JSON
       --data-dir DIR         where chat_PORT.log and .db live  [.]
       --ephemeral            keep nothing on disk; --tui: the full screen
       --backlog N            show so many old lines [1000]; --bell off, all
       --rate-limit N         lines/s taken of one author  [2000; 0: all]
       --daemon               no terminal: ignore stdin, stay until a signal
       --new, --moderators A  with -l: whatever the files hold; who may kick
Type a line to say it, //exit to leave. --name ann is also DIST_CHAT_NAME=ann,
or name = \"ann\" in ~/.config/dist-chat/config.toml (or --config FILE).
Exit: 0 left, 2 usage, 3 cannot listen, 4 nobody there, 5 refused, 6 files,
      7 left with lines that no leader has ordered
";

/// The text of `join --help`.
pub const JOIN_HELP: &str = "  dist-chat join -n NAME          the invite is asked for at the terminal
  dist-chat join FILE -n NAME     or read from a file that only you can read
  ... | dist-chat join -n NAME    or from the first line of standard input; the
                                  other lines are sent

`dist-chat invite` makes one where a member runs. It holds the room's key, so
it is never an argument: others read process lists and shell histories.
-n, -p, -a, --advertise, -v, --json, --tui, --data-dir, --ephemeral, --backlog,
--bell, --rate-limit and --daemon are those of `dist-chat --help`.

The key is kept in chat_PORT.key beside the history, mode 0600, so that
`dist-chat -p PORT` comes back without it being typed (with --ephemeral: not).
";

/// The manual page of `dist-chat` itself.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "",
    usage: &[
        "dist-chat -l [-a IP] [-p PORT] [-n NAME] [FLAGS]",
        "dist-chat -na IP [-np PORT] [-a IP] [-p PORT] [-n NAME] [FLAGS]",
        "dist-chat [-p PORT] [FLAGS]",
        "dist-chat COMMAND [FLAGS]",
    ],
    says: &[
        "Every person runs the same program. The programs form a ring over TCP, elect a leader, and keep one ordered \
         history that each of them holds. Any of them may end or die; the others talk on.",
        "The first form opens a room, or reopens the one that the files of this port hold. The second joins through any \
         member. The third goes back into the room that the files hold, through whoever is there.",
        "A line of standard input is said in the room; blank lines are not sent. //exit leaves, and so do the end of input, \
         SIGINT and SIGTERM: everything typed is ordered first. Lines that no leader has ordered after 5 s are kept in the \
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
    help: HELP,
};

/// The manual page of `dist-chat join`.
pub(crate) const JOIN_PAGE: ManualPage = ManualPage {
    command: "join",
    usage: &["dist-chat join [FILE] [-n NAME] [FLAGS]"],
    says: &[
        "Joins with an invite, the one word that dist-chat-invite(1) makes where a member runs. It is asked for at the \
         terminal, read from a file that only you can read, or taken from the first line of standard input. It holds the \
         room's key, so it is never an argument.",
        "The key is kept in chat_PORT.key beside the history, so that the node comes back without it being typed.",
    ],
    examples: &[("Asks for the invite.", "dist-chat join -n bob"), ("Reads it.", "dist-chat join invite.txt -n bob")],
    exits: &["0", "1", "2", "3", "4", "5", "6", "7"],
    help: JOIN_HELP,
};
