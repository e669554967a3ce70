//! Tokens and keys: what programs show instead of a password.
//!
//! Invariants: neither a token nor a key is kept, only its hash; each has a scope and an end, and
//! what is over or revoked opens nothing. When one was last used is in memory only.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use coppice_actors::{Kind, Problem};
use coppice_clock::Wall;
use patchdb::SecretStore;
use serde::{Deserialize, Serialize};

use super::{later, table::Table};
use crate::caller::{Role, Scope};

/// What one lasts when nothing is said.
pub(crate) const USUAL_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);
/// What one lasts at most.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
/// Tokens or keys at once.
const MOST: usize = 64;
/// Characters of a name.
const LONGEST_NAME: usize = 64;

/// What is kept of a token or a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Whose it is.
    pub account: String,
    /// What the account may do.
    pub role: Role,
    /// What its owner calls it.
    pub name: String,
    /// How much of what the account may do it may do.
    pub scope: Scope,
    /// When it was made.
    pub created: Wall,
    /// When it ends.
    pub expires: Wall,
}

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What to call it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// How long it lasts.
    pub lasts: Duration,
}

impl Wanted {
    /// What is kept of it.
    fn grant(self, account: &str, role: Role, now: Wall) -> Result<Grant, Problem> {
        let name = self.name.trim();
        if !(1..=LONGEST_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control)
        {
            return Err(Problem::invalid(format!(
                "a name has 1 to {LONGEST_NAME} characters, for example what uses it"
            )));
        }
        if self.lasts.is_zero() || self.lasts > LONGEST_LIFE {
            return Err(Problem::invalid(
                "it can last from one second to ten years; make a new one when it ends",
            ));
        }
        Ok(Grant {
            account: account.to_owned(),
            role,
            name: name.to_owned(),
            scope: self.scope,
            created: now,
            expires: later(now, self.lasts),
        })
    }
}

/// All tokens, or all keys.
pub(super) struct Grants {
    table: Table<Grant>,
    last_used: Mutex<HashMap<String, Wall>>,
}

impl Grants {
    pub(super) fn new(secrets: SecretStore, namespace: &'static str) -> Self {
        Self {
            table: Table::new(secrets, namespace),
            last_used: Mutex::default(),
        }
    }

    pub(super) fn add(
        &self,
        id: &str,
        wanted: Wanted,
        (account, role): (&str, Role),
        now: Wall,
    ) -> Result<Grant, Problem> {
        let grant = wanted.grant(account, role, now)?;
        let (over, living): (Vec<_>, Vec<_>) = self
            .table
            .all()?
            .into_iter()
            .partition(|(_, one)| one.expires <= now);
        if living.iter().any(|(one, _)| one == id) {
            return Err(Problem::new(
                Kind::Duplicate,
                "this key is known already; remove it first to change what it may do",
            ));
        }
        if living.len() >= MOST {
            return Err(Problem::invalid(format!(
                "there are {MOST} already; revoke those that are not used any more"
            )));
        }
        for (id, _) in over {
            self.remove(&id)?;
        }
        self.table.put(id, &grant)?;
        Ok(grant)
    }

    /// What an id opens, when it is not over.
    pub(super) fn living(&self, id: &str, now: Wall) -> Result<Option<Grant>, Problem> {
        Ok(self.table.get(id)?.filter(|grant| now < grant.expires))
    }

    pub(super) fn note_use(&self, id: &str, now: Wall) {
        // Nothing panics while it is held.
        let mut used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.insert(id.to_owned(), now);
    }

    /// Every one with when it was last used, as far as this core knows.
    pub(super) fn listed(&self, now: Wall) -> Result<Vec<(String, Grant, Option<Wall>)>, Problem> {
        let living = self.table.all()?.into_iter();
        let living = living.filter(|(_, grant)| now < grant.expires);
        let used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let with_use = living.map(|(id, grant)| {
            let last = used.get(&id).copied();
            (id, grant, last)
        });
        Ok(with_use.collect())
    }

    /// Whether there was one.
    pub(super) fn remove(&self, id: &str) -> Result<bool, Problem> {
        let mut used = self
            .last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        used.remove(id);
        drop(used);
        self.table.delete(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, seconds: u64) -> Wanted {
        Wanted {
            name: name.to_owned(),
            scope: Scope::Read,
            lasts: Duration::from_secs(seconds),
        }
    }

    const OWNER: (&str, Role) = ("admin", Role::Admin);

    fn at(seconds: u64) -> Wall {
        later(
            Wall::from_millis(1_700_000_000_000),
            Duration::from_secs(seconds),
        )
    }

    fn grants() -> (Grants, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let secrets = SecretStore::open(folder.path()).unwrap();
        (Grants::new(secrets, "tokens"), folder)
    }

    #[test]
    fn one_opens_until_it_is_over_or_removed() {
        let (grants, _folder) = grants();
        grants.add("a", wanted("backup", 10), OWNER, at(0)).unwrap();
        grants
            .add("b", wanted("metrics", 99), OWNER, at(0))
            .unwrap();
        let living = |id, now| grants.living(id, at(now)).unwrap().is_some();
        assert!(living("a", 9) && !living("a", 10));
        assert!(living("b", 10));
        assert!(grants.remove("b").unwrap() && !living("b", 10));
        assert!(!grants.remove("b").unwrap());
    }

    #[test]
    fn the_list_says_when_each_was_last_used_and_leaves_out_what_is_over() {
        let (grants, _folder) = grants();
        grants.add("a", wanted("backup", 10), OWNER, at(0)).unwrap();
        grants
            .add("b", wanted("metrics", 99), OWNER, at(0))
            .unwrap();
        grants.note_use("b", at(5));
        let listed = |now| {
            let listed = grants.listed(at(now)).unwrap().into_iter();
            Vec::from_iter(listed.map(|(id, _, used)| (id, used)))
        };
        assert_eq!(
            listed(6),
            [("a".to_owned(), None), ("b".to_owned(), Some(at(5)))]
        );
        assert_eq!(listed(11), [("b".to_owned(), Some(at(5)))]);
    }

    #[test]
    fn a_name_and_a_life_that_make_no_sense_are_refused() {
        let (grants, _folder) = grants();
        let long = "x".repeat(LONGEST_NAME + 1);
        for (name, seconds) in [
            (" ", 10),
            (long.as_str(), 10),
            ("a\nb", 10),
            ("a", 0),
            ("a", u64::MAX),
        ] {
            let refused = grants.add("a", wanted(name, seconds), OWNER, at(0));
            assert_eq!(refused.unwrap_err().kind, Kind::InvalidRequest, "{name}");
        }
    }

    #[test]
    fn there_are_so_many_at_once_and_what_is_over_makes_room() {
        let (grants, _folder) = grants();
        for number in 0..MOST {
            let id = number.to_string();
            grants.add(&id, wanted("x", 10), OWNER, at(0)).unwrap();
        }
        assert!(grants.add("new", wanted("x", 10), OWNER, at(0)).is_err());
        grants.add("new", wanted("x", 10), OWNER, at(10)).unwrap();
        let again = grants.add("new", wanted("x", 10), OWNER, at(10));
        assert_eq!(again.unwrap_err().kind, Kind::Duplicate);
    }
}
