//! The network parts against the real kernel, as root, each test in a network namespace of its own.

mod firewall;
mod netns;
mod subnet;
