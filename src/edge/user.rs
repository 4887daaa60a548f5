//! What the entry asks of a user's room: it counts the user's connections, and keeps the tickets.

use worker::Env;

use super::call::ask;
use super::{internal, now};
use crate::auth::{self, Claims};
use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::id::{Kind, RoomName};
use crate::link::{Call, Reply};
use crate::session::Session;
use crate::tickets::{Issued, Rights};

/// What a ticket is good for, if one was brought. It is used up.
pub(super) async fn redeem(env: &Env, ticket: Option<(RoomName, String)>) -> Result<Option<Claims>, Refusal> {
    let Some((user, secret)) = ticket else { return Ok(None) };
    let reply = ask(env, &user, &Call::Redeem { secret }).await.map_err(internal)?;
    let Reply::Redeemed(Rights { expires, rooms }) = reply else { return Err(Reject::InvalidToken.into()) };
    Ok(Some(Claims { user: user.id().clone(), service: false, expires, rooms }))
}

/// A ticket in the name of a token.
pub(super) async fn issue(env: &Env, config: &Config, claims: Claims) -> Result<Issued, Refusal> {
    let room = RoomName::new(Kind::User, claims.user.clone());
    let rights = Rights { expires: claims.expires, rooms: claims.rooms };
    let reply = ask(env, &room, &Call::Issue(rights)).await.map_err(internal)?;
    let lifetime = config.limits.ticket_lifetime;
    let Reply::Issued(secret) = reply else { return Err(Refusal::from(Reject::RateLimit).after(lifetime)) };
    let keys = config.keys.as_ref().ok_or(Reject::InvalidToken)?;
    let ticket = auth::write_ticket(&claims.user, &secret, now().plus(lifetime), keys).ok_or(Reject::Internal)?;
    Ok(Issued { ticket, expires_in_ms: lifetime })
}

/// Asks for one more connection. What is opened in the user's room itself, that room counts by itself.
pub(super) async fn reserve(env: &Env, room: &RoomName, session: &Session) -> Result<(), Refusal> {
    if room.kind() == Kind::User {
        return Ok(());
    }
    let user = RoomName::new(Kind::User, session.user.clone());
    let call = Call::Reserve { conn: session.conn, room: room.clone() };
    let reply = ask(env, &user, &call).await.map_err(internal)?;
    if let Reply::Refused(reject) = reply { Err(reject.into()) } else { Ok(()) }
}

/// Closes the user's connections in every room, or says that it could not: then the service asks again.
pub(super) async fn disconnect(env: &Env, user: &RoomName, bar: Option<u64>) -> Result<usize, Refusal> {
    let reply = ask(env, user, &Call::Disconnect { bar }).await.map_err(internal)?;
    let Reply::Elsewhere { mut closed, rooms } = reply else { return Err(Reject::Internal.into()) };
    for (room, conns) in rooms {
        let Ok(Reply::HungUp(count)) = ask(env, &room, &Call::HangUp { conns }).await else {
            return Err(Reject::Unavailable.because(format!("{room} did not reply; please try again.")));
        };
        closed += count;
    }
    Ok(closed)
}
