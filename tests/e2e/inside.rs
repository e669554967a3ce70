//! The inner process: a machine of its own, and the steps on it.

use std::{ffi::OsStr, fs, process::ExitCode};

use coppice_clock::Mono;
use nix::sys::{
    prctl::set_pdeathsig,
    signal::{SigSet, Signal},
};

use crate::{
    arguments::Arguments, console::run, lan, machine_of_its_own, report, scratch::Scratch, steps,
    world::World,
};

/// Room for the data of a server: an ordinary file system of its own, so that it can be full.
const DISK_BYTES: u64 = 4 << 30;

pub(crate) fn main(folder: &OsStr) -> ExitCode {
    set_pdeathsig(Signal::SIGKILL).unwrap();
    // The outer process holds signals back; what is started from here must not.
    SigSet::empty().thread_set_mask().unwrap();
    let scratch = Scratch::of(folder).unwrap();
    isolate(&scratch);
    lan::make();
    report::keep_panics();
    let arguments = Arguments::of_process();
    let began = Mono::now();
    let mut world = World::new(scratch.clone());
    let (counts, whole) = steps::run(&mut world, &arguments);
    if std::env::var_os("COPPICE_E2E_HOLD").is_some() {
        hold(&world);
    }
    world.end();
    if whole {
        fs::write(scratch.path("whole"), "").unwrap();
    }
    if counts.failed > 0
        && let Some(keep) = std::env::var_os("COPPICE_E2E_KEEP")
    {
        fs::create_dir_all(&keep).unwrap();
        fs::copy(
            scratch.path("server.log"),
            std::path::Path::new(&keep).join("server.log"),
        )
        .unwrap();
    }
    fs::write(scratch.path("counts"), counts.to_text()).unwrap();
    println!(
        "the steps took {:.1} s",
        Mono::now().since(began).as_secs_f64()
    );
    ExitCode::SUCCESS
}

/// Leaves everything as it is for somebody to look at, until the terminal says to go on.
fn hold(world: &World) {
    println!(
        "\nheld; look at it with:\n  nsenter -t {} -m -n",
        std::process::id()
    );
    println!(
        "  coppice --data-dir {} service list\nReturn goes on.",
        world.server.data.display()
    );
    // Without a terminal there is nobody to wait for.
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// Leaves the machine's mounts, links and disk.
fn isolate(scratch: &Scratch) {
    machine_of_its_own::enter(&scratch.mount_point());
    let image = scratch.path("disk.ext4");
    fs::File::create(&image)
        .unwrap()
        .set_len(DISK_BYTES)
        .unwrap();
    let disk = scratch.path("disk");
    fs::create_dir(&disk).unwrap();
    let (image, disk) = (image.to_str().unwrap(), disk.to_str().unwrap());
    // Without room that only root may use: a full disk is full for everybody.
    run("mkfs.ext4", &["-q", "-m", "0", "-E", "nodiscard", image]);
    // The loop device goes with the mount, and the mount with this process and its servers.
    run("mount", &["-o", "loop", image, disk]);
}
