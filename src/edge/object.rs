//! The Durable Object of a room: events become inputs, effects become sends and calls, the deadline becomes an alarm.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::JsString;
use serde::Serialize;
use worker::wasm_bindgen::{self, JsValue};
use worker::worker_sys::WebSocketRequestResponsePair;
use worker::{
    DurableObject, Env, Request, Response, Result, ScheduledTime, SqlStorage, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, console_debug, console_error, durable_object,
};

use super::agent::Stream;
use super::bucket;
use super::call::ask;
use super::reply::{error_frame, refuse, refuse_socket, reply, upgrade};
use super::{AGREED, SESSION, binding, config, header, moment, now};
use crate::asker::Asker;
use crate::chat_session::Order;
use crate::code::{CloseCode, Refusal, Reject};
use crate::history::Range;
use crate::id::{ConnId, Id, RoomName};
use crate::link::Call;
use crate::moment::{Millis, Moment};
use crate::protocol::AUTO_RESPONSE;
use crate::room::{self, Ask, Failure, Taken};
use crate::session::Session;
use crate::sql::StoreError;
use crate::turn::{Effect, Errand, Farewell, Fetched, Input, Outcome, Turn};

/// How long a room that failed is left alone, in milliseconds.
const RECOVERY: u64 = 1_000;

/// What is nearer than this, in milliseconds, is waited for with a timer.
const NEAR: u64 = 1_000;

/// The class that wrangler.toml names.
#[durable_object]
pub struct Room(Rc<Object>);

pub(super) struct Object {
    state: State,
    pub(super) env: Env,
    /// Loaded at the first input, and again after a failure.
    loaded: RefCell<Option<Loaded>>,
    /// The alarm that is set, once this instance has looked: to look costs less than to set it again.
    alarm: Cell<Option<Option<Millis>>>,
    /// The timer that runs.
    timer: Cell<Option<Millis>>,
    /// How often the room was lost: a reply to what an earlier one asked is nobody's.
    losses: Cell<u64>,
    /// The answers of agents that are being read.
    pub(super) streams: RefCell<BTreeMap<Id, Stream>>,
}

pub(super) struct Loaded {
    pub(super) room: room::Room<SqlStorage>,
    sockets: BTreeMap<ConnId, WebSocket>,
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        let (ping, pong) = AUTO_RESPONSE;
        match WebSocketRequestResponsePair::new(ping, pong) {
            Ok(pair) => state.set_websocket_auto_response(&pair),
            Err(error) => console_error!("auto-response: {error:?}"),
        }
        Self(Rc::new(Object {
            state,
            env,
            loaded: RefCell::default(),
            alarm: Cell::default(),
            timer: Cell::default(),
            losses: Cell::default(),
            streams: RefCell::default(),
        }))
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        #[cfg(feature = "fault-injection")]
        super::bill::request();
        match request.path().as_str() {
            "/call" => self.0.take_call(&request.bytes().await?).await,
            "/file" => self.0.file(&request.bytes().await?).await,
            "/counts" => self.0.look(|room| Ok(room.counts())).await,
            "/history" => {
                let (asker, range): (Asker, Range) = serde_json::from_slice(&request.bytes().await?)?;
                self.0.look(|room| room.let_in(&asker).and_then(|()| room.history(range))).await
            }
            "/messages" => self.0.publish(&request.bytes().await?).await,
            "/session" => {
                let order: Order = serde_json::from_slice(&request.bytes().await?)?;
                reply(self.0.run(|loaded, turn| loaded.room.obey(turn, order)).await)
            }
            "/socket" => self.0.connect(&request).await,
            "/status" => {
                let id: Id = serde_json::from_slice(&request.bytes().await?)?;
                self.0.look(|room| room.status(&id, now())).await
            }
            #[cfg(feature = "fault-injection")]
            "/lose" => refuse(&self.0.lose()),
            #[cfg(feature = "fault-injection")]
            path => super::fault::strike(path).await,
            #[cfg(not(feature = "fault-injection"))]
            _ => refuse(&Reject::NotFound.into()),
        }
    }

    async fn alarm(&self) -> Result<Response> {
        #[cfg(feature = "fault-injection")]
        super::bill::request();
        self.0.alarm.set(Some(None));
        let woken = self.0.wake().await;
        woken.map_or_else(|refusal| refuse(&refusal), |()| Response::empty())
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> Result<()> {
        #[cfg(feature = "fault-injection")]
        super::bill::frame();
        let Some(Session { conn, .. }) = session(&socket) else { return hang_up(&socket) };
        let input = match message {
            WebSocketIncomingMessage::String(text) => Input::Received(conn, text),
            WebSocketIncomingMessage::Binary(bytes) => Input::ReceivedBinary(conn, bytes),
        };
        match self.0.take(input).await {
            Ok(()) => Ok(()),
            Err(refusal) => socket.send_with_str(error_frame(&refusal)?),
        }
    }

    async fn websocket_close(&self, socket: WebSocket, code: usize, reason: String, was_clean: bool) -> Result<()> {
        let farewell = if was_clean && code != 1006 { Farewell::Said } else { Farewell::Missing };
        self.0.closed(&socket, farewell).await;
        // The runtime leaves the closing handshake to us. 1005 and 1006 stand for "no code" and cannot be sent.
        let code = u16::try_from(code).ok().filter(|code| !matches!(code, 1005 | 1006 | 1015));
        socket.close(code, code.map(|_| reason))
    }

    async fn websocket_error(&self, socket: WebSocket, _error: worker::Error) -> Result<()> {
        self.0.closed(&socket, Farewell::Missing).await;
        Ok(())
    }
}

impl Object {
    async fn connect(self: &Rc<Self>, request: &Request) -> Result<Response> {
        let Some(session) = header(request, SESSION).and_then(|text| Session::decode(&text)) else {
            return refuse(&Reject::InvalidToken.into());
        };
        let agreed = header(request, AGREED);
        match self.run(|loaded, turn| Ok(loaded.room.turn_away(turn, &session)?)).await {
            Ok(None) => {}
            Ok(Some(reject)) => return refuse_socket(&reject.into(), agreed.as_deref()),
            Err(refusal) => return refuse_socket(&refusal, agreed.as_deref()),
        }
        let pair = WebSocketPair::new()?;
        self.state.accept_web_socket(&pair.server);
        let server = pair.server.clone();
        let opened = self.run(|loaded, turn| {
            loaded.sockets.insert(session.conn, server);
            let last_ping = |conn| Some((conn, self.last_ping(loaded.sockets.get(&conn)?)?));
            let pings = loaded.room.siblings_of(&session).into_iter().filter_map(last_ping).collect();
            Ok(loaded.room.handle(turn, Input::Opened(session, pings))?)
        });
        opened.await.or_else(|_| hang_up(&pair.server))?;
        upgrade(pair, agreed.as_deref())
    }

    async fn publish(self: &Rc<Self>, body: &[u8]) -> Result<Response> {
        let taken = self.run(|loaded, turn| loaded.room.publish(turn, body)).await;
        reply(taken.map(|messages| Published { messages }))
    }

    async fn take_call(self: &Rc<Self>, body: &[u8]) -> Result<Response> {
        let call: Call = serde_json::from_slice(body)?;
        reply(self.run(|loaded, turn| Ok(loaded.room.take_call(turn, call)?)).await)
    }

    async fn file(self: &Rc<Self>, body: &[u8]) -> Result<Response> {
        let ask: Ask = serde_json::from_slice(body)?;
        let told = self.run(|loaded, turn| loaded.room.about_file(turn, ask)).await;
        reply(told.and_then(|told| told))
    }

    /// Looks into the room, once it has done what is due.
    async fn look<T: Serialize>(
        self: &Rc<Self>,
        look: impl FnOnce(&mut room::Room<SqlStorage>) -> std::result::Result<T, Failure>,
    ) -> Result<Response> {
        let seen = self.run(|loaded, turn| {
            loaded.room.handle(turn, Input::Woken)?;
            // Who is refused a look does not undo what was due.
            match look(&mut loaded.room) {
                Err(Failure::Refused(refusal)) => Ok(Err(refusal)),
                seen => seen.map(Ok),
            }
        });
        reply(seen.await.and_then(|seen| seen))
    }

    async fn closed(self: &Rc<Self>, socket: &WebSocket, farewell: Farewell) {
        let Some(session) = session(socket) else { return };
        if let Err(refusal) = self.take(Input::Closed(session, farewell, self.last_ping(socket))).await {
            console_error!("close: {refusal}");
        }
        log("attachment", disown(socket));
    }

    /// Takes one input of the platform.
    async fn take(self: &Rc<Self>, input: Input) -> std::result::Result<(), Refusal> {
        let taken = self.run(|loaded, turn| {
            if let Input::Closed(session, ..) = &input {
                loaded.sockets.remove(&session.conn);
            }
            Ok(loaded.room.handle(turn, input)?)
        });
        taken.await
    }

    /// One turn, and the alarm that goes with it: nothing is awaited between what is written and the alarm that stands
    /// for what has to follow, so both are kept or neither.
    pub(super) async fn run<T>(
        self: &Rc<Self>,
        act: impl FnOnce(&mut Loaded, &mut Turn) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Refusal> {
        self.look_up_alarm().await;
        let result = self.turn(act);
        self.arm().await;
        result
    }

    /// One turn of the room, which is loaded if need be, and then reads again what agents have said so far.
    fn turn<T>(
        self: &Rc<Self>,
        act: impl FnOnce(&mut Loaded, &mut Turn) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Refusal> {
        let streams = if self.loaded.borrow().is_none() { self.read_so_far() } else { Vec::new() };
        if !streams.is_empty() {
            self.take_turn(|loaded, turn| {
                let mut inputs =
                    streams.into_iter().map(|(answer, bytes)| Input::Answered(answer, Fetched::Bytes(bytes)));
                Ok(inputs.try_for_each(|input| loaded.room.handle(turn, input))?)
            })?;
        }
        self.take_turn(act)
    }

    /// All that it writes is kept or none of it, and nobody hears of what was not kept.
    fn take_turn<T>(
        self: &Rc<Self>,
        act: impl FnOnce(&mut Loaded, &mut Turn) -> std::result::Result<T, Failure>,
    ) -> std::result::Result<T, Refusal> {
        let mut turn = Turn::new(moment()?);
        let mut slot = self.loaded.borrow_mut();
        let mut loaded = slot.take().map_or_else(|| self.load(&mut turn.moment).map_err(broken), Ok)?;
        match self.transact(|| act(&mut loaded, &mut turn)) {
            Ok(value) => {
                turn.effects.into_iter().for_each(|effect| self.perform(&mut loaded.sockets, effect));
                *slot = Some(loaded);
                Ok(value)
            }
            Err(Failure::Refused(refusal)) => {
                *slot = Some(loaded);
                Err(refusal)
            }
            Err(Failure::Broken(error)) => Err(self.lost(error)),
        }
    }

    /// Keeps all that `act` writes, or none of it if it fails.
    fn transact<T>(&self, act: impl FnOnce() -> std::result::Result<T, Failure>) -> std::result::Result<T, Failure> {
        let (mut act, mut result) = (Some(act), None);
        let committed = binding::transaction(&self.state, || {
            result = act.take().map(|act| act());
            matches!(result, Some(Ok(_)))
        });
        match (result, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(failure)), _) => Err(failure),
            (_, error) => Err(Failure::Broken(StoreError(format!("{error:?}")))),
        }
    }

    /// The room is gone from memory, and will be loaded again.
    fn lost(&self, error: StoreError) -> Refusal {
        self.losses.set(self.losses.get().wrapping_add(1));
        broken(Failure::Broken(error))
    }

    /// As if something had failed.
    #[cfg(feature = "fault-injection")]
    fn lose(&self) -> Refusal {
        self.loaded.take();
        self.lost(StoreError("provoked".to_owned()))
    }

    fn load(&self, moment: &mut Moment) -> std::result::Result<Loaded, Failure> {
        let name = self.state.id().name().and_then(|name| name.parse::<RoomName>().ok());
        let name = name.ok_or_else(|| StoreError("an object without a room's name".to_owned()))?;
        // Whom we have done with has no session any more. Who is closing has one until the room is told.
        let known = |socket: WebSocket| Some((session(&socket)?, socket));
        let open: Vec<(Session, WebSocket)> = self.state.get_websockets().into_iter().filter_map(known).collect();
        let sessions = open.iter().map(|(session, socket)| (session.clone(), self.last_ping(socket))).collect();
        let sql = self.state.storage().sql();
        let streams: Vec<Id> = self.streams.borrow().keys().cloned().collect();
        let config = config(&self.env);
        let room = self.transact(|| Ok(room::Room::open(name, config, sql, sessions, &streams, moment)?))?;
        Ok(Loaded { room, sockets: open.into_iter().map(|(session, socket)| (session.conn, socket)).collect() })
    }

    fn last_ping(&self, socket: &WebSocket) -> Option<Millis> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time, in whole milliseconds")]
        binding::last_auto_response(&self.state, socket).map(|millis| Millis(millis as u64))
    }

    /// The room's deadline has come. If it wants to know who is alive, it is told.
    async fn wake(self: &Rc<Self>) -> std::result::Result<(), Refusal> {
        let woken = self.run(|loaded, turn| {
            let last_ping = |(conn, socket): (&ConnId, &WebSocket)| Some((*conn, self.last_ping(socket)?));
            let input = match loaded.room.sweep_is_due(turn.moment.now) {
                true => Input::Swept(loaded.sockets.iter().filter_map(last_ping).collect()),
                false => Input::Woken,
            };
            Ok(loaded.room.handle(turn, input)?)
        });
        woken.await
    }

    fn perform(self: &Rc<Self>, sockets: &mut BTreeMap<ConnId, WebSocket>, effect: Effect) {
        match effect {
            Effect::Ask(answer, body) => self.state.wait_until(self.clone().ask_agent(answer, body)),
            Effect::Hush(answer) => self.hush_agent(&answer),
            Effect::Attach(session) => attach(sockets, &session),
            Effect::Call(room, call) => self.state.wait_until(self.clone().call(room, call, self.losses.get())),
            Effect::Close(conn, code, reason) => close(sockets, conn, code, reason),
            Effect::Run(errand) => self.state.wait_until(self.clone().errand(errand)),
            Effect::Send(to, frame) => send(sockets, &to, &frame),
        }
    }

    async fn call(self: Rc<Self>, room: RoomName, call: Call, losses: u64) {
        let reply = ask(&self.env, &room, &call).await.inspect_err(|error| console_error!("call to {room}: {error}"));
        if self.losses.get() != losses {
            return;
        }
        if let Err(refusal) = self.take(Input::Returned(room, call, reply.ok())).await {
            console_error!("reply to a call: {refusal}");
        }
    }

    /// Runs an errand. What comes of it concerns a room that was loaded again meanwhile, too: it may have run it again.
    async fn errand(self: Rc<Self>, errand: Errand) {
        let ran = bucket::run(&self.env, self.state.storage().sql(), &errand).await;
        let outcome = ran.unwrap_or_else(|error| {
            console_error!("{errand:?}: {error}");
            Outcome::Failed
        });
        if let Err(refusal) = self.take(Input::Ran(errand, outcome)).await {
            console_error!("what came of an errand: {refusal}");
        }
    }

    /// Sees to it that the room is woken at its deadline; a room that failed is looked at again after [`RECOVERY`].
    ///
    /// What is near gets a timer, for precision, and an alarm a while behind it, as the promise: the alarm survives
    /// whatever ends the timer, and one of them stands behind many timers.
    async fn arm(self: &Rc<Self>) {
        let (now, due) = (now(), self.loaded.borrow().as_ref().map(|loaded| loaded.room.deadline()));
        let Some(due) = due.unwrap_or_else(|| Some(now.plus(RECOVERY))) else { return };
        if due < now.plus(NEAR) {
            self.start_timer(now, due);
            self.set_alarm(due.plus(NEAR)).await;
        } else {
            self.set_alarm(due).await;
        }
    }

    fn start_timer(self: &Rc<Self>, now: Millis, due: Millis) {
        if self.timer.get().is_some_and(|set| set <= due) {
            return;
        }
        self.timer.set(Some(due));
        let object = self.clone();
        self.state.wait_until(async move {
            binding::sleep(due.0.saturating_sub(now.0)).await;
            object.timer.set(None);
            if let Err(refusal) = object.wake().await {
                console_error!("timer: {refusal}");
            }
        });
    }

    async fn set_alarm(&self, due: Millis) {
        if self.alarm.get().flatten().is_some_and(|set| set <= due) {
            return;
        }
        self.alarm.set(Some(Some(due)));
        #[cfg(feature = "fault-injection")]
        super::bill::alarm();
        let date = js_sys::Date::new(&JsValue::from_f64(due.0 as f64));
        if let Err(error) = self.state.storage().set_alarm(ScheduledTime::new(date)).await {
            self.alarm.set(None);
            console_error!("alarm: {error}");
        }
    }

    /// Finds out which alarm an earlier instance has set.
    async fn look_up_alarm(&self) {
        if self.alarm.get().is_none() {
            let set = self.state.storage().get_alarm().await.ok().flatten();
            self.alarm.set(Some(set.and_then(|millis| u64::try_from(millis).ok()).map(Millis)));
        }
    }
}

/// The answer to a publisher.
#[derive(Serialize)]
struct Published {
    messages: Vec<Taken>,
}

fn session(socket: &WebSocket) -> Option<Session> {
    Session::decode(&socket.deserialize_attachment::<String>().ok()??)
}

fn attach(sockets: &BTreeMap<ConnId, WebSocket>, session: &Session) {
    let socket = sockets.get(&session.conn);
    log("attachment", socket.map_or(Ok(()), |socket| socket.serialize_attachment(session.encode())));
}

fn close(sockets: &mut BTreeMap<ConnId, WebSocket>, conn: ConnId, code: CloseCode, reason: &str) {
    let close = |socket: WebSocket| {
        disown(&socket)?;
        socket.close(Some(code.number()), Some(reason))
    };
    log("close", sockets.remove(&conn).map_or(Ok(()), close));
}

fn send(sockets: &BTreeMap<ConnId, WebSocket>, to: &[ConnId], frame: &str) {
    let frame = JsString::from(frame);
    for socket in to.iter().filter_map(|conn| sockets.get(conn)) {
        if let Err(error) = binding::send(socket, &frame) {
            console_debug!("a socket that is closing: {error:?}");
        }
    }
}

/// Takes its session from a socket that the room has done with. The runtime may list it for a while yet.
fn disown(socket: &WebSocket) -> Result<()> {
    socket.serialize_attachment("")
}

fn hang_up(socket: &WebSocket) -> Result<()> {
    disown(socket)?;
    socket.close(Some(CloseCode::Internal.number()), Some(Reject::Internal.code()))
}

fn log(what: &str, result: Result<()>) {
    if let Err(error) = result {
        console_error!("{what}: {error}");
    }
}

fn broken(failure: Failure) -> Refusal {
    match failure {
        Failure::Broken(error) => {
            console_error!("{error}");
            Reject::Internal.into()
        }
        Failure::Refused(refusal) => refusal,
    }
}
