//! A person with a browser: the built interface as this server serves it, in Chromium.
//!
//! What the person does is written where the interface is, in `web/e2e/real.test.ts`.

use std::process::Command;

use crate::{
    console::text,
    lan::SERVER,
    world::{PASSWORD, World},
};

pub(super) fn prepare(world: &mut World) {
    world.up();
}

pub(super) fn everything_is_done_in_chromium_without_a_command_line(world: &mut World) {
    let examples = World::example("hello");
    let output = Command::new("npm")
        .args(["run", "e2e", "--", "e2e/real.test.ts"])
        .current_dir("web")
        .env("COPPICE_URL", "https://coppice.local")
        .env("COPPICE_PASSWORD", PASSWORD)
        .env("COPPICE_CA", world.ca())
        .env("COPPICE_EXAMPLES", examples.parent().unwrap())
        .env("COPPICE_ADDRESS", SERVER.to_string())
        .env("COPPICE_DATA_DIR", &world.server.data)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(
        output.status.success() && !said.contains("skipped"),
        "{}: {said}{}",
        output.status,
        text(&output.stderr)
    );
    assert!(!world.is_installed("hello"), "it tidies up after itself");
}
