//! What is done and not only tried: the tests look at what comes of it.

use crate::{
    calls::USER_KEYRING,
    sys::{self, c, last, number},
};

/// Many times what a kernel gives one user by itself, and yet little memory.
const MOST_WATCHES: u32 = 5000;

/// Takes as many watches as there are, tells how many, and keeps them.
pub fn take_all_watches() {
    const RLIMIT_NOFILE: i32 = 7;
    let mut limits = [0; 2];
    let mut count = 0;
    // SAFETY: a structure of two numbers, and no arguments.
    unsafe {
        sys::getrlimit(RLIMIT_NOFILE, &raw mut limits);
        limits[0] = limits[1];
        sys::setrlimit(RLIMIT_NOFILE, &raw const limits);
        while count < MOST_WATCHES && sys::inotify_init() >= 0 {
            count += 1;
        }
    }
    println!("{count}");
    loop {
        // SAFETY: no arguments.
        unsafe { sys::pause() };
    }
}

/// A restart of the machine.
pub fn reboot() -> String {
    const RESTART: u32 = 0x0123_4567;
    // SAFETY: integers.
    let answer =
        unsafe { sys::syscall(number(169, 142), 0xfee1_dead_u32, 672_274_793, RESTART, 0) };
    format!("{answer} {}", last())
}

/// Gives the calling user's keyring a key.
pub fn plant_key(name: &str) -> String {
    let (kind, name) = (c("user"), c(name));
    // SAFETY: strings that end in NUL, and a text of the length that is passed with it.
    let key = unsafe {
        sys::syscall(
            number(248, 217),
            kind.as_ptr(),
            name.as_ptr(),
            b"secret".as_ptr(),
            6_usize,
            USER_KEYRING,
        )
    };
    // It goes by itself, whatever becomes of the tests.
    const SET_TIMEOUT: i32 = 15;
    const SECONDS: i32 = 1200;
    // SAFETY: integers.
    unsafe { sys::syscall(number(250, 219), SET_TIMEOUT, key, SECONDS) };
    if key > 0 {
        "planted".to_owned()
    } else {
        last()
    }
}

/// Exchanges two names as fast as it can, for as long as it is let.
pub fn swap_for_ever(one: &str, other: &str) {
    const AT_FDCWD: i32 = -100;
    const EXCHANGE: u32 = 2;
    let (one, other) = (c(one), c(other));
    loop {
        // SAFETY: strings that end in NUL, and integers.
        unsafe {
            sys::syscall(
                sys::number(316, 276),
                AT_FDCWD,
                one.as_ptr(),
                AT_FDCWD,
                other.as_ptr(),
                EXCHANGE,
            )
        };
    }
}
