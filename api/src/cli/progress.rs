//! Something to look at while a thing takes longer than a moment.
//!
//! Invariant: it is drawn on standard error, only when that is a terminal, and is gone before anything else is printed.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Common;

/// What is done before this needs no bar.
const A_MOMENT: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);
const SPINNER: &str = "{spinner} {msg} {elapsed}";
const COUNTED: &str = "{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {eta}";

/// How far something is, for whoever waits for it.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    wanted: bool,
}

impl Progress {
    /// Nothing is seen before [`Self::while_doing`] has lasted a moment.
    pub(super) fn of(common: &Common, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self {
            bar: styled(bar.with_message(what.to_owned()), SPINNER),
            wanted: !common.json && !common.quiet,
        }
    }

    /// Something else is under way now.
    pub(super) fn now(&self, what: &str) {
        if self.bar.message() != what {
            self.bar.set_message(what.to_owned());
        }
    }

    /// So many bytes are done, of so many.
    pub(super) fn bytes(&self, done: u64, total: u64) {
        if self.bar.length() != Some(total) {
            let _ = styled(self.bar.clone(), COUNTED);
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
    }

    /// Waits for it.
    pub(super) async fn while_doing<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let done = match tokio::time::timeout(A_MOMENT, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                if self.wanted {
                    // `indicatif` leaves a standard error alone that is no terminal.
                    self.bar.set_draw_target(ProgressDrawTarget::stderr());
                    self.bar.enable_steady_tick(TICK);
                }
                work.await
            }
        };
        self.bar.finish_and_clear();
        done
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Waits for what has nothing to count.
pub(super) async fn patiently<T>(common: &Common, what: &str, work: impl Future<Output = T>) -> T {
    Progress::of(common, what).while_doing(work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_read() {
        for template in [SPINNER, COUNTED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bar_is_there_only_while_something_lasts() {
        let common = Common {
            quiet: true,
            ..Common::default()
        };
        let progress = Progress::of(&common, "waiting");
        let (seen, bar) = (progress.clone(), progress.bar.clone());
        let work = async move {
            tokio::time::sleep(A_MOMENT * 3).await;
            seen.bytes(1, 2);
            (bar.is_finished(), bar.position(), bar.length())
        };
        assert_eq!(progress.while_doing(work).await, (false, 1, Some(2)));
        assert!(progress.bar.is_finished());
    }
}
