//! The table of all methods. To add one:
//!
//! 1. Write its function in the module of its noun (`packages.rs`, `server.rs`, …), with its own types:
//!
//!    ```ignore
//!    /// What a service is started with.
//!    #[derive(Deserialize, TS)]
//!    #[serde(rename_all = "camelCase")]
//!    #[ts(optional_fields = nullable)]       // `Option` may be null or left out, as StartOS's clients do
//!    pub(super) struct StartPackage {
//!        /// Its id.                          // field comments end up in the schema and in TypeScript
//!        id: String,
//!        force: Option<bool>,                // optional: always `Option`, never `#[serde(default)]`
//!    }
//!
//!    pub(super) async fn start(call: Call, params: StartPackage) -> Result<(), Failure> { … }
//!    ```
//!
//!    No parameters: `shapes::Nothing`. Only an id: `shapes::ById`. Nothing to say: `()`, which is null.
//!    A number in parameters: `#[ts(as = "Option<Count>")]`, for what TypeScript calls a number; a time:
//!    `Timestamp`; see `shapes.rs`. The names of the types go to TypeScript and must differ from all others.
//!
//! 2. Add its row below:
//!
//!    ```text
//!    /// What it is for, in a sentence or two.
//!    "noun.verb" = module::function(Params) -> Result {
//!        Needs, Effect, Within, Leaves, Reply
//!    }
//!    ```
//!
//!    | column | one of |
//!    | --- | --- |
//!    | [`Needs`] | `Nobody`, `Role(Admin)`, `Person(Admin)` (no token, no key), `Root` |
//!    | [`Effect`] | `Reads`, `Sets` (asking twice is harmless), `Acts` |
//!    | [`Within`] | `Moment`, `Minutes`, `Hours`: which deadline and which queue it has |
//!    | [`Leaves`] | what it leaves in the audit trail: `Nothing`, `Row`, `RowOf("id")`, `RowLater` |
//!    | [`Reply`] | `Bare`, `Sequenced`: whether the answer has `X-Patch-Sequence` |
//!
//! 3. `make gen` writes the TypeScript; `rpc.discover` has it by itself.
//!
//! Parameters that a method does not know are not looked at, as StartOS's clients and newer ones may send
//! more; so do not use `deny_unknown_fields`.

use super::{
    accounts, audit,
    audit::Leaves,
    db, logs, mail,
    method::{Effect, Method, Needs, Reply, Within, methods, typed},
    metrics, notifications, packages, programs, schema,
    schema::Shape,
    second_factor, server,
    shapes::{ById, Json, JsonObject, Nothing},
};
use crate::{caller::Role, metrics::Metrics};
use coppice_actors::{
    coppice::{ServiceSummary, ServiceUsage, TreeNode, Why},
    model::{AuditRow, DaemonReport, ReceiptRow},
};
use std::collections::BTreeMap;

methods! {
    /// Gives back `message`.
    "echo" = server::echo(server::Echo) -> String { Nobody, Reads, Moment, Nothing, Bare }
    /// Gives `running` once the server answers.
    "state" = server::state(Nothing) -> server::Phase { Nobody, Reads, Moment, Nothing, Bare }
    /// Gives the version of this server.
    "git-info" = server::version(Nothing) -> String { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives this list: the OpenRPC document of the server.
    "rpc.discover" = schema::discover(Nothing) -> JsonObject { Role(Admin), Reads, Moment, Nothing, Bare }

    /// Gives the server's time and how long it has been up, in seconds.
    "server.time" = server::time(Nothing) -> server::ServerTime { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives how busy the machine is: processor, memory, disk, temperature, load.
    "server.metrics" = metrics::read(Nothing) -> Metrics { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives the same, and a stream of it.
    "server.metrics.follow" = metrics::follow(Nothing) -> metrics::MetricsFollow { Role(Admin), Acts, Moment, Nothing, Bare }
    /// Gives the live tree of actors.
    "server.tree" = server::tree(Nothing) -> TreeNode { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Ends Coppice; with `services`, takes the services down first.
    "server.stop" = server::stop(server::StopServer) -> () { Root, Sets, Hours, Row, Bare }
    /// Changes to the program at `program`; gives the `attempt` that its receipt will name.
    "server.upgrade" = server::upgrade(server::UpgradeServer) -> server::UpgradeBegun { Root, Acts, Moment, Row, Bare }
    /// Gives what the server found, removed and changed about itself, oldest first.
    "server.receipts" = server::receipts(Nothing) -> Vec<ReceiptRow> { Role(Admin), Reads, Moment, Nothing, Bare }

    /// Gives what registries ask of a server: versions, architecture, memory.
    "server.device-info" = server::device_info(Nothing) -> server::DeviceInfo { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives log lines of Coppice itself.
    "server.logs" = logs::read_own(logs::LogLines) -> logs::LogPage { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives a stream of log lines of Coppice itself.
    "server.logs.follow" = logs::follow_own(logs::LogLines) -> logs::LogFollow { Role(Admin), Acts, Moment, Nothing, Bare }
    /// Gives log lines of the kernel.
    "server.kernel-logs" = logs::read_kernel(logs::LogLines) -> logs::LogPage { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives a stream of log lines of the kernel.
    "server.kernel-logs.follow" = logs::follow_kernel(logs::LogLines) -> logs::LogFollow { Role(Admin), Acts, Moment, Nothing, Bare }
    /// Gives the mail settings, without the password, or null.
    "server.smtp" = mail::kept(Nothing) -> Option<mail::KeptMailSettings> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Keeps mail settings, and tells the packages that asked to hear of it.
    "server.set-smtp" = mail::set(mail::MailSettings) -> () { Role(Admin), Sets, Moment, Row, Bare }
    /// Forgets the mail settings.
    "server.clear-smtp" = mail::clear(Nothing) -> () { Role(Admin), Sets, Moment, Row, Bare }
    /// Sends a mail to `to` with these settings, which need not be the ones that are kept.
    "server.test-smtp" = mail::test(mail::TestMail) -> () { Role(Admin), Acts, Minutes, Row, Bare }

    /// Begins a session for `password`; with two-step login on, `code` is needed, too.
    "auth.login" = accounts::login(accounts::Login) -> accounts::LoggedIn { Nobody, Acts, Moment, Row, Bare }
    /// Ends the caller's session.
    "auth.logout" = accounts::logout(Nothing) -> () { Role(Admin), Sets, Moment, Row, Bare }
    /// Gives all sessions and which is the caller's.
    "auth.session.list" = accounts::list(Nothing) -> accounts::Sessions { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Ends the sessions in `ids`.
    "auth.session.kill" = accounts::kill(accounts::KillSessions) -> () { Person(Admin), Sets, Moment, RowOf("ids"), Bare }
    /// Changes the password and ends all sessions.
    "auth.reset-password" = accounts::reset_password(accounts::ResetPassword) -> () { Person(Admin), Acts, Moment, Row, Bare }
    /// Sets the password, without the old one; with `onlyFirst`, only if none was ever set.
    "auth.set-password" = accounts::set_password(accounts::SetPassword) -> () { Root, Sets, Moment, Row, Bare }
    /// Makes a bearer token for a program; it is told this once.
    "auth.token.create" = programs::make_token(programs::MakeToken) -> programs::MadeToken { Person(Admin), Acts, Moment, Row, Bare }
    /// Gives all tokens, without what opens anything.
    "auth.token.list" = programs::tokens(Nothing) -> Vec<programs::ShownGrant> { Person(Admin), Reads, Moment, Nothing, Bare }
    /// Revokes the tokens in `ids`, and ends what was opened with them.
    "auth.token.revoke" = programs::revoke_tokens(programs::RevokeThese) -> () { Person(Admin), Sets, Moment, RowOf("ids"), Bare }
    /// Enrols a public key that requests may be signed with.
    "auth.key.add" = programs::add_key(programs::AddKey) -> programs::ShownGrant { Person(Admin), Acts, Moment, Row, Bare }
    /// Gives all enrolled keys.
    "auth.key.list" = programs::keys(Nothing) -> Vec<programs::ShownGrant> { Person(Admin), Reads, Moment, Nothing, Bare }
    /// Removes the keys in `ids`, and ends what was opened with them.
    "auth.key.remove" = programs::remove_keys(programs::RevokeThese) -> () { Person(Admin), Sets, Moment, RowOf("ids"), Bare }
    /// Gives whether two-step login is on, and how many recovery codes are left.
    "auth.totp.status" = second_factor::status(Nothing) -> second_factor::TwoStepLogin { Person(Admin), Reads, Moment, Nothing, Bare }
    /// Offers a secret to an authenticator app; `password` is asked for again.
    "auth.totp.enrol" = second_factor::enrol(second_factor::PasswordAgain) -> second_factor::OfferedApp { Person(Admin), Acts, Moment, Row, Bare }
    /// Switches two-step login on, with a `code` of the app; gives the recovery codes.
    "auth.totp.confirm" = second_factor::confirm(second_factor::ConfirmApp) -> second_factor::RecoveryCodes { Person(Admin), Acts, Moment, Row, Bare }
    /// Switches two-step login off; `password` is asked for again.
    "auth.totp.disable" = second_factor::disable(second_factor::PasswordAgain) -> () { Person(Admin), Acts, Moment, Row, Bare }
    /// Gives who asked for what, oldest first.
    "auth.audit" = audit::read(Nothing) -> Vec<AuditRow> { Root, Reads, Moment, Nothing, Bare }

    /// Gives the value at `pointer` below /public.
    "db.dump" = db::dump(db::DumpAt) -> db::Dump { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives who changed what, when and why, newest first: the last `limit` revisions that touched `pointer`, between `from` and `to`.
    "db.log" = db::log(db::LogOf) -> Vec<db::LoggedRevision> { Root, Reads, Minutes, Nothing, Bare }
    /// Reads the whole store and compares it with its checksums.
    "db.check" = db::check(Nothing) -> db::Checked { Root, Reads, Minutes, Nothing, Bare }
    /// Gives back the room that the store no longer needs.
    "db.compact" = db::compact(Nothing) -> db::Compacted { Root, Sets, Minutes, Row, Bare }
    /// Gives the whole document, private values included.
    "db.export" = db::export(Nothing) -> Json { Root, Reads, Minutes, Row, Bare }
    /// Gives the value at `pointer` and a stream of what changes; or, with the position `from` of an earlier stream, only what was missed.
    "db.subscribe" = db::subscribe(db::SubscribeTo) -> db::Subscribed { Role(Admin), Acts, Moment, Nothing, Bare }
    /// Keeps `value` for web interfaces, at `pointer` below /public/ui.
    "db.put.ui" = db::put_ui(db::PutUi) -> () { Role(Admin), Sets, Moment, Nothing, Sequenced }

    /// Gives every package with where it stands in its life, as StartOS does.
    "package.list" = packages::list(Nothing) -> Vec<packages::ListedPackage> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives every service with how it is: in one word, with its reason and its address.
    "package.overview" = packages::overview(Nothing) -> Vec<ServiceSummary> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives one package with everything shown of it.
    "package.status" = packages::status(ById) -> packages::PackageStatus { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives the version of a package, or null.
    "package.installed-version" = packages::installed_version(ById) -> Option<String> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Installs the .s9pk at `path` on this machine, or updates what is there to it.
    "package.install-file" = packages::install_file(packages::InstallFile) -> packages::Installed { Root, Sets, Hours, Row, Sequenced }
    /// Gives tickets for sending a .s9pk and for watching it.
    "package.sideload" = packages::sideload(Nothing) -> packages::SideloadTickets { Role(Admin), Acts, Moment, RowLater, Bare }
    /// Calls the update of a package off; the version before is put back.
    "package.cancel-install" = packages::cancel_install(ById) -> () { Role(Admin), Acts, Moment, RowOf("id"), Bare }
    /// Makes the container of a service anew.
    "package.rebuild" = packages::rebuild(ById) -> () { Role(Admin), Acts, Hours, RowOf("id"), Sequenced }
    /// Removes a package; `soft` keeps its volumes.
    "package.uninstall" = packages::uninstall(packages::UninstallPackage) -> () { Role(Admin), Sets, Hours, RowOf("id"), Sequenced }
    /// Wants a service running.
    "package.start" = packages::start(packages::StartPackage) -> () { Role(Admin), Sets, Moment, RowOf("id"), Sequenced }
    /// Wants a service stopped.
    "package.stop" = packages::stop(ById) -> () { Role(Admin), Sets, Moment, RowOf("id"), Sequenced }
    /// Wants a running service stopped and started.
    "package.restart" = packages::restart(ById) -> () { Role(Admin), Acts, Moment, RowOf("id"), Sequenced }
    /// Gives why a service is as it is, and its restart records.
    "package.why" = packages::why(ById) -> Why { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives the living daemons of a service and what they use.
    "package.daemons" = packages::daemons(ById) -> BTreeMap<String, DaemonReport> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives the container of each service that has one, and its memory in MiB.
    "package.stats" = metrics::stats(Nothing) -> BTreeMap<String, Option<metrics::PackageStats>> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives what each service uses as a whole, and how many of its restart records tell of failures.
    "package.usage" = metrics::usage(Nothing) -> BTreeMap<String, ServiceUsage> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives what a service may use.
    "package.limits" = packages::limits(ById) -> packages::PackageLimits { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Sets what a service may use.
    "package.set-limits" = packages::set_limits(packages::SetLimits) -> packages::PackageLimits { Role(Admin), Sets, Moment, RowOf("id"), Sequenced }
    /// Gives the form of an action.
    "package.action.get-input" = packages::get_input(packages::GetActionInput) -> Json { Role(Admin), Reads, Minutes, Nothing, Bare }
    /// Runs an action.
    "package.action.run" = packages::run_action(packages::RunAction) -> Json { Role(Admin), Acts, Minutes, RowOf("packageId", "actionId"), Bare }
    /// Dismisses a task.
    "package.action.clear-task" = packages::clear_task(packages::ClearTask) -> () { Role(Admin), Sets, Moment, RowOf("packageId", "replayId"), Bare }
    /// Gives log lines of a service.
    "package.logs" = logs::read(logs::LogsOf) -> logs::LogPage { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Gives a stream of log lines of a service.
    "package.logs.follow" = logs::follow(logs::LogsOf) -> logs::LogFollow { Role(Admin), Acts, Moment, Nothing, Bare }

    /// Gives what packages and the server told people, newest first: `limit` of them, those before number `before`.
    "notification.list" = notifications::list(notifications::ListNotifications) -> Vec<notifications::ListedNotification> { Role(Admin), Reads, Moment, Nothing, Bare }
    /// Takes notifications away.
    "notification.remove" = notifications::remove(notifications::TheseNotifications) -> () { Role(Admin), Sets, Moment, RowOf("ids"), Bare }
    /// Takes away those with smaller numbers than `before`.
    "notification.remove-before" = notifications::remove_before(notifications::NotificationsBefore) -> () { Role(Admin), Sets, Moment, RowOf("before"), Bare }
    /// Notes that notifications were seen.
    "notification.mark-seen" = notifications::mark_seen(notifications::TheseNotifications) -> () { Role(Admin), Sets, Moment, RowOf("ids"), Bare }
    /// Notes that the one with the number `before` and all with smaller ones were seen.
    "notification.mark-seen-before" = notifications::mark_seen_before(notifications::NotificationsBefore) -> () { Role(Admin), Sets, Moment, RowOf("before"), Bare }
    /// Notes that notifications were not seen.
    "notification.mark-unseen" = notifications::mark_unseen(notifications::TheseNotifications) -> () { Role(Admin), Sets, Moment, RowOf("ids"), Bare }
    /// Tells the people who look after this server something.
    "notification.create" = notifications::create(notifications::CreateNotification) -> () { Role(Admin), Acts, Moment, Row, Bare }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_given_twice_and_each_says_what_it_is_for() {
        let mut names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(METHODS.iter().all(|method| method.about.ends_with('.')));
    }

    #[test]
    fn what_changes_nothing_leaves_no_row_unless_it_gives_out_what_is_private() {
        let rows = METHODS
            .iter()
            .filter(|method| method.effect == Effect::Reads && method.leaves != Leaves::Nothing);
        let names: Vec<&str> = rows.map(|method| method.name).collect();
        assert_eq!(names, ["db.export"]);
    }
}
