//! Assembles a member of a room, in three stages: `prepare` decides everything once, `running` starts the node and what
//! stands around it and lives until the node has ended, and its `shut_down` takes all of it apart in the right order.

mod diagnostics;
mod keys;
mod member;
mod place;
mod prepare;
mod returning;
mod running;
mod stages;
mod verdict;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::failure::Failure;
use crate::settings::Chat;
use member::Signals;
use running::Running;

/// Is a member until it leaves.
///
/// # Errors
/// [`Failure`]: what the person is told, and the exit code.
pub fn run(chat: &Chat) -> Result<(), Failure> {
    allow_many_connections();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let outcome = runtime.block_on(be_member(chat));
    runtime.shutdown_background();
    outcome
}

/// Takes as many open files as the system gives: a room has a connection for each member, and some.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, there is room for fewer; the door says so when it is full.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn be_member(chat: &Chat) -> Result<(), Failure> {
    let mut signals = Signals::new().context("no signals")?;
    let prepared = prepare::prepare(chat.clone(), &mut signals).await?;
    let mut running = Running::start(prepared)?;
    let outcome = running.live(&mut signals).await;
    running.shut_down(outcome, &mut signals).await
}
