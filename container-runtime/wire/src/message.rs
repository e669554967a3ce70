//! The JSON-RPC 2.0 envelope.
//!
//! Three shapes and nothing else: a request has a method and an id, a notification a method and no
//! id, a response an id and exactly one of result and error. Batches are not spoken here.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};
use serde_json::Value;

use crate::codes;

/// Names a request on one connection; chosen by the one who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// What our own side uses.
    Number(i64),
    /// Allowed by JSON-RPC; echoed unchanged.
    Text(String),
}

impl From<i64> for Id {
    fn from(id: i64) -> Self {
        Self::Number(id)
    }
}

/// One line of the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer with the same id.
    Request {
        /// To find the answer by.
        id: Id,
        /// What to do.
        method: String,
        /// [`Value::Null`] when the line had none.
        params: Value,
    },
    /// Wants no answer.
    Notification {
        /// What happened.
        method: String,
        /// [`Value::Null`] when the line had none.
        params: Value,
    },
    /// Answers a request.
    Response {
        /// The request's id; `None` when the request could not be read far enough to know it.
        id: Option<Id>,
        /// The outcome.
        result: Result<Value, RpcError>,
    },
}

impl Message {
    /// A request whose parameters serialise to JSON.
    ///
    /// # Errors
    /// When `params` has no JSON form (a map with keys that are not strings).
    pub fn request(
        id: impl Into<Id>,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::Request {
            id: id.into(),
            method: method.to_owned(),
            params: serde_json::to_value(params)?,
        })
    }

    /// A notification whose parameters serialise to JSON.
    ///
    /// # Errors
    /// As [`Message::request`].
    pub fn notification(method: &str, params: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self::Notification {
            method: method.to_owned(),
            params: serde_json::to_value(params)?,
        })
    }

    /// The answer to request `id`.
    #[must_use]
    pub fn response(id: Id, result: Result<Value, RpcError>) -> Self {
        Self::Response {
            id: Some(id),
            result,
        }
    }
}

/// Why a request failed, as the other side reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// One of [`crate::codes`], or a package's own number.
    pub code: i64,
    /// One sentence for a person.
    pub message: String,
    /// A string, or `{details, debug?, info?}`; absent when there is nothing to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    #[must_use]
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// No handler for `method`.
    #[must_use]
    pub fn method_not_found(method: &str) -> Self {
        // A method name is the other side's text: keep what is quoted back short.
        let shown: String = method.chars().take(64).collect();
        Self::new(
            codes::METHOD_NOT_FOUND,
            format!("there is no method `{shown}`"),
        )
    }

    /// The parameters of `method` do not have the documented shape.
    #[must_use]
    pub fn invalid_params(method: &str, why: &serde_json::Error) -> Self {
        let shown: String = method.chars().take(64).collect();
        // Serde quotes what it did not expect, in full.
        let why: String = why.to_string().chars().take(512).collect();
        Self::new(
            codes::INVALID_PARAMS,
            format!("parameters of `{shown}`: {why}"),
        )
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("jsonrpc", "2.0")?;
        match self {
            Self::Request { id, method, params } => {
                map.serialize_entry("id", id)?;
                map.serialize_entry("method", method)?;
                if !params.is_null() {
                    map.serialize_entry("params", params)?;
                }
            }
            Self::Notification { method, params } => {
                map.serialize_entry("method", method)?;
                if !params.is_null() {
                    map.serialize_entry("params", params)?;
                }
            }
            Self::Response { id, result } => {
                map.serialize_entry("id", id)?;
                match result {
                    Ok(value) => map.serialize_entry("result", value)?,
                    Err(error) => map.serialize_entry("error", error)?,
                }
            }
        }
        map.end()
    }
}

/// The members of a line before it is known which of the three shapes it has.
#[derive(Deserialize)]
struct Raw {
    jsonrpc: String,
    #[serde(default, deserialize_with = "present")]
    id: Option<Option<Id>>,
    method: Option<String>,
    #[serde(default)]
    params: Value,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<RpcError>,
}

/// Tells `"x": null` (present) from no `x` at all, which serde's `Option` does not.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(de: D) -> Result<Option<T>, D::Error> {
    T::deserialize(de).map(Some)
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        if raw.jsonrpc != "2.0" {
            return Err(D::Error::custom("`jsonrpc` must be \"2.0\""));
        }
        match (raw.method, raw.id, raw.result, raw.error) {
            (Some(method), Some(Some(id)), None, None) => Ok(Self::Request {
                id,
                method,
                params: raw.params,
            }),
            (Some(method), None, None, None) => Ok(Self::Notification {
                method,
                params: raw.params,
            }),
            (None, Some(Some(id)), Some(value), None) => Ok(Self::Response {
                id: Some(id),
                result: Ok(value),
            }),
            (None, Some(id), None, Some(error)) => Ok(Self::Response {
                id,
                result: Err(error),
            }),
            _ => Err(D::Error::custom(
                "neither a request, nor a notification, nor a response",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Message, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn the_three_shapes_are_told_apart() {
        assert!(matches!(
            read(json!({"jsonrpc":"2.0","id":1,"method":"a"})),
            Ok(Message::Request {
                id: Id::Number(1),
                params: Value::Null,
                ..
            })
        ));
        assert!(matches!(
            read(json!({"jsonrpc":"2.0","method":"a","params":{"x":1}})),
            Ok(Message::Notification { .. })
        ));
        assert!(matches!(
            read(json!({"jsonrpc":"2.0","id":"x","result":null})),
            Ok(Message::Response {
                result: Ok(Value::Null),
                ..
            })
        ));
        assert!(matches!(
            read(json!({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}})),
            Ok(Message::Response {
                id: None,
                result: Err(_)
            })
        ));
    }

    #[test]
    fn mixed_and_empty_shapes_are_refused() {
        for bad in [
            json!({}),
            json!([]),
            json!({"jsonrpc":"2.0"}),
            json!({"jsonrpc":"1.0","id":1,"method":"a"}),
            json!({"jsonrpc":"2.0","id":1}),
            json!({"jsonrpc":"2.0","id":null,"method":"a"}),
            json!({"jsonrpc":"2.0","id":1.5,"method":"a"}),
            json!({"jsonrpc":"2.0","id":1,"method":"a","result":1}),
            json!({"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":""}}),
            json!({"jsonrpc":"2.0","id":null,"result":1}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad} was taken");
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_all_it_refuses() {
        let long = Value::String("x".repeat(1_000_000));
        let why = serde_json::from_value::<i64>(long).unwrap_err();
        assert!(RpcError::invalid_params("bind", &why).message.len() < 1000);
    }

    #[test]
    fn unknown_members_are_ignored() {
        assert!(read(json!({"jsonrpc":"2.0","id":1,"method":"a","trace":"x"})).is_ok());
    }
}
