//! What is answered over HTTP, and to sockets that are refused.

use serde::Serialize;
use worker::{Response, Result, WebSocketPair};

use super::{AGREED, moment};
use crate::code::{CloseCode, Refusal};
use crate::origin::Header;
use crate::protocol::{ErrorData, ServerFrame, error_body};

/// Accepts a socket to say why it is refused: a browser shows its page no HTTP status.
pub(super) fn refuse_socket(refusal: &Refusal, agreed: Option<&str>) -> Result<Response> {
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    pair.server.send_with_str(error_frame(refusal)?)?;
    pair.server.close(Some(CloseCode::from(refusal.reject).number()), Some(refusal.reject.code()))?;
    upgrade(pair, agreed)
}

/// The answer that opens a socket. A browser that offered subprotocols takes none without one of them.
pub(super) fn upgrade(pair: WebSocketPair, agreed: Option<&str>) -> Result<Response> {
    let response = Response::from_websocket(pair.client)?;
    agreed.map_or(Ok(()), |protocol| response.headers().set(AGREED, protocol))?;
    Ok(response)
}

pub(super) fn error_frame(refusal: &Refusal) -> Result<String> {
    let mut moment = moment().map_err(|refusal| worker::Error::RustError(refusal.to_string()))?;
    Ok(ServerFrame::Error(ErrorData::new(refusal, None)).encode(&mut moment))
}

/// Answers a plain request with why it is refused.
pub(super) fn refuse(refusal: &Refusal) -> Result<Response> {
    let response = json_text(refusal.reject.status(), error_body(refusal))?;
    refusal.headers().into_iter().try_for_each(|(name, value)| response.headers().set(name, &value))?;
    Ok(response)
}

/// Answers a plain request with what came of it.
pub(super) fn reply(result: std::result::Result<impl Serialize, Refusal>) -> Result<Response> {
    result.map_or_else(|refusal| refuse(&refusal), |value| json(200, &value))
}

/// The answer with these headers too. Those of an object's answer cannot be changed, only copied.
pub(super) fn with_headers(response: Response, headers: impl IntoIterator<Item = Header>) -> Result<Response> {
    let all = response.headers().clone();
    headers.into_iter().try_for_each(|(name, value)| all.set(name, &value))?;
    Ok(response.with_headers(all))
}

pub(super) fn json(status: u16, value: &impl Serialize) -> Result<Response> {
    json_text(status, serde_json::to_string(value)?)
}

pub(super) fn json_text(status: u16, text: String) -> Result<Response> {
    let response = Response::ok(text)?.with_status(status);
    response.headers().set("content-type", "application/json; charset=utf-8")?;
    response.headers().set("cache-control", "no-store")?;
    Ok(response)
}
