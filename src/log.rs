//! A room's messages in the order it took them. Nobody hears of a message that is not in here.

use crate::id::{Id, Seq};
use crate::sql::{Sql, StoreError, Value, one};

const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, frame TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS waiting (one INTEGER PRIMARY KEY, first INTEGER NOT NULL)",
];

/// How many messages may stand in the log beyond the limit, so that trimming is one statement now and then.
const SLACK: u64 = 64;

/// One message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// The frame that clients get.
    pub frame: String,
}

/// The log of one room: dense sequence numbers, an id at most once.
#[derive(Debug)]
pub struct Log<S> {
    sql: S,
    tail: Seq,
    head: Seq,
    keep: u64,
    /// Whether a message waits to be sent.
    waiting: bool,
}

impl<S: Sql> Log<S> {
    /// Opens the log, which keeps at least its newest `keep` messages.
    pub fn open(sql: S, keep: u64) -> Result<Self, StoreError> {
        SCHEMA.iter().try_for_each(|table| sql.exec(table, &[]).map(drop))?;
        let end = |statement| Ok(Seq(one(sql.exec(statement, &[])?).number().unwrap_or_default()));
        let (tail, head) = (end("SELECT min(seq) FROM log")?, end("SELECT max(seq) FROM log")?);
        Ok(Self { sql, tail, head, keep: keep.max(1), waiting: false })
    }

    /// The newest message's place.
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// Where the message of that id stands, if the log remembers it.
    pub fn find(&self, id: &Id) -> Result<Option<Seq>, StoreError> {
        let rows = self.sql.exec("SELECT seq FROM log WHERE id = ?", &[id.into()])?;
        Ok(one(rows).number().map(Seq))
    }

    /// Writes the next message. The caller has made sure that its id is new, and says whether the message is sent in
    /// this turn or `waits` for a flush.
    pub fn append(&mut self, id: &Id, frame: &str, waits: bool) -> Result<Seq, StoreError> {
        let seq = self.head.next();
        let statement = "INSERT INTO log (seq, id, frame) VALUES (?, ?, ?)";
        self.sql.exec(statement, &[seq.0.into(), id.into(), frame.into()])?;
        if waits && !self.waiting {
            self.sql.exec("INSERT INTO waiting (one, first) VALUES (1, ?)", &[seq.0.into()])?;
        }
        self.head = seq;
        self.waiting |= waits;
        self.tail = self.tail.max(Seq(1));
        self.trim()?;
        Ok(seq)
    }

    /// All that waited is being sent in this turn.
    pub fn flushed(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.waiting) {
            self.sql.exec("DELETE FROM waiting", &[])?;
        }
        Ok(())
    }

    /// What waited for a flush that never came, since the room was lost from memory: the first such message, and all
    /// after it, since none goes before it.
    pub fn unflushed(&mut self) -> Result<Vec<Entry>, StoreError> {
        let Some(first) = one(self.sql.exec("SELECT first FROM waiting", &[])?).number() else { return Ok(Vec::new()) };
        self.waiting = true;
        let rows = self.sql.exec("SELECT seq, frame FROM log WHERE seq >= ? ORDER BY seq", &[first.into()])?;
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    /// What the log still has of what came after `seq`: at most `count` messages, and none that begins beyond `chars`.
    pub fn after(&self, seq: Seq, count: usize, chars: usize) -> Result<Vec<Entry>, StoreError> {
        let start = seq.0.max(self.tail.0.saturating_sub(1));
        let end = start.saturating_add(count as u64);
        // The sum stops the reading, so that a row that does not go out is not held either.
        let statement = "SELECT seq, frame FROM (
            SELECT seq, frame, sum(length(frame)) OVER (ORDER BY seq) - length(frame) AS before
            FROM log WHERE seq > ? AND seq <= ?) WHERE before < ? ORDER BY seq";
        let rows = self.sql.exec(statement, &[start.into(), end.into(), (chars as u64).into()])?;
        Ok(rows.into_iter().filter_map(entry).collect())
    }

    fn trim(&mut self) -> Result<(), StoreError> {
        if self.head.0 > self.keep && self.head.0.is_multiple_of(SLACK) {
            let last = self.head.0 - self.keep;
            self.sql.exec("DELETE FROM log WHERE seq <= ?", &[last.into()])?;
            self.tail = Seq(last).next();
        }
        Ok(())
    }
}

fn entry(row: Vec<Value>) -> Option<Entry> {
    let [seq, frame] = <[Value; 2]>::try_from(row).ok()?;
    Some(Entry { seq: Seq(seq.number()?), frame: frame.text()? })
}
