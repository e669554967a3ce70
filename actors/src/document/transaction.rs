//! What one change of the document reads and writes.
//!
//! Invariant: what it reads is what was there before it, in the writer itself; what it writes is seen all at once or not
//! at all.

use patchdb::{Change, Place, Snapshot};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Askers, DAEMONS, HEALTH, STATUS, not_installed, package, package_place, pointer, private_place,
    root,
};
use crate::{
    model::{JobRecord, PackageEntry, PackagePrivate, PrivatePlaces, RootPlaces, ServerPrivate},
    problem::{Kind, Problem},
};

/// What a change may read and write, in one atomic step.
pub struct Transaction<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) askers: &'a Askers,
    pub(super) change: Change,
}

impl Transaction<'_> {
    /// The value at `at` before this change.
    ///
    /// # Errors
    /// When what is there has another shape, which only a bug or a damaged store can bring about.
    pub fn get<T: DeserializeOwned>(&self, at: &[&str]) -> Result<Option<T>, Problem> {
        self.before
            .get(pointer(at))
            .map_err(|error| Problem::of(Kind::Database, &error))
    }

    /// The value at a typed place before this change.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn read<T: DeserializeOwned>(&self, at: &Place<T>) -> Result<Option<T>, Problem> {
        self.before
            .read(at)
            .map_err(|error| Problem::of(Kind::Database, &error))
    }

    /// Makes the value at a typed place this; only what differs is written.
    pub fn set<T: Serialize>(&mut self, at: &Place<T>, value: &T) {
        self.change = std::mem::take(&mut self.change).set(at, value);
    }

    /// The names of the members at `at` before this change, sorted.
    #[must_use]
    pub fn keys(&self, at: &[&str]) -> Vec<String> {
        self.before.keys(pointer(at))
    }

    /// Makes the value at `at` this; only what differs is written.
    pub fn put(&mut self, at: &[&str], value: &impl Serialize) {
        self.change = std::mem::take(&mut self.change).put_with_parents(pointer(at), value);
    }

    /// Takes away what is at `at`.
    pub fn remove(&mut self, at: &[&str]) {
        self.change = std::mem::take(&mut self.change).remove(pointer(at));
    }

    /// Adds a row to the list at `at`, and takes away the oldest beyond `most`.
    ///
    /// Rows are in an object by number, so that a new one costs the same however many there are. Numbers are never
    /// given twice while there is a row.
    pub fn append(&mut self, at: &[&str], most: usize, row: &impl Serialize) {
        let keys = self.keys(at);
        let last = keys.last().and_then(|key| key.parse::<u64>().ok());
        // As wide as the largest number, so that the order of the names is that of the numbers.
        let key = format!("{:020}", last.map_or(0, |last| last + 1));
        self.put(&[at, &[&key]].concat(), row);
        let surplus = (keys.len() + 1).saturating_sub(most);
        for oldest in &keys[..surplus] {
            self.remove(&[at, &[oldest]].concat());
        }
    }

    /// A package's entry.
    ///
    /// # Errors
    /// When there is none.
    pub fn package(&self, id: &str) -> Result<PackageEntry, Problem> {
        self.read(&package_place(id))?
            .ok_or_else(|| not_installed(id))
    }

    /// Writes what changed of a package's entry.
    ///
    /// A place that is written loses its volatile value, so nothing is written that did not change,
    /// and health and daemons never: they are only ever published.
    ///
    /// # Errors
    /// When the entry has no JSON form.
    pub fn put_package(&mut self, id: &str, entry: &PackageEntry) -> Result<(), Problem> {
        if !entry.tasks.is_empty() {
            self.askers.note(id);
        }
        let json = |error| Problem::of(Kind::Serialization, &error);
        let new = serde_json::to_value(entry).map_err(json)?;
        let Some(old) = self.get::<Value>(&package(id))? else {
            self.put(&package(id), &new);
            return Ok(());
        };
        let [top, packages, id] = package(id);
        for (name, member) in changed(&old, &new) {
            if name == DAEMONS {
                continue;
            }
            if name != STATUS {
                self.put(&[top, packages, id, name], member);
                continue;
            }
            for (part, value) in changed(&old[STATUS], member) {
                if part != HEALTH {
                    self.put(&[top, packages, id, STATUS, part], value);
                }
            }
        }
        Ok(())
    }

    /// What the host keeps about a package.
    ///
    /// # Errors
    /// When there is none.
    pub fn private(&self, id: &str) -> Result<PackagePrivate, Problem> {
        self.read(&private_place(id))?
            .ok_or_else(|| not_installed(id))
    }

    /// Writes what the host keeps about a package.
    pub fn put_private(&mut self, id: &str, kept: &PackagePrivate) {
        self.set(&private_place(id), kept);
    }

    /// What the host keeps about itself.
    ///
    /// # Errors
    /// When the server was never set up.
    pub fn server(&self) -> Result<ServerPrivate, Problem> {
        self.read(&root().private().server())?.ok_or_else(|| {
            Problem::new(
                Kind::Uninitialized,
                "the server has no settings yet; start it once",
            )
        })
    }

    /// Writes what the host keeps about itself.
    pub fn put_server(&mut self, kept: &ServerPrivate) {
        self.set(&root().private().server(), kept);
    }

    /// The unfinished job about a package, if there is one, with its id.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn job_about(&self, id: &str) -> Result<Option<(String, JobRecord)>, Problem> {
        let jobs = self.read(&root().private().journal())?;
        Ok(jobs
            .into_iter()
            .flatten()
            .find(|(_, job)| job.instance == id))
    }

    /// Notes a job, or the step it is at.
    pub fn put_job(&mut self, id: &str, job: &JobRecord) {
        self.set(&root().private().journal().entry(id), job);
    }

    /// Forgets a job.
    pub fn remove_job(&mut self, id: &str) {
        self.forget(&root().private().journal().entry(id));
    }

    /// Forgets everything about a package.
    pub fn remove_package(&mut self, id: &str) {
        self.forget(&package_place(id));
        self.forget(&private_place(id));
    }

    fn forget<T>(&mut self, at: &Place<T>) {
        self.change = std::mem::take(&mut self.change).remove(at);
    }
}

/// The members of `new` that `old` has not, or has otherwise.
fn changed<'a>(old: &'a Value, new: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let members = new.as_object().into_iter().flatten();
    members
        .map(|(name, value)| (name.as_str(), value))
        .filter(|(name, value)| old.get(name) != Some(value))
}
