//! Tokens: HS256 JSON Web Tokens as the Cidadão.AI backend issues them.

use std::fmt;

use chrono::DateTime;
use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, Header, Token, UntrustedToken};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::grants::Grants;
use crate::id::Id;
use crate::moment::Millis;

/// Longest token that is looked at, in bytes. A header of a request may hold 16 KiB; ours are under one.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far `nbf` may lie ahead of our clock, in milliseconds: two servers' clocks differ. `exp` is taken at its word.
const CLOCK_SKEW: u64 = 30_000;

/// What tokens are verified with. Its `Debug` says nothing.
pub struct Keys(Hs256Key);

impl Keys {
    /// Shortest secret, in bytes: as long as the hash (RFC 7518, 3.2), or it can be guessed from one token.
    pub const MIN_BYTES: usize = 32;

    /// Takes the secret as it is configured, or says what is wrong with it.
    pub fn parse(secret: Option<&str>) -> Result<Self, String> {
        match secret.unwrap_or_default() {
            "" => Err("JWT_SECRET_KEY is not set: every token is refused".to_owned()),
            short if short.len() < Self::MIN_BYTES => Err(format!(
                "JWT_SECRET_KEY is {} bytes long and must be at least {}: every token is refused",
                short.len(),
                Self::MIN_BYTES
            )),
            secret => Ok(Self(Hs256Key::new(secret))),
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

/// What a good token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who it speaks for.
    pub user: Id,
    /// Whether it was issued to a backend service, which alone may publish.
    pub service: bool,
    /// When it ends.
    pub expires: Millis,
    /// The rooms it opens, when it names them.
    pub rooms: Option<Grants>,
}

/// The claims besides `exp` and `nbf`, which the token library reads.
#[derive(Deserialize)]
struct Custom {
    sub: Id,
    role: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "present")]
    rooms: Option<Grants>,
}

/// A claim that is there must be good: `null` is not the same as none.
fn present<'de, D: Deserializer<'de>>(claim: D) -> Result<Option<Grants>, D::Error> {
    Grants::deserialize(claim).map(Some)
}

/// Header fields that change what a signature means. A token that marks any as critical is not one of ours.
#[derive(Clone, Deserialize)]
struct Critical {
    crit: Option<IgnoredAny>,
}

/// A ticket: a token of another type, which says whose it is and which one. The user's room knows whether it was used.
pub fn write_ticket(user: &Id, secret: &str, until: Millis, keys: &Keys) -> Option<String> {
    let custom = Ticket { sub: user.clone(), jti: secret.to_owned(), kind: TICKET.to_owned() };
    let mut claims = jwt_compact::Claims::new(custom);
    claims.expiration = DateTime::from_timestamp_millis(i64::try_from(until.0).ok()?);
    Hs256.token(&Header::empty(), &claims, &keys.0).ok()
}

/// Whose ticket it is and which one, if we wrote it and it has not run out.
pub fn read_ticket(ticket: &str, keys: &Keys, now: Millis) -> Option<(Id, String)> {
    if ticket.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let untrusted = UntrustedToken::new(ticket).ok()?;
    let token: Token<Ticket> = Hs256.validator(&keys.0).validate(&untrusted).ok()?;
    let claims = token.claims();
    let until = u64::try_from(claims.expiration?.timestamp_millis()).ok()?;
    (now < Millis(until) && claims.custom.kind == TICKET)
        .then(|| (claims.custom.sub.clone(), claims.custom.jti.clone()))
}

/// The `type` of a ticket.
const TICKET: &str = "ticket";

#[derive(Serialize, Deserialize)]
struct Ticket {
    sub: Id,
    jti: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Verifies a token. Whatever is wrong with it, the answer is the same: nothing.
pub fn verify(token: &str, keys: &Keys, now: Millis) -> Option<Claims> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let untrusted = UntrustedToken::<Critical>::try_from(token).ok()?;
    if untrusted.header().other_fields.crit.is_some() {
        return None;
    }
    let token: Token<Custom, Critical> = Hs256.validator(&keys.0).validate(&untrusted).ok()?;
    let claims = token.claims();
    let millis = |moment: i64| u64::try_from(moment).ok().map(Millis);
    let expires = millis(claims.expiration?.timestamp_millis())?;
    let begins = match claims.not_before {
        Some(moment) => millis(moment.timestamp_millis())?,
        None => Millis(0),
    };
    let current = now < expires && begins <= now.plus(CLOCK_SKEW);
    (current && claims.custom.kind == "access").then(|| Claims {
        user: claims.custom.sub.clone(),
        service: claims.custom.role.as_deref() == Some("service"),
        expires,
        rooms: claims.custom.rooms.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_compact::Algorithm;
    use jwt_compact::alg::{Hs384, Hs384Key};
    use serde_json::{Value, json};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const NOW: Millis = Millis(1_761_937_200_000);
    const SECONDS: i64 = 1_761_937_200;

    fn keys() -> Keys {
        Keys::parse(Some(SECRET)).unwrap()
    }

    fn base64(bytes: &[u8]) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for place in 0..=chunk.len() {
                text.push(char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize]));
            }
        }
        text
    }

    fn signed(header: &Value, claims: &Value, secret: &str) -> String {
        let body = format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let signature = Hs256.sign(&Hs256Key::new(secret), body.as_bytes());
        format!("{body}.{}", base64(&jwt_compact::AlgorithmSignature::as_bytes(&signature)))
    }

    fn claims() -> Value {
        json!({"sub": "ana", "email": "ana@example.org", "name": "Ana", "role": "user", "type": "access",
               "iat": SECONDS, "exp": SECONDS + 60})
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn without(name: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn check(claims: &Value) -> Option<Claims> {
        verify(&signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, SECRET), &keys(), NOW)
    }

    #[test]
    fn a_token_of_the_backend_says_who_it_is() {
        let ana = Claims { user: "ana".parse().unwrap(), service: false, expires: Millis(NOW.0 + 60_000), rooms: None };
        assert_eq!(check(&claims()), Some(ana.clone()));
        assert_eq!(check(&with("role", json!("service"))), Some(Claims { service: true, ..ana.clone() }));
        assert_eq!(check(&without("role")), Some(ana));
    }

    #[test]
    fn only_a_token_of_this_moment_is_good() {
        for (name, value, good) in [
            ("exp", json!(SECONDS + 1), true),
            ("exp", json!(SECONDS), false),
            ("exp", json!(0), false),
            ("exp", json!(-1), false),
            ("exp", json!(i64::MAX), false),
            ("exp", json!(i64::MIN), false),
            ("exp", json!("soon"), false),
            ("nbf", json!(SECONDS), true),
            ("nbf", json!(SECONDS + 30), true),
            ("nbf", json!(SECONDS + 31), false),
            ("nbf", json!(i64::MAX), false),
        ] {
            assert_eq!(check(&with(name, value.clone())).is_some(), good, "{name} {value}");
        }
        assert_eq!(check(&without("exp")), None);
    }

    #[test]
    fn only_an_access_token_with_a_subject_is_good() {
        for bad in [
            with("type", json!("refresh")),
            without("type"),
            without("sub"),
            with("sub", json!("")),
            with("sub", json!(7)),
            with("sub", json!("a b")),
            with("sub", json!("a".repeat(129))),
            with("role", json!(7)),
        ] {
            assert_eq!(check(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_names_its_rooms_well_or_is_bad() {
        let rooms = json!(["investigation:1", "chat:*"]);
        let named = check(&with("rooms", rooms.clone())).unwrap().rooms;
        assert_eq!(serde_json::to_value(named).unwrap(), rooms);
        assert_eq!(check(&with("rooms", json!([]))).unwrap().rooms, Some(Grants::default()));
        for bad in [json!(null), json!("chat:*"), json!([7]), json!(["rooms:1"]), json!(vec!["chat:*"; 65])] {
            assert_eq!(check(&with("rooms", bad.clone())), None, "{bad}");
        }
    }

    #[test]
    fn only_hs256_under_our_secret_is_good() {
        let (good, keys) = (claims(), keys());
        assert_eq!(
            verify(&signed(&json!({"alg": "HS256"}), &good, "another secret of at least 32 bytes"), &keys, NOW),
            None
        );
        for alg in ["none", "None", "HS384", "RS256", "hs256", ""] {
            assert_eq!(verify(&signed(&json!({"alg": alg}), &good, SECRET), &keys, NOW), None, "{alg}");
        }
        let critical = json!({"alg": "HS256", "crit": ["exp"]});
        assert_eq!(verify(&signed(&critical, &good, SECRET), &keys, NOW), None);
        let other =
            Hs384.token(&Header::empty(), &jwt_compact::Claims::new(good.clone()), &Hs384Key::new(SECRET)).unwrap();
        assert_eq!(verify(&other, &keys, NOW), None);
        let whole = signed(&json!({"alg": "HS256"}), &good, SECRET);
        let (body, _) = whole.rsplit_once('.').unwrap();
        for unsigned in [format!("{body}."), body.to_owned(), format!("{body}.AAAA")] {
            assert_eq!(verify(&unsigned, &keys, NOW), None, "{unsigned}");
        }
    }

    #[test]
    fn a_ticket_is_ours_and_of_this_moment_and_no_token() {
        let (keys, user) = (keys(), "ana+1@x.org".parse().unwrap());
        let ticket = write_ticket(&user, "0af3", Millis(NOW.0 + 30_000), &keys).unwrap();
        assert_eq!(read_ticket(&ticket, &keys, NOW), Some((user, "0af3".to_owned())));
        assert_eq!(read_ticket(&ticket, &keys, Millis(NOW.0 + 30_000)), None);
        assert_eq!(read_ticket(&ticket, &Keys::parse(Some("another secret of at least 32 bytes")).unwrap(), NOW), None);
        assert_eq!(verify(&ticket, &keys, NOW), None);
        let token = signed(&json!({"alg": "HS256"}), &with("jti", json!("0af3")), SECRET);
        for bad in ["", "a.b.c", &token] {
            assert_eq!(read_ticket(bad, &keys, NOW), None, "{bad}");
        }
    }

    #[test]
    fn garbage_is_refused_like_everything_else() {
        for garbage in ["", ".", "..", "a.b.c", "é.é.é", "eyJ", "null", &"x".repeat(100_000)] {
            assert_eq!(verify(garbage, &keys(), NOW), None);
        }
    }

    #[test]
    fn every_single_changed_character_breaks_a_token() {
        let whole = signed(&json!({"alg": "HS256"}), &claims(), SECRET);
        for place in 0..whole.len() - 1 {
            let mut bytes = whole.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(verify(std::str::from_utf8(&bytes).unwrap(), &keys(), NOW), None, "changed at {place}");
        }
    }
}
