//! What the build put into the binary: the agent, the runtime and the web interface.
#![allow(
    missing_docs,
    reason = "written by build.rs; each name says what it is"
)]

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
