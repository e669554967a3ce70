//! Printing an answer once, or again whenever it changes.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use clap::Args;
use serde_json::Value;

use super::{
    Common,
    client::{Client, NoAnswer},
    show,
};

/// How often an answer is asked for again.
const EVERY: Duration = Duration::from_secs(1);
/// To the upper left corner, and nothing of what was there before.
pub(super) const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

/// Options of verbs that show a state.
#[derive(Clone, Copy, Debug, Args)]
pub struct Watch {
    /// Print it again whenever it changes, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

impl Watch {
    /// Prints what `method` answers, in words or as JSON.
    pub(super) async fn show(
        self,
        common: &Common,
        client: &Client,
        asked: (&str, Value),
        words: impl Fn(&Value) -> String,
    ) -> anyhow::Result<()> {
        self.show_part(common, client, asked, "", words).await
    }

    /// The same of what stands at a pointer in the answer.
    pub(super) async fn show_part(
        self,
        common: &Common,
        client: &Client,
        (method, params): (&str, Value),
        pointer: &str,
        words: impl Fn(&Value) -> String,
    ) -> anyhow::Result<()> {
        let part = |mut answer: Value| {
            answer
                .pointer_mut(pointer)
                .map(Value::take)
                .unwrap_or_default()
        };
        if !self.watch {
            let answer = part(client.call(method, params).await?);
            show::print(common, &answer, || words(&answer));
            return Ok(());
        }
        let mut shown = None;
        loop {
            match client.call(method, params.clone()).await.map(part) {
                Ok(answer) => {
                    let frame = if common.json {
                        answer.to_string()
                    } else {
                        words(&answer)
                    };
                    if shown.as_ref() != Some(&frame) {
                        draw(common, &frame)?;
                        shown = Some(frame);
                    }
                }
                // A core that went has a successor in a moment.
                Err(error) if shown.is_some() && error.is::<NoAnswer>() => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Puts a new picture in the place of the one before; where there is no place, below it.
pub(super) fn draw(common: &Common, frame: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{frame}")?;
    } else if out.is_terminal() {
        writeln!(out, "{CLEAR}{frame}")?;
    } else {
        writeln!(out, "{frame}\n")?;
    }
    out.flush()
}
