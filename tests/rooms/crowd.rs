//! A room of many nodes.

use std::time::Instant;

use crate::harness::{Enter, Room, all_show, check_same, free_addrs, quiet, settled, soon, turn};

/// In a room of 25 processes the leader dies; all others show the next line.
#[test]
fn proof_09_twenty_five() {
    const NODES: usize = 25;
    let _turn = turn();
    let mut room = Room::empty();
    let addrs = free_addrs(NODES);
    let begun = Instant::now();
    for (i, addr) in addrs.iter().enumerate() {
        let enter = if i == 0 { Enter::Create } else { Enter::Join(addrs[0]) };
        let node = room.start(&format!("m{i}"), *addr, enter);
        room.nodes.push(node);
        if i == 0 {
            settled(&room.all(), soon(20));
        }
    }
    let leader = room.place(settled(&room.all(), soon(60)).leader);
    let formed = begun.elapsed();
    room.nodes[leader].kill();
    let died = Instant::now();
    let living = room.except(&[leader]);
    living[0].say("next 0");
    let heard = living.iter().map(|node| node.shows("next 0", soon(30))).max().unwrap() - died;
    settled(&living, soon(60));
    let whole = died.elapsed();
    let counts: Vec<(String, u64)> = living.iter().map(|node| (node.name.clone(), 1)).collect();
    for node in &living {
        node.say(&format!("{} 0", node.name));
    }
    all_show(&living, &counts, soon(30));
    quiet(&living, soon(30));
    let log = check_same(&living, &counts, soon(20));
    assert_eq!(log.len(), NODES);
    println!(
        "proof  9: {NODES} processes were one room after {:.1} s; the leader died, all {} read the next line after \
         {:.0} ms and were one ring after {:.0} ms; then each spoke: {} lines, the same everywhere",
        formed.as_secs_f64(),
        living.len(),
        heard.as_secs_f64() * 1e3,
        whole.as_secs_f64() * 1e3,
        log.len(),
    );
}
