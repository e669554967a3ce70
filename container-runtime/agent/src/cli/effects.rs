//! Effects on the command line, for people and old scripts.
//!
//! Each command is one request; the table below is the whole of it.

use std::path::Path;

use serde_json::{Value, json};

use super::{Failure, host::Host};

/// What to ask, and how to show the answer.
#[derive(Debug, PartialEq)]
struct Call {
    method: &'static str,
    params: Value,
    show: Show,
}

#[derive(Debug, PartialEq)]
enum Show {
    /// Text as it is, anything else as JSON, null not at all.
    Plain,
    /// As plain, with a word for null.
    OrWord(&'static str),
    /// The first of a list.
    First,
}

pub(super) fn run(socket: &Path, command: &str, args: &[String]) -> Result<i32, Failure> {
    let call = plan(command, args)?;
    let answer = Host::dial(socket)?.call(call.method, &call.params)?;
    let answer = match call.show {
        Show::Plain => answer,
        Show::OrWord(word) if answer.is_null() => json!(word),
        Show::OrWord(_) => answer,
        Show::First => answer.get(0).cloned().unwrap_or_default(),
    };
    match answer {
        Value::Null => {}
        Value::String(text) => println!("{text}"),
        other => println!("{other:#}"),
    }
    Ok(0)
}

fn plan(command: &str, args: &[String]) -> Result<Call, Failure> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let plain = |method, params| Call {
        method,
        params,
        show: Show::Plain,
    };
    let call = match (command, &args[..]) {
        ("restart", []) => plain("restart", json!({})),
        ("shutdown", []) => plain("shutdown", json!({})),
        ("rebuild", []) => plain("rebuild", json!({})),
        ("set-main-status", [status @ ("running" | "stopped")]) => {
            plain("set-main-status", json!({ "status": status }))
        }
        ("get-status", []) => plain("get-status", json!({})),
        ("get-status", [package]) => plain("get-status", json!({ "packageId": package })),
        ("get-os-ip", []) => plain("get-os-ip", json!({})),
        ("get-data-version", []) => Call {
            method: "get-data-version",
            params: json!({}),
            show: Show::OrWord("N/A"),
        },
        ("set-data-version", []) => plain("set-data-version", json!({ "version": null })),
        ("set-data-version", [version]) => plain("set-data-version", json!({ "version": version })),
        ("get-dependencies", []) => plain("get-dependencies", json!({})),
        ("set-dependencies", list) => {
            let list: Vec<Value> = list
                .iter()
                .map(|text| dependency(text))
                .collect::<Result<_, _>>()?;
            plain("set-dependencies", json!({ "dependencies": list }))
        }
        ("check-dependencies", []) => plain("check-dependencies", json!({})),
        ("check-dependencies", ids) => plain("check-dependencies", json!({ "packageIds": ids })),
        ("action", ["clear", rest @ ..]) => {
            let except: Vec<&str> = rest
                .iter()
                .copied()
                .filter(|word| *word != "--except")
                .collect();
            plain("action.clear", json!({ "except": except }))
        }
        ("action", ["get-input", id]) => plain("action.get-input", json!({ "actionId": id })),
        ("action", ["run", id]) => plain("action.run", json!({ "actionId": id, "input": null })),
        ("action", ["run", id, input]) => {
            let input: Value = serde_json::from_str(input)
                .map_err(|error| Failure::usage(format!("the input is not JSON: {error}")))?;
            plain("action.run", json!({ "actionId": id, "input": input }))
        }
        ("action", ["clear-tasks", ids @ ..]) => {
            plain("action.clear-tasks", json!({ "only": ids }))
        }
        ("subcontainer create-fs", [image]) => Call {
            method: "subcontainer.create-fs",
            params: json!({ "imageId": image, "name": null }),
            show: Show::First,
        },
        ("subcontainer create-fs", [image, name]) => Call {
            method: "subcontainer.create-fs",
            params: json!({ "imageId": image, "name": name }),
            show: Show::First,
        },
        ("subcontainer destroy-fs", [guid]) => {
            plain("subcontainer.destroy-fs", json!({ "guid": guid }))
        }
        ("echo", words) => plain("echo", json!({ "message": words.join(" ") })),
        ("git-info", []) => plain("git-info", json!({})),
        _ => {
            return Err(Failure::usage(format!(
                "there is no command `{command}` with these arguments; see `start-container help`"
            )));
        }
    };
    Ok(call)
}

/// `id`, `id:exists` (`e`), `id:running` (`r`), `id:running:check+check`; any version.
fn dependency(text: &str) -> Result<Value, Failure> {
    let parts: Vec<&str> = text.split(':').collect();
    let running = |id: &str, checks: Vec<&str>| json!({ "kind": "running", "id": id, "versionRange": "*", "healthChecks": checks });
    match parts[..] {
        [id] | [id, "exists" | "e"] if !id.is_empty() => {
            Ok(json!({ "kind": "exists", "id": id, "versionRange": "*" }))
        }
        [id, "running" | "r"] if !id.is_empty() => Ok(running(id, vec![])),
        [id, "running" | "r", checks] if !id.is_empty() => {
            Ok(running(id, checks.split('+').collect()))
        }
        _ => Err(Failure::usage(format!(
            "`{text}` is not a dependency: id, id:exists or id:running[:check+check]"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(words: &[&str]) -> Result<Call, Failure> {
        let args: Vec<String> = words[1..].iter().map(|word| (*word).to_owned()).collect();
        plan(words[0], &args)
    }

    #[test]
    fn commands_become_effects() {
        for (words, method, params) in [
            (
                &["get-status", "tor"][..],
                "get-status",
                json!({"packageId": "tor"}),
            ),
            (
                &["set-data-version"],
                "set-data-version",
                json!({"version": null}),
            ),
            (
                &["action", "run", "x", "{\"a\":1}"],
                "action.run",
                json!({"actionId": "x", "input": {"a": 1}}),
            ),
            (
                &["action", "clear", "--except", "a", "--except", "b"],
                "action.clear",
                json!({"except": ["a", "b"]}),
            ),
            (
                &["subcontainer destroy-fs", "g"],
                "subcontainer.destroy-fs",
                json!({"guid": "g"}),
            ),
        ] {
            let call = planned(words).unwrap();
            assert_eq!((call.method, call.params), (method, params));
        }
    }

    #[test]
    fn dependencies_are_written_short() {
        assert_eq!(
            dependency("a:r:x+y").unwrap()["healthChecks"],
            json!(["x", "y"])
        );
        assert_eq!(dependency("a").unwrap()["kind"], "exists");
        assert!(dependency("a:wat").is_err() && dependency("").is_err());
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for bad in [
            &["set-main-status", "sideways"][..],
            &["nothing"],
            &["action", "run", "x", "{"],
        ] {
            assert_eq!(planned(bad).unwrap_err().status, 2);
        }
    }
}
