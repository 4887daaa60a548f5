//! The files of a chat: what their senders say of them, what is written of those that are there, where their bytes are.

pub mod discards;
pub mod download;
pub mod sniff;
pub mod uploads;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::code::{Refusal, Reject};
use crate::config::Config;
use crate::files::sniff::{Kind, Seen};
use crate::id::{Epoch, Id, RoomName, Seq};
use crate::sql::{Sql, StoreError, Value, one};

/// What an id may hold and a path may not.
const IN_A_PATH: &AsciiSet = &CONTROLS.add(b'|');

/// A file that somebody wants to leave in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its id: offered again, it is the same file.
    pub id: Id,
    /// Whose it is.
    pub user: Id,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// What its sender takes it for.
    pub content_type: String,
    /// Its SHA-256, if its sender knows.
    pub sha256: Option<String>,
}

impl Offer {
    /// Whether such a file is taken, as far as what is said of it tells.
    pub fn check(&self, config: &Config) -> Result<(), Refusal> {
        check_name(&self.name, config.limits.file_name_bytes)?;
        if !(1..=config.limits.file_bytes).contains(&self.size) {
            return Err(invalid(format!("A file has 1 to {} bytes.", config.limits.file_bytes)));
        }
        let hexadecimal = |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !self.sha256.as_ref().is_none_or(hexadecimal) {
            return Err(invalid("`sha256` is 64 hexadecimal digits."));
        }
        let meant = sniff::announced_type(&self.content_type, &self.name);
        if meant.is_empty() || config.file_types.contains(&meant) { Ok(()) } else { Err(not_taken(&meant)) }
    }

    /// The media type of such a file of that kind, if that is one that is taken.
    pub fn settle_type(&self, kind: Kind, config: &Config) -> Result<String, Refusal> {
        let settled = kind.settle(&self.content_type, &self.name);
        let settled = settled.ok_or_else(|| {
            Reject::FileTypeNotAllowed.because("The file's bytes are not those of a file of the type announced.")
        })?;
        if config.file_types.contains(&settled) { Ok(settled) } else { Err(not_taken(&settled)) }
    }

    /// Whether what came is what was announced, and its media type.
    pub fn accept(&self, seen: &Seen, config: &Config) -> Result<String, Refusal> {
        if seen.size != self.size {
            return Err(invalid(format!("{} bytes came, and {} were announced.", seen.size, self.size)));
        }
        if self.sha256.as_ref().is_some_and(|hash| *hash != seen.sha256) {
            return Err(invalid(format!("The SHA-256 of what came is {}, not what was announced.", seen.sha256)));
        }
        self.settle_type(seen.kind, config)
    }

    /// Whether this can be the file of that size and hash.
    pub fn is_same(&self, size: u64, sha256: Option<&str>) -> bool {
        let differ = self.sha256.as_deref().zip(sha256).is_some_and(|(announced, known)| announced != known);
        self.size == size && !differ
    }
}

pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Reject::InvalidFile.because(message)
}

/// What was on its way for too long.
pub(crate) fn late() -> Refusal {
    Reject::FilesUnavailable.because("The file took too long to arrive. Please send it again.")
}

fn not_taken(media_type: &str) -> Refusal {
    Reject::FileTypeNotAllowed.because(format!("Files of type {media_type} are not taken here."))
}

fn check_name(name: &str, most: usize) -> Result<(), Refusal> {
    let fits = (1..=most).contains(&name.len());
    if fits && !name.chars().any(is_unfit) && name.trim() == name && !matches!(name, "." | "..") {
        return Ok(());
    }
    Err(invalid(format!("A file's name has 1 to {most} bytes, and neither / nor \\ nor control characters.")))
}

/// Whether a character may not be in a name: it would lead elsewhere, or be read as something else than it is.
fn is_unfit(char: char) -> bool {
    char.is_control() || matches!(char, '/' | '\\' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// How the keys of all files of one life of a room begin, and no others: an epoch is as long as any other.
pub fn life(room: &RoomName, epoch: Epoch) -> String {
    format!("{room}/{epoch}")
}

/// Where a file's bytes are: each attempt at it has a place of its own, so that what is there never changes.
pub fn key(room: &RoomName, epoch: Epoch, file: &Id, place: u32) -> String {
    format!("{room}/{epoch}/{file}/{place:08x}")
}

/// Where a file can be had, on this server.
pub fn url(room: &RoomName, file: &Id) -> String {
    let [session, file] = [room.id(), file].map(|id| utf8_percent_encode(id.as_str(), IN_A_PATH));
    format!("/api/v1/ws/chat/{session}/files/{file}")
}

/// What is written of a file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// Its media type, which its bytes confirm.
    pub content_type: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Whose it is.
    pub user: Id,
    /// The place of its message in the log.
    pub seq: Seq,
    /// Which attempt at it succeeded.
    pub place: u32,
}

/// What its sender is told of a file that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Complete {
    /// Its id.
    pub file_id: Id,
    /// Its bytes.
    pub size: u64,
    /// Its media type.
    pub content_type: String,
    /// Its SHA-256.
    pub sha256: String,
    /// Where it can be had.
    pub url: String,
    /// The place of its message in the log.
    pub seq: Seq,
    /// Set when it was there before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

impl File {
    /// What its sender is told.
    pub fn complete(self, room: &RoomName, duplicate: bool) -> Complete {
        let Self { id: file_id, size, content_type, sha256, seq, .. } = self;
        let url = url(room, &file_id);
        Complete { file_id, size, content_type, sha256, url, seq, duplicate }
    }
}

/// The files that are there.
#[derive(Debug)]
pub struct Files<S> {
    sql: S,
    /// How many there are, and their bytes, once somebody has asked.
    total: Option<(u64, u64)>,
}

impl<S: Sql> Files<S> {
    /// Opens the store.
    pub const fn open(sql: S) -> Self {
        Self { sql, total: None }
    }

    /// The file of that id.
    pub fn find(&self, id: &Id) -> Result<Option<File>, StoreError> {
        let statement = "SELECT id, name, size, content_type, sha256, user, seq, place FROM files WHERE id = ?";
        Ok(self.sql.exec(statement, &[id.into()])?.into_iter().next().and_then(file))
    }

    /// Writes a file down.
    pub fn add(&mut self, file: &File) -> Result<(), StoreError> {
        let File { id, name, size, content_type, sha256, user, seq, place } = file;
        let statement = "INSERT INTO files (id, name, size, content_type, sha256, user, seq, place)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let texts: [Value; 3] = [id.into(), (&**name).into(), (*size).into()];
        let rest: [Value; 5] =
            [(&**content_type).into(), (&**sha256).into(), user.into(), seq.0.into(), u64::from(*place).into()];
        self.sql.exec(statement, &[&texts[..], &rest].concat())?;
        self.total = self.total.map(|(count, bytes)| (count.saturating_add(1), bytes.saturating_add(*size)));
        Ok(())
    }

    /// How many there are, and their bytes.
    pub fn total(&mut self) -> Result<(u64, u64), StoreError> {
        if let Some(total) = self.total {
            return Ok(total);
        }
        let sum = |what: &str| Ok(one(self.sql.exec(&format!("SELECT {what} FROM files"), &[])?).number());
        let total = (sum("count(*)")?.unwrap_or_default(), sum("sum(size)")?.unwrap_or_default());
        Ok(*self.total.insert(total))
    }
}

fn file(row: Vec<Value>) -> Option<File> {
    let [id, name, size, content_type, sha256, user, seq, place] = <[Value; 8]>::try_from(row).ok()?;
    Some(File {
        id: id.text()?.parse().ok()?,
        name: name.text()?,
        size: size.number()?,
        content_type: content_type.text()?,
        sha256: sha256.text()?,
        user: user.text()?.parse().ok()?,
        seq: Seq(seq.number()?),
        place: u32::try_from(place.number()?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(name: &str, size: u64, content_type: &str, sha256: Option<&str>) -> Offer {
        let (id, user) = ("file-1".parse().unwrap(), "ana".parse().unwrap());
        let (name, content_type) = (name.to_owned(), content_type.to_owned());
        Offer { id, user, name, size, content_type, sha256: sha256.map(str::to_owned) }
    }

    #[test]
    fn what_is_said_of_a_file_is_checked_before_a_byte_is_taken() {
        let config = Config::default();
        let most = config.limits.file_bytes;
        let hash = "a".repeat(64);
        for (offer, verdict) in [
            (offer("nota fiscal ção.pdf", most, "application/pdf", Some(&hash)), Ok(())),
            (offer("a", 1, "", None), Ok(())),
            (offer("a", 0, "", None), Err(Reject::InvalidFile)),
            (offer("a", most + 1, "", None), Err(Reject::InvalidFile)),
            (offer("", 1, "", None), Err(Reject::InvalidFile)),
            (offer("..", 1, "", None), Err(Reject::InvalidFile)),
            (offer("a/b", 1, "", None), Err(Reject::InvalidFile)),
            (offer("a\\b", 1, "", None), Err(Reject::InvalidFile)),
            (offer("a\nb", 1, "", None), Err(Reject::InvalidFile)),
            (offer("a\u{202e}fdp.exe", 1, "", None), Err(Reject::InvalidFile)),
            (offer(" a", 1, "", None), Err(Reject::InvalidFile)),
            (offer(&"é".repeat(128), 1, "", None), Err(Reject::InvalidFile)),
            (offer("a", 1, "", Some("abc")), Err(Reject::InvalidFile)),
            (offer("a", 1, "", Some(&"g".repeat(64))), Err(Reject::InvalidFile)),
            (offer("a.html", 1, "text/html", None), Err(Reject::FileTypeNotAllowed)),
            (offer("a.svg", 1, "image/svg+xml", None), Err(Reject::FileTypeNotAllowed)),
            (offer("a.exe", 1, "application/x-msdownload", None), Err(Reject::FileTypeNotAllowed)),
        ] {
            assert_eq!(offer.check(&config).map_err(|refusal| refusal.reject), verdict, "{offer:?}");
        }
    }

    #[test]
    fn a_url_is_a_path_that_leads_to_its_file() {
        let url = url(&"chat:a|b:c".parse().unwrap(), &"x@y+z=|".parse().unwrap());
        assert_eq!(url, "/api/v1/ws/chat/a%7Cb:c/files/x@y+z=%7C");
        let route = crate::route::Route::parse("GET", &url).unwrap();
        assert_eq!(route, crate::route::Route::File("chat:a|b:c".parse().unwrap(), "x@y+z=|".parse().unwrap()));
    }

    #[test]
    fn no_place_begins_another() {
        let (room, file): (RoomName, Id) = ("chat:s".parse().unwrap(), "f".parse().unwrap());
        assert_eq!(key(&room, Epoch(1), &file, 10), "chat:s/0000000000000001/f/0000000a");
        assert!(key(&room, Epoch(1), &file, 10).starts_with(&life(&room, Epoch(1))));
    }
}
