//! `coppice call`: any method of the API, for what has no verb of its own.

use std::io::Read;

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::{Common, client::Client, progress::patiently, show};
use crate::rpc::METHODS;

/// Options of `call`.
#[derive(Debug, Args)]
pub struct Call {
    /// The method, such as `package.list`.
    method: Option<String>,
    /// Its parameters, a JSON object; `-` reads standard input.
    #[arg(default_value = "{}")]
    params: String,
}

pub(super) async fn run(common: &Common, call: Call) -> anyhow::Result<()> {
    let Some(method) = call.method else {
        let list = METHODS
            .iter()
            .map(|method| json!({ "name": method.name, "about": method.about }));
        let list = Value::Array(list.collect());
        show::print(common, &list, || table(&list));
        return Ok(());
    };
    let mut text = call.params;
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let params = serde_json::from_str::<Value>(&text)
        .ok()
        .filter(Value::is_object);
    let params =
        params.context("the parameters are no JSON object, such as '{\"id\":\"hello\"}'")?;
    let client = Client::of(common)?;
    let answer = patiently(common, &method, client.call(&method, params)).await?;
    println!("{answer:#}");
    Ok(())
}

fn table(list: &Value) -> String {
    let rows = list.as_array().into_iter().flatten();
    let rows = rows.map(|one| vec![show::text(one, "name"), show::text(one, "about")]);
    show::table(&["method", "what it is for"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parameters_that_are_no_object_are_refused_before_anybody_is_asked() {
        for bad in ["", "[1]", "{", "null"] {
            let call = Call {
                method: Some("echo".into()),
                params: bad.into(),
            };
            let refused = run(&Common::default(), call).await.unwrap_err();
            assert!(refused.to_string().contains("no JSON object"), "{refused}");
        }
    }
}
