//! Assembles a member of a room, in three stages. `prepare` takes every decision once. `running` starts the node and
//! the tasks around it, and runs until the node has ended. Its `shut_down` then takes everything apart in the right
//! order.

mod diagnostics;
mod frontends;
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

/// Runs a member until it leaves.
///
/// # Errors
/// [`Failure`]: the message for the user, and the exit code.
pub fn run(chat: &Chat) -> Result<(), Failure> {
    allow_many_connections();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    let outcome = runtime.block_on(be_member(chat));
    runtime.shutdown_background();
    outcome
}

/// Raises the limit of open files as far as the system allows: a room needs one connection a member, and some more.
fn allow_many_connections() {
    let limit = getrlimit(Resource::Nofile);
    // If the system refuses, there is room for fewer connections. The listener reports when it is full.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

async fn be_member(chat: &Chat) -> Result<(), Failure> {
    let mut signals = Signals::new().context("no signals")?;
    let prepared = prepare::prepare(chat.clone(), &mut signals).await?;
    let mut running = Running::start(prepared)?;
    let outcome = running.live(&mut signals).await;
    running.shut_down(outcome, &mut signals).await
}
