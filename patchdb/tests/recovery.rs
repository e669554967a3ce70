//! Damage on the disk: what is found, what takes its place, and that it never ends this process.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod again;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use again::{folder, helper, myself};
use patchdb::{Change, Examiner, OpenError, Options, Start, Store, Why};
use serde_json::Value;

const PAGE: usize = 4096;
const DATA: &str = "data.mdb";

#[test]
#[ignore = "started by the stores of the tests below, to look a file over"]
fn helper_examines() {
    let Some(file) = folder() else { return };
    // What it says is what counts, not how it ends.
    let _ = patchdb::examine_for_parent(&file);
}

fn options() -> Options {
    let examiner = |file: &Path| helper(Command::new(myself()), "helper_examines", file);
    Options {
        examiner: Some(Examiner::by(examiner)),
        ..Options::default()
    }
}

/// No examiner, so no copies: for a store that is to be damaged.
fn unguarded(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

async fn put(store: &Store, name: &str, value: impl Into<Value>) {
    let change = Change::new().put(["public", name], value.into());
    store.commit(change, Why::actor("test")).await.unwrap();
}

fn whole(store: &Store) -> Value {
    store.snapshot().reveal("").unwrap()
}

fn copies(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("copies")).into_iter().flatten();
    let mut copies: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    copies.retain(|copy| copy.extension().is_some_and(|ending| ending == "mdb"));
    copies.sort();
    copies
}

/// Waits until the newest copy is another than `before`.
async fn copied(dir: &Path, before: Option<&PathBuf>) -> PathBuf {
    let look = async {
        loop {
            if let Some(newest) = copies(dir).pop()
                && Some(&newest) != before
            {
                return newest;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look)
        .await
        .expect("no copy was made")
}

/// A store with the value `kept` in its copy and the value `newer` besides in the file itself.
async fn store_with_copy(dir: &Path) -> (Value, Value) {
    let store = unguarded(dir);
    for n in 0..20 {
        put(&store, &format!("n{n}"), "x".repeat(600)).await;
    }
    store.close().await;
    let store = Store::open(dir, options()).unwrap();
    let kept = whole(&store);
    copied(dir, None).await;
    store.close().await;
    let store = unguarded(dir);
    put(&store, "newer", 1).await;
    let newer = whole(&store);
    store.close().await;
    (kept, newer)
}

#[tokio::test]
async fn a_file_cut_or_overwritten_anywhere_gives_way_to_its_copy_and_ends_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound");
    let (kept, newer) = store_with_copy(&sound).await;
    let bytes = fs::read(sound.join(DATA)).unwrap();
    let copy = copies(&sound).pop().unwrap();
    let (mut put_back, mut harmless) = (0, 0);
    for page in 0..bytes.len() / PAGE {
        let at = page * PAGE..(page + 1) * PAGE;
        let cut = bytes[..at.start].to_vec();
        let mut zeroed = bytes.clone();
        zeroed[at.clone()].fill(0);
        let mut torn = bytes.clone();
        torn[at.start + PAGE / 2..at.end].fill(0xa5);
        let mut garbled = bytes.clone();
        garbled[at].fill(0xff);
        for (what, damaged) in [
            ("cut", cut),
            ("zeroed", zeroed),
            ("torn", torn),
            ("ff", garbled),
        ] {
            let dir = dir.path().join("damaged");
            fs::create_dir_all(dir.join("copies")).unwrap();
            fs::copy(&copy, dir.join("copies/00000001.mdb")).unwrap();
            fs::write(dir.join(DATA), damaged).unwrap();
            let store = Store::open(&dir, options()).unwrap();
            let found = whole(&store);
            match &store.recoveries()[..] {
                // What was damaged is not needed, or LMDB's other meta page has the change before.
                [] => {
                    assert!(found == newer || found == kept, "page {page}, {what}");
                    harmless += 1;
                }
                [recovery] => {
                    assert_eq!(found, kept, "page {page}, {what}: {}", recovery.reason);
                    assert!(recovery.kept.join(DATA).exists());
                    put_back += 1;
                }
                more => panic!("{more:?}"),
            }
            assert!(store.check().await.unwrap().is_sound());
            put(&store, "after", 2).await;
            store.close().await;
            fs::remove_dir_all(&dir).unwrap();
        }
    }
    println!("{put_back} put back, {harmless} harmless");
    assert!(put_back > harmless && harmless > 0, "{put_back} {harmless}");
}

#[tokio::test]
async fn a_file_that_is_gone_is_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, _) = store_with_copy(dir.path()).await;
    fs::remove_file(dir.path().join(DATA)).unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(whole(&store), kept);
    assert_eq!(store.recoveries().len(), 1);
}

#[tokio::test]
async fn a_damaged_store_without_a_sound_copy_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    store_with_copy(dir.path()).await;
    let copy = copies(dir.path()).pop().unwrap();
    for file in [&dir.path().join(DATA), &copy] {
        let mut bytes = fs::read(file).unwrap();
        bytes[2 * PAGE..].fill(0xff);
        fs::write(file, bytes).unwrap();
    }
    let before = fs::read(dir.path().join(DATA)).unwrap();
    let error = Store::open(dir.path(), options()).err().unwrap();
    assert!(
        matches!(error, OpenError::DamagedBeyondCopies { .. }),
        "{error:?}"
    );
    assert_eq!(fs::read(dir.path().join(DATA)).unwrap(), before);
    assert!(copy.exists());
}

#[tokio::test]
async fn after_an_older_copy_took_over_no_id_comes_twice_and_clients_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    store_with_copy(dir.path()).await;
    let store = unguarded(dir.path());
    put(&store, "lost", 1).await;
    let lost = store.position();
    store.close().await;
    let file = fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join(DATA))
        .unwrap();
    file.set_len(PAGE as u64).unwrap();

    let store = Store::open(dir.path(), options()).unwrap();
    assert!(store.position().durable < lost.durable);
    assert!(store.position().id > lost.id);
    let mut subscription = store.subscribe("/public", Some(lost)).unwrap();
    assert!(matches!(
        subscription.take_start(),
        Some(Start::Resync { .. })
    ));
    let restored = store.position();
    store.close().await;

    // It is told of until what was damaged is thrown away, and the ids leap once.
    let store = Store::open(dir.path(), options()).unwrap();
    let [recovery] = &store.recoveries()[..] else {
        panic!("it is not told of any more");
    };
    assert!(recovery.copy_of <= recovery.at);
    assert!(store.position().id - restored.id < 1 << 30);
    fs::remove_dir_all(&recovery.kept).unwrap();
    assert_eq!(store.recoveries(), []);
}

#[tokio::test]
async fn what_a_newer_program_wrote_is_refused_and_not_taken_for_damage() {
    let dir = tempfile::tempdir().unwrap();
    store_with_copy(dir.path()).await;
    write_as_format_2(dir.path());
    let error = Store::open(dir.path(), options()).err().unwrap();
    assert!(
        matches!(error, OpenError::Newer { found: 2, .. }),
        "{error:?}"
    );
}

/// Counters of format 2, and a row that this program cannot read.
fn write_as_format_2(dir: &Path) {
    use heed::{CommitOrAbort, Database, EnvOpenOptions, types::Bytes};

    let seal = |key: &[u8], body: &[u8]| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(key.len() as u64).to_le_bytes());
        hasher.update(key);
        hasher.update(body);
        [&hasher.finalize().as_bytes()[..8], body].concat()
    };
    // SAFETY: the store is closed.
    let env = unsafe {
        EnvOpenOptions::new()
            .map_size(1 << 26)
            .max_dbs(3)
            .open(dir)
            .unwrap()
    };
    let txn = env.write_txn().unwrap();
    env.create_databases_and_commit(txn, |open, txn| {
        let meta: Database<'_, Bytes, Bytes> = open.create_database(txn, Some("meta"))?;
        let body = br#"{"format":2,"schema":1,"durable":9,"id_limit":9}"#;
        meta.put(txn, b"counters", &seal(b"counters", body))?;
        let doc: Database<'_, Bytes, Bytes> = open.create_database(txn, Some("doc"))?;
        doc.put(txn, b"/public/n0", b"of another kind")?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(()))
    })
    .unwrap();
}

#[tokio::test]
async fn an_examiner_that_gives_no_verdict_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = unguarded(dir.path());
    put(&store, "a", 1).await;
    store.close().await;
    let examiners = [
        Examiner::by(|_| Command::new("/nonexistent/examiner")),
        Examiner::by(|_| Command::new("false")),
    ];
    for examiner in examiners {
        let options = Options {
            examiner: Some(examiner),
            ..Options::default()
        };
        let store = Store::open(dir.path(), options).unwrap();
        assert!(store.snapshot().exists("/public/a"));
        store.close().await;
        // What nobody looked over is not a copy to go back to.
        assert!(copies(dir.path()).is_empty());
    }
}

#[tokio::test]
async fn a_copy_follows_what_is_committed_and_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        copy_every: Duration::from_millis(20),
        ..options()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let mut newest = copied(dir.path(), None).await;
    for n in 0..4 {
        put(&store, "n", n).await;
        newest = copied(dir.path(), Some(&newest)).await;
    }
    store.close().await;
    assert!(copies(dir.path()).len() <= 2, "{:?}", copies(dir.path()));
    fs::remove_file(dir.path().join(DATA)).unwrap();
    let store = Store::open(dir.path(), self::options()).unwrap();
    assert_eq!(store.snapshot().get("/public/n").unwrap(), Some(3));
}

#[tokio::test]
async fn compacting_gives_room_back_and_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = unguarded(dir.path());
    put(&store, "kept", 1).await;
    for n in 0..3 {
        put(&store, "big", format!("{n}").repeat(2_000_000)).await;
    }
    put(&store, "big", "small").await;
    let before = (whole(&store), store.position(), store.log(10).unwrap());
    let size = || fs::metadata(dir.path().join(DATA)).unwrap().len();
    let large = size();
    let done = store.compact().await.unwrap();
    assert_eq!((done.before, done.after), (large, size()));
    assert!(done.after < large / 4, "{done:?}");
    assert!(store.check().await.unwrap().is_sound());
    assert_eq!(
        before,
        (whole(&store), store.position(), store.log(10).unwrap())
    );
    put(&store, "after", 1).await;
    store.close().await;
    let store = unguarded(dir.path());
    assert!(store.snapshot().exists("/public/after"));
    assert_eq!(store.log(10).unwrap()[1..], before.2[..]);
}

#[tokio::test]
async fn a_file_that_is_mostly_free_is_compacted_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = unguarded(dir.path());
    for n in 0..6 {
        put(&store, "big", format!("{n}").repeat(8_000_000)).await;
    }
    put(&store, "big", "small").await;
    store.close().await;
    let store = Store::open(dir.path(), options()).unwrap();
    copied(dir.path(), None).await;
    let size = fs::metadata(dir.path().join(DATA)).unwrap().len();
    assert!(size < 1 << 20, "{size}");
    assert!(store.check().await.unwrap().is_sound());
}
