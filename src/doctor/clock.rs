//! Whether the clock can be believed: certificates are valid from a day to a day.

use coppice_clock::Wall;
use coppice_containers::Check;
use nix::libc;

use super::check;

/// This program was written after that day, 2026-01-01; a clock that says otherwise was never set.
const WRITTEN_AFTER_MS: i64 = 1_767_225_600_000;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            "a clock that is set",
            set(Wall::now()),
            "set it with `timedatectl set-time`, or install systemd-timesyncd",
        ),
        check(
            "a clock that is kept right",
            kept_right(),
            "apt install systemd-timesyncd; a virtual machine may also get its time from its host",
        ),
    ]
}

fn set(now: Wall) -> Result<String, String> {
    let said = now.to_string();
    if now.as_millis() >= WRITTEN_AFTER_MS {
        Ok(said)
    } else {
        Err(said)
    }
}

/// The kernel knows whether somebody disciplines its clock.
fn kept_right() -> Result<String, String> {
    // SAFETY: `timex` is plain numbers, for which all zeros are a value; zero modes only ask.
    let mut asked: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a `timex` of our own, which the call fills in.
    let state = unsafe { libc::adjtimex(&raw mut asked) };
    judge(state, asked.status, asked.maxerror)
}

/// `adjtimex`'s answer: a state, flags, and the largest error in microseconds.
fn judge(state: i32, status: i32, max_error_us: libc::c_long) -> Result<String, String> {
    if state < 0 {
        return Err("the kernel does not say".to_owned());
    }
    if status & libc::STA_UNSYNC != 0 {
        return Err("nothing keeps it right".to_owned());
    }
    Ok(format!("right to {} ms", max_error_us / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_from_before_this_program_was_never_set() {
        assert!(set(Wall::now()).is_ok());
        assert!(set(Wall::from_millis(0)).is_err());
        assert!(set(Wall::from_millis(WRITTEN_AFTER_MS - 1)).is_err());
    }

    #[test]
    fn a_clock_is_right_when_the_kernel_says_that_somebody_keeps_it() {
        assert_eq!(judge(0, 0, 12_345), Ok("right to 12 ms".to_owned()));
        assert!(judge(5, libc::STA_UNSYNC, 16_000_000).is_err());
        assert!(judge(-1, 0, 0).is_err());
        // And the kernel can be asked, whatever it answers.
        let _ = kept_right();
    }
}
