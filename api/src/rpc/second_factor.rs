//! Two-step login: an authenticator app, and recovery codes.

use coppice_actors::Problem;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{
    Call, Failure,
    shapes::{Count, Nothing},
};
use crate::caller::Caller;

#[derive(Deserialize, TS)]
#[ts(optional_fields = nullable)]
pub(super) struct PasswordAgain {
    /// The password; root needs none.
    password: Option<String>,
}

/// Asks for the password again: a browser left open shall not be enough.
async fn ask_again(call: &Call, params: PasswordAgain) -> Result<(), Failure> {
    if call.context.caller == Caller::Root {
        return Ok(());
    }
    let password = params.password.unwrap_or_default();
    let accounts = &call.context.gate.accounts;
    Ok(accounts
        .check_password(password, call.context.source())
        .await?)
}

#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct TwoStepLogin {
    /// Whether it is on.
    enabled: bool,
    /// Recovery codes that were not used yet.
    #[ts(as = "Count")]
    recovery_codes_left: usize,
}

pub(super) async fn status(call: Call, _: Nothing) -> Result<TwoStepLogin, Failure> {
    let (account, _) = call.context.caller.own();
    let left = call.context.gate.accounts.recovery_codes_left(account)?;
    Ok(TwoStepLogin {
        enabled: left.is_some(),
        recovery_codes_left: left.unwrap_or_default(),
    })
}

/// What an authenticator app needs to know; it is never told again.
#[derive(Serialize, TS)]
pub(super) struct OfferedApp {
    /// For typing, in base32.
    secret: String,
    /// For a QR code.
    uri: String,
}

pub(super) async fn enrol(call: Call, params: PasswordAgain) -> Result<OfferedApp, Failure> {
    ask_again(&call, params).await?;
    let (account, _) = call.context.caller.own();
    let server = call.coppice().host().network.server_name();
    let accounts = &call.context.gate.accounts;
    let offered = accounts.offer_second_factor(account, &server)?;
    Ok(OfferedApp {
        secret: offered.secret,
        uri: offered.uri,
    })
}

#[derive(Deserialize, TS)]
pub(super) struct ConfirmApp {
    /// What the app shows now.
    code: String,
}

/// For paper: each opens once, when the app is lost. They are never told again.
#[derive(Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecoveryCodes {
    /// All of them.
    recovery_codes: Vec<String>,
}

pub(super) async fn confirm(call: Call, params: ConfirmApp) -> Result<RecoveryCodes, Failure> {
    let (account, _) = call.context.caller.own();
    let accounts = &call.context.gate.accounts;
    let recovery_codes = accounts.confirm_second_factor(account, &params.code)?;
    Ok(RecoveryCodes { recovery_codes })
}

pub(super) async fn disable(call: Call, params: PasswordAgain) -> Result<(), Failure> {
    ask_again(&call, params).await?;
    let (account, _) = call.context.caller.own();
    if call.context.gate.accounts.disable_second_factor(account)? {
        return Ok(());
    }
    Err(Problem::invalid("two-step login is off already").into())
}
