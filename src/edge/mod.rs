//! The platform: Cloudflare Workers. The entry decides over a request and hands it to the room's object.

mod binding;
mod body;
#[cfg(feature = "fault-injection")]
mod fault;
mod object;
mod sql;

use std::cell::OnceCell;
use std::rc::Rc;

use serde::Serialize;
use worker::{
    Context, Env, Headers, Method, Request, RequestInit, Response, Result, Stub, WebSocketPair, console_error, event,
    wasm_bindgen::JsValue,
};

use crate::code::{CloseCode, Refusal, Reject};
use crate::config::Config;
use crate::gate::{self, Admission};
use crate::health::Health;
use crate::id::RoomName;
use crate::moment::{Millis, Moment};
use crate::origin::{self, Header};
use crate::protocol::{ErrorData, ServerFrame, error_body};
use crate::session::Session;

/// The binding of the rooms' namespace in wrangler.toml.
const ROOMS: &str = "ROOMS";
/// What the entry tells an object beside the request. Objects are reached through the entry alone.
const SESSION: &str = "x-session";
const AGREED: &str = "sec-websocket-protocol";

thread_local! {
    static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
    static STARTED: OnceCell<Millis> = const { OnceCell::new() };
}

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> Result<Response> {
    #[cfg(feature = "fault-injection")]
    if let Some(room) = fault::target(&request) {
        return fault::inject(&env, &room, &request).await;
    }
    let config = config(&env);
    let upgrade = header(&request, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let allowed = config.origins.headers(header(&request, "origin").as_deref());
    let response = match serve(request, &env, &config, upgrade).await {
        Ok(response) => response,
        Err(refusal) if upgrade => refuse_socket(&refusal)?,
        Err(refusal) => refuse(&refusal)?,
    };
    if response.status_code() == 101 { Ok(response) } else { with_headers(response, allowed) }
}

async fn serve(
    mut request: Request,
    env: &Env,
    config: &Config,
    upgrade: bool,
) -> std::result::Result<Response, Refusal> {
    let url = request.url().map_err(|_| Reject::NotFound)?;
    let admission = gate::admit(
        &gate::Request {
            method: request.method().as_ref(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            upgrade,
            authorization: header(&request, "authorization").as_deref(),
            origin: header(&request, "origin").as_deref(),
            protocols: header(&request, AGREED).as_deref(),
        },
        config,
        &mut moment()?,
    )?;
    match admission {
        Admission::Connect(room, session, agreed) => connect(env, &room, &session, agreed).await.map_err(internal),
        Admission::Health(room) => health(env, config, room).await.map_err(internal),
        Admission::Preflight(method) => Response::empty()
            .and_then(|none| with_headers(none.with_status(204), origin::preflight(method)))
            .map_err(internal),
        Admission::Publish(room) => {
            let body = body::read(&mut request, config.limits.message_bytes).await?;
            let call = post("messages", &body).map_err(internal)?;
            room_stub(env, &room).map_err(internal)?.fetch_with_request(call).await.map_err(internal)
        }
    }
}

async fn connect(env: &Env, room: &RoomName, session: &Session, agreed: Option<&str>) -> Result<Response> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(SESSION, &session.encode())?;
    agreed.map_or(Ok(()), |protocol| headers.set(AGREED, protocol))?;
    let mut init = RequestInit::new();
    init.with_headers(headers);
    room_stub(env, room)?.fetch_with_request(Request::new_with_init("https://room/socket", &init)?).await
}

async fn health(env: &Env, config: &Config, room: Option<RoomName>) -> Result<Response> {
    let now = now();
    let started = STARTED.with(|started| *started.get_or_init(|| now));
    let counted = match room {
        Some(room) => {
            let counts = room_stub(env, &room)?.fetch_with_str("https://room/counts").await?.json().await?;
            Some((room, counts))
        }
        None => None,
    };
    let health = Health::new(config, now.0.saturating_sub(started.0) / 1000, counted);
    json(health.http_status(), &health)
}

/// Accepts a socket to say why it is refused: a browser shows its page no HTTP status.
fn refuse_socket(refusal: &Refusal) -> Result<Response> {
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    pair.server.send_with_str(error_frame(refusal)?)?;
    pair.server.close(Some(CloseCode::from(refusal.reject).number()), Some(refusal.reject.code()))?;
    Response::from_websocket(pair.client)
}

fn error_frame(refusal: &Refusal) -> Result<String> {
    let mut moment = moment().map_err(|refusal| worker::Error::RustError(refusal.to_string()))?;
    Ok(ServerFrame::Error(ErrorData::new(refusal, None)).encode(&mut moment))
}

/// Answers a plain request with why it is refused.
fn refuse(refusal: &Refusal) -> Result<Response> {
    let response = json_text(refusal.reject.status(), error_body(refusal))?;
    if let Some((name, value)) = refusal.reject.header() {
        response.headers().set(name, value)?;
    }
    Ok(response)
}

/// The answer with these headers too. Those of an object's answer cannot be changed, only copied.
fn with_headers(response: Response, headers: impl IntoIterator<Item = Header>) -> Result<Response> {
    let all = response.headers().clone();
    headers.into_iter().try_for_each(|(name, value)| all.set(name, &value))?;
    Ok(response.with_headers(all))
}

fn json(status: u16, value: &impl Serialize) -> Result<Response> {
    json_text(status, serde_json::to_string(value)?)
}

fn json_text(status: u16, text: String) -> Result<Response> {
    let response = Response::ok(text)?.with_status(status);
    response.headers().set("content-type", "application/json; charset=utf-8")?;
    response.headers().set("cache-control", "no-store")?;
    Ok(response)
}

fn room_stub(env: &Env, room: &RoomName) -> Result<Stub> {
    env.durable_object(ROOMS)?.get_by_name(&room.to_string())
}

fn post(verb: &str, body: &[u8]) -> Result<Request> {
    let mut init = RequestInit::new();
    init.with_method(Method::Post).with_body(Some(JsValue::from(js_sys::Uint8Array::from(body))));
    Request::new_with_init(&format!("https://room/{verb}"), &init)
}

/// The settings, read once an isolate. What is wrong with them stands in the log once.
fn config(env: &Env) -> Rc<Config> {
    let parse = || {
        let config = Config::parse(|name| env.var(name).ok().map(|value| value.to_string()));
        config.problems.iter().for_each(|problem| console_error!("configuration: {problem}"));
        Rc::new(config)
    };
    CONFIG.with(|config| config.get_or_init(parse).clone())
}

fn now() -> Millis {
    Millis(worker::Date::now().as_millis())
}

fn moment() -> std::result::Result<Moment, Refusal> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| Reject::Internal)?;
    Ok(Moment::new(now(), random))
}

fn header(request: &Request, name: &str) -> Option<String> {
    request.headers().get(name).ok().flatten()
}

#[expect(clippy::needless_pass_by_value, reason = "it ends an error's way, as map_err wants it")]
fn internal(error: worker::Error) -> Refusal {
    console_error!("room: {error}");
    Reject::Internal.into()
}
