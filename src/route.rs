//! Which path means what.

use percent_encoding::percent_decode_str;

use crate::code::{Refusal, Reject};
use crate::id::{Id, Kind, RoomName};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /api/v1/ws/health`
    Health,
    /// `GET /api/v1/ws/{investigations|analysis|chat}/{id}`: a socket in that room.
    Connect(RoomName),
    /// `GET /api/v1/ws`: a socket in the room of the token's user.
    ConnectUser,
    /// `POST /api/v1/ws/users/{id}/disconnect`: the end of all connections of that user.
    Disconnect(RoomName),
    /// `POST /api/v1/ws/tickets`: a ticket for one socket.
    Ticket,
    /// `POST /api/v1/ws/{investigations|analysis|chat|users}/{id}/messages`: messages for that room; and
    /// `POST /api/v1/ws/system/messages`: messages for the one room that nobody opens.
    Publish(RoomName),
}

impl Route {
    /// The route of a request, or why there is none.
    pub fn parse(method: &str, path: &str) -> Result<Self, Refusal> {
        let route = Self::at(path)?;
        if method != route.method() {
            return Err(Reject::MethodNotAllowed.because(format!("This path takes {}.", route.method())));
        }
        Ok(route)
    }

    /// The route at a path, whatever the method.
    pub fn at(path: &str) -> Result<Self, Refusal> {
        let path = path.strip_prefix("/api/v1/ws").ok_or(Reject::NotFound)?;
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        match segments.as_slice() {
            [""] => Ok(Self::ConnectUser),
            ["", "health"] => Ok(Self::Health),
            ["", "tickets"] => Ok(Self::Ticket),
            ["", "system", "messages"] => Ok(Self::Publish(RoomName::system())),
            ["", "users", id, "disconnect"] => room("users", id).map(Self::Disconnect),
            ["", collection, id] if *collection != "users" => room(collection, id).map(Self::Connect),
            ["", collection, id, "messages"] => room(collection, id).map(Self::Publish),
            _ => Err(Reject::NotFound.into()),
        }
    }

    /// The one method that it takes.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Connect(_) | Self::ConnectUser | Self::Health => "GET",
            Self::Disconnect(_) | Self::Publish(_) | Self::Ticket => "POST",
        }
    }
}

fn room(collection: &str, id: &str) -> Result<RoomName, Refusal> {
    let kind = match collection {
        "analysis" => Kind::Analysis,
        "chat" => Kind::Chat,
        "investigations" => Kind::Investigation,
        "users" => Kind::User,
        _ => return Err(Reject::NotFound.into()),
    };
    let text = percent_decode_str(id).decode_utf8().map_err(|_| Reject::InvalidId)?;
    let id = Id::try_from(text.into_owned()).map_err(|invalid| Reject::InvalidId.because(invalid.0))?;
    Ok(RoomName::new(kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_protocol_has_its_route() {
        for (method, path, route) in [
            ("GET", "/api/v1/ws", Route::ConnectUser),
            ("GET", "/api/v1/ws/", Route::ConnectUser),
            ("GET", "/api/v1/ws/health", Route::Health),
            ("POST", "/api/v1/ws/tickets", Route::Ticket),
            ("GET", "/api/v1/ws/investigations/inv-123", Route::Connect("investigation:inv-123".parse().unwrap())),
            ("GET", "/api/v1/ws/analysis/a/", Route::Connect("analysis:a".parse().unwrap())),
            ("GET", "/api/v1/ws/chat/a%3Ab", Route::Connect("chat:a:b".parse().unwrap())),
            ("POST", "/api/v1/ws/users/ana/disconnect", Route::Disconnect("user:ana".parse().unwrap())),
            ("POST", "/api/v1/ws/chat/s/messages", Route::Publish("chat:s".parse().unwrap())),
            ("POST", "/api/v1/ws/system/messages", Route::Publish(RoomName::system())),
            ("POST", "/api/v1/ws/users/ana%40x.org/messages", Route::Publish("user:ana@x.org".parse().unwrap())),
        ] {
            assert_eq!(Route::parse(method, path), Ok(route), "{method} {path}");
        }
    }

    #[test]
    fn every_other_path_says_what_is_wrong() {
        for (method, path, reject) in [
            ("GET", "/", Reject::NotFound),
            ("GET", "/api/v1/wsx", Reject::NotFound),
            ("GET", "/api/v1/ws//", Reject::NotFound),
            ("GET", "/api/v1/ws/rooms/1", Reject::NotFound),
            ("GET", "/api/v1/ws/users/ana", Reject::NotFound),
            ("GET", "/api/v1/ws/system", Reject::NotFound),
            ("GET", "/api/v1/ws/system/all", Reject::NotFound),
            ("POST", "/api/v1/ws/system/all/messages", Reject::NotFound),
            ("POST", "/api/v1/ws/chat/s/messages/1", Reject::NotFound),
            ("POST", "/api/v1/ws/chat/s/disconnect", Reject::NotFound),
            ("POST", "/api/v1/ws", Reject::MethodNotAllowed),
            ("GET", "/api/v1/ws/chat/s/messages", Reject::MethodNotAllowed),
            ("GET", "/api/v1/ws/system/messages", Reject::MethodNotAllowed),
            ("GET", "/api/v1/ws/chat//", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/%20", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/%ff", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/a%2Fb", Reject::InvalidId),
        ] {
            assert_eq!(Route::parse(method, path).unwrap_err().reject, reject, "{method} {path}");
        }
    }
}
