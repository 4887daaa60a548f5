//! Whatever comes from outside, nothing panics.
//!
//! `FUZZ_INPUTS=10000000 cargo test --release --test host fuzz::` runs longer.

use cidadao_realtime::auth::{Keys, read_ticket, verify};
use cidadao_realtime::config::Config;
use cidadao_realtime::disconnect::Disconnect;
use cidadao_realtime::files::Offer;
use cidadao_realtime::files::download::{self, Conditions, Held};
use cidadao_realtime::files::sniff::{Inspection, Kind};
use cidadao_realtime::gate::{Request, admit};
use cidadao_realtime::id::{Id, RoomName};
use cidadao_realtime::limits::Limits;
use cidadao_realtime::link::Call;
use cidadao_realtime::message::Draft;
use cidadao_realtime::moment::{Millis, Moment};
use cidadao_realtime::origin::Origins;
use cidadao_realtime::protocol::{ClientFrame, Original, Part};
use cidadao_realtime::query::Query;
use cidadao_realtime::room::Ask;
use cidadao_realtime::route::Route;
use cidadao_realtime::session::Session;
use serde_json::{Value, json};

use crate::support::tokens::{NEVER, SECRET, signed};

/// What makes sense, to be mangled into what does not.
const SEEDS: [&str; 25] = [
    r#"{"type":"chat","id":"m","data":{"content":"Quanto?","ask":true}}"#,
    r#"{"type":"chat_cancel","id":"c","data":{"message_id":"m"}}"#,
    r#"{"type":"upload_abort","id":"a","data":{"file_id":"f"}}"#,
    r#"{"type":"upload","id":"f","data":{"name":"nota.pdf","size":7,"content_type":"text/csv","sha256":"00"}}"#,
    "bytes=0-99,-5",
    "PK\x03\x04..........................[Content_Types].xmlPK\x03\x04..........................word/",
    "<?xml version='1.0'?><svg onload='alert(1)'>%PDF-RIFF\0\0\0\0WEBP",
    r#"{"type":"subscribe","data":{"investigation_id":"inv-123"}}"#,
    r#"{"type":"refresh","data":{"token":"a.b.c"}}"#,
    r#"{"type":"ping","data":{}}"#,
    r#"{"type":"anomaly_detected","data":{"severity":"high","valor":1e308},"id":"m1","timestamp":"2025-10-31T19:00:00Z"}"#,
    r#"[{"type":"a"},{"type":"b","priority":"critical","data":[[[]]]}]"#,
    r#"{"bar_seconds":600}"#,
    r#"{"conn":"00000000-0000-0000-0000-000000000000","user":"ana","expires":1,"connection_type":"general","rooms":["chat:*"]}"#,
    r#"{"deliver":{"from":"investigation:1","frames":[[1,{"type":"a"}]]}}"#,
    "/api/v1/ws/investigations/inv%2D123/messages",
    "/api/v1/ws/users/ana@x.org/disconnect",
    "since=41&epoch=00000000000000ab&device=phone-1&acks=true",
    "before=9007199254740991&limit=1000",
    "token=a.b.c&connection_type=general&ticket=ana.00ff",
    "investigation:1",
    "https://*.cidadao.ai,https://cidadao.ai:8443",
    "cidadao.v1, bearer.a.b.c",
    "Bearer a.b.c",
    "ana.maria@x.org.00112233445566778899aabbccddeeff",
];

/// Bytes that mean something to one of the parsers.
const ODD: &[u8] = b"{}[]\":,.\\%*0-9eE\0\xff/";

/// A small generator: the same numbers every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// One of the seeds with a few bytes flipped, cut, doubled or taken from another.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(6) {
            let (place, other) = (self.below(bytes.len() + 1), self.below(seeds.len()));
            match self.below(6) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place, self.below(256) as u8),
                2 => bytes.extend_from_within(place..),
                3 => bytes.extend_from_slice(&seeds[other]),
                _ if place < bytes.len() => bytes[place] = ODD[self.below(ODD.len())],
                _ => {}
            }
            bytes.truncate(4_096);
        }
        bytes
    }
}

fn token() -> String {
    signed("ana", NEVER, &json!({"rooms": ["chat:*"]}))
}

/// Everything that reads bytes from outside.
fn feed(bytes: &[u8], config: &Config, keys: &Keys, limits: &Limits) {
    drop(Draft::parse(bytes, limits));
    drop(Disconnect::parse(bytes));
    drop(serde_json::from_slice::<Call>(bytes));
    let text = String::from_utf8_lossy(bytes);
    feed_files(bytes, &text, config);
    drop(ClientFrame::decode(&text));
    drop(verify(&text, keys, Millis(1_000)));
    drop(Route::parse("GET", &text));
    let query = Query(&text);
    drop((query.range(), query.cursor(), query.device(), query.acks()));
    drop(text.parse::<RoomName>());
    drop(Session::decode(&text));
    drop(read_ticket(&text, keys, Millis(1_000)));
    let (origins, _) = Origins::parse(&text);
    origins.allow(Some(&text));
    let header = Some(&*text);
    for (path, query) in [(&*text, "ticket=a.b"), ("/api/v1/ws/chat/1", &*text)] {
        let (method, upgrade, origin) = ("GET", true, None);
        let request =
            Request { method, path, query, upgrade, authorization: header, origin, protocols: header, redeemed: None };
        drop(admit(&request, config, &mut Moment::new(Millis(1_000), [0; 16])));
    }
}

/// The same, of files.
fn feed_files(bytes: &[u8], text: &str, config: &Config) {
    assert!(Part::decode(bytes).is_none_or(|part| part.bytes.len() + 12 == bytes.len()));
    drop(serde_json::from_slice::<Ask>(bytes));
    drop(Kind::of(bytes).settle(text, text));
    let mut inspection = Inspection::default();
    bytes.chunks(7).for_each(|part| inspection.push(part));
    assert_eq!(inspection.finish().size, bytes.len() as u64);
    let (id, user) = ("f".parse().unwrap(), "ana".parse().unwrap());
    let [name, content_type, sha256] = [text; 3].map(str::to_owned);
    drop(Offer { id, user, name, size: 1, content_type, sha256: Some(sha256) }.check(config));
    let [key, name, content_type, sha256] = [text; 4].map(str::to_owned);
    let conditions = Conditions { none_match: Some(text), if_range: None, range: Some(text) };
    drop(download::answer(&Held { key, name, size: bytes.len() as u64, content_type, sha256 }, conditions));
}

#[test]
fn nothing_that_comes_from_outside_panics() {
    let inputs = std::env::var("FUZZ_INPUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(50_000);
    let mut seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    seeds.extend([token(), format!("token={}", token()), format!("Bearer {}", token())].map(String::into_bytes));
    let config = Config::parse(|name| (name == "JWT_SECRET_KEY").then(|| SECRET.to_owned()));
    let (keys, limits) = (Keys::parse(Some(SECRET)).unwrap(), Limits::default());
    let mut chance = Chance(0x5eed);
    for _ in 0..inputs {
        feed(&chance.input(&seeds), &config, &keys, &limits);
    }
}

/// What a refusal is to name of a frame's own `id`, as another reader of JSON has it.
fn id_of(text: &str) -> Option<Id> {
    let frame: Value = serde_json::from_str(text).ok()?;
    frame.as_object()?.get("id")?.as_str()?.parse().ok()
}

#[test]
fn a_refusal_names_the_id_of_whatever_is_an_object_and_has_one() {
    let seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let (mut chance, mut refused) = (Chance(0x1d), 0);
    for _ in 0..50_000 {
        let input = chance.input(&seeds);
        let text = String::from_utf8_lossy(&input);
        let (id, original) = (id_of(&text), Original::of(&text));
        assert!(id.is_none() || original.id == id, "{text}");
        refused += usize::from(id.is_some() && ClientFrame::decode(&text).is_err());
    }
    assert!(refused > 100, "{refused}");
}
