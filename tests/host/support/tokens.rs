//! Tokens, as the backend makes them.

use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, Claims, Header};
use serde_json::{Value, json};

/// What they are signed with.
pub(crate) const SECRET: &str = "a secret of the simulated world, long enough";

/// A time that does not come, in seconds.
pub(crate) const NEVER: u64 = 4_000_000_000;

/// A user's token that ends then, in seconds, with these claims besides or instead.
pub(crate) fn signed(user: &str, ends: u64, claims: &Value) -> String {
    let mut all = json!({"sub": user, "type": "access", "exp": ends});
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    Hs256.token(&Header::empty(), &Claims::new(all), &Hs256Key::new(SECRET)).unwrap()
}
