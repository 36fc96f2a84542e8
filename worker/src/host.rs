//! What a host must offer, as the member sees it.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// An object with these methods. None of them may call the member back: it is busy.
    pub type Host;

    /// Sends a frame by the link, if that is open. True if so much waits there since this frame
    /// that the member should send nothing large; then `linkRoom` follows.
    #[wasm_bindgen(method)]
    pub(crate) fn send(this: &Host, frame: Vec<u8>) -> bool;

    /// Tells a client at this host. `body` is a `ServerMessage`.
    #[wasm_bindgen(method)]
    pub(crate) fn reply(this: &Host, session: f64, body: Vec<u8>);

    /// What the member shows of itself: a `MemberReport` as an object, 64-bit values as BigInt.
    #[wasm_bindgen(method)]
    pub(crate) fn report(this: &Host, report: JsValue);

    /// The member belongs to this cluster.
    #[wasm_bindgen(method)]
    pub(crate) fn formed(this: &Host, cluster: u64);

    /// Batches are written and not synced: call `sync` once the events at hand are in.
    #[wasm_bindgen(method, js_name = wantSync)]
    pub(crate) fn want_sync(this: &Host);

    /// There is a job: call `work` once nothing else is to be done.
    #[wasm_bindgen(method, js_name = wantWork)]
    pub(crate) fn want_work(this: &Host);

    /// The member has left in order.
    #[wasm_bindgen(method)]
    pub(crate) fn left(this: &Host);

    /// The member can not go on, in words.
    #[wasm_bindgen(method)]
    pub(crate) fn halted(this: &Host, reason: String);
}
