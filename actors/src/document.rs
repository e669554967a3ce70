//! The document, typed: who may write what, and how.
//!
//! Invariants: every write is atomic and durable when it returns, except what is published
//! ([`Document::publish_health`] and its like), which lives in memory only. A change reads what it changes in
//! the writer itself, so two changes never overwrite one another.

mod transaction;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use coppice_wire::runtime::InitKind;
use patchdb::{Change, MutateError, Place, Pointer, Store, Why};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    model::{
        Allocation, DaemonReport, HealthReport, JobKind, JobRecord, PackageEntry,
        PackageEntryPlaces, PackageHead, PackagePrivate, PrivatePlaces, PublicPlaces, Root,
        RootPlaces, ServerInfoPlaces, ServerPrivate, StatusInfoPlaces, TaskEntry,
    },
    problem::{Kind, Problem},
};

pub use transaction::Transaction;

const PACKAGES: [&str; 2] = ["public", "packageData"];
const STATUS: &str = "statusInfo";
const HEALTH: &str = "health";
const DAEMONS: &str = "daemons";

/// The document.
#[derive(Clone)]
pub struct Document {
    store: Store,
    askers: Askers,
    #[cfg(test)]
    fuse: Arc<crate::testing::Fuse>,
}

/// The packages that have tasks, or have had some since this document was opened.
#[derive(Clone, Default)]
struct Askers(Arc<Mutex<BTreeSet<String>>>);

impl Askers {
    fn ids(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before its tasks are written: nobody may find them and not be led to them.
    fn note(&self, id: &str) {
        self.ids().insert(id.to_owned());
    }

    fn all(&self) -> BTreeSet<String> {
        self.ids().clone()
    }
}

fn pointer(segments: &[&str]) -> Pointer {
    segments
        .iter()
        .fold(Pointer::root(), |at, segment| at.join(segment))
}

fn package(id: &str) -> [&str; 3] {
    [PACKAGES[0], PACKAGES[1], id]
}

fn root() -> Place<Root> {
    Place::root()
}

fn package_place(id: &str) -> Place<PackageEntry> {
    root().public().package_data().entry(id)
}

fn private_place(id: &str) -> Place<PackagePrivate> {
    root().private().packages().entry(id)
}

/// The answer for a package that is not there.
#[must_use]
pub fn not_installed(id: &str) -> Problem {
    Problem::not_found(format!(
        "`{id}` is not installed; `coppice package list` shows what is"
    ))
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").finish_non_exhaustive()
    }
}

impl Document {
    /// The document in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let document = Self {
            store,
            askers: Askers::default(),
            #[cfg(test)]
            fuse: crate::testing::Fuse::new(),
        };
        for id in document.package_ids() {
            if document
                .tasks_of(&id)
                .is_some_and(|tasks| !tasks.is_empty())
            {
                document.askers.note(&id);
            }
        }
        document
    }

    /// The same, with changes held back once `fuse` has blown.
    #[cfg(test)]
    pub(crate) fn with_fuse(self, fuse: Arc<crate::testing::Fuse>) -> Self {
        Self { fuse, ..self }
    }

    /// The store itself, for subscriptions and dumps.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The rows of a list of [`Transaction::append`], oldest first.
    pub(crate) fn appended<T: DeserializeOwned>(&self, at: &[&str]) -> Vec<T> {
        let snapshot = self.store.snapshot();
        let list = pointer(at);
        let mut rows = Vec::new();
        for key in snapshot.keys(&list) {
            match snapshot.get(list.join(&key)) {
                Ok(row) => rows.extend::<Option<T>>(row),
                Err(error) => tracing::error!(%list, key, %error, "a row is unreadable"),
            }
        }
        rows
    }

    /// Reads and writes in one atomic, durable step. `change` runs in the store's writer: it must
    /// be quick and must not wait.
    ///
    /// # Errors
    /// What `change` refuses, or when the store cannot write (the disk is full, for example).
    pub async fn transact<T: Send + 'static>(
        &self,
        actor: &str,
        cause: &str,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        #[cfg(test)]
        let _turn = self.fuse.pass().await;
        let answer = Arc::new(Mutex::new(None));
        let (slot, askers) = (Arc::clone(&answer), self.askers.clone());
        let why = Why {
            cause: Some(cause.to_owned()),
            request: crate::request::current(),
            ..Why::actor(actor)
        };
        let written = self
            .store
            .mutate(why, move |before| {
                let mut transaction = Transaction {
                    before,
                    askers: &askers,
                    change: Change::new(),
                };
                let value = change(&mut transaction)?;
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(transaction.change)
            })
            .await;
        match written {
            Ok(_) => {}
            Err(MutateError::Refused(problem)) => return Err(problem),
            Err(MutateError::Commit(error)) => return Err(Problem::of(Kind::Database, &error)),
        }
        let value = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| Problem::new(Kind::Database, "the store's writer gave no answer"))
    }

    /// Every package, by id.
    #[must_use]
    pub fn packages(&self) -> BTreeMap<String, PackageEntry> {
        self.read(&root().public().package_data())
            .unwrap_or_default()
    }

    /// Of every package what a list shows, by id.
    #[must_use]
    pub fn package_heads(&self) -> BTreeMap<String, PackageHead> {
        let at = root().public().package_data();
        self.read_as(&at).unwrap_or_default()
    }

    /// The ids of all packages, in any state.
    #[must_use]
    pub fn package_ids(&self) -> Vec<String> {
        self.store.snapshot().keys(root().public().package_data())
    }

    /// The tasks that are about `target`, by the package that asked and their replay id. Asked for whenever
    /// a service comes up, so whoever has no tasks is not looked at.
    #[must_use]
    pub fn tasks_about(&self, target: &str) -> Vec<(String, BTreeMap<String, TaskEntry>)> {
        let about = |source: String| {
            let mut tasks = self.tasks_of(&source)?;
            tasks.retain(|_, one| one.task.package_id == target);
            (!tasks.is_empty()).then_some((source, tasks))
        };
        self.askers.all().into_iter().filter_map(about).collect()
    }

    fn tasks_of(&self, id: &str) -> Option<BTreeMap<String, TaskEntry>> {
        self.read(&package_place(id).tasks())
    }

    /// A package's entry, in any state.
    #[must_use]
    pub fn package(&self, id: &str) -> Option<PackageEntry> {
        self.read(&package_place(id))
    }

    /// What the host keeps about a package.
    #[must_use]
    pub fn private(&self, id: &str) -> Option<PackagePrivate> {
        self.read(&private_place(id))
    }

    /// What was given to a package at install.
    #[must_use]
    pub fn allocation(&self, id: &str) -> Option<Allocation> {
        Some(self.private(id)?.allocation)
    }

    /// What the host keeps about itself; `None` before the first start.
    #[must_use]
    pub fn server(&self) -> Option<ServerPrivate> {
        self.read(&root().private().server())
    }

    /// The first label of the server's `.local` name; `None` before the first start.
    #[must_use]
    pub fn hostname(&self) -> Option<String> {
        self.read(&root().public().server_info().hostname())
    }

    /// Jobs under way, by id.
    #[must_use]
    pub fn jobs(&self) -> BTreeMap<String, JobRecord> {
        self.read(&root().private().journal()).unwrap_or_default()
    }

    /// Changes a package's entry.
    ///
    /// # Errors
    /// What `change` refuses, when the package is gone, or when the store cannot write.
    pub async fn update_package<T: Send + 'static>(
        &self,
        id: &str,
        cause: &str,
        change: impl FnOnce(&mut PackageEntry) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let id = id.to_owned();
        self.transact(&format!("services/{id}"), cause, move |transaction| {
            let mut entry = transaction.package(&id)?;
            let value = change(&mut entry)?;
            transaction.put_package(&id, &entry)?;
            Ok(value)
        })
        .await
    }

    /// Changes a package's entry and what the host keeps about itself, together.
    ///
    /// # Errors
    /// As [`Self::update_package`].
    pub async fn update_package_and_server(
        &self,
        cause: &str,
        id: &str,
        change: impl FnOnce(&mut PackageEntry, &mut ServerPrivate) -> Result<(), Problem>
        + Send
        + 'static,
    ) -> Result<(), Problem> {
        let id = id.to_owned();
        self.transact(&format!("services/{id}"), cause, move |transaction| {
            let mut entry = transaction.package(&id)?;
            let mut server = transaction.server()?;
            change(&mut entry, &mut server)?;
            transaction.put_package(&id, &entry)?;
            transaction.put_server(&server);
            Ok(())
        })
        .await
    }

    /// Changes what the host keeps about a package.
    ///
    /// # Errors
    /// As [`Self::update_package`].
    pub async fn update_private<T: Send + 'static>(
        &self,
        id: &str,
        cause: &str,
        change: impl FnOnce(&mut PackagePrivate) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let id = id.to_owned();
        self.transact(&format!("services/{id}"), cause, move |transaction| {
            let mut kept = transaction.private(&id)?;
            let value = change(&mut kept);
            transaction.put_private(&id, &kept);
            Ok(value)
        })
        .await
    }

    /// The number of a new generation of a package's runtime; never given twice.
    ///
    /// # Errors
    /// As [`Self::update_package`].
    pub async fn next_generation(&self, id: &str) -> Result<u64, Problem> {
        self.update_private(id, "next-generation", |kept| {
            kept.generation += 1;
            kept.generation
        })
        .await
    }

    /// The number of the last generation of a package's runtime that was begun; 0 before the first.
    #[must_use]
    pub fn generation(&self, id: &str) -> u64 {
        self.private(id).map_or(0, |kept| kept.generation)
    }

    /// With which kind the package's next `init` runs; `None` when it is an ordinary boot.
    #[must_use]
    pub fn pending_init(&self, id: &str) -> Option<InitKind> {
        self.private(id)?.pending_init
    }

    /// The package's `init` succeeded: the next one is an ordinary boot.
    ///
    /// # Errors
    /// As [`Self::update_package`].
    pub async fn init_done(&self, id: &str) -> Result<(), Problem> {
        if self.pending_init(id).is_none() {
            return Ok(());
        }
        self.update_private(id, "init-done", |kept| kept.pending_init = None)
            .await
    }

    /// What the package's `uninit` is told: its own version where its data stays, which leaves that
    /// data as it is; nothing where it goes; what suits the version that follows, when one does.
    #[must_use]
    pub fn exit_target(&self, id: &str) -> Option<String> {
        for job in self.jobs().into_values().filter(|job| job.instance == id) {
            match job.kind {
                JobKind::Uninstall { soft: false, .. } => return None,
                // Before that the old version is not asked, and after it there is only the new one.
                JobKind::Update(update) if update.before.is_some() => return Some(update.target),
                JobKind::Update(_)
                | JobKind::Install { .. }
                | JobKind::Uninstall { soft: true, .. } => {}
            }
        }
        let state = self.package(id)?.state_info;
        state.manifest().get("version")?.as_str().map(str::to_owned)
    }

    /// Shows what the health checks of a service say; gone after a restart of the core.
    pub fn publish_health(&self, id: &str, health: &BTreeMap<String, HealthReport>) {
        let at = package_place(id).status_info().health();
        self.publish(id, Change::new().put(&at, health));
    }

    /// Shows the living daemons of a service; gone after a restart of the core.
    pub fn publish_daemons(&self, id: &str, daemons: &BTreeMap<String, DaemonReport>) {
        let at = package_place(id).daemons();
        self.publish(id, Change::new().put(&at, daemons));
    }

    /// Shows how far an installation is; gone after a restart of the core.
    pub fn publish_progress(&self, id: &str, progress: &Value) {
        let at = [
            PACKAGES[0],
            PACKAGES[1],
            id,
            "stateInfo",
            "installingInfo",
            "progress",
        ];
        self.publish(id, Change::new().put(pointer(&at), progress));
    }

    fn publish(&self, id: &str, change: Change) {
        // The package may have been removed in this moment: then there is nothing to show.
        if self.store.snapshot().exists(package_place(id)) && self.store.publish(change).is_err() {
            tracing::debug!(id, "a volatile value was not shown");
        }
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, at: &Place<T>) -> Option<T> {
        self.read_as(at)
    }

    /// What is at a place, as a type of another shape than the whole.
    fn read_as<T: DeserializeOwned, W>(&self, at: &Place<W>) -> Option<T> {
        match self.store.snapshot().get(at) {
            Ok(value) => value,
            Err(error) => {
                tracing::error!(?at, %error, "the document holds something unreadable");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{HealthResult, Severity, StateInfo, Task},
        testing::document,
    };

    fn entry() -> PackageEntry {
        PackageEntry::bare(StateInfo::Installed {
            manifest: serde_json::json!({ "version": "1:0" }),
        })
    }

    #[tokio::test]
    async fn the_history_names_the_request_that_a_change_was_made_for() {
        let (document, _folder) = document();
        let install = document.transact("test", "install", |transaction| {
            transaction.put_package("a", &entry())
        });
        crate::request::serving("package.install", std::sync::Arc::new("admin"), install)
            .await
            .unwrap();
        let later = document.update_package("a", "later", |entry| {
            entry.icon = "data:".into();
            Ok(())
        });
        later.await.unwrap();
        let log = document.store().log(2).unwrap();
        let requests: Vec<_> = log
            .iter()
            .map(|entry| entry.why.request.as_deref())
            .collect();
        assert_eq!(requests, [None, Some("package.install by admin")]);
    }

    #[tokio::test]
    async fn whoever_asked_for_something_is_found_by_whom_it_is_about_also_by_the_next_core() {
        let folder = tempfile::tempdir().unwrap();
        let open = || {
            let store = Store::open(folder.path(), patchdb::Options::default()).unwrap();
            Document::new(store)
        };
        let task = Task {
            package_id: "db".into(),
            action_id: "config".into(),
            severity: Severity::Optional,
            reason: None,
            when: None,
            input: None,
        };
        let document = open();
        let about = |document: &Document| {
            let all = document.tasks_about("db").into_iter();
            all.map(|(source, tasks)| (source, tasks.into_keys().collect::<Vec<_>>()))
                .collect::<Vec<_>>()
        };
        let written = document.transact("test", "install", |transaction| {
            transaction.put_package("quiet", &entry())?;
            transaction.put_package("asks", &entry())
        });
        written.await.unwrap();
        assert!(about(&document).is_empty());
        let other = Task {
            package_id: "other".into(),
            ..task.clone()
        };
        let asked = document.update_package("asks", "test", move |entry| {
            for (id, task) in [("1", task), ("2", other)] {
                let active = true;
                entry.tasks.insert(id.into(), TaskEntry { task, active });
            }
            Ok(())
        });
        asked.await.unwrap();
        let found = [("asks".to_owned(), vec!["1".to_owned()])];
        assert_eq!(about(&document), found);
        drop(document);
        assert_eq!(about(&open()), found);
    }

    #[tokio::test]
    async fn a_durable_change_of_a_service_leaves_its_volatile_health_alone() {
        let (document, _folder) = document();
        document
            .transact("test", "install", |transaction| {
                transaction.put_package("a", &entry())
            })
            .await
            .unwrap();
        let report = HealthReport {
            name: "Web".into(),
            result: HealthResult::Success,
            message: None,
        };
        let health = BTreeMap::from([("web".to_owned(), report)]);
        document.publish_health("a", &health);
        document
            .update_package("a", "test", |entry| {
                entry.status_info.desired = entry.status_info.desired.start();
                entry.icon = "data:".into();
                Ok(())
            })
            .await
            .unwrap();
        let after = document.package("a").unwrap();
        assert_eq!(after.status_info.health, health);
        assert!(after.status_info.desired.wants_running());
        assert_eq!(after.icon, "data:");
    }
}
