//! What is to be removed from where files are kept. It is written down, and tried until it is done.

use std::collections::BTreeMap;

use crate::files::uploads::PATIENCE;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// Milliseconds until what failed is tried again. Each time it is twice as long, up to [`LONGEST`].
const PAUSE: u64 = 1_000;

/// 6 hours.
const LONGEST: u64 = 6 * 3_600 * 1_000;

/// All that begins with these is to go.
#[derive(Debug)]
pub struct Discards<S> {
    sql: S,
    all: BTreeMap<String, Attempt>,
}

/// When something is tried, and after how long it is tried again.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    due: Millis,
    pause: u64,
}

impl<S: Sql> Discards<S> {
    /// Those of a room that has no files.
    pub const fn none(sql: S) -> Self {
        Self { sql, all: BTreeMap::new() }
    }

    /// Reads what is still to go.
    pub fn open(sql: S, now: Millis) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT prefix FROM discards", &[])?;
        let prefixes = rows.into_iter().filter_map(|row| one(vec![row]).text());
        let all = prefixes.map(|prefix| (prefix, Attempt { due: now, pause: PAUSE })).collect();
        Ok(Self { sql, all })
    }

    /// What is still to go.
    pub fn prefixes(&self) -> Vec<String> {
        self.all.keys().cloned().collect()
    }

    /// All that begins with this is to go.
    pub fn add(&mut self, prefix: String, now: Millis) -> Result<(), StoreError> {
        self.sql.exec("INSERT OR IGNORE INTO discards (prefix) VALUES (?)", &[Value::from(&*prefix)])?;
        self.all.insert(prefix, Attempt { due: now, pause: PAUSE });
        Ok(())
    }

    /// What is to be tried now. It is taken for being tried, for a while.
    pub fn take(&mut self, now: Millis) -> Vec<String> {
        let due = self.all.iter_mut().filter(|(_, attempt)| attempt.due <= now);
        due.map(|(prefix, attempt)| {
            attempt.due = now.plus(PATIENCE);
            prefix.clone()
        })
        .collect()
    }

    /// Something came of it.
    pub fn tried(&mut self, prefix: &str, done: bool, now: Millis) -> Result<(), StoreError> {
        if done {
            self.all.remove(prefix);
            return self.sql.exec("DELETE FROM discards WHERE prefix = ?", &[prefix.into()]).map(drop);
        }
        if let Some(attempt) = self.all.get_mut(prefix) {
            *attempt = Attempt { due: now.plus(attempt.pause), pause: attempt.pause.saturating_mul(2).min(LONGEST) };
        }
        Ok(())
    }

    /// When something is to be tried.
    pub fn deadline(&self) -> Option<Millis> {
        self.all.values().map(|attempt| attempt.due).min()
    }
}
