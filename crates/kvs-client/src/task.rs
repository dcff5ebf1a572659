//! A task that does not outlive its owner.

use tokio::task::JoinHandle;

/// A task. Dropping it ends it, wherever it is.
#[derive(Debug)]
pub(crate) struct OwnedTask(JoinHandle<()>);

impl OwnedTask {
    /// Starts it.
    pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task))
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) {
        let _ended_or_panicked = (&mut self.0).await;
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_ends_with_its_owner() {
        let (alive, gone) = oneshot::channel::<()>();
        let task = OwnedTask::spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        drop(task);
        assert!(gone.await.is_err());
    }

    #[tokio::test]
    async fn it_is_waited_for() {
        let (done, is_done) = oneshot::channel();
        let mut task = OwnedTask::spawn(async move { done.send(()).expect("somebody waits") });
        task.ended().await;
        assert!(is_done.await.is_ok());
    }
}
