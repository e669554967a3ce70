//! What a supervisor is told: its own rules and its children's.
//!
//! A spec is a value that can be cloned and started again; the start functions in it are shared.

use std::{collections::HashSet, fmt, future::Future, sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use ractor::ActorCell;

use crate::{
    clock::Clock,
    context::{ChildContext, StartError},
    core::{
        AutoShutdown, Backoff, ChildKind, ChildRules, Intensity, Parking, Restart, Rules, Shape,
        Shutdown, Strategy,
    },
    event::Observer,
    id::ChildId,
};

/// Starts one incarnation of a child.
pub(crate) type StartFn =
    Arc<dyn Fn(ChildContext) -> BoxFuture<'static, Result<ActorCell, StartError>> + Send + Sync>;

/// One child: its name, how it is started, restarted and ended.
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) id: ChildId,
    pub(crate) rules: ChildRules,
    pub(crate) start: StartFn,
}

impl ChildSpec {
    /// A worker: permanent, given 5 s to stop (both as in OTP) and 30 s to start (ours).
    ///
    /// `start` runs in a task of its own, once per (re)start. It should spawn exactly one actor,
    /// through [`ChildContext::spawn`], and return it. An actor's `pre_start` is part of the
    /// start; what takes long belongs after it, as a message of the actor to itself.
    pub fn worker<F, Fut, C>(id: impl Into<ChildId>, start: F) -> Self
    where
        F: Fn(ChildContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, StartError>> + Send + 'static,
        C: Into<ActorCell>,
    {
        Self {
            id: id.into(),
            rules: ChildRules {
                restart: Restart::Permanent,
                shutdown: Shutdown::Timeout(Duration::from_secs(5)),
                kind: ChildKind::Worker,
                start_deadline: Some(Duration::from_secs(30)),
            },
            start: Arc::new(move |context| {
                let start = start(context);
                async move { start.await.map(Into::into) }.boxed()
            }),
        }
    }

    /// A supervisor as a child, under the id of its spec: permanent, and given all the time it
    /// needs to start and to stop, because every child of its own has a limit.
    ///
    /// It takes observer and clock from its parent unless the spec names others.
    #[must_use]
    pub fn supervisor(spec: SupervisorSpec) -> Self {
        Self {
            id: spec.id.clone(),
            rules: ChildRules {
                restart: Restart::Permanent,
                shutdown: Shutdown::Infinity,
                kind: ChildKind::Supervisor,
                start_deadline: None,
            },
            start: Arc::new(move |context| {
                let spec = spec.clone();
                async move { context.spawn_supervisor(spec).await }.boxed()
            }),
        }
    }

    /// The child's name.
    #[must_use]
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// Sets when it is restarted.
    #[must_use]
    pub fn restart(mut self, restart: Restart) -> Self {
        self.rules.restart = restart;
        self
    }

    /// Restarted only after an abnormal exit; not significant.
    #[must_use]
    pub fn transient(self) -> Self {
        self.restart(Restart::Transient { significant: false })
    }

    /// Never restarted; not significant.
    #[must_use]
    pub fn temporary(self) -> Self {
        self.restart(Restart::Temporary { significant: false })
    }

    /// Sets how it is ended.
    #[must_use]
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.rules.shutdown = shutdown;
        self
    }

    /// Sets how long a start may take; `None`: as long as it likes.
    #[must_use]
    pub fn start_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.rules.start_deadline = deadline;
        self
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("id", &self.id)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// One supervisor: its name, rules and first children.
#[derive(Clone)]
pub struct SupervisorSpec {
    pub(crate) id: ChildId,
    pub(crate) rules: Rules,
    pub(crate) children: Vec<ChildSpec>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) clock: Option<Clock>,
}

impl SupervisorSpec {
    fn new(id: impl Into<ChildId>, shape: Shape) -> Self {
        Self {
            id: id.into(),
            rules: Rules {
                shape,
                intensity: Intensity::default(),
                auto_shutdown: AutoShutdown::default(),
                backoff: None,
                forget_after: None,
                in_a_row: None,
            },
            children: Vec::new(),
            observer: None,
            clock: None,
        }
    }

    /// Children are independent: one that fails is restarted alone.
    pub fn one_for_one(id: impl Into<ChildId>) -> Self {
        Self::new(id, Shape::Ordered(Strategy::OneForOne))
    }

    /// Children need each other: if one fails, all are restarted.
    pub fn one_for_all(id: impl Into<ChildId>) -> Self {
        Self::new(id, Shape::Ordered(Strategy::OneForAll))
    }

    /// Children need those before them: if one fails, it and those after it are restarted.
    pub fn rest_for_one(id: impl Into<ChildId>) -> Self {
        Self::new(id, Shape::Ordered(Strategy::RestForOne))
    }

    /// Children come and go by key, like OTP's `simple_one_for_one`.
    pub fn dynamic(id: impl Into<ChildId>) -> Self {
        Self::new(id, Shape::Dynamic(None))
    }

    /// A dynamic supervisor that parks a child which exceeds its own intensity, instead of
    /// counting all children together and giving up.
    pub fn parking(id: impl Into<ChildId>, parking: Parking) -> Self {
        Self::new(id, Shape::Dynamic(Some(parking)))
    }

    /// The supervisor's name.
    #[must_use]
    pub fn id(&self) -> &ChildId {
        &self.id
    }

    /// Sets the restart intensity; the default is OTP's, 1 in 5 s.
    #[must_use]
    pub fn intensity(mut self, restarts: u32, period: Duration) -> Self {
        self.rules.intensity = Intensity::new(restarts, period);
        self
    }

    /// Sets whether it ends when significant children do.
    #[must_use]
    pub fn auto_shutdown(mut self, auto_shutdown: AutoShutdown) -> Self {
        self.rules.auto_shutdown = auto_shutdown;
        self
    }

    /// Waits before restarts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.rules.backoff = Some(backoff);
        self
    }

    /// Forgets a child's earlier restarts once it has been up for this long without a restart below
    /// it.
    #[must_use]
    pub fn forget_after(mut self, uptime: Duration) -> Self {
        self.rules.forget_after = Some(uptime);
        self
    }

    /// Gives up, or parks, also when one child needs more restarts in a row than this, however slowly
    /// they follow each other. Wants [`Self::forget_after`], which ends a row.
    #[must_use]
    pub fn in_a_row(mut self, restarts: u32) -> Self {
        self.rules.in_a_row = Some(restarts);
        self
    }

    /// Appends a child; children start in the order they were added.
    #[must_use]
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.children.push(child);
        self
    }

    /// Who is told of everything that happens here and, unless they name another, in supervisors
    /// below.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Where the time comes from, here and below; the default is the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        let mut seen = HashSet::new();
        for child in &self.children {
            if !seen.insert(&child.id) {
                return Err(SpecError::DuplicateChild {
                    supervisor: self.id.clone(),
                    child: child.id.clone(),
                });
            }
            check_significance(&self.id, self.rules.auto_shutdown, &child.id, &child.rules)?;
        }
        Ok(())
    }
}

pub(crate) fn check_significance(
    supervisor: &ChildId,
    auto_shutdown: AutoShutdown,
    child: &ChildId,
    rules: &ChildRules,
) -> Result<(), SpecError> {
    if rules.restart.is_significant() && auto_shutdown == AutoShutdown::Never {
        return Err(SpecError::SignificanceWithoutAutoShutdown {
            supervisor: supervisor.clone(),
            child: child.clone(),
        });
    }
    Ok(())
}

impl fmt::Debug for SupervisorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupervisorSpec")
            .field("id", &self.id)
            .field("rules", &self.rules)
            .field("children", &self.children)
            .finish_non_exhaustive()
    }
}

/// A spec that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Two children with one name.
    #[error("supervisor `{supervisor}` lists the child `{child}` twice; rename one")]
    DuplicateChild {
        /// Whose spec.
        supervisor: ChildId,
        /// The name.
        child: ChildId,
    },
    /// A child whose end should count, where ends do not count.
    #[error(
        "child `{child}` is significant, but supervisor `{supervisor}` never shuts down by itself; \
         set auto_shutdown or drop `significant`"
    )]
    SignificanceWithoutAutoShutdown {
        /// Whose spec.
        supervisor: ChildId,
        /// The child.
        child: ChildId,
    },
}
