//! Finding the parts of a project in its folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::{PackError, PackOptions};
use crate::contents::icon_mime;

/// The parts of a project, all of which exist.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) javascript: PathBuf,
    pub(super) images: PathBuf,
    pub(super) icon: Icon,
    pub(super) license: PathBuf,
    instructions: PathBuf,
    assets: Option<PathBuf>,
}

#[derive(Debug)]
pub(super) struct Icon {
    pub(super) path: PathBuf,
    /// Its name in the package: `icon.<ext>`.
    pub(super) name: String,
}

impl Project {
    pub(super) fn find(options: &PackOptions) -> Result<Self, PackError> {
        let folder = &options.project;
        let absent = |what| PackError::Absent {
            project: folder.clone(),
            what,
        };
        let names = names(folder)?;
        let given =
            |path: &Option<PathBuf>, name: &str| path.clone().unwrap_or_else(|| folder.join(name));

        let javascript = given(&options.javascript, "javascript");
        if !javascript.join("index.js").is_file() {
            return Err(absent("javascript/index.js"));
        }
        let icon = the_one(folder, &names, "icon")?.ok_or_else(|| absent("icon"))?;
        let extension = Path::new(icon)
            .extension()
            .and_then(|ext| ext.to_str())
            .unwrap_or("");
        if icon_mime(extension).is_none() {
            return Err(absent("icon that is a picture (icon.png, icon.svg, …)"));
        }
        let license = the_one(folder, &names, "license")?.ok_or_else(|| absent("LICENSE"))?;
        let instructions = folder.join("instructions.md");
        if !instructions.is_file() {
            return Err(absent("instructions.md"));
        }
        let assets = given(&options.assets, "assets");
        let has_assets = !options.no_assets && (options.assets.is_some() || assets.is_dir());
        Ok(Self {
            javascript,
            images: given(&options.images, "images"),
            icon: Icon {
                path: folder.join(icon),
                name: format!("icon.{extension}"),
            },
            license: folder.join(license),
            instructions,
            assets: has_assets.then_some(assets),
        })
    }

    pub(super) fn instructions(&self) -> Result<Vec<u8>, PackError> {
        let bytes = fs::read(&self.instructions).map_err(PackError::input(&self.instructions))?;
        match std::str::from_utf8(&bytes) {
            Ok(_) => Ok(bytes),
            Err(_) => Err(PackError::NotText(self.instructions.clone())),
        }
    }

    /// Folders that go into the package as squashfs images, with the images' names.
    pub(super) fn squashed(&self) -> impl Iterator<Item = (&Path, &'static str)> {
        let assets = self.assets.as_deref().map(|folder| (folder, "assets"));
        [(self.javascript.as_path(), "javascript")]
            .into_iter()
            .chain(assets)
    }
}

fn names(folder: &Path) -> Result<Vec<String>, PackError> {
    let entries = fs::read_dir(folder).map_err(PackError::input(folder))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(PackError::input(folder))?;
        // A name that is not UTF-8 is none of those that are looked for.
        if let Ok(name) = entry.file_name().into_string()
            && folder.join(&name).is_file()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The one file whose name without ending is `stem`, in small letters or capitals.
fn the_one<'a>(
    folder: &Path,
    names: &'a [String],
    stem: &'static str,
) -> Result<Option<&'a str>, PackError> {
    let matching = names.iter().map(String::as_str).filter(|name| {
        let found = Path::new(name).file_stem().and_then(|found| found.to_str());
        found.is_some_and(|found| found.eq_ignore_ascii_case(stem))
    });
    match matching.collect::<Vec<_>>().as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => Err(PackError::Several {
            project: folder.to_owned(),
            what: stem,
            names: several.iter().map(|name| (*name).to_owned()).collect(),
        }),
    }
}
