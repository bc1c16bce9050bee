//! What files are good for: nothing is lost whoever dies, however many, whatever was cut or full.

use std::time::{Duration, Instant};

use crate::check::check;
use crate::harness::{Agreed, Enter, Rng, all_show, median_worst, poll, quiet, setting, settled, soon, turn};
use crate::plan::Back;
use crate::tally::Tally;
use crate::world::World;

const PACE: Duration = Duration::from_millis(20);

/// How an author comes to have nobody to talk to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nobody {
    /// The others are frozen, and it is killed while its lines wait.
    Frozen,
    /// It is cut off, and killed while its lines wait.
    Cut,
    /// The others are frozen for so long that it orders its lines alone, as its own leader.
    Alone,
}

/// Six lines are typed while no leader can be reached, and their author is killed: it comes back, and each arrives
/// once. Then six that their author had time to order alone.
#[test]
fn proof_11_typed_to_nobody() {
    let _turn = turn();
    let mut world = World::new("proof-11", 3, None, PACE);
    let leader = world.leader().expect("a leader");
    let author = (leader + 1) % 3;
    let others = [leader, (leader + 2) % 3];
    let mut said = Vec::new();
    for (tag, how) in [("waiting", Nobody::Frozen), ("cut", Nobody::Cut), ("alone", Nobody::Alone)] {
        if how == Nobody::Cut && !world.has_net() {
            continue;
        }
        all_show(&world.nodes(), &world.typed(&world.every(), 3), soon(20));
        world.places[author].runs.last_mut().unwrap().talker.stop();
        let node = world.places[author].node();
        poll("nothing of the author's waits", soon(10), || (node.status().ok()?["waiting"] == 0).then_some(()));
        match how {
            Nobody::Cut => world.lose(0, others.iter().flat_map(|o| [(author, *o, 100), (*o, author, 100)]).collect()),
            Nobody::Frozen | Nobody::Alone => assert!(others.iter().all(|other| world.freeze(*other))),
        }
        world.type_by_hand(author, tag, 6);
        let node = world.places[author].node();
        let waiting = || node.status().ok().and_then(|status| status["waiting"].as_u64());
        match how {
            Nobody::Alone => all_show(&[node], &[(tag.into(), 6)], soon(20)),
            Nobody::Frozen | Nobody::Cut => poll("six wait", soon(10), || (waiting() == Some(6)).then_some(())),
        }
        world.kill(author);
        for other in others {
            world.thaw(other);
        }
        settled(&world.at(&others), soon(30));
        world.lose(0, Vec::new());
        let again = Instant::now();
        world.back(author, Back::Alone);
        // Who has seen them in their place before is not shown them again.
        let readers = if how == Nobody::Alone { world.at(&others) } else { world.nodes() };
        all_show(&readers, &[(tag.into(), 6)], soon(30));
        said.push(format!("{tag}: {:.0} ms", again.elapsed().as_secs_f64() * 1e3));
        world.settle(soon(30));
    }
    let tally = end(&mut world);
    println!(
        "proof 11: 6 lines typed while no leader could be reached, their author killed -9 and restarted: everybody had \
         read each once after its restart ({}); {tally}",
        said.join(", "),
    );
}

/// All five are killed within a second, again and again, and come back in any order. Then somebody new comes.
#[test]
fn proof_12_all_killed() {
    let _turn = turn();
    let (mut rng, seed) = Rng::new();
    println!("seed {seed}");
    let rounds = setting("PROOF_RESTARTS").unwrap_or(2);
    let mut world = World::new("proof-12", 5, None, PACE);
    let every = world.every();
    let mut times = Vec::new();
    for _ in 0..rounds {
        all_show(&world.nodes(), &world.typed(&every, 20), soon(30));
        let dying = Instant::now();
        for place in rng.choose(5, 5) {
            world.kill(place);
            // Some of them have time to notice: the fault itself.
            std::thread::sleep(Duration::from_millis(rng.next() % 150));
        }
        assert!(dying.elapsed() < Duration::from_secs(1), "all within a second");
        for place in rng.choose(5, 5) {
            world.back(place, [Back::Alone, Back::Reopening][rng.below(2)]);
        }
        let up = Instant::now();
        world.settle(soon(60));
        times.push(up.elapsed());
    }
    let contact = world.places[rng.below(5)].addr;
    world.launch(5, Enter::Join(contact));
    world.settle(soon(30));
    let tally = end(&mut world);
    println!(
        "proof 12: all five killed -9 within a second under traffic and restarted in random order, {rounds} times (seed \
         {seed}): {tally}, at a newcomer too; one ring again: {}",
        median_worst(&mut times)
    );
}

/// The leader's disk is full for a while, then a member's: the room talks on, its owner is told once, and the history
/// is whole again when there is space.
#[test]
fn proof_13_full_disk() {
    let _turn = turn();
    for (role, small) in [("the leader", 0), ("a member", 1)] {
        const FULL: Duration = Duration::from_secs(4);
        let mut world = World::new(&format!("proof-13-{small}"), 3, Some(small), PACE);
        if !world.has_disk() {
            println!("proof 13: SKIPPED: {:?}", world.left_out);
            return;
        }
        let every = world.every();
        let Agreed { leader, .. } = world.settle(soon(20));
        assert_eq!(leader == world.places[small].addr, small == 0);
        all_show(&world.nodes(), &world.typed(&every, 5), soon(20));
        let before = complaints(&world, small).len();
        world.fill();
        let full = Instant::now();
        poll("its owner is told", soon(20), || (complaints(&world, small).len() > before).then_some(()));
        let told = full.elapsed();
        // The fault itself: nothing here ends it earlier.
        std::thread::sleep(FULL.saturating_sub(full.elapsed()));
        all_show(&world.nodes(), &world.typed(&every, 5), soon(20));
        let complaints = complaints(&world, small);
        assert_eq!(complaints.len(), before + 1, "told once: {complaints:#?}");
        world.free();
        let freed = Instant::now();
        all_show(&world.nodes(), &world.typed(&every, 5), soon(20));
        world.settle(soon(30));
        world.hush();
        quiet(&world.nodes(), soon(30));
        let whole = world.places[2].node().history().unwrap();
        let has_all = || (world.places[small].node().history().unwrap() == whole).then_some(());
        poll("the history is whole again", soon(20), has_all);
        let healed = freed.elapsed();
        // From its files alone, too.
        world.kill(small);
        assert!(world.places[small].node().history().unwrap() == whole, "the history is whole on the disk");
        world.back(small, Back::Alone);
        world.settle(soon(30));
        let tally = end(&mut world);
        println!(
            "proof 13: the disk of {role} of 3 full for {:.1} s: its owner was told once, after {:.0} ms ({:?}), the \
             room talked on; whole again, in its files too, {:.1} s after there was space; {tally}",
            full.elapsed().min(freed - full).as_secs_f64(),
            told.as_secs_f64() * 1e3,
            complaints[before],
            healed.as_secs_f64(),
        );
    }
}

/// What a node has told its owner about its disk.
fn complaints(world: &World, place: usize) -> Vec<String> {
    let node = world.places[place].node();
    let shown = node.screen.look(|shown| shown.events.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>());
    let said = node.stderr();
    let all = shown.iter().map(String::as_str).chain(said.lines().filter(|line| line.starts_with("dist-chat")));
    let about = |line: &&str| ["disk", "space", "cannot write"].iter().any(|word| line.contains(word));
    all.filter(about).map(str::to_owned).collect()
}

/// Two and three are cut apart; on both sides somebody is killed and comes back, on the smaller side everybody. Healed,
/// they are one room, and everybody has every line of both sides, once.
#[test]
fn proof_14_restarts_while_cut() {
    const CUT: Duration = Duration::from_secs(10);
    let _turn = turn();
    let mut world = World::new("proof-14", 5, None, PACE);
    if !world.has_net() {
        println!("proof 14: SKIPPED: {:?}", world.left_out);
        return;
    }
    let (left, right) = ([0, 1], [2, 3, 4]);
    all_show(&world.nodes(), &world.typed(&world.every(), 5), soon(20));
    let ways = left.iter().flat_map(|a| right.iter().flat_map(|b| [(*a, *b, 100), (*b, *a, 100)]));
    world.lose(0, ways.collect());
    let cut = Instant::now();
    let leaders = [settled(&world.at(&left), soon(30)).leader, settled(&world.at(&right), soon(30)).leader];
    assert_ne!(leaders[0], leaders[1], "each half has a leader of its own");
    let crowned = world.places.iter().position(|place| place.addr == leaders[1]).expect("one of them");
    let mut killed = 0;
    for dying in [vec![crowned], vec![0], vec![0, 1], vec![right[0], right[1]]] {
        for half in [&left[..], &right[..]] {
            all_show(&world.at(half), &world.typed(half, 3), soon(20));
        }
        killed += world.kill_all(&dying);
        for place in dying {
            world.back(place, Back::Alone);
        }
        for half in [&left[..], &right[..]] {
            settled(&world.at(half), soon(30));
        }
    }
    // The cut itself: nothing here ends it earlier.
    std::thread::sleep(CUT.saturating_sub(cut.elapsed()));
    let lasted = cut.elapsed();
    world.lose(0, Vec::new());
    let healed = Instant::now();
    world.settle(soon(30));
    let one = healed.elapsed();
    let counts = world.typed(&world.every(), 0);
    all_show(&world.nodes(), &counts, soon(30));
    let tally = end(&mut world);
    println!(
        "proof 14: 5 nodes cut into 2 and 3 for {:.1} s, {killed} killed -9 and restarted on both sides while cut: one \
         room {:.1} s after it healed; {tally}",
        lasted.as_secs_f64(),
        one.as_secs_f64(),
    );
}

/// Ends the talk, waits for quiet, checks everything; what it counted in a few words.
fn end(world: &mut World) -> String {
    world.hush();
    quiet(&world.nodes(), soon(30));
    let mut tally = Tally::default();
    check(world, false, &mut tally);
    let Tally { ordered, owed, .. } = tally;
    format!("{ordered} lines, all {owed} owed ones among them, each once and in the same order everywhere")
}
