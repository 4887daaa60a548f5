//! Files that arrive, however they came, and those that are asked for or go.

use super::{Failure, Room};
use crate::asker::Asker;
use crate::code::{Refusal, Reject};
use crate::files::download::Held;
use crate::files::sniff::Seen;
use crate::files::{self, Complete, File, Offer, invalid};
use crate::id::{Epoch, Id};
use crate::message::Draft;
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
    pub fn about_file(&mut self, turn: &mut Turn, ask: Ask) -> Result<Told, Failure> {
        match ask {
            Ask::Admit(asker, offer) => self.admit_file(turn, &asker, &offer).map(Told::Permit),
            Ask::Brought(asker, offer, at, seen) => {
                self.file_brought(turn, &asker, offer, &at, &seen).map(Told::Complete)
            }
            Ask::Find(asker, id) => self.file(&asker, &id).map(Told::Held),
        }
    }

    /// Somebody wants to bring a file over HTTP.
    pub fn admit_file(&mut self, turn: &mut Turn, asker: &Asker, offer: &Offer) -> Result<Permit, Failure> {
        self.let_in(asker)?;
        if let Some(file) = self.known_file(offer)? {
            return Ok(Permit::Known(file.complete(&self.name, true)));
        }
        self.check_offer(offer)?;
        self.settle(turn)?;
        let (epoch, place) = (self.marks.epoch(), self.draw_handle(turn));
        Ok(Permit::Place(Place { key: self.key_of(&offer.id, place), epoch, place }))
    }

    /// It has been put where files are kept. If it is not taken, it is to go from there.
    pub fn file_brought(
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
            if file.place != at.place {
                self.discards.add(at.key.clone(), turn.moment.now)?;
            }
            self.settle(turn)?;
            return Ok(file.complete(&self.name, true));
        }
        self.check_offer(&offer)?;
        let content_type = offer.accept(seen, &self.config)?;
        let complete = self.publish_file(turn, offer, seen, content_type, at.place)?;
        if let Some((handle, _)) = self.uploads.find(&complete.file_id) {
            self.end_upload(turn, handle, &complete)?;
        }
        self.settle(turn)?;
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
            (Errand::Discard { prefix }, outcome) => {
                self.discards.tried(&prefix, outcome == Outcome::Discarded, turn.moment.now)
            }
            (Errand::Store { handle, key, .. }, Outcome::Stored(seen)) => self.stored(turn, handle, key, &seen),
            (Errand::Store { handle, .. }, Outcome::Failed | Outcome::Discarded) => self.store_failed(turn, handle),
        }
    }

    /// An upload is where files are kept. If nobody waits for it any more, it goes from there again.
    fn stored(&mut self, turn: &mut Turn, handle: u32, key: String, seen: &Seen) -> Result<(), StoreError> {
        let Some(offer) = self.uploads.get(handle).map(|upload| upload.offer.clone()) else {
            return if self.holds(&key)? { Ok(()) } else { self.discards.add(key, turn.moment.now) };
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

    /// Whether a file of this room is under that key.
    fn holds(&self, key: &str) -> Result<bool, StoreError> {
        let id = key.split('/').nth(2).and_then(|id| id.parse().ok());
        let file = id.map_or(Ok(None), |id| self.files.find(&id))?;
        Ok(file.is_some_and(|file| self.key_of(&file.id, file.place) == key))
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

    /// What is to go from where files are kept when this life of the room ends: all that begins with these.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let all = self.config.files.then(|| files::prefix(&self.name, self.marks.epoch()));
        self.discards.prefixes().into_iter().chain(all).collect()
    }
}
