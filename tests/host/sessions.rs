//! Chat sessions: whose they are, who comes in, what they are called.

use cidadao_realtime::asker::Asker;
use cidadao_realtime::chat_session::{Act, Done};
use cidadao_realtime::code::{CloseCode, Reject};
use cidadao_realtime::id::ConnId;
use cidadao_realtime::limits::Limits;
use cidadao_realtime::sql::Sql;
use serde_json::{Value, json};

use crate::support::heard::refused;
use crate::support::rooms::CHAT;
use crate::support::sessions::{code, described, dismiss, invite, owner, rename, service, stored, user, world};
use crate::support::sql::Sqlite;
use crate::support::tokens::{NEVER, signed};
use crate::support::world::World;

/// Whether that socket was refused, and the connection is counted no more.
fn turned_away(world: &mut World, conn: ConnId, name: &str) -> bool {
    world.run_until_idle();
    let counted = world.sql(&format!("user:{name}")).numbers("SELECT count(*) FROM connections");
    !world.is_open(conn)
        && code(world, conn) == "FORBIDDEN"
        && world.closed(conn) == Some(CloseCode::PolicyViolation)
        && counted == [0]
}

/// A token of bia's, with these claims besides.
fn token(claims: &Value) -> String {
    signed("bia", NEVER, claims)
}

#[test]
fn the_first_user_who_opens_a_socket_owns_the_session() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    assert!(world.is_open(ana));
    assert_eq!(owner(&mut world), "ana");
    let again = world.join(CHAT, "ana");
    world.leave(ana);
    world.leave(again);
    world.crash(CHAT);
    assert_eq!(owner(&mut world), "ana", "and goes on to do so");
    let bia = world.join(CHAT, "bia");
    assert!(turned_away(&mut world, bia, "bia"));
    let back = world.join(CHAT, "ana");
    assert!(world.is_open(back));
}

#[test]
fn of_two_who_come_at_once_the_first_to_enter_owns_the_session_and_the_other_is_shown_out() {
    let mut world = world();
    let (ana, first) = (world.next_conn(), world.knock(CHAT, "ana", &json!({})).unwrap());
    let (bia, second) = (world.next_conn(), world.knock(CHAT, "bia", &json!({})).unwrap());
    world.enter(second);
    world.enter(first);
    assert_eq!(owner(&mut world), "bia");
    assert!(world.is_open(bia));
    assert!(turned_away(&mut world, ana, "ana"));
    assert_eq!(world.counts(CHAT).connections, 1);
    assert_eq!(world.sql(CHAT).numbers("SELECT count(*) FROM participants"), [1]);
    assert_eq!(world.sql(CHAT).numbers("SELECT count(*) FROM members"), [1], "who is shown out is owed nothing");
}

#[test]
fn who_is_dismissed_on_the_way_in_is_shown_out() {
    let mut world = world();
    world.join(CHAT, "ana");
    world.obey(CHAT, &user("ana"), invite("bia")).unwrap();
    let (bia, session) = (world.next_conn(), world.knock(CHAT, "bia", &json!({})).unwrap());
    world.obey(CHAT, &user("ana"), dismiss("bia")).unwrap();
    world.enter(session);
    assert!(turned_away(&mut world, bia, "bia"));
}

#[test]
fn a_service_opens_a_session_and_leaves_it_to_the_first_user() {
    let mut world = world();
    let backend = world.open(CHAT, "backend", &json!({"service": true}));
    assert!(world.is_open(backend));
    assert_eq!(owner(&mut world), Value::Null);
    world.evict(CHAT);
    world.join(CHAT, "ana");
    assert_eq!(owner(&mut world), "ana");
    assert_eq!(described(&mut world, &service())["participants"].as_array().unwrap().len(), 1);
    let backend = world.open(CHAT, "backend", &json!({"service": true}));
    assert!(world.is_open(backend), "a service comes in whoever owns the session");
}

#[test]
fn a_stranger_neither_comes_in_nor_reads_nor_changes_anything() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    world.tell(CHAT, 2);
    for _ in 0..12 {
        let bia = world.join(CHAT, "bia");
        assert!(turned_away(&mut world, bia, "bia"));
    }
    let before = stored(&mut world, CHAT);
    let stranger = user("bia");
    assert_eq!(refused(world.history(CHAT, &stranger)), Reject::Forbidden);
    for act in [Act::Describe, rename("Minha"), invite("bia"), dismiss("ana"), Act::Erase] {
        assert_eq!(refused(world.obey(CHAT, &stranger, act.clone())), Reject::Forbidden, "{act:?}");
    }
    assert_eq!(stored(&mut world, CHAT), before);
    assert!(world.is_open(ana));
    assert_eq!(world.history(CHAT, &user("ana")).unwrap().messages.len(), 2);
    assert_eq!(world.history(CHAT, &service()).unwrap().messages.len(), 2);
}

#[test]
fn to_ask_for_a_session_makes_none_and_nobody_its_owner() {
    let mut world = world();
    for asker in [user("bia"), service(), Asker { granted: true, ..user("bia") }] {
        assert_eq!(refused(world.obey(CHAT, &asker, Act::Describe)), Reject::NotFound);
        assert_eq!(refused(world.obey(CHAT, &asker, rename("Nada"))), Reject::NotFound);
        assert_eq!(world.history(CHAT, &asker).unwrap().messages.len(), 0);
    }
    for act in [invite("bia"), dismiss("bia")] {
        assert_eq!(refused(world.obey(CHAT, &user("bia"), act)), Reject::NotFound);
    }
    assert_eq!(world.sql(CHAT).numbers("SELECT count(*) FROM session"), [0]);
    world.join(CHAT, "ana");
    assert_eq!(owner(&mut world), "ana");
}

#[test]
fn who_is_invited_comes_in_until_dismissed() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    let invited = world.obey(CHAT, &user("ana"), invite("bia")).unwrap();
    assert_eq!(invited, Done::Participant { user_id: "bia".parse().unwrap(), participant: true });
    world.evict(CHAT);
    let (phone, tab) = (world.join(CHAT, "bia"), world.join(CHAT, "bia"));
    assert!(world.is_open(phone) && world.is_open(tab));
    assert_eq!(described(&mut world, &user("bia"))["owner"], "ana", "a participant sees the session");
    assert_eq!(refused(world.obey(CHAT, &user("bia"), invite("caio"))), Reject::Forbidden, "and changes nothing");

    let dismissed = world.obey(CHAT, &user("ana"), dismiss("bia")).unwrap();
    assert_eq!(dismissed, Done::Participant { user_id: "bia".parse().unwrap(), participant: false });
    for conn in [phone, tab] {
        assert_eq!(
            (code(&mut world, conn), world.closed(conn)),
            (json!("DISCONNECTED"), Some(CloseCode::Disconnected))
        );
    }
    assert!(world.is_open(ana));
    assert_eq!(world.sql(CHAT).numbers("SELECT count(*) FROM members WHERE user = 'bia'"), [0]);
    assert_eq!(refused(world.history(CHAT, &user("bia"))), Reject::Forbidden);
    let back = world.join(CHAT, "bia");
    assert!(turned_away(&mut world, back, "bia"));
    world.obey(CHAT, &user("ana"), dismiss("nobody")).unwrap();
}

#[test]
fn an_owner_is_not_dismissed() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    for asker in [user("ana"), service()] {
        assert_eq!(refused(world.obey(CHAT, &asker, dismiss("ana"))), Reject::Forbidden);
    }
    assert!(world.is_open(ana));
    world.obey(CHAT, &service(), invite("ana")).unwrap();
    assert_eq!(described(&mut world, &user("ana"))["participants"].as_array().unwrap().len(), 1);
}

#[test]
fn a_session_that_a_service_has_prepared_is_for_those_it_invited() {
    let mut world = world();
    world.publish(CHAT, &json!({"type": "notification"})).unwrap();
    world.obey(CHAT, &service(), invite("ana")).unwrap();
    let bia = world.join(CHAT, "bia");
    assert!(turned_away(&mut world, bia, "bia"));
    for act in [Act::Describe, Act::Erase] {
        assert_eq!(refused(world.obey(CHAT, &user("bia"), act)), Reject::NotFound);
    }
    assert_eq!(refused(world.history(CHAT, &user("bia"))), Reject::Forbidden);
    assert_eq!(world.history(CHAT, &user("ana")).unwrap().messages.len(), 1);
    world.join(CHAT, "ana");
    assert_eq!(owner(&mut world), "ana");
}

#[test]
fn a_token_that_names_the_session_opens_it_as_long_as_it_does() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    for rooms in [json!([CHAT]), json!(["chat:*"])] {
        let bia = world.open(CHAT, "bia", &json!({"rooms": rooms}));
        assert!(world.is_open(bia), "{rooms}");
        let again = json!({"type": "refresh", "data": {"token": token(&json!({"rooms": rooms}))}});
        world.send(bia, &again);
        assert!(world.is_open(bia), "{rooms}");
        world.send(bia, &json!({"type": "refresh", "data": {"token": token(&json!({}))}}));
        assert!(turned_away(&mut world, bia, "bia"), "a token without the claim names no room");
    }
    assert_eq!(owner(&mut world), "ana");
    let other = world.open(CHAT, "bia", &json!({"rooms": ["chat:other", "investigation:*"]}));
    assert!(turned_away(&mut world, other, "bia"));
    world.send(ana, &json!({"type": "refresh", "data": {"token": token(&json!({"sub": "ana"}))}}));
    assert!(world.is_open(ana), "an owner needs no grant");
}

#[test]
fn a_service_that_is_none_any_more_leaves() {
    let mut world = world();
    world.join(CHAT, "ana");
    let backend = world.open(CHAT, "bia", &json!({"service": true}));
    world.send(backend, &json!({"type": "refresh", "data": {"token": token(&json!({"role": "service"}))}}));
    assert!(world.is_open(backend));
    world.send(backend, &json!({"type": "refresh", "data": {"token": token(&json!({}))}}));
    assert!(turned_away(&mut world, backend, "bia"));
}

#[test]
fn where_chats_are_open_everybody_comes_in_and_the_first_owns_the_session_all_the_same() {
    let mut world = World::default();
    let (ana, bia) = (world.join(CHAT, "ana"), world.join(CHAT, "bia"));
    assert!(world.is_open(ana) && world.is_open(bia));
    assert_eq!(owner(&mut world), "ana");
    assert_eq!(world.history(CHAT, &user("caio")).unwrap().messages.len(), 0);
    assert_eq!(refused(world.obey(CHAT, &user("bia"), rename("Minha"))), Reject::Forbidden);
    world.obey(CHAT, &user("ana"), dismiss("bia")).unwrap();
    assert_eq!(world.closed(bia), Some(CloseCode::Disconnected));
}

#[test]
fn rooms_of_other_kinds_are_nobodys() {
    let mut world = world();
    for room in ["investigation:1", "analysis:1"] {
        let conns = [world.join(room, "ana"), world.join(room, "bia")];
        assert!(conns.iter().all(|conn| world.is_open(*conn)), "{room}");
        assert_eq!(world.history(room, &user("caio")).unwrap().messages.len(), 0);
        assert_eq!(world.sql(room).exec("SELECT owner FROM session", &[]).unwrap_err().0, "no such table: session");
    }
}

#[test]
fn a_session_says_what_is_known_of_it() {
    let mut world = world();
    let created = world.now.to_rfc3339();
    world.join(CHAT, "ana");
    world.obey(CHAT, &user("ana"), invite("caio")).unwrap();
    let session = described(&mut world, &user("ana"));
    assert_eq!(session["last_activity_at"], json!(created), "nothing has been said");
    world.advance(5_000);
    let since = world.now.to_rfc3339();
    let bia = world.open(CHAT, "bia", &json!({"service": true, "rooms": ["chat:*"]}));
    let dora = world.open(CHAT, "dora", &json!({"rooms": ["chat:*"]}));
    world.leave(dora);
    world.tell(CHAT, 3);
    world.leave(bia);
    let epoch = world.epoch(CHAT);
    let expected = json!({
        "session_id": "s", "room": CHAT, "title": null, "owner": "ana", "created_at": created,
        "last_activity_at": since, "epoch": epoch, "seq": 3, "answering": [],
        "participants": [
            {"user_id": "ana", "since": created, "present": true},
            {"user_id": "caio", "since": created, "present": false},
            {"user_id": "dora", "since": since, "present": false},
        ],
    });
    assert_eq!(described(&mut world, &user("caio")), expected);
    world.evict(CHAT);
    assert_eq!(described(&mut world, &service()), expected);
}

#[test]
fn the_first_question_is_the_title_until_somebody_gives_another_and_everybody_hears_of_it() {
    let mut world = world();
    let ana = world.join(CHAT, "ana");
    world.frames(ana);
    let updated = |world: &mut World| -> Vec<Value> {
        let frames = world.frames(ana);
        assert!(frames.iter().all(|frame| frame["type"] == "session_updated" && frame.get("seq").is_none()));
        assert!(frames.iter().all(|frame| frame["room"] == CHAT && frame["data"]["session_id"] == "s"));
        frames.iter().map(|frame| frame["data"]["title"].clone()).collect()
    };
    world.note_question(CHAT, "  Quem ganhou\no contrato 42? ");
    world.note_question(CHAT, "E o 43?");
    assert_eq!(updated(&mut world), ["Quem ganhou o contrato 42?"]);
    for (asker, title, frames) in
        [(user("ana"), "Contratos", 1), (user("ana"), "Contratos", 0), (service(), "Merenda", 1)]
    {
        let Done::Session(session) = world.obey(CHAT, &asker, rename(title)).unwrap() else { panic!() };
        assert_eq!(session.title.as_deref(), Some(title));
        assert_eq!(updated(&mut world).len(), frames, "{title}");
    }
    world.note_question(CHAT, "E o 44?");
    world.evict(CHAT);
    world.note_question(CHAT, "E o 45?");
    assert_eq!(described(&mut world, &user("ana"))["title"], "Merenda");
    assert_eq!(updated(&mut world), Vec::<Value>::new());
}

#[test]
fn the_welcome_says_what_the_session_is_called() {
    let mut world = world();
    let title = |world: &mut World| {
        let conn = world.join(CHAT, "ana");
        world.frames(conn)[0]["data"].get("title").cloned()
    };
    assert_eq!(title(&mut world), None);
    world.note_question(CHAT, "Quem ganhou?");
    assert_eq!(title(&mut world), Some(json!("Quem ganhou?")));
    world.evict(CHAT);
    world.obey(CHAT, &user("ana"), rename("Merenda")).unwrap();
    assert_eq!(title(&mut world), Some(json!("Merenda")));
}

#[test]
fn a_user_costs_a_row_at_the_first_visit_and_none_later() {
    let mut world = world();
    let rows = |world: &World, sql: &Sqlite| (world.now, sql.numbers("SELECT since FROM participants"));
    let sql = world.sql(CHAT);
    let ana = world.join(CHAT, "ana");
    world.leave(ana);
    let (first, since) = rows(&world, &sql);
    assert_eq!(since, [first.0]);
    world.advance(1_000);
    let visit = |world: &mut World, room: &str| {
        let before = world.sql(room).changes();
        let conn = world.join(room, "ana");
        world.leave(conn);
        world.sql(room).changes() - before
    };
    let once = visit(&mut world, CHAT);
    visit(&mut world, "analysis:1");
    assert_eq!(once, visit(&mut world, "analysis:1"), "as in a room without owners");
    assert_eq!(rows(&world, &sql).1, [first.0]);
}

#[test]
fn so_many_take_part_and_no_more() {
    let mut world = World::with_owners(Limits { participants_per_session: 3, ..Limits::default() });
    world.join(CHAT, "ana");
    for name in ["bia", "caio"] {
        world.obey(CHAT, &user("ana"), invite(name)).unwrap();
    }
    assert_eq!(refused(world.obey(CHAT, &user("ana"), invite("dora"))), Reject::Forbidden);
    world.obey(CHAT, &user("ana"), invite("caio")).unwrap();
    let granted = world.open(CHAT, "dora", &json!({"rooms": ["chat:*"]}));
    assert!(world.is_open(granted), "who needs no invitation comes in, and is not remembered");
    assert_eq!(world.sql(CHAT).numbers("SELECT count(*) FROM participants"), [3]);
    world.obey(CHAT, &user("ana"), dismiss("bia")).unwrap();
    world.obey(CHAT, &user("ana"), invite("dora")).unwrap();
}
