//! Every write of the store fails once, in every way that disks fail: the change that it was for is
//! refused, everything else goes on, and the next try works, without a restart.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod again;

use std::{path::Path, process::Command};

use again::{folder, myself, run, with_own_mounts};
use nix::mount::{MsFlags, mount};
use patchdb::{Change, Event, OpenError, Options, Store, Why};

const COMMITS: usize = 6;

/// System calls by which a store reaches the disk.
const CALLS: &str = "pwrite64,pwritev,writev,write,fdatasync,fsync,ftruncate,rename";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn change(n: usize) -> Change {
    Change::new().put(["public", &format!("n{n}")], "x".repeat(3000))
}

/// Each kind of call fails once, so trying again comes to an end.
fn open_at_last(folder: &Path, met: &mut Vec<String>) -> Store {
    loop {
        match Store::open(folder, Options::default()) {
            Ok(store) => return store,
            Err(error) => met.push(format!("open: {error:?}")),
        }
    }
}

#[test]
#[ignore = "started by the test below, with a call that fails"]
fn helper_meets_an_error() {
    let Some(folder) = folder() else { return };
    let mut met = Vec::new();
    runtime().block_on(async {
        let store = open_at_last(&folder, &mut met);
        let mut stream = store.subscribe("/public", None).unwrap();
        stream.take_start().unwrap();
        for n in 0..COMMITS {
            if n == COMMITS / 2
                && let Err(error) = store.compact().await
            {
                met.push(format!("compact: {error:?}"));
            }
            let now = || (store.position(), store.snapshot().reveal(""));
            let mut before = now();
            while let Err(error) = store.commit(change(n), Why::actor("test")).await {
                assert!(error.is_retryable(), "{error:?}");
                assert_eq!(before, now());
                met.push(format!("commit: {error:?}"));
                // Reading and what lives in memory go on.
                store
                    .publish(Change::new().put("/public/beat", met.len()))
                    .unwrap();
                assert!(store.check().await.unwrap().is_sound());
                let Some(Event::Revision(revision)) = stream.next().await else {
                    panic!("the stream ended");
                };
                assert_eq!(revision.patch[0].path.as_str(), "/beat");
                before = now();
            }
            while stream.seen() < store.position().id {
                stream.next().await.unwrap();
            }
        }
        store.close().await;
        let store = open_at_last(&folder, &mut met);
        assert_eq!(store.snapshot().keys("/public").len(), COMMITS);
        assert!(store.check().await.unwrap().is_sound());
    });
    println!("met {met:?}.");
}

/// What the store told of when its call number `at` in each thread failed with `error`.
fn met(error: &str, at: usize) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "-qq", "-o", "/dev/null"])
        .arg("-e")
        .arg(format!("trace={CALLS}"))
        .arg("-e")
        .arg(format!("inject={CALLS}:error={error}:when={at}"));
    // Of this folder only: not what the harness prints.
    let folder = dir.path().canonicalize().unwrap();
    for path in [
        folder.join("data.mdb"),
        folder.join("data.mdb.partial"),
        folder,
    ] {
        strace.arg("-P").arg(path);
    }
    strace.arg(myself());
    let text = run(strace, "helper_meets_an_error", dir.path());
    let (_, met) = text.split_once("met ").unwrap();
    met.lines().next().unwrap().to_owned()
}

#[test]
fn whichever_write_fails_only_its_change_is_refused_and_the_next_try_works() {
    for (error, commit) in [("ENOSPC", "Full"), ("EROFS", "ReadOnly"), ("EIO", "Disk")] {
        let (mut commits, mut opens, mut compactions) = (0, 0, 0);
        for at in 1.. {
            let met = met(error, at);
            if met == "[]." {
                break;
            }
            opens += usize::from(met.contains("open: "));
            compactions += usize::from(met.contains("compact: "));
            let refused = met.matches("commit: ").count();
            assert_eq!(
                met.matches(&format!("commit: {commit} ")).count(),
                refused,
                "{met}"
            );
            commits += refused;
        }
        println!("{error}: {opens} opens, {commits} commits, {compactions} compactions refused");
        assert!(
            opens > 2 && compactions > 0 && commits > COMMITS,
            "{error}: {opens} {compactions} {commits}"
        );
    }
}

#[test]
#[ignore = "started by the test below, in a mount namespace of its own"]
fn helper_has_a_read_only_disk() {
    let Some(folder) = folder() else { return };
    let tmpfs = |flags| {
        mount(
            Some("tmpfs"),
            &folder,
            Some("tmpfs"),
            flags,
            Some("size=8m"),
        )
    };
    tmpfs(MsFlags::empty()).unwrap();
    let dir = folder.join("state");
    let open = || Store::open(&dir, Options::default());
    runtime().block_on(async {
        let store = open().unwrap();
        store.commit(change(0), Why::actor("test")).await.unwrap();
        store.close().await;
    });
    tmpfs(MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY).unwrap();
    let error = open().err().unwrap();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
    tmpfs(MsFlags::MS_REMOUNT).unwrap();
    assert!(open().unwrap().snapshot().exists("/public/n0"));
}

#[test]
fn a_store_on_a_read_only_disk_is_refused_and_whole_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    run(with_own_mounts(), "helper_has_a_read_only_disk", dir.path());
}
