//! What is to be removed from where files are kept. It is written down, and tried until it is done.

use std::collections::BTreeMap;

use crate::files::uploads::PATIENCE;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// Milliseconds until what failed is tried again. Each time it is twice as long, up to [`LONGEST`].
const PAUSE: u64 = 1_000;

/// 6 hours.
const LONGEST: u64 = 6 * 3_600 * 1_000;

/// So many are tried at once: each asks twice for something where files are kept.
const AT_ONCE: usize = 8;

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
    /// Whether it is being tried, and should be done when it is due again.
    under_way: bool,
}

impl Attempt {
    const fn new(due: Millis, pause: u64) -> Self {
        Self { due, pause, under_way: false }
    }
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
        let all = prefixes.map(|prefix| (prefix, Attempt::new(now, PAUSE))).collect();
        Ok(Self { sql, all })
    }

    /// What is still to go.
    pub fn prefixes(&self) -> Vec<String> {
        self.all.keys().cloned().collect()
    }

    /// All that begins with this is to go.
    pub fn add(&mut self, prefix: String, now: Millis) -> Result<(), StoreError> {
        self.sql.exec("INSERT OR IGNORE INTO discards (prefix) VALUES (?)", &[Value::from(&*prefix)])?;
        self.all.insert(prefix, Attempt::new(now, PAUSE));
        Ok(())
    }

    /// What is to be tried now. It is taken for being tried, for a while.
    pub fn take(&mut self, now: Millis) -> Vec<String> {
        let due = |attempt: &Attempt| attempt.due <= now;
        self.all.values_mut().filter(|attempt| due(attempt)).for_each(|attempt| attempt.under_way = false);
        let free = AT_ONCE.saturating_sub(self.under_way());
        let next = self.all.iter_mut().filter(|(_, attempt)| due(attempt)).take(free);
        next.map(|(prefix, attempt)| {
            (attempt.due, attempt.under_way) = (now.plus(PATIENCE), true);
            prefix.clone()
        })
        .collect()
    }

    fn under_way(&self) -> usize {
        self.all.values().filter(|attempt| attempt.under_way).count()
    }

    /// Something came of it.
    pub fn tried(&mut self, prefix: &str, done: bool, now: Millis) -> Result<(), StoreError> {
        if done {
            self.all.remove(prefix);
            return self.sql.exec("DELETE FROM discards WHERE prefix = ?", &[prefix.into()]).map(drop);
        }
        if let Some(attempt) = self.all.get_mut(prefix) {
            *attempt = Attempt::new(now.plus(attempt.pause), attempt.pause.saturating_mul(2).min(LONGEST));
        }
        Ok(())
    }

    /// When something is to be tried. What has to wait for others is, when one of them is done.
    pub fn deadline(&self) -> Option<Millis> {
        let full = self.under_way() >= AT_ONCE;
        self.all.values().filter(|attempt| attempt.under_way || !full).map(|attempt| attempt.due).min()
    }
}
