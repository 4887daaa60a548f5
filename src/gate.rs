//! Who may do what: decides over a request before any room hears of it.

use crate::auth::{self, Claims};
use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::grants;
use crate::id::{ConnId, Kind, RoomName};
use crate::moment::Moment;
use crate::protocol::SUBPROTOCOL;
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
    Connect(RoomName, Session, Option<&'static str>),
    /// Close all connections of the user with this room.
    Disconnect(RoomName),
    /// Ask how the worker is, and one room if it is named.
    Health(Option<RoomName>),
    /// Hear, as a browser, what the path takes: the route's method.
    Preflight(&'static str),
    /// Publish in a room.
    Publish(RoomName),
    /// Have a ticket, in the name of this token.
    Ticket(Claims),
}

/// Decides over a request.
pub fn admit(request: &Request<'_>, config: &Config, moment: &mut Moment) -> Result<Admission, Refusal> {
    if !config.origins.allow(request.origin) {
        return Err(Reject::OriginNotAllowed.into());
    }
    if request.method == "OPTIONS" {
        return Ok(Admission::Preflight(Route::at(request.path)?.method()));
    }
    match Route::parse(request.method, request.path)? {
        Route::Health => health(request, config, moment),
        Route::Connect(room) => connect(request, config, moment, |claims| granted(claims, room)),
        // A user's own room needs no grant.
        Route::ConnectUser => {
            connect(request, config, moment, |claims| Ok(RoomName::new(Kind::User, claims.user.clone())))
        }
        Route::Disconnect(room) => granted(&service(request, config, moment)?, room).map(Admission::Disconnect),
        Route::Ticket => authenticate(request, config, moment).map(Admission::Ticket),
        Route::Publish(room) => granted(&service(request, config, moment)?, room).map(Admission::Publish),
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
    let connection_type = parameter(request.query, "connection_type");
    let agreed = agree(request.protocols);
    let session = Session {
        conn: ConnId(moment.uuid()),
        user: claims.user,
        expires: claims.expires,
        connection_type: connection_type.as_deref().and_then(ConnectionType::parse).unwrap_or_default(),
        batches: agreed.is_some(),
        rooms: claims.rooms,
        device: None,
        acks: false,
        resume: None,
        behind: None,
        acked: None,
        reaches: Reaches::default(),
    };
    Ok(Admission::Connect(room, session, agreed))
}

/// Anyone may ask how the worker is; how a room is, only a service that may enter it.
fn health(request: &Request<'_>, config: &Config, moment: &Moment) -> Result<Admission, Refusal> {
    let Some(room) = parameter(request.query, "room") else { return Ok(Admission::Health(None)) };
    let claims = service(request, config, moment)?;
    let room = room.parse().map_err(|invalid: crate::id::InvalidId| Reject::InvalidId.because(invalid.0))?;
    granted(&claims, room).map(|room| Admission::Health(Some(room)))
}

/// The room, if the token opens it.
fn granted(claims: &Claims, room: RoomName) -> Result<RoomName, Refusal> {
    grants::check(claims.rooms.as_ref(), &room).map(|()| room)
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
    let ticket = parameter(request.query, "ticket")?;
    let (user, secret) = auth::read_ticket(&ticket, config.keys.as_ref()?, moment.now)?;
    Some((RoomName::new(Kind::User, user), secret))
}

/// The token: from the header, from the list of subprotocols, from the query; the first that there is.
fn token(request: &Request<'_>) -> Option<String> {
    let header = request.authorization.and_then(|header| header.split_once(' '));
    let header = header.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let protocol = || protocols(request).find_map(|offered| offered.strip_prefix("bearer."));
    header.or_else(protocol).map(str::to_owned).or_else(|| parameter(request.query, "token"))
}

fn protocols<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a str> + use<'a> {
    request.protocols.unwrap_or_default().split(',').map(str::trim)
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
