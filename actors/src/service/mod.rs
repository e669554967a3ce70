//! One service: the actors that make it up and what they share.
//!
//! ```text
//! <instance>   one_for_all
//! ├─ container     container/   its LXC container and its socket
//! └─ work          one_for_one
//!     ├─ runtime       runtime/     the Node runtime: init, start, stop
//!     ├─ daemons       daemons/     one actor per process
//!     ├─ processes     daemons/     listens to the agent and fills `daemons`
//!     ├─ hosted        daemons/hosted/  one actor per process that Coppice keeps running
//!     ├─ hosting       daemons/hosted/  fills `hosted` with what the package declares
//!     ├─ health        health.rs    what the checks say and when they last said it
//!     └─ tasks         tasks.rs     what is asked of people
//! ```

pub mod actions;
mod agent;
pub mod callbacks;
pub mod container;
mod context;
pub mod custody;
pub mod daemons;
mod door;
pub(crate) mod explain;
pub mod health;
mod hold;
mod instance;
pub mod limits;
pub mod matching;
pub mod parking;
pub(crate) mod records;
mod remedy;
pub mod runtime;
mod slot;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testing;

pub use actions::Asker;
pub use callbacks::{Changed, Clear, Watched};
pub use context::{
    ContainerPhase, ProcessEvent, ProcessReport, RuntimeLink, RuntimePhase, ServiceContext,
    Subcontainer,
};
pub use instance::instance_spec;
pub use records::Event;
