//! Signing in and out.

use std::collections::BTreeMap;

use coppice_actors::{Kind, Problem};
use coppice_clock::Wall;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Call, Failure, shapes::Nothing};
use crate::caller::{Caller, Role};

#[derive(Deserialize, TS)]
pub(super) struct Login {
    /// The password.
    password: String,
}

#[derive(Serialize, TS)]
pub(super) struct LoggedIn {
    /// The id of the session; its token is in the cookie only.
    session: Option<String>,
}

pub(super) async fn login(call: Call, params: Login) -> Result<LoggedIn, Failure> {
    let Login { password } = params;
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
    Ok(LoggedIn { session: id })
}

pub(super) async fn logout(call: Call, _: Nothing) -> Result<(), Failure> {
    if let Caller::Session { id, .. } = &call.context.caller {
        call.context.gate.accounts.end(id)?;
    }
    let _ = call
        .cookies
        .send("session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict".to_owned());
    Ok(())
}

/// Every session.
#[derive(Serialize, TS)]
pub(super) struct Sessions {
    /// The id of the caller's own.
    current: Option<String>,
    /// All of them, by their ids.
    sessions: BTreeMap<String, ShownSession>,
}

/// One session.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownSession {
    /// Whose it is.
    account: String,
    /// What the account may do.
    #[ts(type = "string")]
    role: Role,
    /// When it began.
    #[ts(type = "string")]
    logged_in: Wall,
    /// When it was last used.
    #[ts(type = "string")]
    last_active: Wall,
    /// What the browser calls itself.
    user_agent: Option<String>,
}

pub(super) async fn list(call: Call, _: Nothing) -> Result<Sessions, Failure> {
    let current = match &call.context.caller {
        Caller::Session { id, .. } => Some(id.clone()),
        Caller::Root | Caller::Anonymous => None,
    };
    let sessions = call.context.gate.accounts.sessions()?;
    let sessions = sessions.into_iter().map(|(id, session, last_active)| {
        let shown = ShownSession {
            account: session.account,
            role: session.role,
            logged_in: session.logged_in,
            last_active,
            user_agent: session.user_agent,
        };
        (id, shown)
    });
    Ok(Sessions {
        current,
        sessions: sessions.collect(),
    })
}

#[derive(Deserialize, TS)]
pub(super) struct KillSessions {
    /// Which.
    ids: Vec<String>,
}

pub(super) async fn kill(call: Call, params: KillSessions) -> Result<(), Failure> {
    for id in params.ids {
        call.context.gate.accounts.end(&id)?;
    }
    Ok(())
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResetPassword {
    /// The one that holds now.
    old_password: String,
    /// The one that shall.
    new_password: String,
}

pub(super) async fn reset_password(call: Call, params: ResetPassword) -> Result<(), Failure> {
    let ResetPassword {
        old_password,
        new_password,
    } = params;
    let accounts = &call.context.gate.accounts;
    let _ = accounts
        .check_password(old_password, call.context.from)
        .await?;
    Ok(accounts.set_password(new_password).await?)
}

#[derive(Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(optional_fields = nullable)]
pub(super) struct SetPassword {
    /// The password.
    password: String,
    /// Only if none was ever set.
    only_first: Option<bool>,
}

pub(super) async fn set_password(call: Call, params: SetPassword) -> Result<(), Failure> {
    let SetPassword {
        password,
        only_first,
    } = params;
    let accounts = &call.context.gate.accounts;
    if only_first.unwrap_or_default() && accounts.is_set_up()? {
        return Err(Problem::new(
            Kind::Duplicate,
            "a password is set already; to set another, run `coppice auth set-password` without --only-first",
        )
        .into());
    }
    Ok(accounts.set_password(password).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_named_as_everywhere_else() {
        let only_first = |params| {
            let SetPassword { only_first, .. } = serde_json::from_value(params).unwrap();
            only_first
        };
        let said = only_first(json!({ "password": "x", "onlyFirst": true }));
        assert_eq!(said, Some(true));
        assert_eq!(only_first(json!({ "password": "x" })), None);
    }
}
