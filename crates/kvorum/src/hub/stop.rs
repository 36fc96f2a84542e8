//! The order to stop, as everything that runs hears it.

use tokio::sync::watch;

/// Gives the order, once.
pub(crate) struct Stopper(watch::Sender<bool>);

/// Hears the order.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

/// Both ends.
pub(crate) fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Gives the order.
    pub(crate) fn stop(self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the order. Who would give it being gone is an order, too.
    pub(crate) async fn ordered(&mut self) {
        let _ = self.0.wait_for(|ordered| *ordered).await;
    }
}
