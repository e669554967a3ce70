//! How fast the store is on this disk, against the floor of appending to a file and syncing it.
//!
//! ```sh
//! cargo run --release -p patchdb --example bench -- [FOLDER]
//! ```
//!
//! Only ratios of one run mean something: machines and their neighbours differ.
#![allow(clippy::unwrap_used, reason = "a measurement that fails may panic")]
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement needs a finer clock than the product may read"
)]

use std::{
    env,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use patchdb::{Change, Options, PublicPointer, Store, Why};
use serde_json::{Value, json};

const ROUND: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() {
    let base = env::args_os()
        .nth(1)
        .map_or_else(env::temp_dir, PathBuf::from);
    let dir = base.join(format!("patchdb-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();

    for services in [600, 60_000] {
        let store = Store::open(dir.join(services.to_string()), Options::default()).unwrap();
        let document = services_document(services);
        let megabytes = document.to_string().len() / 1_000_000;
        store
            .commit(Change::new().put("/public/packageData", document), why())
            .await
            .unwrap();
        for writers in [1, 32] {
            for readers in [0, 100, 1000] {
                // Just before each: other work on the same disk moves the floor by the second.
                let floor = append_and_sync(&dir);
                let (rate, p50, p99) = durable(&store, services, writers, readers).await;
                println!(
                    "{megabytes:>3} MB {writers:>2} writers {readers:>4} readers {rate:>8.0}/s, \
                     floor {floor:>6.0}/s: {:>5.2}  p50 {p50:?} p99 {p99:?}",
                    rate / floor
                );
            }
        }
        println!(
            "{megabytes:>3} MB volatile                {:>9.0}/s",
            volatile(&store, services)
        );
        store.close().await;
        let start = Instant::now();
        let store = Store::open(dir.join(services.to_string()), Options::default()).unwrap();
        println!(
            "{megabytes:>3} MB open                     {:?}",
            start.elapsed()
        );
        store.close().await;
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

fn why() -> Why {
    Why::actor("bench")
}

fn services_document(services: usize) -> Value {
    (0..services)
        .map(|n| {
            let fields: serde_json::Map<String, Value> = (0..50)
                .map(|field| {
                    (
                        format!("field{field}"),
                        json!(format!("the value {n} {field}")),
                    )
                })
                .collect();
            (format!("service-{n}"), Value::Object(fields))
        })
        .collect::<serde_json::Map<String, Value>>()
        .into()
}

fn append_and_sync(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("floor")).unwrap();
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        file.write_all(&[7; 120]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

async fn durable(
    store: &Store,
    services: usize,
    writers: usize,
    readers: usize,
) -> (f64, Duration, Duration) {
    let streams: Vec<_> = (0..readers)
        .map(|_| {
            let mut stream = store.subscribe_public(&PublicPointer::root(), None);
            tokio::spawn(async move { while stream.next().await.is_some() {} })
        })
        .collect();
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                for n in 0_usize.. {
                    let begin = Instant::now();
                    if begin - start > ROUND {
                        break;
                    }
                    let service = format!("service-{}", (n * 7919 + writer * 104_729) % services);
                    let at = ["public", "packageData", &service, "field7"];
                    store
                        .commit(
                            Change::new().put(at, begin.elapsed().as_nanos() + n as u128),
                            why(),
                        )
                        .await
                        .unwrap();
                    times.push(begin.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.append(&mut task.await.unwrap());
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    for stream in streams {
        stream.abort();
    }
    times.sort();
    (rate, times[times.len() / 2], times[times.len() * 99 / 100])
}

fn volatile(store: &Store, services: usize) -> f64 {
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        let service = format!("service-{}", count as usize % services);
        store
            .publish(Change::new().put(["public", "packageData", &service, "field9"], count))
            .unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}
