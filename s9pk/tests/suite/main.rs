//! The package format and the store, seen from outside.

mod archive;
mod contents;
mod header;
mod manifest;
mod package;
mod store;
mod vectors;
