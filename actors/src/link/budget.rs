//! What one service may cost this process, over all of its connections together.
//!
//! Invariant: a message is counted from before it is read until its answer is on its way, and what
//! finds no room is not read: it stays in the socket, and its sender waits. So a service that
//! floods slows itself down and nobody else.
//!
//! The agent has a share of its own: a runtime that floods is still ended through it. Who says he
//! is the agent may be lying, and gains that share and nothing more.
//!
//! The most that a hostile service makes this process hold for it, in MiB:
//!
//! | | package | agent |
//! | --- | --- | --- |
//! | requests and notifications under way | 16 | 8 |
//! | answers to our calls on their way to the caller | 16 | 32 |
//! | what it does not read of what we say | 8 | 8 |
//! | unfinished long lines, with room to grow | 16 | 16 |
//! | buffers of its connections | 9 | 1 |
//! | reports that wait for a slow reader (`ServiceContext::processes`) | | 6 |
//!
//! which is 136 in all, for as long as it keeps at it. What stays beyond that has limits of its own
//! (`effects/limits.rs`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coppice_clock::Mono;
use coppice_wire::{MAX_LINE_BYTES, Role};
use tokio::sync::{Notify, Semaphore};

use super::{
    bucket::Pace,
    ledger::{Ledger, Limits, Verdict},
};

const MIB: usize = 1024 * 1024;

/// What the runtime and `start-container` ask. An `init` exports, binds and watches a few hundred
/// things at once; afterwards a check that is not well costs some messages a second.
const PACKAGE_ASKS: Limits = Limits {
    weight: 16 * MIB,
    messages: 256,
    pace: Pace {
        burst: 2048,
        per_second: 200,
    },
};
/// What the runtime answers. Forms and results of actions are the heavy ones.
const PACKAGE_ANSWERS: Limits = Limits {
    weight: 16 * MIB,
    messages: 256,
    pace: Pace {
        burst: 2048,
        per_second: 200,
    },
};
/// What the agent reports: two messages per process, and the whole journal after a redial.
const AGENT_ASKS: Limits = Limits {
    weight: 8 * MIB,
    messages: 64,
    pace: Pace {
        burst: 4096,
        per_second: 1000,
    },
};
/// What the agent answers: above all the list of what lives.
const AGENT_ANSWERS: Limits = Limits {
    weight: 32 * MIB,
    messages: 64,
    pace: Pace {
        burst: 1024,
        per_second: 200,
    },
};
/// Bytes written for the other side and not taken by it; at least two of the longest lines.
const UNREAD_BYTES: usize = 2 * MAX_LINE_BYTES;
/// Long lines that may be unfinished at once. The room for a whole one is taken before its first
/// long piece is read, so that two halves never wait for one another.
const LONG_LINES: usize = 2;
/// So much of a message costs as much as one message more.
const BYTES_PER_TOKEN: usize = 16 * 1024;

/// What one service may cost, by who speaks for it.
#[derive(Debug)]
pub(super) struct Budget {
    agent: Arc<Share>,
    package: Arc<Share>,
}

impl Budget {
    /// An unused budget.
    pub(super) fn new() -> Self {
        Self {
            agent: Arc::new(Share::new(AGENT_ASKS, AGENT_ANSWERS)),
            package: Arc::new(Share::new(PACKAGE_ASKS, PACKAGE_ANSWERS)),
        }
    }

    /// The share of a connection.
    pub(super) fn share(&self, role: Role) -> Arc<Share> {
        Arc::clone(match role {
            Role::Agent => &self.agent,
            Role::Runtime | Role::Cli => &self.package,
        })
    }
}

/// What some connections of one service may cost together.
#[derive(Debug)]
pub(super) struct Share {
    /// Requests and notifications.
    pub(super) asks: Arc<Lane>,
    /// Answers to our calls. They have room of their own: an effect may be waiting for one.
    pub(super) answers: Arc<Lane>,
    /// Bytes on their way to the other side.
    pub(super) unread: Arc<Semaphore>,
    /// Unfinished long lines.
    pub(super) long_lines: Arc<Semaphore>,
}

impl Share {
    fn new(asks: Limits, answers: Limits) -> Self {
        Self {
            asks: Arc::new(Lane::new(asks)),
            answers: Arc::new(Lane::new(answers)),
            unread: Arc::new(Semaphore::new(UNREAD_BYTES)),
            long_lines: Arc::new(Semaphore::new(LONG_LINES)),
        }
    }
}

/// The waiting side of a [`Ledger`].
#[derive(Debug)]
pub(super) struct Lane {
    ledger: Mutex<Ledger>,
    /// Held by the one who waits for room; the others wait behind, in the order they came.
    head: tokio::sync::Mutex<()>,
    released: Notify,
}

impl Lane {
    fn new(limits: Limits) -> Self {
        Self {
            ledger: Mutex::new(Ledger::new(limits, Mono::now())),
            head: tokio::sync::Mutex::new(()),
            released: Notify::new(),
        }
    }

    /// Resolves when a message of `weight` bytes in memory and `length` bytes of text may be read.
    /// One that is heavier than [`Self::heaviest`] is not to be read at all.
    pub(super) async fn admit(self: &Arc<Self>, weight: usize, length: usize) -> Admitted {
        let cost = u32::try_from(1 + length / BYTES_PER_TOKEN).unwrap_or(u32::MAX);
        let _head = self.head.lock().await;
        loop {
            let verdict = self.ledger().admit(weight, cost, Mono::now());
            match verdict {
                Verdict::Go => {
                    return Admitted {
                        lane: Arc::clone(self),
                        weight,
                    };
                }
                Verdict::Full => self.released.notified().await,
                Verdict::Wait(time) => tokio::time::sleep(time).await,
            }
        }
    }

    /// The heaviest message that may be read, in bytes of memory.
    pub(super) fn heaviest(&self) -> usize {
        self.ledger().heaviest()
    }

    /// Messages under way and their memory.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        self.ledger().held()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message under way; over when this is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    lane: Arc<Lane>,
    weight: usize,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.lane.ledger().release(self.weight);
        self.lane.released.notify_one();
    }
}
