//! Sessions: what is kept of them, and when they end by themselves.
//!
//! ```text
//!  begun ─┬─ unused for `idle` ─► over
//!         ├─ LONGEST after the login, however much it is used ─► over
//!         └─ ended by its owner, by root, or by a new password ─► over
//! ```
//!
//! Invariants: using a session costs no write, but for one a day that moves its end; when it was last
//! used is in memory only. A session that shall not outlive the browser is in memory only, too, and
//! ends with the core. What is in memory of a session is what is kept of it: one that has ended is in neither.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use coppice_actors::Problem;
use coppice_clock::Wall;
use patchdb::SecretStore;
use serde::{Deserialize, Serialize};

use super::{later, table::Table};
use crate::caller::{Caller, Credential, Role};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a session may go unused.
const IDLE: Duration = Duration::from_secs(30 * 24 * 3600);
/// The same of one that shall not outlive the browser.
const IDLE_BROWSER: Duration = DAY;
/// How long any session lasts; then the password is asked for again.
pub(super) const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);
/// Sessions at once; beyond, the one that is nearest its end goes.
const MOST: usize = 64;

/// What is kept of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether it ends with the browser, and with the core.
    #[serde(default)]
    pub ephemeral: bool,
}

impl Session {
    /// One that begins now.
    pub(super) fn new(
        account: &str,
        role: Role,
        user_agent: Option<String>,
        ephemeral: bool,
        now: Wall,
    ) -> Self {
        let mut session = Self {
            account: account.to_owned(),
            role,
            logged_in: now,
            expires: now,
            user_agent: user_agent.map(|agent| agent.chars().take(256).collect()),
            ephemeral,
        };
        session.expires = session.end_if_used(now);
        session
    }

    /// When it ends if it is used now and not again.
    fn end_if_used(&self, now: Wall) -> Wall {
        let idle = if self.ephemeral { IDLE_BROWSER } else { IDLE };
        later(now, idle).min(later(self.logged_in, LONGEST))
    }

    /// The session with its new end, when using it now moves that by enough to be worth a write.
    fn used(&self, now: Wall) -> Option<Self> {
        let expires = self.end_if_used(now);
        let least = if self.ephemeral { Duration::ZERO } else { DAY };
        (expires > later(self.expires, least)).then(|| Self {
            expires,
            ..self.clone()
        })
    }
}

/// A session in memory.
struct Known {
    session: Arc<Session>,
    /// Who calls in it.
    caller: Caller,
    /// Unknown before its first use with this core.
    last_used: Option<Wall>,
}

impl Known {
    fn new(id: &str, session: Session) -> Self {
        let caller = Caller::Account {
            name: session.account.as_str().into(),
            role: session.role,
            with: Credential::Session { id: id.into() },
        };
        Self {
            session: Arc::new(session),
            caller,
            last_used: None,
        }
    }
}

/// Those that are written down nowhere, and of the others those that were looked at.
#[derive(Default)]
struct InMemory(HashMap<String, Known>);

impl InMemory {
    fn ephemeral(&self) -> impl Iterator<Item = (&String, &Session)> {
        let all = self.0.iter().map(|(id, one)| (id, &*one.session));
        all.filter(|(_, session)| session.ephemeral)
    }
}

/// All sessions. Whoever calls what writes sees to it that nobody else does at that time.
pub(super) struct Sessions {
    table: Table<Session>,
    in_memory: Mutex<InMemory>,
}

impl Sessions {
    pub(super) fn new(secrets: SecretStore) -> Self {
        Self {
            table: Table::new(secrets, "sessions"),
            in_memory: Mutex::default(),
        }
    }

    fn in_memory(&self) -> MutexGuard<'_, InMemory> {
        // Nothing panics while it is held.
        self.in_memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a new session; gives the ids of those that had to go for it.
    pub(super) fn add(
        &self,
        id: &str,
        session: &Session,
        now: Wall,
    ) -> Result<Vec<String>, Problem> {
        let (over, mut living): (Vec<_>, Vec<_>) = self
            .all()?
            .into_iter()
            .partition(|(_, one)| one.expires <= now);
        let mut gone: Vec<String> = over.into_iter().map(|(id, _)| id).collect();
        living.sort_by_key(|(_, one)| one.expires);
        let surplus = (living.len() + 1).saturating_sub(MOST);
        gone.extend(living.into_iter().take(surplus).map(|(id, _)| id));
        for id in &gone {
            self.remove(id)?;
        }
        self.keep(id, session.clone(), None)?;
        Ok(gone)
    }

    /// What `look` sees of the session, when it is not over.
    fn look<T>(
        &self,
        id: &str,
        now: Wall,
        look: impl FnOnce(&mut Known) -> T,
    ) -> Result<Option<T>, Problem> {
        // Held until it is in memory, or it would be put back after somebody has removed it.
        let mut in_memory = self.in_memory();
        if !in_memory.0.contains_key(id) {
            let Some(kept) = self.table.get(id)? else {
                return Ok(None);
            };
            in_memory.0.insert(id.to_owned(), Known::new(id, kept));
        }
        let known = in_memory.0.get_mut(id);
        Ok(known.filter(|one| now < one.session.expires).map(look))
    }

    /// The session, when it is not over.
    pub(super) fn living(&self, id: &str, now: Wall) -> Result<Option<Arc<Session>>, Problem> {
        self.look(id, now, |known| Arc::clone(&known.session))
    }

    /// The same, and that it was used.
    pub(super) fn used(&self, id: &str, now: Wall) -> Result<Option<Caller>, Problem> {
        let used = self.look(id, now, |known| {
            known.last_used = Some(now);
            (known.caller.clone(), known.session.used(now))
        })?;
        let Some((caller, renewed)) = used else {
            return Ok(None);
        };
        if let Some(renewed) = renewed {
            self.keep(id, renewed, Some(now))?;
        }
        Ok(Some(caller))
    }

    /// Every session with when it was last used, as far as this core knows.
    pub(super) fn listed(&self, now: Wall) -> Result<Vec<(String, Session, Wall)>, Problem> {
        let living = self.all()?.into_iter().filter(|(_, one)| now < one.expires);
        let in_memory = self.in_memory();
        let listed = living.map(|(id, session)| {
            let used = in_memory.0.get(&id).and_then(|one| one.last_used);
            let used = used.unwrap_or(session.logged_in);
            (id, session, used)
        });
        Ok(listed.collect())
    }

    /// Every id, also of sessions that are over.
    pub(super) fn ids(&self) -> Result<Vec<String>, Problem> {
        let mut ids = self.table.ids()?;
        ids.extend(self.in_memory().ephemeral().map(|(id, _)| id.clone()));
        Ok(ids)
    }

    pub(super) fn remove(&self, id: &str) -> Result<(), Problem> {
        self.table.delete(id)?;
        self.in_memory().0.remove(id);
        Ok(())
    }

    fn all(&self) -> Result<Vec<(String, Session)>, Problem> {
        let mut all = self.table.all()?;
        let in_memory = self.in_memory();
        let ephemeral = in_memory.ephemeral();
        all.extend(ephemeral.map(|(id, one)| (id.clone(), one.clone())));
        Ok(all)
    }

    fn keep(&self, id: &str, session: Session, last_used: Option<Wall>) -> Result<(), Problem> {
        if !session.ephemeral {
            self.table.put(id, &session)?;
        }
        let mut known = Known::new(id, session);
        known.last_used = last_used;
        self.in_memory().0.insert(id.to_owned(), known);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> Wall {
        later(Wall::from_millis(1_700_000_000_000), DAY * number)
    }

    fn session(ephemeral: bool) -> Session {
        Session::new("admin", Role::Admin, None, ephemeral, day(0))
    }

    fn sessions() -> (Sessions, SecretStore, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let secrets = SecretStore::open(folder.path()).unwrap();
        (Sessions::new(secrets.clone()), secrets, folder)
    }

    #[test]
    fn a_session_that_is_not_used_is_over_after_thirty_days() {
        let (sessions, _, _folder) = sessions();
        sessions.add("a", &session(false), day(0)).unwrap();
        assert!(sessions.used("a", day(29)).unwrap().is_some());
        assert!(
            sessions.used("a", day(58)).unwrap().is_some(),
            "used at day 29"
        );
        assert_eq!(sessions.used("a", day(88)).unwrap(), None);
        assert!(sessions.listed(day(88)).unwrap().is_empty());
    }

    #[test]
    fn a_session_is_over_after_ninety_days_however_much_it_is_used() {
        let (sessions, _, _folder) = sessions();
        sessions.add("a", &session(false), day(0)).unwrap();
        for now in 1..90 {
            assert!(sessions.used("a", day(now)).unwrap().is_some(), "day {now}");
        }
        assert_eq!(sessions.used("a", day(90)).unwrap(), None);
    }

    #[test]
    fn a_day_of_use_is_one_write_at_most() {
        let mut one = session(false);
        assert_eq!(one.used(later(day(1), Duration::from_millis(0))), None);
        let moved = one.used(later(day(1), Duration::from_secs(1))).unwrap();
        assert_eq!(moved.expires, later(day(31), Duration::from_secs(1)));
        one = moved;
        assert_eq!(one.used(day(2)), None);
    }

    #[test]
    fn a_session_of_one_browser_ends_with_the_core_and_after_a_day() {
        let (sessions, secrets, _folder) = sessions();
        sessions.add("a", &session(true), day(0)).unwrap();
        let hours = |hours: u64| later(day(0), Duration::from_secs(hours * 3600));
        assert!(sessions.used("a", hours(23)).unwrap().is_some());
        assert!(
            sessions.used("a", hours(46)).unwrap().is_some(),
            "it was used"
        );
        assert_eq!(sessions.used("a", hours(71)).unwrap(), None);
        assert!(sessions.living("a", day(0)).unwrap().is_some());
        let next_core = Sessions::new(secrets);
        assert!(next_core.living("a", day(0)).unwrap().is_none());
    }

    #[test]
    fn there_are_so_many_sessions_and_the_one_nearest_its_end_goes_first() {
        let (sessions, _, _folder) = sessions();
        for number in 0..MOST {
            let mut one = session(false);
            one.expires = later(day(1), Duration::from_secs(number as u64));
            assert!(
                sessions
                    .add(&format!("{number}"), &one, day(0))
                    .unwrap()
                    .is_empty()
            );
        }
        assert_eq!(sessions.add("new", &session(false), day(0)).unwrap(), ["0"]);
        assert_eq!(sessions.listed(day(0)).unwrap().len(), MOST);
        let gone = sessions.add("newer", &session(false), day(2)).unwrap();
        assert_eq!(gone.len(), MOST - 1, "those that were over");
    }
}
