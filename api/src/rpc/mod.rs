//! JSON-RPC 2.0: every method, and how a call gets to it.
//!
//! ```text
//! bytes ── wire.rs ──▶ calls ── call.rs ──▶ a method's function, typed ──▶ results ── wire.rs ──▶ bytes
//!                       │        may it be called? its turn (turns.rs), its deadline, its row (audit.rs)
//!                       └─ found in the table: methods.rs
//! ```
//!
//! A method is one row of [`METHODS`]: its name and types, who may call it, what it is for, and its
//! function. Names and shapes are StartOS's where it has the method (`rpc-api.md`). What the table says
//! is told to others by `schema/`.

pub(crate) mod audit;
pub(crate) mod logs;

mod accounts;
mod call;
mod db;
mod failure;
mod mail;
mod method;
mod methods;
mod metrics;
mod notifications;
mod packages;
mod programs;
mod schema;
mod second_factor;
mod server;
mod shapes;
#[cfg(test)]
mod tests;
mod turns;
mod wire;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use coppice_actors::Problem;
use futures_util::{StreamExt, stream};
use serde_json::Value;

pub use call::Context;
pub use method::{Effect, Method, Needs, Reply, Within};
pub use methods::METHODS;

pub(crate) use audit::Sparing;
#[cfg(test)]
pub(crate) use call::allowed;
pub(crate) use failure::error_object;
pub(crate) use turns::{Turns, network};

use call::{Call, Cookies};
use failure::Failure;
use wire::{Asked, Body, Fault, METHOD};

/// Calls of a batch that are under way at once: what one caller may have.
const AT_ONCE: usize = 16;
/// Bytes of the answer to a batch; the calls after that are not made.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// [`METHODS`], to find one by its name.
static BY_NAME: LazyLock<HashMap<&str, &Method>> =
    LazyLock::new(|| METHODS.iter().map(|method| (method.name, method)).collect());

/// The whole answer to one body.
pub(crate) struct Answered {
    /// Nothing, when only notifications came.
    pub(crate) body: Option<String>,
    pub(crate) cookies: Vec<String>,
    pub(crate) sequence: Option<u64>,
}

impl Answered {
    /// The answer to a body that was not looked at.
    pub(crate) fn refused(problem: Problem) -> Self {
        Self {
            body: Some(wire::answer(&Value::Null, Err(error_object(&problem)))),
            cookies: Vec::new(),
            sequence: None,
        }
    }
}

/// What one call came to.
struct Done {
    answer: Option<String>,
    sequenced: bool,
}

impl Done {
    fn of(id: Option<Value>, done: method::Answer, sequenced: bool) -> Self {
        let done = done.map_err(|failure| failure.object());
        Self {
            answer: id.map(|id| wire::answer(&id, done)),
            sequenced,
        }
    }
}

/// Answers a body: one call, or a batch of them.
pub(crate) async fn answer(context: &Arc<Context>, body: &[u8]) -> Answered {
    let cookies = Cookies::default();
    let done = match wire::read(body) {
        Body::Unreadable(fault) => Done {
            answer: Some(wire::answer(&Value::Null, Err(fault.object()))),
            sequenced: false,
        },
        // On the heap: a request makes room for the larger of the two, and the allocator keeps small pieces at hand only.
        Body::One(asked) => Box::pin(one(context, asked, cookies.clone())).await,
        Body::Batch(calls) => Box::pin(batch(context, calls, &cookies)).await,
    };
    let sequence = done.sequenced.then(|| {
        let store = context.gate.coppice.host().document.store().public_store();
        store.keep_up();
        store.sequence()
    });
    Answered {
        body: done.answer,
        cookies: cookies.take(),
        sequence,
    }
}

/// Answers a batch, in its order. What is not begun when the answer is full is not begun at all.
async fn batch(context: &Arc<Context>, calls: Vec<Asked>, cookies: &Cookies) -> Done {
    let written = std::sync::atomic::AtomicUsize::new(0);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    let full = || written.load(relaxed) > MAX_ANSWER;
    let begun = stream::iter(calls).map(|asked| {
        let (cookies, full) = (cookies.clone(), &full);
        async move {
            match full() {
                false => one(context, asked, cookies).await,
                true => Done::of(asked.id, Err(too_long()), false),
            }
        }
    });
    let mut done = begun.buffered(AT_ONCE);
    let (mut text, mut sequenced) = (String::new(), false);
    while let Some(next) = done.next().await {
        sequenced |= next.sequenced;
        if let Some(answer) = next.answer {
            text.push(if text.is_empty() { '[' } else { ',' });
            text.push_str(&answer);
            written.store(text.len(), relaxed);
        }
    }
    let answer = (!text.is_empty()).then(|| text + "]");
    Done { answer, sequenced }
}

fn too_long() -> Failure {
    let why = format!(
        "the answers before this one have {} MiB, the most of one batch; this call was not made: make it alone",
        MAX_ANSWER / 1024 / 1024
    );
    Problem::invalid(why).into()
}

async fn one(context: &Arc<Context>, asked: Asked, cookies: Cookies) -> Done {
    let Asked { id, what } = asked;
    let wanted = match what {
        Ok(wanted) => wanted,
        Err(fault) => return Done::of(id, Err(fault.into()), false),
    };
    match BY_NAME.get(&*wanted.method).copied() {
        None => Done::of(id, Err(unknown(&wanted.method)), false),
        Some(method) => {
            let done = call::call(context, method, wanted.params, cookies).await;
            Done::of(id, done, method.reply == Reply::Sequenced)
        }
    }
}

fn unknown(name: &str) -> Failure {
    let why = format!(
        "this server has no method `{}`; it may be older or newer than the program that asks",
        wire::shown(name)
    );
    Fault::new(METHOD, why).into()
}
