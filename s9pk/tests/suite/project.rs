//! Project folders, made by code or from the reference vectors.

use std::fs::{self, File};
use std::path::Path;

use coppice_s9pk::Archive;
use coppice_s9pk::pack::{PackError, PackOptions, Packed, pack};
use serde_json::Value;
use tempfile::TempDir;

use crate::package::{key, manifest, vector};

/// A project folder that packs.
pub(crate) struct Project {
    folder: TempDir,
}

impl Project {
    pub(crate) fn new() -> Self {
        let project = Self {
            folder: TempDir::new().unwrap(),
        };
        project.manifest(&manifest("hello", "1.0:0"));
        project.write("icon.svg", "<svg/>");
        project.write("LICENSE", "free");
        project.write("instructions.md", "# Do it");
        project.write("assets/greetings/en.txt", "hello");
        project.write("images/x86_64/main/bin/hello", "#!/bin/sh\necho hello");
        project
    }

    /// One of the reference's projects, with the images the reference was given.
    pub(crate) fn of_vector(name: &str) -> Self {
        let project = Self {
            folder: TempDir::new().unwrap(),
        };
        copy_tree(&vector(name).join("source"), project.path());
        let packed = File::open(vector(&format!("{name}.s9pk"))).unwrap();
        let archive = Archive::open(packed, None).unwrap();
        for part in ["squashfs", "json", "env"] {
            let path = format!("images/x86_64/main.{part}");
            project.write(&path, archive.read(&path, 1 << 20).unwrap());
        }
        project.write(
            "hello-full/dep-icon.png",
            fs::read(vector("hello-full/source/dep-icon.png")).unwrap(),
        );
        project.write(
            "out/hello-min.s9pk",
            fs::read(vector("hello-min.s9pk")).unwrap(),
        );
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub(crate) fn manifest(&self, manifest: &Value) {
        self.write(
            "javascript/index.js",
            format!("console.log('noise'); exports.manifest = {manifest}"),
        );
    }

    pub(crate) fn options(&self) -> PackOptions {
        PackOptions::new(self.path(), key())
    }

    pub(crate) fn pack(&self) -> Result<Packed, PackError> {
        pack(&self.options(), &mut |_| ())
    }

    pub(crate) fn refused(&self) -> PackError {
        let error = self.pack().unwrap_err();
        let names = fs::read_dir(self.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = names
            .filter(|name| {
                let name = name.to_string_lossy();
                name.starts_with(".pack") || name.ends_with(".s9pk")
            })
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        error
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
