//! An edge that was taken over: what its process can still do.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    ptr,
};

use coppice_net::edge::sandbox::{EDGE_UID, drop_privileges};

use crate::netns::{alone, runtime};

/// Names the test that plays the child; it does nothing unless it is told to.
const CHILD: &str = "COPPICE_TEST_CHILD";

/// Starts the test `name` of this very binary as a process of its own.
fn child(name: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            name,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The lines it prints before it says that it waits.
fn reports(child: &mut Child) -> Vec<String> {
    BufReader::new(child.stdout.as_mut().unwrap())
        .lines()
        .map(Result::unwrap)
        .skip_while(|line| !line.ends_with("begin"))
        .skip(1)
        .take_while(|line| line != "waiting")
        .collect()
}

#[test]
fn a_taken_over_edge_can_do_nothing_of_interest() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("core.sock");
    fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let _core = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    // As the core makes them: the store is root's, the command line's socket too, and a container's its root's.
    let mode = std::os::unix::fs::PermissionsExt::from_mode;
    let store = directory.path().join("state");
    fs::create_dir(&store).unwrap();
    fs::write(store.join("data.mdb"), "the document").unwrap();
    fs::set_permissions(&store, mode(0o700)).unwrap();
    let _others = ["api.sock", "host.sock"].map(|name| {
        let path = directory.path().join(name);
        let socket = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, mode(0o600)).unwrap();
        socket
    });
    std::os::unix::fs::chown(directory.path().join("host.sock"), Some(0x7000_0000), None).unwrap();
    let mut child = child("sandbox::inside", directory.path());
    let mut reports = reports(&mut child);
    // Tests run on a thread; user and groups are the process's, all else is the thread's.
    let thread = reports.remove(0);
    let status = fs::read_to_string(format!("/proc/{}/task/{thread}/status", child.id())).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(
        reports,
        [
            "read the store: refused",
            "read a secret file: refused",
            "read a public file: refused",
            "write a file: refused",
            "list a folder: refused",
            "connect to the command line's socket: refused",
            "connect to a container's socket: refused",
            "mount: refused",
            "mount the new way: refused",
            "join the parent's namespaces: refused",
            "take the parent's descriptors: refused",
            "open by handle: refused",
            "raw socket: refused",
            "packet socket: refused",
            "netlink for the firewall: refused",
            "be traced: refused",
            "trace the parent: refused",
            "read the parent's memory: refused",
            "signal the parent: refused",
            "become root: refused",
            "start a program: refused",
            "start a process: refused",
            "new user namespace: refused",
            "load a program into the kernel: refused",
            "listen on a new port: refused",
            "start a thread: works",
            "connect to the core: works",
            "send to the network: works",
            "list interfaces: works",
        ]
    );
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace()
            .skip(1)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let id = EDGE_UID.to_string();
    assert_eq!(field("Uid:"), [id.as_str(); 4].join(" "));
    assert_eq!(field("Gid:"), [id.as_str(); 4].join(" "));
    assert_eq!(field("Groups:"), "");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_eq!(field("Seccomp:"), "2");
}

/// The errno of a failed call, or `None`.
fn outcome(result: libc::c_long) -> Option<i32> {
    (result < 0).then(|| std::io::Error::last_os_error().raw_os_error().unwrap())
}

fn report(what: &str, error: Option<i32>) {
    match error {
        None => println!("{what}: works"),
        Some(libc::EPERM | libc::EACCES) => println!("{what}: refused"),
        Some(errno) => println!("{what}: errno {errno}"),
    }
}

fn of<T>(result: std::io::Result<T>) -> Option<i32> {
    result.err().map(|error| error.raw_os_error().unwrap())
}

#[test]
#[ignore = "played by a_taken_over_edge_can_do_nothing_of_interest, in a process of its own"]
fn inside() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let parent = nix::unistd::getppid().as_raw();
    println!("\nbegin");
    println!("{}", nix::unistd::gettid());
    drop_privileges().unwrap();
    let place = Path::new(&directory);
    report("read the store", of(fs::read(place.join("state/data.mdb"))));
    report("read a secret file", of(fs::read("/etc/shadow")));
    report("read a public file", of(fs::read("/etc/hostname")));
    report("write a file", of(fs::write("/tmp/coppice-edge-test", "x")));
    report("list a folder", of(fs::read_dir("/")));
    for (what, name) in [
        ("connect to the command line's socket", "api.sock"),
        ("connect to a container's socket", "host.sock"),
    ] {
        report(what, of(UnixStream::connect(place.join(name))));
    }
    let none = ptr::null::<libc::c_char>();
    // SAFETY: every call below passes integers, null, or pointers to live C strings; each is
    // refused before it looks at them.
    unsafe {
        report(
            "mount",
            outcome(
                libc::mount(
                    c"x".as_ptr(),
                    c"/mnt".as_ptr(),
                    c"tmpfs".as_ptr(),
                    0,
                    ptr::null(),
                )
                .into(),
            ),
        );
        report(
            "mount the new way",
            outcome(libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0)),
        );
        report(
            "join the parent's namespaces",
            outcome(libc::setns(0, libc::CLONE_NEWNET).into()),
        );
        report(
            "take the parent's descriptors",
            outcome(libc::syscall(libc::SYS_pidfd_getfd, 0, 0, 0)),
        );
        report(
            "open by handle",
            outcome(libc::syscall(
                libc::SYS_open_by_handle_at,
                0,
                ptr::null::<u8>(),
                0,
            )),
        );
        let raw = libc::SOCK_RAW;
        report(
            "raw socket",
            outcome(libc::socket(libc::AF_INET, raw, libc::IPPROTO_ICMP).into()),
        );
        report(
            "packet socket",
            outcome(libc::socket(libc::AF_PACKET, raw, 0).into()),
        );
        report(
            "netlink for the firewall",
            outcome(libc::socket(libc::AF_NETLINK, raw, libc::NETLINK_NETFILTER).into()),
        );
        report(
            "be traced",
            outcome(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0)),
        );
        report(
            "trace the parent",
            outcome(libc::ptrace(libc::PTRACE_SEIZE, parent, 0, 0)),
        );
        let vector: *const libc::iovec = ptr::null();
        report(
            "read the parent's memory",
            outcome(libc::process_vm_readv(parent, vector, 0, vector, 0, 0) as libc::c_long),
        );
        report("signal the parent", outcome(libc::kill(parent, 0).into()));
        report("become root", outcome(libc::setuid(0).into()));
        report(
            "start a program",
            outcome(libc::execv(c"/bin/true".as_ptr(), [c"true".as_ptr(), none].as_ptr()).into()),
        );
        report("start a process", outcome(libc::fork().into()));
        report(
            "new user namespace",
            outcome(libc::unshare(libc::CLONE_NEWUSER).into()),
        );
        report(
            "load a program into the kernel",
            outcome(libc::syscall(libc::SYS_bpf, 5, ptr::null::<u8>(), 0)),
        );
    }
    report("listen on a new port", of(TcpListener::bind("127.0.0.1:0")));
    let thread = std::thread::Builder::new().spawn(|| ());
    report(
        "start a thread",
        of(thread.map(|thread| thread.join().unwrap())),
    );
    let core = place.join("core.sock");
    report("connect to the core", of(UnixStream::connect(core)));
    let datagram = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.send_to(b"x", "127.0.0.1:9"));
    report("send to the network", of(datagram));
    report(
        "list interfaces",
        nix::ifaddrs::getifaddrs().err().map(|errno| errno as i32),
    );
    println!("waiting");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn an_edge_without_privileges_still_does_all_of_its_work() {
    alone(|| {
        let directory = tempfile::tempdir().unwrap();
        let mut child = child("sandbox::a_whole_edge", directory.path());
        assert_eq!(reports(&mut child), Vec::<String>::new());
        let curl = |args: &[&str]| {
            let output = Command::new("curl")
                .current_dir(directory.path())
                .args(["--silent", "--show-error", "--cacert", "ca.pem"])
                .args(["--connect-to", "::127.0.0.1:"])
                .args(args)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(curl(&["https://willow.local/"]).contains("<app-root"));
        assert!(curl(&["https://willow.local/rpc/v1"]).contains("x-coppice-peer"));
        assert!(curl(&["https://hello-willow.local/x"]).contains("\"path\":\"/x\""));
        assert!(curl(&["http://willow.local/"]).contains("Say hello to willow"));
        let dig = Command::new("dig")
            .args(["+short", "@127.0.0.1", "hello.startos"])
            .output()
            .unwrap();
        assert_eq!(dig.stdout, b"10.42.16.2\n");
        // No other process can read what it holds, not even one of the same user.
        TcpStream::connect("127.0.0.1:443").unwrap();
        child.stdin.take().unwrap().write_all(b"x").unwrap();
        assert!(child.wait().unwrap().success());
    });
}

#[test]
#[ignore = "played by an_edge_without_privileges_still_does_all_of_its_work, in a process of its own"]
fn a_whole_edge() {
    use crate::{
        servers,
        world::{World, record},
    };

    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let directory = Path::new(&directory);
    println!("\nbegin");
    // Service and core live in this process too, so their sockets are opened before the doors
    // close; a runtime on one thread is all there is.
    runtime().block_on(async {
        let mut world = World::unpublished();
        let service = servers::service().await;
        world.service("hello-willow.local", service, false);
        world.table.dns.records = vec![record("hello.startos", &["10.42.16.2"])];
        world.announce("willow.local", &["127.0.0.1"]);
        world.listen_udp("127.0.0.1:53");
        let core = servers::unix_listener(&world.core_socket());
        fs::copy(world.dir.path().join("ca.pem"), directory.join("ca.pem")).unwrap();
        fs::set_permissions(
            world.dir.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o711),
        )
        .unwrap();
        fs::set_permissions(
            world.core_socket(),
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .unwrap();
        servers::core(tokio::net::UnixListener::from_std(core).unwrap());
        drop_privileges().unwrap();
        world.publish().await;
        println!("waiting");
        tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]).unwrap())
            .await
            .unwrap();
        // The folder cannot be removed from in here.
        std::mem::forget(world.dir);
    });
}
