//! Small packages, made by code.

use std::path::{Path, PathBuf};

use coppice_s9pk::{Archive, Content, Draft};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// The key of the worked example: bytes 00 to 1f.
pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&std::array::from_fn(|i| i as u8))
}

pub(crate) fn vector(name: &str) -> PathBuf {
    Path::new("tests/vectors").join(name)
}

/// A manifest with every required field and nothing else.
pub(crate) fn manifest(id: &str, version: &str) -> Value {
    json!({
        "id": id,
        "version": version,
        "canMigrateTo": "*",
        "canMigrateFrom": "*",
        "title": "Test",
        "description": {"short": "Short", "long": "Long"},
        "releaseNotes": "Notes",
        "license": "MIT",
        "upstreamRepo": "https://example.com/test",
        "images": {"main": {"source": "packed", "arch": ["x86_64"], "emulateMissingAs": "x86_64"}},
        "volumes": ["main"],
    })
}

/// A package in the making; starts out valid for x86_64.
pub(crate) struct TestPackage {
    pub(crate) manifest: Value,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl TestPackage {
    pub(crate) fn new(id: &str, version: &str) -> Self {
        let files = [
            ("icon.png", b"icon".to_vec()),
            ("LICENSE.md", b"free".to_vec()),
            ("instructions.md", b"do it".to_vec()),
            ("javascript.squashfs", vec![1; 5000]),
            ("assets.squashfs", vec![2; 4096]),
            (
                "images/x86_64/main.squashfs",
                format!("rootfs of {id}").repeat(1000).into_bytes(),
            ),
            ("images/x86_64/main.json", b"{}".to_vec()),
            ("images/x86_64/main.env", b"".to_vec()),
        ];
        Self {
            manifest: manifest(id, version),
            files: files
                .into_iter()
                .map(|(path, body)| (path.to_owned(), body))
                .collect(),
        }
    }

    /// Sets a field of the manifest by JSON pointer; `Null` removes nothing, it is written.
    pub(crate) fn field(mut self, name: &str, value: Value) -> Self {
        self.manifest[name] = value;
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        self.files.retain(|(name, _)| name != path);
        self
    }

    pub(crate) fn with(mut self, path: &str, body: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), body.into()));
        self
    }

    pub(crate) fn draft(&self) -> Draft {
        let mut draft = Draft::new();
        let manifest = serde_json::to_vec(&self.manifest).unwrap();
        draft
            .insert("manifest.json", Content::Bytes(manifest))
            .unwrap();
        for (path, body) in &self.files {
            draft.insert(path, Content::Bytes(body.clone())).unwrap();
        }
        draft
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        pack(self.draft())
    }

    pub(crate) fn open(&self) -> Archive<Vec<u8>> {
        Archive::open(self.pack(), None).unwrap()
    }
}

pub(crate) fn pack(mut draft: Draft) -> Vec<u8> {
    let header = draft.sign(&key());
    let mut bytes = Vec::new();
    draft.write(&header, &mut bytes).unwrap();
    bytes
}
