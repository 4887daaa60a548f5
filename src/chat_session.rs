//! What is known of a chat session beside its messages: whose it is, what it is called, who takes part.

use serde::{Deserialize, Serialize};

use crate::asker::Asker;
use crate::code::{Refusal, Reject};
use crate::id::{Epoch, Id, RoomName, Seq};
use crate::json;
use crate::moment::Millis;
use crate::sql::{Sql, StoreError, Value, one};

/// What a session is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Title(String);

/// What somebody wants of a session, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who.
    pub asker: Asker,
    /// What.
    pub act: Act,
}

/// What can be done with a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Say what is known of it.
    Describe,
    /// Let that user take no part any more.
    Dismiss(Id),
    /// Forget it, with all that was said in it.
    Erase,
    /// Let that user take part.
    Invite(Id),
    /// Call it that.
    Rename(Title),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Done {
    /// The session, as it is now.
    Session(Box<Description>),
    /// It is gone.
    Deleted {
        /// Always `true`.
        deleted: bool,
    },
    /// Whether that user takes part now.
    Participant {
        /// Who.
        user_id: Id,
        /// Whether.
        participant: bool,
    },
}

/// A session, as it is shown.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Which one.
    pub session_id: Id,
    /// Its room.
    pub room: RoomName,
    /// What it is called, once somebody has said or asked something.
    pub title: Option<String>,
    /// Whose it is; nobody's as long as only services have come.
    pub owner: Option<Id>,
    /// When the first socket was opened.
    pub created_at: String,
    /// When the newest message was taken; without any, when it was created.
    pub last_activity_at: String,
    /// The life of its log.
    pub epoch: Epoch,
    /// The newest message.
    pub seq: Seq,
    /// Who has come or was invited, in the order of their ids.
    pub participants: Vec<Participant>,
    /// The answers that are under way.
    pub answering: Vec<Id>,
}

/// Somebody who has come, or was invited.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Participant {
    /// Who.
    pub user_id: Id,
    /// Since when.
    pub since: String,
    /// Whether the user has a socket open.
    pub present: bool,
}

/// The row that says what the session is.
#[derive(Debug)]
struct Row {
    owner: Option<Id>,
    title: Option<Title>,
    created: Millis,
}

/// One session. It begins with the first socket.
#[derive(Debug)]
pub struct ChatSession<S> {
    sql: S,
    row: Option<Row>,
}

impl<S: Sql> ChatSession<S> {
    /// Loads the session: one row.
    pub fn open(sql: S) -> Result<Self, StoreError> {
        let rows = sql.exec("SELECT owner, title, created FROM session", &[])?;
        Ok(Self { sql, row: rows.into_iter().next().and_then(row) })
    }

    /// Where it is stored.
    pub const fn sql(&self) -> &S {
        &self.sql
    }

    /// Whether a socket was ever opened.
    pub const fn has_begun(&self) -> bool {
        self.row.is_some()
    }

    /// Whose it is.
    pub fn owner(&self) -> Option<&Id> {
        self.row.as_ref()?.owner.as_ref()
    }

    /// What it is called.
    pub fn title(&self) -> Option<&Title> {
        self.row.as_ref()?.title.as_ref()
    }

    /// When it began.
    pub fn created(&self) -> Option<Millis> {
        Some(self.row.as_ref()?.created)
    }

    /// A service opens a socket: the session begins, if it has not.
    pub fn begin(&mut self, now: Millis) -> Result<(), StoreError> {
        self.claim(None, now)
    }

    /// A user opens a socket. The first one owns the session; up to `most` are remembered.
    pub fn visit(&mut self, user: &Id, now: Millis, most: u64) -> Result<(), StoreError> {
        if self.owner().is_none() {
            self.claim(Some(user), now)?;
        }
        let known = one(self.sql.exec("SELECT 1 FROM participants WHERE user = ?", &[user.into()])?).number().is_some();
        if known || self.is_full(most)? {
            return Ok(());
        }
        let statement = "INSERT INTO participants (user, since, invited) VALUES (?, ?, 0)";
        self.sql.exec(statement, &[user.into(), now.0.into()]).map(drop)
    }

    fn claim(&mut self, owner: Option<&Id>, now: Millis) -> Result<(), StoreError> {
        let name = owner.map_or(Value::Null, Value::from);
        match &mut self.row {
            None => {
                let statement = "INSERT INTO session (one, owner, created) VALUES (1, ?, ?)";
                self.sql.exec(statement, &[name, now.0.into()])?;
                self.row = Some(Row { owner: owner.cloned(), title: None, created: now });
            }
            Some(row) if owner.is_some() => {
                self.sql.exec("UPDATE session SET owner = ?", &[name])?;
                row.owner = owner.cloned();
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Calls it that, and says whether it was called otherwise before.
    pub fn rename(&mut self, title: &Title) -> Result<bool, StoreError> {
        let Some(row) = self.row.as_mut().filter(|row| row.title.as_ref() != Some(title)) else { return Ok(false) };
        self.sql.exec("UPDATE session SET title = ?", &[Value::from(title.as_str())])?;
        row.title = Some(title.clone());
        Ok(true)
    }

    /// Lets a user take part, if there are not `most` already.
    pub fn invite(&self, user: &Id, now: Millis, most: u64) -> Result<bool, StoreError> {
        if !self.is_invited(user)? && self.is_full(most)? {
            return Ok(false);
        }
        let statement = "INSERT INTO participants (user, since, invited) VALUES (?, ?, 1)
            ON CONFLICT (user) DO UPDATE SET invited = 1 WHERE invited = 0";
        self.sql.exec(statement, &[user.into(), now.0.into()])?;
        Ok(true)
    }

    /// Lets a user take no part any more.
    pub fn dismiss(&self, user: &Id) -> Result<(), StoreError> {
        self.sql.exec("DELETE FROM participants WHERE user = ?", &[user.into()]).map(drop)
    }

    /// Whether that user was invited.
    pub fn is_invited(&self, user: &Id) -> Result<bool, StoreError> {
        let statement = "SELECT invited FROM participants WHERE user = ?";
        Ok(one(self.sql.exec(statement, &[user.into()])?).number() == Some(1))
    }

    /// Whether anybody was.
    pub fn has_invited(&self) -> Result<bool, StoreError> {
        Ok(one(self.sql.exec("SELECT 1 FROM participants WHERE invited = 1 LIMIT 1", &[])?).number().is_some())
    }

    fn is_full(&self, most: u64) -> Result<bool, StoreError> {
        let count = one(self.sql.exec("SELECT count(*) FROM participants", &[])?).number();
        Ok(count.is_some_and(|count| count >= most))
    }

    /// Who has come or was invited, and since when.
    pub fn participants(&self) -> Result<Vec<(Id, Millis)>, StoreError> {
        let rows = self.sql.exec("SELECT user, since FROM participants ORDER BY user", &[])?;
        Ok(rows.into_iter().filter_map(participant).collect())
    }
}

impl Title {
    /// Most characters.
    const MAX: usize = 200;
    /// Most characters of a question that become a title.
    const OF_QUESTION: usize = 80;

    /// Reads a body: `{"title":"…"}`.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            title: String,
        }
        let text = std::str::from_utf8(body).map_err(|_| Reject::InvalidJson)?;
        let bad = || Reject::InvalidMessage.because(format!("`title` is 1 to {} characters.", Self::MAX));
        let Body { title } = json::object(text, Reject::InvalidMessage)?;
        let title = Self::collapsed(&title);
        let fits = title.as_ref().is_some_and(|Self(title)| title.chars().count() <= Self::MAX);
        title.filter(|_| fits).ok_or_else(bad)
    }

    /// What a session is called of which nothing is known but the first question.
    pub fn of_question(question: &str) -> Option<Self> {
        let Self(title) = Self::collapsed(question)?;
        Self::collapsed(&title.chars().take(Self::OF_QUESTION).collect::<String>())
    }

    /// The text on one line, if anything stands there.
    fn collapsed(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        (!words.is_empty()).then(|| Self(words.join(" ")))
    }

    /// The title as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn row(row: Vec<Value>) -> Option<Row> {
    let [owner, title, created] = <[Value; 3]>::try_from(row).ok()?;
    let owner = owner.text().and_then(|owner| owner.parse().ok());
    Some(Row { owner, title: title.text().map(Title), created: Millis(created.number()?) })
}

fn participant(row: Vec<Value>) -> Option<(Id, Millis)> {
    let [user, since] = <[Value; 2]>::try_from(row).ok()?;
    Some((user.text()?.parse().ok()?, Millis(since.number()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_line_of_up_to_200_characters() {
        let longest = "ç".repeat(200);
        for (title, read) in
            [("Merenda", "Merenda"), ("  Merenda\n\u{0}\tescolar ", "Merenda escolar"), (&*longest, &*longest)]
        {
            let body = serde_json::json!({ "title": title }).to_string();
            assert_eq!(Title::parse(body.as_bytes()).unwrap().as_str(), read);
        }
        for (body, reject) in [
            (String::new(), Reject::InvalidJson),
            ("{".into(), Reject::InvalidJson),
            ("{}".into(), Reject::InvalidMessage),
            (r#"["a"]"#.into(), Reject::InvalidMessage),
            (r#"{"title":7}"#.into(), Reject::InvalidMessage),
            (r#"{"title":" \n"}"#.into(), Reject::InvalidMessage),
            (r#"{"title":"a","owner":"bia"}"#.into(), Reject::InvalidMessage),
            (format!(r#"{{"title":"{longest}ç"}}"#), Reject::InvalidMessage),
        ] {
            assert_eq!(Title::parse(body.as_bytes()).unwrap_err().reject, reject, "{body}");
        }
        assert_eq!(Title::parse(b"\xff").unwrap_err().reject, Reject::InvalidJson);
    }

    #[test]
    fn the_first_80_characters_of_a_question_are_a_title() {
        let title = |question: &str| Title::of_question(question).map(|title| title.as_str().to_owned());
        assert_eq!(title(" Quem  ganhou\no contrato 42? ").as_deref(), Some("Quem ganhou o contrato 42?"));
        assert_eq!(title(&"é".repeat(81)), Some("é".repeat(80)));
        assert_eq!(title(&format!("{} b", "a".repeat(79))), Some("a".repeat(79)));
        assert_eq!(title(" \n"), None);
    }
}
