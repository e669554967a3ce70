//! The real backend: containers through liblxc, everything around them through the kernel.

mod prepare;

pub use prepare::{NotPrepared, prepare_process};
