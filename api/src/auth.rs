//! Who somebody is: passwords, sessions, tokens, keys, and the second factor.
//!
//! Invariants: of what opens something only a hash is kept, in the secret store (but for the secret of
//! an authenticator app, which makes the codes); each is told once, to the one who asked for it. No
//! session outlives the password it was begun with, and nothing that was opened outlives the session,
//! token or key that opened it. How fast passwords and codes may be tried is decided in `throttle.rs`.

mod device;
mod factor;
mod grants;
mod password;
mod programs;
mod replay;
mod sessions;
mod signature;
mod table;
mod token;
mod totp;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_actors::{Kind, Problem};
use coppice_clock::{Mono, Wall};
use patchdb::{Secret, SecretStore};
use tokio::sync::{
    Semaphore,
    broadcast::{self, error::RecvError},
};

use crate::{
    caller::{ADMIN, Caller, Credential, Role},
    throttle::{Lane, Source, Throttle},
};

use device::Devices;
use factor::SecondFactor;
use grants::Grants;
use password::Compared;
use replay::Replay;
use sessions::Sessions;
use table::{Table, broken};

pub use factor::Offered;
#[cfg(test)]
pub(crate) use factor::app_shows;
pub(crate) use grants::USUAL_LIFE;
pub use grants::{Grant, Wanted};
pub use password::PasswordError;
pub use sessions::Session;
pub(crate) use signature::Signed;
#[cfg(test)]
pub(crate) use signature::tests as signed;

/// How long a login's cookie lasts in the browser.
pub(crate) const COOKIE_LIFE: Duration = sessions::LONGEST;

const PASSWORDS: &str = "passwords";
/// While something is open, whether its time is over is looked at this often at least: the wall clock
/// may jump.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What somebody signs in with.
pub struct Login {
    /// The password.
    pub password: String,
    /// A code of the second factor.
    pub code: Option<String>,
    /// Whether the session ends with the browser.
    pub ephemeral: bool,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
}

/// A session that has begun.
pub struct SignedIn {
    /// Its token, which is kept nowhere.
    pub token: String,
    /// Who they are from now on.
    pub caller: Caller,
}

/// Says that a password was right; a session is begun with it.
#[derive(Debug)]
#[must_use]
struct RightPassword {
    of_epoch: u64,
}

/// Hashes one at a time, since each takes 64 MiB; strangers have a queue of their own.
struct Lanes {
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

struct Shared {
    secrets: SecretStore,
    sessions: Sessions,
    tokens: Grants,
    keys: Grants,
    second_factor: SecondFactor,
    devices: Devices,
    throttle: Mutex<Throttle>,
    lanes: Lanes,
    /// How often the password was set since the start. Whoever writes a session or the password
    /// holds this, so that a renewal does not bring back a session that has ended meanwhile.
    epoch: Mutex<u64>,
    replay: Mutex<Replay>,
    horizons: Table<i64>,
    ended: broadcast::Sender<String>,
}

/// Accounts, and all that opens them. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Accounts {
    shared: Arc<Shared>,
}

/// A try that was let in; whatever becomes of it, it ends.
struct Try {
    accounts: Accounts,
    from: Source,
    lane: Lane,
    right: bool,
}

impl Try {
    fn look_at_code(&self) -> Result<(), Problem> {
        let admitted = locked(&self.accounts.shared.throttle).admit_code(self.lane, Mono::now());
        admitted.map_err(|refused| Problem::new(Kind::RateLimited, refused.to_string()))
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        locked(&self.accounts.shared.throttle).end(&self.from, self.right, Mono::now());
    }
}

impl Accounts {
    /// The accounts kept in `secrets`.
    #[must_use]
    pub fn new(secrets: SecretStore) -> Self {
        let shared = Shared {
            sessions: Sessions::new(secrets.clone()),
            tokens: Grants::new(secrets.clone(), "tokens"),
            keys: Grants::new(secrets.clone(), "keys"),
            second_factor: SecondFactor::new(secrets.clone()),
            devices: Devices::new(secrets.clone()),
            throttle: Mutex::default(),
            lanes: Lanes {
                known: Arc::new(Semaphore::new(1)),
                strangers: Arc::new(Semaphore::new(1)),
            },
            epoch: Mutex::default(),
            replay: Mutex::default(),
            horizons: Table::new(secrets.clone(), "key-horizons"),
            ended: broadcast::Sender::new(64),
            secrets,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Whether a password was ever set.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn is_set_up(&self) -> Result<bool, Problem> {
        Ok(self.kept_password()?.is_some())
    }

    /// Sets the password of the admin and ends all sessions.
    ///
    /// # Errors
    /// When the password is too short or too long, or the secret store fails.
    pub async fn set_password(&self, password: String) -> Result<(), Problem> {
        password::check(&password).map_err(|weak| Problem::invalid(weak.to_string()))?;
        let accounts = self.clone();
        self.hash(Lane::Known, move || {
            let hash = password::hash(&password)?;
            let mut epoch = locked(&accounts.shared.epoch);
            accounts.keep_password(hash)?;
            *epoch += 1;
            for id in accounts.shared.sessions.ids()? {
                accounts.forget_session(&id)?;
            }
            Ok(())
        })
        .await
    }

    /// Checks the password of the admin, for somebody who is signed in; slows down who guesses.
    ///
    /// # Errors
    /// When it is wrong, whoever asks has to wait, or no password was ever set.
    pub async fn check_password(
        &self,
        password: String,
        from: Option<Source>,
    ) -> Result<(), Problem> {
        let mut this_try = self.admit(from)?;
        let _ = self.right_password(password, this_try.as_ref()).await?;
        if let Some(this_try) = &mut this_try {
            this_try.right = true;
        }
        Ok(())
    }

    /// Begins a session.
    ///
    /// # Errors
    /// As [`Self::check_password`]; with the second factor on, also when the code is missing or wrong.
    pub async fn sign_in(&self, login: Login, from: Option<Source>) -> Result<SignedIn, Problem> {
        let mut this_try = self.admit(from)?;
        let right = self
            .right_password(login.password, this_try.as_ref())
            .await?;
        let second_factor = &self.shared.second_factor;
        if second_factor.is_on(ADMIN)? {
            let Some(code) = login.code else {
                return Err(Problem::new(
                    Kind::CodeNeeded,
                    "two-step login is on; give the code that your authenticator app shows, too",
                ));
            };
            if let Some(this_try) = this_try.as_ref().filter(|_| !factor::is_from_paper(&code)) {
                this_try.look_at_code()?;
            }
            second_factor.take(ADMIN, &code, Wall::now())?;
        }
        if let Some(this_try) = &mut this_try {
            this_try.right = true;
        }
        self.begin(right, login.user_agent, login.ephemeral)
    }

    /// Begins a session.
    fn begin(
        &self,
        right: RightPassword,
        user_agent: Option<String>,
        ephemeral: bool,
    ) -> Result<SignedIn, Problem> {
        let (token, now) = (token::fresh(), Wall::now());
        let id = token::id(token.as_bytes());
        let session = Session::new(ADMIN, Role::Admin, user_agent, ephemeral, now);
        let epoch = locked(&self.shared.epoch);
        if *epoch != right.of_epoch {
            return Err(wrong());
        }
        for gone in self.shared.sessions.add(&id, &session, now)? {
            self.tell_end(&gone);
        }
        let caller = Caller::Account {
            name: session.account.into(),
            role: session.role,
            with: Credential::Session { id: id.into() },
        };
        Ok(SignedIn { token, caller })
    }

    /// Whose session a token of a cookie opens, when it is valid.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn session(&self, token: &str) -> Result<Option<Caller>, Problem> {
        let _writing = locked(&self.shared.epoch);
        let id = token::id(token.as_bytes());
        self.shared.sessions.used(&id, Wall::now())
    }

    /// Every session, by id, with when it was last used.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn sessions(&self) -> Result<Vec<(String, Session, Wall)>, Problem> {
        self.shared.sessions.listed(Wall::now())
    }

    /// Ends a session and every stream opened in it.
    ///
    /// # Errors
    /// When the secret store fails.
    pub fn end(&self, id: &str) -> Result<(), Problem> {
        let _writing = locked(&self.shared.epoch);
        self.forget_session(id)
    }

    /// The cookie that a browser is known by when it signs in again.
    ///
    /// # Errors
    /// When the secret store fails.
    pub(crate) fn device_cookie(&self) -> Result<String, Problem> {
        self.shared.devices.cookie()
    }

    /// The browser that a cookie was given to.
    ///
    /// # Errors
    /// When the secret store fails.
    pub(crate) fn device(&self, cookie: &str) -> Result<Option<String>, Problem> {
        self.shared.devices.known(cookie)
    }

    /// Waits until what the caller showed opens nothing any more; for ever, when it showed nothing.
    ///
    /// What had ended before is told at once: who opens something asks here, and leaves no moment in
    /// which the end goes unheard.
    pub(crate) fn ended(&self, caller: &Caller) -> impl Future<Output = ()> + Send + use<> {
        let with = caller.credential().cloned();
        let (mut ends, accounts) = (self.shared.ended.subscribe(), self.clone());
        async move {
            let Some(with) = with else {
                return std::future::pending().await;
            };
            // A store that cannot be read counts as an end: what is open could not be closed later.
            while let Ok(Some(until)) = accounts.lives_until(&with) {
                let left = until.as_millis() - Wall::now().as_millis();
                let left = Duration::from_millis(left.max(1).unsigned_abs());
                let mut look = std::pin::pin!(tokio::time::sleep(left.min(LOOK_EVERY)));
                loop {
                    let ended = tokio::select! {
                        ended = ends.recv() => ended,
                        () = &mut look => break,
                    };
                    match ended {
                        Ok(ended) if ended == with.id() => return,
                        Ok(_) => {}
                        // It may have been among those that were missed.
                        Err(RecvError::Lagged(_)) => break,
                        Err(RecvError::Closed) => return,
                    }
                }
            }
        }
    }

    /// When something ends that still opens what it did.
    fn lives_until(&self, with: &Credential) -> Result<Option<Wall>, Problem> {
        let now = Wall::now();
        let grant = match with {
            Credential::Session { id } => {
                let session = self.shared.sessions.living(id, now)?;
                return Ok(session.map(|session| session.expires));
            }
            Credential::Token { id, .. } => self.shared.tokens.living(id, now)?,
            Credential::Key { id, .. } => self.shared.keys.living(id, now)?,
        };
        Ok(grant.map(|grant| grant.expires))
    }

    /// Ends a session, for one who holds `epoch`.
    fn forget_session(&self, id: &str) -> Result<(), Problem> {
        self.shared.sessions.remove(id)?;
        self.tell_end(id);
        Ok(())
    }

    fn tell_end(&self, id: &str) {
        // Nobody listens when no stream is open.
        let _ = self.shared.ended.send(id.to_owned());
    }

    fn kept_password(&self) -> Result<Option<Secret>, Problem> {
        self.shared.secrets.get(PASSWORDS, ADMIN).map_err(broken)
    }

    fn keep_password(&self, hash: String) -> Result<(), Problem> {
        let secrets = &self.shared.secrets;
        secrets
            .put(PASSWORDS, ADMIN, &Secret::new(hash))
            .map_err(broken)
    }

    /// Compares a password with the one that is kept, in its turn.
    async fn right_password(
        &self,
        password: String,
        this_try: Option<&Try>,
    ) -> Result<RightPassword, Problem> {
        let (of_epoch, kept) = {
            let epoch = locked(&self.shared.epoch);
            (*epoch, self.kept_password()?)
        };
        let Some(kept) = kept else {
            return Err(Problem::new(
                Kind::Uninitialized,
                "no password was set yet; run `coppice auth set-password` on the server",
            ));
        };
        if password.len() > password::LONGEST {
            return Err(wrong());
        }
        let lane = this_try.map_or(Lane::Known, |this_try| this_try.lane);
        let accounts = self.clone();
        let compared = self.hash(lane, move || {
            let kept = kept.expose_str();
            let kept = kept.ok_or_else(|| password::unhashed("the stored hash is not text"))?;
            let compared = password::compare(&password, kept)?;
            if compared == (Compared::Right { outdated: true }) {
                let anew = password::hash(&password)?;
                let epoch = locked(&accounts.shared.epoch);
                if *epoch == of_epoch {
                    accounts.keep_password(anew)?;
                }
            }
            Ok(compared)
        });
        match compared.await? {
            Compared::Right { .. } => Ok(RightPassword { of_epoch }),
            Compared::Wrong => Err(wrong()),
        }
    }

    /// Lets a try in. Root has no source and never waits.
    fn admit(&self, from: Option<Source>) -> Result<Option<Try>, Problem> {
        let Some(from) = from else {
            return Ok(None);
        };
        let admitted = locked(&self.shared.throttle).admit(&from, Mono::now());
        let lane =
            admitted.map_err(|refused| Problem::new(Kind::RateLimited, refused.to_string()))?;
        Ok(Some(Try {
            accounts: self.clone(),
            from,
            lane,
            right: false,
        }))
    }

    /// Runs something that hashes, beside the async threads and in its turn.
    async fn hash<T: Send + 'static>(
        &self,
        lane: Lane,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let lane = match lane {
            Lane::Known => &self.shared.lanes.known,
            Lane::Strangers => &self.shared.lanes.strangers,
        };
        let turn = Arc::clone(lane).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            // Who asked may hang up; the turn lasts as long as the memory is in use.
            let _turn = turn;
            work()
        });
        done.await
            .unwrap_or_else(|error| Err(password::unhashed(&error.to_string())))
    }
}

/// A lock that is never held while anything can panic half-way.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests;
