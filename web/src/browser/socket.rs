//! One WebSocket of frames.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{BinaryType, CloseEvent, Event, MessageEvent, WebSocket};

/// What happens on a socket.
pub(crate) enum Happened {
    Open,
    Frame(Vec<u8>),
    Closed { code: u16, reason: String },
}

/// A WebSocket. It is closed when this is dropped, and then nothing more happens on it.
pub(crate) struct Socket {
    inner: WebSocket,
    _on_open: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl Socket {
    pub(crate) fn open(
        url: &str,
        happened: impl Fn(Happened) + Clone + 'static,
    ) -> Result<Self, JsValue> {
        let inner = WebSocket::new(url)?;
        inner.set_binary_type(BinaryType::Arraybuffer);
        let (opened, closed) = (happened.clone(), happened.clone());
        let on_open = Closure::new(move |_| opened(Happened::Open));
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Ok(buffer) = event.data().dyn_into::<ArrayBuffer>() {
                happened(Happened::Frame(Uint8Array::new(&buffer).to_vec()));
            }
        });
        let on_close = Closure::new(move |event: CloseEvent| {
            closed(Happened::Closed { code: event.code(), reason: event.reason() });
        });
        inner.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        inner.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        inner.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Self { inner, _on_open: on_open, _on_message: on_message, _on_close: on_close })
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // Fails only before the socket is open; its owner sends after `Open`.
        let _ = self.inner.send_with_u8_array(frame);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.inner.set_onopen(None);
        self.inner.set_onmessage(None);
        self.inner.set_onclose(None);
        let _ = self.inner.close();
    }
}
