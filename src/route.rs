//! Routes: which path means what.

use percent_encoding::percent_decode_str;

use crate::code::{Refusal, Reject};
use crate::id::{Id, Kind, RoomName};

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET`, and `HEAD`, of `/api/v1/ws/chat/{id}/files/{file_id}`: that file.
    File(RoomName, Id),
    /// `PUT` to the same path: that file, for that room.
    BringFile(RoomName, Id),
    /// `GET /api/v1/ws/health`
    Health,
    /// `GET /api/v1/ws/{investigations|analysis|chat}/{id}`: a socket in that room; of a chat, without an upgrade, what is
    /// known of the session.
    Connect(RoomName),
    /// `GET /api/v1/ws`: a socket in the room of the token's user.
    ConnectUser,
    /// `DELETE /api/v1/ws/chat/{id}/participants/{user_id}`: that user takes no part in the session any more.
    Dismiss(RoomName, Id),
    /// `POST /api/v1/ws/users/{id}/disconnect`: the end of all connections of that user.
    Disconnect(RoomName),
    /// `DELETE /api/v1/ws/chat/{id}`: the end of the session, and of all that was said in it.
    Erase(RoomName),
    /// `PUT /api/v1/ws/chat/{id}/participants/{user_id}`: that user takes part in the session.
    Invite(RoomName, Id),
    /// `PATCH /api/v1/ws/chat/{id}`: another title of the session.
    Rename(RoomName),
    /// `POST /api/v1/ws/tickets`: a ticket for one socket.
    Ticket,
    /// `GET /api/v1/ws/{investigations|analysis|chat|users}/{id}/messages`: what was published there; and
    /// `GET /api/v1/ws/system/messages`: what was published for everybody.
    History(RoomName),
    /// `POST` to the same paths: messages for that room.
    Publish(RoomName),
    /// `GET /api/v1/ws/…/messages/{message_id}`: what became of that message.
    Status(RoomName, Id),
}

impl Route {
    /// The route of a request, or why there is none.
    pub fn parse(method: &str, path: &str) -> Result<Self, Refusal> {
        let routes = Self::at(path)?;
        let methods = Self::methods(&routes);
        routes.into_iter().find(|route| route.takes(method)).ok_or_else(|| {
            let refusal = Reject::MethodNotAllowed.because(format!("This path takes {methods}."));
            Refusal { methods: Some(format!("{methods}, OPTIONS")), ..refusal }
        })
    }

    /// The routes at a path, one for each method that it takes beside OPTIONS.
    pub fn at(path: &str) -> Result<Vec<Self>, Refusal> {
        let path = path.strip_prefix("/api/v1/ws").ok_or(Reject::NotFound)?;
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        match segments.as_slice() {
            [""] => Ok(vec![Self::ConnectUser]),
            ["", "health"] => Ok(vec![Self::Health]),
            ["", "tickets"] => Ok(vec![Self::Ticket]),
            ["", "system", "messages"] => Ok(Self::messages(RoomName::system())),
            ["", "system", "messages", message] => Ok(vec![Self::Status(RoomName::system(), id(message)?)]),
            ["", "users", id, "disconnect"] => Ok(vec![Self::Disconnect(room("users", id)?)]),
            ["", "chat", id] => Ok(Self::session(&room("chat", id)?)),
            ["", "chat", id, "participants", user] => Ok(Self::participant(&room("chat", id)?, &self::id(user)?)),
            ["", "chat", session, "files", file] => {
                let (room, file) = (room("chat", session)?, id(file)?);
                Ok(vec![Self::File(room.clone(), file.clone()), Self::BringFile(room, file)])
            }
            ["", collection, id] if *collection != "users" => Ok(vec![Self::Connect(room(collection, id)?)]),
            ["", collection, id, "messages"] => Ok(Self::messages(room(collection, id)?)),
            ["", collection, room_id, "messages", message] => {
                Ok(vec![Self::Status(room(collection, room_id)?, id(message)?)])
            }
            _ => Err(Reject::NotFound.into()),
        }
    }

    fn messages(room: RoomName) -> Vec<Self> {
        vec![Self::History(room.clone()), Self::Publish(room)]
    }

    fn session(room: &RoomName) -> Vec<Self> {
        vec![Self::Connect(room.clone()), Self::Rename(room.clone()), Self::Erase(room.clone())]
    }

    fn participant(room: &RoomName, user: &Id) -> Vec<Self> {
        vec![Self::Invite(room.clone(), user.clone()), Self::Dismiss(room.clone(), user.clone())]
    }

    /// Whether it takes that method.
    fn takes(&self, method: &str) -> bool {
        self.method().split(", ").any(|taken| taken == method)
    }

    /// The one method that it takes; of a file, the two.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::File(..) => "GET, HEAD",
            Self::BringFile(..) => "PUT",
            Self::Connect(_) | Self::ConnectUser | Self::Health | Self::History(_) | Self::Status(..) => "GET",
            Self::Disconnect(_) | Self::Publish(_) | Self::Ticket => "POST",
            Self::Dismiss(..) | Self::Erase(_) => "DELETE",
            Self::Invite(..) => "PUT",
            Self::Rename(_) => "PATCH",
        }
    }

    /// The methods of several, as headers list them.
    pub fn methods(routes: &[Self]) -> String {
        routes.iter().map(Self::method).collect::<Vec<_>>().join(", ")
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
    Ok(RoomName::new(kind, self::id(id)?))
}

fn id(segment: &str) -> Result<Id, Refusal> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| Reject::InvalidId)?;
    Id::try_from(text.into_owned()).map_err(|invalid| Reject::InvalidId.because(invalid.0))
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
            ("PATCH", "/api/v1/ws/chat/s/", Route::Rename("chat:s".parse().unwrap())),
            ("DELETE", "/api/v1/ws/chat/participants", Route::Erase("chat:participants".parse().unwrap())),
            (
                "PUT",
                "/api/v1/ws/chat/s/participants/bia%40x.org",
                Route::Invite("chat:s".parse().unwrap(), "bia@x.org".parse().unwrap()),
            ),
            (
                "DELETE",
                "/api/v1/ws/chat/s/participants/bia/",
                Route::Dismiss("chat:s".parse().unwrap(), "bia".parse().unwrap()),
            ),
            ("POST", "/api/v1/ws/users/ana/disconnect", Route::Disconnect("user:ana".parse().unwrap())),
            ("POST", "/api/v1/ws/chat/s/messages", Route::Publish("chat:s".parse().unwrap())),
            ("GET", "/api/v1/ws/chat/s/messages/", Route::History("chat:s".parse().unwrap())),
            ("POST", "/api/v1/ws/system/messages", Route::Publish(RoomName::system())),
            ("GET", "/api/v1/ws/system/messages", Route::History(RoomName::system())),
            ("GET", "/api/v1/ws/system/messages/7", Route::Status(RoomName::system(), "7".parse().unwrap())),
            (
                "GET",
                "/api/v1/ws/chat/messages/messages/a%7Cb",
                Route::Status("chat:messages".parse().unwrap(), "a|b".parse().unwrap()),
            ),
            ("HEAD", "/api/v1/ws/chat/s/files/f", Route::File("chat:s".parse().unwrap(), "f".parse().unwrap())),
            ("PUT", "/api/v1/ws/chat/s/files/f/", Route::BringFile("chat:s".parse().unwrap(), "f".parse().unwrap())),
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
            ("GET", "/api/v1/ws/chat/s/messages/1/2", Reject::NotFound),
            ("PUT", "/api/v1/ws/chat/s/participants", Reject::NotFound),
            ("PUT", "/api/v1/ws/investigations/1/participants/bia", Reject::NotFound),
            ("GET", "/api/v1/ws/chat/s/participants/bia", Reject::MethodNotAllowed),
            ("PUT", "/api/v1/ws/chat/s", Reject::MethodNotAllowed),
            ("PATCH", "/api/v1/ws/analysis/1", Reject::MethodNotAllowed),
            ("DELETE", "/api/v1/ws/chat/s/participants/%20", Reject::InvalidId),
            ("GET", "/api/v1/ws/system/all/messages/1", Reject::NotFound),
            ("POST", "/api/v1/ws/chat/s/disconnect", Reject::NotFound),
            ("GET", "/api/v1/ws/chat/s/files", Reject::NotFound),
            ("PUT", "/api/v1/ws/investigations/s/files/f", Reject::NotFound),
            ("DELETE", "/api/v1/ws/chat/s/files/f", Reject::MethodNotAllowed),
            ("HEAD", "/api/v1/ws/chat/s/messages", Reject::MethodNotAllowed),
            ("POST", "/api/v1/ws", Reject::MethodNotAllowed),
            ("PUT", "/api/v1/ws/chat/s/messages", Reject::MethodNotAllowed),
            ("DELETE", "/api/v1/ws/system/messages", Reject::MethodNotAllowed),
            ("POST", "/api/v1/ws/chat/s/messages/1", Reject::MethodNotAllowed),
            ("GET", "/api/v1/ws/chat/s/messages//", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/s/messages/%20", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat//", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/%20", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/%ff", Reject::InvalidId),
            ("GET", "/api/v1/ws/chat/a%2Fb", Reject::InvalidId),
        ] {
            assert_eq!(Route::parse(method, path).unwrap_err().reject, reject, "{method} {path}");
        }
    }

    #[test]
    fn who_comes_with_another_method_hears_all_that_would_do() {
        for (path, methods) in [
            ("/api/v1/ws/health", "GET, OPTIONS"),
            ("/api/v1/ws/tickets", "POST, OPTIONS"),
            ("/api/v1/ws/analysis/1", "GET, OPTIONS"),
            ("/api/v1/ws/chat/s", "GET, PATCH, DELETE, OPTIONS"),
            ("/api/v1/ws/chat/s/participants/bia", "PUT, DELETE, OPTIONS"),
            ("/api/v1/ws/chat/s/messages", "GET, POST, OPTIONS"),
            ("/api/v1/ws/system/messages", "GET, POST, OPTIONS"),
            ("/api/v1/ws/system/messages/7", "GET, OPTIONS"),
        ] {
            assert_eq!(Route::parse("TRACE", path).unwrap_err().methods.as_deref(), Some(methods), "{path}");
        }
    }
}
