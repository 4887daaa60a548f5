//! What a room notes of itself: one row.

use crate::id::{Epoch, Kind, Seq};
use crate::moment::Millis;
use crate::schema::{self, VERSION};
use crate::sql::{Sql, StoreError, Value};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS marks (one INTEGER PRIMARY KEY, version INTEGER NOT NULL,
    epoch TEXT NOT NULL, sent INTEGER NOT NULL, settled INTEGER NOT NULL, occupied INTEGER NOT NULL, clean INTEGER)";

/// How long, in milliseconds, progress may go unwritten: a busy room writes it down once a second at most.
const PAUSE: u64 = 1_000;

/// How far everybody is. It is noted with every message, and by itself when the messages end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The newest message that the room's own sockets were sent.
    pub sent: Seq,
    /// The newest message that all followers have confirmed, but those of whom more is written.
    pub settled: Seq,
}

/// The row.
#[derive(Debug)]
pub struct Marks<S> {
    sql: S,
    epoch: Epoch,
    noted: Progress,
    /// When progress was last written down.
    written: Millis,
    occupied: bool,
    clean: Option<Millis>,
}

impl<S: Sql> Marks<S> {
    /// Reads the row. A room without one is new: it gets its tables, and this epoch.
    pub fn open(sql: S, kind: Kind, fresh: Epoch) -> Result<Self, StoreError> {
        sql.exec(SCHEMA, &[])?;
        let rows = sql.exec("SELECT version, epoch, sent, settled, occupied, clean FROM marks", &[])?;
        let Some(row) = rows.into_iter().next() else { return Self::create(sql, kind, fresh) };
        let broken = || StoreError("a row of marks that nobody wrote".to_owned());
        let (version, marks) = Self::read(sql, row).ok_or_else(broken)?;
        if version != VERSION {
            schema::migrate(&marks.sql, kind, version)?;
            marks.sql.exec("UPDATE marks SET version = ?", &[VERSION.into()])?;
        }
        Ok(marks)
    }

    fn create(sql: S, kind: Kind, epoch: Epoch) -> Result<Self, StoreError> {
        schema::migrate(&sql, kind, 0)?;
        let statement = "INSERT INTO marks (one, version, epoch, sent, settled, occupied) VALUES (1, ?, ?, 0, 0, 0)";
        sql.exec(statement, &[VERSION.into(), (&epoch).into()])?;
        Ok(Self { sql, epoch, noted: Progress::default(), written: Millis(0), occupied: false, clean: None })
    }

    fn read(sql: S, row: Vec<Value>) -> Option<(u64, Self)> {
        let [version, epoch, sent, settled, occupied, clean] = <[Value; 6]>::try_from(row).ok()?;
        let noted = Progress { sent: Seq(sent.number()?), settled: Seq(settled.number()?) };
        let (epoch, occupied, clean) =
            (epoch.text()?.parse().ok()?, occupied.number()? > 0, clean.number().map(Millis));
        Some((version.number()?, Self { sql, epoch, noted, written: Millis(0), occupied, clean }))
    }

    /// Which life of the log this is.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How far everybody was, as far as it is written down.
    pub const fn noted(&self) -> Progress {
        self.noted
    }

    /// Progress is written down elsewhere: with a message.
    pub fn carried(&mut self, progress: Progress, now: Millis) {
        (self.noted, self.written) = (self.noted.max(progress), now);
    }

    /// Writes progress down, if it is time.
    pub fn note(&mut self, progress: Progress, now: Millis) -> Result<(), StoreError> {
        if self.deadline(progress).is_none_or(|due| now < due) {
            return Ok(());
        }
        self.carried(progress, now);
        let Progress { sent, settled } = self.noted;
        self.sql.exec("UPDATE marks SET sent = ?, settled = ?", &[sent.0.into(), settled.0.into()]).map(drop)
    }

    /// When this progress has to be written down.
    pub fn deadline(&self, progress: Progress) -> Option<Millis> {
        (self.noted.max(progress) != self.noted).then(|| self.written.plus(PAUSE))
    }

    /// Whether sockets are open, as far as is written down: if so and there are none, the runtime was killed.
    pub const fn is_occupied(&self) -> bool {
        self.occupied
    }

    /// The first socket has come, or the last has gone.
    pub fn occupy(&mut self, occupied: bool) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.occupied, occupied) != occupied {
            self.sql.exec("UPDATE marks SET occupied = ?", &[u64::from(occupied).into()])?;
        }
        Ok(())
    }

    /// When to look for what is too old.
    pub const fn clean(&self) -> Option<Millis> {
        self.clean
    }

    /// Sets when to look for what is too old.
    pub fn clean_at(&mut self, due: Option<Millis>) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.clean, due) != due {
            self.sql.exec("UPDATE marks SET clean = ?", &[due.map_or(Value::Null, |due| due.0.into())])?;
        }
        Ok(())
    }
}

impl Progress {
    /// The further of both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { sent: self.sent.max(other.sent), settled: self.settled.max(other.settled) }
    }
}
