//! Parameters and results that several methods have, and types that say more than TypeScript can.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use ts_rs::TS;

/// No parameters. Like everywhere, those that a method does not know are not looked at.
#[derive(Debug, Deserialize, TS)]
pub(super) struct Nothing {}

/// The package that is meant.
#[derive(Debug, Deserialize, TS)]
pub(super) struct ById {
    /// Its id.
    pub(super) id: String,
}

/// Any JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(type = "unknown")]
pub(super) struct Json(pub(super) Value);

/// An object with any members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TS)]
#[serde(transparent)]
#[ts(type = "Record<string, unknown>")]
pub(super) struct JsonObject(pub(super) Map<String, Value>);

/// The ticket of a stream: opened at `/ws/rpc/<guid>`, once, within 30 seconds.
#[derive(Clone, Debug, Serialize, TS)]
#[serde(transparent)]
#[ts(type = "string")]
pub(super) struct Guid(pub(super) String);

macro_rules! formats {
    ($($(#[doc = $about:literal])+ $name:ident = $typescript:literal, $schema:tt;)*) => {
        $(
            $(#[doc = $about])+
            ///
            /// Stands for a field with `#[ts(as = …)]`; no value has this type.
            #[derive(TS)]
            #[ts(type = $typescript)]
            #[allow(dead_code)]
            pub(super) struct $name(());
        )*

        /// What JSON Schema says of these types, by name.
        pub(super) fn format(name: &str) -> Option<Value> {
            match name {
                $(stringify!($name) => Some(serde_json::json!($schema)),)*
                _ => None,
            }
        }
    };
}

formats! {
    /// A whole number, 0 or more.
    Count = "number", { "type": "integer", "minimum": 0, "maximum": 9007199254740991_u64 };
    /// A whole number.
    Whole = "number", { "type": "integer", "minimum": -9007199254740991_i64, "maximum": 9007199254740991_u64 };
    /// The number of a port.
    Port = "number", { "type": "integer", "minimum": 0, "maximum": 65535 };
    /// A time, as in RFC 3339.
    Timestamp = "string", { "type": "string", "format": "date-time" };
    /// A place in the document: a JSON pointer.
    Place = "string", { "type": "string", "format": "json-pointer" };
}
