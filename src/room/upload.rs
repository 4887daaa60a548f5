//! Files that come through the socket, in binary frames.

use super::{Failure, Room};
use crate::code::{Refusal, Reject};
use crate::files::sniff;
use crate::files::uploads::Upload;
use crate::files::{self, Offer, invalid};
use crate::id::{ConnId, Id, Kind};
use crate::moment::Millis;
use crate::protocol::{Announcement, ErrorData, Part, ServerFrame};
use crate::sql::{Sql, StoreError};
use crate::turn::{Errand, Turn};

/// What is to be taken of a part: those of its bytes that are not here yet.
struct News {
    handle: u32,
    bytes: Vec<u8>,
    /// Whether it brings the file on so far that its sender need not be slowed down.
    brisk: bool,
}

/// Why a part is not taken, with the file that it seems to belong to and the place that should come next.
struct Misfit {
    refusal: Refusal,
    of: Option<(Id, u64)>,
}

impl<S: Sql> Room<S> {
    /// Somebody announces a file: it may begin, or go on where it was, or it is here already.
    pub(super) fn announce(
        &mut self,
        turn: &mut Turn,
        conn: ConnId,
        announcement: Announcement,
    ) -> Result<(), StoreError> {
        let id = announcement.id.clone();
        match self.begin_upload(turn, conn, announcement) {
            Ok(()) => Ok(()),
            Err(Failure::Refused(refusal)) => {
                self.refuse_file(turn, conn, &refusal, Some("upload"), Some(&id), None);
                Ok(())
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }

    fn begin_upload(&mut self, turn: &mut Turn, conn: ConnId, announcement: Announcement) -> Result<(), Failure> {
        let offer = offer(announcement, self.speaker(conn, "upload")?);
        if let Some(file) = self.known_file(&offer)? {
            let complete = file.complete(&self.name, false);
            self.tell(turn, [conn], &ServerFrame::UploadComplete(&complete));
            return Ok(());
        }
        let now = turn.moment.now;
        let under_way = self.uploads.find(&offer.id).map(|(handle, upload)| (handle, upload.offer.clone()));
        let handle = match under_way {
            Some((handle, known)) => {
                check_same(&offer, &known)?;
                self.uploads.hand_over(handle, conn)?;
                self.uploads.retry(handle, now);
                handle
            }
            None => {
                self.check_offer(&offer)?;
                self.make_room(turn, conn)?;
                let (handle, _) = self.draw_place(turn, &offer.id);
                self.uploads.begin(handle, offer, conn, now)?;
                handle
            }
        };
        self.ready(turn, handle);
        Ok(())
    }

    /// A handle, and the key under which a file of that id goes by it: under none that is to go something may be put.
    pub(super) fn draw_place(&self, turn: &mut Turn, file: &Id) -> (u32, String) {
        loop {
            let handle = self.draw_handle(turn);
            let key = self.key_of(file, handle);
            if !self.discards.holds(&key) {
                return (handle, key);
            }
        }
    }

    /// A number that no upload has had lately: frames of one that has ended may still be on their way.
    fn draw_handle(&self, turn: &mut Turn) -> u32 {
        loop {
            let [a, b, c, d, ..] = turn.moment.number().to_le_bytes();
            let handle = u32::from_be_bytes([a, b, c, d]);
            if handle > 0 && self.uploads.get(handle).is_none() {
                return handle;
            }
        }
    }

    /// Whether there may be one more upload. Those that nobody sends any more give way to it.
    fn make_room(&mut self, turn: &Turn, conn: ConnId) -> Result<(), Failure> {
        let limits = &self.config.limits;
        let mine = self.uploads.iter().filter(|(_, upload)| upload.conn == conn).count();
        let (here, away) = (self.uploads_here(), |upload: &Upload| !self.peers.contains_key(&upload.conn));
        if mine >= limits.uploads_per_connection || here >= limits.uploads_per_room {
            return Err(Reject::TooManyFiles.because("Too many files are on their way: let one arrive first.").into());
        }
        let waiting = self.uploads.iter().filter(|(_, upload)| away(upload)).count();
        if waiting >= limits.uploads_waiting
            && let Some(idlest) = self.uploads.idlest(away)
        {
            self.forget_upload(turn, idlest)?;
        }
        Ok(())
    }

    /// How many uploads have a sender here.
    fn uploads_here(&self) -> usize {
        self.uploads.iter().filter(|(_, upload)| self.peers.contains_key(&upload.conn)).count()
    }

    fn ready(&self, turn: &mut Turn, handle: u32) {
        let Some(Upload { offer, conn, stored, .. }) = self.uploads.get(handle) else { return };
        let (window_bytes, frame_bytes) = (self.limits().upload_window_bytes, self.limits().upload_frame_bytes);
        let (file_id, offset, size) = (&offer.id, *stored, offer.size);
        let frame = ServerFrame::UploadReady { file_id, handle, offset, size, window_bytes, frame_bytes };
        self.tell(turn, [*conn], &frame);
    }

    /// A binary frame came.
    pub(super) fn receive_binary(&mut self, turn: &mut Turn, conn: ConnId, frame: &[u8]) -> Result<(), StoreError> {
        let news = self.read_part(conn, frame);
        if news.as_ref().is_ok_and(|news| news.brisk) {
            self.heard_from(conn, turn.moment.now);
        } else if !self.allows(turn, conn, frame.len())? {
            return Ok(());
        }
        match news {
            Ok(news) => self.take_part(turn, conn, news),
            Err(Misfit { refusal, of }) => {
                let original_type = (self.name.kind() == Kind::Chat).then_some("upload");
                let (file, offset) = of.unzip();
                self.refuse_file(turn, conn, &refusal, original_type, file.as_ref(), offset);
                Ok(())
            }
        }
    }

    /// What a frame brings that is not here yet. What has come before may come again; nothing may be left out.
    fn read_part(&self, conn: ConnId, frame: &[u8]) -> Result<News, Misfit> {
        let misfit = |refusal: Refusal| Misfit { refusal, of: None };
        if self.name.kind() != Kind::Chat {
            return Err(misfit(Reject::BinaryNotSupported.into()));
        }
        let part =
            Part::decode(frame).ok_or_else(|| misfit(invalid("A binary frame has 12 bytes before the file's.")))?;
        let upload = self.uploads.get(part.handle).filter(|upload| upload.conn == conn);
        let unknown = || misfit(invalid("No upload of that handle is under way on this connection."));
        let Upload { offer, stored, .. } = upload.ok_or_else(unknown)?;
        let misfit = |message: String| Misfit { refusal: invalid(message), of: Some((offer.id.clone(), *stored)) };
        let end = part.offset.saturating_add(part.bytes.len() as u64);
        if part.bytes.len() > self.limits().upload_frame_bytes {
            return Err(misfit(format!("A frame has at most {} bytes of a file.", self.limits().upload_frame_bytes)));
        }
        if part.offset > *stored || end > offer.size {
            return Err(misfit(format!("The file has {} bytes, and those from {stored} on come next.", offer.size)));
        }
        let known = usize::try_from(stored.saturating_sub(part.offset)).unwrap_or(usize::MAX);
        let bytes = part.bytes.get(known..).unwrap_or_default().to_vec();
        let brisk = !bytes.is_empty() && (bytes.len() >= self.limits().upload_brisk_bytes || end == offer.size);
        Ok(News { handle: part.handle, bytes, brisk })
    }

    /// Writes bytes down and confirms them. Of the first it may be plain that the file is not taken.
    fn take_part(&mut self, turn: &mut Turn, conn: ConnId, news: News) -> Result<(), StoreError> {
        let News { handle, bytes, .. } = news;
        let Some(Upload { offer, stored, .. }) = self.uploads.get(handle) else { return Ok(()) };
        let tells = *stored == 0 && (bytes.len() >= sniff::HEAD || bytes.len() as u64 == offer.size);
        if tells && let Err(refusal) = offer.settle_type(sniff::Kind::of(&bytes), &self.config) {
            return self.drop_upload(turn, handle, &refusal);
        }
        if !bytes.is_empty() {
            self.uploads.append(handle, bytes, turn.moment.now)?;
        }
        if let Some(Upload { offer, stored, .. }) = self.uploads.get(handle) {
            let frame = ServerFrame::UploadProgress { file_id: &offer.id, offset: *stored, size: offer.size };
            self.tell(turn, [conn], &frame);
        }
        Ok(())
    }

    /// Somebody gives an upload up. To give up what is not there is nothing new.
    pub(super) fn abort_upload(&mut self, turn: &mut Turn, conn: ConnId, id: &Id) -> Result<(), StoreError> {
        let user = match self.speaker(conn, "upload_abort") {
            Ok(user) => user,
            Err(refusal) => {
                self.refuse_file(turn, conn, &refusal, Some("upload_abort"), Some(id), None);
                return Ok(());
            }
        };
        let under_way = self.uploads.find(id).map(|(handle, upload)| (handle, upload.offer.user == user));
        let refusal = match under_way {
            Some((handle, true)) => return self.abort(turn, conn, handle, id),
            Some((_, false)) => Some(Reject::Forbidden.because("That is another user's upload.")),
            None if self.files.find(id)?.is_some() => Some(Reject::NotFound.because("That file has arrived.")),
            None => None,
        };
        match refusal {
            Some(refusal) => self.refuse_file(turn, conn, &refusal, Some("upload_abort"), Some(id), None),
            None => self.tell(turn, [conn], &ServerFrame::UploadAborted { file_id: id }),
        }
        Ok(())
    }

    fn abort(&mut self, turn: &mut Turn, conn: ConnId, handle: u32, id: &Id) -> Result<(), StoreError> {
        let sender = self.forget_upload(turn, handle)?.map(|upload| upload.conn).filter(|sender| *sender != conn);
        let told = [conn].into_iter().chain(sender);
        self.tell(turn, told, &ServerFrame::UploadAborted { file_id: id });
        Ok(())
    }

    /// Ends an upload, telling its sender why.
    pub(super) fn drop_upload(&mut self, turn: &mut Turn, handle: u32, refusal: &Refusal) -> Result<(), StoreError> {
        if let Some(Upload { offer, conn, .. }) = self.forget_upload(turn, handle)? {
            self.refuse_file(turn, conn, refusal, Some("upload"), Some(&offer.id), None);
        }
        Ok(())
    }

    /// Ends an upload. Once it is whole it may be where files are kept, or be put there yet by an errand under way.
    pub(super) fn forget_upload(&mut self, turn: &Turn, handle: u32) -> Result<Option<Upload>, StoreError> {
        let upload = self.uploads.remove(handle)?;
        if let Some(upload) = upload.as_ref().filter(|upload| upload.is_whole()) {
            self.discards.await_until(self.key_of(&upload.offer.id, handle), self.nobody_puts(turn.moment.now))?;
        }
        Ok(upload)
    }

    /// Ends all uploads of a user who takes no part any more.
    pub(super) fn drop_uploads_of(&mut self, turn: &Turn, user: &Id) -> Result<(), StoreError> {
        let theirs = self.uploads.iter().filter(|(_, upload)| upload.offer.user == *user);
        let theirs: Vec<u32> = theirs.map(|(handle, _)| handle).collect();
        theirs.into_iter().try_for_each(|handle| self.forget_upload(turn, handle).map(drop))
    }

    /// When nobody can be putting a file any more who may be at it now.
    pub(super) fn nobody_puts(&self, now: Millis) -> Millis {
        now.plus(self.limits().put_patience())
    }

    pub(super) fn key_of(&self, file: &Id, place: u32) -> String {
        files::key(&self.name, self.marks.epoch(), file, place)
    }

    pub(super) fn refuse_file(
        &self,
        turn: &mut Turn,
        conn: ConnId,
        refusal: &Refusal,
        original_type: Option<&str>,
        file: Option<&Id>,
        offset: Option<u64>,
    ) {
        let original = turn.original(conn).provided(|original| original.file.as_ref() == file);
        let error = ErrorData::new(refusal, original_type).about(&original).of_file(file, offset);
        self.tell(turn, [conn], &ServerFrame::Error(error));
    }

    /// Asks for what is due of files: uploads that are complete are put where files are kept, what is discarded goes from
    /// there, what nobody goes on with is dropped.
    pub(super) fn see_to_files(&mut self, turn: &mut Turn) -> Result<(), StoreError> {
        let now = turn.moment.now;
        for handle in self.uploads.forsaken(now, self.limits().upload_ttl) {
            self.forget_upload(turn, handle)?;
        }
        for handle in self.uploads.leave(now) {
            let Some(Upload { offer, .. }) = self.uploads.get(handle) else { continue };
            let (key, size) = (self.key_of(&offer.id, handle), offer.size);
            turn.run(Errand::Store { handle, key, size });
        }
        let due = self.discards.take(&mut turn.moment)?;
        due.into_iter().for_each(|(prefix, attempt)| turn.run(Errand::Discard { prefix, attempt }));
        Ok(())
    }
}

/// What somebody announced.
fn offer(announcement: Announcement, user: Id) -> Offer {
    let Announcement { id, name, size, content_type, sha256 } = announcement;
    let sha256 = sha256.map(|hash| hash.to_ascii_lowercase());
    Offer { id, user, name, size, content_type, sha256 }
}

/// Whether this is the file that was announced before.
fn check_same(offer: &Offer, known: &Offer) -> Result<(), Refusal> {
    if offer.user != known.user {
        return Err(Reject::IdTaken.into());
    }
    match offer.is_same(known.size, known.sha256.as_deref()) {
        true => Ok(()),
        false => Err(invalid("That id is another file's, of another size or hash.")),
    }
}
