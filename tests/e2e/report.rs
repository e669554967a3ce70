//! Telling how the steps went, in libtest's words.

use std::{
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    sync::{Mutex, PoisonError},
};

use coppice_clock::Mono;

use crate::arguments::Arguments;

/// What a panic said, until it is asked for; of the first thread that panicked.
static SAID: Mutex<Option<String>> = Mutex::new(None);

/// How a step went.
pub(crate) enum Verdict {
    Ok,
    /// It could not be tried on this machine.
    Ignored(String),
    Failed(String),
}

/// A step that ends with this panic was not tried; see [`ignore`].
struct CannotBeTried(String);

/// Ends the step: this machine lacks something that Coppice itself does not need.
pub(crate) fn ignore(why: &str) -> ! {
    std::panic::panic_any(CannotBeTried(why.to_owned()))
}

/// Panics of steps are told with the verdict, not where they happen.
pub(crate) fn keep_panics() {
    std::panic::set_hook(Box::new(|info| {
        let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
        said.get_or_insert_with(|| words(info));
    }));
}

fn words(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("(no words)");
    match info.location() {
        Some(at) => format!("{message}\n  at {}:{}", at.file(), at.line()),
        None => message.to_owned(),
    }
}

/// Runs one step.
pub(crate) fn attempt(step: impl FnOnce()) -> Verdict {
    let outcome = catch_unwind(AssertUnwindSafe(step));
    let said = SAID.lock().unwrap_or_else(PoisonError::into_inner).take();
    match outcome {
        Ok(()) => Verdict::Ok,
        Err(payload) => match payload.downcast::<CannotBeTried>() {
            Ok(why) => Verdict::Ignored(why.0),
            Err(_) => Verdict::Failed(said.unwrap_or_default()),
        },
    }
}

/// The counts, as the last line says them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

impl Counts {
    /// Prints one verdict and counts it.
    pub(crate) fn tell(
        &mut self,
        arguments: &Arguments,
        name: &str,
        began: Mono,
        verdict: &Verdict,
    ) {
        let took = Mono::now().since(began).as_secs_f64();
        let time = if arguments.report_time {
            format!(" <{took:.3}s>")
        } else {
            String::new()
        };
        match verdict {
            Verdict::Ok => {
                self.passed += 1;
                println!("test {name} ... ok{time}");
            }
            Verdict::Ignored(why) => {
                self.ignored += 1;
                println!("test {name} ... ignored, {why}");
            }
            Verdict::Failed(why) => {
                self.failed += 1;
                println!("test {name} ... FAILED{time}");
                println!("---- {name} ----\n{why}\n");
            }
        }
    }

    pub(crate) fn close(&self, filtered_out: usize, began: Mono) {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        println!(
            "\ntest result: {verdict}. {} passed; {} failed; {} ignored; 0 measured; {filtered_out} filtered out; finished in {:.2}s\n",
            self.passed,
            self.failed,
            self.ignored,
            Mono::now().since(began).as_secs_f64()
        );
    }

    /// For the way from inside to outside.
    pub(crate) fn to_text(self) -> String {
        format!("{} {} {}", self.passed, self.failed, self.ignored)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(Self {
            passed: next()?,
            failed: next()?,
            ignored: next()?,
        })
    }
}
