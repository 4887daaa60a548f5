//! Files that arrive, however they came, and those that are asked for or go.

use super::{Failure, Room};
use crate::asker::Asker;
use crate::code::{Refusal, Reject};
use crate::files::download::Held;
use crate::files::sniff::Seen;
use crate::files::{self, Complete, File, Offer, invalid};
use crate::id::{Epoch, Id};
use crate::message::Draft;
use crate::moment::Millis;
use crate::protocol::ServerFrame;
use crate::sql::{Sql, StoreError};
use crate::turn::{Errand, Outcome, Turn};
use serde::{Deserialize, Serialize};

/// What the entry asks about a file.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// May this come?
    Admit(Asker, Offer),
    /// It has come.
    Brought(Asker, Offer, Place, Seen),
    /// Where is this?
    Find(Asker, Id),
}

/// The answer to an [`Ask`].
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Told {
    /// Where it is.
    Held(Held),
    /// Whether it may come.
    Permit(Permit),
    /// It is here.
    Complete(Complete),
}

/// Whether a file may be brought over HTTP.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Permit {
    /// It is here already: this is what its sender is told.
    Known(Complete),
    /// It may be put there.
    Place(Place),
}

/// Where a file's bytes are to be put.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Under this key.
    pub key: String,
    /// In this life of the room.
    pub epoch: Epoch,
    /// By this attempt.
    pub place: u32,
}

/// What the message says that tells of a file.
#[derive(Serialize)]
struct News<'a> {
    file_id: &'a Id,
    name: &'a str,
    size: u64,
    content_type: &'a str,
    sha256: &'a str,
    user_id: &'a Id,
    url: &'a str,
}

impl<S: Sql> Room<S> {
    /// Answers what the entry asks about a file.
    pub fn about_file(&mut self, turn: &mut Turn, ask: Ask) -> Result<Result<Told, Refusal>, Failure> {
        match ask {
            Ask::Admit(asker, offer) => self.admit_file(turn, &asker, &offer).map(|permit| Ok(Told::Permit(permit))),
            Ask::Brought(asker, offer, at, seen) => {
                let complete = self.file_brought(turn, &asker, offer, &at, &seen)?;
                Ok(complete.map(Told::Complete))
            }
            Ask::Find(asker, id) => self.file(&asker, &id).map(|held| Ok(Told::Held(held))),
        }
    }

    /// Somebody wants to bring a file over HTTP. What is put there goes again, unless the room hears of it in time: who
    /// puts it there may be gone by then.
    pub fn admit_file(&mut self, turn: &mut Turn, asker: &Asker, offer: &Offer) -> Result<Permit, Failure> {
        self.let_in(asker)?;
        if let Some(file) = self.known_file(offer)? {
            return Ok(Permit::Known(file.complete(&self.name, true)));
        }
        self.check_offer(offer)?;
        if self.discards.awaited() >= self.limits().puts_per_room {
            return Err(Reject::TooManyFiles.because("Too many files are on their way: let one arrive first.").into());
        }
        let (epoch, (place, key)) = (self.marks.epoch(), self.draw_place(turn, &offer.id));
        self.discards.await_until(key.clone(), self.nobody_puts(turn.moment.now))?;
        self.settle(turn)?;
        Ok(Permit::Place(Place { key, epoch, place }))
    }

    /// It has been put where files are kept. If it is not taken, it is to go from there: that is kept with the refusal.
    pub fn file_brought(
        &mut self,
        turn: &mut Turn,
        asker: &Asker,
        offer: Offer,
        at: &Place,
        seen: &Seen,
    ) -> Result<Result<Complete, Refusal>, StoreError> {
        let taken = match self.take_file(turn, asker, offer, at, seen) {
            Ok(complete) => Ok(complete),
            Err(Failure::Refused(refusal)) => Err(refusal),
            Err(Failure::Broken(error)) => return Err(error),
        };
        match self.holds(&at.key)? {
            true => self.discards.keep(&at.key)?,
            false => self.discards.add(at.key.clone(), turn.moment.now)?,
        }
        self.settle(turn)?;
        Ok(taken)
    }

    fn take_file(
        &mut self,
        turn: &mut Turn,
        asker: &Asker,
        offer: Offer,
        at: &Place,
        seen: &Seen,
    ) -> Result<Complete, Failure> {
        self.let_in(asker)?;
        if at.epoch != self.marks.epoch() {
            return Err(Refusal::from(Reject::SessionDeleted).into());
        }
        if let Some(file) = self.known_file(&offer)? {
            return Ok(file.complete(&self.name, true));
        }
        self.check_offer(&offer)?;
        let content_type = offer.accept(seen, &self.config)?;
        if !self.discards.awaits(&at.key) {
            return Err(files::late().into());
        }
        let complete = self.publish_file(turn, offer, seen, content_type, at.place)?;
        if let Some((handle, _)) = self.uploads.find(&complete.file_id) {
            self.overtake_upload(turn, handle, &complete)?;
        }
        Ok(complete)
    }

    /// Where a file is that somebody asks for.
    pub fn file(&self, asker: &Asker, id: &Id) -> Result<Held, Failure> {
        self.let_in(asker)?;
        let File { id, name, size, content_type, sha256, place, .. } =
            self.files.find(id)?.ok_or_else(|| Reject::NotFound.because("There is no file of that id."))?;
        Ok(Held { key: self.key_of(&id, place), name, size, content_type, sha256 })
    }

    /// The file that is offered, if it is here already; unless the id is another's.
    pub(super) fn known_file(&self, offer: &Offer) -> Result<Option<File>, Failure> {
        if !self.config.files {
            return Err(Refusal::from(Reject::FilesUnavailable).into());
        }
        let Some(file) = self.files.find(&offer.id)? else { return Ok(None) };
        if file.user != offer.user {
            return Err(Refusal::from(Reject::IdTaken).into());
        }
        match offer.is_same(file.size, Some(&file.sha256)) {
            true => Ok(Some(file)),
            false => Err(invalid("That id is another file's, of another size or hash.").into()),
        }
    }

    /// Whether a file may be left here that nobody has heard of.
    pub(super) fn check_offer(&mut self, offer: &Offer) -> Result<(), Failure> {
        offer.check(&self.config)?;
        let others = self.uploads.iter().filter(|(_, upload)| upload.offer.id != offer.id);
        let coming = others.map(|(_, upload)| upload.offer.size).collect::<Vec<u64>>();
        let (count, bytes) = self.files.total()?;
        let count = count.saturating_add(coming.len() as u64);
        let bytes = coming.iter().fold(bytes, |sum, size| sum.saturating_add(*size)).saturating_add(offer.size);
        if count >= self.limits().files_per_room || bytes > self.limits().file_bytes_per_room {
            return Err(Refusal::from(Reject::TooManyFiles).into());
        }
        let another = self.uploads.find(&offer.id).is_some_and(|(_, upload)| upload.offer.user != offer.user);
        let answer = self.answers.find(|asked| asked.id == offer.id).is_some();
        if another || answer || self.log.find(&offer.id)?.is_some() {
            return Err(Refusal::from(Reject::IdTaken).into());
        }
        Ok(())
    }

    /// Tells everybody of a file that has arrived, and writes it down.
    fn publish_file(
        &mut self,
        turn: &mut Turn,
        offer: Offer,
        seen: &Seen,
        content_type: String,
        place: u32,
    ) -> Result<Complete, Failure> {
        let Offer { id, user, name, .. } = offer;
        let (url, size, sha256) = (files::url(&self.name, &id), seen.size, seen.sha256.clone());
        let (file_id, user_id) = (&id, &user);
        let news =
            News { file_id, name: &name, size, content_type: &content_type, sha256: &sha256, user_id, url: &url };
        let taken = self.post(turn, Draft::new("file", &news, id.clone()), None)?;
        let seq = taken.seq.filter(|_| !taken.duplicate).ok_or_else(|| Refusal::from(Reject::IdTaken))?;
        let file = File { id, name, size, content_type, sha256, user, seq, place };
        self.files.add(&file)?;
        Ok(file.complete(&self.name, false))
    }

    /// Something came of what the platform was asked to do about files.
    pub(super) fn ran(&mut self, turn: &mut Turn, errand: Errand, outcome: Outcome) -> Result<(), StoreError> {
        match (errand, outcome) {
            (Errand::Discard { prefix, attempt }, outcome) => {
                self.discards.tried(&prefix, attempt, outcome == Outcome::Discarded, turn.moment.now)
            }
            (Errand::Store { handle, key, .. }, Outcome::Stored(seen)) => self.stored(turn, handle, key, &seen),
            (Errand::Store { handle, .. }, Outcome::Failed | Outcome::Discarded) => self.store_failed(turn, handle),
        }
    }

    /// An upload is where files are kept.
    fn stored(&mut self, turn: &mut Turn, handle: u32, key: String, seen: &Seen) -> Result<(), StoreError> {
        let Some(offer) = self.uploads.get(handle).map(|upload| upload.offer.clone()) else {
            return self.stored_in_vain(turn, key);
        };
        let arrived = match offer.accept(seen, &self.config) {
            Ok(content_type) => self.publish_file(turn, offer, seen, content_type, handle),
            Err(refusal) => Err(refusal.into()),
        };
        match arrived {
            Ok(complete) => self.end_upload(turn, handle, &complete),
            Err(Failure::Refused(refusal)) => self.drop_upload(turn, handle, &refusal),
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    /// Nobody waits for an upload any more that is where files are kept now: it goes from there again. If more of it may
    /// be on its way there, it goes once more when that is due.
    fn stored_in_vain(&mut self, turn: &mut Turn, key: String) -> Result<(), StoreError> {
        if self.holds(&key)? {
            return Ok(());
        }
        if !self.discards.awaits(&key) {
            return self.discards.add(key, turn.moment.now);
        }
        let attempt = turn.moment.number();
        turn.run(Errand::Discard { prefix: key, attempt });
        Ok(())
    }

    /// Whether a file of this room is under that key.
    fn holds(&self, key: &str) -> Result<bool, StoreError> {
        let id = key.split('/').nth(2).and_then(|id| id.parse().ok());
        let file = id.map_or(Ok(None), |id| self.files.find(&id))?;
        Ok(file.is_some_and(|file| self.key_of(&file.id, file.place) == key))
    }

    /// The upload is over: the file has come another way. What of it is where files are kept is not needed.
    fn overtake_upload(&mut self, turn: &mut Turn, handle: u32, complete: &Complete) -> Result<(), StoreError> {
        if let Some(upload) = self.forget_upload(turn, handle)? {
            self.tell(turn, [upload.conn], &ServerFrame::UploadComplete(complete));
        }
        Ok(())
    }

    /// The upload is over: the file is here.
    fn end_upload(&mut self, turn: &mut Turn, handle: u32, complete: &Complete) -> Result<(), StoreError> {
        if let Some(upload) = self.uploads.remove(handle)? {
            self.tell(turn, [upload.conn], &ServerFrame::UploadComplete(complete));
        }
        Ok(())
    }

    fn store_failed(&mut self, turn: &mut Turn, handle: u32) -> Result<(), StoreError> {
        if !self.uploads.failed(handle, turn.moment.now, &self.config.limits) {
            return Ok(());
        }
        if let Some(upload) = self.uploads.get(handle) {
            let (conn, id, refusal) = (upload.conn, upload.offer.id.clone(), Reject::FilesUnavailable.into());
            self.refuse_file(turn, conn, &refusal, Some("upload"), Some(&id), Some(upload.stored));
        }
        Ok(())
    }

    /// What is to go from where files are kept when this life of the room ends: what there is now, and, when nobody can be
    /// putting anything there any more, what has come since; and what earlier lives have left.
    pub(super) fn left_behind(&mut self, now: Millis) -> Result<Vec<(String, Option<Millis>)>, StoreError> {
        let all = self.discards.all();
        if !self.config.files {
            return Ok(all);
        }
        let late = self.may_put()?.then(|| self.nobody_puts(now));
        let life = files::life(&self.name, self.marks.epoch());
        let earlier = all.into_iter().filter(|(prefix, _)| !prefix.starts_with(&life));
        let late = late.map(|due| (life.clone(), Some(due)));
        Ok(earlier.chain([(format!("{life}/"), None)]).chain(late).collect())
    }

    /// Whether anybody may be putting a file: an errand may be at one that is here, too, since it may run twice.
    fn may_put(&mut self) -> Result<bool, StoreError> {
        let whole = self.uploads.iter().any(|(_, upload)| upload.is_whole());
        Ok(whole || !self.discards.all().is_empty() || self.files.total()?.0 > 0)
    }

    /// Writes down what an earlier life of the room has left behind.
    pub(super) fn leave_behind(&mut self, left: Vec<(String, Option<Millis>)>, now: Millis) -> Result<(), StoreError> {
        left.into_iter().try_for_each(|(prefix, due)| match due {
            Some(due) => self.discards.await_until(prefix, due),
            None => self.discards.add(prefix, now),
        })
    }
}
