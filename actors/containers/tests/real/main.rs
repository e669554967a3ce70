//! Real containers on this machine: needs root, liblxc and `mksquashfs`.
//!
//! The process moves into mount and network namespaces of its own before anything else, so that tests
//! of several checkouts can run at once; loop devices and cgroups are shared with the machine and
//! carry a short id of this run.

#![allow(clippy::unwrap_used)]

mod crash;
mod host;
mod hostile;
mod inside;
mod lifecycle;
mod limits;
#[path = "../support/machine_of_its_own.rs"]
mod machine_of_its_own;
#[path = "../suite/mod.rs"]
mod suite;

use std::{
    fs,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    process::{Command, ExitCode},
};

use coppice_clock::Mono;
use futures_util::FutureExt;
use host::TestHost;

type Test = for<'a> fn(&'a TestHost) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        const TESTS: &[(&str, Test)] =
            &[$((stringify!($name), |host| Box::pin($module::$name(host)))),*];
    };
}

tests![
    lifecycle::the_preflight_passes_here_and_leaves_nothing,
    lifecycle::the_real_backend_does_what_every_backend_does,
    lifecycle::pid_1_finds_its_root_as_specified,
    lifecycle::a_grace_that_runs_out_ends_in_a_kill,
    lifecycle::the_exit_tells_how_pid_1_ended,
    lifecycle::what_is_missing_is_named_and_nothing_is_left,
    lifecycle::a_failed_start_tells_liblxcs_words_and_leaves_nothing,
    lifecycle::a_container_has_its_link_and_address,
    lifecycle::granted_devices_open_and_others_do_not,
    lifecycle::twenty_lives_leave_nothing_and_take_this_long,
    inside::ids_on_disk_are_the_ids_inside,
    inside::a_subcontainer_is_seen_inside_and_goes_with_the_container,
    inside::a_subcontainer_that_goes_takes_nothing_with_it_that_was_bound_into_it,
    inside::a_subcontainers_leader_dies_with_its_root,
    inside::a_hostile_image_gains_nothing,
    inside::mounts_come_with_their_flags_locked,
    inside::id_mappings_are_applied_to_a_mount,
    inside::files_and_subpaths_are_mounted_and_replaced,
    inside::mounts_that_come_later_reach_processes_with_mounts_of_their_own,
    inside::links_in_a_volume_lead_nowhere_else,
    hostile::a_file_system_that_never_answers_holds_nobody_up_for_long,
    hostile::cgroups_longer_than_any_path_are_removed,
    hostile::a_container_that_froze_itself_ends_when_told,
    hostile::what_has_no_namespace_cannot_be_asked_for,
    hostile::watches_of_one_container_are_not_taken_from_others,
    limits::limits_bind_and_usage_is_counted,
    limits::an_oom_kill_is_counted,
    crash::a_container_outlives_its_creator_and_is_adopted,
    crash::a_killed_monitor_is_a_dead_container_that_can_be_created_anew,
    crash::whatever_a_killed_creator_leaves_is_found_and_removed,
    crash::a_leaked_loop_device_and_stray_layers_are_found,
];

fn main() -> ExitCode {
    if let Some(spec) = std::env::var_os("COPPICE_TEST_CREATE") {
        return crash::create_and_wait(&spec);
    }
    // For a machine without a compiler.
    if let Some(to) = std::env::var_os("COPPICE_TEST_COMPILE") {
        host::compile_init(to.as_ref());
        return ExitCode::SUCCESS;
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("these tests make real containers: run them as root");
        return ExitCode::FAILURE;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen: Vec<_> = TESTS
        .iter()
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str())))
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    // Kept, and not removed with what is in it: in between, that is the machine's cgroups.
    let aside = tempfile::tempdir().unwrap().keep();
    machine_of_its_own::enter(&aside);
    fs::remove_dir(aside).unwrap();
    let host = TestHost::new();
    // SAFETY: no thread was started yet.
    unsafe { coppice_containers::prepare_process() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    println!("\nrunning {} tests", chosen.len());
    let failed = runtime.block_on(async {
        host.make_bridge().await;
        let mut failed = 0;
        for (name, test) in &chosen {
            let began = Mono::now();
            let passed = AssertUnwindSafe(async {
                test(&host).await;
                host.assert_clean(name).await;
            })
            .catch_unwind()
            .await
            .is_ok();
            let verdict = if passed { "ok" } else { "FAILED" };
            println!(
                "test {name} ... {verdict} ({} ms)",
                Mono::now().since(began).as_millis()
            );
            if !passed {
                failed += 1;
                host.clean_up().await;
            }
        }
        failed
    });
    drop(host);
    println!(
        "\ntest result: {} passed; {failed} failed",
        chosen.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs a program of the machine, by full path: `PATH` is not what it was.
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
}
