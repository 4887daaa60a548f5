//! Chance that can be repeated.

use std::panic::{RefUnwindSafe, catch_unwind};

/// SplitMix64: good enough to draw schedules, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }
}

/// Runs the schedule of `SIMULATION_SEED` alone, or as many as `SIMULATION_SEEDS` says, or `count`.
pub(crate) fn each_seed(count: u64, simulate: impl Fn(u64) + RefUnwindSafe) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("SIMULATION_SEED") {
        return simulate(seed);
    }
    for seed in 0..number("SIMULATION_SEEDS").unwrap_or(count) {
        assert!(catch_unwind(|| simulate(seed)).is_ok(), "SIMULATION_SEED={seed} shows it");
    }
}
