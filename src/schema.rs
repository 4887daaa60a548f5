//! All that a room stores, on one page. A room that was made by an older version is brought up to date when it is loaded.

use crate::id::Kind;
use crate::sql::{Sql, StoreError, one};

/// What there was before there were versions. None of it was ever deployed.
const BEFORE: [&str; 8] =
    ["bar", "connections", "followers", "log", "subscriptions", "tickets", "upstreams", "waiting"];

/// What a version added.
struct Version {
    /// To every room.
    all: &'static [&'static str],
    /// To chats.
    chat: &'static [&'static str],
}

/// What each version added. Only ever append to this list, once it is deployed.
const VERSIONS: [Version; 3] = [FIRST, SECOND, THIRD];

const FIRST: Version = Version { chat: &[], all: &[
    // The log is a table `log_<n>` a segment; see `log`.
    "CREATE TABLE segments (n INTEGER PRIMARY KEY, first INTEGER NOT NULL, opened INTEGER NOT NULL, base INTEGER NOT NULL,
        last INTEGER, closed INTEGER, total INTEGER, ids TEXT, stored INTEGER NOT NULL)",
    // Who is owed what, in this room and in those that its sockets subscribed to.
    "CREATE TABLE members (room TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL, first INTEGER NOT NULL,
        epoch TEXT, cursor INTEGER, alive INTEGER, acks INTEGER NOT NULL, behind INTEGER NOT NULL,
        unsure INTEGER NOT NULL, away INTEGER NOT NULL,
        PRIMARY KEY (room, user, device)) WITHOUT ROWID",
    // The rooms that want this room's messages.
    "CREATE TABLE followers (room TEXT PRIMARY KEY, delivered INTEGER NOT NULL, confirmed INTEGER NOT NULL,
        standing TEXT NOT NULL, since INTEGER NOT NULL, asked INTEGER NOT NULL) WITHOUT ROWID",
    // Whose messages this room's sockets want.
    "CREATE TABLE subscriptions (room TEXT NOT NULL, conn TEXT NOT NULL, user TEXT NOT NULL, device TEXT NOT NULL,
        seq INTEGER NOT NULL, acks INTEGER NOT NULL, PRIMARY KEY (room, conn)) WITHOUT ROWID",
    "CREATE TABLE upstreams (room TEXT PRIMARY KEY, epoch TEXT NOT NULL) WITHOUT ROWID",
    // A user's room: the connections elsewhere, until when none may be opened, the tickets that nobody has used.
    "CREATE TABLE connections (conn TEXT PRIMARY KEY, room TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE bar (one INTEGER PRIMARY KEY, until INTEGER NOT NULL)",
    "CREATE TABLE tickets (secret TEXT PRIMARY KEY, until INTEGER NOT NULL, rights TEXT NOT NULL) WITHOUT ROWID",
]};

const SECOND: Version = Version {
    all: &[],
    chat: &[
        // Answers under way, and those that wait to be asked for.
        "CREATE TABLE answers (id TEXT PRIMARY KEY, question TEXT NOT NULL, asked INTEGER, agent TEXT NOT NULL,
            text TEXT NOT NULL) WITHOUT ROWID",
        // What the session is: one row. Who has come, or was invited.
        "CREATE TABLE session (one INTEGER PRIMARY KEY, owner TEXT, title TEXT, created INTEGER NOT NULL)",
        "CREATE TABLE participants (user TEXT PRIMARY KEY, since INTEGER NOT NULL, invited INTEGER NOT NULL) WITHOUT ROWID",
        // The files that are there, those under way (the parts of each are a table `upload_<n>`; see `uploads`), and what is
        // to go from where files are kept.
        "CREATE TABLE files (id TEXT PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, content_type TEXT NOT NULL,
            sha256 TEXT NOT NULL, user TEXT NOT NULL, seq INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE uploads (n INTEGER PRIMARY KEY, conn TEXT NOT NULL, since INTEGER NOT NULL, id TEXT NOT NULL,
            user TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, content_type TEXT NOT NULL, sha256 TEXT)",
        "CREATE TABLE discards (prefix TEXT PRIMARY KEY) WITHOUT ROWID",
    ],
};

const THIRD: Version = Version {
    all: &[],
    // When that is to go, unless it is kept before; or (0) whatever happens.
    chat: &["ALTER TABLE discards ADD COLUMN due INTEGER NOT NULL DEFAULT 0"],
};

/// The newest version.
pub(crate) const VERSION: u64 = VERSIONS.len() as u64;

/// Brings the tables from that version to the newest.
pub(crate) fn migrate<S: Sql>(sql: &S, kind: Kind, version: u64) -> Result<(), StoreError> {
    if version > VERSION {
        return Err(StoreError(format!("version {version} of the tables is newer than this worker")));
    }
    if version == 0 {
        BEFORE.iter().try_for_each(|table| sql.exec(&format!("DROP TABLE IF EXISTS {table}"), &[]).map(drop))?;
    }
    let missing = VERSIONS.iter().zip(1..).filter(|(_, added)| *added > version).map(|(version, _)| version);
    let chat = |version: &'static Version| if kind == Kind::Chat { version.chat } else { &[] };
    missing
        .flat_map(|version| version.all.iter().chain(chat(version)))
        .try_for_each(|table| sql.exec(table, &[]).map(drop))
}

/// Drops every table that there is, whoever made it, but those of the platform and of SQLite itself.
pub(crate) fn erase<S: Sql>(sql: &S) -> Result<(), StoreError> {
    let statement = "SELECT name FROM sqlite_master
        WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name NOT GLOB 'sqlite_*'";
    let tables = sql.exec(statement, &[])?.into_iter().filter_map(|row| one(vec![row]).text());
    tables.collect::<Vec<_>>().iter().try_for_each(|table| sql.exec(&format!("DROP TABLE {table}"), &[]).map(drop))
}
