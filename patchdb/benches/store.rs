//! How fast the store is on this disk, against the floor of appending to a file and syncing it.
//!
//! ```sh
//! cargo bench -p patchdb --bench store -- [--disk FOLDER]
//! ```
//!
//! Only ratios of one run mean something: machines and their neighbours differ. So floor and store take
//! turns, a fraction of a second each, and what else the machine does meets both.
#![allow(clippy::unwrap_used, reason = "a measurement that fails may panic")]
#![allow(
    clippy::disallowed_methods,
    reason = "a measurement needs a finer clock than the product may read"
)]
#![allow(missing_docs, reason = "a program, not an interface")]

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::time::{ClockId, clock_gettime};
use patchdb::{Change, Options, PublicEvent, PublicPointer, Store, Why};
use serde_json::{Value, json};

/// Turns of floor and store for one figure, and how long one of them is.
const TURNS: u32 = 6;
const TURN: Duration = Duration::from_millis(500);

/// Services of 50 fields: about 1.7 kB each, 1,000 of them are what the reference was measured with.
const SERVICES: usize = 1_000;

#[tokio::main]
async fn main() {
    let words: Vec<_> = env::args_os().collect();
    let disk = words.iter().position(|word| word == "--disk");
    let base = disk
        .and_then(|at| words.get(at + 1))
        .map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let dir = base.join(format!("patchdb-bench-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let load = || fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before {}", load().trim());
    commits(&dir).await;
    growth(&dir).await;
    million(&dir).await;
    println!("load after {}", load().trim());
    fs::remove_dir_all(&dir).unwrap();
}

/// Durable changes of one field, with writers and subscribers.
async fn commits(dir: &Path) {
    let bench = Bench::of(dir, SERVICES).await;
    println!("\n{:.1} MB, durable changes of one field", bench.megabytes);
    for writers in [1, 32] {
        for subscribers in [0, 10, 100, 1_000] {
            let measured = bench.durable(writers, subscribers).await;
            // One writer waits for its own flushes; 32 share them.
            let wanted = if writers == 1 { 0.55 } else { 10.0 };
            measured.tell(
                &format!("{writers} writers, {subscribers} subscribers"),
                wanted,
            );
        }
    }
    // First: what is volatile is sent whole to whoever comes back.
    bench.bytes().await;
    let (rate, of_processor) = bench.volatile();
    println!(
        "volatile changes: {rate:.0}/s, {} ({of_processor:.0} per second of processor)",
        word(rate > 100_000.0)
    );
}

/// One writer, on documents of other sizes.
async fn growth(dir: &Path) {
    println!("\n1 writer, no subscriber, as the document grows");
    for services in [SERVICES / 2, SERVICES * 6, SERVICES * 60] {
        let bench = Bench::of(dir, services).await;
        let measured = bench.durable(1, 0).await;
        measured.tell(&format!("{:.1} MB", bench.megabytes), 0.55);
        bench.store.close().await;
    }
}

/// Opening after a million changes.
async fn million(dir: &Path) {
    let bench = Bench::of(dir, SERVICES).await;
    let begin = Instant::now();
    let tasks: Vec<_> = (0..1_000)
        .map(|writer| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                for n in 0..1_000 {
                    store.commit(one_field(writer, n), why()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = begin.elapsed();
    let file = bench.dir.join("data.mdb");
    let size = fs::metadata(file).unwrap().len() as f64 / 1e6;
    bench.store.close().await;
    let mut times: Vec<(Duration, Duration)> = Vec::new();
    for _ in 0..5 {
        let (begin, processor) = (Instant::now(), processor());
        let store = Store::open(&bench.dir, Options::default()).unwrap();
        times.push((begin.elapsed(), self::processor() - processor));
        assert!(store.position().durable > 1_000_000);
        store.close().await;
    }
    times.sort();
    println!(
        "\nopen after 1,000,000 changes (made in {took:.0?}, file {size:.0} MB): {:.1?}, {} ({:.1?} of processor)",
        times[2].0,
        word(times[2].0 < Duration::from_millis(100)),
        times[2].1
    );
}

struct Bench {
    store: Store,
    dir: PathBuf,
    services: usize,
    megabytes: f64,
}

/// Counts of store and floor, and how long each change took.
struct Measured {
    rate: f64,
    times: Vec<Duration>,
    floor: f64,
    floor_times: Vec<Duration>,
}

impl Measured {
    fn tell(mut self, what: &str, wanted: f64) {
        for times in [&mut self.times, &mut self.floor_times] {
            times.sort();
        }
        let at = |times: &[Duration], of_hundred: usize| {
            times[(times.len() * of_hundred / 100).max(1) - 1]
        };
        let ratio = self.rate / self.floor;
        println!(
            "{what:<30} {:>8.0}/s, floor {:>6.0}/s: {ratio:>6.2}x, {:<6} p50 {:.2?} (floor {:.2?}), p99 {:.2?}",
            self.rate,
            self.floor,
            word(ratio >= wanted),
            at(&self.times, 50),
            at(&self.floor_times, 50),
            at(&self.times, 99),
        );
    }
}

impl Bench {
    async fn of(dir: &Path, services: usize) -> Self {
        let dir = dir.join(format!("{services}"));
        // From an earlier figure.
        let _ = fs::remove_dir_all(&dir);
        let store = Store::open(&dir, Options::default()).unwrap();
        let document: Value = (0..services)
            .map(|n| (format!("service-{n}"), service(n)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let megabytes = document.to_string().len() as f64 / 1e6;
        let change = Change::new().put("/public/packageData", document);
        store.commit(change, why()).await.unwrap();
        Self {
            store,
            dir,
            services,
            megabytes,
        }
    }

    async fn durable(&self, writers: usize, subscribers: usize) -> Measured {
        let streams: Vec<_> = (0..subscribers)
            .map(|_| {
                let mut stream = self.store.subscribe_public(&PublicPointer::root(), None);
                tokio::spawn(async move { while stream.next().await.is_some() {} })
            })
            .collect();
        let (mut floor_times, mut floor_spent) = (Vec::new(), Duration::ZERO);
        let (mut times, mut spent) = (Vec::new(), Duration::ZERO);
        for _ in 0..TURNS {
            let begin = Instant::now();
            floor_times.extend(tokio::task::block_in_place(|| append_and_sync(&self.dir)));
            floor_spent += begin.elapsed();
            let begin = Instant::now();
            let tasks: Vec<_> = (0..writers)
                .map(|writer| tokio::spawn(write(self.store.clone(), self.services, writer, begin)))
                .collect();
            for task in tasks {
                times.extend(task.await.unwrap());
            }
            spent += begin.elapsed();
        }
        for stream in streams {
            stream.abort();
        }
        Measured {
            rate: times.len() as f64 / spent.as_secs_f64(),
            times,
            floor: floor_times.len() as f64 / floor_spent.as_secs_f64(),
            floor_times,
        }
    }

    fn volatile(&self) -> (f64, f64) {
        let (begin, processor, mut count) = (Instant::now(), processor(), 0_u32);
        while begin.elapsed() < TURN * TURNS {
            let service = format!("service-{}", count as usize % self.services);
            let at = ["public", "packageData", &service, "field9"];
            self.store.publish(Change::new().put(at, count)).unwrap();
            count += 1;
        }
        let used = self::processor() - processor;
        let rate = |time: Duration| f64::from(count) / time.as_secs_f64();
        (rate(begin.elapsed()), rate(used))
    }

    async fn bytes(&self) {
        let from = self.store.position();
        let mut stream = self.store.subscribe_public(&PublicPointer::root(), None);
        self.store.commit(one_field(3, 1), why()).await.unwrap();
        let Some(PublicEvent::Frame(frame)) = stream.next().await else {
            panic!("no frame");
        };
        let frame = frame.as_str().len();
        println!("one changed field: {frame} bytes, {}", word(frame < 200));
        for n in 0..1_000 {
            self.store.commit(one_field(n, n), why()).await.unwrap();
        }
        let mut stream = self
            .store
            .subscribe_public(&PublicPointer::root(), Some(from));
        let start = serde_json::to_string(&stream.take_start().unwrap()).unwrap();
        println!(
            "coming back after 1,000 missed changes: {} bytes, {}",
            start.len(),
            word(start.len() < 100_000)
        );
    }
}

/// Changes one field after the other until the turn is over; how long each took.
async fn write(store: Store, services: usize, writer: usize, begin: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    for n in 0.. {
        let one = Instant::now();
        if one - begin > TURN {
            break;
        }
        let service = (n * 7919 + writer * 104_729) % services;
        let value = one.elapsed().as_nanos() as usize + n;
        store
            .commit(one_field(service, value), why())
            .await
            .unwrap();
        times.push(one.elapsed());
    }
    times
}

/// How long this thread has had a processor: on a busy machine, less than the time that went by.
fn processor() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

fn append_and_sync(dir: &Path) -> Vec<Duration> {
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(dir.join("floor"))
        .unwrap();
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < TURN {
        let one = Instant::now();
        file.write_all(&[7; 120]).unwrap();
        file.sync_data().unwrap();
        times.push(one.elapsed());
    }
    times
}

fn one_field(service: usize, value: usize) -> Change {
    let service = format!("service-{service}");
    Change::new().put(["public", "packageData", &service, "field7"], value)
}

fn service(n: usize) -> Value {
    let fields = (0..50).map(|field| {
        let value = json!(format!("the value {n} {field}"));
        (format!("field{field}"), value)
    });
    Value::Object(fields.collect())
}

fn why() -> Why {
    Why::actor("bench")
}

fn word(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}
