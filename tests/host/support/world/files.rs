//! Where the world keeps files, and what people do with theirs.

use cidadao_realtime::asker::Asker;
use cidadao_realtime::files::download::Held;
use cidadao_realtime::files::sniff::{Inspection, Seen};
use cidadao_realtime::files::uploads;
use cidadao_realtime::files::{Complete, Offer};
use cidadao_realtime::room::{Permit, Place};
use cidadao_realtime::turn::{Errand, Outcome};

use super::super::sessions::user;
use super::*;

/// A bucket that can be told to fail, and what rooms have asked it to do.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) objects: BTreeMap<String, Vec<u8>>,
    /// Nothing can be reached there.
    pub(crate) down: bool,
    errands: VecDeque<(RoomName, Errand)>,
    /// How often each key was written.
    pub(crate) written: BTreeMap<String, usize>,
}

/// What came of an errand.
pub(crate) struct Done {
    room: RoomName,
    errand: Errand,
    outcome: Outcome,
}

impl World {
    pub(super) fn send_out(&mut self, room: &RoomName, errand: Errand) {
        self.bucket.errands.push_back((room.clone(), errand));
    }

    /// How many errands are on their way.
    pub(crate) fn errands(&self) -> usize {
        self.bucket.errands.len()
    }

    /// Runs the first errand. What comes of it reaches the room however often it was loaded meanwhile.
    pub(crate) fn run_errand(&mut self) -> bool {
        self.run_errand_with(true)
    }

    /// Runs the first errand, and loses what comes of it.
    pub(crate) fn lose_errand(&mut self) -> bool {
        self.run_errand_with(false)
    }

    /// Runs all errands side by side: the rooms hear of them when the last is done.
    pub(crate) fn run_errands_together(&mut self) {
        let errands: Vec<(RoomName, Errand)> = self.bucket.errands.drain(..).collect();
        let outcomes: Vec<Outcome> = errands.iter().map(|(room, errand)| self.outcome(room, errand)).collect();
        for ((room, errand), outcome) in errands.into_iter().zip(outcomes) {
            self.take(&room, Input::Ran(errand, outcome)).ok();
        }
    }

    fn run_errand_with(&mut self, heard: bool) -> bool {
        let Some(done) = self.begin_errand() else { return false };
        if heard {
            self.end_errand(done);
        }
        true
    }

    /// Runs the first errand, of which the room has still to hear.
    pub(crate) fn begin_errand(&mut self) -> Option<Done> {
        let (room, errand) = self.bucket.errands.pop_front()?;
        let outcome = self.outcome(&room, &errand);
        Some(Done { room, errand, outcome })
    }

    /// The room hears what came of an errand.
    pub(crate) fn end_errand(&mut self, Done { room, errand, outcome }: Done) {
        self.take(&room, Input::Ran(errand, outcome)).ok();
    }

    fn outcome(&mut self, room: &RoomName, errand: &Errand) -> Outcome {
        if self.bucket.down {
            return Outcome::Failed;
        }
        match errand {
            Errand::Discard { prefix, .. } => {
                self.bucket.objects.retain(|key, _| !key.starts_with(prefix));
                Outcome::Discarded
            }
            Errand::Store { handle, key, size } => {
                let sql = self.place(room).sql.clone();
                let mut bytes = Vec::new();
                while (bytes.len() as u64) < *size {
                    let Ok(part) = uploads::part(&sql, *handle, bytes.len() as u64) else { return Outcome::Failed };
                    bytes.extend(part);
                }
                Outcome::Stored(self.put(key, bytes))
            }
        }
    }

    /// Puts bytes under a key.
    pub(crate) fn put(&mut self, key: &str, bytes: Vec<u8>) -> Seen {
        let mut inspection = Inspection::default();
        inspection.push(&bytes);
        self.bucket.objects.insert(key.to_owned(), bytes);
        *self.bucket.written.entry(key.to_owned()).or_default() += 1;
        inspection.finish()
    }

    /// Asks, as the entry does, whether a file may come.
    pub(crate) fn admit(&mut self, room: &str, offer: &Offer) -> Result<Permit, Failure> {
        let caller = user(offer.user.as_str());
        self.turn(&name(room), |room, turn| room.admit_file(turn, &caller, offer))
    }

    /// The same, with whatever is drawn from there on: an earlier admission that began there drew the same.
    pub(crate) fn admit_drawing(&mut self, lot: u128, room: &str, offer: &Offer) -> Result<Permit, Failure> {
        self.drawn = lot;
        self.admit(room, offer)
    }

    /// Says, as the entry does, that it has come.
    pub(crate) fn bring(
        &mut self,
        room: &str,
        offer: &Offer,
        place: &Place,
        bytes: &[u8],
    ) -> Result<Complete, Failure> {
        let (caller, seen) = (user(offer.user.as_str()), self.put(&place.key, bytes.to_vec()));
        let told =
            self.turn(&name(room), |room, turn| Ok(room.file_brought(turn, &caller, offer.clone(), place, &seen)?))?;
        told.map_err(Failure::Refused)
    }

    /// Where a file is, by what its room says.
    pub(crate) fn held(&mut self, room: &str, id: &str) -> Result<Held, Failure> {
        self.held_for(room, &user("ana"), id)
    }

    /// Where a file is, as somebody is told.
    pub(crate) fn held_for(&mut self, room: &str, asker: &Asker, id: &str) -> Result<Held, Failure> {
        let id = id.parse().unwrap();
        self.turn(&name(room), |room, _| room.file(asker, &id))
    }

    /// The bytes of a file, by what its room says.
    pub(crate) fn fetch(&mut self, room: &str, id: &str) -> Option<Vec<u8>> {
        let held = self.held(room, id).ok()?;
        self.bucket.objects.get(&held.key).cloned()
    }

    /// Announces a file, and says at which handle and place it begins; `None` if the answer is another.
    pub(crate) fn announce(&mut self, conn: ConnId, id: &str, data: &Value) -> Option<(u32, u64)> {
        self.frames(conn);
        self.send(conn, &json!({"type": "upload", "id": id, "data": data}));
        let frames = self.sockets[&conn].frames.clone();
        let ready = frames.last().filter(|frame| frame["type"] == "upload_ready")?;
        Some((ready["data"]["handle"].as_u64()? as u32, ready["data"]["offset"].as_u64()?))
    }

    /// Sends bytes of a file.
    pub(crate) fn send_part(&mut self, conn: ConnId, handle: u32, offset: u64, bytes: &[u8]) {
        let frame = [&handle.to_be_bytes()[..], &offset.to_be_bytes(), bytes].concat();
        self.receive(conn, Input::ReceivedBinary(conn, frame));
    }
}
