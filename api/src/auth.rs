//! Passwords and sessions.
//!
//! Invariants: a password is kept as an argon2id hash and a session as the SHA-256 of its token,
//! both in the secret store; a token leaves the server once, in the cookie of the answer to the
//! login. No session outlives the password it was begun with. How fast passwords may be tried is
//! decided in `throttle.rs`.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
use tokio::sync::{
    Semaphore,
    broadcast::{self, error::RecvError},
};

use crate::{
    caller::{ADMIN, Caller, Role},
    throttle::{Lane, Throttle},
};

/// A session ends this long after its login; each day of use moves that by a day.
const SESSION_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Shortest password that may be set, in characters.
const SHORTEST: usize = 12;
/// Longest password that is looked at, in bytes.
const LONGEST: usize = 1024;

const PASSWORDS: &str = "passwords";
const SESSIONS: &str = "sessions";

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
    /// What the account may do.
    pub role: Role,
    /// When it began.
    pub logged_in: Wall,
    /// When it ends unless it is used.
    pub expires: Wall,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

/// Says that a password was right; a session is begun with it.
#[derive(Debug)]
#[must_use]
pub struct RightPassword {
    of_epoch: u64,
}

/// Hashes one at a time, since each takes 64 MiB; strangers have a queue of their own.
#[derive(Clone)]
struct Lanes {
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// Accounts and sessions. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Accounts {
    secrets: SecretStore,
    throttle: Arc<Mutex<Throttle>>,
    lanes: Lanes,
    active: Arc<Mutex<HashMap<String, Wall>>>,
    /// How often the password was set since the start. Whoever writes a session or the password
    /// holds this, so that a renewal does not bring back a session that has ended meanwhile.
    epoch: Arc<Mutex<u64>>,
    ended: broadcast::Sender<String>,
}

/// A try that was let in; whatever becomes of it, it ends.
struct Try {
    throttle: Arc<Mutex<Throttle>>,
    from: IpAddr,
    right: bool,
}

impl Drop for Try {
    fn drop(&mut self) {
        locked(&self.throttle).end(self.from, self.right, Mono::now());
    }
}

impl Accounts {
    /// The accounts kept in `secrets`.
    #[must_use]
    pub fn new(secrets: SecretStore) -> Self {
        Self {
            secrets,
            throttle: Arc::default(),
            lanes: Lanes {
                known: Arc::new(Semaphore::new(1)),
                strangers: Arc::new(Semaphore::new(1)),
            },
            active: Arc::default(),
            epoch: Arc::default(),
            ended: broadcast::Sender::new(64),
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
        let accounts = self.clone();
        self.hash(Lane::Known, move || {
            let hash = hasher()
                .hash_password(password.as_bytes())
                .map_err(|error| unhashed(&error.to_string()))?;
            let mut epoch = locked(&accounts.epoch);
            let secrets = &accounts.secrets;
            secrets
                .put(PASSWORDS, ADMIN, &Secret::new(hash.to_string()))
                .map_err(broken)?;
            *epoch += 1;
            for id in secrets.keys(SESSIONS).map_err(broken)? {
                accounts.forget(&id)?;
            }
            Ok(())
        })
        .await
    }

    /// Checks the password of the admin; slows down an address that guesses.
    ///
    /// # Errors
    /// When it is wrong, the address has to wait, or no password was ever set.
    pub async fn check_password(
        &self,
        password: String,
        from: Option<IpAddr>,
    ) -> Result<RightPassword, Problem> {
        let (of_epoch, kept) = {
            let epoch = locked(&self.epoch);
            let kept = self.secrets.get(PASSWORDS, ADMIN).map_err(broken)?;
            (*epoch, kept)
        };
        let Some(kept) = kept else {
            return Err(Problem::new(
                Kind::Uninitialized,
                "no password was set yet; run `coppice auth set-password` on the server",
            ));
        };
        let (lane, mut this_try) = self.admit(from)?;
        if password.len() > LONGEST {
            return Err(wrong());
        }
        let right = self
            .hash(lane, move || {
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
        if let Some(this_try) = &mut this_try {
            this_try.right = right;
        }
        if right {
            Ok(RightPassword { of_epoch })
        } else {
            Err(wrong())
        }
    }

    /// Begins a session; gives its token, which is kept nowhere.
    ///
    /// # Errors
    /// When the password was changed meanwhile, or the secret store fails.
    pub fn begin(
        &self,
        right: RightPassword,
        user_agent: Option<String>,
    ) -> Result<String, Problem> {
        let mut raw = [0; 32];
        rand::rng().fill_bytes(&mut raw);
        let token = data_encoding::BASE32_NOPAD.encode(&raw).to_lowercase();
        let now = Wall::now();
        let session = Session {
            account: ADMIN.to_owned(),
            role: Role::Admin,
            logged_in: now,
            expires: later(now, SESSION_LIFE),
            user_agent: user_agent.map(|agent| agent.chars().take(256).collect()),
        };
        let epoch = locked(&self.epoch);
        if *epoch != right.of_epoch {
            return Err(wrong());
        }
        self.keep(&session_id(&token), &session)?;
        Ok(token)
    }

    /// The session of a token, when it is valid.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn session(&self, token: &str) -> Result<Option<Caller>, Problem> {
        let id = session_id(token);
        let _writing = locked(&self.epoch);
        let Some(mut session) = self.read(&id)? else {
            return Ok(None);
        };
        let now = Wall::now();
        if now >= session.expires {
            self.forget(&id)?;
            return Ok(None);
        }
        locked(&self.active).insert(id.clone(), now);
        let renewed = later(now, SESSION_LIFE);
        if renewed.as_millis() - session.expires.as_millis()
            > i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX)
        {
            session.expires = renewed;
            self.keep(&id, &session)?;
        }
        Ok(Some(Caller::Session {
            account: session.account,
            role: session.role,
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
                let active = locked(&self.active).get(&id).copied();
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
        let _writing = locked(&self.epoch);
        self.forget(id)
    }

    /// Waits until the caller's session is no more; for ever, when it has none.
    ///
    /// One that had ended before is told at once: who opens something for a session asks here, and
    /// leaves no moment in which its end goes unheard.
    pub(crate) fn ended(&self, caller: &Caller) -> impl Future<Output = ()> + Send + use<> {
        let id = match caller {
            Caller::Session { id, .. } => Some(id.clone()),
            Caller::Root | Caller::Anonymous => None,
        };
        let (mut ends, accounts) = (self.ended.subscribe(), self.clone());
        async move {
            let Some(id) = id else {
                return std::future::pending().await;
            };
            // A store that cannot be read counts as an end: what is open could not be closed later.
            while matches!(accounts.read(&id), Ok(Some(session)) if Wall::now() < session.expires) {
                loop {
                    match ends.recv().await {
                        Ok(ended) if ended == id => return,
                        Ok(_) => {}
                        // It may have been among those that were missed.
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => return,
                    }
                }
            }
        }
    }

    /// Ends a session, for one who holds `epoch`.
    fn forget(&self, id: &str) -> Result<(), Problem> {
        self.secrets.delete(SESSIONS, id).map_err(broken)?;
        locked(&self.active).remove(id);
        // Nobody listens when no stream is open.
        let _ = self.ended.send(id.to_owned());
        Ok(())
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

    /// Lets a try in. Root has no address and never waits.
    fn admit(&self, from: Option<IpAddr>) -> Result<(Lane, Option<Try>), Problem> {
        let Some(from) = from else {
            return Ok((Lane::Known, None));
        };
        let admitted = locked(&self.throttle).admit(from, Mono::now());
        let lane =
            admitted.map_err(|refused| Problem::new(Kind::RateLimited, refused.to_string()))?;
        let this_try = Try {
            throttle: Arc::clone(&self.throttle),
            from,
            right: false,
        };
        Ok((lane, Some(this_try)))
    }

    /// Runs something that hashes, beside the async threads and in its turn.
    async fn hash<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let lane = match lane {
            Lane::Known => &self.lanes.known,
            Lane::Strangers => &self.lanes.strangers,
        };
        let turn = Arc::clone(lane).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            // Who asked may hang up; the turn lasts as long as the memory is in use.
            let _turn = turn;
            work()
        });
        done.await
            .unwrap_or_else(|error| Err(unhashed(&error.to_string())))
    }
}

/// A lock that is never held while anything can panic half-way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    Problem::new(
        Kind::IncorrectPassword,
        "the password is wrong; try again, or set another with `coppice auth set-password` on the server",
    )
}

fn unhashed(why: &str) -> Problem {
    Problem::new(
        Kind::Unknown,
        format!(
            "the password could not be hashed: {why}; try again, and see the log of Coppice if it goes on"
        ),
    )
}

fn broken(error: SecretError) -> Problem {
    Problem::of(Kind::Database, &error)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn accounts() -> (Accounts, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (
            Accounts::new(SecretStore::open(folder.path()).unwrap()),
            folder,
        )
    }

    const GOOD: &str = "correct horse battery";

    fn begun(accounts: &Accounts) -> (String, Caller) {
        let of_epoch = *locked(&accounts.epoch);
        let token = accounts.begin(RightPassword { of_epoch }, None).unwrap();
        let caller = accounts.session(&token).unwrap().unwrap();
        (token, caller)
    }

    fn id(caller: &Caller) -> &str {
        match caller {
            Caller::Session { id, .. } => id,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_right_password_opens_and_a_wrong_one_does_not() {
        let (accounts, _folder) = accounts();
        let unset = accounts
            .check_password(GOOD.into(), None)
            .await
            .unwrap_err();
        assert_eq!(unset.kind, Kind::Uninitialized);
        accounts.set_password(GOOD.into()).await.unwrap();
        let right = accounts.check_password(GOOD.into(), None).await.unwrap();
        accounts.begin(right, Some("test".into())).unwrap();
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
        let ((first, caller), (second, _)) = (begun(&accounts), begun(&accounts));
        accounts.end(id(&caller)).unwrap();
        assert_eq!(accounts.session(&first).unwrap(), None);
        assert!(accounts.session(&second).unwrap().is_some());
        accounts.set_password(GOOD.into()).await.unwrap();
        assert_eq!(accounts.session(&second).unwrap(), None);
    }

    #[tokio::test]
    async fn a_password_that_was_right_before_it_changed_begins_no_session() {
        let (accounts, _folder) = accounts();
        accounts.set_password(GOOD.into()).await.unwrap();
        let right = accounts.check_password(GOOD.into(), None).await.unwrap();
        accounts
            .set_password("another horse battery".into())
            .await
            .unwrap();
        let refused = accounts.begin(right, None).unwrap_err();
        assert_eq!(refused.kind, Kind::IncorrectPassword);
    }

    #[tokio::test]
    async fn the_end_of_a_session_is_heard_by_every_handle_even_when_it_came_before() {
        let (accounts, _folder) = accounts();
        let ((_, first), (_, second)) = (begun(&accounts), begun(&accounts));
        let hears = accounts.clone().ended(&first);
        let other = accounts.ended(&second);
        accounts.end(id(&first)).unwrap();
        hears.await;
        accounts.ended(&first).await;
        let mut other = Box::pin(other);
        assert!(other.as_mut().now_or_never().is_none());
        accounts.set_password(GOOD.into()).await.unwrap();
        other.await;
    }

    #[tokio::test]
    async fn ends_of_many_other_sessions_are_not_taken_for_the_end_of_this_one() {
        let (accounts, _folder) = accounts();
        let (_, caller) = begun(&accounts);
        let mut ended = Box::pin(accounts.ended(&caller));
        for other in 0..200 {
            accounts.end(&other.to_string()).unwrap();
        }
        assert!(ended.as_mut().now_or_never().is_none());
        accounts.end(id(&caller)).unwrap();
        ended.await;
    }

    #[tokio::test]
    async fn of_a_batch_of_wrong_passwords_from_one_address_one_is_looked_at() {
        let (accounts, _folder) = accounts();
        accounts.set_password(GOOD.into()).await.unwrap();
        let guesser = Some("192.0.2.1".parse().unwrap());
        let tries = (0..64).map(|_| accounts.check_password("a wrong password".into(), guesser));
        let answers = futures_util::future::join_all(tries).await;
        let looked_at = answers
            .into_iter()
            .filter(|answer| answer.as_ref().unwrap_err().kind == Kind::IncorrectPassword);
        assert_eq!(looked_at.count(), 1);
        let owner = Some("192.0.2.2".parse().unwrap());
        let _ = accounts.check_password(GOOD.into(), owner).await.unwrap();
    }
}
