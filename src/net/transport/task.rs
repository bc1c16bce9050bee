//! Tasks that end with their owner.

use std::time::Duration;

use tokio::task::JoinHandle;

/// A task that is aborted when this is dropped. So its owner never leaves it behind.
#[derive(Debug)]
pub(in crate::net) struct Task(JoinHandle<()>);

impl Task {
    /// Starts the task on the current runtime.
    pub(in crate::net) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits for the task's end.
    pub(in crate::net) async fn ended(&mut self) {
        // An error means that the task was aborted or has panicked: it has ended.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits for all tasks, but no longer than `limit`. Aborts those that have not ended.
pub(in crate::net) async fn end_within(limit: Duration, tasks: impl IntoIterator<Item = Task>) {
    let all = async {
        for mut task in tasks {
            task.ended().await;
        }
    };
    let _ = tokio::time::timeout(limit, all).await;
}
