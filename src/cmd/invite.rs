//! `dist-chat invite`: makes one word from a room's addresses and its key.

use std::io;
use std::net::{IpAddr, SocketAddr};

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use rustix::termios::{isatty, tcgetwinsize};
use zeroize::Zeroizing;

use super::page::ManualPage;
use crate::control::client::{self, FoundNode};
use crate::failure::{Exit, Failure, complain};
use crate::key::invite::{ADDRESSES_MAX, Invite};
use crate::present::report::StatusReport;
use crate::settings::PORT_DEFAULT;

/// The text of `invite --help`.
pub const HELP: &str = "  dist-chat invite [-p PORT]       one word: where the room is, and its key
  dist-chat invite [-p PORT] --qr  the same as a picture

  -p, --port PORT    the port of a node of yours that runs here  [2428]
  -a, --address IP   its address, where several nodes have that port
      --qr           draw it, for a camera

Whoever has the invite can join: pass it on as you would the key itself, even
where the key is a passphrase. `dist-chat join` takes it. The invite of an open
room holds addresses only.
Exit: 0, 2 usage, 4 no node there, 5 it is in no room yet
";

/// The manual page of `dist-chat invite`.
pub(crate) const PAGE: ManualPage = ManualPage {
    command: "invite",
    usage: &["dist-chat invite [-a IP] [-p PORT] [--qr]"],
    says: &[
        "Prints one word that says where the room of a node of yours is, and its key. Whoever has it can join: pass it on in \
         private. The invite of an open room holds addresses only.",
    ],
    examples: &[("Drawn, for a camera.", "dist-chat invite --qr")],
    exits: &["0", "2", "4", "5"],
    help: HELP,
};

/// Which node's room, and how the invite is shown.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct InviteArgs {
    /// Where the node listens, or what it advertises
    #[arg(short, long, env = "DIST_CHAT_ADDRESS", value_name = "IP")]
    pub address: Option<IpAddr>,
    /// Its port
    #[arg(short, long, env = "DIST_CHAT_PORT", value_name = "PORT", default_value_t = PORT_DEFAULT)]
    pub port: u16,
    /// As a picture, for a camera
    #[arg(long)]
    pub qr: bool,
}

/// Makes an invite to the room of a node that runs here. Returns the text to print.
///
/// # Errors
/// No such node answers, or it is in no room.
pub fn run(args: &InviteArgs) -> Result<Zeroizing<String>, Failure> {
    let FoundNode { report, listens } = client::find(args.address, args.port)?;
    let key = client::ask_key(listens).map_err(|error| {
        Failure::new(
            Exit::Unreachable,
            format!("the node at {listens} does not tell its key"),
            error.to_string(),
            "try again; `dist-chat --version` tells whether this program and that one are the same",
        )
    })?;
    if report.room.is_none() {
        return Err(Failure::new(
            Exit::Refused,
            format!("{}({}) is in no room yet", report.name, report.address),
            "it is looking for its room",
            "try again when it is in",
        ));
    }
    let addresses = addresses(&report);
    if addresses.iter().all(|address| address.ip().is_loopback()) {
        complain("dist-chat: only who is on this machine can use it: the room is on a loopback address");
    }
    let mut said = Invite { addresses, key }.token();
    if args.qr {
        said = picture(&said)?;
    }
    said.push('\n');
    Ok(said)
}

/// The contacts in the invite: the node itself, the leader, other members. Loopback addresses only if there are no
/// others.
fn addresses(report: &StatusReport) -> Vec<SocketAddr> {
    let members = report.members.iter().map(|member| member.address);
    let mut all: Vec<SocketAddr> = Vec::new();
    for uid in [report.address].into_iter().chain(report.leader).chain(members) {
        if !all.contains(&uid.0) {
            all.push(uid.0);
        }
    }
    if all.iter().any(|address| !address.ip().is_loopback()) {
        all.retain(|address| !address.ip().is_loopback());
    }
    all.truncate(ADDRESSES_MAX);
    all
}

/// Assumed columns of a terminal whose width is unknown.
const COLUMNS: usize = 80;

/// The token as a QR code of half blocks, and as text.
fn picture(token: &str) -> Result<Zeroizing<String>, Failure> {
    // A QR code of capitals and digits alone is smaller.
    let capitals = Zeroizing::new(token.to_uppercase());
    let code = QrCode::with_error_correction_level(capitals.as_bytes(), EcLevel::L);
    let code = code.map_err(|error| Failure::from(anyhow::anyhow!("no picture: {error}")))?;
    let drawn = Zeroizing::new(code.render::<Dense1x2>().build());
    let width = drawn.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let terminal = isatty(io::stdout());
    let columns = match tcgetwinsize(io::stdout()) {
        Ok(size) if terminal && size.ws_col > 0 => size.ws_col.into(),
        Ok(_) | Err(_) => COLUMNS,
    };
    let mut said = Zeroizing::new(String::new());
    if width > columns {
        complain(format_args!("dist-chat: the picture needs {width} columns, and there are {columns}"));
    } else {
        for line in drawn.lines() {
            match terminal {
                // Black on white, whatever the terminal's colours are.
                true => said.extend(["\x1b[30;107m", line, "\x1b[0m\n"]),
                false => said.extend([line, "\n"]),
            }
        }
    }
    said.push_str(token);
    Ok(said)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::key::RoomKey;

    #[test]
    fn help_fits_a_screen() {
        assert!(HELP.lines().count() <= 24 && HELP.lines().all(|line| line.chars().count() < 80), "{HELP}");
    }

    #[test]
    fn the_largest_invite_fits_eighty_columns() {
        let addresses = vec!["[2001:db8:1234:5678:9abc:def0:1234:5678]:65535".parse().unwrap(); ADDRESSES_MAX];
        let token = Invite { addresses, key: Some(RoomKey::new([0xa5; 32], Some([0x5a; 16]))) }.token();
        let drawn = picture(&token).unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        let (last, picture) = lines.split_last().unwrap();
        assert_eq!(*last, *token);
        assert!(picture.len() > 20 && picture.iter().all(|line| line.chars().count() <= COLUMNS), "{}", *drawn);
        assert!(drawn.contains('█'));
    }
}
