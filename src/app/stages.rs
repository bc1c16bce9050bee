//! The messages to a user who creates or joins a room: each stage, and how long it may take.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use crate::feed::broadcaster::Broadcaster;
use crate::feed::publisher::RoomPlace as InRoom;
use crate::net::Command;
use crate::ring::{Name, RoomHealth, Status, Timing, Uid};

/// Time between two messages about the progress of the history.
const HISTORY_EVERY: Duration = Duration::from_secs(1);
/// Time between two queries of that progress.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A stage that is over sooner gets no message.
const NO_TIME: Duration = Duration::from_millis(300);
/// Maximum names in the message about the members.
const NAMES_MAX: usize = 12;

/// The messages after a room was created: how others join, and where the log is.
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

/// The message of the first stage of a join.
pub fn reaching(contact: SocketAddr, others: usize) -> String {
    let seconds = Timing::default().bootstrap.0 / 1_000_000;
    match others {
        0 => format!("reaching {contact}, for {seconds} s at most"),
        _ => format!("reaching {contact} and {others} more, for {seconds} s at most"),
    }
}

/// The later stages of a join: the key, the leader's answer, the history, the members.
#[derive(Debug)]
pub struct JoinProgress {
    /// The contact that answers.
    pub answering: watch::Receiver<Option<Uid>>,
    /// Set once the node is in its room.
    pub entered: watch::Receiver<InRoom>,
    /// Takes queries to the node.
    pub node: mpsc::Sender<Command>,
    /// Shows the messages.
    pub broadcaster: Broadcaster,
    /// The room has a key.
    pub keyed: bool,
}

impl JoinProgress {
    /// Shows each stage with its own deadline. A stage that takes no time gets no message.
    pub async fn tell(mut self) {
        let answers = tokio::select! {
            biased;
            _ = self.entered.wait_for(Option::is_some) => None,
            contact = contact_that_answers(&mut self.answering) => contact,
        };
        if let Some(contact) = answers {
            self.broadcaster.event(&answer(contact, self.keyed));
        }
        if self.entered.wait_for(Option::is_some).await.is_err() {
            return;
        }
        if self.keyed && answers.is_none() {
            self.broadcaster.event("the key fits");
        }
        self.tell_history().await;
    }

    async fn tell_history(self) {
        let mut told = Instant::now();
        loop {
            let asked = (ask(&self.node, Command::Status).await, ask(&self.node, Command::Survey).await);
            let (Some(status), Some(survey)) = asked else { return };
            let has = status.tail.index.0;
            // The progress is unknown while there is no leader, or while the leader has not answered.
            match behind(&status, &survey) {
                Some(0) if status.members.iter().any(|member| member.uid == status.uid) => {
                    self.broadcaster.event(&format!("history {has}/{has}"));
                    return self.broadcaster.event(&here(&status));
                }
                Some(behind) if behind > 0 && told.elapsed() >= HISTORY_EVERY => {
                    told = Instant::now();
                    self.broadcaster.event(&history(has, has.saturating_add(behind)));
                }
                Some(_) | None => {}
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The contact that has answered, if its leader's answer takes long.
async fn contact_that_answers(answering: &mut watch::Receiver<Option<Uid>>) -> Option<Uid> {
    let contact = *answering.wait_for(Option::is_some).await.ok()?;
    tokio::time::sleep(NO_TIME).await;
    contact
}

fn answer(contact: Uid, keyed: bool) -> String {
    let key = if keyed { " and the key fits" } else { "" };
    format!("{contact} answers{key}; coming in, for {} s at most", Timing::default().join.0 / 1_000_000)
}

/// The message about the history's progress. The history has no deadline, only its sender has one.
fn history(has: u64, of: u64) -> String {
    let silence = Timing::default().silence.0 / 1000;
    format!(
        "history {has}/{of}; a peer that sends nothing for {}.{} s is given up",
        silence / 1000,
        silence % 1000 / 100
    )
}

async fn ask<T>(node: &mpsc::Sender<Command>, question: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
    let (ask, answer) = oneshot::channel();
    node.send(question(ask)).await.ok()?;
    answer.await.ok()
}

/// How many entries this node lacks, if that is known.
fn behind(status: &Status, survey: &RoomHealth) -> Option<u64> {
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
        assert_eq!(answer(Uid(contact), false), "10.0.0.5:2428 answers; coming in, for 3 s at most");
        assert_eq!(answer(Uid(contact), true), "10.0.0.5:2428 answers and the key fits; coming in, for 3 s at most");
        assert_eq!(history(100, 1200), "history 100/1200; a peer that sends nothing for 1.5 s is given up");
    }
}
