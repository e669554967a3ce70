//! How busy the machine is, from what the kernel says in /proc and /sys.
//!
//! Invariant: what a machine does not have, or its kernel does not count, is null, and never a made-up number. The
//! members that StartOS has too have its names and units.

mod parse;

use std::{fs, io, path::Path, time::Duration};

use serde::Serialize;
use ts_rs::TS;

use parse::{CpuTimes, Sensor};

/// Between two looks at the processor's times; a share of time needs two.
const BETWEEN: Duration = Duration::from_millis(200);

/// A number as people read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub(crate) struct Reading {
    /// The number.
    value: String,
    /// Of what: `%`, `MiB`, `GB`, `°C`, or nothing.
    #[ts(type = "string")]
    unit: &'static str,
}

impl Reading {
    fn percent(part: f64) -> Self {
        Self {
            value: format!("{part:.1}"),
            unit: "%",
        }
    }

    fn mebibytes(bytes: u64) -> Self {
        Self {
            value: format!("{:.2}", bytes as f64 / f64::from(1 << 20)),
            unit: "MiB",
        }
    }

    fn gigabytes(bytes: u64) -> Self {
        Self {
            value: format!("{:.2}", bytes as f64 / 1e9),
            unit: "GB",
        }
    }
}

/// How busy the machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
pub(crate) struct Metrics {
    general: GeneralMetrics,
    memory: MemoryMetrics,
    cpu: CpuMetrics,
    disk: DiskMetrics,
    load: LoadMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
struct GeneralMetrics {
    /// Of the processor, where it is known; otherwise the hottest sensor.
    temperature: Option<Reading>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
struct MemoryMetrics {
    percentage_used: Reading,
    total: Reading,
    available: Reading,
    used: Reading,
    zram_total: Reading,
    zram_available: Reading,
    zram_used: Reading,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
struct CpuMetrics {
    percentage_used: Reading,
    idle: Reading,
    user_space: Reading,
    kernel_space: Reading,
    wait: Reading,
}

/// The file system that the data folder is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
struct DiskMetrics {
    percentage_used: Reading,
    used: Reading,
    available: Reading,
    capacity: Reading,
}

/// Processes that run or wait, on average over one, five and fifteen minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, TS)]
struct LoadMetrics {
    one: Reading,
    five: Reading,
    fifteen: Reading,
}

/// Looks at the machine; `data` is a folder on the disk that is meant.
///
/// # Errors
/// When the kernel does not give what every Linux gives.
pub(crate) async fn measure(data: &Path) -> io::Result<Metrics> {
    let before = cpu_times()?;
    tokio::time::sleep(BETWEEN).await;
    let data = data.to_owned();
    // A disk that hangs shall not hold up those who serve requests.
    tokio::task::spawn_blocking(move || look(before, &data))
        .await
        .map_err(io::Error::other)?
}

/// The machine's memory in bytes.
///
/// # Errors
/// When the kernel does not say.
pub(crate) fn total_memory() -> io::Result<u64> {
    Ok(memory()?.total)
}

fn memory() -> io::Result<parse::Memory> {
    parse::memory(&fs::read_to_string("/proc/meminfo")?).ok_or_else(|| unread("/proc/meminfo"))
}

fn look(before: CpuTimes, data: &Path) -> io::Result<Metrics> {
    let share = cpu_times()?.since(before);
    let memory = memory()?;
    // A kernel without swap has no such file.
    let zram = parse::zram(&fs::read_to_string("/proc/swaps").unwrap_or_default());
    let load = parse::load(&fs::read_to_string("/proc/loadavg")?)
        .ok_or_else(|| unread("/proc/loadavg"))?;
    let [one, five, fifteen] = load.map(|value| Reading { value, unit: "" });
    Ok(Metrics {
        general: GeneralMetrics {
            temperature: parse::temperature(&sensors()).map(|degrees| Reading {
                value: format!("{degrees:.1}"),
                unit: "°C",
            }),
        },
        memory: MemoryMetrics {
            percentage_used: Reading::percent(parse::percent(memory.used(), memory.total)),
            total: Reading::mebibytes(memory.total),
            available: Reading::mebibytes(memory.available),
            used: Reading::mebibytes(memory.used()),
            zram_total: Reading::mebibytes(zram.total),
            zram_available: Reading::mebibytes(zram.total.saturating_sub(zram.used)),
            zram_used: Reading::mebibytes(zram.used),
        },
        cpu: CpuMetrics {
            percentage_used: Reading::percent(share.user + share.kernel),
            idle: Reading::percent(share.idle),
            user_space: Reading::percent(share.user),
            kernel_space: Reading::percent(share.kernel),
            wait: Reading::percent(share.wait),
        },
        disk: disk(data)?,
        load: LoadMetrics { one, five, fifteen },
    })
}

fn cpu_times() -> io::Result<CpuTimes> {
    parse::cpu(&fs::read_to_string("/proc/stat")?).ok_or_else(|| unread("/proc/stat"))
}

fn unread(file: &str) -> io::Error {
    io::Error::other(format!("{file} says something that is not understood"))
}

fn disk(data: &Path) -> io::Result<DiskMetrics> {
    let stat = nix::sys::statvfs::statvfs(data)?;
    let bytes = |blocks: nix::libc::fsblkcnt_t| blocks.saturating_mul(stat.fragment_size());
    // What is kept for root is neither used nor to be had.
    let used = bytes(stat.blocks().saturating_sub(stat.blocks_free()));
    let available = bytes(stat.blocks_available());
    Ok(DiskMetrics {
        percentage_used: Reading::percent(parse::percent(used, used + available)),
        used: Reading::gigabytes(used),
        available: Reading::gigabytes(available),
        capacity: Reading::gigabytes(bytes(stat.blocks())),
    })
}

/// Every temperature that the kernel knows, by the name of its sensor; none on most virtual machines.
fn sensors() -> Vec<Sensor> {
    let mut found = Vec::new();
    for chip in folders("/sys/class/hwmon") {
        let name = fs::read_to_string(chip.join("name")).unwrap_or_default();
        let inputs = folders(&chip).into_iter().filter(|file| {
            let name = file.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("temp") && name.ends_with("_input"))
        });
        found
            .extend(inputs.filter_map(|file| Sensor::read(&name, &fs::read_to_string(file).ok()?)));
    }
    for zone in folders("/sys/class/thermal") {
        let text = |name: &str| fs::read_to_string(zone.join(name));
        if let (Ok(kind), Ok(value)) = (text("type"), text("temp")) {
            found.extend(Sensor::read(&kind, &value));
        }
    }
    found
}

fn folders(folder: impl AsRef<Path>) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn this_machine_is_measured_in_the_shape_of_the_interface() {
        let metrics = serde_json::json!(measure(Path::new("/")).await.unwrap());
        for (group, names) in [
            ("general", &["temperature"][..]),
            (
                "memory",
                &[
                    "percentageUsed",
                    "total",
                    "available",
                    "used",
                    "zramTotal",
                    "zramAvailable",
                    "zramUsed",
                ],
            ),
            (
                "cpu",
                &["percentageUsed", "idle", "userSpace", "kernelSpace", "wait"],
            ),
            ("disk", &["percentageUsed", "used", "available", "capacity"]),
            ("load", &["one", "five", "fifteen"]),
        ] {
            let found: Vec<&String> = metrics[group].as_object().unwrap().keys().collect();
            assert_eq!(found, names, "{group}");
        }
        let number = |group: &str, name: &str| {
            let value: &Value = &metrics[group][name]["value"];
            value.as_str().unwrap().parse::<f64>().unwrap()
        };
        assert!(number("memory", "total") > 0.0);
        let memory = number("memory", "used") + number("memory", "available");
        assert!((memory - number("memory", "total")).abs() < 0.1);
        let cpu: f64 = ["idle", "userSpace", "kernelSpace", "wait"]
            .iter()
            .map(|name| number("cpu", name))
            .sum();
        // Each is rounded by itself.
        assert!((99.0..=101.0).contains(&cpu), "{cpu}");
        assert!(number("disk", "capacity") > 0.0);
    }
}
