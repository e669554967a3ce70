//! Who calls: passwords, sessions, and how fast they may be tried.
//!
//! Invariants: a password is kept as an argon2id hash and a session as the SHA-256 of its token,
//! both in the secret store; a token leaves the server once, in the cookie of the answer to the
//! login; slow-downs count per source address, so nobody can lock the owner out from elsewhere.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use coppice_actors::{Kind, Problem};
use coppice_clock::{Mono, Wall};
use patchdb::{Secret, SecretError, SecretStore};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The one account there is at first.
const ADMIN: &str = "admin";
/// A session ends this long after its login; each day of use moves that by a day.
const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Wrong passwords from one address before it has to wait.
const FREE_TRIES: u32 = 5;
/// The first wait; it doubles with every further wrong password.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Addresses remembered; beyond, the oldest are forgotten.
const SOURCES_KEPT: usize = 4096;
/// Logins are hashed this many at a time: each takes 64 MiB.
const HASHES_AT_ONCE: usize = 2;
/// Shortest password that may be set, in characters.
const SHORTEST: usize = 12;
/// Longest password that is looked at, in bytes.
const LONGEST: usize = 1024;

const PASSWORDS: &str = "passwords";
const SESSIONS: &str = "sessions";

/// Who calls a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Root on this machine, over the root-only socket.
    Root,
    /// Somebody who signed in.
    Session {
        /// Whose session it is.
        account: String,
        /// Id of the session: the hash of its token.
        id: String,
    },
    /// Nobody in particular.
    Anonymous,
}

impl Caller {
    /// The name under which what it does is recorded.
    #[must_use]
    pub fn account(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Session { account, .. } => account,
            Self::Anonymous => "anonymous",
        }
    }
}

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

/// What is kept of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// Whose it is.
    pub account: String,
    /// What the account may do; `admin` may do everything.
    pub role: String,
    /// When it began.
    pub logged_in: Wall,
    /// When it ends unless it is used.
    pub expires: Wall,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Tries {
    wrong: u32,
    last: Mono,
}

/// Accounts and sessions.
#[derive(Clone)]
pub struct Accounts {
    secrets: SecretStore,
    tries: Arc<Mutex<HashMap<IpAddr, Tries>>>,
    hashing: Arc<tokio::sync::Semaphore>,
    active: Arc<Mutex<HashMap<String, Wall>>>,
    ended: tokio::sync::broadcast::Sender<String>,
}

impl Accounts {
    /// The accounts kept in `secrets`.
    #[must_use]
    pub fn new(secrets: SecretStore) -> Self {
        Self {
            secrets,
            tries: Arc::default(),
            hashing: Arc::new(tokio::sync::Semaphore::new(HASHES_AT_ONCE)),
            active: Arc::default(),
            ended: tokio::sync::broadcast::Sender::new(64),
        }
    }

    /// Whether a password was ever set.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn is_set_up(&self) -> Result<bool, Problem> {
        Ok(self
            .secrets
            .get(PASSWORDS, ADMIN)
            .map_err(broken)?
            .is_some())
    }

    /// Sets the password of the admin and ends all sessions.
    ///
    /// # Errors
    /// When the password is too short or too long, or the secret store fails.
    pub async fn set_password(&self, password: String) -> Result<(), Problem> {
        let weak = |error: PasswordError| Problem::invalid(error.to_string());
        if password.chars().count() < SHORTEST {
            return Err(weak(PasswordError::Short));
        }
        if password.len() > LONGEST {
            return Err(weak(PasswordError::Long));
        }
        let secrets = self.secrets.clone();
        self.hash(move || {
            let hash = hasher()
                .hash_password(password.as_bytes())
                .map_err(|error| unhashed(&error.to_string()))?;
            secrets
                .put(PASSWORDS, ADMIN, &Secret::new(hash.to_string()))
                .map_err(broken)
        })
        .await?;
        for id in self.secrets.keys(SESSIONS).map_err(broken)? {
            self.end(&id)?;
        }
        Ok(())
    }

    /// Checks the password of the admin; slows down an address that guesses.
    ///
    /// # Errors
    /// When it is wrong, the address has to wait, or no password was ever set.
    pub async fn check_password(
        &self,
        password: String,
        from: Option<IpAddr>,
    ) -> Result<(), Problem> {
        self.may_try(from)?;
        if password.len() > LONGEST {
            return Err(wrong());
        }
        let kept = self.secrets.get(PASSWORDS, ADMIN).map_err(broken)?;
        let Some(kept) = kept else {
            return Err(Problem::new(
                Kind::Uninitialized,
                "no password was set yet; run `coppice auth set-password` on the server",
            ));
        };
        let right = self
            .hash(move || {
                let text = kept
                    .expose_str()
                    .ok_or_else(|| unhashed("the stored hash is not text"))?;
                let parsed =
                    PasswordHash::new(text).map_err(|error| unhashed(&error.to_string()))?;
                Ok(hasher()
                    .verify_password(password.as_bytes(), &parsed)
                    .is_ok())
            })
            .await?;
        self.note_try(from, right);
        if right { Ok(()) } else { Err(wrong()) }
    }

    /// Begins a session; gives its token, which is kept nowhere.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn begin(&self, user_agent: Option<String>) -> Result<String, Problem> {
        let mut raw = [0; 32];
        rand::rng().fill_bytes(&mut raw);
        let token = data_encoding::BASE32_NOPAD.encode(&raw).to_lowercase();
        let now = Wall::now();
        let session = Session {
            account: ADMIN.to_owned(),
            role: ADMIN.to_owned(),
            logged_in: now,
            expires: later(now, SESSION_LIFE),
            user_agent: user_agent.map(|agent| agent.chars().take(256).collect()),
        };
        self.keep(&session_id(&token), &session)?;
        Ok(token)
    }

    /// The session of a token, when it is valid.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn session(&self, token: &str) -> Result<Option<Caller>, Problem> {
        let id = session_id(token);
        let Some(mut session) = self.read(&id)? else {
            return Ok(None);
        };
        let now = Wall::now();
        if now >= session.expires {
            self.end(&id)?;
            return Ok(None);
        }
        self.active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), now);
        let renewed = later(now, SESSION_LIFE);
        if renewed.as_millis() - session.expires.as_millis()
            > i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX)
        {
            session.expires = renewed;
            self.keep(&id, &session)?;
        }
        Ok(Some(Caller::Session {
            account: session.account,
            id,
        }))
    }

    /// Every session, by id, with when it was last used.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn sessions(&self) -> Result<Vec<(String, Session, Wall)>, Problem> {
        let mut sessions = Vec::new();
        for id in self.secrets.keys(SESSIONS).map_err(broken)? {
            if let Some(session) = self.read(&id)? {
                let active = self
                    .active
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(&id)
                    .copied();
                let last = active.unwrap_or(session.logged_in);
                sessions.push((id, session, last));
            }
        }
        Ok(sessions)
    }

    /// Ends a session and every stream opened in it.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn end(&self, id: &str) -> Result<(), Problem> {
        self.secrets.delete(SESSIONS, id).map_err(broken)?;
        self.active
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        // Nobody listens when no stream is open.
        let _ = self.ended.send(id.to_owned());
        Ok(())
    }

    /// Hears the ids of sessions that end.
    #[must_use]
    pub fn hear_ends(&self) -> tokio::sync::broadcast::Receiver<String> {
        self.ended.subscribe()
    }

    fn read(&self, id: &str) -> Result<Option<Session>, Problem> {
        let kept = self.secrets.get(SESSIONS, id).map_err(broken)?;
        Ok(kept.and_then(|secret| serde_json::from_slice(secret.expose()).ok()))
    }

    fn keep(&self, id: &str, session: &Session) -> Result<(), Problem> {
        let bytes = serde_json::to_vec(session)
            .map_err(|error| Problem::of(Kind::Serialization, &error))?;
        self.secrets
            .put(SESSIONS, id, &Secret::new(bytes))
            .map_err(broken)
    }

    fn may_try(&self, from: Option<IpAddr>) -> Result<(), Problem> {
        let Some(from) = from else { return Ok(()) };
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = tries.get(&from) else {
            return Ok(());
        };
        let passed = Mono::now().since(known.last);
        let wait = wait_after(known.wrong);
        if passed < wait {
            let left = (wait - passed).as_secs() + 1;
            return Err(Problem::new(
                Kind::RateLimited,
                format!("too many wrong passwords from this device; try again in {left} s"),
            ));
        }
        Ok(())
    }

    fn note_try(&self, from: Option<IpAddr>, right: bool) {
        let Some(from) = from else { return };
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if right {
            tries.remove(&from);
            return;
        }
        if tries.len() >= SOURCES_KEPT {
            let oldest = tries
                .iter()
                .min_by_key(|(_, one)| one.last)
                .map(|(from, _)| *from);
            oldest.map(|from| tries.remove(&from));
        }
        let known = tries.entry(from).or_insert(Tries {
            wrong: 0,
            last: Mono::now(),
        });
        known.wrong += 1;
        known.last = Mono::now();
    }

    /// Runs something that hashes, beside the async threads and few at a time.
    async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let _turn = self.hashing.acquire().await;
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(unhashed(&error.to_string())))
    }
}

/// How long an address waits after this many wrong passwords in a row.
fn wait_after(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE_TRIES) {
        None => Duration::ZERO,
        Some(more) => FIRST_WAIT
            .saturating_mul(2u32.saturating_pow(more))
            .min(LONGEST_WAIT),
    }
}

/// argon2id with 64 MiB and three passes: about a quarter of a second on a small home server.
fn hasher() -> Argon2<'static> {
    let params = Params::new(64 * 1024, 3, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The id under which the session of a token is kept and listed.
fn session_id(token: &str) -> String {
    data_encoding::BASE32_NOPAD
        .encode(&Sha256::digest(token.as_bytes()))
        .to_lowercase()
}

fn later(now: Wall, by: Duration) -> Wall {
    Wall::from_millis(
        now.as_millis()
            .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
    )
}

fn wrong() -> Problem {
    Problem::new(Kind::IncorrectPassword, "the password is wrong")
}

fn unhashed(why: &str) -> Problem {
    Problem::new(
        Kind::Unknown,
        format!("the password could not be hashed: {why}"),
    )
}

fn broken(error: SecretError) -> Problem {
    Problem::of(Kind::Database, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> (Accounts, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (
            Accounts::new(SecretStore::open(folder.path()).unwrap()),
            folder,
        )
    }

    const GOOD: &str = "correct horse battery";

    #[tokio::test]
    async fn the_right_password_opens_and_a_wrong_one_does_not() {
        let (accounts, _folder) = accounts();
        let unset = accounts
            .check_password(GOOD.into(), None)
            .await
            .unwrap_err();
        assert_eq!(unset.kind, Kind::Uninitialized);
        accounts.set_password(GOOD.into()).await.unwrap();
        accounts.check_password(GOOD.into(), None).await.unwrap();
        let wrong = accounts
            .check_password("wrong horse battery".into(), None)
            .await
            .unwrap_err();
        assert_eq!(wrong.kind, Kind::IncorrectPassword);
    }

    #[tokio::test]
    async fn a_short_password_is_refused() {
        let (accounts, _folder) = accounts();
        assert_eq!(
            accounts
                .set_password("short".into())
                .await
                .unwrap_err()
                .kind,
            Kind::InvalidRequest
        );
    }

    #[tokio::test]
    async fn a_session_lives_until_it_is_ended_or_the_password_changes() {
        let (accounts, _folder) = accounts();
        let first = accounts.begin(None).unwrap();
        let second = accounts.begin(Some("test".into())).unwrap();
        let Some(Caller::Session { id, .. }) = accounts.session(&first).unwrap() else {
            panic!()
        };
        accounts.end(&id).unwrap();
        assert_eq!(accounts.session(&first).unwrap(), None);
        assert!(accounts.session(&second).unwrap().is_some());
        accounts.set_password(GOOD.into()).await.unwrap();
        assert_eq!(accounts.session(&second).unwrap(), None);
    }

    #[tokio::test]
    async fn guessing_from_one_address_slows_only_that_address() {
        let (accounts, _folder) = accounts();
        accounts.set_password(GOOD.into()).await.unwrap();
        let guesser = Some("192.0.2.1".parse().unwrap());
        for _ in 0..FREE_TRIES {
            accounts.note_try(guesser, false);
        }
        let slowed = accounts
            .check_password(GOOD.into(), guesser)
            .await
            .unwrap_err();
        assert_eq!(slowed.kind, Kind::RateLimited);
        let owner = Some("192.0.2.2".parse().unwrap());
        accounts.check_password(GOOD.into(), owner).await.unwrap();
    }

    #[test]
    fn waits_double_and_end() {
        assert_eq!(wait_after(4), Duration::ZERO);
        assert_eq!(wait_after(5), FIRST_WAIT);
        assert_eq!(wait_after(6), FIRST_WAIT * 2);
        assert_eq!(wait_after(1000), LONGEST_WAIT);
    }
}
