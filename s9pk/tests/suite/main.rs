//! The package format and the store, seen from outside.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

mod archive;
mod contents;
mod header;
mod manifest;
mod pack;
mod package;
mod project;
mod store;
mod vectors;
