//! The flag that tells everything that runs to stop.

use tokio::sync::watch;

/// Waits until a flag is true, or nobody is left to set it.
pub(crate) async fn turned_true(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|flag| *flag).await;
}
