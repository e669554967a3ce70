//! What an exit code means.
//!
//! Invariant: programs may rely on these numbers; a new kind of failure that nobody here tells apart is a 1.

use coppice_actors::Kind;

use super::{
    client::{CallError, NoAnswer},
    find::NotFound,
};

const REFUSED: u8 = 1;
const UNREACHABLE: u8 = 3;
const NOT_ALLOWED: u8 = 4;

/// Every exit code of the command line, and what it says. clap itself ends with 2.
pub const CODES: [(u8, &str); 5] = [
    (0, "what was asked for is done"),
    (
        REFUSED,
        "it was refused, or it failed; the message says why",
    ),
    (2, "the command line is wrong"),
    (
        UNREACHABLE,
        "no server was reached, or it is not clear which is meant",
    ),
    (NOT_ALLOWED, "sign in first, or ask somebody who may"),
];

/// The exit code of a verb that ended with this.
pub(super) fn code(error: &anyhow::Error) -> u8 {
    if let Some(refused) = error.downcast_ref::<CallError>() {
        let not_allowed = refused.code == i64::from(Kind::Authorization.code());
        return if not_allowed { NOT_ALLOWED } else { REFUSED };
    }
    match error.downcast_ref::<NotFound>() {
        Some(NotFound::Denied(_)) => NOT_ALLOWED,
        Some(NotFound::None | NotFound::NotThere(_) | NotFound::Several(_)) => UNREACHABLE,
        None if error.is::<NoAnswer>() => UNREACHABLE,
        None => REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn refused(kind: Kind) -> anyhow::Error {
        CallError {
            code: kind.code().into(),
            message: kind.words().to_owned(),
            details: None,
        }
        .into()
    }

    #[test]
    fn each_failure_has_the_exit_code_that_is_written_down() {
        let io = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let broken: anyhow::Result<()> = Err(io()).context(NoAnswer::because(NoAnswer::HUNG_UP));
        for (error, expected) in [
            (refused(Kind::InvalidRequest), REFUSED),
            (refused(Kind::Authorization), NOT_ALLOWED),
            (anyhow::anyhow!("anything else"), REFUSED),
            (io().into(), REFUSED),
            (NotFound::None.into(), UNREACHABLE),
            (NotFound::NotThere("/a".into()).into(), UNREACHABLE),
            (NotFound::Several(vec![]).into(), UNREACHABLE),
            (NotFound::Denied("/a".into()).into(), NOT_ALLOWED),
            (broken.unwrap_err(), UNREACHABLE),
        ] {
            assert_eq!(code(&error), expected, "{error:#}");
            assert!(CODES.iter().any(|(code, _)| *code == expected));
        }
    }
}
