//! What the tabs of one cluster in one browser tell each other.

use wasm_bindgen::prelude::*;
use web_sys::{BroadcastChannel, MessageEvent};

use super::js;

/// Something that a tab tells the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Please hand this member over: a tab wants to run it alone.
    HandOver(String),
    /// The name goes to a new cluster: end your members, their directories are removed.
    Rebinding,
    /// It is done: load anew.
    Rebound,
    /// The sender took, freed, started or stopped a member.
    Changed,
}

impl Word {
    fn to_js(&self) -> JsValue {
        match self {
            Self::HandOver(member) => {
                js::object(&[("type", "handover".into()), ("member", member.into())])
            }
            Self::Rebinding => js::object(&[("type", "rebinding".into())]),
            Self::Rebound => js::object(&[("type", "rebound".into())]),
            Self::Changed => js::object(&[("type", "changed".into())]),
        }
    }

    fn from_js(data: &JsValue) -> Option<Self> {
        match js::get_string(data, "type")?.as_str() {
            "handover" => Some(Self::HandOver(js::get_string(data, "member")?)),
            "rebinding" => Some(Self::Rebinding),
            "rebound" => Some(Self::Rebound),
            "changed" => Some(Self::Changed),
            // A tab of another build.
            _ => None,
        }
    }
}

/// The channel of one cluster's tabs.
pub(crate) struct Channel {
    inner: BroadcastChannel,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    /// Joins.
    pub(crate) fn open(cluster: &str, mut heard: impl FnMut(Word) + 'static) -> Option<Self> {
        let inner = BroadcastChannel::new(&format!("kvorum/{cluster}")).ok()?;
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Some(word) = Word::from_js(&event.data()) {
                heard(word);
            }
        });
        inner.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Some(Self { inner, _on_message: on_message })
    }

    /// Tells the others.
    pub(crate) fn say(&self, word: &Word) {
        // Fails only on a closed channel, and this one is closed by dropping it.
        let _ = self.inner.post_message(&word.to_js());
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.inner.set_onmessage(None);
        self.inner.close();
    }
}
