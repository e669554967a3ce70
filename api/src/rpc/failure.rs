//! Why a call has no result, as JSON-RPC says it.

use coppice_actors::{Kind, Problem};
use serde_json::{Value, json};

/// The request is not JSON.
pub(super) const PARSE: i32 = -32700;
/// The request is no call.
pub(super) const REQUEST: i32 = -32600;
/// There is no such method.
pub(super) const METHOD: i32 = -32601;
/// The parameters do not fit the method.
pub(super) const PARAMS: i32 = -32602;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(super) code: i32,
    message: String,
    data: Value,
}

impl Failure {
    pub(super) fn protocol(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: Value::Null,
        }
    }

    pub(super) fn params(message: impl Into<String>) -> Self {
        Self::protocol(PARAMS, message)
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
