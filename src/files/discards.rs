//! What is to be removed from where files are kept. It is written down, before it is there if need be, and tried until it
//! is done.

use std::collections::BTreeMap;

use crate::files::uploads::PATIENCE;
use crate::moment::{Millis, Moment};
use crate::sql::{Sql, StoreError, Value};

/// Milliseconds until what failed is tried again. Each time it is twice as long, up to [`LONGEST`].
const PAUSE: u64 = 1_000;

/// 6 hours.
const LONGEST: u64 = 6 * 3_600 * 1_000;

/// So many are tried at once: each asks twice for something where files are kept.
const AT_ONCE: usize = 8;

/// What is written as the time of what goes whatever happens.
const OVERDUE: Millis = Millis(0);

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
    phase: Phase,
}

/// How far something is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It goes when it is due, unless it is kept before.
    Awaited,
    /// It goes, whatever happens.
    Waiting,
    /// It is being tried, by the attempt of that number, and should be done when it is due again.
    UnderWay(u64),
}

impl Attempt {
    const fn new(due: Millis, phase: Phase) -> Self {
        Self { due, pause: PAUSE, phase }
    }

    const fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::UnderWay(_))
    }
}

impl<S: Sql> Discards<S> {
    /// Those of a room that has no files.
    pub const fn none(sql: S) -> Self {
        Self { sql, all: BTreeMap::new() }
    }

    /// Reads what is still to go.
    pub fn open(sql: S, now: Millis) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT prefix, due FROM discards", &[])?;
        let all = rows.into_iter().filter_map(|row| read(row, now)).collect();
        Ok(Self { sql, all })
    }

    /// What is still to go, and when, if it may be kept until then.
    pub fn all(&self) -> Vec<(String, Option<Millis>)> {
        let until = |attempt: &Attempt| (attempt.phase == Phase::Awaited).then_some(attempt.due);
        self.all.iter().map(|(prefix, attempt)| (prefix.clone(), until(attempt))).collect()
    }

    /// All that begins with this is to go, also if that is being tried already: more may have come there since.
    pub fn add(&mut self, prefix: String, now: Millis) -> Result<(), StoreError> {
        self.write(&prefix, OVERDUE)?;
        self.all.insert(prefix, Attempt::new(now, Phase::Waiting));
        Ok(())
    }

    /// Somebody may be putting something there. It is to go then, when nobody can be at it any more, unless it is kept.
    pub fn await_until(&mut self, prefix: String, due: Millis) -> Result<(), StoreError> {
        self.write(&prefix, due)?;
        self.all.insert(prefix, Attempt::new(due, Phase::Awaited));
        Ok(())
    }

    fn write(&self, prefix: &str, due: Millis) -> Result<(), StoreError> {
        let statement = "INSERT INTO discards (prefix, due) VALUES (?, ?)
            ON CONFLICT (prefix) DO UPDATE SET due = excluded.due";
        self.sql.exec(statement, &[prefix.into(), due.0.into()]).map(drop)
    }

    /// Whether that is still to go, sooner or later.
    pub fn holds(&self, prefix: &str) -> bool {
        self.all.contains_key(prefix)
    }

    /// Whether what is put there may be kept: nobody has begun to remove it.
    pub fn awaits(&self, prefix: &str) -> bool {
        self.all.get(prefix).is_some_and(|attempt| attempt.phase == Phase::Awaited)
    }

    /// How many places there are where something may be put.
    pub fn awaited(&self) -> usize {
        self.all.values().filter(|attempt| attempt.phase == Phase::Awaited).count()
    }

    /// What is there stays.
    pub fn keep(&mut self, prefix: &str) -> Result<(), StoreError> {
        match self.all.remove(prefix) {
            Some(_) => self.sql.exec("DELETE FROM discards WHERE prefix = ?", &[prefix.into()]).map(drop),
            None => Ok(()),
        }
    }

    /// What is to be tried now, each with the number of its attempt. It is taken for being tried, for a while.
    pub fn take(&mut self, moment: &mut Moment) -> Result<Vec<(String, u64)>, StoreError> {
        let now = moment.now;
        let due = |attempt: &Attempt| attempt.due <= now;
        let late = self.all.values_mut().filter(|attempt| due(attempt) && attempt.is_under_way());
        late.for_each(|attempt| attempt.phase = Phase::Waiting);
        let free = AT_ONCE.saturating_sub(self.under_way());
        let next = self.all.iter().filter(|(_, attempt)| due(attempt)).take(free);
        let next: Vec<String> = next.map(|(prefix, _)| prefix.clone()).collect();
        next.into_iter().map(|prefix| self.begin(prefix, moment)).collect()
    }

    /// From here on it cannot be kept, not even by a room that is loaded again.
    fn begin(&mut self, prefix: String, moment: &mut Moment) -> Result<(String, u64), StoreError> {
        if self.awaits(&prefix) {
            self.write(&prefix, OVERDUE)?;
        }
        let number = moment.number();
        if let Some(attempt) = self.all.get_mut(&prefix) {
            (attempt.due, attempt.phase) = (moment.now.plus(PATIENCE), Phase::UnderWay(number));
        }
        Ok((prefix, number))
    }

    fn under_way(&self) -> usize {
        self.all.values().filter(|attempt| attempt.is_under_way()).count()
    }

    /// Something came of an attempt. What came of one before the newest says nothing of what has been put there since.
    pub fn tried(&mut self, prefix: &str, number: u64, done: bool, now: Millis) -> Result<(), StoreError> {
        let newest = self.all.get_mut(prefix).filter(|attempt| attempt.phase == Phase::UnderWay(number));
        let Some(attempt) = newest else { return Ok(()) };
        if done {
            return self.keep(prefix);
        }
        let Attempt { pause, .. } = *attempt;
        let longer = pause.saturating_mul(2).min(LONGEST);
        *attempt = Attempt { due: now.plus(pause), pause: longer, phase: Phase::Waiting };
        Ok(())
    }

    /// When something is to be tried. What has to wait for others is, when one of them is done.
    pub fn deadline(&self) -> Option<Millis> {
        let full = self.under_way() >= AT_ONCE;
        self.all.values().filter(|attempt| attempt.is_under_way() || !full).map(|attempt| attempt.due).min()
    }
}

fn read(row: Vec<Value>, now: Millis) -> Option<(String, Attempt)> {
    let [prefix, due] = <[Value; 2]>::try_from(row).ok()?;
    let attempt = match Millis(due.number()?) {
        OVERDUE => Attempt::new(now, Phase::Waiting),
        due => Attempt::new(due, Phase::Awaited),
    };
    Some((prefix.text()?, attempt))
}
