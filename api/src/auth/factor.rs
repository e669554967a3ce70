//! The second factor: an authenticator app, and codes on paper for when it is lost.
//!
//! ```text
//!  off ──enrol──► offered ──confirm, with a code of the app──► on ──disable──► off
//!                    └─ OFFERED_FOR ─► off
//! ```
//!
//! Invariants: each code opens once, and that it did is on the disk before it does; of the codes on
//! paper only hashes are kept; an offer is in memory only.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_actors::{Kind, Problem};
use coppice_clock::{Mono, Wall};
use patchdb::SecretStore;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::{Accounts, table::Table, token, totp};

/// How long somebody may take to set up the app.
const OFFERED_FOR: Duration = Duration::from_secs(15 * 60);
/// Codes on paper.
const PAPER_CODES: usize = 10;
/// Random bytes of each, 16 letters.
const PAPER_BYTES: usize = 10;

/// What is kept.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enrolled {
    /// In base32: it is needed to make the codes, so it cannot be hashed.
    secret: String,
    /// The newest step whose code was accepted.
    last_step: u64,
    /// Hashes of the codes on paper that were not used yet.
    paper: Vec<String>,
}

struct Offer {
    secret: String,
    until: Mono,
}

/// What an app needs to know, told once.
#[derive(Clone, PartialEq, Eq)]
pub struct Offered {
    /// The secret, for typing.
    pub secret: String,
    /// The same for a QR code.
    pub uri: String,
}

/// The second factors of all accounts.
pub(super) struct SecondFactor {
    enrolled: Table<Enrolled>,
    /// Held by whoever writes, so that no code opens twice.
    offers: Mutex<HashMap<String, Offer>>,
}

impl SecondFactor {
    pub(super) fn new(secrets: SecretStore) -> Self {
        Self {
            enrolled: Table::new(secrets, "second-factors"),
            offers: Mutex::default(),
        }
    }

    fn writing(&self) -> MutexGuard<'_, HashMap<String, Offer>> {
        // Nothing panics while it is held.
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_on(&self, account: &str) -> Result<bool, Problem> {
        Ok(self.enrolled.get(account)?.is_some())
    }

    /// How many codes on paper are left; `None` when it is off.
    pub(super) fn paper_left(&self, account: &str) -> Result<Option<usize>, Problem> {
        let enrolled = self.enrolled.get(account)?;
        Ok(enrolled.map(|enrolled| enrolled.paper.len()))
    }

    pub(super) fn offer(&self, account: &str, server: &str, now: Mono) -> Result<Offered, Problem> {
        let mut offers = self.writing();
        if self.is_on(account)? {
            return Err(Problem::new(
                Kind::Duplicate,
                "two-step login is on already; switch it off first to change the app",
            ));
        }
        let mut raw = [0; totp::SECRET_BYTES];
        rand::rng().fill_bytes(&mut raw);
        let secret = data_encoding::BASE32_NOPAD.encode(&raw);
        let uri = totp::uri(server, account, &secret);
        let offer = Offer {
            secret: secret.clone(),
            until: now + OFFERED_FOR,
        };
        offers.insert(account.to_owned(), offer);
        Ok(Offered { secret, uri })
    }

    /// Switches it on; gives the codes for paper, which are kept nowhere.
    pub(super) fn confirm(
        &self,
        account: &str,
        given: &str,
        now: (Mono, Wall),
    ) -> Result<Vec<String>, Problem> {
        let mut offers = self.writing();
        let offer = offers.get(account).filter(|offer| now.0 < offer.until);
        let Some(offer) = offer else {
            return Err(Problem::invalid(
                "no app is being set up, or that took too long; begin again",
            ));
        };
        let secret = decoded(&offer.secret);
        let Some(last_step) = totp::accepts(&secret, &plain(given), now.1, None) else {
            return Err(wrong_code());
        };
        let codes: Vec<String> = (0..PAPER_CODES).map(|_| paper_code()).collect();
        let enrolled = Enrolled {
            secret: offer.secret.clone(),
            last_step,
            paper: codes.iter().map(|code| hash(code)).collect(),
        };
        self.enrolled.put(account, &enrolled)?;
        offers.remove(account);
        Ok(codes)
    }

    /// Takes a code of the app, or one from paper, which opens once.
    pub(super) fn take(&self, account: &str, given: &str, now: Wall) -> Result<(), Problem> {
        let _writing = self.writing();
        let Some(mut enrolled) = self.enrolled.get(account)? else {
            return Ok(());
        };
        let given = plain(given);
        let secret = decoded(&enrolled.secret);
        if let Some(step) = totp::accepts(&secret, &given, now, Some(enrolled.last_step)) {
            enrolled.last_step = step;
        } else if let Some(place) = enrolled.paper.iter().position(|one| *one == hash(&given)) {
            enrolled.paper.swap_remove(place);
        } else {
            return Err(wrong_code());
        }
        self.enrolled.put(account, &enrolled)
    }

    /// Switches it off; whether it was on.
    pub(super) fn disable(&self, account: &str) -> Result<bool, Problem> {
        let mut offers = self.writing();
        offers.remove(account);
        self.enrolled.delete(account)
    }
}

impl Accounts {
    /// Whether the second factor of an account is on, and how many recovery codes are left.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn recovery_codes_left(&self, account: &str) -> Result<Option<usize>, Problem> {
        self.shared.second_factor.paper_left(account)
    }

    /// Offers a secret for an authenticator app.
    ///
    /// # Errors
    /// When the second factor is on already.
    pub fn offer_second_factor(&self, account: &str, server: &str) -> Result<Offered, Problem> {
        let factor = &self.shared.second_factor;
        factor.offer(account, server, Mono::now())
    }

    /// Switches the second factor on, with a code that the app shows; gives the recovery codes, of which
    /// only hashes are kept.
    ///
    /// # Errors
    /// When nothing was offered, or the code is wrong.
    pub fn confirm_second_factor(&self, account: &str, code: &str) -> Result<Vec<String>, Problem> {
        let now = (Mono::now(), Wall::now());
        self.shared.second_factor.confirm(account, code, now)
    }

    /// Switches the second factor off; whether it was on.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn disable_second_factor(&self, account: &str) -> Result<bool, Problem> {
        self.shared.second_factor.disable(account)
    }
}

/// Whether what was given is a code on paper: those cannot be guessed, so they never wait.
pub(super) fn is_from_paper(given: &str) -> bool {
    !totp::is_code(&plain(given))
}

/// A code without what people put between its letters.
fn plain(given: &str) -> String {
    let kept = given.chars().filter(char::is_ascii_alphanumeric).take(64);
    kept.collect::<String>().to_ascii_uppercase()
}

fn paper_code() -> String {
    let mut raw = [0; PAPER_BYTES];
    rand::rng().fill_bytes(&mut raw);
    let mut code = data_encoding::BASE32_NOPAD.encode(&raw);
    for place in [12, 8, 4] {
        code.insert(place, '-');
    }
    code
}

/// 80 random bits cannot be tried out, so a hash without salt will do.
fn hash(code: &str) -> String {
    token::id(plain(code).as_bytes())
}

fn decoded(secret: &str) -> Vec<u8> {
    // We encoded it ourselves; a damaged one makes codes that fit nothing.
    data_encoding::BASE32_NOPAD
        .decode(secret.as_bytes())
        .unwrap_or_default()
}

fn wrong_code() -> Problem {
    Problem::new(
        Kind::WrongCode,
        "the code is wrong, or was used before; wait for the next one, or use a recovery code",
    )
}

/// What an app with this secret shows now.
#[cfg(test)]
pub(crate) fn app_shows(secret: &str) -> String {
    totp::tests::shown(&decoded(secret), Wall::now())
}

#[cfg(test)]
mod tests {
    use super::{super::later, *};

    fn at(seconds: u64) -> (Mono, Wall) {
        let start = Wall::from_millis(1_700_000_000_000);
        let passed = Duration::from_secs(seconds);
        (Mono::from_millis(1000) + passed, later(start, passed))
    }

    fn factor() -> (SecondFactor, SecretStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let secrets = SecretStore::open(folder.path()).unwrap();
        (SecondFactor::new(secrets.clone()), secrets, folder)
    }

    fn shown(secret: &str, seconds: u64) -> String {
        totp::tests::shown(&decoded(secret), at(seconds).1)
    }

    #[test]
    fn it_is_on_once_the_app_has_shown_the_right_code() {
        let (factor, _, _folder) = factor();
        let offered = factor.offer("admin", "willow.local", at(0).0).unwrap();
        assert!(offered.uri.contains(&offered.secret));
        let wrong = factor.confirm("admin", "000000x", at(1)).unwrap_err();
        assert_eq!(wrong.kind, Kind::WrongCode);
        assert!(!factor.is_on("admin").unwrap());
        let code = shown(&offered.secret, 1);
        let codes = factor.confirm("admin", &code, at(1)).unwrap();
        assert_eq!(codes.len(), PAPER_CODES);
        assert_eq!(factor.paper_left("admin").unwrap(), Some(PAPER_CODES));
        let again = factor.offer("admin", "willow.local", at(2).0);
        assert_eq!(again.err().unwrap().kind, Kind::Duplicate);
        assert!(factor.disable("admin").unwrap() && !factor.is_on("admin").unwrap());
    }

    #[test]
    fn an_offer_ends_when_it_is_not_taken() {
        let (factor, _, _folder) = factor();
        let offered = factor.offer("admin", "willow.local", at(0).0).unwrap();
        let code = shown(&offered.secret, 900);
        let late = factor.confirm("admin", &code, at(900)).unwrap_err();
        assert_eq!(late.kind, Kind::InvalidRequest);
    }

    fn enrolled() -> (
        SecondFactor,
        SecretStore,
        tempfile::TempDir,
        String,
        Vec<String>,
    ) {
        let (factor, secrets, folder) = factor();
        let secret = factor.offer("admin", "w", at(0).0).unwrap().secret;
        let codes = factor.confirm("admin", &shown(&secret, 0), at(0)).unwrap();
        (factor, secrets, folder, secret, codes)
    }

    #[test]
    fn a_code_opens_once_also_after_a_restart() {
        let (factor, secrets, _folder, secret, _) = enrolled();
        let confirmed_with = factor.take("admin", &shown(&secret, 0), at(0).1);
        assert_eq!(confirmed_with.unwrap_err().kind, Kind::WrongCode);
        let code = shown(&secret, 60);
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        factor.take("admin", &spaced, at(60).1).unwrap();
        for factor in [factor, SecondFactor::new(secrets)] {
            assert!(factor.take("admin", &code, at(60).1).is_err());
        }
    }

    #[test]
    fn a_code_from_paper_opens_once_in_any_writing() {
        let (factor, secrets, _folder, _, codes) = enrolled();
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 19 && is_from_paper(code))
        );
        assert!(!is_from_paper("123 456"));
        factor
            .take("admin", &codes[3].to_lowercase(), at(9).1)
            .unwrap();
        factor
            .take("admin", &codes[4].replace('-', " "), at(9).1)
            .unwrap();
        for factor in [factor, SecondFactor::new(secrets)] {
            assert!(factor.take("admin", &codes[3], at(9).1).is_err());
            assert_eq!(factor.paper_left("admin").unwrap(), Some(PAPER_CODES - 2));
        }
    }

    #[test]
    fn of_the_codes_on_paper_nothing_is_kept_that_opens() {
        let (_, secrets, _folder, _, codes) = enrolled();
        let kept = secrets.get("second-factors", "admin").unwrap().unwrap();
        let kept = kept.expose_str().unwrap().to_uppercase();
        for code in codes {
            assert!(!kept.contains(&code) && !kept.contains(&plain(&code)));
        }
    }

    #[test]
    fn who_has_none_needs_none() {
        let (factor, _, _folder) = factor();
        factor.take("admin", "anything", at(0).1).unwrap();
        assert_eq!(factor.paper_left("admin").unwrap(), None);
    }
}
