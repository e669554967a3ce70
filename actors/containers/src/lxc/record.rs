//! What was built for a container, beside liblxc's own files in `RUN/lxc/<name>/`.
//!
//! Written before anything else is touched, removed after everything else is gone: whatever exists of
//! a container after a crash, its record exists too. `RUN` is in memory, so a reboot, which ends
//! every container, ends every record.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    ContainerSpec, HostLayout, Running, Segment,
    error::{Doing, StepError},
};

const FILE: &str = "coppice.json";

/// Everything later operations need to know of a container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) spec: ContainerSpec,
    /// The uuid of this life.
    pub(crate) boot: String,
    /// The mounted images by file, as keys of the image table.
    pub(crate) images: BTreeMap<PathBuf, String>,
    /// Known once it was seen running.
    pub(crate) life: Option<Running>,
}

impl Record {
    /// The record of an instance, if it has one that can be read. One that cannot is of a crash in
    /// the middle of the first write, when nothing else existed.
    pub(crate) fn load(layout: &HostLayout, instance: &Segment) -> Option<Self> {
        Self::read(&layout.container_dir(instance).join(FILE))
    }

    fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(file).ok()?).ok()
    }

    /// Writes the record whole or not at all.
    pub(crate) fn save(&self, layout: &HostLayout) -> Result<(), StepError> {
        let dir = layout.container_dir(&self.spec.instance);
        let file = dir.join(FILE);
        let partial = dir.join(format!("{FILE}.partial"));
        let doing = format!("write {}", file.display());
        let text = serde_json::to_vec(self)
            .map_err(io::Error::from)
            .doing(&doing)?;
        fs::create_dir_all(&dir).doing(&doing)?;
        write_private(&partial, &text).doing(&doing)?;
        fs::rename(&partial, &file).doing(&doing)
    }

    /// Instances that have a container directory, readable record or not.
    pub(crate) fn instances(layout: &HostLayout) -> Result<Vec<Segment>, StepError> {
        let dir = layout.lxc_path();
        let entries = match fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing(format!("list {}", dir.display()))?,
        };
        let mut found: Vec<Segment> = entries
            .flatten()
            .filter_map(|entry| layout.instance_of(entry.file_name().to_str()?))
            .collect();
        found.sort();
        Ok(found)
    }

    /// Keys of every image that some container has.
    pub(crate) fn images_in_use(layout: &HostLayout) -> Result<Vec<String>, StepError> {
        let instances = Self::instances(layout)?;
        let records = instances
            .iter()
            .filter_map(|instance| Self::load(layout, instance));
        Ok(records
            .flat_map(|record| record.images.into_values())
            .collect())
    }
}

/// Writes a file that root alone may read: a specification holds an environment. (The directories above
/// cannot be closed, liblxc wants to pass through them as the container's root.)
pub(crate) fn write_private(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut open = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    open.write_all(text)
}
