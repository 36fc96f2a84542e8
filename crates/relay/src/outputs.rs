//! What waits to be polled.

use std::collections::VecDeque;

use api::Bytes;
use api::error::Error;
use api::frame::{CloseCode, Frame, encode_body};
use api::identity::ClusterId;
use api::session::ServerMessage;

use crate::io::Output;

/// Why a connection ends.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

impl Refusal {
    pub(crate) fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self::new(CloseCode::Malformed, reason)
    }
}

/// Outputs in order, and the connections that they end.
#[derive(Default)]
pub(crate) struct Outputs {
    queue: VecDeque<Output>,
    ended: Vec<u64>,
}

impl Outputs {
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// Connections that were closed since the last call.
    pub(crate) fn take_ended(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ended)
    }

    pub(crate) fn send(&mut self, conn: u64, frame: &Frame<'_>) {
        self.pass(conn, frame.encode().into());
    }

    /// The same frame to many, encoded once.
    pub(crate) fn send_all(&mut self, conns: impl Iterator<Item = u64>, frame: &Frame<'_>) {
        let bytes = Bytes::from(frame.encode());
        for conn in conns {
            self.pass(conn, bytes.clone());
        }
    }

    /// A frame as it came in.
    pub(crate) fn pass(&mut self, conn: u64, frame: Bytes) {
        self.queue.push_back(Output::Send { conn, frame });
    }

    /// The console's session is over.
    pub(crate) fn lost(&mut self, console: u64, session: u64, error: Error) {
        let body = encode_body(&ServerMessage::Lost(error));
        self.send(console, &Frame::Server { session, body: &body });
    }

    /// Says why, then closes.
    pub(crate) fn refuse(&mut self, conn: u64, refusal: Refusal) {
        let Refusal { code, reason } = refusal;
        self.send(conn, &Frame::Refused { code, reason: reason.clone() });
        self.close(conn, code, reason);
    }

    pub(crate) fn close(&mut self, conn: u64, code: CloseCode, reason: String) {
        self.queue.push_back(Output::Close { conn, code, reason });
        self.ended.push(conn);
    }

    pub(crate) fn save(&mut self, name: &str, cluster: Option<ClusterId>) {
        self.queue.push_back(Output::SaveBinding { name: name.to_owned(), cluster });
    }
}
