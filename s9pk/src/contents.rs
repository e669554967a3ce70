//! What an archive must hold to be a package, and which of its files count.
//!
//! Invariant: [`Contents::files`] lists files that exist and were checked; everything else in the
//! archive is to be ignored. Extra files are no error: they are left out.

use std::collections::BTreeSet;

use crate::error_kind::ErrorKind;
use crate::id::{Arch, ImageId, PackageId};
use crate::manifest::{ImageConfig, Manifest};
use crate::tree::{Directory, Node};

/// Bytes of an icon; StartOS has no limit, real icons have a few dozen KiB.
pub const MAX_ICON: u64 = 1024 * 1024;

/// The three files of an image.
pub(crate) const IMAGE_PARTS: [&str; 3] = ["squashfs", "json", "env"];

/// An archive is not a package, or not one for this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// A required file is absent.
    #[error("the package lacks `{0}`; it must be packed again")]
    Lacks(String),
    /// Two icons.
    #[error("the package has two icons, `{0}` and `{1}`; it must be packed again with one")]
    TwoIcons(String, String),
    /// The icon is implausibly large.
    #[error(
        "the icon `{name}` has {size} bytes, at most {MAX_ICON} are allowed: the package must be packed again with a smaller one"
    )]
    IconTooLarge {
        /// Its file name.
        name: String,
        /// Its size.
        size: u64,
    },
    /// The package says it does not run on this architecture.
    #[error(
        "`{package}` is made for {}, this machine is {machine}; look for a package for {machine}",
        list(supported)
    )]
    WrongArch {
        /// The package.
        package: PackageId,
        /// What it runs on.
        supported: BTreeSet<Arch>,
        /// What this machine is.
        machine: Arch,
    },
    /// An image does not exist for an architecture, and may not be emulated.
    #[error("the image `{image}` does not exist for {arch}; look for a package for {arch}")]
    ImageForArch {
        /// The image.
        image: ImageId,
        /// The architecture.
        arch: Arch,
    },
    /// A part of an image is absent.
    #[error("the package lacks `{path}`, a part of the image `{image}`; it must be packed again")]
    ImagePart {
        /// The image.
        image: ImageId,
        /// What is absent.
        path: String,
    },
    /// The architecture to emulate is not among the image's.
    #[error("the image `{image}` should run as {emulated}, but is not made for it")]
    EmulatedArch {
        /// The image.
        image: ImageId,
        /// What it should run as.
        emulated: Arch,
    },
    /// Nothing says which architectures to look for.
    #[error(
        "nothing says for which machines the image `{0}` is; set `hardwareRequirements.arch`, or \
         `emulateMissingAs` of the image"
    )]
    ArchUnknown(ImageId),
}

fn list(arches: &BTreeSet<Arch>) -> String {
    let names: Vec<_> = arches.iter().map(Arch::as_str).collect();
    match names.as_slice() {
        [] => "no machine".to_owned(),
        names => names.join(", "),
    }
}

impl ContentsError {
    /// The number StartOS clients know this error by.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::WrongArch { .. } => ErrorKind::ValidateS9pk.code(),
            _ => ErrorKind::ParseS9pk.code(),
        }
    }
}

/// The MIME type of an icon by the ending of its file name, which is case-sensitive.
#[must_use]
pub fn icon_mime(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "apng" => "image/apng",
        "avif" => "image/avif",
        "flif" => "image/flif",
        "gif" => "image/gif",
        "jxl" => "image/jxl",
        "png" => "image/png",
        "webp" => "image/webp",
        "jpg" | "jpeg" | "jfif" | "pjpeg" | "pjp" => "image/jpeg",
        "svg" => "image/svg+xml",
        "mng" | "x-mng" => "image/x-mng",
        _ => return None,
    })
}

fn icon_extension(name: &str) -> Option<&str> {
    let extension = name.strip_prefix("icon.")?;
    icon_mime(extension).map(|_| extension)
}

/// The files of an archive that make the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    files: BTreeSet<String>,
    icon: String,
    warnings: Vec<String>,
}

impl Contents {
    /// Checks a tree against its manifest; for `target`, or (when packing) for every architecture
    /// the manifest names.
    ///
    /// # Errors
    /// [`ContentsError`] naming what is absent or contradictory.
    pub fn of<B>(
        root: &Directory<B>,
        manifest: &Manifest,
        target: Option<&Arch>,
    ) -> Result<Self, ContentsError> {
        if let Some(machine) = target
            && !manifest.hardware_requirements.accepts(machine)
        {
            return Err(ContentsError::WrongArch {
                package: manifest.id.clone(),
                supported: manifest
                    .hardware_requirements
                    .arch
                    .clone()
                    .unwrap_or_default(),
                machine: machine.clone(),
            });
        }
        let icon = the_icon(root)?;
        let mut check = Check {
            root,
            files: BTreeSet::from([icon.clone()]),
            warnings: Vec::new(),
        };
        for path in ["manifest.json", "LICENSE.md", "javascript.squashfs"] {
            check.require(path)?;
        }
        if !check.take("instructions.md") {
            check.warn("the package has no instructions.md");
        }
        if !check.take("assets.squashfs") && !check.take_directory("assets") {
            check.warn("the package has no assets");
        }
        for dependency in manifest.dependencies.keys() {
            check.dependency(dependency);
        }
        for (id, image) in &manifest.images {
            for arch in arches_of(id, image, manifest, target)? {
                check.image(id, image, arch)?;
            }
        }
        Ok(Self {
            files: check.files,
            icon,
            warnings: check.warnings,
        })
    }

    /// Paths of the files that count.
    #[must_use]
    pub fn files(&self) -> &BTreeSet<String> {
        &self.files
    }

    /// The path of the package's icon.
    #[must_use]
    pub fn icon(&self) -> &str {
        &self.icon
    }

    /// The MIME type of the package's icon.
    #[must_use]
    pub fn icon_mime(&self) -> &'static str {
        let extension = icon_extension(&self.icon);
        extension
            .and_then(icon_mime)
            .unwrap_or("application/octet-stream")
    }

    /// What is allowed but odd, for the packager to read.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn the_icon<B>(root: &Directory<B>) -> Result<String, ContentsError> {
    // Every name is looked at. (StartOS stops at the first name after `icon` that is not an icon, so
    // there `icon-2.png` hides `icon.png`.)
    let files = root
        .entries()
        .filter(|(_, entry)| matches!(entry.node, Node::File(_)));
    let mut icons = files.filter(|(name, _)| icon_extension(name).is_some());
    let Some((name, entry)) = icons.next() else {
        return Err(ContentsError::Lacks("icon.<png, svg, …>".to_owned()));
    };
    if let Some((second, _)) = icons.next() {
        return Err(ContentsError::TwoIcons(name.to_owned(), second.to_owned()));
    }
    if entry.size > MAX_ICON {
        return Err(ContentsError::IconTooLarge {
            name: name.to_owned(),
            size: entry.size,
        });
    }
    Ok(name.to_owned())
}

/// The architectures for which an image must be there.
fn arches_of<'a>(
    id: &ImageId,
    image: &'a ImageConfig,
    manifest: &'a Manifest,
    target: Option<&'a Arch>,
) -> Result<Vec<&'a Arch>, ContentsError> {
    if let Some(target) = target {
        return Ok(vec![target]);
    }
    if let Some(arches) = &manifest.hardware_requirements.arch {
        return Ok(arches.iter().collect());
    }
    match &image.emulate_missing_as {
        None => Err(ContentsError::ArchUnknown(id.clone())),
        Some(emulated) if image.arch.contains(emulated) => Ok(image.arch.iter().collect()),
        Some(emulated) => Err(ContentsError::EmulatedArch {
            image: id.clone(),
            emulated: emulated.clone(),
        }),
    }
}

struct Check<'a, B> {
    root: &'a Directory<B>,
    files: BTreeSet<String>,
    warnings: Vec<String>,
}

impl<B> Check<'_, B> {
    fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }

    fn take(&mut self, path: &str) -> bool {
        let there = self.root.has_file(path);
        if there {
            self.files.insert(path.to_owned());
        }
        there
    }

    fn require(&mut self, path: &str) -> Result<(), ContentsError> {
        if self.take(path) {
            return Ok(());
        }
        Err(ContentsError::Lacks(path.to_owned()))
    }

    fn take_directory(&mut self, path: &str) -> bool {
        let Some(Node::Directory(directory)) = self.root.get(path).map(|entry| &entry.node) else {
            return false;
        };
        let files = directory.files();
        self.files
            .extend(files.map(|(below, _, _)| format!("{path}/{below}")));
        true
    }

    fn dependency(&mut self, id: &PackageId) {
        let folder = format!("dependencies/{id}");
        let Some(Node::Directory(directory)) = self.root.get(&folder).map(|entry| &entry.node)
        else {
            return;
        };
        for (name, _) in directory.entries() {
            if name == "metadata.json" || icon_extension(name).is_some() {
                self.take(&format!("{folder}/{name}"));
            }
        }
    }

    fn image(
        &mut self,
        id: &ImageId,
        image: &ImageConfig,
        arch: &Arch,
    ) -> Result<(), ContentsError> {
        let path = |arch: &Arch, part: &str| format!("images/{arch}/{id}.{part}");
        let arch = match &image.emulate_missing_as {
            _ if self.root.has_file(&path(arch, "squashfs")) => arch,
            Some(emulated) => emulated,
            None => {
                return Err(ContentsError::ImageForArch {
                    image: id.clone(),
                    arch: arch.clone(),
                });
            }
        };
        for part in IMAGE_PARTS {
            let path = path(arch, part);
            if !self.take(&path) {
                let image = id.clone();
                return Err(ContentsError::ImagePart { image, path });
            }
        }
        Ok(())
    }
}
