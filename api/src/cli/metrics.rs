//! `coppice server metrics`: how busy the machine is.

use clap::Args;
use serde_json::{Value, json};

use super::{Common, client::Client, show, watch::draw};

/// Options of `server metrics`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Follow {
    /// Go on with what is measured from now on.
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn metrics(
    common: &Common,
    client: &Client,
    Follow { follow }: Follow,
) -> anyhow::Result<()> {
    if !follow {
        let measured = client.call("server.metrics", json!({})).await?;
        show::print(common, &measured, || table(&measured));
        return Ok(());
    }
    let begun = client.call("server.metrics.follow", json!({})).await?;
    let mut failed = None;
    let mut each = |measured: &Value| {
        let frame = if common.json {
            measured.to_string()
        } else {
            table(measured)
        };
        failed = draw(common, &frame).err();
        failed.is_none()
    };
    each(&begun["metrics"]);
    client
        .follow(&show::text(&begun, "guid"), |frame| {
            serde_json::from_str(frame).is_ok_and(|measured| each(&measured))
        })
        .await?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// One reading with its unit.
pub(super) fn reading(leaf: &Value) -> String {
    let value = show::text(leaf, "value");
    match show::text(leaf, "unit") {
        unit if unit.is_empty() => value,
        unit => format!("{value} {unit}"),
    }
}

fn table(measured: &Value) -> String {
    let rows = measured.as_object().into_iter().flatten();
    let rows = rows.flat_map(|(group, leaves)| {
        let leaves = leaves.as_object().into_iter().flatten();
        leaves
            .filter(|(_, leaf)| !leaf.is_null())
            .map(|(name, leaf)| vec![group.clone(), spaced(name), reading(leaf)])
            .collect::<Vec<_>>()
    });
    show::table(&["of", "what", "now"], rows)
}

/// `percentageUsed` as `percentage used`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_measured_on_this_machine_has_no_row() {
        let measured = json!({
            "general": { "temperature": null },
            "cpu": { "percentageUsed": { "value": "12.5", "unit": "%" } },
            "load": { "one": { "value": "0.42", "unit": "" } },
        });
        let said = table(&measured);
        let rows: Vec<Vec<&str>> = said
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows,
            [
                vec!["cpu", "percentage", "used", "12.5", "%"],
                vec!["load", "one", "0.42"]
            ]
        );
    }
}
