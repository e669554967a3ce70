//! Error codes on the wire.
//!
//! The positive ones are the reference's numbers: packages and their authors know them, so a new
//! meaning gets a new number and never an old one.

/// Nothing more specific fits.
pub const UNKNOWN: i64 = 1;
/// A file operation failed.
pub const FILESYSTEM: i64 = 2;
/// The named thing does not exist.
pub const NOT_FOUND: i64 = 6;
/// A network operation failed.
pub const NETWORK: i64 = 9;
/// A value could not be read.
pub const DESERIALIZATION: i64 = 12;
/// A dependency is missing or not as required.
pub const DEPENDENCY: i64 = 17;
/// An action failed or may not run now.
pub const ACTION: i64 = 36;
/// The request makes no sense, or is not allowed, in the present state.
pub const INVALID_REQUEST: i64 = 38;
/// A certificate or key operation failed.
pub const TLS: i64 = 49;
/// Two facts contradict each other.
pub const INCOHERENT: i64 = 55;
/// A LAN port is taken.
pub const LAN_PORT_CONFLICT: i64 = 58;
/// A deadline passed.
pub const TIMEOUT: i64 = 71;
/// The work was given up because it is no longer wanted.
pub const CANCELLED: i64 = 73;

/// The line was not JSON (JSON-RPC 2.0, section 5.1).
pub const PARSE_ERROR: i64 = -32700;
/// The JSON was not a message (JSON-RPC 2.0, section 5.1).
pub const BAD_MESSAGE: i64 = -32600;
/// No such method (JSON-RPC 2.0, section 5.1).
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters of the wrong shape (JSON-RPC 2.0, section 5.1).
pub const INVALID_PARAMS: i64 = -32602;
