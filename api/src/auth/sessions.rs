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
    sync::{Mutex, MutexGuard, PoisonError},
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

/// What is in memory.
#[derive(Default)]
struct Volatile {
    last_used: HashMap<String, Wall>,
    /// Those that are written down nowhere, and of the others those that were used.
    sessions: HashMap<String, Session>,
}

impl Volatile {
    fn ephemeral(&self) -> impl Iterator<Item = (&String, &Session)> {
        self.sessions.iter().filter(|(_, one)| one.ephemeral)
    }
}

/// All sessions. Whoever calls what writes sees to it that nobody else does at that time.
pub(super) struct Sessions {
    table: Table<Session>,
    volatile: Mutex<Volatile>,
}

impl Sessions {
    pub(super) fn new(secrets: SecretStore) -> Self {
        Self {
            table: Table::new(secrets, "sessions"),
            volatile: Mutex::default(),
        }
    }

    fn volatile(&self) -> MutexGuard<'_, Volatile> {
        // Nothing panics while it is held.
        self.volatile.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.keep(id, session)?;
        Ok(gone)
    }

    /// The session, when it is not over.
    pub(super) fn living(&self, id: &str, now: Wall) -> Result<Option<Session>, Problem> {
        // Held until it is in memory, or it would be put back after somebody has removed it.
        let mut volatile = self.volatile();
        let found = match volatile.sessions.get(id) {
            Some(session) => Some(session.clone()),
            None => {
                let kept = self.table.get(id)?;
                if let Some(session) = &kept {
                    volatile.sessions.insert(id.to_owned(), session.clone());
                }
                kept
            }
        };
        Ok(found.filter(|session| now < session.expires))
    }

    /// The same, and that it was used.
    pub(super) fn used(&self, id: &str, now: Wall) -> Result<Option<Caller>, Problem> {
        let Some(session) = self.living(id, now)? else {
            return Ok(None);
        };
        self.volatile().last_used.insert(id.to_owned(), now);
        if let Some(renewed) = session.used(now) {
            self.keep(id, &renewed)?;
        }
        Ok(Some(Caller::Account {
            name: session.account,
            role: session.role,
            with: Credential::Session { id: id.to_owned() },
        }))
    }

    /// Every session with when it was last used, as far as this core knows.
    pub(super) fn listed(&self, now: Wall) -> Result<Vec<(String, Session, Wall)>, Problem> {
        let living = self.all()?.into_iter().filter(|(_, one)| now < one.expires);
        let volatile = self.volatile();
        let listed = living.map(|(id, session)| {
            let used = volatile.last_used.get(&id).copied();
            let used = used.unwrap_or(session.logged_in);
            (id, session, used)
        });
        Ok(listed.collect())
    }

    /// Every id, also of sessions that are over.
    pub(super) fn ids(&self) -> Result<Vec<String>, Problem> {
        let mut ids = self.table.ids()?;
        ids.extend(self.volatile().ephemeral().map(|(id, _)| id.clone()));
        Ok(ids)
    }

    pub(super) fn remove(&self, id: &str) -> Result<(), Problem> {
        self.table.delete(id)?;
        let mut volatile = self.volatile();
        volatile.last_used.remove(id);
        volatile.sessions.remove(id);
        Ok(())
    }

    fn all(&self) -> Result<Vec<(String, Session)>, Problem> {
        let mut all = self.table.all()?;
        let volatile = self.volatile();
        let ephemeral = volatile.ephemeral();
        all.extend(ephemeral.map(|(id, one)| (id.clone(), one.clone())));
        Ok(all)
    }

    fn keep(&self, id: &str, session: &Session) -> Result<(), Problem> {
        if !session.ephemeral {
            self.table.put(id, session)?;
        }
        let mut volatile = self.volatile();
        volatile.sessions.insert(id.to_owned(), session.clone());
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
