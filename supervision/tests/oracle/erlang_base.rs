//! Programs of Debian's `erlang-base`: they are there, or whoever needs them is told where to get them.

use std::{
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
    process::Command,
};

/// Runs a program of Debian's `erlang-base`.
pub(crate) fn program<T>(name: &str, run: impl FnOnce(&mut Command) -> Result<T, Error>) -> T {
    run(&mut Command::new(name)).unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!(
            "`{name}` is missing: the supervisor is held against OTP's own. \
             Install it with `apt-get install --no-install-recommends erlang-base`"
        ),
        _ => panic!("`{name}` does not run: {error}"),
    })
}

/// Compiles a module, and gives the folder that it is in then.
pub(crate) fn compile(source: &Path) -> PathBuf {
    let code = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    std::fs::create_dir_all(&code).unwrap();
    let compiled = program("erlc", |erlc| {
        erlc.args(["-Wall", "-Werror", "-o"])
            .arg(&code)
            .arg(source)
            .output()
    });
    assert!(
        compiled.status.success(),
        "{} does not compile:\n{}",
        source.display(),
        String::from_utf8_lossy(&compiled.stdout)
    );
    code
}
