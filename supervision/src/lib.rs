//! Erlang-style supervisors for [ractor](https://docs.rs/ractor).
//!
//! A supervisor starts its children in order, watches them, restarts them when they end, and gives
//! up when that happens too often, so that its own supervisor decides. The words and the decisions
//! are OTP's: [`SupervisorSpec`], [`ChildSpec`], the strategies [`one_for_one`], [`one_for_all`]
//! and [`rest_for_one`], [dynamic] supervisors, [`Restart`] types, [`Shutdown`] kinds, intensity
//! and period, significant children and [`AutoShutdown`].
//!
//! ```
//! use coppice_supervision::{ChildSpec, ExitReason, Supervisor, SupervisorSpec};
//! use ractor::{Actor, ActorProcessingErr, ActorRef};
//!
//! struct Counter;
//!
//! impl Actor for Counter {
//!     type Msg = u32;
//!     type State = u32;
//!     type Arguments = ();
//!
//!     async fn pre_start(&self, _: ActorRef<u32>, (): ()) -> Result<u32, ActorProcessingErr> {
//!         Ok(0)
//!     }
//!
//!     async fn handle(
//!         &self,
//!         _: ActorRef<u32>,
//!         add: u32,
//!         sum: &mut u32,
//!     ) -> Result<(), ActorProcessingErr> {
//!         *sum = sum.checked_add(add).ok_or("too much")?; // an `Err` ends the actor
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spec = SupervisorSpec::one_for_one("root")
//!     .child(ChildSpec::worker("counter", |child| async move {
//!         child.spawn(Counter, ()).await
//!     }));
//! let (root, ended) = Supervisor::start(spec).await?;
//! let root = Supervisor::new(root);
//! assert_eq!(root.which_children().await?.children.len(), 1);
//! root.shutdown();
//! assert!(matches!(ended.await?, ExitReason::Shutdown(_)));
//! # Ok(())
//! # }
//! ```
//!
//! # What is added to OTP
//!
//! All of it is off unless asked for.
//!
//! - [`Backoff`]: waits between restarts that grow, with jitter.
//! - `forget_after`: a child that was up long enough, with nothing restarted below it, has a clean
//!   record.
//! - `in_a_row`: failures that are too far apart for the intensity are too many at some time, too.
//! - [`Parking`]: a dynamic supervisor keeps a child that fails too often aside, with its reason,
//!   tries it again at growing distance, and takes no harm itself.
//! - Typed reasons ([`ExitReason`]) with the error inside, through every level of escalation.
//! - A start has a deadline; an [`Observer`] is told everything; [`inspect`] shows the live tree.
//!
//! # Where it differs from OTP
//!
//! `tests/oracle` runs random scripts through OTP's `supervisor` and through this one, and compares
//! what was started and stopped, in which order, what commands were answered, and how it ended. What
//! follows is all that may differ; the names are those of the test.
//!
//! - A supervisor never blocks. While it starts a child it still answers, and still hears a
//!   shutdown, which gives the start up: what had been spawned of it is killed. Exits and commands
//!   wait, as in OTP's mailbox, except in `one_for_one` and dynamic supervisors, where a start that
//!   hangs delays nobody else (`IndependentChildrenDoNotWait`).
//! - A child's end is heard before commands that were sent earlier: ractor delivers supervision
//!   events first (`ExitsOvertakeCommands`).
//! - A dynamic supervisor's children have names, and each its own spec; commands take the name
//!   (`DynamicChildrenHaveNames`). One that chooses not to run when it is restarted is forgotten
//!   (`IgnoredDynamicRestartLeavesNothing`).
//! - A spec that contradicts the supervisor's is refused at once, whatever the supervisor is doing
//!   (`BadSpecsAreRefusedFirst`).
//! - An actor that blocks its thread cannot be killed by anyone. Five seconds after the kill its
//!   supervisor goes on without it and says so ([`What::Abandoned`]).
//! - `post_stop` of an actor does not run after a kill or a panic (ractor): leave cleaning up to
//!   the next start.
//!
//! [`one_for_one`]: SupervisorSpec::one_for_one
//! [`one_for_all`]: SupervisorSpec::one_for_all
//! [`rest_for_one`]: SupervisorSpec::rest_for_one
//! [dynamic]: SupervisorSpec::dynamic

mod clock;
mod context;
mod core;
mod event;
mod exit;
mod guarded;
mod handle;
mod id;
mod spec;
mod supervisor;
mod tree;
mod variants;

pub use clock::Clock;
pub use context::{ChildContext, StartError};
pub use core::{
    AutoShutdown, Backoff, ChildKind, ChildRules, ChildState, CommandError, INPUTS, Intensity,
    PHASES, Parking, Restart, Rules, Shape, Shutdown, Strategy,
};
pub use event::{Decision, Observer, STEPS, SupervisionEvent, What};
pub use exit::{ExitClass, ExitReason, Failure, ShutdownDetail, StartDeadlinePassed, stop};
pub use handle::{ChildInfo, Children, Supervisor, SupervisorMsg};
pub use id::{ChildId, TreePath};
pub use spec::{ChildSpec, SpecError, SupervisorSpec};
pub use tree::{NodeState, Tree, inspect};
