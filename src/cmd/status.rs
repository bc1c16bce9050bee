//! `dist-chat status`: prints the state of a node of this user.

use std::net::IpAddr;

use super::page::ManualPage;
use crate::control::client::{self, FoundNode};
use crate::failure::Failure;
use crate::settings::PORT_DEFAULT;

/// The text of `status --help`.
pub const HELP: &str = "  dist-chat status [-p PORT]         how a node of yours here is doing
  dist-chat status [-p PORT] --json  the same for a script, as one line

  -p, --port PORT    the node's port  [2428]
  -a, --address IP   its address, where several nodes have that port
      --json         keys: room, name, address, role, epoch, leader, next,
                     prev, members, log, waiting; null where there is none

It is asked over a socket that only you can open; the network sees nothing.
Exit: 0, 2 several nodes have that port, 4 no node there
";

/// The manual page of `dist-chat status`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "status",
    usage: &["dist-chat status [-a IP] [-p PORT] [--json]"],
    says: &[
        "Asks a node of yours that runs on this machine: its room, its neighbours in the ring, its leader, who is here, how \
         long its log is, how many of its own lines wait. It is asked over a Unix socket that only you can open.",
    ],
    examples: &[("As JSON, for a script.", "dist-chat status -p 5002 --json")],
    exits: &["0", "2", "4"],
    help: HELP,
};

/// Which node is asked, and how its answer is shown.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct StatusArgs {
    /// Where it listens, or what it advertises
    #[arg(short, long, env = "DIST_CHAT_ADDRESS", value_name = "IP")]
    pub address: Option<IpAddr>,
    /// Its port
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    pub port: u16,
    /// As one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// The text to print about the selected node.
///
/// # Errors
/// No such node answers, or more than one matches.
pub fn run(query: &StatusArgs) -> Result<String, Failure> {
    let FoundNode { report, .. } = client::find(query.address, query.port)?;
    match query.json {
        true => serde_json::to_string(&report)
            .map(|line| line + "\n")
            .map_err(|error| Failure::from(anyhow::Error::new(error))),
        false => Ok(report.for_people()),
    }
}
