//! The `coppice` program.
fn main() {}
