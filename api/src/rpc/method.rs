//! What a method is, and the form in which it is declared.
//!
//! Invariant: a method's types are stated once, in its row. What a call may send, what it is
//! answered, the OpenRPC document and the TypeScript types all come from there.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};

use super::{audit::Leaves, call::Call, failure::Failure, schema::Shape};
use crate::caller::{Role, Scope};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Anybody.
    Nobody,
    /// Somebody with an account of this role, or root.
    Role(Role),
    /// The same, but a person who signed in: no token and no key will do.
    Person(Role),
    /// Root on this machine.
    Root,
}

/// What a call does, and so what asking twice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Reads,
    /// It changes something; asking for what already holds is harmless.
    Sets,
    /// Each call does it anew.
    Acts,
}

/// How long a call may take. What takes longer is answered with an error; a call that leaves a row in
/// the audit trail goes on all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// Answered from memory, from a file, or by one commit.
    Moment,
    /// A package's own code, or a look at the whole store, is waited for.
    Minutes,
    /// A package comes or goes, or everything stops.
    Hours,
}

impl Within {
    /// The longest it may take. What is waited for inside has a deadline of its own, which is shorter and says more.
    #[must_use]
    pub const fn longest(self) -> Duration {
        Duration::from_secs(match self {
            Self::Moment => 30,
            Self::Minutes => 30 * 60,
            Self::Hours => 6 * 60 * 60,
        })
    }
}

/// What an answer comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Only the result.
    Bare,
    /// `X-Patch-Sequence`, too: the revision of the document that shows what was done.
    Sequenced,
}

/// One method.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Who may call it.
    pub needs: Needs,
    /// What a call does.
    pub effect: Effect,
    /// How long it may take.
    pub within: Within,
    /// Whether a call leaves a row in the audit trail.
    pub leaves: Leaves,
    /// What the answer comes with.
    pub reply: Reply,
    pub(super) params: Shape,
    pub(super) result: Shape,
    pub(super) run: Run,
}

impl Method {
    /// What a token or a key needs for it: told by what a call does, and by the noun in its name.
    #[must_use]
    pub fn scope(&self) -> Scope {
        // A form shows what is configured, and package code makes it.
        let of_package = self.name.starts_with("package.action.");
        // What acts and leaves no row gives out a ticket for reading.
        let reads = self.leaves == Leaves::Nothing && self.effect != Effect::Sets;
        match self.name.split('.').next() {
            _ if reads && !of_package => Scope::Read,
            Some("package") => Scope::Services,
            _ => Scope::Admin,
        }
    }
}

pub(super) type Answer = Result<Box<RawValue>, Failure>;
pub(super) type Run = fn(Call, Value) -> BoxFuture<'static, Answer>;

/// Runs a method with typed parameters, and gives its result as JSON.
pub(super) async fn typed<P, R, F>(
    call: Call,
    params: Value,
    run: impl FnOnce(Call, P) -> F,
) -> Answer
where
    P: DeserializeOwned,
    R: Serialize,
    F: Future<Output = Result<R, Failure>>,
{
    let method = call.method();
    let params = serde_json::from_value(params).map_err(|error| {
        Failure::params(format!(
            "`{method}` cannot be called with these parameters: {error}"
        ))
    })?;
    let result = run(call, params).await?;
    to_raw_value(&result).map_err(|error| Failure::unwritten(method, &error))
}

/// Makes [`super::METHODS`]; how a row is written stands there.
macro_rules! methods {
    ($(
        $(#[doc = $about:literal])+
        $name:literal = $module:ident::$run:ident($params:ty) -> $result:ty {
            $needs:ident $(($role:ident))?, $effect:ident, $within:ident,
            $leaves:ident $(($($object:literal),+))?, $reply:ident
        }
    )*) => {
        /// Every method.
        pub static METHODS: &[Method] = &[$(Method {
            name: $name,
            about: concat!($($about),+).trim_ascii(),
            needs: Needs::$needs $((Role::$role))?,
            effect: Effect::$effect,
            within: Within::$within,
            leaves: Leaves::$leaves $((&[$($object),+]))?,
            reply: Reply::$reply,
            params: Shape::of::<$params>(),
            result: Shape::of::<$result>(),
            run: |call, params| Box::pin(typed::<$params, $result, _>(call, params, $module::$run)),
        }),*];
    };
}
pub(super) use methods;
