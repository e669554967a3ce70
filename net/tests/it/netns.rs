//! A machine of one's own: network and mount namespaces that end with the test, however it ends.
//!
//! The test body runs on a thread that left the process's namespaces; threads and processes it
//! starts are born there. Named namespaces live on a private `/run`, so nothing is left on the
//! machine, and two runs at once do not meet.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};

/// Runs `body` in a new network with nothing but a loopback interface.
pub(crate) fn alone<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let worker = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("these tests need root");
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        // /sys shows the interfaces of the namespace it was mounted in.
        mount(Some("sys"), "/sys", Some("sysfs"), MsFlags::empty(), none).unwrap();
        ip("link set lo up");
        body()
    });
    match worker.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The same for a body that needs a runtime.
pub(crate) fn alone_async<F: Future<Output = ()>>(body: impl FnOnce() -> F + Send + 'static) {
    alone(move || runtime().block_on(body()));
}

/// A runtime whose work stays on this thread, and so in its namespaces.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Runs a program and returns what it printed; panics with its complaint when it fails.
pub(crate) fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `ip` with its arguments in one text.
pub(crate) fn ip(args: &str) -> String {
    run("ip", &args.split(' ').collect::<Vec<_>>())
}

/// Runs `body` on a thread inside the named namespace.
pub(crate) fn within<T: Send + 'static>(
    namespace: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let namespace = File::open(format!("/run/netns/{namespace}")).unwrap();
    let worker = thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
        body()
    });
    worker.join().unwrap()
}

/// Serves the caller's address as text on every connection, inside `namespace`.
pub(crate) fn serve(namespace: &str, at: &str) {
    let at: SocketAddr = at.parse().unwrap();
    let listener = within(namespace, move || TcpListener::bind(at).unwrap());
    tell_callers(listener);
}

/// The same in the namespace of the calling thread.
pub(crate) fn serve_here(at: &str) {
    tell_callers(TcpListener::bind(at).unwrap());
}

fn tell_callers(listener: TcpListener) {
    let (started, wait) = mpsc::channel();
    thread::spawn(move || {
        let _ = started.send(());
        for mut stream in listener.incoming().flatten() {
            let caller = stream.peer_addr().unwrap().ip().to_string();
            // A caller that has gone does not want the answer.
            let _ = stream.write_all(caller.as_bytes());
        }
    });
    wait.recv().unwrap();
}

/// Connects from inside `namespace` and returns the address the server saw.
pub(crate) fn call(namespace: &str, to: &str) -> io::Result<String> {
    let to: SocketAddr = to.parse().unwrap();
    within(namespace, move || ask(to))
}

/// The same from the namespace of the calling thread.
pub(crate) fn call_here(to: &str) -> io::Result<String> {
    ask(to.parse().unwrap())
}

fn ask(to: SocketAddr) -> io::Result<String> {
    // Only what is dropped waits this long; what passes takes less than a millisecond.
    let patience = Duration::from_millis(300);
    let mut stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut seen = String::new();
    stream.read_to_string(&mut seen)?;
    Ok(seen)
}

/// Nothing came back.
pub(crate) fn dropped(outcome: io::Result<String>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Somebody said no.
pub(crate) fn refused(outcome: io::Result<String>) -> bool {
    matches!(outcome, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}
