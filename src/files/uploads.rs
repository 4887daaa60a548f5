//! Uploads under way. The parts of each are a table of their own: each is there for good once its sender hears of it,
//! whatever breaks, and to drop them all writes no row.

use std::collections::BTreeMap;

use crate::files::Offer;
use crate::id::{ConnId, Id};
use crate::limits::Limits;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// Milliseconds until bytes that could not be put where files are kept are tried again. Each time it is twice as long.
const PAUSE: u64 = 1_000;

/// Milliseconds after which an errand of which nobody has heard counts as failed: the runtime may have been killed.
pub(crate) const PATIENCE: u64 = 60_000;

/// What has come of a file.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What was announced.
    pub offer: Offer,
    /// The connection that sends it.
    pub conn: ConnId,
    /// So many bytes of it are here.
    pub stored: u64,
    /// When the last of them came.
    last: Millis,
    phase: Phase,
}

/// What is to be done with an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There are bytes to come.
    Coming,
    /// It is complete, and to be put where files are kept, then, after so many failures.
    Complete(Millis, u32),
    /// It is being put there, and should be by then, after so many failures.
    Leaving(Millis, u32),
    /// That has failed too often. Its sender may ask again.
    Stuck,
}

impl Upload {
    /// Whether all its bytes are here: some may be where files are kept, too.
    pub const fn is_whole(&self) -> bool {
        self.stored == self.offer.size
    }
}

/// All uploads of a room that are under way.
#[derive(Debug)]
pub struct Uploads<S> {
    sql: S,
    all: BTreeMap<u32, Upload>,
}

impl<S: Sql> Uploads<S> {
    /// Those of a room that takes none.
    pub const fn none(sql: S) -> Self {
        Self { sql, all: BTreeMap::new() }
    }

    /// Reads what is under way. What is complete is put where files are kept at once, again if need be.
    pub fn open(sql: S, now: Millis) -> Result<Self, StoreError> {
        let statement = "SELECT n, conn, since, id, user, name, size, content_type, sha256 FROM uploads";
        let rows = sql.exec(statement, &[])?;
        let mut uploads = Self::none(sql);
        for row in rows {
            let Some((n, upload)) = read(row) else { continue };
            let upload = uploads.find_end(n, upload, now)?;
            uploads.all.insert(n, upload);
        }
        Ok(uploads)
    }

    fn find_end(&self, n: u32, upload: Upload, now: Millis) -> Result<Upload, StoreError> {
        let statement = format!("SELECT offset + length(bytes), at FROM upload_{n} ORDER BY offset DESC LIMIT 1");
        let row = self.sql.exec(&statement, &[])?.into_iter().next().unwrap_or_default();
        let numbers: Vec<u64> = row.iter().filter_map(Value::number).collect();
        let [stored, last] = <[u64; 2]>::try_from(numbers).unwrap_or([0, upload.last.0]);
        let whole = stored == upload.offer.size;
        let phase = if whole { Phase::Complete(now, 0) } else { Phase::Coming };
        Ok(Upload { stored, last: Millis(last), phase, ..upload })
    }

    /// The upload of that handle.
    pub fn get(&self, n: u32) -> Option<&Upload> {
        self.all.get(&n)
    }

    /// The upload of the file of that id.
    pub fn find(&self, id: &Id) -> Option<(u32, &Upload)> {
        self.all.iter().find(|(_, upload)| upload.offer.id == *id).map(|(n, upload)| (*n, upload))
    }

    /// All there are.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Upload)> {
        self.all.iter().map(|(n, upload)| (*n, upload))
    }

    /// Writes down that a file is to come.
    pub fn begin(&mut self, n: u32, offer: Offer, conn: ConnId, now: Millis) -> Result<(), StoreError> {
        let table =
            format!("CREATE TABLE upload_{n} (offset INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes BLOB NOT NULL)");
        self.sql.exec(&table, &[])?;
        let statement = "INSERT INTO uploads (n, conn, since, id, user, name, size, content_type, sha256)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let Offer { id, user, name, size, content_type, sha256 } = &offer;
        let sha256 = sha256.as_deref().map_or(Value::Null, Value::from);
        let first: [Value; 5] = [u64::from(n).into(), (&conn.0).into(), now.0.into(), id.into(), user.into()];
        let rest: [Value; 4] = [(&**name).into(), (*size).into(), (&**content_type).into(), sha256];
        self.sql.exec(statement, &[&first[..], &rest].concat())?;
        self.all.insert(n, Upload { offer, conn, stored: 0, last: now, phase: Phase::Coming });
        Ok(())
    }

    /// From now on this connection sends it.
    pub fn hand_over(&mut self, n: u32, conn: ConnId) -> Result<(), StoreError> {
        let Some(upload) = self.all.get_mut(&n).filter(|upload| upload.conn != conn) else { return Ok(()) };
        upload.conn = conn;
        self.sql.exec("UPDATE uploads SET conn = ? WHERE n = ?", &[(&conn.0).into(), u64::from(n).into()]).map(drop)
    }

    /// Takes the next bytes, and says whether these were the last.
    pub fn append(&mut self, n: u32, bytes: Vec<u8>, now: Millis) -> Result<bool, StoreError> {
        let Some(upload) = self.all.get_mut(&n) else { return Ok(false) };
        let stored = upload.stored.saturating_add(bytes.len() as u64);
        let statement = format!("INSERT INTO upload_{n} (offset, at, bytes) VALUES (?, ?, ?)");
        self.sql.exec(&statement, &[upload.stored.into(), now.0.into(), Value::Blob(bytes)])?;
        (upload.stored, upload.last) = (stored, now);
        if upload.is_whole() {
            upload.phase = Phase::Complete(now, 0);
        }
        Ok(upload.is_whole())
    }

    /// It is over, one way or the other.
    pub fn remove(&mut self, n: u32) -> Result<Option<Upload>, StoreError> {
        let Some(upload) = self.all.remove(&n) else { return Ok(None) };
        self.sql.exec(&format!("DROP TABLE upload_{n}"), &[])?;
        self.sql.exec("DELETE FROM uploads WHERE n = ?", &[u64::from(n).into()])?;
        Ok(Some(upload))
    }

    /// What is to be put where files are kept now. It is taken for being on its way.
    pub fn leave(&mut self, now: Millis) -> Vec<u32> {
        let mut leaving = Vec::new();
        for (n, upload) in &mut self.all {
            if let Phase::Complete(due, failures) | Phase::Leaving(due, failures) = upload.phase
                && due <= now
            {
                upload.phase = Phase::Leaving(now.plus(PATIENCE), failures);
                leaving.push(*n);
            }
        }
        leaving
    }

    /// It could not be put there. Says whether that was the last attempt.
    pub fn failed(&mut self, n: u32, now: Millis, limits: &Limits) -> bool {
        let Some(upload) = self.all.get_mut(&n) else { return false };
        let Phase::Leaving(_, failures) = upload.phase else { return false };
        let failures = failures.saturating_add(1);
        let stuck = failures >= limits.store_attempts;
        let pause = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16));
        upload.phase = if stuck { Phase::Stuck } else { Phase::Complete(now.plus(pause), failures) };
        stuck
    }

    /// Tries again what was given up.
    pub fn retry(&mut self, n: u32, now: Millis) {
        if let Some(upload) = self.all.get_mut(&n).filter(|upload| upload.phase == Phase::Stuck) {
            upload.phase = Phase::Complete(now, 0);
        }
    }

    /// Those of which nothing has come for so long that nobody will go on with them.
    pub fn forsaken(&self, now: Millis, ttl: u64) -> Vec<u32> {
        let idle = |(n, upload): (&u32, &Upload)| (upload.forsaken_at(ttl)? <= now).then_some(*n);
        self.all.iter().filter_map(idle).collect()
    }

    /// The one of these that has waited longest for its next byte, or to be asked for again.
    pub fn idlest(&self, waits: impl Fn(&Upload) -> bool) -> Option<u32> {
        let waiting = |upload: &Upload| upload.forsaken_at(0).is_some() && waits(upload);
        let waiting = self.all.iter().filter(|(_, upload)| waiting(upload));
        waiting.min_by_key(|(_, upload)| upload.last).map(|(n, _)| *n)
    }

    /// When there is something to do.
    pub fn deadline(&self, ttl: u64) -> Option<Millis> {
        let due = |upload: &Upload| match upload.phase {
            Phase::Complete(due, _) | Phase::Leaving(due, _) => Some(due),
            Phase::Coming | Phase::Stuck => upload.forsaken_at(ttl),
        };
        self.all.values().filter_map(due).min()
    }
}

impl Upload {
    /// When it is given up, unless something comes of it.
    fn forsaken_at(&self, ttl: u64) -> Option<Millis> {
        match self.phase {
            Phase::Coming | Phase::Stuck => Some(self.last.plus(ttl)),
            Phase::Complete(..) | Phase::Leaving(..) => None,
        }
    }
}

/// The bytes of an upload that follow its first `offset`, as far as one part goes.
pub fn part<S: Sql>(sql: &S, n: u32, offset: u64) -> Result<Vec<u8>, StoreError> {
    let rows = sql.exec(&format!("SELECT bytes FROM upload_{n} WHERE offset = ?"), &[offset.into()])?;
    one(rows).blob().ok_or_else(|| StoreError(format!("upload_{n} has nothing at {offset}")))
}

fn read(row: Vec<Value>) -> Option<(u32, Upload)> {
    let [n, conn, since, id, user, name, size, content_type, sha256] = <[Value; 9]>::try_from(row).ok()?;
    let offer = Offer {
        id: id.text()?.parse().ok()?,
        user: user.text()?.parse().ok()?,
        name: name.text()?,
        size: size.number()?,
        content_type: content_type.text()?,
        sha256: sha256.text(),
    };
    let (conn, last) = (ConnId(conn.text()?.parse().ok()?), Millis(since.number()?));
    Some((u32::try_from(n.number()?).ok()?, Upload { offer, conn, stored: 0, last, phase: Phase::Coming }))
}
