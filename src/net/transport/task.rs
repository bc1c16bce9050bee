//! Tasks that end with their owner.

use std::time::Duration;

use tokio::task::JoinHandle;

/// A task that is aborted when this is dropped: whoever owns it never leaves it behind.
#[derive(Debug)]
pub(in crate::net) struct Task(JoinHandle<()>);

impl Task {
    /// Starts it on the current runtime.
    pub(in crate::net) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits for its end.
    pub(in crate::net) async fn ended(&mut self) {
        // An error says that it was aborted or has panicked: it has ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for all of these, but no longer than `limit`; those that have not ended are aborted.
pub(in crate::net) async fn end_within(limit: Duration, tasks: impl IntoIterator<Item = Task>) {
    let all = async {
        for mut task in tasks {
            task.ended().await;
        }
    };
    let _ = tokio::time::timeout(limit, all).await;
}
