//! The decisions of a supervisor, without clock, channel or actor.
//!
//! [`State::step`] takes the state, one input and the time, and gives the next state and what to
//! do. Same state, same input, same time: same answer. The shell (`supervisor.rs`) does what it is
//! told and reports what happened as the next input.
//!
//! The supervisor:
//!
//! ```text
//!            all up                 a child failed, one_for_all or rest_for_one
//! Booting ──────────▶ Running ─────────────────────────────▶ Regrouping
//!    │                 │   ▲   stopped in reverse, waited, started in order  │
//!    │ one did not     │   └──────────────────────────────────────────────────┘
//!    │ come up         │ asked to, gave up, or significant children ended
//!    └────────▶ Ending ◀┘        every child stopped in reverse: Ended
//! ```
//!
//! A child:
//!
//! ```text
//!          start               up                  ended, to be restarted
//!   Down ────────▶ Starting ────────▶ Running ───────────────▶ Waiting (backoff) ──▶ Starting
//!    ▲                │ failed           │ asked to stop       Parked  (probe)   ──▶ Starting
//!    │                ▼                  ▼
//!    │              Retry              Stopping ── too slow ──▶ killed ── still there ──▶ abandoned
//!    └───────────────────────────────────┘
//! ```
//!
//! Invariants: a child is never started while an incarnation of it lives; while a group of
//! children is stopped and started nothing else is decided (exits and commands wait their turn, as
//! they would in the mailbox of OTP's blocking supervisor), except that a shutdown is always heard
//! at once.

mod child;
mod command;
mod counting;
mod deciding;
mod ending;
mod group;
mod rules;
mod state;
mod step;

pub use child::ChildState;
pub(crate) use child::{Key, StartId};
pub use command::CommandError;
pub(crate) use command::{Command, CommandId};
pub use rules::{
    AutoShutdown, Backoff, ChildKind, ChildRules, Intensity, Parking, Restart, Rules, Shape,
    Shutdown, Strategy,
};
/// What a supervisor can be about, by name.
pub const PHASES: &[&str] = state::Phase::VARIANTS;
/// What can happen to it, by name.
pub const INPUTS: &[&str] = state::Input::VARIANTS;

pub(crate) use state::{Effect, Input, KILL_GRACE, State};

#[cfg(test)]
mod interleaving_tests;
#[cfg(test)]
mod otp_model;
#[cfg(test)]
mod otp_tests;
