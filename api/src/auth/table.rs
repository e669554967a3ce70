//! Records of one kind in the secret store, by id.

use std::marker::PhantomData;

use coppice_actors::{Kind, Problem};
use patchdb::{Secret, SecretError, SecretStore};
use serde::{Serialize, de::DeserializeOwned};

pub(super) struct Table<T> {
    secrets: SecretStore,
    namespace: &'static str,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    pub(super) const fn new(secrets: SecretStore, namespace: &'static str) -> Self {
        Self {
            secrets,
            namespace,
            of: PhantomData,
        }
    }

    /// The record of that id. One that cannot be read opens nothing, so it is none.
    pub(super) fn get(&self, id: &str) -> Result<Option<T>, Problem> {
        let kept = self.secrets.get(self.namespace, id).map_err(broken)?;
        Ok(kept.and_then(|secret| serde_json::from_slice(secret.expose()).ok()))
    }

    /// On the disk when it returns.
    pub(super) fn put(&self, id: &str, record: &T) -> Result<(), Problem> {
        let bytes =
            serde_json::to_vec(record).map_err(|error| Problem::of(Kind::Serialization, &error))?;
        self.secrets
            .put(self.namespace, id, &Secret::new(bytes))
            .map_err(broken)
    }

    /// Whether there was one.
    pub(super) fn delete(&self, id: &str) -> Result<bool, Problem> {
        self.secrets.delete(self.namespace, id).map_err(broken)
    }

    /// Every id, those of records that cannot be read too.
    pub(super) fn ids(&self) -> Result<Vec<String>, Problem> {
        self.secrets.keys(self.namespace).map_err(broken)
    }

    /// Every record with its id.
    pub(super) fn all(&self) -> Result<Vec<(String, T)>, Problem> {
        let mut all = Vec::new();
        for id in self.ids()? {
            if let Some(record) = self.get(&id)? {
                all.push((id, record));
            }
        }
        Ok(all)
    }
}

pub(super) fn broken(error: SecretError) -> Problem {
    Problem::of(Kind::Database, &error)
}
