//! Random numbers from a seed that can be given again: `KUBENS_TEST_SEED`.

use super::tell;
use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator of random numbers (xorshift).
pub(crate) struct Random(u64);

impl Random {
    /// One with the seed of the environment, or another one each time. It is told.
    pub(crate) fn new() -> Self {
        let given = env::var("KUBENS_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos())
        });
        tell(&format!("KUBENS_TEST_SEED={seed}"));
        // Seeds that are near each other shall begin differently, and none with zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit).unwrap()).unwrap()
    }

    /// True once in `count` times.
    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// One of `all`.
    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        *all.get(self.below(all.len())).expect("one of several")
    }

    /// Puts `all` into another order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last + 1));
        }
    }
}
