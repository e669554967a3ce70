//! The store dies at every write that it makes, by `kill -9` and by a power cut, and each time
//! everything that was promised is there again.
//!
//! One process is recorded while it opens a store, commits, compacts and commits. From the recording
//! come all states in which the disk may be after a death at any of its calls:
//!
//! - *Killed*: whatever was written so far is there.
//! - *Power cut*: what was synced is there; of what was written since, the disk may have kept all,
//!   nothing, any one write of it, or half a write (a torn page); and names may be old or new.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

#[path = "../again/mod.rs"]
mod again;
mod tracer;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use again::{folder, helper, myself};
use patchdb::{Change, Options, Store, Why};
use serde_json::json;
use tracer::{Done, Event, Image, record};

const STORE: &str = "state";
const PROMISES: &str = "promises";

/// Half of them before the store is compacted.
const COMMITS: usize = 24;

/// Disks write whole sectors.
const SECTOR: usize = 512;

/// Large enough that a commit writes several pages, small enough that there are few to look at.
fn value(n: usize) -> serde_json::Value {
    json!({"n": n, "text": "x".repeat(300 * n)})
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

#[test]
#[ignore = "started by the test below, to be recorded"]
fn helper_is_recorded() {
    let Some(folder) = folder() else { return };
    let mut promises = fs::File::create(folder.join(PROMISES)).unwrap();
    runtime().block_on(async {
        let store = Store::open(folder.join(STORE), Options::default()).unwrap();
        for n in 0..COMMITS {
            if n == COMMITS / 2 {
                store.compact().await.unwrap();
            }
            let change = Change::new().put(["public", &format!("n{n}")], value(n));
            store.commit(change, Why::actor("test")).await.unwrap();
            promises.write_all(b".").unwrap();
        }
        store.close().await;
    });
}

#[test]
fn at_whatever_write_it_dies_nothing_that_was_promised_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    // The path that the kernel shows.
    let folder = dir.path().canonicalize().unwrap();
    let mut command = helper(Command::new(myself()), "helper_is_recorded", &folder);
    command.stdout(Stdio::null());
    let promises = folder.join(PROMISES);
    let promised = || fs::metadata(&promises).map_or(0, |file| file.len() as usize);
    let events = record(command, &folder.join(STORE), promised);
    let is_sync = |event: &&Event| event.done != Done::Written;
    assert!(events.iter().filter(is_sync).count() > 2 * COMMITS);

    let mut seen = HashSet::new();
    let mut disk = Disk::default();
    let mut tried = [0, 0];
    for (at, event) in events.iter().enumerate() {
        disk.take(event);
        // It may die as late as just before the next call.
        let promised = events.get(at + 1).map_or(COMMITS, |next| next.promised);
        let states = std::iter::once((0, event.image.clone()))
            .chain(disk.after_a_power_cut().into_iter().map(|image| (1, image)));
        for (kind, image) in states {
            if seen.insert((promised, fingerprint(&image))) {
                tried[kind] += 1;
                let what = ["killed", "power cut"][kind];
                verify(&image, promised, &format!("{what} after call {at}"));
            }
        }
    }
    println!("{} calls, {tried:?} states of the disk", events.len());
    assert!(
        tried[0] > 4 * COMMITS && tried[1] > 4 * COMMITS,
        "{tried:?}"
    );
}

/// What a write changed: where, and to what.
type Sectors = Vec<(usize, Vec<u8>)>;

/// What is certainly on the disk, and what was written since.
#[derive(Default)]
struct Disk {
    now: Image,
    certain: Image,
    /// The writes since, by file.
    since: BTreeMap<u64, Vec<Sectors>>,
}

impl Disk {
    fn take(&mut self, event: &Event) {
        for (inode, bytes) in &event.image.files {
            let before = self.now.files.get(inode);
            let changed = changed(before.map_or(&[], |bytes| bytes.as_slice()), bytes);
            if !changed.is_empty() {
                self.since.entry(*inode).or_default().push(changed);
            }
        }
        self.now = event.image.clone();
        match event.done {
            Done::Written => {}
            Done::WrittenThrough(inode) => {
                // This write only: others of the same file may still be on their way.
                let last = self.since.get_mut(&inode).and_then(Vec::pop);
                let certain = self.certain.files.entry(inode).or_default();
                *certain = Arc::new(with(certain, last.as_slice()));
            }
            Done::Synced(inode) => {
                if let Some(bytes) = self.now.files.get(&inode) {
                    self.certain.files.insert(inode, Arc::clone(bytes));
                }
                self.since.remove(&inode);
            }
            Done::NamesSynced => self.certain.names = self.now.names.clone(),
        }
    }

    fn after_a_power_cut(&self) -> Vec<Image> {
        let mut images = Vec::new();
        for names in [&self.certain.names, &self.now.names] {
            let mut keep = |choose: &dyn Fn(&[Sectors]) -> Vec<Sectors>| {
                let files = names.values().map(|inode| {
                    let certain = self.certain.files.get(inode).cloned().unwrap_or_default();
                    let since = self.since.get(inode).map_or(&[][..], Vec::as_slice);
                    (*inode, Arc::new(with(&certain, &choose(since))))
                });
                images.push(Image {
                    names: names.clone(),
                    files: files.collect(),
                });
            };
            keep(&|_| Vec::new());
            keep(&|since| since.to_vec());
            let most = self.since.values().map(Vec::len).max().unwrap_or(0);
            for one in 0..most {
                keep(&|since| since.get(one).cloned().into_iter().collect());
                // Of the last one that came through, half its sectors.
                keep(&|since| {
                    let mut kept = since[..since.len().min(one + 1)].to_vec();
                    if let Some(torn) = kept.last_mut() {
                        torn.truncate(torn.len().div_ceil(2));
                    }
                    kept
                });
            }
        }
        images
    }
}

/// The sectors in which `after` is another than `before`.
fn changed(before: &[u8], after: &[u8]) -> Sectors {
    let sector = |bytes: &[u8], at: usize| {
        bytes
            .get(at..)
            .map(|rest| rest[..rest.len().min(SECTOR)].to_vec())
    };
    (0..after.len())
        .step_by(SECTOR)
        .filter(|at| sector(before, *at) != sector(after, *at))
        .filter_map(|at| Some((at, sector(after, at)?)))
        .collect()
}

fn with(bytes: &[u8], writes: &[Sectors]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, sector) in writes.iter().flatten() {
        bytes.resize(bytes.len().max(at + sector.len()), 0);
        bytes[*at..at + sector.len()].copy_from_slice(sector);
    }
    bytes
}

fn fingerprint(image: &Image) -> Vec<(String, blake3::Hash)> {
    let files = image.names.iter();
    files
        .map(|(name, inode)| (name.clone(), blake3::hash(&image.files[inode])))
        .collect()
}

/// Opens a store from what the disk holds: all promised changes are there, each of them whole, in
/// their order, and at most the one under way besides.
fn verify(image: &Image, promised: usize, when: &str) {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(Path::new(dir.path()).join(name), bytes);
    for (name, inode) in &image.names {
        put(name, &image.files[inode]).unwrap();
    }
    let store = match Store::open(dir.path(), Options::default()) {
        Ok(store) => store,
        Err(error) => panic!("{when}, {promised} promised: {error:?}"),
    };
    let found = store.snapshot().keys("/public").len();
    assert!(
        found == promised || found == promised + 1,
        "{when}: {promised} promised, {found} found"
    );
    for n in 0..found {
        let kept = store.snapshot().reveal(["public", &format!("n{n}")]);
        assert_eq!(kept, Some(value(n)), "{when}");
    }
    assert!(runtime().block_on(store.check()).unwrap().is_sound());
}
