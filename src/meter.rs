//! How much one connection may send: two token buckets, one of messages and one of bytes.

use crate::limits::Limits;
use crate::moment::Millis;

/// What one connection has used up. A new one has everything; a room that slept has slept long enough to fill it again.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    messages: Bucket,
    bytes: Bucket,
    refused: Bucket,
}

/// Too much too fast: the same frame may come after this pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFast {
    /// How long to wait, in milliseconds.
    pub wait: u64,
    /// Whether this has happened so often that the connection should be closed.
    pub abuse: bool,
}

/// A bucket, told by the time at which it will be full again, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    full: u64,
}

impl Bucket {
    /// The bucket after `cost`, or how long to wait for it. Both are times: what is taken, by how fast it comes back.
    fn take(self, now: u64, cost: u64, size: u64) -> Result<Self, u64> {
        let full = self.full.max(now).saturating_add(cost);
        match full.saturating_sub(now).saturating_sub(size) {
            0 => Ok(Self { full }),
            wait => Err(wait),
        }
    }
}

impl Meter {
    /// Counts one frame of so many bytes, unless it is too much. One that is larger than what may come at once costs all of
    /// that: it is refused for its size then, and not told to wait for what never comes.
    pub fn spend(&mut self, now: Millis, bytes: usize, limits: &Limits) -> Result<(), TooFast> {
        let now = now.0.saturating_mul(1_000);
        let time = |amount: u64, per_second: u64| amount.saturating_mul(1_000_000) / per_second.max(1);
        let (message_rate, byte_rate) = (limits.messages_per_second, limits.bytes_per_second);
        let messages = self.messages.take(now, time(1, message_rate), time(limits.message_burst, message_rate));
        let bytes = (bytes as u64).min(limits.byte_burst);
        let bytes = self.bytes.take(now, time(bytes, byte_rate), time(limits.byte_burst, byte_rate));
        match (messages, bytes) {
            (Ok(messages), Ok(bytes)) => {
                (self.messages, self.bytes) = (messages, bytes);
                Ok(())
            }
            (messages, bytes) => {
                let wait = messages.err().max(bytes.err()).unwrap_or_default().div_ceil(1_000);
                let minute = 60_000_000;
                let refused = self.refused.take(now, minute / limits.patience.max(1), minute);
                self.refused = refused.unwrap_or(self.refused);
                Err(TooFast { wait, abuse: refused.is_err() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> Limits = || Limits {
        messages_per_second: 10,
        message_burst: 5,
        bytes_per_second: 1_000,
        byte_burst: 2_000,
        patience: 3,
        ..Limits::default()
    };

    #[test]
    fn a_burst_is_fine_and_then_the_rate_holds() {
        let (mut meter, limits) = (Meter::default(), LIMITS());
        for _ in 0..5 {
            assert_eq!(meter.spend(Millis(1_000), 1, &limits), Ok(()));
        }
        assert_eq!(meter.spend(Millis(1_000), 1, &limits), Err(TooFast { wait: 100, abuse: false }));
        assert_eq!(meter.spend(Millis(1_099), 1, &limits).unwrap_err().wait, 1);
        assert_eq!(meter.spend(Millis(1_100), 1, &limits), Ok(()), "who waits as long as told is heard");
        assert!(meter.spend(Millis(1_100), 1, &limits).is_err());
    }

    #[test]
    fn a_frame_that_is_larger_than_a_burst_costs_a_burst() {
        let (mut meter, limits) = (Meter::default(), LIMITS());
        assert_eq!(meter.spend(Millis(1_000), 1_000_000, &limits), Ok(()));
        assert_eq!(meter.spend(Millis(1_000), 1_000_000, &limits), Err(TooFast { wait: 2_000, abuse: false }));
        assert_eq!(meter.spend(Millis(3_000), 1_000_000, &limits), Ok(()));
    }

    #[test]
    fn large_frames_use_up_what_many_small_ones_would() {
        let (mut meter, limits) = (Meter::default(), LIMITS());
        assert_eq!(meter.spend(Millis(0), 2_000, &limits), Ok(()));
        assert_eq!(meter.spend(Millis(0), 500, &limits), Err(TooFast { wait: 500, abuse: false }));
        assert_eq!(meter.spend(Millis(500), 500, &limits), Ok(()));
    }

    #[test]
    fn a_pause_fills_the_bucket_and_no_more_than_that() {
        let (mut meter, limits) = (Meter::default(), LIMITS());
        let burst = |meter: &mut Meter, now| (0..20).take_while(|_| meter.spend(now, 1, &limits).is_ok()).count();
        assert_eq!(burst(&mut meter, Millis(0)), 5);
        assert_eq!(burst(&mut meter, Millis(3_600_000)), 5);
    }

    #[test]
    fn who_goes_on_and_on_is_told_apart_from_who_slows_down() {
        let (mut meter, limits) = (Meter::default(), LIMITS());
        (0..5).for_each(|_| meter.spend(Millis(0), 1, &limits).unwrap());
        assert!(!meter.spend(Millis(0), 1, &limits).unwrap_err().abuse);
        assert!(!meter.spend(Millis(0), 1, &limits).unwrap_err().abuse);
        assert!(!meter.spend(Millis(0), 1, &limits).unwrap_err().abuse);
        assert_eq!(meter.spend(Millis(100), 1, &limits), Ok(()));
        assert!(meter.clone().spend(Millis(100), 1, &limits).unwrap_err().abuse, "one good frame excuses nothing");
        (0..5).for_each(|_| meter.spend(Millis(60_100), 1, &limits).unwrap());
        assert!(!meter.spend(Millis(60_100), 1, &limits).unwrap_err().abuse, "a quiet minute does");
    }
}
