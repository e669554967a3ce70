//! The numbers by which StartOS clients know kinds of errors.
//!
//! Every error of this crate has a `code()`; the numbers are part of the JSON-RPC interface and never
//! change. Only the kinds this crate reports are listed.

/// A kind of error, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ErrorKind {
    /// Reading or writing a file failed.
    Filesystem = 2,
    /// The package lacks something that was asked for by name.
    NotFound = 6,
    /// The package needs another version of the system.
    VersionIncompatible = 8,
    /// A JSON text is not what it should be.
    Deserialization = 12,
    /// A text is not UTF-8.
    Utf8 = 13,
    /// The file is not a well-formed package.
    ParseS9pk = 18,
    /// A package could not be made.
    Pack = 23,
    /// The package is well-formed, but not the one that is wanted here.
    ValidateS9pk = 24,
    /// What is on the disk is not what was written there.
    DiskCorrupted = 25,
    /// An identifier is malformed.
    InvalidId = 30,
    /// Signature, hash or commitment do not match the contents.
    InvalidSignature = 31,
    /// A key file cannot be read as PEM.
    Pem = 60,
    /// The caller ended the operation.
    Cancelled = 73,
}

impl ErrorKind {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> i32 {
        self as i32
    }
}
