//! A room's messages in the order it took them. Nobody hears of a message that is not in here.
//!
//! The log is cut into segments, each a table of its own: to drop a table writes no row, to delete its messages would
//! write one each. Beside each closed segment stand the fingerprints of its ids, which are remembered for longer than
//! the messages if need be: so a message costs one row, and is found by its id all the same.

use std::collections::BTreeMap;

use crate::id::{Id, Seq, fingerprint};
use crate::limits::{DAY, Limits};
use crate::marks::Progress;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// One message of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// When it was taken.
    pub taken: Millis,
    /// The frame that clients get.
    pub frame: String,
}

/// What is noted with a message of how far everybody is: it costs nothing there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// The newest message that the room's own sockets had been sent before.
    pub sent: Seq,
    /// Whether this one waits for a flush. If not, it goes with all before it in the turn in which it is taken.
    pub waits: bool,
    /// The newest message that all followers had confirmed, but those of whom more is written.
    pub settled: Seq,
}

impl Noted {
    /// How far everybody is once the turn is over in which this was noted with message `seq`.
    pub fn progress(self, seq: Seq) -> Progress {
        Progress { sent: if self.waits { self.sent } else { seq }, settled: self.settled }
    }
}

/// A run of messages.
#[derive(Debug)]
struct Segment {
    n: u64,
    first: Seq,
    opened: Millis,
    /// Bytes of all frames before it.
    base: u64,
    /// What holds at its end. The last segment may have none: it grows.
    end: Option<End>,
    /// Whether its messages are still there, and not only their ids' fingerprints.
    stored: bool,
}

#[derive(Clone, Copy, Debug)]
struct End {
    last: Seq,
    closed: Millis,
    total: u64,
}

/// The log of one room: dense sequence numbers, an id at most once.
#[derive(Debug)]
pub struct Log<S> {
    sql: S,
    segments: Vec<Segment>,
    head: Seq,
    /// When the newest message was taken.
    latest: Millis,
    /// Bytes of all frames that there ever were.
    total: u64,
    /// What was noted with the newest message.
    noted: Noted,
    /// Where the ids are, once somebody has asked.
    ids: Option<BTreeMap<u64, Seq>>,
    limits: Limits,
}

impl<S: Sql> Log<S> {
    /// Opens the log. That reads a row a segment, and the newest message's.
    pub fn open(sql: S, limits: &Limits) -> Result<Self, StoreError> {
        let statement = "SELECT n, first, opened, base, stored, last, closed, total FROM segments ORDER BY n";
        let segments: Vec<Segment> = sql.exec(statement, &[])?.into_iter().filter_map(segment).collect();
        let (head, latest, total, noted) = (Seq(0), Millis(0), 0, Noted::default());
        let mut log = Self { sql, segments, head, latest, total, noted, ids: None, limits: limits.clone() };
        match log.segments.last() {
            Some(Segment { end: Some(end), .. }) => {
                (log.head, log.latest, log.total) = (end.last, end.closed, end.total)
            }
            Some(Segment { n, .. }) => log.find_end(*n)?,
            None => {}
        }
        Ok(log)
    }

    fn find_end(&mut self, n: u64) -> Result<(), StoreError> {
        let statement = format!(
            "SELECT seq, at, sent, waits, settled, base + length(CAST(frame AS BLOB)) FROM log_{n} ORDER BY seq DESC LIMIT 1"
        );
        let row = self.sql.exec(&statement, &[])?.into_iter().next().unwrap_or_default();
        let numbers: Vec<u64> = row.iter().filter_map(Value::number).collect();
        let [seq, at, sent, waits, settled, total] =
            <[u64; 6]>::try_from(numbers).map_err(|_| StoreError(format!("log_{n} is empty")))?;
        (self.head, self.latest, self.total) = (Seq(seq), Millis(at), total);
        self.noted = Noted { sent: Seq(sent), waits: waits > 0, settled: Seq(settled) };
        Ok(())
    }

    /// The newest message's place.
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// When the newest message was taken; 0 if there never was one.
    pub const fn latest(&self) -> Millis {
        self.latest
    }

    /// The place of the oldest message that is still there; after the head's if there is none.
    pub fn first(&self) -> Seq {
        self.segments.iter().find(|segment| segment.stored).map_or_else(|| self.head.next(), |segment| segment.first)
    }

    /// Whether everything after that place is still there.
    pub fn reaches(&self, seq: Seq) -> bool {
        (self.first()..=self.head.next()).contains(&seq.next())
    }

    /// How far everybody is, as far as was noted with the newest message.
    pub fn progress(&self) -> Progress {
        self.noted.progress(self.head)
    }

    /// The newest message that had been sent before the newest was taken: that one may not have left the machine.
    pub const fn floor(&self) -> Seq {
        self.noted.sent
    }

    /// Where the message of that id stands, if it is remembered. Only the first question reads all there is to know.
    pub fn find(&mut self, id: &Id) -> Result<Option<Seq>, StoreError> {
        if self.ids.is_none() {
            self.ids = Some(self.read_ids()?);
        }
        let Some(seq) = self.ids.as_ref().and_then(|ids| ids.get(&fingerprint(id.as_str()))).copied() else {
            return Ok(None);
        };
        let Some(segment) = self.segments.iter().rev().find(|segment| segment.stored && segment.first <= seq) else {
            return Ok(Some(seq));
        };
        let statement = format!("SELECT id FROM log_{} WHERE seq = ?", segment.n);
        let known = one(self.sql.exec(&statement, &[seq.0.into()])?).text();
        Ok((known.as_deref() == Some(id.as_str())).then_some(seq))
    }

    /// Writes the next message, and how far everybody is. The caller has made sure that its id is new.
    pub fn append(&mut self, now: Millis, id: &Id, frame: &str, noted: Noted) -> Result<Seq, StoreError> {
        let (seq, at) = (self.head.next(), now.max(self.latest));
        let n = self.open_segment(at)?;
        let statement = format!(
            "INSERT INTO log_{n} (seq, at, sent, waits, settled, base, id, frame) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        );
        let Noted { sent, waits, settled } = noted;
        let numbers = [seq.0, at.0, sent.0, u64::from(waits), settled.0, self.total].map(Value::from);
        self.sql.exec(&statement, &[&numbers[..], &[id.into(), frame.into()]].concat())?;
        (self.head, self.latest, self.noted) = (seq, at, noted);
        self.total = self.total.saturating_add(frame.len() as u64);
        if let Some(ids) = &mut self.ids {
            ids.insert(fingerprint(id.as_str()), seq);
        }
        Ok(seq)
    }

    /// What the log still has of what came after `seq`, up to `last`: at most `count` messages, and none that begins
    /// beyond `bytes`.
    pub fn after(&self, seq: Seq, last: Seq, count: usize, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        let bytes = bounded(bytes);
        let mut room = bytes;
        for segment in self.segments.iter().filter(|segment| segment.stored && segment.last(self.head) > seq) {
            let (n, left) = (segment.n, bounded(count.saturating_sub(entries.len())));
            let statement = format!(
                "SELECT seq, at, frame FROM log_{n} WHERE seq > ? AND seq <= ? AND base < ? + (
                    SELECT base FROM log_{n} WHERE seq > ? ORDER BY seq LIMIT 1) ORDER BY seq LIMIT ?"
            );
            let bounds = [seq.0, last.0, room, seq.0, left].map(Value::from);
            entries.extend(self.sql.exec(&statement, &bounds)?.into_iter().filter_map(entry));
            room = bytes.saturating_sub(size(&entries));
            if room == 0 || entries.last().is_none_or(|entry| entry.seq < segment.last(self.head)) {
                break;
            }
        }
        Ok(entries)
    }

    /// The newest messages before `seq`, oldest first: at most `count`, and none that ends beyond `bytes`, but one.
    pub fn before(&self, seq: Seq, count: usize, bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let mut entries: Vec<Entry> = Vec::new();
        let bytes = bounded(bytes);
        let mut room = bytes;
        for segment in self.segments.iter().rev().filter(|segment| segment.stored && segment.first < seq) {
            let (n, left) = (segment.n, bounded(count.saturating_sub(entries.len())));
            let statement = format!(
                "SELECT seq, at, frame FROM log_{n} WHERE seq < ? AND base + ? > (
                    SELECT base FROM log_{n} WHERE seq < ? ORDER BY seq DESC LIMIT 1) ORDER BY seq DESC LIMIT ?"
            );
            let bounds = [seq.0, room, seq.0, left].map(Value::from);
            entries.extend(self.sql.exec(&statement, &bounds)?.into_iter().filter_map(entry));
            room = bytes.saturating_sub(size(&entries));
            if room == 0 || entries.last().is_none_or(|entry| entry.seq > segment.first) {
                break;
            }
        }
        entries.reverse();
        Ok(entries)
    }

    /// The newest message that had been taken by then; 0 if there is none, or none is left.
    pub fn taken_by(&self, then: Millis) -> Result<Seq, StoreError> {
        for segment in self.segments.iter().rev().filter(|segment| segment.stored && segment.opened <= then) {
            let statement = format!("SELECT seq FROM log_{} WHERE at <= ? ORDER BY seq DESC LIMIT 1", segment.n);
            if let Some(seq) = one(self.sql.exec(&statement, &[then.0.into()])?).number() {
                return Ok(Seq(seq));
            }
        }
        Ok(Seq(0))
    }

    /// Drops what is too old, and says whether anything is left.
    pub fn clean(&mut self, now: Millis) -> Result<bool, StoreError> {
        if self.segments.last().is_some_and(|segment| segment.end.is_none()) && self.is_old(self.latest, now) {
            self.close_segment()?;
        }
        self.trim(now)?;
        Ok(self.segments.len() > 1 || self.segments.iter().any(|segment| segment.stored))
    }

    /// The segment that the next message goes into: a new one when the last is full, or a day old.
    fn open_segment(&mut self, now: Millis) -> Result<u64, StoreError> {
        let full = |segment: &Segment| {
            let count = self.head.0.saturating_sub(segment.first.0) + 1;
            let bytes = self.total.saturating_sub(segment.base);
            let most = self.limits.segment_messages.min(self.limits.log_messages).max(1);
            count >= most || bytes >= self.limits.segment_bytes || segment.opened.plus(DAY) <= now
        };
        match self.segments.last() {
            Some(segment) if segment.end.is_none() && !full(segment) => return Ok(segment.n),
            Some(segment) if segment.end.is_none() => self.close_segment()?,
            Some(_) | None => {}
        }
        let n = self.segments.last().map_or(1, |segment| segment.n + 1);
        self.create_segment(Segment {
            n,
            first: self.head.next(),
            opened: now,
            base: self.total,
            end: None,
            stored: true,
        })?;
        self.trim(now)?;
        Ok(n)
    }

    fn create_segment(&mut self, segment: Segment) -> Result<(), StoreError> {
        let Segment { n, first, opened, base, .. } = &segment;
        self.sql.exec(
            &format!(
                "CREATE TABLE log_{n} (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, sent INTEGER NOT NULL,
                    waits INTEGER NOT NULL, settled INTEGER NOT NULL, base INTEGER NOT NULL, id TEXT NOT NULL, frame TEXT NOT NULL)"
            ),
            &[],
        )?;
        let statement = "INSERT INTO segments (n, first, opened, base, stored) VALUES (?, ?, ?, ?, 1)";
        self.sql.exec(statement, &[*n, first.0, opened.0, *base].map(Value::from))?;
        self.segments.push(segment);
        Ok(())
    }

    /// Ends the last segment, and writes down the fingerprints of its ids.
    fn close_segment(&mut self) -> Result<(), StoreError> {
        let Some(segment) = self.segments.last_mut() else { return Ok(()) };
        let end = End { last: self.head, closed: self.latest, total: self.total };
        let ids = self.sql.exec(&format!("SELECT id FROM log_{} ORDER BY seq", segment.n), &[])?;
        let ids = ids.into_iter().map(|row| one(vec![row]).text().unwrap_or_default());
        let prints: String = ids.map(|id| format!("{:016x}", fingerprint(&id))).collect();
        let numbers = [end.last.0, end.closed.0, end.total].map(Value::from);
        let statement = "UPDATE segments SET last = ?, closed = ?, total = ?, ids = ? WHERE n = ?";
        self.sql.exec(statement, &[&numbers[..], &[(&*prints).into(), segment.n.into()]].concat())?;
        segment.end = Some(end);
        Ok(())
    }

    /// Drops the messages that the limits no longer cover, and forgets ids that are neither in the log nor young. The
    /// last segment's row stays: it knows the head.
    fn trim(&mut self, now: Millis) -> Result<(), StoreError> {
        while let Some(n) =
            self.segments.iter().find(|segment| segment.stored).filter(|it| self.is_over(it, now)).map(|it| it.n)
        {
            self.sql.exec(&format!("DROP TABLE log_{n}"), &[])?;
            self.sql.exec("UPDATE segments SET stored = 0 WHERE n = ?", &[n.into()])?;
            self.segments.iter_mut().filter(|segment| segment.n == n).for_each(|segment| segment.stored = false);
        }
        while let [oldest, _, ..] = self.segments.as_slice() {
            let Some(end) = oldest.end.filter(|end| !oldest.stored && self.may_forget(end, now)) else { break };
            self.sql.exec("DELETE FROM segments WHERE n = ?", &[oldest.n.into()])?;
            self.segments.remove(0);
            if let Some(ids) = &mut self.ids {
                ids.retain(|_, seq| *seq > end.last);
            }
        }
        Ok(())
    }

    /// Whether what comes after this segment is enough, or all from it on too large, or it is too old.
    fn is_over(&self, segment: &Segment, now: Millis) -> bool {
        segment.end.is_some_and(|end| {
            self.head.0.saturating_sub(end.last.0) >= self.limits.log_messages
                || self.total.saturating_sub(segment.base) > self.limits.log_bytes
                || self.is_old(end.closed, now)
        })
    }

    /// Whether the ids before that end need not be known any more.
    fn may_forget(&self, end: &End, now: Millis) -> bool {
        let since = self.head.0.saturating_sub(end.last.0);
        end.closed.plus(self.limits.id_memory) <= now || since >= self.limits.remembered_ids
    }

    fn is_old(&self, then: Millis, now: Millis) -> bool {
        then.plus(self.limits.log_age) <= now
    }

    fn read_ids(&self) -> Result<BTreeMap<u64, Seq>, StoreError> {
        let mut ids = BTreeMap::new();
        for row in self.sql.exec("SELECT first, ids FROM segments WHERE ids IS NOT NULL", &[])? {
            let [first, prints] = <[Value; 2]>::try_from(row).map_err(|_| StoreError("segments".to_owned()))?;
            let (first, prints) = (first.number().unwrap_or_default(), prints.text().unwrap_or_default());
            let places = prints.as_bytes().chunks(16).zip(first..);
            ids.extend(places.filter_map(|(print, seq)| {
                Some((u64::from_str_radix(std::str::from_utf8(print).ok()?, 16).ok()?, Seq(seq)))
            }));
        }
        if let Some(segment) = self.segments.last().filter(|segment| segment.end.is_none()) {
            for row in self.sql.exec(&format!("SELECT seq, id FROM log_{}", segment.n), &[])? {
                let [seq, id] = <[Value; 2]>::try_from(row).map_err(|_| StoreError("log".to_owned()))?;
                ids.extend(id.text().zip(seq.number()).map(|(id, seq)| (fingerprint(&id), Seq(seq))));
            }
        }
        Ok(ids)
    }
}

impl Segment {
    fn last(&self, head: Seq) -> Seq {
        self.end.map_or(head, |end| end.last)
    }
}

/// A number that SQL can count with, and add others to.
fn bounded(number: usize) -> u64 {
    (number as u64).min(1 << 40)
}

/// How many of these fit into so many bytes with a comma each: one at least.
pub fn fitting<'a>(entries: impl ExactSizeIterator<Item = &'a Entry>, bytes: usize) -> usize {
    let (count, mut size) = (entries.len(), 0);
    let fits = |entry: &&Entry| {
        size += entry.frame.len() + 1;
        size <= bytes
    };
    entries.take_while(fits).count().max(1).min(count)
}

fn size(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| entry.frame.len() as u64).sum()
}

fn segment(row: Vec<Value>) -> Option<Segment> {
    let [n, first, opened, base, stored, last, closed, total] = <[Value; 8]>::try_from(row).ok()?;
    let end = || Some(End { last: Seq(last.number()?), closed: Millis(closed.number()?), total: total.number()? });
    let (first, opened, stored) = (Seq(first.number()?), Millis(opened.number()?), stored.number()? > 0);
    Some(Segment { n: n.number()?, first, opened, base: base.number()?, end: end(), stored })
}

fn entry(row: Vec<Value>) -> Option<Entry> {
    let [seq, at, frame] = <[Value; 3]>::try_from(row).ok()?;
    Some(Entry { seq: Seq(seq.number()?), taken: Millis(at.number()?), frame: frame.text()? })
}
