//! Who may do what, decided without a server.

use cidadao_realtime::asker::Asker;
use cidadao_realtime::auth::{self, Keys};
use cidadao_realtime::chat_session::{Act, Order};
use cidadao_realtime::code::Reject;
use cidadao_realtime::config::Config;
use cidadao_realtime::gate::{self, Admission, Request, admit};
use cidadao_realtime::history::{Anchor, Range};
use cidadao_realtime::id::{Cursor, Epoch, Seq};
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::session::ConnectionType;
use serde_json::{Value, json};

use crate::support::tokens::{SECRET, signed};

const NOW: u64 = 1_761_937_200;

fn config() -> Config {
    configured("", "")
}

/// The settings with one more.
fn configured(setting: &str, value: &str) -> Config {
    let settings = [("JWT_SECRET_KEY", SECRET), (setting, value)];
    Config::parse(|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
}

/// A token of ana's, with these claims besides.
fn token(claims: &Value) -> String {
    signed("ana", NOW + 60, claims)
}

fn decide(request: Request<'_>) -> Result<Admission, Reject> {
    decide_by(&config(), request)
}

fn decide_by(config: &Config, request: Request<'_>) -> Result<Admission, Reject> {
    let mut moment = Moment::new(Millis(NOW * 1000), [1; 16]);
    admit(&request, config, &mut moment).map_err(|refusal| refusal.reject)
}

fn upgrade<'a>(path: &'a str, query: &'a str) -> Request<'a> {
    Request { method: "GET", path, query, upgrade: true, ..Request::default() }
}

fn get<'a>(path: &'a str, query: &'a str, authorization: Option<&'a str>) -> Request<'a> {
    Request { method: "GET", path, query, authorization, ..Request::default() }
}

#[test]
fn the_general_connection_opens_the_room_of_its_user_whatever_else_is_asked() {
    let query = format!("token={}&connection_type=investigation&user=bea", token(&json!({"sub": "ana@x.org"})));
    let Ok(Admission::Connect(room, session, None)) = decide(upgrade("/api/v1/ws", &query)) else { panic!() };
    assert_eq!(room.to_string(), "user:ana@x.org");
    assert_eq!(session.user.as_str(), "ana@x.org");
    assert_eq!(session.expires, Millis((NOW + 60) * 1000));
    assert_eq!(session.connection_type, ConnectionType::Investigation);
}

#[test]
fn a_connection_type_that_nobody_knows_is_a_general_one() {
    let query = format!("connection_type=vip&token={}", token(&json!({})));
    let Ok(Admission::Connect(_, session, _)) = decide(upgrade("/api/v1/ws", &query)) else { panic!() };
    assert_eq!(session.connection_type, ConnectionType::General);
}

#[test]
fn the_token_is_found_in_three_places_and_the_first_there_is_counts() {
    let (good, bad) = (token(&json!({})), token(&json!({"type": "refresh"})));
    let path = "/api/v1/ws/chat/1";
    let (good_query, bad_query) = (format!("token={good}"), format!("token={bad}"));
    let (good_header, bad_header) = (format!("bearer  {good}"), format!("Bearer {bad}"));
    let good_protocols = format!("cidadao.v1, bearer.{good}");
    for (query, authorization, protocols, admitted) in [
        (good_query.as_str(), None, None, true),
        ("", Some(good_header.as_str()), None, true),
        ("", None, Some(good_protocols.as_str()), true),
        (bad_query.as_str(), Some(&good_header), None, true),
        (bad_query.as_str(), None, Some(&good_protocols), true),
        (good_query.as_str(), Some(&bad_header), Some(&good_protocols), false),
        ("", Some("Basic YTpi"), None, false),
        ("", None, Some("bearer"), false),
        ("token=", None, None, false),
        ("Token=x", None, None, false),
    ] {
        let decision = decide(Request { authorization, protocols, ..upgrade(path, query) });
        assert_eq!(decision.is_ok(), admitted, "{query} {authorization:?} {protocols:?}");
    }
}

#[test]
fn only_our_subprotocol_is_agreed_on() {
    let query = format!("token={}", token(&json!({})));
    for (protocols, want) in [
        (None, None),
        (Some("cidadao.v1"), Some("cidadao.v1")),
        (Some("graphql-ws,cidadao.v1 , mqtt"), Some("cidadao.v1")),
        (Some("cidadao.v2"), None),
    ] {
        let decision = decide(Request { protocols, ..upgrade("/api/v1/ws/chat/1", &query) });
        let Ok(Admission::Connect(_, _, agreed)) = decision else { panic!() };
        assert_eq!(agreed, want, "{protocols:?}");
    }
}

#[test]
fn who_may_not_is_told_apart_from_who_is_not() {
    let (user, service) = (token(&json!({"role": "user"})), token(&json!({"role": "service"})));
    let (user, service) = (format!("Bearer {user}"), format!("Bearer {service}"));
    let publish = |authorization| {
        decide(Request { method: "POST", path: "/api/v1/ws/users/ana/messages", authorization, ..Request::default() })
    };
    assert_eq!(publish(Some(service.as_str())), Ok(Admission::Publish("user:ana".parse().unwrap())));
    assert_eq!(publish(Some(user.as_str())), Err(Reject::Forbidden));
    assert_eq!(publish(None), Err(Reject::InvalidToken));
}

#[test]
fn a_plain_request_for_a_socket_is_told_to_upgrade_once_its_token_is_good() {
    let query = format!("token={}", token(&json!({})));
    for path in ["/api/v1/ws", "/api/v1/ws/investigations/1", "/api/v1/ws/analysis/1"] {
        let plain = |query| decide(Request { upgrade: false, ..upgrade(path, query) });
        assert_eq!(plain(&query), Err(Reject::UpgradeRequired));
        assert_eq!(plain(""), Err(Reject::InvalidToken));
    }
}

#[test]
fn a_chat_session_is_asked_by_whoever_has_a_token_that_opens_it_and_hears_who_that_is() {
    let user = |name: &str| name.parse().unwrap();
    let chat = || "chat:1".parse().unwrap();
    let asks = [
        ("GET", "", Act::Describe),
        ("DELETE", "", Act::Erase),
        ("PUT", "/participants/bia", Act::Invite(user("bia"))),
        ("DELETE", "/participants/bia", Act::Dismiss(user("bia"))),
    ];
    for (claims, service, granted) in [
        (json!({}), false, false),
        (json!({"rooms": ["chat:1"]}), false, true),
        (json!({"rooms": ["chat:*"]}), false, true),
        (json!({"role": "service"}), true, false),
    ] {
        let authorization = format!("Bearer {}", token(&claims));
        let asker = || Asker { user: user("ana"), service, granted };
        let ask = |method: &str, path: &str| {
            let authorization = Some(authorization.as_str());
            decide(Request { method, path, authorization, ..Request::default() })
        };
        for (method, rest, act) in &asks {
            let errand = Order { asker: asker(), act: act.clone() };
            let path = format!("/api/v1/ws/chat/1{rest}");
            assert_eq!(ask(method, &path), Ok(Admission::Session(chat(), errand)));
        }
        assert_eq!(ask("PATCH", "/api/v1/ws/chat/1"), Ok(Admission::Rename(chat(), asker())));
        let range = Range { from: Anchor::Newest, limit: 100 };
        let history = Ok(Admission::History(chat(), range, asker()));
        assert_eq!(ask("GET", "/api/v1/ws/chat/1/messages"), history);
    }
    let elsewhere = format!("Bearer {}", token(&json!({"role": "service", "rooms": ["chat:2"]})));
    let all = asks.map(|(method, rest, _)| (method, rest)).into_iter().chain([("PATCH", "")]);
    for (method, rest) in all {
        let path = format!("/api/v1/ws/chat/1{rest}");
        let ask = |authorization| decide(Request { method, path: &path, authorization, ..Request::default() });
        assert_eq!(ask(Some(&elsewhere)), Err(Reject::Forbidden), "{method} {rest}");
        assert_eq!(ask(None), Err(Reject::InvalidToken), "{method} {rest}");
    }
}

#[test]
fn every_admitted_connection_is_another() {
    let (query, config) = (format!("token={}", token(&json!({}))), config());
    let mut moment = Moment::new(Millis(NOW * 1000), [1; 16]);
    let mut connect = || match admit(&upgrade("/api/v1/ws", &query), &config, &mut moment) {
        Ok(Admission::Connect(_, session, _)) => session.conn,
        other => panic!("{other:?}"),
    };
    assert_ne!(connect(), connect());
}

#[test]
fn a_token_that_names_rooms_opens_those_and_its_users_own() {
    let query = format!("token={}", token(&json!({"rooms": ["investigation:1", "chat:*"]})));
    for (path, opened) in [
        ("/api/v1/ws", Ok("user:ana")),
        ("/api/v1/ws/investigations/1", Ok("investigation:1")),
        ("/api/v1/ws/chat/any", Ok("chat:any")),
        ("/api/v1/ws/investigations/2", Err(Reject::Forbidden)),
        ("/api/v1/ws/analysis/1", Err(Reject::Forbidden)),
    ] {
        let decision = decide(upgrade(path, &query));
        if let Ok(Admission::Connect(_, session, _)) = &decision {
            assert!(
                session.rooms.as_ref().unwrap().allows(&"chat:other".parse().unwrap()),
                "the session is limited too"
            );
        }
        let room = decision.map(|admission| {
            let Admission::Connect(room, ..) = admission else { panic!("{admission:?}") };
            room.to_string()
        });
        assert_eq!(room, opened.map(str::to_owned), "{path}");
        let plain = decide(Request { upgrade: false, ..upgrade(path, &query) });
        if let Ok(Admission::Session(room, _)) = &plain {
            assert_eq!(Ok(room.to_string()), opened.map(str::to_owned), "{path}");
            continue;
        }
        assert_eq!(plain, Err(opened.map_or_else(|reject| reject, |_| Reject::UpgradeRequired)), "{path}");
    }
}

#[test]
fn a_service_that_names_rooms_publishes_and_counts_there_alone() {
    let service =
        |rooms: Value| format!("Bearer {}", token(&json!({"sub": "backend", "role": "service", "rooms": rooms})));
    let some = service(json!(["investigation:1", "user:*"]));
    let system = service(json!(["system:all"]));
    let systems = service(json!(["system:*"]));
    for (authorization, collection, room, good) in [
        (&some, "investigations/1", "investigation:1", true),
        (&some, "users/ana", "user:ana", true),
        (&some, "investigations/2", "investigation:2", false),
        (&some, "chat/1", "chat:1", false),
        (&some, "system", "system:all", false),
        (&system, "system", "system:all", true),
        (&systems, "system", "system:all", true),
        (&system, "users/backend", "user:backend", false),
    ] {
        let authorization = Some(authorization.as_str());
        let (path, query) = (format!("/api/v1/ws/{collection}/messages"), format!("room={room}"));
        let named = || room.parse().unwrap();
        let publish = decide(Request { method: "POST", path: &path, authorization, ..Request::default() });
        assert_eq!(publish, if good { Ok(Admission::Publish(named())) } else { Err(Reject::Forbidden) }, "{path}");
        let health = Request { upgrade: false, authorization, ..upgrade("/api/v1/ws/health", &query) };
        let want = if good { Ok(Admission::Health(Some(named()))) } else { Err(Reject::Forbidden) };
        assert_eq!(decide(health), want, "{query}");
    }
}

#[test]
fn a_user_with_a_grant_is_still_no_service() {
    let user = format!("Bearer {}", token(&json!({"rooms": ["chat:1", "system:*"]})));
    for path in ["/api/v1/ws/chat/1/messages", "/api/v1/ws/system/messages"] {
        let publish = Request { method: "POST", path, authorization: Some(&user), ..Request::default() };
        assert_eq!(decide(publish), Err(Reject::Forbidden));
    }
}

#[test]
fn a_claim_that_is_malformed_makes_a_bad_token() {
    for rooms in
        [json!(null), json!("chat:1"), json!(["chat"]), json!(["rooms:*"]), json!([1]), json!(vec!["chat:*"; 65])]
    {
        let query = format!("token={}", token(&json!({"rooms": rooms})));
        for path in ["/api/v1/ws", "/api/v1/ws/chat/1"] {
            assert_eq!(decide(upgrade(path, &query)), Err(Reject::InvalidToken), "{rooms}");
        }
    }
}

#[test]
fn where_grants_are_required_a_token_without_them_opens_its_users_room_alone() {
    let required = configured("REQUIRE_ROOM_GRANTS", "true");
    let query = format!("token={}", token(&json!({})));
    let Ok(Admission::Connect(_, session, _)) = decide_by(&required, upgrade("/api/v1/ws", &query)) else { panic!() };
    assert!(!session.rooms.unwrap().allows(&"investigation:1".parse().unwrap()), "nor can it subscribe anywhere");
    assert_eq!(decide_by(&required, upgrade("/api/v1/ws/chat/1", &query)), Err(Reject::Forbidden));

    let service = format!("Bearer {}", token(&json!({"role": "service"})));
    let ask =
        |method, path, query| Request { method, path, query, authorization: Some(&service), ..Request::default() };
    let health = "/api/v1/ws/health";
    for (request, want) in [
        (ask("POST", "/api/v1/ws/chat/1/messages", ""), Err(Reject::Forbidden)),
        (ask("GET", health, "room=chat:1"), Err(Reject::Forbidden)),
        (ask("GET", health, ""), Ok(Admission::Health(None))),
    ] {
        assert_eq!(decide_by(&required, request), want, "{request:?}");
    }

    let granted = format!("token={}", token(&json!({"rooms": ["chat:1"]})));
    assert!(decide_by(&required, upgrade("/api/v1/ws/chat/1", &granted)).is_ok());
}

#[test]
fn a_page_of_another_origin_is_refused_before_anything_else() {
    let listed = configured("ALLOWED_ORIGINS", "https://cidadao.ai");
    let query = format!("token={}", token(&json!({})));
    for (origin, allowed) in [(None, true), (Some("https://cidadao.ai"), true), (Some("https://evil.com"), false)] {
        for request in [
            upgrade("/api/v1/ws/chat/1", &query),
            Request { upgrade: false, ..upgrade("/api/v1/ws/health", "") },
            Request { method: "OPTIONS", upgrade: false, ..upgrade("/api/v1/ws/health", "") },
        ] {
            let decision = decide_by(&listed, Request { origin, ..request });
            assert_eq!(decision.as_ref().err(), (!allowed).then_some(&Reject::OriginNotAllowed), "{origin:?}");
            assert!(decide(Request { origin, ..request }).is_ok(), "without a list any origin will do");
        }
    }
    let bad = Request { origin: Some("https://evil.com"), ..upgrade("/nowhere", "token=bad") };
    assert_eq!(decide_by(&listed, bad), Err(Reject::OriginNotAllowed));
}

#[test]
fn a_preflight_hears_the_methods_of_its_path_and_needs_no_token() {
    for (path, want) in [
        ("/api/v1/ws/health", Ok("GET")),
        ("/api/v1/ws", Ok("GET")),
        ("/api/v1/ws/analysis/1", Ok("GET")),
        ("/api/v1/ws/chat/1", Ok("GET, PATCH, DELETE")),
        ("/api/v1/ws/chat/1/participants/bia", Ok("PUT, DELETE")),
        ("/api/v1/ws/chat/1/messages", Ok("GET, POST")),
        ("/api/v1/ws/system/messages", Ok("GET, POST")),
        ("/api/v1/ws/chat/1/messages/m-1", Ok("GET")),
        ("/api/v1/ws/users/ana/disconnect", Ok("POST")),
        ("/api/v1/ws/rooms/1", Err(Reject::NotFound)),
        ("/api/v1/ws/chat/%20/messages", Err(Reject::InvalidId)),
    ] {
        let preflight = Request { method: "OPTIONS", path, origin: Some("https://cidadao.ai"), ..Request::default() };
        assert_eq!(decide(preflight), want.map(|methods| Admission::Preflight(methods.to_owned())), "{path}");
    }
}

#[test]
fn what_was_published_is_read_by_who_may_hear_it() {
    let rooms = json!(["chat:1"]);
    let tokens = [
        json!({}),
        json!({"rooms": rooms}),
        json!({"role": "service", "sub": "backend"}),
        json!({"role": "service", "sub": "backend", "rooms": rooms}),
    ];
    let authorizations = tokens.map(|claims| format!("Bearer {}", token(&claims)));
    for (collection, room, allowed) in [
        ("chat/1", "chat:1", [true, true, true, true]),
        ("chat/2", "chat:2", [true, false, true, false]),
        ("investigations/1", "investigation:1", [true, false, true, false]),
        ("users/ana", "user:ana", [true, true, true, false]),
        ("users/bea", "user:bea", [false, false, true, false]),
        ("system", "system:all", [true, true, true, true]),
    ] {
        let path = format!("/api/v1/ws/{collection}/messages");
        for (authorization, allowed) in authorizations.iter().zip(allowed) {
            let decision = decide(get(&path, "", Some(authorization)));
            let room = room.parse().unwrap();
            let newest = Range { from: Anchor::Newest, limit: 100 };
            let decision = decision.map(|admission| {
                let Admission::History(room, range, _) = admission else { panic!("not a page of history") };
                (room, range)
            });
            let want = if allowed { Ok((room, newest)) } else { Err(Reject::Forbidden) };
            assert_eq!(decision, want, "{path} {authorization}");
        }
        assert_eq!(decide(get(&path, "", None)), Err(Reject::InvalidToken));
    }
}

#[test]
fn where_grants_are_required_only_what_is_heard_without_one_is_read_without_one() {
    let required = configured("REQUIRE_ROOM_GRANTS", "true");
    let authorization = format!("Bearer {}", token(&json!({})));
    for (path, allowed) in [
        ("/api/v1/ws/users/ana/messages", true),
        ("/api/v1/ws/system/messages", true),
        ("/api/v1/ws/chat/1/messages", false),
    ] {
        let decision = decide_by(&required, get(path, "", Some(&authorization)));
        assert_eq!(decision.is_ok(), allowed, "{path} {decision:?}");
    }
}

#[test]
fn a_place_in_a_log_is_read_once_the_token_is_good() {
    let (path, authorization) = ("/api/v1/ws/chat/1/messages", format!("Bearer {}", token(&json!({}))));
    let ask = |query| decide(get(path, query, Some(&authorization)));
    let since = Range { from: Anchor::Since(Seq(41)), limit: 7 };
    let asker = Asker { user: "ana".parse().unwrap(), service: false, granted: false };
    assert_eq!(ask("since=41&limit=7"), Ok(Admission::History("chat:1".parse().unwrap(), since, asker)));
    assert_eq!(ask("since=41&before=50"), Err(Reject::InvalidCursor));
    assert_eq!(ask("limit=0"), Err(Reject::InvalidCursor));
    assert_eq!(decide(get(path, "limit=0", None)), Err(Reject::InvalidToken));
}

#[test]
fn what_became_of_a_message_is_for_a_service_to_know() {
    let path = "/api/v1/ws/chat/1/messages/m-1";
    for (claims, want) in [
        (json!({"role": "service"}), Ok(Admission::Status("chat:1".parse().unwrap(), "m-1".parse().unwrap()))),
        (json!({"role": "service", "rooms": ["chat:2"]}), Err(Reject::Forbidden)),
        (json!({"rooms": ["chat:1"]}), Err(Reject::Forbidden)),
    ] {
        let authorization = format!("Bearer {}", token(&claims));
        assert_eq!(decide(get(path, "", Some(&authorization))), want, "{claims}");
    }
    assert_eq!(decide(get(path, "", None)), Err(Reject::InvalidToken));
}

#[test]
fn a_ticket_opens_sockets_alone() {
    let config = config();
    let moment = Moment::new(Millis(NOW * 1000), [1; 16]);
    let keys = Keys::parse(Some(SECRET)).unwrap();
    let ticket = auth::write_ticket(&"ana".parse().unwrap(), "s", Millis(NOW * 1000 + 30_000), &keys).unwrap();
    let query = format!("ticket={ticket}");
    assert!(gate::ticket(&upgrade("/api/v1/ws/chat/1", &query), &config, &moment).is_some());
    for path in ["/api/v1/ws/chat/1/messages", "/api/v1/ws/users/ana/messages", "/api/v1/ws/chat/1/messages/m-1"] {
        for (upgraded, reject) in [(false, Reject::InvalidToken), (true, Reject::MethodNotAllowed)] {
            let request = Request { upgrade: upgraded, ..upgrade(path, &query) };
            assert!(gate::ticket(&request, &config, &moment).is_none(), "{path}");
            assert_eq!(decide(request), Err(reject), "{path}");
        }
    }
}

#[test]
fn a_connection_says_where_it_was_and_who_it_is() {
    let token = token(&json!({}));
    let session = |query: &str| match decide(upgrade("/api/v1/ws/chat/1", &format!("token={token}&{query}"))) {
        Ok(Admission::Connect(_, session, _)) => {
            Ok((session.resume, session.device, session.acks, session.presence.is_some()))
        }
        Ok(other) => panic!("{other:?}"),
        Err(reject) => Err(reject),
    };
    let resume = Some(Cursor { epoch: Epoch(0xab), seq: Seq(41) });
    let device = Some("phone-1".parse().unwrap());
    assert_eq!(session("since=41&epoch=00000000000000ab&device=phone-1&acks=true"), Ok((resume, device, true, false)));
    assert_eq!(session("acks=no&presence=1"), Ok((None, None, false, true)));
    for (query, reject) in [
        ("since=41", Reject::InvalidCursor),
        ("epoch=00000000000000ab", Reject::InvalidCursor),
        ("since=x&epoch=00000000000000ab", Reject::InvalidCursor),
        ("device=a%20b", Reject::InvalidId),
        ("device=", Reject::InvalidId),
    ] {
        assert_eq!(session(query), Err(reject), "{query}");
    }
    let plain = format!("token={token}&since=41");
    let plain = Request { upgrade: false, ..upgrade("/api/v1/ws/analysis/1", &plain) };
    assert_eq!(decide(plain), Err(Reject::UpgradeRequired));
}

#[test]
fn files_are_for_whoever_a_token_lets_into_the_chat() {
    let path = "/api/v1/ws/chat/s/files/file-1";
    let ask = |method, query, claims: Value| {
        let header = format!("Bearer {}", token(&claims));
        decide(Request { method, path, query, authorization: Some(&header), ..Request::default() })
    };
    let Ok(Admission::BringFile(room, caller, brought)) = ask("PUT", "name=nota%20ção.pdf", json!({})) else {
        panic!()
    };
    assert_eq!((room.to_string().as_str(), caller.user.as_str(), caller.service), ("chat:s", "ana", false));
    assert_eq!((brought.id.as_str(), brought.name.as_str()), ("file-1", "nota ção.pdf"));
    let Ok(Admission::BringFile(_, _, brought)) = ask("PUT", "", json!({"rooms": ["chat:s"]})) else { panic!() };
    assert_eq!(brought.name, "file-1", "without a name its id is");
    for method in ["GET", "HEAD"] {
        let Ok(Admission::File(_, caller, id)) = ask(method, "", json!({"role": "service"})) else { panic!() };
        assert_eq!((caller.service, id.as_str()), (true, "file-1"));
    }
    for method in ["GET", "HEAD", "PUT"] {
        assert_eq!(ask(method, "", json!({"rooms": ["chat:t"]})).unwrap_err(), Reject::Forbidden);
        let bare = Request { method, path, query: "ticket=a.b", ..Request::default() };
        assert_eq!(decide(bare).unwrap_err(), Reject::InvalidToken);
    }
}
