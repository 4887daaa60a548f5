//! A room's messages in the order it took them. Nobody hears of a message that is not in here.

use crate::id::{Id, Seq};
use crate::sql::{Sql, StoreError, Value, one};

const SCHEMA: &str =
    "CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, frame TEXT NOT NULL)";

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
}

impl<S: Sql> Log<S> {
    /// Opens the log, which keeps at least its newest `keep` messages.
    pub fn open(sql: S, keep: u64) -> Result<Self, StoreError> {
        sql.exec(SCHEMA, &[])?;
        let end = |statement| Ok(Seq(one(sql.exec(statement, &[])?).number().unwrap_or_default()));
        let (tail, head) = (end("SELECT min(seq) FROM log")?, end("SELECT max(seq) FROM log")?);
        Ok(Self { sql, tail, head, keep: keep.max(1) })
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

    /// Writes the next message. The caller has made sure that its id is new.
    pub fn append(&mut self, id: &Id, frame: &str) -> Result<Seq, StoreError> {
        let seq = self.head.next();
        self.sql.exec("INSERT INTO log (seq, id, frame) VALUES (?, ?, ?)", &[seq.0.into(), id.into(), frame.into()])?;
        self.head = seq;
        self.tail = self.tail.max(Seq(1));
        self.trim()?;
        Ok(seq)
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
