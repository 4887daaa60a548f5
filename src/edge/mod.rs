//! The platform: Cloudflare Workers. The entry decides over a request and hands it to the room's object.

mod agent;
#[cfg(feature = "fault-injection")]
mod bill;
mod binding;
mod body;
mod bucket;
mod call;
#[cfg(feature = "fault-injection")]
mod fault;
mod files;
mod object;
mod reply;
mod sql;
mod user;

use std::cell::OnceCell;
use std::rc::Rc;

use serde::Serialize;
use worker::{Context, Env, Headers, Request, RequestInit, Response, Result, console_error, event};

use self::call::{post, room_stub};
use self::reply::{json, refuse, refuse_socket, with_headers};
use crate::asker::Asker;
use crate::chat_session::{Act, Order, Title};
use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::disconnect::{Disconnect, Disconnected};
use crate::gate::{self, Admission};
use crate::health::Health;
use crate::id::RoomName;
use crate::moment::{Millis, Moment};
use crate::origin;
use crate::session::Session;

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
    started();
    let config = config(&env);
    let upgrade = header(&request, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    let allowed = config.origins.headers(header(&request, "origin").as_deref());
    let agreed = gate::agree(header(&request, AGREED).as_deref());
    let response = match serve(request, &env, &config, upgrade).await {
        Ok(response) => response,
        Err(refusal) if upgrade => refuse_socket(&refusal, agreed)?,
        Err(refusal) => refuse(&refusal)?,
    };
    if response.status_code() == 101 { Ok(response) } else { with_headers(response, allowed) }
}

async fn serve(request: Request, env: &Env, config: &Config, upgrade: bool) -> std::result::Result<Response, Refusal> {
    let admission = admit(&request, env, config, upgrade).await?;
    carry_out(admission, request, env, config).await
}

/// What a request is allowed to do. The ticket that it brings is used up.
async fn admit(
    request: &Request,
    env: &Env,
    config: &Config,
    upgrade: bool,
) -> std::result::Result<Admission, Refusal> {
    let url = request.url().map_err(|_| Reject::NotFound)?;
    let method = request.method();
    let [authorization, origin, protocols] = ["authorization", "origin", AGREED].map(|name| header(request, name));
    let mut asked = gate::Request {
        method: method.as_ref(),
        path: url.path(),
        query: url.query().unwrap_or_default(),
        upgrade,
        authorization: authorization.as_deref(),
        origin: origin.as_deref(),
        protocols: protocols.as_deref(),
        redeemed: None,
    };
    let mut moment = moment()?;
    let redeemed = user::redeem(env, gate::ticket(&asked, config, &moment)).await?;
    asked.redeemed = redeemed.as_ref();
    gate::admit(&asked, config, &mut moment)
}

/// Does what a request is allowed to do.
async fn carry_out(
    admission: Admission,
    mut request: Request,
    env: &Env,
    config: &Config,
) -> std::result::Result<Response, Refusal> {
    let most = config.limits.message_bytes;
    match admission {
        Admission::BringFile(room, asker, brought) => files::bring(env, config, request, &room, asker, brought).await,
        Admission::Connect(room, session, agreed) => connect(env, &room, &session, agreed).await,
        Admission::Disconnect(room) => disconnect(env, &room, &body::read(&mut request, most).await?).await,
        Admission::File(room, asker, id) => files::give(env, &request, &room, asker, id).await,
        Admission::Health(room) => health(env, config, room).await.map_err(internal),
        Admission::History(room, range, asker) => hand(env, &room, "history", &to_json(&(asker, range))?).await,
        Admission::Preflight(methods) => preflight(methods).map_err(internal),
        Admission::Publish(room) => hand(env, &room, "messages", &body::read(&mut request, most).await?).await,
        Admission::Rename(room, asker) => {
            let order = rename(asker, &body::read(&mut request, most).await?)?;
            hand(env, &room, "session", &order).await
        }
        Admission::Session(room, order) => hand(env, &room, "session", &to_json(&order)?).await,
        Admission::Status(room, id) => hand(env, &room, "status", &to_json(&id)?).await,
        Admission::Ticket(claims) => json(200, &user::issue(env, config, claims).await?).map_err(internal),
    }
}

/// Has the room's object answer.
async fn hand(env: &Env, room: &RoomName, verb: &str, body: &[u8]) -> std::result::Result<Response, Refusal> {
    let call = post(verb, body).map_err(internal)?;
    room_stub(env, room).map_err(internal)?.fetch_with_request(call).await.map_err(internal)
}

fn to_json(value: &impl Serialize) -> std::result::Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|error| internal(error.into()))
}

async fn connect(
    env: &Env,
    room: &RoomName,
    session: &Session,
    agreed: Option<&str>,
) -> std::result::Result<Response, Refusal> {
    user::reserve(env, room, session).await?;
    let request = upgrade(session, agreed).map_err(internal)?;
    room_stub(env, room).map_err(internal)?.fetch_with_request(request).await.map_err(internal)
}

fn upgrade(session: &Session, agreed: Option<&str>) -> Result<Request> {
    let headers = Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(SESSION, &session.encode())?;
    agreed.map_or(Ok(()), |protocol| headers.set(AGREED, protocol))?;
    let mut init = RequestInit::new();
    init.with_headers(headers);
    Request::new_with_init("https://room/socket", &init)
}

async fn disconnect(env: &Env, user: &RoomName, body: &[u8]) -> std::result::Result<Response, Refusal> {
    let disconnected = user::disconnect(env, user, Disconnect::parse(body)?.bar()).await?;
    json(200, &Disconnected { disconnected }).map_err(internal)
}

fn rename(asker: Asker, body: &[u8]) -> std::result::Result<Vec<u8>, Refusal> {
    let act = Act::Rename(Title::parse(body)?);
    to_json(&Order { asker, act })
}

fn preflight(methods: String) -> Result<Response> {
    with_headers(Response::empty()?.with_status(204), origin::preflight(methods))
}

async fn health(env: &Env, config: &Config, room: Option<RoomName>) -> Result<Response> {
    let uptime = now().0.saturating_sub(started().0) / 1000;
    let counted = match room {
        Some(room) => {
            let counts = room_stub(env, &room)?.fetch_with_str("https://room/counts").await?.json().await?;
            Some((room, counts))
        }
        None => None,
    };
    let health = Health::new(config, uptime, counted);
    json(health.http_status(), &health)
}

/// The settings, read once an isolate. What is wrong with them stands in the log once.
fn config(env: &Env) -> Rc<Config> {
    let parse = || {
        let mut config = Config::parse(|name| env.var(name).ok().map(|value| value.to_string()));
        config.files = bucket::open(env).is_ok();
        config.problems.iter().for_each(|problem| console_error!("configuration: {problem}"));
        Rc::new(config)
    };
    CONFIG.with(|config| config.get_or_init(parse).clone())
}

/// When this isolate got its first request.
fn started() -> Millis {
    STARTED.with(|started| *started.get_or_init(now))
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
