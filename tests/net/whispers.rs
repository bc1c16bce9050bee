//! Private messages over real sockets and under real encryption.

use dist_chat::ring::limits::TEXT_BYTES_MAX;
use dist_chat::ring::{PmError, PmOutcome, RoomId, Start};

use crate::room::{Member, identity, leader};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_message_is_read_by_one_and_its_author_is_told() {
    for key in [None, Some(7)] {
        let mut room = Member::room_with(4, key).await;
        let long = "x".repeat(TEXT_BYTES_MAX);
        for (from, to) in [(1, 2), (0, 3), (3, 0)] {
            for text in ["for you alone", &long] {
                let id = room[from].pm(&format!("Node{}", to + 1), text).await.unwrap();
                room[from].until("its author is told", |seen| seen.fates.contains(&(id, PmOutcome::Delivered))).await;
                room[to].until("it is read", |seen| seen.pms.iter().any(|(_, words)| words == text)).await;
            }
        }
        for (at, member) in room.iter().enumerate() {
            let seen = member.seen.borrow();
            assert_eq!(seen.pms.len(), [2, 0, 2, 2][at], "{at}");
            let author = |from: u64| seen.pms.iter().all(|(of, _)| of.author == identity(from).author());
            assert!(author([4, 0, 2, 1][at]), "{at}");
            assert!(seen.lines.is_empty() && seen.dropped.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_message_outlives_the_leader() {
    let mut room = Member::room(4).await;
    let at = leader(&room).await;
    room.remove(at).crash().await;
    // The room may have no leader yet, or already the next one.
    let id = room[0].pm("node4", "in between").await.unwrap();
    room[0].until("its author is told", |seen| !seen.fates.is_empty()).await;
    assert_eq!(room[0].seen.borrow().fates, [(id, PmOutcome::Delivered)]);
    assert_eq!(room[2].seen.borrow().pms.len(), 1);
}

#[tokio::test]
async fn who_cannot_be_told_is_not() {
    let room = Member::room(2).await;
    assert_eq!(room[0].pm("node1", "x").await, Err(PmError::Oneself));
    assert_eq!(room[0].pm("nobody", "x").await, Err(PmError::Nobody("nobody".to_owned())));
    let nowhere = Member::start(9, Start::Join(vec!["127.0.0.1:9".parse().unwrap()]));
    assert_eq!(nowhere.pm("node1", "x").await, Err(PmError::NotNow));
    let alone = Member::start(8, Start::Create(RoomId(8)));
    assert!(alone.pm("node1", "x").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_can_ask_how_all_are_doing() {
    let room = Member::room(3).await;
    for member in &room {
        // The echo of a heartbeat comes within a quarter of a second.
        let survey = loop {
            let survey = member.survey().await;
            if survey.from_leader
                && survey.health.iter().all(|health| health.rtt.is_some() || health.behind.is_none_or(|b| b == 0))
            {
                break survey;
            }
        };
        assert_eq!(survey.health.len(), 3);
        let linked = survey.health.iter().filter(|health| health.link.is_some_and(|link| link.up)).count();
        assert!(linked >= 1, "{survey:?}");
    }
}
