//! What a password may be, and its argon2id hash.
//!
//! Invariant: a hash says what it was made with, so one of other figures still opens, and is made
//! anew then.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{
        PasswordHasher, PasswordVerifier,
        phc::{ParamsString, PasswordHash},
    },
};
use coppice_actors::{Kind, Problem};

/// Shortest password that may be set, in characters.
const SHORTEST: usize = 12;
/// Longest password that is looked at, in bytes.
pub(super) const LONGEST: usize = 1024;

/// KiB of memory, passes over it, and lanes. `docs/decisions/0035-what-a-password-costs.md` has the
/// measurement.
const MEMORY: u32 = 64 * 1024;
const PASSES: u32 = 4;
const LANES: u32 = 1;

/// Why a password cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("the password needs at least {SHORTEST} characters; use a few words")]
    Short,
    /// Too long.
    #[error("the password has more than {LONGEST} bytes; use a shorter one")]
    Long,
}

/// Whether it may be set.
pub(super) fn check(password: &str) -> Result<(), PasswordError> {
    if password.chars().count() < SHORTEST {
        return Err(PasswordError::Short);
    }
    if password.len() > LONGEST {
        return Err(PasswordError::Long);
    }
    Ok(())
}

/// Its hash as text, with a salt of its own and all figures. Takes a quarter of a second.
pub(super) fn hash(password: &str) -> Result<String, Problem> {
    let hash = hasher().hash_password(password.as_bytes());
    Ok(hash
        .map_err(|error| unhashed(&error.to_string()))?
        .to_string())
}

/// How a password compares with a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    Wrong,
    Right {
        /// The hash was made with other figures than are used now.
        outdated: bool,
    },
}

pub(super) fn compare(password: &str, kept: &str) -> Result<Compared, Problem> {
    let kept = PasswordHash::new(kept).map_err(|error| unhashed(&error.to_string()))?;
    let hasher = hasher();
    if hasher.verify_password(password.as_bytes(), &kept).is_err() {
        return Ok(Compared::Wrong);
    }
    let figures = ParamsString::try_from(hasher.params());
    Ok(Compared::Right {
        outdated: figures.is_ok_and(|figures| figures != kept.params),
    })
}

fn hasher() -> Argon2<'static> {
    let params = Params::new(MEMORY, PASSES, LANES, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

pub(super) fn unhashed(why: &str) -> Problem {
    Problem::new(
        Kind::Unknown,
        format!(
            "the password could not be hashed: {why}; try again, and see the log of Coppice if it goes on"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "correct horse battery";

    #[test]
    fn a_password_has_a_least_and_a_greatest_length() {
        assert_eq!(check("eleven char"), Err(PasswordError::Short));
        assert_eq!(check("twelve chars"), Ok(()));
        assert_eq!(check(&"x".repeat(LONGEST + 1)), Err(PasswordError::Long));
    }

    #[test]
    fn a_hash_is_argon2id_with_the_recorded_figures_and_a_salt_of_its_own() {
        let (first, second) = (hash(GOOD).unwrap(), hash(GOOD).unwrap());
        let figures = format!("$argon2id$v=19$m={MEMORY},t={PASSES},p={LANES}$");
        assert!(first.starts_with(&figures), "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn a_hash_of_other_figures_still_opens_and_is_told_to_be_outdated() {
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(1024, 1, 1, None).unwrap(),
        );
        let weak = weak.hash_password(GOOD.as_bytes()).unwrap().to_string();
        let outdated = Compared::Right { outdated: true };
        assert_eq!(compare(GOOD, &weak).unwrap(), outdated);
        assert_eq!(compare("another", &weak).unwrap(), Compared::Wrong);
        let now = hash(GOOD).unwrap();
        let fresh = Compared::Right { outdated: false };
        assert_eq!(compare(GOOD, &now).unwrap(), fresh);
    }
}
