//! The prepared images of a project.

use std::fs;
use std::path::{Path, PathBuf};

use super::PackError;
use super::squash::{SquashStyle, squash};
use crate::id::{Arch, ImageId};
use crate::image_start::ImageStart;
use crate::manifest::{ImageConfig, ImageSource};
use crate::write::{Content, Draft};

/// What most images set; used where nothing is said beside a root filesystem.
const DEFAULT_ENV: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One image for one architecture.
pub(super) struct Wanted<'a> {
    pub(super) id: &'a ImageId,
    pub(super) arch: &'a Arch,
    pub(super) config: &'a ImageConfig,
}

impl Wanted<'_> {
    /// Adds the three files of the image.
    pub(super) fn insert(
        &self,
        images: &Path,
        work: &Path,
        draft: &mut Draft,
    ) -> Result<(), PackError> {
        let folder = images.join(self.arch.as_str());
        let file = |ending: &str| folder.join(format!("{}.{ending}", self.id));
        let (squashfs, json, env) = (file("squashfs"), file("json"), file("env"));
        let rootfs = folder.join(self.id.as_str());

        let (image, start, env) = if squashfs.is_file() {
            for part in [&json, &env] {
                if !part.is_file() {
                    return Err(PackError::ImagePart(part.clone()));
                }
            }
            (squashfs, self.start(&json)?, read(&env)?)
        } else if rootfs.is_dir() {
            let image = work.join(format!("{}-{}.squashfs", self.arch, self.id));
            squash(&rootfs, &image, SquashStyle::Faithful)?;
            let start = if json.is_file() {
                self.start(&json)?
            } else {
                ImageStart::default().to_json()
            };
            let env = if env.is_file() {
                read(&env)?
            } else {
                DEFAULT_ENV.as_bytes().to_vec()
            };
            (image, start, env)
        } else {
            return Err(self.not_prepared(rootfs));
        };

        let path = |ending: &str| format!("images/{}/{}.{ending}", self.arch, self.id);
        draft.insert(&path("squashfs"), Content::File(image))?;
        draft.insert(&path("json"), Content::Bytes(start))?;
        draft.insert(&path("env"), Content::Bytes(env))?;
        Ok(())
    }

    fn start(&self, path: &Path) -> Result<Vec<u8>, PackError> {
        let start = ImageStart::from_json(&read(path)?);
        let start = start.map_err(|error| PackError::ImageJson {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(start.to_json())
    }

    fn not_prepared(&self, folder: PathBuf) -> PackError {
        let wanted = match &self.config.source {
            ImageSource::Packed => String::new(),
            ImageSource::DockerTag(tag) => format!(
                " (the manifest names the container image `{tag}`; no container engine is run here: \
                 export it, or make the root filesystem with mmdebstrap)"
            ),
            ImageSource::DockerBuild(_) => {
                " (the manifest names a Dockerfile; no container engine is \
                 run here: build and export it, or make the root filesystem with mmdebstrap)"
                    .to_owned()
            }
        };
        PackError::ImageNotPrepared {
            image: self.id.clone(),
            arch: self.arch.clone(),
            folder,
            wanted,
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PackError> {
    fs::read(path).map_err(PackError::input(path))
}
