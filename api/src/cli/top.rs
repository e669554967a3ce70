//! `coppice top`: the services and what they use, busiest first.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;
use coppice_clock::Mono;
use serde_json::{Value, json};

use super::{
    Common,
    client::{Client, NoAnswer},
    metrics::reading,
    show,
    watch::draw,
};

/// Before the first picture, so that it can say how busy the processor is.
const FIRST: Duration = Duration::from_millis(500);

/// Options of `top`.
#[derive(Debug, Args)]
pub struct Top {
    /// So many pictures, then end; without it, until interrupted.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,
    /// Seconds from one picture to the next.
    #[arg(short, long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    delay: u64,
}

/// Processor time of each service, and when that was.
type Used = (Mono, BTreeMap<String, u64>);

pub(super) async fn run(common: &Common, top: &Top) -> anyhow::Result<()> {
    let client = Client::of(common)?;
    let mut before = used(&client.call("package.usage", json!({})).await?, Mono::now());
    let mut drawn = 0;
    while top.count.is_none_or(|count| drawn < count) {
        let pause = if drawn == 0 {
            FIRST
        } else {
            Duration::from_secs(top.delay)
        };
        tokio::time::sleep(pause).await;
        match picture(&client, &before).await {
            Ok((picture, now)) => {
                before = now;
                let frame = if common.json {
                    picture.to_string()
                } else {
                    words(&picture)
                };
                draw(common, &frame)?;
            }
            // A core that went has a successor in a moment.
            Err(error) if drawn > 0 && error.is::<NoAnswer>() => continue,
            Err(error) => return Err(error),
        }
        drawn += 1;
    }
    Ok(())
}

async fn picture(client: &Client, before: &Used) -> anyhow::Result<(Value, Used)> {
    let (list, stats, metrics) = tokio::try_join!(
        client.call("package.overview", json!({})),
        client.call("package.usage", json!({})),
        client.call("server.metrics", json!({})),
    )?;
    let now = used(&stats, Mono::now());
    let services = busiest_first(&list, &stats, before, &now);
    Ok((json!({ "metrics": metrics, "services": services }), now))
}

fn used(stats: &Value, at: Mono) -> Used {
    let services = stats.as_object().into_iter().flatten();
    let used = services.filter_map(|(id, one)| Some((id.clone(), one["cpuUs"].as_u64()?)));
    (at, used.collect())
}

/// Each service with its state, and how much of one processor it had since `before`.
fn busiest_first(list: &Value, stats: &Value, before: &Used, now: &Used) -> Vec<Value> {
    let micros = now.0.since(before.0).as_micros().max(1);
    let share = |id: &str| {
        let (was, is) = (before.1.get(id)?, now.1.get(id)?);
        // A new container counts from nothing.
        let tenths = u128::from(is.saturating_sub(*was)) * 1000 / micros;
        Some(tenths as f64 / 10.0)
    };
    let mut services: Vec<Value> = list
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let id = show::text(one, "id");
            let stats = &stats[&id];
            json!({
                "id": id, "status": one["status"], "cpuPercent": share(&id),
                "memoryBytes": stats["memoryBytes"], "memoryLimitBytes": stats["memoryLimitBytes"],
                "pids": stats["pids"], "restarts": stats["restarts"], "started": one["started"],
            })
        })
        .collect();
    let busy = |one: &Value| {
        let cpu = one["cpuPercent"].as_f64().unwrap_or(-1.0);
        let memory = one["memoryBytes"].as_u64().unwrap_or(0);
        (cpu, memory)
    };
    services.sort_by(|one, other| {
        busy(other)
            .partial_cmp(&busy(one))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    services
}

fn words(picture: &Value) -> String {
    let of = |group: &str, name: &str| reading(&picture["metrics"][group][name]);
    let mut head = format!(
        "cpu {}   memory {} of {}   disk {} of {}   load {} {} {}",
        of("cpu", "percentageUsed"),
        of("memory", "used"),
        of("memory", "total"),
        of("disk", "used"),
        of("disk", "capacity"),
        of("load", "one"),
        of("load", "five"),
        of("load", "fifteen"),
    );
    let temperature = of("general", "temperature");
    if !temperature.is_empty() {
        head += &format!("   {temperature}");
    }
    let count = |one: &Value, name: &str, words: fn(u64) -> String| {
        one[name].as_u64().map_or_else(|| "-".to_owned(), words)
    };
    let rows = picture["services"].as_array().into_iter().flatten();
    let rows = rows.map(|one| {
        let cpu = one["cpuPercent"].as_f64();
        vec![
            show::text(one, "id"),
            show::text(one, "status"),
            cpu.map_or_else(|| "-".to_owned(), |share| format!("{share:.1} %")),
            count(one, "memoryBytes", show::bytes),
            count(one, "memoryLimitBytes", show::bytes),
            count(one, "pids", |pids| pids.to_string()),
            count(one, "restarts", |times| times.to_string()),
            show::text(one, "started"),
        ]
    });
    let heading = [
        "service",
        "status",
        "cpu",
        "memory",
        "limit",
        "tasks",
        "restarts",
        "running since",
    ];
    format!("{head}\n\n{}", show::table(&heading, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_millis(millis)
    }

    fn stats(hello: u64, db: u64) -> Value {
        json!({
            "hello": { "cpuUs": hello, "memoryBytes": 10 << 20, "memoryLimitBytes": 1 << 30, "pids": 12, "restarts": 3 },
            "db": { "cpuUs": db, "memoryBytes": 20 << 20, "memoryLimitBytes": null, "pids": 5, "restarts": 0 },
            "idle": { "cpuUs": null, "memoryBytes": null, "memoryLimitBytes": null, "pids": null, "restarts": 0 },
        })
    }

    fn list() -> Value {
        json!([
            { "id": "hello", "status": "running", "started": "2026-11-27T01:00:00Z" },
            { "id": "idle", "status": "stopped", "started": null },
            { "id": "db", "status": "running", "started": "2026-11-27T01:00:00Z" },
        ])
    }

    #[test]
    fn the_busiest_service_is_first_and_its_share_is_of_one_processor() {
        let (before, now) = (
            used(&stats(1_000_000, 5), at(1000)),
            used(&stats(1_000_500, 3_000_005), at(3000)),
        );
        let services = busiest_first(&list(), &stats(1_000_500, 3_000_005), &before, &now);
        let shares: Vec<_> = services
            .iter()
            .map(|one| (one["id"].as_str().unwrap(), one["cpuPercent"].as_f64()))
            .collect();
        assert_eq!(
            shares,
            [("db", Some(150.0)), ("hello", Some(0.0)), ("idle", None)]
        );
        assert_eq!(services[1]["restarts"], 3);
    }

    #[test]
    fn a_container_that_was_made_anew_is_not_busier_than_it_is() {
        let (before, now) = (
            used(&stats(9_000_000, 0), at(0)),
            used(&stats(1, 0), at(1000)),
        );
        let services = busiest_first(&list(), &stats(1, 0), &before, &now);
        let hello = services.iter().find(|one| one["id"] == "hello").unwrap();
        assert_eq!(hello["cpuPercent"], 0.0);
    }

    #[test]
    fn what_nobody_counts_is_a_dash() {
        let now = used(&stats(0, 0), at(0));
        let services = busiest_first(&list(), &stats(0, 0), &now, &now);
        let picture = json!({ "metrics": {
            "cpu": { "percentageUsed": { "value": "3.0", "unit": "%" } },
            "general": { "temperature": { "value": "41.0", "unit": "°C" } },
        }, "services": services });
        let said = words(&picture);
        assert!(said.starts_with("cpu 3.0 %"), "{said}");
        assert!(said.lines().next().unwrap().ends_with("41.0 °C"), "{said}");
        let idle = said.lines().find(|line| line.contains("idle")).unwrap();
        let cells: Vec<&str> = idle.split_whitespace().collect();
        assert_eq!(cells, ["idle", "stopped", "-", "-", "-", "-", "0"]);
    }
}
