//! How a room's object is reached: by the entry, and by other objects.

use worker::wasm_bindgen::JsValue;
use worker::{Env, Method, Request, RequestInit, Result, Stub};

use crate::id::RoomName;
use crate::link::{Call, Reply};

/// The binding of the rooms' namespace in wrangler.toml.
const ROOMS: &str = "ROOMS";

/// Calls a room.
pub(super) async fn ask(env: &Env, room: &RoomName, call: &Call) -> Result<Reply> {
    let request = post("call", &serde_json::to_vec(call)?)?;
    room_stub(env, room)?.fetch_with_request(request).await?.json().await
}

/// A room's object.
pub(super) fn room_stub(env: &Env, room: &RoomName) -> Result<Stub> {
    env.durable_object(ROOMS)?.get_by_name(&room.to_string())
}

/// A request for [`room_stub`] to carry.
pub(super) fn post(verb: &str, body: &[u8]) -> Result<Request> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from(js_sys::Uint8Array::from(body))));
    Request::new_with_init(&format!("https://room/{verb}"), &init)
}
