//! One hash over the readable traces of many seeds: two commits that differ in structure alone give the same.
//!
//! The hash is taken over the traces' text, so that it does not depend on how the core keeps its state.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::world::trace::{FNV_START, fnv1a};
use crate::{swarm, variable};

/// The hashes of the seeds' traces, in the order of the seeds.
fn hash_traces(first: u64, count: u64, folder: Option<&PathBuf>) -> Vec<(u64, u64)> {
    let next = AtomicU64::new(0);
    let hashes = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let seed = first + at;
                    let trace = swarm::run(seed, true).trace.unwrap_or_default();
                    let hash = trace.iter().fold(FNV_START, |hash, line| fnv1a(fnv1a(hash, line), "\n"));
                    if let Some(folder) = folder {
                        let path = folder.join(format!("seed-{seed:06}.txt"));
                        if let Err(error) = std::fs::write(&path, trace.join("\n") + "\n") {
                            panic!("{}: {error}", path.display());
                        }
                    }
                    let Ok(mut hashes) = hashes.lock() else { return };
                    hashes.push((seed, hash));
                }
            });
        }
    });
    let mut hashes = hashes.into_inner().unwrap_or_default();
    hashes.sort_unstable();
    hashes
}

/// What `scripts/sim --hash` runs. With `SIM_TRACES=FOLDER` it also writes each trace to a file there.
#[test]
#[ignore = "run by scripts/sim --hash, which says how many"]
fn hash_of_the_traces() {
    let (first, count) = (variable("SIM_SEED").unwrap_or(1), variable("SIM_RUNS").unwrap_or(500));
    let hashes = hash_traces(first, count, std::env::var_os("SIM_TRACES").map(PathBuf::from).as_ref());
    assert_eq!(hashes.len() as u64, count, "every seed has a trace");
    let all = hashes.iter().fold(FNV_START, |all, (_, hash)| fnv1a(all, &format!("{hash:016x}")));
    println!("traces {first}..{}: {all:016x}", first + count - 1);
}
