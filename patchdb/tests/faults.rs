//! What the store survives. Each helper is a test of its own, ignored unless a test starts this
//! program again to be it.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod again;

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use again::{folder, helper, myself, run, with_own_mounts};
use nix::mount::{MsFlags, mount};
use patchdb::{Change, CommitError, MakeRoom, OpenError, Options, Store, Why};

fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

fn why() -> Why {
    Why::actor("test")
}

#[test]
#[ignore = "started by the test below, to be killed"]
fn helper_writes_until_killed() {
    let Some(dir) = folder() else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&dir);
        let run = store.position().epoch.to_string();
        let parent = Change::new().put(["public", &run], serde_json::json!({}));
        store.commit(parent, why()).await.unwrap();
        for writer in 0..4 {
            let (store, run) = (store.clone(), run.clone());
            tokio::spawn(async move {
                for n in 0_u64.. {
                    let name = format!("{writer}-{n}");
                    let change = Change::new().put(["public", &run, &name], n);
                    let position = store.commit(change, why()).await.unwrap();
                    // Said only after the store said so: this is the promise that is tested.
                    let id = store
                        .publish(Change::new().put(["public", "beat"], &name))
                        .unwrap()
                        .id;
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "ack {run} {name} {n} {} {id}", position.id).unwrap();
                    out.flush().unwrap();
                }
            });
        }
        std::future::pending::<()>().await;
    });
}

#[test]
fn every_acknowledged_write_survives_kill_9_and_no_id_comes_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = HashMap::new();
    let mut highest = 0;
    for round in 1..=4 {
        let mut child = helper(
            Command::new(myself()),
            "helper_writes_until_killed",
            dir.path(),
        )
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lowest = u64::MAX;
        let mut newest = highest;
        let mut count = 0;
        while let Some(Ok(line)) = lines.next() {
            // The test harness ends its own first line where ours begins.
            let Some((_, line)) = line.split_once("ack ") else {
                continue;
            };
            let words: Vec<_> = line.split(' ').collect();
            // The last line may be cut short by the kill.
            let [run, name, n, id, beat] = words[..] else {
                continue;
            };
            let [n, id, beat] = [n, id, beat].map(|word| word.parse::<u64>().unwrap());
            acknowledged.insert((run.to_owned(), name.to_owned()), n);
            lowest = lowest.min(id);
            newest = newest.max(id).max(beat);
            count += 1;
            if count == 37 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(count >= 37 * round, "only {count} writes in round {round}");
        assert!(
            lowest > highest,
            "id {lowest} was given out before (up to {highest})"
        );
        highest = newest;
    }
    let store = open(dir.path());
    let snapshot = store.snapshot();
    assert!(!snapshot.exists("/public/beat"), "volatile");
    assert!(store.position().id > highest);
    for ((run, name), n) in acknowledged {
        let found = snapshot.get::<u64>(["public", &run, &name]).unwrap();
        assert_eq!(found, Some(n), "{run} {name}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert!(runtime.block_on(store.check()).unwrap().is_sound());
}

#[test]
#[ignore = "started by the test below, in a mount namespace of its own"]
fn helper_fills_its_disk() {
    let Some(dir) = folder() else { return };
    let dir = dir.as_path();
    mount_small(dir);
    let ballast = dir.join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&dir.join("state"));
        let big = "x".repeat(100_000);
        let mut kept = 0;
        let error = loop {
            let name = format!("n{kept}");
            let before = store.position();
            match store
                .commit(Change::new().put(["public", &name], &big), why())
                .await
            {
                Ok(_) => kept += 1,
                Err(error) => {
                    assert_eq!(store.position(), before);
                    assert!(!store.snapshot().exists(["public", &name]));
                    break error;
                }
            }
        };
        assert!(matches!(error, CommitError::Full { .. }), "{error:?}");
        assert!(error.is_retryable() && kept > 0);
        store
            .publish(Change::new().put("/public/usage", 1))
            .unwrap();
        assert!(store.check().await.unwrap().is_sound());

        // Space again: no restart is needed.
        fs::remove_file(&ballast).unwrap();
        store
            .commit(Change::new().put("/public/after", &big), why())
            .await
            .unwrap();
        store.close().await;
        let store = open(&dir.join("state"));
        assert!(store.snapshot().exists("/public/after"));
        assert_eq!(store.snapshot().keys("/public").len(), kept + 1);
        assert!(store.check().await.unwrap().is_sound());
    });
}

#[test]
#[ignore = "started by the test below, in a mount namespace of its own"]
fn helper_has_a_reserve() {
    let Some(dir) = folder() else { return };
    let dir = dir.as_path();
    mount_small(dir);
    let reserve = dir.join("reserve");
    fs::write(&reserve, vec![0; 1 << 20]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let doomed = reserve.clone();
        let options = Options {
            make_room: MakeRoom::by(move || fs::remove_file(&doomed).is_ok()),
            ..Options::default()
        };
        let store = Store::open(dir.join("state"), options).unwrap();
        let (mut before, mut after) = (0, 0);
        loop {
            let change = Change::new().put(
                ["public", &format!("n{}", before + after)],
                "x".repeat(100_000),
            );
            match store.commit(change, why()).await {
                Ok(_) if reserve.exists() => before += 1,
                Ok(_) => after += 1,
                Err(error) => {
                    assert!(matches!(error, CommitError::Full { .. }), "{error:?}");
                    break;
                }
            }
        }
        assert!(before > 0 && after > 0, "{before} before, {after} after");
        assert!(!reserve.exists());
        assert_eq!(store.snapshot().keys("/public").len(), before + after);
        assert!(store.check().await.unwrap().is_sound());
    });
}

#[test]
fn a_full_disk_fails_the_write_only_and_heals_without_a_restart() {
    on_a_small_disk("helper_fills_its_disk");
}

#[test]
fn on_a_full_disk_the_reserve_is_given_up_before_a_write_fails() {
    on_a_small_disk("helper_has_a_reserve");
}

fn mount_small(dir: &Path) {
    mount(
        Some("tmpfs"),
        dir,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=3m"),
    )
    .unwrap();
}

fn on_a_small_disk(test: &str) {
    let dir = tempfile::tempdir().unwrap();
    run(with_own_mounts(), test, dir.path());
}

#[test]
#[ignore = "started by the test below"]
fn helper_opens() {
    let Some(dir) = folder() else { return };
    match Store::open(&dir, Options::default()) {
        Ok(_) => println!("opened"),
        Err(OpenError::Locked { pid, .. }) => println!("locked by {pid:?}"),
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn another_process_is_refused_while_this_one_lives() {
    let dir = tempfile::tempdir().unwrap();
    let ask = || {
        let output = helper(Command::new(myself()), "helper_opens", dir.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let store = open(dir.path());
    let refused = ask();
    assert!(
        refused.contains(&format!("locked by Some({})", std::process::id())),
        "{refused}"
    );
    drop(store);
    assert!(ask().contains("opened"));
}

#[test]
fn a_damaged_value_is_found_and_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(dir.path());
        let change = Change::new().put("/public/a", "a value that can be found in the file");
        store.commit(change, why()).await.unwrap();
        store.close().await;
    });
    let file = dir.path().join("data.mdb");
    let mut bytes = fs::read(&file).unwrap();
    let needle = b"value that can";
    let places: Vec<usize> = bytes
        .windows(needle.len())
        .enumerate()
        .filter_map(|(at, window)| (window == needle).then_some(at))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(&file, bytes).unwrap();
    let error = Store::open(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}

#[test]
#[ignore = "started by the test below, since a mistake would end it with SIGBUS"]
fn helper_opens_cut_files() {
    let Some(dir) = folder() else { return };
    let (whole, cut) = (dir.join("whole"), dir.join("cut"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open(&whole);
        for n in 0..200 {
            let name = format!("n{n}");
            store
                .commit(Change::new().put(["public", &name], "x".repeat(300)), why())
                .await
                .unwrap();
        }
        store.close().await;
    });
    let bytes = fs::read(whole.join("data.mdb")).unwrap();
    let pages = bytes.len() / 4096;
    let mut refused = 0;
    for keep in 2..pages {
        fs::create_dir_all(&cut).unwrap();
        fs::write(cut.join("data.mdb"), &bytes[..keep * 4096]).unwrap();
        // Either an error, or the pages that are gone held nothing that is still needed.
        match Store::open(&cut, Options::default()) {
            Ok(store) => assert_eq!(store.snapshot().keys("/public").len(), 200),
            Err(_) => refused += 1,
        }
        fs::remove_dir_all(&cut).unwrap();
    }
    assert!(refused > pages / 2, "{refused} of {pages}");
}

#[test]
fn a_file_cut_short_anywhere_is_refused_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    run(Command::new(myself()), "helper_opens_cut_files", dir.path());
}
