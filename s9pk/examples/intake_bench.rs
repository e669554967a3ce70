//! How long an intake takes, against `cp` plus `b3sum` of the same file.
//!
//! `cargo run -p coppice-s9pk --example intake_bench -- [MiB] [folder]`
//!
//! Rounds alternate, so that both meet the same disk; the median of each is printed. `synced` adds a
//! `sync` of the copy, which is the fair comparison on a slow disk: an intake returns only when all
//! of it is on the disk, `cp` does not.

use std::fs::{self, File};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use coppice_clock::Mono;
use coppice_s9pk::{Content, Draft, Expected, Store};
use ed25519_dalek::SigningKey;

const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mebibytes: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    let parent = arguments.next().unwrap_or_else(|| ".".to_owned());
    let folder = tempfile::Builder::new()
        .prefix("intake-bench-")
        .tempdir_in(parent)?;
    let package = folder.path().join("bench.s9pk");
    make_package(&package, mebibytes)?;

    let (mut copies, mut synced, mut intakes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let copy = folder.path().join("copy.s9pk");
        let start = Mono::now();
        run(Command::new("cp").arg(&package).arg(&copy))?;
        run(Command::new("b3sum").arg(&package))?;
        copies.push(Mono::now().since(start));
        run(Command::new("sync").arg(&copy))?;
        synced.push(Mono::now().since(start));
        fs::remove_file(&copy)?;

        let store = Store::open(folder.path().join("store"))?;
        let file = File::open(&package)?;
        let expected = Expected {
            arch: "x86_64".parse()?,
            ..Expected::any()
        };
        let start = Mono::now();
        let installed = store.ingest_file(&file, &expected, &mut |_| ControlFlow::Continue(()))?;
        intakes.push(Mono::now().since(start));
        store.remove(&installed.root)?;
        run(&mut Command::new("sync"))?;
    }
    let (copy, synced, intake) = (median(copies), median(synced), median(intakes));
    println!("{mebibytes} MiB, median of {ROUNDS}");
    println!("cp + b3sum          {copy:?}");
    println!("cp + b3sum + sync   {synced:?}");
    println!("intake              {intake:?}");
    println!(
        "intake / (cp + b3sum)          {:.2}",
        intake.as_secs_f64() / copy.as_secs_f64()
    );
    println!(
        "intake / (cp + b3sum + sync)   {:.2}",
        intake.as_secs_f64() / synced.as_secs_f64()
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn run(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let status = command.stdout(std::process::Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} failed").into())
    }
}

/// Two images share the bulk, as in a real package; their contents do not compress or repeat.
fn make_package(path: &Path, mebibytes: usize) -> Result<(), Box<dyn std::error::Error>> {
    let image = r#"{"source": "packed", "arch": ["x86_64"], "emulateMissingAs": "x86_64"}"#;
    let manifest = format!(
        r#"{{"id": "bench", "version": "1.0:0", "canMigrateTo": "*", "canMigrateFrom": "*",
        "title": "Bench", "description": {{"short": "", "long": ""}}, "releaseNotes": "",
        "license": "MIT", "upstreamRepo": "https://example.com", "volumes": [],
        "images": {{"db": {image}, "main": {image}}}}}"#
    );
    let mut draft = Draft::new();
    let mut add = |path: &str, bytes: Vec<u8>| draft.insert(path, Content::Bytes(bytes));
    add("manifest.json", manifest.into_bytes())?;
    add("icon.png", vec![0; 20_000])?;
    add("LICENSE.md", vec![0; 1000])?;
    add("instructions.md", vec![0; 1000])?;
    add("javascript.squashfs", noise(1 << 20, 1))?;
    add("assets.squashfs", noise(4096, 2))?;
    for (seed, id) in [(3, "db"), (4, "main")] {
        add(
            &format!("images/x86_64/{id}.squashfs"),
            noise(mebibytes << 19, seed),
        )?;
        add(&format!("images/x86_64/{id}.json"), b"{}".to_vec())?;
        add(&format!("images/x86_64/{id}.env"), Vec::new())?;
    }
    let header = draft.sign(&SigningKey::from_bytes(&[7; 32]));
    let mut file = File::create(path)?;
    draft.write(&header, &mut file)?;
    file.flush()?;
    file.sync_all()?;
    Ok(())
}

fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
