//! The rounds: everyone once in each, from spawn to wait.

use crate::Outcome;
use crate::spawn::Command;
use std::time::Duration;

/// Rounds that are run first and forgotten: caches are warm in those that count.
const WARM_UP: usize = 20;

/// One who takes part.
pub(crate) struct Contender {
    /// What the table calls it.
    pub(crate) name: String,
    command: Command,
    times: Vec<Duration>,
}

impl Contender {
    /// Somebody who has not run yet.
    pub(crate) fn new(name: &str, command: Command) -> Self {
        Self { name: name.to_owned(), command, times: Vec::new() }
    }

    /// The time that `percent` of the runs did not exceed, in microseconds; the times are sorted.
    pub(crate) fn quantile(&self, percent: usize) -> f64 {
        let index = self.times.len() * percent / 100;
        self.times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }
}

/// Runs all of them `rounds` times, and sorts what each took. Each runs twice in a round, and the
/// second time counts: the first one brings the caches back from whoever came before, a shell for one
/// and a program of two pages for another. The order changes from round to round all the same.
pub(crate) fn run(contenders: &mut [Contender], rounds: usize) -> Outcome<()> {
    let mut order: Vec<&mut Contender> = contenders.iter_mut().collect();
    let mut random = 1_u64;
    for round in 0..WARM_UP + rounds {
        shuffle(&mut order, &mut random);
        for contender in &mut order {
            let twice = || contender.command.run().and_then(|_| contender.command.run());
            let time = twice().map_err(|error| format!("{}: {error}", contender.name))?;
            if round >= WARM_UP {
                contender.times.push(time);
            }
        }
    }
    for contender in contenders {
        contender.times.sort_unstable();
    }
    Ok(())
}

/// Brings `items` into a random order (Fisher and Yates), the same in every run of the benchmark.
fn shuffle<T>(items: &mut [T], random: &mut u64) {
    for last in (1..items.len()).rev() {
        // Knuth's MMIX generator; its upper bits are the good ones.
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let other = usize::try_from(*random >> 33).unwrap_or(0) % (last + 1);
        items.swap(last, other);
    }
}
