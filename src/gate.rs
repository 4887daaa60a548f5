//! Who may do what: decides over a request before any room hears of it.

use crate::asker::Asker;
use crate::auth::{self, Claims};
use crate::chat_session::{Act, Order};
use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::grants;
use crate::history::Range;
use crate::id::{ConnId, Id, Kind, RoomName, Seq};
use crate::moment::{Millis, Moment};
use crate::protocol::SUBPROTOCOL;
use crate::query::Query;
use crate::reach::Reaches;
use crate::route::Route;
use crate::session::{ConnectionType, Session};

/// What the decision needs of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// `GET`, `POST`, …
    pub method: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: &'a str,
    /// Whether an upgrade to WebSocket is asked for.
    pub upgrade: bool,
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// The `Origin` header, which browsers send.
    pub origin: Option<&'a str>,
    /// The `Sec-WebSocket-Protocol` header.
    pub protocols: Option<&'a str>,
    /// What the ticket was good for that came instead of a token, once [`ticket`] has been redeemed.
    pub redeemed: Option<&'a Claims>,
}

/// What a request is allowed to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Open a socket in a room, with the subprotocol that was agreed on.
    Connect(RoomName, Box<Session>, Option<&'static str>),
    /// Close all connections of the user with this room.
    Disconnect(RoomName),
    /// Bring a file to a room: its id, its name and its hash, as far as they are said.
    BringFile(RoomName, Asker, Brought),
    /// Have a file of a room.
    File(RoomName, Asker, Id),
    /// Ask how the worker is, and one room if it is named.
    Health(Option<RoomName>),
    /// Read what was published in a room, as that asker.
    History(RoomName, Range, Asker),
    /// Hear, as a browser, what the path takes: its methods.
    Preflight(String),
    /// Publish in a room.
    Publish(RoomName),
    /// Call a chat session what the body says.
    Rename(RoomName, Asker),
    /// Do something with a chat session, if it lets that asker.
    Session(RoomName, Order),
    /// Ask what became of a message of a room.
    Status(RoomName, Id),
    /// Have a ticket, in the name of this token.
    Ticket(Claims),
}

/// What a request says of the file that it brings, beside its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Its id.
    pub id: Id,
    /// Its name: the id, unless another is given.
    pub name: String,
}

/// Decides over a request.
pub fn admit(request: &Request<'_>, config: &Config, moment: &mut Moment) -> Result<Admission, Refusal> {
    if !config.origins.allow(request.origin) {
        return Err(Reject::OriginNotAllowed.into());
    }
    if request.method == "OPTIONS" {
        return Ok(Admission::Preflight(Route::methods(&Route::at(request.path)?)));
    }
    let route = Route::parse(request.method, request.path)?;
    if request.upgrade && matches!(route, Route::History(_) | Route::Status(..) | Route::File(..)) {
        return Err(Reject::MethodNotAllowed.because("This path opens no socket."));
    }
    match route {
        Route::BringFile(room, id) => {
            let (room, asker) = visit(request, config, moment, room)?;
            let name = Query(request.query).get("name").unwrap_or_else(|| id.to_string());
            Ok(Admission::BringFile(room, asker, Brought { id, name }))
        }
        Route::File(room, id) => {
            visit(request, config, moment, room).map(|(room, asker)| Admission::File(room, asker, id))
        }
        Route::Health => health(request, config, moment),
        Route::Connect(room) if room.kind() == Kind::Chat && !request.upgrade => {
            session(request, config, moment, room, Act::Describe)
        }
        Route::Connect(room) => connect(request, config, moment, |claims| granted(claims, room)),
        // A user's own room needs no grant.
        Route::ConnectUser => {
            connect(request, config, moment, |claims| Ok(RoomName::new(Kind::User, claims.user.clone())))
        }
        Route::Dismiss(room, user) => session(request, config, moment, room, Act::Dismiss(user)),
        Route::Disconnect(room) => granted(&service(request, config, moment)?, room).map(Admission::Disconnect),
        Route::Erase(room) => session(request, config, moment, room, Act::Erase),
        Route::History(room) => {
            let claims = authenticate(request, config, moment)?;
            let room = readable(&claims, room)?;
            let asker = asker(&claims, &room);
            Query(request.query).range().map(|range| Admission::History(room, range, asker))
        }
        Route::Invite(room, user) => session(request, config, moment, room, Act::Invite(user)),
        Route::Publish(room) => granted(&service(request, config, moment)?, room).map(Admission::Publish),
        Route::Rename(room) => visit(request, config, moment, room).map(|(room, asker)| Admission::Rename(room, asker)),
        Route::Status(room, id) => {
            granted(&service(request, config, moment)?, room).map(|room| Admission::Status(room, id))
        }
        Route::Ticket => authenticate(request, config, moment).map(Admission::Ticket),
    }
}

fn connect(
    request: &Request<'_>,
    config: &Config,
    moment: &mut Moment,
    room: impl FnOnce(&Claims) -> Result<RoomName, Refusal>,
) -> Result<Admission, Refusal> {
    let claims = authenticate(request, config, moment)?;
    let room = room(&claims)?;
    if !request.upgrade {
        return Err(Reject::UpgradeRequired.into());
    }
    let query = Query(request.query);
    let connection_type = query.get("connection_type");
    let agreed = agree(request.protocols);
    let session = Session {
        conn: ConnId(moment.uuid()),
        user: claims.user,
        service: claims.service,
        expires: claims.expires,
        connection_type: connection_type.as_deref().and_then(ConnectionType::parse).unwrap_or_default(),
        batches: agreed.is_some(),
        rooms: claims.rooms,
        device: query.device()?,
        acks: query.acks(),
        resume: query.cursor()?,
        behind: None,
        sure: Seq(0),
        live_since: Millis(0),
        reaches: Reaches::default(),
        presence: query.presence().then_some(0),
        state: None,
        typing: None,
    };
    Ok(Admission::Connect(room, Box::new(session), agreed))
}

/// Somebody wants something of a chat session that its token opens. Whether the session lets it, the room knows.
fn session(
    request: &Request<'_>,
    config: &Config,
    moment: &Moment,
    room: RoomName,
    act: Act,
) -> Result<Admission, Refusal> {
    visit(request, config, moment, room).map(|(room, asker)| Admission::Session(room, Order { asker, act }))
}

/// The room, if the token opens it, and who asks it.
fn visit(
    request: &Request<'_>,
    config: &Config,
    moment: &Moment,
    room: RoomName,
) -> Result<(RoomName, Asker), Refusal> {
    let claims = authenticate(request, config, moment)?;
    let room = granted(&claims, room)?;
    let asker = asker(&claims, &room);
    Ok((room, asker))
}

fn asker(claims: &Claims, room: &RoomName) -> Asker {
    Asker::new(&claims.user, claims.service, claims.rooms.as_ref(), room)
}

/// Anyone may ask how the worker is; how a room is, only a service that may enter it.
fn health(request: &Request<'_>, config: &Config, moment: &Moment) -> Result<Admission, Refusal> {
    let Some(room) = Query(request.query).get("room") else { return Ok(Admission::Health(None)) };
    let claims = service(request, config, moment)?;
    let room = room.parse().map_err(|invalid: crate::id::InvalidId| Reject::InvalidId.because(invalid.0))?;
    granted(&claims, room).map(|room| Admission::Health(Some(room)))
}

/// The room, if the token opens it.
fn granted(claims: &Claims, room: RoomName) -> Result<RoomName, Refusal> {
    grants::check(claims.rooms.as_ref(), &room).map(|()| room)
}

/// The room, if the token may read what was published there: what a user's room and the one for everybody say is heard
/// without a grant, so it is read without one.
fn readable(claims: &Claims, room: RoomName) -> Result<RoomName, Refusal> {
    match room.kind() {
        Kind::System => Ok(room),
        Kind::User if *room.id() == claims.user => Ok(room),
        Kind::User if !claims.service => Err(Reject::Forbidden.because("That is for the user itself, or a service.")),
        Kind::Analysis | Kind::Chat | Kind::Investigation | Kind::User => granted(claims, room),
    }
}

fn service(request: &Request<'_>, config: &Config, moment: &Moment) -> Result<Claims, Refusal> {
    let claims = authenticate(request, config, moment)?;
    match claims.service {
        true => Ok(claims),
        false => Err(Reject::Forbidden.because("Only a token with the role `service` may do that.")),
    }
}

fn authenticate(request: &Request<'_>, config: &Config, moment: &Moment) -> Result<Claims, Refusal> {
    if let Some(claims) = request.redeemed {
        return Ok(claims.clone());
    }
    let claims = token(request).and_then(|token| config.claims(&token, moment.now));
    Ok(claims.ok_or(Reject::InvalidToken)?)
}

/// The subprotocol that is taken of those that a client offers.
pub fn agree(offered: Option<&str>) -> Option<&'static str> {
    offered?.split(',').any(|offer| offer.trim() == SUBPROTOCOL).then_some(SUBPROTOCOL)
}

/// The ticket of a request for a socket that brings no token: the room to ask and the secret to show it.
pub fn ticket(request: &Request<'_>, config: &Config, moment: &Moment) -> Option<(RoomName, String)> {
    let for_socket = matches!(Route::parse(request.method, request.path), Ok(Route::Connect(_) | Route::ConnectUser));
    if !request.upgrade || !for_socket || !config.origins.allow(request.origin) || token(request).is_some() {
        return None;
    }
    let ticket = Query(request.query).get("ticket")?;
    let (user, secret) = auth::read_ticket(&ticket, config.keys.as_ref()?, moment.now)?;
    Some((RoomName::new(Kind::User, user), secret))
}

/// The token: from the header, from the list of subprotocols, from the query; the first that there is.
fn token(request: &Request<'_>) -> Option<String> {
    let header = request.authorization.and_then(|header| header.split_once(' '));
    let header = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let protocol = || protocols(request).find_map(|offered| offered.strip_prefix("bearer."));
    header.or_else(protocol).map(str::to_owned).or_else(|| Query(request.query).get("token"))
}

fn protocols<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    request.protocols.unwrap_or_default().split(',').map(str::trim)
}
