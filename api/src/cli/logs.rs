//! Printing log lines, those there are and those that come.

use clap::Args;
use serde_json::{Value, json};

use super::{Common, client::Client, show};

/// Which lines.
#[derive(Clone, Copy, Debug, Args)]
pub struct Lines {
    /// Go on with what is written from now on.
    #[arg(short, long)]
    follow: bool,
    /// How many lines of the past.
    #[arg(short = 'n', long, default_value_t = 50)]
    lines: usize,
}

impl Lines {
    /// Prints lines of the log that `method` reads, `of` being what it has to be told besides.
    pub(super) async fn print(
        self,
        common: &Common,
        client: &Client,
        method: &str,
        of: Value,
    ) -> anyhow::Result<()> {
        let line = |entry: &Value| {
            if common.json {
                println!("{entry}");
            } else {
                println!(
                    "{} {}",
                    show::text(entry, "timestamp"),
                    show::text(entry, "message")
                );
            }
        };
        let mut params = of;
        params["limit"] = json!(self.lines);
        if !self.follow {
            let read = client.call(method, params).await?;
            let entries = read["entries"].as_array().into_iter().flatten();
            entries.for_each(line);
            return Ok(());
        }
        let stream = client.call(&format!("{method}.follow"), params).await?;
        client
            .follow(&show::text(&stream, "guid"), |frame| {
                if let Ok(entry) = serde_json::from_str(frame) {
                    line(&entry);
                }
                true
            })
            .await
    }
}
