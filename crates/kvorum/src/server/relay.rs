//! The member's own place at the relay of its server: there the page's consoles find it.

use std::time::Duration;

use node::LinkKind;
use tokio::time::sleep;

use super::member::{Link, Member};
use crate::hub::link::{self, Ended, Links, Outgoing};

/// Pause before the member comes back after the relay has let go of it.
const PAUSE: Duration = Duration::from_millis(100);

/// Passes frames between the relay and the member until one of them ends.
pub(crate) async fn attend(member: Member, links: Links) {
    while let (Ok(relay), Ok(node)) = (links.open().await, member.open(LinkKind::Relay).await) {
        if exchange(relay, node).await.is_err() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Until the relay lets go, or (an error) the server ends.
async fn exchange(mut relay: link::Link, mut node: Link) -> Result<(), Ended> {
    let to_relay = relay.sender();
    loop {
        tokio::select! {
            out = relay.next() => match out {
                Some(Outgoing::Frame(frame)) => node.frame(frame).await?,
                Some(Outgoing::Close { reason, .. }) => {
                    tracing::warn!("the relay let go of the member: {reason}");
                    return Ok(());
                }
                None => return Err(Ended),
            },
            out = node.outbox.next() => match out {
                Some(Outgoing::Frame(frame)) => to_relay.send(frame).await?,
                Some(Outgoing::Close { .. }) => return Ok(()),
                None => return Err(Ended),
            },
        }
    }
}
