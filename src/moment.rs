//! The time and some randomness, which every input brings along: the core has no other source of either.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment and `millis` more.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// `2025-10-31T19:00:00.000Z`.
    pub fn to_rfc3339(self) -> String {
        let moment = i64::try_from(self.0).ok().and_then(DateTime::from_timestamp_millis);
        moment.unwrap_or(DateTime::UNIX_EPOCH).to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// When something happens. Ids drawn at one moment are distinct and sort in the order they were drawn.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The time.
    pub now: Millis,
    random: u128,
}

impl Moment {
    /// The moment `now`; `random` must be fresh.
    pub const fn new(now: Millis, random: [u8; 16]) -> Self {
        Self { now, random: u128::from_be_bytes(random) }
    }

    /// A fresh UUID, version 7: time first, so that ids sort by age.
    pub fn uuid(&mut self) -> Uuid {
        // 74 random bits fill the UUID; counting on in them keeps the order within the moment.
        self.random = self.random.wrapping_add(1);
        let [_, _, _, _, _, _, bytes @ ..] = self.random.to_be_bytes();
        uuid::Builder::from_unix_timestamp_millis(self.now.0, &bytes).into_uuid()
    }

    /// A fresh number. Nothing secret.
    pub fn number(&mut self) -> u64 {
        self.random = self.random.wrapping_add(1);
        let [.., a, b, c, d, e, f, g, h] = self.random.to_be_bytes();
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// A fresh secret: 128 random bits in hexadecimal. Nothing else may be drawn at the same moment.
    pub fn secret(&mut self) -> String {
        self.random = self.random.wrapping_add(1);
        format!("{:032x}", self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_protocol_says() {
        assert_eq!(Millis(1_761_937_200_123).to_rfc3339(), "2025-10-31T19:00:00.123Z");
        assert_eq!(Millis(u64::MAX).to_rfc3339(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_ids_of_one_moment_differ_and_keep_their_order() {
        let mut moment = Moment::new(Millis(1_761_937_200_123), [7; 16]);
        let ids: Vec<Uuid> = (0..1000).map(|_| moment.uuid()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].get_version_num(), 7);
    }
}
