//! Packages made by code: one that is good, and what may be wrong with it.

#[path = "../../actors/src/testing/seedling.rs"]
mod seedling;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use coppice_s9pk::{Commitment, Content, Draft, HEADER_SIZE, Header};
use ed25519_dalek::SigningKey;
use serde_json::Value;

use crate::console::run;

/// The id of every package that is made here.
pub(crate) const ID: &str = "seedling";

/// JavaScript of a package that does nothing, well.
const HARMLESS: &str = "
const nothing = async () => null;
module.exports = {
  init: nothing, uninit: nothing, createBackup: nothing,
  main: async () => ({ build: async () => ({ term: nothing }) }),
  actions: { get: () => undefined },
};
";

/// A package in the making; starts out good.
pub(crate) struct Package {
    manifest: Value,
    javascript: String,
    /// Files beside its `index.js`.
    beside: Vec<(String, Vec<u8>)>,
    /// What is in its image.
    image: Vec<(String, Vec<u8>)>,
    /// Device nodes there, as `mksquashfs` is told of them.
    nodes: Vec<String>,
    files: Vec<(String, Vec<u8>)>,
}

impl Package {
    pub(crate) fn good() -> Self {
        let files = seedling::files().map(|(path, body)| (path, body.into()));
        Self {
            manifest: seedling::manifest(ID, "1.0.0:0"),
            javascript: HARMLESS.to_owned(),
            beside: Vec::new(),
            image: vec![("filling".to_owned(), noise(300_000))],
            nodes: Vec::new(),
            files: files.into(),
        }
    }

    /// Sets a field of the manifest.
    pub(crate) fn field(mut self, pointer: &str, value: Value) -> Self {
        *self.manifest.pointer_mut(pointer).unwrap() = value;
        self
    }

    /// Sets a field of the manifest that it may not have yet.
    pub(crate) fn member(mut self, name: &str, value: Value) -> Self {
        self.manifest[name] = value;
        self
    }

    pub(crate) fn without_field(mut self, name: &str) -> Self {
        self.manifest.as_object_mut().unwrap().remove(name).unwrap();
        self
    }

    pub(crate) fn javascript(mut self, code: &str) -> Self {
        self.javascript = code.to_owned();
        self
    }

    /// A second file of its code.
    pub(crate) fn beside(mut self, name: &str, code: &str) -> Self {
        self.beside.push((name.to_owned(), code.into()));
        self
    }

    /// An image with these programs of this machine's, and the libraries that they need.
    pub(crate) fn programs(mut self, programs: &[&str]) -> Self {
        for program in programs {
            let said = run("ldd", &[program]);
            let libraries = said.split_whitespace().filter(|word| word.starts_with('/'));
            for path in libraries.chain([*program]) {
                let body = fs::read(path).unwrap();
                self.image
                    .push((path.trim_start_matches('/').to_owned(), body));
            }
        }
        for (name, line) in [
            ("passwd", "root:x:0:0::/root:/bin/sh\n"),
            ("group", "root:x:0:\n"),
        ] {
            let body = line.as_bytes().to_vec();
            self.image.push((format!("etc/{name}"), body));
        }
        self
    }

    /// An image with this program, which needs no libraries.
    pub(crate) fn program(mut self, path: &str, body: Vec<u8>) -> Self {
        self.image.push((path.to_owned(), body));
        self
    }

    /// An image with the node of a device that everybody may read and write.
    pub(crate) fn node(mut self, path: &str, kind: char, (major, minor): (u64, u64)) -> Self {
        self.nodes
            .push(format!("{path} {kind} 666 0 0 {major} {minor}"));
        self
    }

    /// A package whose `main` declares these daemons.
    pub(crate) fn declaring(self, daemons: &Value) -> Self {
        self.javascript(&format!(
            "
const nothing = async () => null;
module.exports = {{
  init: nothing, uninit: nothing, createBackup: nothing,
  main: async ({{ effects }}) => {{
    await effects.setDaemons({{ daemons: {daemons} }});
    return {{ build: async () => ({{ term: nothing }}) }};
  }},
  actions: {{ get: () => undefined }},
}};
"
        ))
    }

    pub(crate) fn with(mut self, path: &str, body: Vec<u8>) -> Self {
        self.files.retain(|(other, _)| other != path);
        self.files.push((path.to_owned(), body));
        self
    }

    pub(crate) fn without(mut self, path: &str) -> Self {
        let before = self.files.len();
        self.files.retain(|(other, _)| other != path);
        assert_ne!(self.files.len(), before, "there is no {path}");
        self
    }

    /// The signed package; `work` is a folder for what is made on the way.
    pub(crate) fn pack(&self, work: &Path) -> Vec<u8> {
        let mut draft = Draft::new();
        let mut insert =
            |path: &str, body: Vec<u8>| draft.insert(path, Content::Bytes(body)).unwrap();
        insert("manifest.json", serde_json::to_vec(&self.manifest).unwrap());
        let beside = self.beside.iter();
        let code: Vec<(&str, &[u8])> = beside
            .map(|(name, code)| (name.as_str(), code.as_slice()))
            .chain([("index.js", self.javascript.as_bytes())])
            .collect();
        insert("javascript.squashfs", squash(work, &code, &[]));
        let image = format!("images/{}/main.squashfs", std::env::consts::ARCH);
        let inside = self.image.iter();
        let inside: Vec<(&str, &[u8])> = inside
            .map(|(path, body)| (path.as_str(), body.as_slice()))
            .collect();
        insert(&image, squash(work, &inside, &self.nodes));
        for (path, body) in &self.files {
            insert(path, body.clone());
        }
        let header = draft.sign(&key());
        let mut bytes = Vec::new();
        draft.write(&header, &mut bytes).unwrap();
        bytes
    }
}

/// Bytes that no compression makes fewer.
pub(crate) fn noise(size: usize) -> Vec<u8> {
    (0..size.div_ceil(8))
        .flat_map(|_| rand::random::<[u8; 8]>())
        .take(size)
        .collect()
}

/// A squashfs of these files and device nodes.
pub(crate) fn squash(work: &Path, files: &[(&str, &[u8])], nodes: &[String]) -> Vec<u8> {
    let made = tempfile::tempdir_in(work).unwrap();
    let (tree, image): (PathBuf, PathBuf) = (made.path().join("tree"), made.path().join("image"));
    fs::create_dir(&tree).unwrap();
    for (name, body) in files {
        let at = tree.join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, body).unwrap();
        // Programs are among them.
        fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let (from, to) = (tree.to_str().unwrap(), image.to_str().unwrap());
    let words = [
        from,
        to,
        "-quiet",
        "-no-progress",
        "-comp",
        "zstd",
        "-all-root",
    ];
    let nodes = nodes.iter().flat_map(|node| ["-p", node]);
    run(
        "mksquashfs",
        &words.into_iter().chain(nodes).collect::<Vec<_>>(),
    );
    fs::read(image).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&std::array::from_fn(|i| i as u8))
}

/// The position of the last byte of the file `body` in the package, for changing it.
pub(crate) fn last_byte_of(package: &[u8], body: &[u8]) -> usize {
    let start = package
        .windows(body.len())
        .position(|window| window == body)
        .unwrap();
    start + body.len() - 1
}

/// A header that is signed and promises a root table of this size.
pub(crate) fn promise_root_table(package: &mut [u8], size: u64) {
    let root_sighash = package[99..131]
        .try_into()
        .map(coppice_s9pk::Digest)
        .unwrap();
    let header = Header::sign(
        Commitment {
            root_sighash,
            root_maxsize: size,
        },
        &key(),
    );
    let header = header.to_bytes(HEADER_SIZE, size);
    package[..header.len()].copy_from_slice(&header);
}

/// Takes the signature away.
pub(crate) fn unsign(package: &mut [u8]) {
    package[35..99].fill(0);
}
