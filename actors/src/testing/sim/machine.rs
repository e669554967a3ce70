//! What the kernel answers a thread that simulates: the time, and chance.
//!
//! Two functions of libc are ours in this test binary. A thread that simulates gets tokio's paused time and
//! chance from a seed, every other one what the kernel says. So the product under simulation reads its
//! clocks as ever and pays nothing for being simulated, and what hashes or draws lots (the hash maps of the
//! standard library, the order in which tokio wakes those who wait for one value) does it the same way
//! every time. What cannot be had this way are names that the product draws by itself ([`draw`]).

use std::{cell::Cell, slice};

use coppice_clock::Mono;
use tokio::time::Instant;

thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    /// Milliseconds before this life, and the beginning of it.
    static TIME: Cell<(u64, Option<Instant>)> = const { Cell::new((0, None)) };
}

/// A simulated machine was booted a day before anything happens.
const BOOTED: u64 = 24 * 3600 * 1000;
/// Where the wall clock stood when it was booted, in seconds since 1970.
const EPOCH: i64 = 1_767_225_600;

/// Runs `work` on a thread that simulates.
pub(super) fn simulate<T: Send>(seed: u64, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            SEED.set(Some(seed));
            TIME.set((BOOTED, None));
            work()
        });
        match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Whether this thread simulates.
pub(crate) fn is_simulated() -> bool {
    SEED.get().is_some()
}

/// The next random number; `None` where chance is real.
fn next() -> Option<u64> {
    let seed = SEED.get()?.wrapping_add(0x9E37_79B9_7F4A_7C15);
    SEED.set(Some(seed));
    let mut mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    Some(mixed ^ (mixed >> 31))
}

/// A number below `most`.
pub(super) fn below(most: u64) -> u64 {
    next().expect("this thread simulates") % most.max(1)
}

/// Fills `raw` by simulated chance; `false` where chance is real.
pub(crate) fn draw(raw: &mut [u8]) -> bool {
    for piece in raw.chunks_mut(8) {
        let Some(number) = next() else { return false };
        piece.copy_from_slice(&number.to_le_bytes()[..piece.len()]);
    }
    true
}

/// Time goes on from here, as tokio's does.
pub(super) fn begin_life() {
    TIME.set((TIME.get().0, Some(Instant::now())));
}

/// Time stands still; `away_ms` later the next life begins.
pub(super) fn end_life(away_ms: u64) {
    TIME.set((Mono::now().as_millis() + away_ms, None));
}

fn millis() -> u64 {
    let (before, began) = TIME.get();
    let passed = began.map_or(0, |began| Instant::now().duration_since(began).as_millis());
    before + u64::try_from(passed).unwrap_or(u64::MAX)
}

/// As the C library has it.
///
/// # Safety
/// `time` points to room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(
    clock: libc::clockid_t,
    time: *mut libc::timespec,
) -> libc::c_int {
    // tokio's own time stands on the third clock, the monotonic one.
    if !matches!(clock, libc::CLOCK_BOOTTIME | libc::CLOCK_REALTIME) || !is_simulated() {
        // SAFETY: the kernel's own call, with what we were given.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as libc::c_int };
    }
    let millis = millis();
    let offset = if clock == libc::CLOCK_REALTIME {
        EPOCH
    } else {
        0
    };
    let told = libc::timespec {
        tv_sec: offset + i64::try_from(millis / 1000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(millis % 1000 * 1_000_000).unwrap_or_default(),
    };
    // SAFETY: there is room, says our caller.
    unsafe { time.write(told) };
    0
}

/// As the C library has it.
///
/// # Safety
/// `raw` points to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(
    raw: *mut libc::c_void,
    length: libc::size_t,
    flags: libc::c_uint,
) -> libc::ssize_t {
    if !is_simulated() {
        // SAFETY: the kernel's own call, with what we were given.
        return unsafe { libc::syscall(libc::SYS_getrandom, raw, length, flags) as libc::ssize_t };
    }
    // SAFETY: there are that many bytes, says our caller; they need not have been written before.
    let bytes = unsafe {
        raw.write_bytes(0, length);
        slice::from_raw_parts_mut(raw.cast::<u8>(), length)
    };
    draw(bytes);
    isize::try_from(length).unwrap_or(isize::MAX)
}
