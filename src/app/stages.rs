//! What a person is told who opens a room, or comes into one: each stage, and how long it may take.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::net::Command;
use crate::ring::{Name, Status, Survey, Timing, Uid};
use crate::ui::herald::Place as InRoom;
use crate::ui::hub::Hub;

/// Between two words about how much of the history has come.
const HISTORY_EVERY: Duration = Duration::from_secs(1);
/// Names that are told of who is here.
const NAMES_MAX: usize = 12;

/// What somebody who has just opened a room wants to know next: how others join, and where the log is.
pub fn opened(uid: Uid, keyed: bool, log: Option<&str>) -> Vec<String> {
    let (ip, port) = (uid.0.ip(), uid.0.port());
    let mut told = vec![match ip.is_loopback() {
        _ if keyed => format!("a new room behind a key; invite others: dist-chat invite -p {port}"),
        true => {
            let other = port.checked_add(1).unwrap_or(port - 1);
            format!(
                "a new room, for this machine alone; in another terminal: dist-chat -p {other} -na {ip} -np {port} -n NAME"
            )
        }
        false => format!("a new room; others join with: dist-chat -na {ip} -np {port} -n NAME"),
    }];
    if ip.is_loopback() {
        told.push("to have others from the network, open it with -a and your address there".to_owned());
    }
    told.push(match log {
        Some(log) => format!("the log is {log}; /help lists what there is to type"),
        None => "nothing is kept on disk; /help lists what there is to type".to_owned(),
    });
    told
}

/// The first stage of whoever joins.
pub fn reaching(contact: SocketAddr, others: usize) -> String {
    let seconds = Timing::default().knock.0 / 1_000_000;
    match others {
        0 => format!("reaching {contact}, for {seconds} s at most"),
        _ => format!("reaching {contact} and {others} more, for {seconds} s at most"),
    }
}

/// Tells the stages that come after it: the key, who is here, and the history as it comes.
pub async fn tell(mut entered: watch::Receiver<InRoom>, node: mpsc::Sender<Command>, hub: Hub, keyed: bool) {
    if entered.wait_for(Option::is_some).await.is_err() {
        return;
    }
    if keyed {
        hub.event("the key fits");
    }
    let Some(status) = ask(&node, Command::Status).await else { return };
    hub.event(&here(&status));
    let mut told = false;
    loop {
        let (Some(status), Some(survey)) = (ask(&node, Command::Status).await, ask(&node, Command::Survey).await)
        else {
            return;
        };
        match behind(&status, &survey) {
            Some(behind) if behind > 0 => {
                told = true;
                let has = status.tail.index.0;
                hub.event(&format!("history {has}/{}", has.saturating_add(behind)));
            }
            Some(_) => {
                let has = status.tail.index.0;
                let whole = if told { "it is here" } else { "all of it is here" };
                return hub.event(&format!("history {has}/{has}: {whole}"));
            }
            // Nobody leads at the moment, or it has not answered.
            None => {}
        }
        tokio::time::sleep(HISTORY_EVERY).await;
    }
}

async fn ask<T>(node: &mpsc::Sender<Command>, question: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
    let (ask, answer) = oneshot::channel();
    node.send(question(ask)).await.ok()?;
    answer.await.ok()
}

/// Entries that this node lacks, where that is known.
fn behind(status: &Status, survey: &Survey) -> Option<u64> {
    if status.epoch.is_some_and(|epoch| epoch.leader == status.uid) {
        return Some(0);
    }
    survey.health.iter().find(|health| health.uid == status.uid)?.behind
}

fn here(status: &Status) -> String {
    let others: Vec<&Name> =
        status.members.iter().filter(|member| member.uid != status.uid).map(|member| &member.name).collect();
    let mut names: Vec<String> = others.iter().take(NAMES_MAX).map(|name| name.to_string()).collect();
    match others.len() {
        0 => return "joined: nobody else is here".to_owned(),
        all if all > NAMES_MAX => names.push(format!("{} more", all - NAMES_MAX)),
        _ => {}
    }
    format!("joined: {} and you are here", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn whoever_opens_a_room_is_told_the_command_that_joins_it() {
        let told = opened("127.0.0.1:2428".parse().unwrap(), false, Some("chat_2428.log"));
        let expected =
            "a new room, for this machine alone; in another terminal: dist-chat -p 2429 -na 127.0.0.1 -np 2428 -n NAME";
        assert_eq!(told[0], expected);
        assert!(told[2].starts_with("the log is chat_2428.log"));
        let told = opened("10.0.0.5:2428".parse().unwrap(), false, None);
        assert_eq!(told[0], "a new room; others join with: dist-chat -na 10.0.0.5 -np 2428 -n NAME");
        assert!(opened("10.0.0.5:1".parse().unwrap(), true, None)[0].contains("dist-chat invite -p 1"));
        assert!(opened("127.0.0.1:65535".parse().unwrap(), false, None)[0].contains("-p 65534 "));
    }

    #[test]
    fn whoever_joins_is_told_how_long_it_may_take() {
        let contact = "10.0.0.5:2428".parse().unwrap();
        assert_eq!(reaching(contact, 0), "reaching 10.0.0.5:2428, for 5 s at most");
        assert_eq!(reaching(contact, 2), "reaching 10.0.0.5:2428 and 2 more, for 5 s at most");
    }
}
