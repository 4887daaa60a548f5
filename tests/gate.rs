//! Who may do what, decided without a server.

use cidadao_realtime::code::Reject;
use cidadao_realtime::config::Config;
use cidadao_realtime::gate::{Admission, Request, admit};
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::session::ConnectionType;
use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, Claims, Header};
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW: u64 = 1_761_937_200;

fn config() -> Config {
    Config::parse(|name| (name == "JWT_SECRET_KEY").then(|| SECRET.to_owned()))
}

fn token(claims: Value) -> String {
    let mut all = json!({"sub": "ana", "type": "access", "exp": NOW + 60});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    Hs256.token(&Header::empty(), &Claims::new(all), &Hs256Key::new(SECRET)).unwrap()
}

fn decide(request: Request<'_>) -> Result<Admission, Reject> {
    let mut moment = Moment::new(Millis(NOW * 1000), [1; 16]);
    admit(&request, &config(), &mut moment).map_err(|refusal| refusal.reject)
}

fn upgrade<'a>(path: &'a str, query: &'a str) -> Request<'a> {
    Request { method: "GET", path, query, upgrade: true, ..Request::default() }
}

#[test]
fn the_general_connection_opens_the_room_of_its_user_whatever_else_is_asked() {
    let query = format!("token={}&connection_type=investigation&user=bea", token(json!({"sub": "ana@x.org"})));
    let Ok(Admission::Connect(room, session, None)) = decide(upgrade("/api/v1/ws", &query)) else { panic!() };
    assert_eq!(room.to_string(), "user:ana@x.org");
    assert_eq!(session.user.as_str(), "ana@x.org");
    assert_eq!(session.expires, Millis((NOW + 60) * 1000));
    assert_eq!(session.connection_type, ConnectionType::Investigation);
}

#[test]
fn a_connection_type_that_nobody_knows_is_a_general_one() {
    let query = format!("connection_type=vip&token={}", token(json!({})));
    let Ok(Admission::Connect(_, session, _)) = decide(upgrade("/api/v1/ws", &query)) else { panic!() };
    assert_eq!(session.connection_type, ConnectionType::General);
}

#[test]
fn the_token_is_found_in_three_places_and_the_first_there_is_counts() {
    let (good, bad) = (token(json!({})), token(json!({"type": "refresh"})));
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
    let query = format!("token={}", token(json!({})));
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
    let (user, service) = (token(json!({"role": "user"})), token(json!({"role": "service"})));
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
    let query = format!("token={}", token(json!({})));
    let plain = |query| decide(Request { upgrade: false, ..upgrade("/api/v1/ws/chat/1", query) });
    assert_eq!(plain(&query), Err(Reject::UpgradeRequired));
    assert_eq!(plain(""), Err(Reject::InvalidToken));
}

#[test]
fn every_admitted_connection_is_another() {
    let (query, config) = (format!("token={}", token(json!({}))), config());
    let mut moment = Moment::new(Millis(NOW * 1000), [1; 16]);
    let mut connect = || match admit(&upgrade("/api/v1/ws", &query), &config, &mut moment) {
        Ok(Admission::Connect(_, session, _)) => session.conn,
        other => panic!("{other:?}"),
    };
    assert_ne!(connect(), connect());
}
