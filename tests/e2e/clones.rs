//! One package under several ids: as many services as a run wants, each with the same contents.

use std::{fs::File, path::Path};

use coppice_s9pk::{Archive, Content, Draft};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

/// More than any file of a package that is copied here.
const MAX_BODY: u64 = 256 << 20;

/// The package `original`, signed anew as `id`.
pub(crate) fn renamed(original: &Path, id: &str) -> Vec<u8> {
    let archive = Archive::open(File::open(original).unwrap(), None).unwrap();
    let mut draft = Draft::new();
    for (path, _, _) in archive.root().files() {
        let mut body = archive.read(&path, MAX_BODY).unwrap();
        if path == "manifest.json" {
            let mut manifest: Value = serde_json::from_slice(&body).unwrap();
            manifest["id"] = json!(id);
            body = serde_json::to_vec(&manifest).unwrap();
        }
        draft.insert(&path, Content::Bytes(body)).unwrap();
    }
    let header = draft.sign(&SigningKey::from_bytes(&[11; 32]));
    let mut bytes = Vec::new();
    draft.write(&header, &mut bytes).unwrap();
    bytes
}
