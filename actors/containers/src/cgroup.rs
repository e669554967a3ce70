//! Control groups, v1 and v2 alike: limits, usage, removal.
//!
//! A cgroup of ours is named by one path, `coppice-<SHORT>/<instance>`, which exists in every mounted
//! hierarchy below the base that the machine's pid 1 sits in. Limits are on that path; processes only
//! below its child `ns`. What a hierarchy cannot count is absent, not 0.

mod hierarchy;
mod limits;
mod removal;
mod usage;
mod walk;

pub(crate) use hierarchy::{Hierarchies, Version};
pub use limits::Limits;
pub(crate) use removal::{kill, members, remove, thaw};
pub use usage::Usage;
pub(crate) use usage::usage;
