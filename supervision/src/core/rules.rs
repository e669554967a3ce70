//! The figures and choices a supervisor works by. Plain data, no behaviour but arithmetic.

use std::time::Duration;

use crate::exit::ExitClass;

/// When a child is restarted after it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Always.
    Permanent,
    /// Only after an abnormal exit.
    Transient {
        /// Its last exit counts for auto-shutdown.
        significant: bool,
    },
    /// Never; its spec goes with it.
    Temporary {
        /// Its exit counts for auto-shutdown.
        significant: bool,
    },
}

impl Restart {
    /// Whether a child of this type is started again after an exit of this class.
    #[must_use]
    pub const fn wants_restart(self, class: ExitClass) -> bool {
        match self {
            Self::Permanent => true,
            Self::Transient { .. } => matches!(class, ExitClass::Abnormal),
            Self::Temporary { .. } => false,
        }
    }

    /// Whether the end of such a child counts for auto-shutdown. A permanent child never ends for
    /// good, so it cannot be significant: there is no way to write it.
    #[must_use]
    pub const fn is_significant(self) -> bool {
        match self {
            Self::Permanent => false,
            Self::Transient { significant } | Self::Temporary { significant } => significant,
        }
    }

    pub(crate) const fn is_temporary(self) -> bool {
        matches!(self, Self::Temporary { .. })
    }
}

/// How a child is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shutdown {
    /// Killed at once, without a chance to tidy up.
    BrutalKill,
    /// Asked to stop, and killed if it is still there after this time.
    Timeout(Duration),
    /// Asked to stop, and waited for without end. For supervisors, whose own children have limits.
    Infinity,
}

/// What a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildKind {
    /// A leaf, as far as supervision goes.
    Worker,
    /// A supervisor of this crate.
    Supervisor,
}

/// Which siblings restart with a child that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// None.
    OneForOne,
    /// All of them.
    OneForAll,
    /// Those started after it.
    RestForOne,
}

/// Whether a supervisor ends when significant children end by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It does not.
    #[default]
    Never,
    /// When any of them has ended.
    AnySignificant,
    /// When all of them have ended.
    AllSignificant,
}

/// At most `restarts` in any `period`; the next one is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intensity {
    /// How many restarts are granted. 0: the first is too many.
    pub restarts: u32,
    /// In which time.
    pub period: Duration,
}

impl Intensity {
    /// `restarts` in any `period`.
    #[must_use]
    pub const fn new(restarts: u32, period: Duration) -> Self {
        Self { restarts, period }
    }
}

impl Default for Intensity {
    /// 1 in 5 s, as in OTP.
    fn default() -> Self {
        Self::new(1, Duration::from_secs(5))
    }
}

/// Waiting before restarts, longer each time (our addition; off unless asked for).
///
/// The first restart in a row is immediate, the second waits `first`, each further one `factor`
/// times longer than the one before, up to `max`. A child proves itself by staying up for the
/// supervisor's `forget_after`, without a restart below it; then the row starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The wait before the second restart in a row.
    pub first: Duration,
    /// How many times longer each further wait is; at least 1.
    pub factor: u32,
    /// The longest wait.
    pub max: Duration,
    /// Up to this share of a wait, in percent, is taken off at random, so that children that fell
    /// together do not come back together. At most 100.
    pub jitter_percent: u8,
}

impl Backoff {
    /// Doubling from `first` to `max`, with a fifth of jitter.
    #[must_use]
    pub const fn doubling(first: Duration, max: Duration) -> Self {
        Self {
            first,
            factor: 2,
            max,
            jitter_percent: 20,
        }
    }

    /// The wait for step `n` (0 waits `first`), before jitter.
    #[must_use]
    pub fn step(&self, n: u32) -> Duration {
        let factor = u64::from(self.factor.max(1)).saturating_pow(n);
        let millis = u64::try_from(self.first.as_millis())
            .unwrap_or(u64::MAX)
            .saturating_mul(factor);
        Duration::from_millis(millis).min(self.max)
    }
}

/// Parking in a dynamic supervisor (our addition).
///
/// Each child has an intensity of its own. A child that exceeds it is parked with its reason: it
/// is not running, its supervisor goes on, and it is tried again at growing distance (half-open)
/// for ever. A tried child that stays up for `proven` without a restart below it is unparked; one
/// that falls before is parked again, further away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parking {
    /// The intensity of each child.
    pub intensity: Intensity,
    /// The distance of the probes.
    pub probe: Backoff,
    /// How long a probed child stays up before it counts as healed.
    pub proven: Duration,
}

/// Who is under this supervisor and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Known children, started in order and stopped in reverse.
    Ordered(Strategy),
    /// Children come and go by key, independent of each other: concurrent starts, concurrent
    /// stops, no spec kept after the end.
    Dynamic(Option<Parking>),
}

/// What a supervisor works by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Order and strategy.
    pub shape: Shape,
    /// For the supervisor as a whole.
    pub intensity: Intensity,
    /// Ending by itself.
    pub auto_shutdown: AutoShutdown,
    /// Waiting before restarts.
    pub backoff: Option<Backoff>,
    /// After this long without an exit, and without a restart below it, a child's earlier restarts
    /// count no more.
    pub forget_after: Option<Duration>,
    /// More restarts of one child in a row than this are too many, however far apart. A row ends
    /// with `forget_after`.
    pub in_a_row: Option<u32>,
}

/// What holds for one child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildRules {
    /// When it is restarted.
    pub restart: Restart,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// What it is.
    pub kind: ChildKind,
    /// How long its start may take; `None`: as long as it likes.
    pub start_deadline: Option<Duration>,
}
