//! A dedicated Worker that runs one member, and the messages to and from it.

use api::identity::ClusterId;
use api::report::MemberReport;
use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, WorkerOptions, WorkerType};

use super::js;
use crate::rules::life::Storage;

/// The Worker's script.
const SCRIPT: &str = "/browser.js";

/// What a member is started with.
pub(crate) struct Start {
    pub(crate) cluster: String,
    pub(crate) member: String,
    pub(crate) members: Vec<String>,
    pub(crate) token: String,
    pub(crate) relay: String,
    pub(crate) build: String,
}

/// From the page to a Worker.
pub(crate) enum ToWorker {
    Start(Start),
    Client { session: u64, body: Vec<u8> },
    Stop,
    Pause,
    Resume,
}

/// From a Worker to the page.
pub(crate) enum FromWorker {
    Storage(Storage),
    Report(MemberReport),
    Server {
        session: u64,
        body: Vec<u8>,
    },
    Formed(ClusterId),
    Left,
    Paused,
    Halted(String),
    Failed {
        reason: String,
        again: bool,
    },
    /// It ended by itself: a trap, or a script that could not be loaded.
    Crashed(String),
}

/// A Worker. It ends when this is dropped.
pub(crate) struct Worker {
    inner: web_sys::Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Worker {
    /// Starts a Worker; it does nothing before [`ToWorker::Start`].
    pub(crate) fn new(
        name: &str,
        heard: impl Fn(FromWorker) + Clone + 'static,
    ) -> Result<Self, String> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(name);
        let inner =
            web_sys::Worker::new_with_options(SCRIPT, &options).map_err(|e| js::error_text(&e))?;
        let message = heard.clone();
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Some(from) = read(&event.data()) {
                message(from);
            }
        });
        let on_error = Closure::new(move |event: ErrorEvent| {
            event.prevent_default();
            // An error event of a script that could not be loaded has no message.
            let text = js::get_string(&event, "message");
            heard(FromWorker::Crashed(text.unwrap_or_else(|| "its script did not load".into())));
        });
        inner.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        inner.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self { inner, _on_message: on_message, _on_error: on_error })
    }

    /// Tells it something.
    pub(crate) fn say(&self, message: &ToWorker) {
        // Plain objects can always be cloned.
        let _ = self.inner.post_message(&write(message));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.inner.set_onmessage(None);
        self.inner.set_onerror(None);
        self.inner.terminate();
    }
}

fn write(message: &ToWorker) -> JsValue {
    match message {
        ToWorker::Start(start) => {
            let members: Array = start.members.iter().map(JsValue::from).collect();
            js::object(&[
                ("type", "start".into()),
                ("cluster", (&start.cluster).into()),
                ("member", (&start.member).into()),
                ("members", members.into()),
                ("token", (&start.token).into()),
                ("relay", (&start.relay).into()),
                ("build", (&start.build).into()),
            ])
        }
        ToWorker::Client { session, body } => js::object(&[
            ("type", "client".into()),
            // Sessions are counted from 1: a number holds them.
            ("session", (*session as f64).into()),
            ("body", Uint8Array::from(body.as_slice()).into()),
        ]),
        ToWorker::Stop => js::object(&[("type", "stop".into())]),
        ToWorker::Pause => js::object(&[("type", "pause".into())]),
        ToWorker::Resume => js::object(&[("type", "resume".into())]),
    }
}

fn read(data: &JsValue) -> Option<FromWorker> {
    let reason = || js::get_string(data, "reason").unwrap_or_default();
    Some(match js::get_string(data, "type")?.as_str() {
        "storage" if js::get_string(data, "kind").as_deref() == Some("memory") => {
            FromWorker::Storage(Storage::Memory(reason()))
        }
        "storage" => FromWorker::Storage(Storage::Files),
        "report" => {
            FromWorker::Report(serde_wasm_bindgen::from_value(js::get(data, "report")).ok()?)
        }
        "server" => FromWorker::Server {
            session: js::get(data, "session").as_f64()? as u64,
            body: js::get(data, "body").dyn_into::<Uint8Array>().ok()?.to_vec(),
        },
        "formed" => FromWorker::Formed(ClusterId(js::get(data, "cluster").try_into().ok()?)),
        "left" => FromWorker::Left,
        "paused" => FromWorker::Paused,
        "halted" => FromWorker::Halted(reason()),
        "failed" => {
            FromWorker::Failed { reason: reason(), again: js::get(data, "restart").is_truthy() }
        }
        _ => return None,
    })
}
