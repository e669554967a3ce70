//! Why a call has no result, as JSON-RPC says it.

use coppice_actors::{Kind, Problem};
use serde_json::{Value, json};

use super::wire::{Fault, PARAMS};

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(super) code: i32,
    message: String,
    data: Value,
}

impl Failure {
    pub(super) fn params(message: impl Into<String>) -> Self {
        Fault::new(PARAMS, message).into()
    }

    /// A result that has no JSON form.
    pub(super) fn unwritten(method: &str, error: &serde_json::Error) -> Self {
        let why = format!("the result of `{method}` cannot be written: {error}; report this");
        Problem::new(Kind::Serialization, why).into()
    }

    /// The `error` member.
    pub(super) fn object(&self) -> Value {
        json!({ "code": self.code, "message": self.message, "data": self.data })
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self {
            code: fault.code,
            message: fault.message,
            data: Value::Null,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            code: problem.kind.code(),
            message: problem.kind.words().to_owned(),
            data: problem.data(),
        }
    }
}

/// The error object of a problem, for answers that are not JSON-RPC.
pub(crate) fn error_object(problem: &Problem) -> Value {
    Failure::from(problem.clone()).object()
}
