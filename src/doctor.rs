//! `coppice doctor`: what this machine can do, tried.

use std::process::ExitCode;

use coppice_api::cli::Common;
use coppice_containers::{Backend, HostLayout, LxcBackend, Segment, prepare_process};

pub(crate) fn run(common: &Common) -> ExitCode {
    let Ok(checks) = check(common) else {
        eprintln!("coppice: the checks could not be run; run them as root");
        return ExitCode::FAILURE;
    };
    if common.json {
        println!("{:#}", serde_json::json!(checks));
    } else {
        for check in &checks {
            let mark = if check.ok { "ok     " } else { "MISSING" };
            println!("{mark} {}: {}", check.name, check.found);
            if let (false, Some(next)) = (check.ok, &check.next_step) {
                println!("        {next}");
            }
        }
    }
    if checks.iter().all(|check| check.ok) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn check(common: &Common) -> anyhow::Result<Vec<coppice_containers::Check>> {
    // SAFETY: no other thread exists yet, so nobody reads the environment meanwhile.
    unsafe { prepare_process() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let data = common.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    // A name of its own: the checks must not meet a server that runs.
    let layout = HostLayout::new(Segment::new(format!("doctor{}", std::process::id()))?, data);
    let run = layout.run.clone();
    let backend = LxcBackend::new(layout)?;
    let checks = runtime.block_on(backend.preflight());
    // The checks clean up after themselves; their folder is all that is left.
    std::fs::remove_dir_all(run)?;
    Ok(checks)
}
