//! The order to stop, as everything that runs hears it, and the wait until it has stopped.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// How long sockets and calls may take to end in order.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Gives the order, once.
pub(crate) struct Stopper {
    order: watch::Sender<bool>,
    /// Ends when nobody holds a [`Stop`] any more.
    ended: mpsc::Receiver<Infallible>,
}

/// Hears the order. Whoever holds one is waited for.
#[derive(Clone)]
pub(crate) struct Stop {
    order: watch::Receiver<bool>,
    reason: &'static str,
    /// Held, never used.
    _open: mpsc::Sender<Infallible>,
}

/// Both ends. `reason` is what others are told.
pub(crate) fn stop(reason: &'static str) -> (Stopper, Stop) {
    let (give, order) = watch::channel(false);
    let (open, ended) = mpsc::channel(1);
    (Stopper { order: give, ended }, Stop { order, reason, _open: open })
}

impl Stopper {
    /// Gives the order and waits until it is carried out. What takes longer is cut off.
    pub(crate) async fn stop(mut self) {
        self.order.send_replace(true);
        let _ = timeout(STOP_MAX, self.ended.recv()).await;
    }
}

impl Stop {
    /// Waits for the order. Who would give it being gone is an order, too.
    pub(crate) async fn ordered(&mut self) {
        let _ = self.order.wait_for(|ordered| *ordered).await;
    }

    /// The order was given.
    pub(crate) fn is_ordered(&self) -> bool {
        *self.order.borrow()
    }

    /// Why whatever hears it ends, in words.
    pub(crate) fn reason(&self) -> &'static str {
        self.reason
    }
}

/// Until somebody wants the process to end.
pub(crate) async fn wait_for_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
