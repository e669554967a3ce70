//! Progress: every step prints what it does and how long that took.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::stopwatch::Stopwatch;

/// What a step found to do.
pub(crate) enum Outcome {
    Done,
    /// Nothing has changed since the last time.
    Unchanged,
}

/// The steps of one run of a verb, and what else is worth timing.
#[derive(Default)]
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Does `work`, and says so.
    pub(crate) fn step(
        &mut self,
        name: &str,
        work: impl FnOnce() -> Result<Outcome>,
    ) -> Result<()> {
        eprintln!("== {name}");
        let watch = Stopwatch::start();
        let outcome = work().with_context(|| name.to_owned())?;
        let took = watch.elapsed();
        match outcome {
            Outcome::Done => eprintln!("   {name}: {:.1} s", took.as_secs_f64()),
            Outcome::Unchanged => eprintln!("   unchanged"),
        }
        self.took(name, took);
        Ok(())
    }

    /// [`Steps::step`] for work that is always done.
    pub(crate) fn always(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.step(name, || work().map(|()| Outcome::Done))
    }

    /// Remembers how long something took that printed its own line.
    pub(crate) fn took(&mut self, name: &str, duration: Duration) {
        self.taken.push((name.to_owned(), duration));
    }

    /// The `count` slowest, slowest first, one a line.
    pub(crate) fn slowest(&self, count: usize) -> String {
        let mut taken: Vec<_> = self.taken.iter().collect();
        taken.sort_by_key(|(_, duration)| std::cmp::Reverse(*duration));
        let lines = taken.iter().take(count);
        lines
            .map(|(name, duration)| format!("{:9.3} s  {name}\n", duration.as_secs_f64()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_come_first() {
        let mut steps = Steps::default();
        for (name, ms) in [("b", 20), ("c", 1500), ("a", 300)] {
            steps.took(name, Duration::from_millis(ms));
        }
        assert_eq!(steps.slowest(2), "    1.500 s  c\n    0.300 s  a\n");
    }

    #[test]
    fn a_failed_step_says_which_it_was() {
        let error = Steps::default()
            .always("web: build", || anyhow::bail!("no space"))
            .unwrap_err();
        assert_eq!(format!("{error:#}"), "web: build: no space");
    }
}
