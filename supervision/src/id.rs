//! Names of children, and the way from the root of a tree to one of them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of a child, unique under its supervisor. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct ChildId(Arc<str>);

impl ChildId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ChildId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl From<String> for ChildId {
    fn from(name: String) -> Self {
        Self(name.into())
    }
}

impl From<ChildId> for String {
    fn from(id: ChildId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ChildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The names from the root supervisor to an actor, printed as `core/services/hello`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TreePath(Vec<ChildId>);

impl TreePath {
    /// The path of a root.
    #[must_use]
    pub fn root(id: ChildId) -> Self {
        Self(vec![id])
    }

    /// The path of this actor's child `id`.
    #[must_use]
    pub fn child(&self, id: ChildId) -> Self {
        let mut names = self.0.clone();
        names.push(id);
        Self(names)
    }

    /// The names, root first; never empty.
    #[must_use]
    pub fn names(&self) -> &[ChildId] {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, name) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("/")?;
            }
            name.fmt(f)?;
        }
        Ok(())
    }
}
