//! What the runtime offers and the `worker` crate does not bind, or not the way it is needed.

use js_sys::{Date, Function, JsString, Promise};
use wasm_bindgen_futures::JsFuture;
use worker::wasm_bindgen::{self, JsCast, JsValue, prelude::wasm_bindgen};
use worker::{State, WebSocket};

#[wasm_bindgen]
extern "C" {
    type Socket;

    #[wasm_bindgen(method, catch, js_name = send)]
    fn send(this: &Socket, text: &JsString) -> Result<(), JsValue>;

    type Liveness;

    #[wasm_bindgen(method, catch, js_name = getWebSocketAutoResponseTimestamp)]
    fn last_auto_response(this: &Liveness, socket: &web_sys::WebSocket) -> Result<Option<Date>, JsValue>;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, millis: f64) -> JsValue;

    type Storage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(this: &Storage, body: &mut dyn FnMut() -> Result<JsValue, JsValue>)
    -> Result<JsValue, JsValue>;
}

/// Sends a string that is JavaScript's already: one copy serves all sockets.
pub(super) fn send(socket: &WebSocket, text: &JsString) -> Result<(), JsValue> {
    let raw: &web_sys::WebSocket = socket.as_ref();
    raw.unchecked_ref::<Socket>().send(text)
}

/// When the runtime last answered a ping of this socket, in milliseconds since 1970.
pub(super) fn last_auto_response(state: &State, socket: &WebSocket) -> Option<f64> {
    let answered = state.as_raw().unchecked_ref::<Liveness>().last_auto_response(socket.as_ref()).ok().flatten();
    answered.map(|date| date.get_time())
}

/// Waits. The crate's own timer takes what the runtime returns for a number, which it need not be.
pub(super) async fn sleep(millis: u64) {
    let timer = Promise::new(&mut |resolve, _| drop(set_timeout(&resolve, millis as f64)));
    drop(JsFuture::from(timer).await);
}

/// Runs `body` so that all it writes is kept if it returns `true`, and none of it otherwise.
pub(super) fn transaction(state: &State, mut body: impl FnMut() -> bool) -> Result<(), JsValue> {
    let storage = state.storage();
    let mut body = || if body() { Ok(JsValue::UNDEFINED) } else { Err(JsValue::from_str("rolled back")) };
    storage.as_raw().unchecked_ref::<Storage>().transaction_sync(&mut body).map(drop)
}
