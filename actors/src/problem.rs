//! What went wrong, in the form that packages and people get to see.
//!
//! Operations have typed errors of their own; at the border (an effect's answer, an RPC answer)
//! each becomes a [`Problem`]: a stable kind with StartOS's number, and one text that names the
//! object and the next step.

use serde_json::{Value, json};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $words:literal;)*) => {
        /// Kinds of problem; the numbers are StartOS's, so its clients can branch on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[doc = $doc])* $name,)* }

        impl Kind {
            /// Every kind, and what it says.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, concat!($($doc),*)),)*];

            /// Its number on the wire.
            #[must_use]
            pub const fn code(self) -> i32 {
                match self { $(Self::$name => $code,)* }
            }

            /// Its name for people.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }

            /// The kind with this number.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Nothing more specific fits.
    Unknown = 1, "Unknown error";
    /// A file operation failed.
    Filesystem = 2, "Filesystem error";
    /// The named thing does not exist.
    NotFound = 6, "Not found";
    /// The password is wrong.
    IncorrectPassword = 7, "Incorrect password";
    /// Versions do not fit together.
    VersionIncompatible = 8, "Version incompatible";
    /// The network failed.
    Network = 9, "Network error";
    /// A value could not be written.
    Serialization = 11, "Serialization error";
    /// A value could not be read.
    Deserialization = 12, "Deserialization error";
    /// Text is not UTF-8.
    Utf8 = 13, "Text is not UTF-8";
    /// A version could not be read.
    ParseVersion = 14, "Invalid version";
    /// A dependency is missing or not as required.
    Dependency = 17, "Dependency error";
    /// A package file is malformed.
    ParseS9pk = 18, "Invalid package";
    /// A package is not what was asked for.
    ValidateS9pk = 24, "Package validation error";
    /// The state store failed.
    Database = 29, "Database error";
    /// An id is malformed.
    InvalidId = 30, "Invalid id";
    /// A signature does not fit.
    InvalidSignature = 31, "Invalid signature";
    /// Not signed in, or not allowed.
    Authorization = 34, "Unauthorized";
    /// An action failed or may not run now.
    Action = 36, "Action failed";
    /// Too many tries.
    RateLimited = 37, "Rate limited";
    /// The request makes no sense, or is not allowed, in the present state.
    InvalidRequest = 38, "Invalid request";
    /// Not set up yet.
    Uninitialized = 40, "Not set up yet";
    /// Logs could not be read.
    Journald = 47, "Log error";
    /// A certificate or key operation failed.
    OpenSsl = 49, "Certificate error";
    /// It exists already.
    Duplicate = 53, "Already exists";
    /// Two facts contradict each other.
    Incoherent = 55, "Incoherent";
    /// A port is taken.
    LanPortConflict = 58, "Port conflict";
    /// The package's code failed.
    Javascript = 59, "Package code failed";
    /// A deadline passed.
    Timeout = 71, "Timed out";
    /// The container failed.
    Lxc = 72, "Container error";
    /// Given up because it is no longer wanted.
    Cancelled = 73, "Cancelled";
    /// The installation failed.
    InstallFailed = 76, "Install failed";
    /// The new version did not prove itself.
    UpdateFailed = 77, "Update failed";
    /// A mail was not taken.
    Smtp = 78, "Mail error";
    // Not StartOS's, these two, so far from its numbers.
    /// The password is right, and a code of the second factor is needed, too.
    CodeNeeded = 1001, "Code needed";
    /// The code of the second factor is wrong.
    WrongCode = 1002, "Wrong code";
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {details}", kind.words())]
pub struct Problem {
    /// Its kind.
    pub kind: Kind,
    /// What failed, on what, and the next step.
    pub details: String,
    /// The chain of causes, for a bug report; empty when there is none.
    pub debug: String,
    /// Parameters, for translation; boxed, since almost every problem has none.
    pub info: Box<Value>,
}

impl Problem {
    /// A problem without a deeper cause.
    #[must_use]
    pub fn new(kind: Kind, details: impl Into<String>) -> Self {
        Self {
            kind,
            details: details.into(),
            debug: String::new(),
            info: Box::default(),
        }
    }

    /// A problem from a typed error: its message, and its chain of sources for the bug report.
    #[must_use]
    pub fn of(kind: Kind, error: &dyn std::error::Error) -> Self {
        let mut chain = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            chain.push(cause.to_string());
            source = cause.source();
        }
        let debug = chain.join(": ");
        // Whole: the last cause is often the only one that says what to do.
        let details = match chain.is_empty() {
            true => error.to_string(),
            false => format!("{error}: {debug}"),
        };
        Self {
            kind,
            details,
            debug,
            info: Box::default(),
        }
    }

    /// Adds parameters.
    #[must_use]
    pub fn with_info(self, info: Value) -> Self {
        Self {
            info: Box::new(info),
            ..self
        }
    }

    /// The thing does not exist.
    #[must_use]
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Kind::NotFound, what.to_string())
    }

    /// It makes no sense, or is not allowed, in the present state.
    #[must_use]
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, why)
    }

    /// The `data` member of a JSON-RPC error.
    #[must_use]
    pub fn data(&self) -> Value {
        json!({ "details": self.details, "debug": self.debug, "info": self.info })
    }
}

impl From<Problem> for coppice_wire::RpcError {
    fn from(problem: Problem) -> Self {
        Self {
            code: i64::from(problem.kind.code()),
            message: problem.kind.words().to_owned(),
            data: Some(problem.data()),
        }
    }
}

impl From<coppice_wire::RpcError> for Problem {
    /// What package code threw: its number when it is one of ours, its text in any case.
    fn from(error: coppice_wire::RpcError) -> Self {
        let kind = i32::try_from(error.code).ok().and_then(Kind::from_code);
        let details = match error.data {
            Some(Value::String(text)) => format!("{}: {text}", error.message),
            Some(Value::Object(data)) => match data.get("details").and_then(Value::as_str) {
                Some(text) if !text.is_empty() && text != error.message => {
                    format!("{}: {text}", error.message)
                }
                _ => error.message,
            },
            _ => error.message,
        };
        Self::new(kind.unwrap_or(Kind::Javascript), details)
    }
}

impl From<crate::link::CallError> for Problem {
    fn from(error: crate::link::CallError) -> Self {
        use crate::link::CallError;
        match error {
            CallError::Refused(error) => error.into(),
            CallError::Closed => Self::new(
                Kind::Cancelled,
                "the service's container ended before it answered; try again when the service is up",
            ),
            CallError::Deadline { .. } => Self::new(Kind::Timeout, error.to_string()),
            CallError::TooLong { .. } => Self::new(Kind::InvalidRequest, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_and_its_number_lead_to_each_other() {
        for code in (1..100).chain(1000..1100) {
            if let Some(kind) = Kind::from_code(code) {
                assert_eq!(kind.code(), code);
            }
        }
        assert_eq!(Kind::from_code(16), None);
    }

    #[test]
    fn a_typed_error_becomes_its_message_and_its_chain() {
        let inner = std::io::Error::other("no space");
        let problem = Problem::of(Kind::Filesystem, &crate::hosts::PortsExhausted);
        assert!(problem.debug.is_empty());
        let problem = Problem::of(Kind::Filesystem, &inner);
        assert_eq!(problem.details, "no space");
    }

    #[test]
    fn what_a_package_throws_keeps_its_text() {
        let thrown = coppice_wire::RpcError::new(0, "the database is locked");
        let problem = Problem::from(thrown);
        assert_eq!(
            (problem.kind, problem.details.as_str()),
            (Kind::Javascript, "the database is locked")
        );
    }
}
