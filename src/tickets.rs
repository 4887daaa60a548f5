//! One-time tickets of one user: what stands in a URL instead of a token, and is worth nothing a moment later.

use serde::{Deserialize, Serialize};

use crate::grants::Grants;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, one};

/// What the token said that a ticket was given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// When the token ends, and with it the connection.
    pub expires: Millis,
    /// The rooms that it opens, if it names any.
    pub rooms: Option<Grants>,
}

/// The answer to who asked for one.
#[derive(Debug, Serialize)]
pub struct Issued {
    /// The ticket, for `?ticket=`.
    pub ticket: String,
    /// How long it is good, in milliseconds.
    pub expires_in_ms: u64,
}

/// The tickets that nobody has used yet.
#[derive(Debug)]
pub struct Tickets<S> {
    sql: S,
}

impl<S: Sql> Tickets<S> {
    /// Opens the store.
    pub const fn open(sql: S) -> Self {
        Self { sql }
    }

    /// Writes a ticket down, unless the user has `limit` of them. Those that ran out go.
    pub fn issue(
        &self,
        now: Millis,
        until: Millis,
        secret: &str,
        rights: &Rights,
        limit: u64,
    ) -> Result<bool, StoreError> {
        self.sql.exec("DELETE FROM tickets WHERE until <= ?", &[now.0.into()])?;
        if one(self.sql.exec("SELECT count(*) FROM tickets", &[])?).number().is_some_and(|count| count >= limit) {
            return Ok(false);
        }
        let rights = serde_json::to_string(rights).map_err(|error| StoreError(error.to_string()))?;
        let statement = "INSERT INTO tickets (secret, until, rights) VALUES (?, ?, ?)";
        self.sql.exec(statement, &[secret.into(), until.0.into(), (&*rights).into()])?;
        Ok(true)
    }

    /// Takes a ticket: it is gone, whoever comes with it next.
    pub fn redeem(&self, now: Millis, secret: &str) -> Result<Option<Rights>, StoreError> {
        let statement = "SELECT rights FROM tickets WHERE secret = ? AND until > ?";
        let rights = one(self.sql.exec(statement, &[secret.into(), now.0.into()])?).text();
        self.sql.exec("DELETE FROM tickets WHERE secret = ?", &[secret.into()])?;
        Ok(rights.and_then(|rights| serde_json::from_str(&rights).ok()))
    }
}
