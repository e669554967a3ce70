//! Signing in and out.

use std::collections::BTreeMap;

use coppice_actors::{Kind, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, Failure};
use crate::caller::Caller;

#[derive(Deserialize)]
struct Login {
    password: String,
}

pub(super) async fn login(call: Call) -> Result<Value, Failure> {
    let Login { password } = call.params()?;
    let accounts = &call.context.gate.accounts;
    let right = accounts.check_password(password, call.context.from).await?;
    let token = accounts.begin(right, call.context.user_agent.clone())?;
    // Thirty days, as the session itself. The token is in the cookie only, out of reach of scripts.
    let cookie =
        format!("session={token}; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict");
    // The receiver lives as long as the answer is made.
    let _ = call.cookies.send(cookie);
    let signed_in = accounts.session(&token)?.unwrap_or(Caller::Anonymous);
    let id = match &signed_in {
        Caller::Session { id, .. } => Some(id.clone()),
        Caller::Root | Caller::Anonymous => None,
    };
    // Nobody else sets it: each call has its own.
    let _ = call.signed_in.set(signed_in);
    Ok(json!({ "session": id }))
}

pub(super) async fn logout(call: Call) -> Result<Value, Failure> {
    if let Caller::Session { id, .. } = &call.context.caller {
        call.context.gate.accounts.end(id)?;
    }
    let _ = call
        .cookies
        .send("session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict".to_owned());
    Ok(Value::Null)
}

pub(super) async fn list(call: Call) -> Result<Value, Failure> {
    let current = match &call.context.caller {
        Caller::Session { id, .. } => Some(id.clone()),
        Caller::Root | Caller::Anonymous => None,
    };
    let sessions: BTreeMap<String, Value> = call
        .context
        .gate
        .accounts
        .sessions()?
        .into_iter()
        .map(|(id, session, active)| {
            let shown = json!({ "account": session.account, "role": session.role, "loggedIn": session.logged_in, "lastActive": active, "userAgent": session.user_agent });
            (id, shown)
        })
        .collect();
    Ok(json!({ "current": current, "sessions": sessions }))
}

#[derive(Deserialize)]
struct Kill {
    ids: Vec<String>,
}

pub(super) async fn kill(call: Call) -> Result<Value, Failure> {
    for id in call.params::<Kill>()?.ids {
        call.context.gate.accounts.end(&id)?;
    }
    Ok(Value::Null)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reset {
    old_password: String,
    new_password: String,
}

pub(super) async fn reset_password(call: Call) -> Result<Value, Failure> {
    let Reset {
        old_password,
        new_password,
    } = call.params()?;
    let accounts = &call.context.gate.accounts;
    let _ = accounts
        .check_password(old_password, call.context.from)
        .await?;
    accounts.set_password(new_password).await?;
    Ok(Value::Null)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetPassword {
    password: String,
    #[serde(default)]
    only_first: bool,
}

pub(super) async fn set_password(call: Call) -> Result<Value, Failure> {
    let SetPassword {
        password,
        only_first,
    } = call.params()?;
    let accounts = &call.context.gate.accounts;
    if only_first && accounts.is_set_up()? {
        return Err(Problem::new(
            Kind::Duplicate,
            "a password is set already; to set another, run `coppice auth set-password` without --only-first",
        )
        .into());
    }
    accounts.set_password(password).await?;
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_as_everywhere_else() {
        let only_first = |params| {
            let SetPassword { only_first, .. } = serde_json::from_value(params).unwrap();
            only_first
        };
        assert!(only_first(json!({ "password": "x", "onlyFirst": true })));
        assert!(!only_first(json!({ "password": "x" })));
    }
}
