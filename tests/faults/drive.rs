//! Lets a plan happen to a world, heals it, and waits until it is one room again.

use std::time::{Duration, Instant};

use crate::check::check;
use crate::harness::{Agreed, Rng, all_show, pause, quiet, soon};
use crate::plan::{Back, Fault, Plan, Whom};
use crate::tally::Tally;
use crate::world::{State, World};

/// Far beyond what a healthy room needs, which is about 10 s.
const HEALED_SECONDS_MAX: u64 = 60;

/// One scenario. Panics if anything promised does not hold; what it counted until then stands in the tally.
pub fn scenario(plan: &Plan, tally: &mut Tally) {
    tally.scenarios += 1;
    let mut world = World::new(&plan.seed.to_string(), plan.nodes, Some(plan.small), plan.pace);
    tally.left_out.extend(world.left_out.iter().cloned());
    let mut fallen = Vec::new();
    strike(plan, &mut world, tally, &mut fallen);

    let healed = Instant::now();
    heal(plan, &mut world);
    let (agreed, since) = last(&mut world, soon(HEALED_SECONDS_MAX));
    let healing = since - healed;
    let every = world.every();
    all_show(&world.nodes(), &world.typed(&every, 3), soon(30));
    world.hush();
    let quiet = quiet(&world.nodes(), soon(30));
    assert_eq!(agreed.epoch, quiet.epoch, "an election in a room that was whole");
    let failovers: Vec<Duration> = fallen.iter().filter_map(|fallen| failover(&world, fallen)).collect();
    let before = tally.owed;
    check(&world, plan.crashes_only, tally);
    println!(
        "  well: {} lines owed and there; one room {:.1} s after the last fault; failovers in ms: {:?}",
        tally.owed - before,
        healing.as_secs_f64(),
        failovers.iter().map(Duration::as_millis).collect::<Vec<_>>(),
    );
    tally.healings.push(healing);
    tally.failovers.extend(failovers);
}

/// A leader's end, between these moments.
struct Fallen {
    dying: Instant,
    gone: Instant,
}

/// What a begun fault will need at its end.
enum Ending {
    Nothing,
    Back(usize, Back),
    AllBack(Vec<(usize, Back)>),
    Left(usize, Back),
    Thaw(usize),
    Links,
    Space,
    Clock(usize),
}

fn strike(plan: &Plan, world: &mut World, tally: &mut Tally, fallen: &mut Vec<Fallen>) {
    let mut rng = Rng::from(plan.seed ^ 0x5eed);
    let begun = Instant::now();
    let mut moments: Vec<(Duration, usize, bool)> = Vec::new();
    for (i, strike) in plan.strikes.iter().enumerate() {
        moments.push((strike.at, i, true));
        moments.push((plan.faults.min(strike.at + strike.lasts), i, false));
    }
    // The sort is stable: a fault that lasts no time still begins before it ends.
    moments.sort_by_key(|moment| moment.0);
    let mut endings: Vec<Ending> = plan.strikes.iter().map(|_| Ending::Nothing).collect();
    for (at, i, begins) in moments {
        // The plan itself: nothing in the room decides when it goes on.
        std::thread::sleep(at.saturating_sub(begun.elapsed()));
        for place in world.every() {
            world.notice(place);
        }
        let fault = &plan.strikes[i].fault;
        if !begins {
            end(world, i, std::mem::replace(&mut endings[i], Ending::Nothing));
        } else if let Some(ending) = begin(world, i, fault, &mut rng, fallen) {
            tally.faults[fault.kind()] += 1;
            endings[i] = ending;
        }
    }
}

/// Injects a fault; `None`: it cannot be, here or now.
fn begin(world: &mut World, i: usize, fault: &Fault, rng: &mut Rng, fallen: &mut Vec<Fallen>) -> Option<Ending> {
    let ways = |from: &[usize], to: &[usize], percent: u8| -> Vec<(usize, usize, u8)> {
        from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to, percent))).filter(|w| w.0 != w.1).collect()
    };
    let cut = |world: &mut World, mut there: Vec<_>, back: Vec<_>| {
        there.extend(back);
        world.has_net().then(|| world.lose(i, there)).map(|()| Ending::Links)
    };
    let resolve = |world: &World, whom: &Whom, rng: &mut Rng| match whom {
        Whom::Place(place) => *place,
        Whom::Leader => world.leader().unwrap_or_else(|| rng.below(world.places.len())),
    };
    match fault {
        Fault::Kill(whom, back) => {
            let place = resolve(world, whom, rng);
            let dying = Instant::now();
            let killed = world.kill(place).then_some(Ending::Back(place, *back));
            if killed.is_some() && matches!(whom, Whom::Leader) {
                fallen.push(Fallen { dying, gone: Instant::now() });
            }
            killed
        }
        Fault::KillAll(order) => {
            let all: Vec<usize> = order.iter().map(|(place, _)| *place).collect();
            (world.kill_all(&all) > 0).then(|| Ending::AllBack(order.clone()))
        }
        Fault::Leave(place, back) => world.leave(*place).then_some(Ending::Left(*place, *back)),
        Fault::Replace(place) => {
            let killed = world.kill(*place);
            if killed {
                world.strip(*place);
            }
            killed.then_some(Ending::Back(*place, Back::Alone))
        }
        Fault::Freeze(whom) => {
            let place = resolve(world, whom, rng);
            world.freeze(place).then_some(Ending::Thaw(place))
        }
        Fault::OneWay(from, to) => cut(world, ways(&[*from], &[*to], 100), Vec::new()),
        Fault::BothWays(a, b) => cut(world, ways(&[*a], &[*b], 100), ways(&[*b], &[*a], 100)),
        Fault::Apart(some) => {
            let others: Vec<usize> = world.every().into_iter().filter(|place| !some.contains(place)).collect();
            cut(world, ways(some, &others, 100), ways(&others, some, 100))
        }
        Fault::Loss(percent, to) if world.has_filters() => cut(world, ways(&world.every(), to, *percent), Vec::new()),
        Fault::Loss(..) => None,
        Fault::Full => world.fill().map(|_| Ending::Space),
        Fault::Clock(place, seconds) if world.has_liar() => {
            world.set_clock(*place, *seconds);
            Some(Ending::Clock(*place))
        }
        Fault::Clock(..) => None,
    }
}

fn end(world: &mut World, i: usize, ending: Ending) {
    match ending {
        Ending::Nothing => {}
        Ending::Back(place, back) => world.back(place, back),
        Ending::AllBack(order) => order.into_iter().for_each(|(place, back)| world.back(place, back)),
        Ending::Left(place, back) => {
            world.left(place);
            world.back(place, back);
        }
        Ending::Thaw(place) => world.thaw(place),
        Ending::Links => world.lose(i, Vec::new()),
        Ending::Space => world.free(),
        Ending::Clock(place) => world.set_clock(place, 0),
    }
}

/// Nothing is wrong any more, except what the faults have left behind.
fn heal(plan: &Plan, world: &mut World) {
    for i in 0..plan.strikes.len() {
        world.lose(i, Vec::new());
    }
    world.free();
    for place in world.every() {
        world.thaw(place);
        world.set_clock(place, 0);
    }
    world.revive();
    assert!(world.every().iter().all(|place| !world.is(*place, State::Frozen)));
}

/// Waits until the room is one and has been so for longer than a silence: what a cut link has held back may still be on
/// its way. Returns what it agrees on, and since when.
fn last(world: &mut World, until: Instant) -> (Agreed, Instant) {
    const SILENCE: Duration = Duration::from_millis(1500);
    let mut agreed = world.settle(until);
    let mut since = Instant::now();
    while since.elapsed() <= SILENCE {
        let now = world.settle(until);
        if now != agreed {
            (agreed, since) = (now, Instant::now());
        }
        pause();
    }
    (agreed, since)
}

/// From a leader's end until a line that was typed after it was shown to anybody.
fn failover(world: &World, fallen: &Fallen) -> Option<Duration> {
    let runs = || world.places.iter().flat_map(|place| &place.runs);
    let typed_later = |tag: &str, n: u64| {
        let run = runs().find(|run| run.talker.tag == tag);
        run.is_some_and(|run| n < run.talker.count() && run.talker.typed_at(n) > fallen.gone)
    };
    let first = runs().filter_map(|run| {
        run.node.screen.look(|shown| {
            let later = shown.chats.iter().zip(&shown.at).filter(|(_, at)| **at > fallen.gone);
            let mut new = later.filter(|(chat, _)| chat.numbered().is_some_and(|(tag, n)| typed_later(tag, n)));
            new.next().map(|(_, at)| *at - fallen.dying)
        })
    });
    first.min()
}
