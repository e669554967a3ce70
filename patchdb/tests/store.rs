//! What a store promises to whoever reads and writes it.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::{path::Path, sync::Arc};

use patchdb::{
    Change, ChangeError, CommitError, ImportError, Migration, MutateError, OpenError, Options,
    Store, Why,
};
use serde_json::{Value, json};

fn open(dir: &Path) -> Store {
    Store::open(dir, Options::default()).unwrap()
}

fn why() -> Why {
    Why::actor("test")
}

fn whole(store: &Store) -> Value {
    store.snapshot().reveal("").unwrap()
}

async fn reopened(store: Store, dir: &Path) -> Store {
    store.close().await;
    open(dir)
}

#[tokio::test]
async fn a_new_store_holds_the_two_empty_objects() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(whole(&store), json!({"public": {}, "private": {}}));
    let store = reopened(store, dir.path()).await;
    assert_eq!(whole(&store), json!({"public": {}, "private": {}}));
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let value =
        json!({"text": "ü", "list": [1, {"a": null}], "empty": {}, "deep": {"er": [[]]}, "n": 1.5});
    store
        .commit(Change::new().put("/public/value", &value), why())
        .await
        .unwrap();
    store
        .commit(
            Change::new().put("/private/x", 1).put("/private/y", 2),
            why(),
        )
        .await
        .unwrap();
    store
        .commit(
            Change::new()
                .remove("/private/x")
                .remove("/public/value/deep"),
            why(),
        )
        .await
        .unwrap();
    let before = whole(&store);
    let store = reopened(store, dir.path()).await;
    assert_eq!(whole(&store), before);
    assert_eq!(store.snapshot().reveal("/private"), Some(json!({"y": 2})));
    assert!(store.check().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_snapshot_does_not_change() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let before = store.snapshot();
    let change = Change::new().put("/public/a", 1);
    let position = store.commit(change, why()).await.unwrap();
    assert!(!before.exists("/public/a"));
    let after = store.snapshot();
    assert_eq!(after.get::<u8>("/public/a").unwrap(), Some(1));
    assert_eq!(after.position(), position);
    assert!(after.get::<String>("/public/a").is_err());
    assert_eq!(after.keys("/public"), ["a"]);
}

#[tokio::test]
async fn a_change_that_alters_nothing_makes_no_revision_and_no_write() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let change = || Change::new().put("/public/a", json!({"b": [1, 2]}));
    let first = store.commit(change(), why()).await.unwrap();
    let written = store.stats().transactions;
    assert_eq!(store.commit(change(), why()).await.unwrap(), first);
    assert_eq!(store.publish(change()).unwrap(), first);
    assert_eq!(store.stats().transactions, written);
    assert_eq!(store.log(10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_change_happens_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let change = Change::new()
        .put("/public/a", 1)
        .put("/public/no/parent", 2);
    let error = store.commit(change, why()).await.unwrap_err();
    assert!(matches!(
        error,
        CommitError::Change(ChangeError::MissingParent { .. })
    ));
    assert_eq!(whole(&store), json!({"public": {}, "private": {}}));
    assert_eq!(store.position().durable, 0);
}

#[tokio::test]
async fn mutate_reads_and_writes_without_anyone_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit(Change::new().put("/private/n", 0), why())
        .await
        .unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .mutate(why(), |now| {
                        let n: u32 = now.get("/private/n").unwrap().unwrap();
                        Ok::<_, ()>(Change::new().put("/private/n", n + 1))
                    })
                    .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(store.snapshot().get("/private/n").unwrap(), Some(50));
}

#[tokio::test]
async fn mutate_may_refuse_and_may_even_panic() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = store.mutate(why(), |_| Err("not today")).await;
    assert!(matches!(refused, Err(MutateError::Refused("not today"))));
    let panicked = store.mutate::<(), _>(why(), |_| panic!("on purpose")).await;
    assert!(matches!(
        panicked,
        Err(MutateError::Commit(CommitError::Panicked))
    ));
    store
        .commit(Change::new().put("/public/after", true), why())
        .await
        .unwrap();
}

#[tokio::test]
async fn volatile_values_are_seen_but_gone_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit(Change::new().put("/public/s", json!({"health": {}})), why())
        .await
        .unwrap();
    let written = store.stats().transactions;
    store
        .publish(Change::new().put("/public/s/health/web", "success"))
        .unwrap();
    assert_eq!(store.stats().transactions, written, "nothing was written");
    assert_eq!(
        whole(&store)["public"]["s"]["health"],
        json!({"web": "success"})
    );
    assert!(
        store
            .snapshot()
            .durable_node("/public/s/health/web")
            .is_none()
    );
    let store = reopened(store, dir.path()).await;
    assert_eq!(whole(&store)["public"]["s"]["health"], json!({}));
}

#[tokio::test]
async fn a_durable_change_wins_over_a_volatile_one_at_the_same_place() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit(
            Change::new().put("/public/a", json!({"x": 1, "y": 1})),
            why(),
        )
        .await
        .unwrap();
    store
        .publish(
            Change::new()
                .put("/public/a/x", "volatile")
                .put("/public/a/z", "volatile"),
        )
        .unwrap();
    store
        .commit(Change::new().put("/public/a/x", 2), why())
        .await
        .unwrap();
    assert_eq!(
        whole(&store)["public"]["a"],
        json!({"x": 2, "y": 1, "z": "volatile"})
    );
    // The value is what the disk has already: nothing to write, but it is what must be seen.
    store
        .publish(Change::new().put("/public/a/x", "volatile"))
        .unwrap();
    store
        .commit(Change::new().put("/public/a/x", 2), why())
        .await
        .unwrap();
    assert_eq!(whole(&store)["public"]["a"]["x"], json!(2));
    store
        .commit(Change::new().remove("/public/a"), why())
        .await
        .unwrap();
    assert_eq!(whole(&store)["public"], json!({}));
}

#[tokio::test]
async fn a_volatile_change_needs_its_parent() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let ghost = Change::new().put("/public/packageData/gone/health/web", "success");
    assert!(
        store.publish(ghost).is_err(),
        "an uninstalled service does not come back"
    );
}

#[tokio::test]
async fn the_log_says_who_changed_what_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let why = Why::actor("admin")
        .because("package.start")
        .for_request("r-7");
    store
        .commit(Change::new().put("/public/a", 1), why.clone())
        .await
        .unwrap();
    store
        .commit(Change::new().put("/public/a", 2), Why::actor("heart"))
        .await
        .unwrap();
    let store = reopened(store, dir.path()).await;
    let log = store.log(10).unwrap();
    assert_eq!(
        log.iter().map(|entry| entry.durable).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(log[1].why, why);
    assert_eq!(log[0].ops.as_ref().unwrap()[0].path.as_str(), "/public/a");
    assert_eq!(store.log(1).unwrap().len(), 1);
}

#[tokio::test]
async fn the_history_keeps_the_last_revisions_only() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(
        dir.path(),
        Options {
            history: 5,
            ..Options::default()
        },
    )
    .unwrap();
    for n in 0..20 {
        store
            .commit(Change::new().put("/public/n", n), why())
            .await
            .unwrap();
    }
    let log = store.log(100).unwrap();
    assert_eq!(
        log.iter().map(|entry| entry.durable).collect::<Vec<_>>(),
        [20, 19, 18, 17, 16]
    );
}

#[tokio::test]
async fn the_history_says_that_a_huge_change_happened_but_not_what() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let change = Change::new().put("/public/huge", "x".repeat(2 << 20));
    store.commit(change, why()).await.unwrap();
    let log = store.log(1).unwrap();
    assert_eq!((&log[0].why, &log[0].ops), (&why(), &None));
    assert!(store.check().await.unwrap().is_sound());
}

#[tokio::test]
async fn an_export_can_be_imported_elsewhere() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [from, to] = [open(dirs[0].path()), open(dirs[1].path())];
    let change = Change::new()
        .put("/public/a", json!({"b": [1]}))
        .put("/private/c", "d");
    from.commit(change, why()).await.unwrap();
    to.commit(Change::new().put("/public/old", 1), why())
        .await
        .unwrap();
    to.import_json(&from.export_json().to_string(), why())
        .await
        .unwrap();
    assert_eq!(whole(&to), whole(&from));
    let error = to.import_json("{}", why()).await.unwrap_err();
    assert!(matches!(error, ImportError::NotAnExport(_)));
}

#[tokio::test]
async fn a_second_opener_is_refused_and_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let Err(OpenError::Locked { pid, .. }) = Store::open(dir.path(), Options::default()) else {
        panic!("opened twice");
    };
    assert_eq!(pid, Some(std::process::id()));
    reopened(store, dir.path()).await;
}

#[tokio::test]
async fn an_older_document_is_copied_and_migrated_and_a_newer_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .commit(Change::new().put("/public/name", "attic"), why())
        .await
        .unwrap();
    store.close().await;

    let failing = Migration {
        to: 2,
        run: |_| Err("cannot".to_owned()),
    };
    let options = Options {
        schema: 3,
        migrations: vec![failing],
        ..Options::default()
    };
    let refused = Store::open(dir.path(), options);
    assert!(matches!(
        refused.err(),
        Some(OpenError::Migration { to: 2, .. })
    ));

    let migrations = vec![
        Migration {
            to: 2,
            run: |document| {
                document["public"]["hostname"] = document["public"]["name"].take();
                Ok(())
            },
        },
        Migration {
            to: 3,
            run: |document| {
                document["public"]
                    .as_object_mut()
                    .ok_or("no object")?
                    .remove("name");
                Ok(())
            },
        },
    ];
    let options = Options {
        schema: 3,
        migrations,
        ..Options::default()
    };
    let store = Store::open(dir.path(), options.clone()).unwrap();
    assert_eq!(whole(&store)["public"], json!({"hostname": "attic"}));
    assert_eq!(store.log(1).unwrap()[0].why.actor, "migration");
    assert!(dir.path().join("before-schema-3.mdb").exists());
    store.close().await;

    let newer = Store::open(dir.path(), Options::default());
    assert!(matches!(
        newer.err(),
        Some(OpenError::Newer {
            found: 3,
            known: 1,
            ..
        })
    ));
    let store = Store::open(dir.path(), options).unwrap();
    assert_eq!(whole(&store)["public"], json!({"hostname": "attic"}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_transactions() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let start = Arc::new(tokio::sync::Barrier::new(32));
    let tasks: Vec<_> = (0..32)
        .map(|writer: u32| {
            let (store, start) = (store.clone(), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                for n in 0..20 {
                    let name = format!("w{writer}");
                    store
                        .commit(Change::new().put(["public", &name], n), why())
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let position = store.position();
    assert_eq!(position.durable, 32 * 20);
    let transactions = store.stats().transactions;
    assert!(
        transactions < 32 * 20 / 4,
        "{transactions} transactions for 640 commits"
    );
    let store = reopened(store, dir.path()).await;
    assert_eq!(store.position().durable, position.durable);
    assert!(
        store.position().id > position.id,
        "ids go on after a restart"
    );
}

#[tokio::test]
async fn a_closed_store_answers_instead_of_hanging() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let other = store.clone();
    store.close().await;
    let error = other
        .commit(Change::new().put("/public/a", 1), why())
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Closed));
    assert!(other.check().await.is_err());
}
