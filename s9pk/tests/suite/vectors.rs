//! Packages made by the reference implementation.

use std::fs::{self, File};
use std::path::Path;

use coppice_s9pk::{Arch, Archive, Commitment, Contents, Digest};
use serde_json::Value;

use crate::package::vector;

const NAMES: [&str; 2] = ["hello-min", "hello-full"];

fn open(name: &str) -> Archive<File> {
    let file = File::open(vector(&format!("{name}.s9pk"))).unwrap();
    Archive::open(file, Some(commitment(name))).unwrap()
}

fn commitment(name: &str) -> Commitment {
    fs::read_to_string(vector(name).join("commitment.json"))
        .unwrap()
        .parse()
        .unwrap()
}

fn json(name: &str, file: &str) -> Value {
    serde_json::from_slice(&fs::read(vector(name).join(file)).unwrap()).unwrap()
}

#[test]
fn both_verify_against_their_commitment() {
    for name in NAMES {
        let archive = open(name);
        archive.verify_all().unwrap();
        let key = fs::read_to_string(vector("signing-key.pub.hex")).unwrap();
        assert_eq!(archive.signer_hex(), key.trim());
        let printed = serde_json::to_value(archive.commitment()).unwrap();
        assert_eq!(printed, json(name, "commitment.json"));
    }
}

#[test]
fn file_trees_print_as_the_reference_prints_them() {
    for name in NAMES {
        let tree = serde_json::to_value(open(name).file_tree()).unwrap();
        assert_eq!(tree, json(name, "file-tree.json"));
    }
}

#[test]
fn entries_are_where_the_independent_reader_found_them() {
    for name in NAMES {
        let archive = open(name);
        let container = json(name, "container.json");
        let mut found = Vec::new();
        flatten("", &container["entries"], &mut found);
        let mut ours = Vec::new();
        for (path, entry) in archive.root().walk() {
            ours.push((path, entry.hash, entry.size));
        }
        found.sort();
        ours.sort();
        assert_eq!(ours, found);
        let positions = archive
            .root()
            .files()
            .map(|(path, _, position)| (path, *position));
        for (path, position) in positions {
            let there = lookup(&container["entries"], &path)["position"].as_u64();
            assert_eq!(there, Some(position), "{path}");
        }
    }
}

fn flatten(above: &str, entries: &Value, found: &mut Vec<(String, Digest, u64)>) {
    for entry in entries.as_array().unwrap() {
        let path = format!("{above}{}", entry["name"].as_str().unwrap());
        let hash = entry["hash"].as_str().unwrap().parse().unwrap();
        if entry["type"] == "directory" {
            flatten(&format!("{path}/"), &entry["entries"], found);
        }
        found.push((path, hash, entry["size"].as_u64().unwrap()));
    }
}

fn lookup<'a>(entries: &'a Value, path: &str) -> &'a Value {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let entry = entries
        .as_array()
        .unwrap()
        .iter()
        .find(|e| e["name"] == first)
        .unwrap();
    if rest.is_empty() {
        entry
    } else {
        lookup(&entry["entries"], rest)
    }
}

#[test]
fn files_read_as_the_reference_returns_them() {
    fn compare(archive: &Archive<File>, folder: &Path, above: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{above}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                compare(archive, &entry.path(), &format!("{path}/"));
            } else {
                let bytes = archive.read(&path, 1 << 20).unwrap();
                assert_eq!(bytes, fs::read(entry.path()).unwrap(), "{path}");
            }
        }
    }
    for name in NAMES {
        compare(&open(name), &vector(name).join("files"), "");
    }
}

#[test]
fn a_manifest_is_written_as_the_reference_writes_it() {
    for name in NAMES {
        let manifest = open(name).manifest().unwrap();
        let packed = fs::read(vector(name).join("files/manifest.json")).unwrap();
        assert_eq!(
            String::from_utf8(manifest.to_json()),
            String::from_utf8(packed)
        );
        assert_eq!(
            serde_json::to_value(&manifest).unwrap(),
            json(name, "manifest.json")
        );
    }
}

#[test]
fn every_file_of_both_counts() {
    for name in NAMES {
        let archive = open(name);
        let manifest = archive.manifest().unwrap();
        let targets = [None, Some("x86_64".parse::<Arch>().unwrap())];
        for target in targets {
            let contents = Contents::of(archive.root(), &manifest, target.as_ref()).unwrap();
            let files: Vec<_> = archive.root().files().map(|(path, ..)| path).collect();
            assert_eq!(contents.files().iter().cloned().collect::<Vec<_>>(), files);
        }
    }
}

#[test]
fn written_anew_they_keep_commitment_signature_and_contents() {
    for name in NAMES {
        let original = open(name);
        let mut bytes = Vec::new();
        original.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, original.length());
        let again = Archive::open(bytes, Some(commitment(name))).unwrap();
        again.verify_all().unwrap();
        assert_eq!(again.header(), original.header());
        assert_eq!(again.file_tree(), original.file_tree());
        // The manifest is the first body, the directories' tables come before it.
        let first = again
            .root()
            .files()
            .map(|(path, _, position)| (*position, path))
            .min();
        assert_eq!(first.unwrap().1, "manifest.json");
        let mut twice = Vec::new();
        again.write(&mut twice).unwrap();
        let mut thrice = Vec::new();
        Archive::open(twice.clone(), None)
            .unwrap()
            .write(&mut thrice)
            .unwrap();
        assert_eq!(twice, thrice);
    }
}

#[test]
fn an_altered_byte_anywhere_is_noticed() {
    let bytes = fs::read(vector("hello-min.s9pk")).unwrap();
    // Every byte of the header and the tables, then a sample of the bodies.
    let tables = 0..1200usize;
    let bodies = (1200..bytes.len()).step_by(97);
    for at in tables.chain(bodies) {
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        let opened = Archive::open(altered, Some(commitment("hello-min")));
        let verified = opened.and_then(|archive| archive.verify_all());
        assert!(verified.is_err(), "offset {at}");
    }
}
