//! How the driver brings the dead back: always in a way that a sound room is whole after.

use std::time::Duration;

use crate::harness::{Enter, all_show, poll, soon, turn};
use crate::plan::Back;
use crate::world::{State, World};

const PACE: Duration = Duration::from_millis(40);

/// Who dies at the door, or in a room that no file has taken since the disk is full, can only join. Who leaves then says
/// what its files lack.
#[test]
fn what_the_files_know_is_asked_of_the_files() {
    let _turn = turn();
    let mut world = World::new("door", 2, Some(1), PACE);
    for (full, leaves) in [(false, false), (true, false), (true, true)] {
        if full && !world.has_disk() {
            println!("SKIPPED: no small disks here");
            return;
        }
        world.kill(1);
        world.strip(1);
        assert!(world.freeze(0));
        world.launch(1, Enter::Join(world.places[0].addr));
        let node = world.places[1].node();
        poll("its log has begun, and so has its history", soon(20), || (!node.log().is_empty()).then_some(()));
        if full {
            world.fill();
            world.thaw(0);
            let (node, others) = (world.places[1].node(), world.typed(&[0], 200));
            all_show(&[node], &others, soon(30));
        }
        if leaves {
            world.leave(1);
            world.left(1);
        } else {
            world.kill(1);
        }
        world.free();
        world.thaw(0);
        world.back(1, Back::Alone);
        world.settle(soon(30));
    }
}

/// Those whose files are gone know each other alone, beside a room that lives.
#[test]
fn who_only_know_each_other_come_back_through_a_member() {
    let _turn = turn();
    let mut world = World::new("strangers", 3, None, PACE);
    for (place, other) in [(0, 1), (1, 0)] {
        world.kill(place);
        world.strip(place);
        world.launch(place, Enter::Join(world.places[other].addr));
    }
    world.settle(soon(60));
}

/// No files are left of the room: another is opened.
#[test]
fn a_room_whose_last_files_are_gone_is_opened_anew() {
    let _turn = turn();
    let mut world = World::new("forgotten", 2, None, PACE);
    world.kill_all(&[0, 1]);
    world.strip(0);
    world.strip(1);
    world.revive();
    assert!(world.is(0, State::Up) && world.is(1, State::Dead), "one opens it, the other waits for that one");
    world.settle(soon(60));
}
