//! The member's own place at the relay of its server: there the page's consoles find it.

use std::time::Duration;

use node::LinkKind;
use relay::Guests;
use tokio::time::sleep;

use super::host::{NodeHandle, NodeLink};
use crate::net::link::Ended;
use crate::net::queue::Outgoing;
use crate::net::relay::{RelayHandle, RelayLink};

/// Pause before the member comes back after the relay has let go of it.
const PAUSE: Duration = Duration::from_millis(100);

/// Passes frames between the relay and the node until one of them ends.
pub(crate) async fn attend(node: NodeHandle, relay: RelayHandle) {
    while let (Ok(at_relay), Ok(at_node)) =
        (relay.open(Guests::All).await, node.open(LinkKind::Relay).await)
    {
        if exchange(at_relay, at_node).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Until the relay or the node lets go, or (an error) the server ends.
async fn exchange(mut at_relay: RelayLink, mut at_node: NodeLink) -> Result<(), Ended> {
    let (to_relay, to_node) = (at_relay.sender(), at_node.sender());
    loop {
        tokio::select! {
            out = at_relay.next() => match out.ok_or(Ended)? {
                Outgoing::Frame(frame) => to_node.send(frame).await?,
                Outgoing::Close { reason, .. } => {
                    tracing::warn!("the relay let go of the member: {reason}");
                    return Ok(());
                }
            },
            out = at_node.next() => match out.ok_or(Ended)? {
                Outgoing::Frame(frame) => to_relay.send(frame).await?,
                Outgoing::Close { .. } => return Ok(()),
            },
        }
    }
}
