//! Who may do what: decides over a request before any room hears of it.

use crate::asker::Asker;
use crate::auth::{self, Claims};
use crate::chat_session::{Act, Order};
use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::grants;
use crate::history::Range;
use crate::id::{ConnId, Id, InvalidId, Kind, RoomName};
use crate::moment::{Millis, Moment};
use crate::protocol::SUBPROTOCOL;
use crate::query::Query;
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
    /// Bring a file to a room, as that asker.
    BringFile(RoomName, Asker, Brought),
    /// Open a socket in a room, with the subprotocol that was agreed on.
    Connect(RoomName, Box<Session>, Option<&'static str>),
    /// Close all connections of the user with this room.
    Disconnect(RoomName),
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
    let visit = Visit { request, config, now: moment.now };
    visit.decide(route, moment)
}

/// A request that comes from where it may, for a route that there is.
#[derive(Clone, Copy)]
struct Visit<'a> {
    request: &'a Request<'a>,
    config: &'a Config,
    now: Millis,
}

impl Visit<'_> {
    fn decide(self, route: Route, moment: &mut Moment) -> Result<Admission, Refusal> {
        match route {
            Route::BringFile(room, id) => self.bring(room, id),
            Route::Connect(room) if room.kind() == Kind::Chat && !self.request.upgrade => {
                self.session(room, Act::Describe)
            }
            Route::Connect(room) => self.connect(moment, |claims| granted(claims, room)),
            // A user's own room needs no grant.
            Route::ConnectUser => self.connect(moment, |claims| Ok(RoomName::new(Kind::User, claims.user.clone()))),
            Route::Dismiss(room, user) => self.session(room, Act::Dismiss(user)),
            Route::Disconnect(room) => self.serve(room).map(Admission::Disconnect),
            Route::Erase(room) => self.session(room, Act::Erase),
            Route::File(room, id) => self.ask(room).map(|(room, asker)| Admission::File(room, asker, id)),
            Route::Health => self.health(),
            Route::History(room) => self.history(room),
            Route::Invite(room, user) => self.session(room, Act::Invite(user)),
            Route::Publish(room) => self.serve(room).map(Admission::Publish),
            Route::Rename(room) => self.ask(room).map(|(room, asker)| Admission::Rename(room, asker)),
            Route::Status(room, id) => self.serve(room).map(|room| Admission::Status(room, id)),
            Route::Ticket => self.authenticate().map(Admission::Ticket),
        }
    }

    fn bring(self, room: RoomName, id: Id) -> Result<Admission, Refusal> {
        let (room, asker) = self.ask(room)?;
        let name = Query(self.request.query).get("name").unwrap_or_else(|| id.to_string());
        Ok(Admission::BringFile(room, asker, Brought { id, name }))
    }

    fn connect(
        self,
        moment: &mut Moment,
        room: impl FnOnce(&Claims) -> Result<RoomName, Refusal>,
    ) -> Result<Admission, Refusal> {
        let claims = self.authenticate()?;
        let room = room(&claims)?;
        if !self.request.upgrade {
            return Err(Reject::UpgradeRequired.into());
        }
        let query = Query(self.request.query);
        let connection_type = query.get("connection_type");
        let agreed = agree(self.request.protocols);
        let session = Session {
            service: claims.service,
            connection_type: connection_type.as_deref().and_then(ConnectionType::parse).unwrap_or_default(),
            batches: agreed.is_some(),
            rooms: claims.rooms,
            device: query.device()?,
            acks: query.acks(),
            resume: query.cursor()?,
            presence: query.presence().then_some(0),
            ..Session::new(ConnId(moment.uuid()), claims.user, claims.expires)
        };
        Ok(Admission::Connect(room, Box::new(session), agreed))
    }

    /// Somebody wants something of a chat session that its token opens. Whether the session lets it, the room knows.
    fn session(self, room: RoomName, act: Act) -> Result<Admission, Refusal> {
        self.ask(room).map(|(room, asker)| Admission::Session(room, Order { asker, act }))
    }

    /// Anyone may ask how the worker is; how a room is, only a service that may enter it.
    fn health(self) -> Result<Admission, Refusal> {
        let Some(room) = Query(self.request.query).get("room") else { return Ok(Admission::Health(None)) };
        let claims = self.service()?;
        let room = room.parse().map_err(|invalid: InvalidId| Reject::InvalidId.because(invalid.0))?;
        granted(&claims, room).map(|room| Admission::Health(Some(room)))
    }

    fn history(self, room: RoomName) -> Result<Admission, Refusal> {
        let claims = self.authenticate()?;
        let room = readable(&claims, room)?;
        let asker = asker(&claims, &room);
        Query(self.request.query).range().map(|range| Admission::History(room, range, asker))
    }

    /// The room, if the token opens it, and who asks it.
    fn ask(self, room: RoomName) -> Result<(RoomName, Asker), Refusal> {
        let claims = self.authenticate()?;
        let room = granted(&claims, room)?;
        let asker = asker(&claims, &room);
        Ok((room, asker))
    }

    /// The room, if the token is a service's and opens it.
    fn serve(self, room: RoomName) -> Result<RoomName, Refusal> {
        granted(&self.service()?, room)
    }

    fn service(self) -> Result<Claims, Refusal> {
        let claims = self.authenticate()?;
        match claims.service {
            true => Ok(claims),
            false => Err(Reject::Forbidden.because("Only a token with the role `service` may do that.")),
        }
    }

    fn authenticate(self) -> Result<Claims, Refusal> {
        if let Some(claims) = self.request.redeemed {
            return Ok(claims.clone());
        }
        let claims = token(self.request).and_then(|token| self.config.claims(&token, self.now));
        Ok(claims.ok_or(Reject::InvalidToken)?)
    }
}

fn asker(claims: &Claims, room: &RoomName) -> Asker {
    Asker::new(&claims.user, claims.service, claims.rooms.as_ref(), room)
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
