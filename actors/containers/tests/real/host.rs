//! One machine's worth of fixtures, made by code: folders, images, pid 1, a bridge.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use coppice_containers::{
    Backend, ContainerSpec, HostLayout, ID_RANGE, ImageSpec, Init, Limits, LxcBackend, Running,
    Segment, VolumeSpec,
};

use crate::{run, suite::segment};

pub(crate) const ID_BASE: u32 = 0x7000_0000;

pub(crate) struct TestHost {
    pub(crate) layout: HostLayout,
    dir: tempfile::TempDir,
}

impl TestHost {
    /// Builds the folders and images. No thread is started.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("coppice-containers-")
            .tempdir()
            .unwrap();
        // As /run/coppice/<SHORT>: a container's pid 1 passes through on the way to its root.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in [
            "run",
            "data/store",
            "data/base",
            "data/services",
            "layer/usr/bin",
        ] {
            fs::create_dir_all(at(name)).unwrap();
        }
        // Containers reach nothing by path, so the data folder is root's alone, as in the product.
        fs::set_permissions(at("data"), fs::Permissions::from_mode(0o700)).unwrap();
        compile_init(&at("layer/usr/bin/coppice-agent"));
        make_base(&at("tree-base"), &at("data/base/base.squashfs"));
        make_image(&at("tree-image"), &at("data/store/image.squashfs"));
        make_javascript(&at("tree-js"), &at("data/store/js.squashfs"));
        let mut layout = HostLayout::new(segment(&short_id()), at("data"));
        layout.run = at("run");
        Self { layout, dir }
    }

    pub(crate) fn backend(&self) -> LxcBackend {
        LxcBackend::new(self.layout.clone()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A small container with one image and one volume, `main` both, and a listener where its pid 1
    /// asks what to do.
    pub(crate) fn spec(&self, instance: &str) -> ContainerSpec {
        let service = self.layout.data.join("services").join(instance);
        let (volume, logs) = (service.join("volumes/main"), service.join("logs"));
        let cache = service.join("cache");
        let rpc = self.layout.run.join("services").join(instance);
        for dir in [&volume, &logs, &cache, &rpc] {
            fs::create_dir_all(dir).unwrap();
        }
        fs::set_permissions(&rpc, fs::Permissions::from_mode(0o755)).unwrap();
        let number = instance
            .bytes()
            .fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 997);
        ContainerSpec {
            instance: segment(instance),
            id_base: ID_BASE + number * ID_RANGE,
            hostname: instance.to_owned(),
            lang: "de_DE.UTF-8".to_owned(),
            base_image: self.layout.data.join("base/base.squashfs"),
            layer_dir: self.path("layer"),
            javascript: self.layout.data.join("store/js.squashfs"),
            assets: None,
            images: vec![ImageSpec {
                id: segment("main"),
                file: self.layout.data.join("store/image.squashfs"),
                env: "A=b\n".to_owned(),
                json: r#"{"workdir":"/"}"#.to_owned(),
            }],
            volumes: vec![VolumeSpec {
                id: segment("main"),
                dir: volume,
            }],
            logs_dir: logs,
            cache_dir: cache,
            rpc_dir: rpc,
            network: None,
            resolv_conf: "nameserver 10.99.0.1\n".to_owned(),
            devices: Vec::new(),
            limits: Limits::default(),
            init: Init {
                argv: vec!["/usr/bin/coppice-agent".to_owned()],
                env: Vec::new(),
            },
        }
    }

    /// Creates the container and takes its pid 1's call.
    pub(crate) async fn start(
        &self,
        backend: &LxcBackend,
        spec: &ContainerSpec,
    ) -> (Running, Talk) {
        let listener = Listener::bind(spec);
        let life = match backend.create(spec).await {
            Ok(life) => life,
            Err(error) => panic!("{}", chain(&error)),
        };
        (life, listener.accept())
    }

    pub(crate) async fn make_bridge(&self) {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        let connection = tokio::spawn(connection);
        let bridge = rtnetlink::LinkBridge::new(&self.layout.bridge).build();
        handle.link().add(bridge).execute().await.unwrap();
        connection.abort();
    }

    /// Everything on the machine that carries this run's names and should not be there when no
    /// container is.
    pub(crate) fn traces(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let short = self.layout.short.as_str();
        let dir = self.dir.path().to_str().unwrap();
        for mount in fs::read_to_string("/proc/self/mountinfo").unwrap().lines() {
            if mount.contains(dir) {
                found.insert(format!("mount {mount}"));
            }
        }
        for device in entries(Path::new("/sys/block")) {
            let file = fs::read_to_string(device.join("loop/backing_file")).unwrap_or_default();
            if file.starts_with(dir) {
                found.insert(format!("loop device {} over {file}", device.display()));
            }
        }
        for link in nix::net::if_::if_nameindex().unwrap().iter() {
            let name = link.name().to_string_lossy().into_owned();
            if name.starts_with(&format!("v{short}")) || name.starts_with("veth") {
                found.insert(format!("link {name}"));
            }
        }
        for hierarchy in cgroup_mounts() {
            for cgroup in entries(&hierarchy) {
                if cgroup
                    .file_name()
                    .unwrap()
                    .to_string_lossy()
                    .contains(short)
                {
                    found.insert(format!("cgroup {}", cgroup.display()));
                }
            }
        }
        for process in entries(Path::new("/proc")) {
            let command = fs::read(process.join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&command).contains(&format!("{dir}/run/lxc")) {
                found.insert(format!("process {}", process.display()));
            }
        }
        for service in entries(&self.layout.data.join("services")) {
            for layer in ["root", "sub"]
                .map(|name| service.join(name))
                .iter()
                .filter(|l| l.exists())
            {
                found.insert(format!("layer {}", layer.display()));
            }
        }
        found.extend(
            entries(&self.layout.lxc_path())
                .iter()
                .map(|d| format!("{}", d.display())),
        );
        found
    }

    pub(crate) async fn assert_clean(&self, after: &str) {
        let traces = self.traces();
        assert!(traces.is_empty(), "left after {after}: {traces:#?}");
    }

    /// After a failed test: whatever it left must not fail the next.
    pub(crate) async fn clean_up(&self) {
        let receipt = self.backend().reconcile(&[]).await;
        println!("cleaned up: {receipt:?}");
    }
}

/// Listens where a container's pid 1 calls.
pub(crate) struct Listener(UnixListener);

impl Listener {
    pub(crate) fn bind(spec: &ContainerSpec) -> Self {
        let socket = spec.rpc_dir.join("host.sock");
        let _ = fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        chown(&socket, Some(spec.id_base), Some(spec.id_base)).unwrap();
        Self(listener)
    }

    pub(crate) fn accept(self) -> Talk {
        let (stream, _) = self.0.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Talk {
            reader: BufReader::new(stream.try_clone().unwrap()),
            stream,
        }
    }
}

/// A container's pid 1, waiting for orders.
pub(crate) struct Talk {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
}

impl Talk {
    /// Gives an order and returns what pid 1 says.
    pub(crate) fn ask(&mut self, words: &[&str]) -> Result<String, String> {
        self.tell(words);
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        match line.trim_end_matches('\n').split_once('\t') {
            Some(("ok", text)) => Ok(text.to_owned()),
            Some((_, error)) => Err(error.to_owned()),
            None => panic!("{words:?}: pid 1 hung up"),
        }
    }

    /// Gives an order that has no answer.
    pub(crate) fn tell(&mut self, words: &[&str]) {
        self.stream
            .write_all(format!("{}\n", words.join("\t")).as_bytes())
            .unwrap();
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, words: &[&str], answer: &str) {
        assert_eq!(self.ask(words).as_deref(), Ok(answer), "{words:?}");
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, words: &[&str]) -> String {
        self.ask(words).expect_err("should have been refused")
    }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

pub(crate) fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

/// Mount points of every cgroup hierarchy.
pub(crate) fn cgroup_mounts() -> Vec<PathBuf> {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains(" - cgroup"))
        .map(|line| PathBuf::from(line.split(' ').nth(4).unwrap()))
        .collect()
}

pub(crate) fn guid(text: &str) -> Segment {
    segment(text)
}

/// Six lower-case letters, different in every process.
fn short_id() -> String {
    let mut number = u64::from(std::process::id());
    (0..6)
        .map(|_| {
            let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
            number /= 26;
            letter
        })
        .collect()
}

pub(crate) fn compile_init(to: &Path) {
    let source = Path::new("tests/fixture/init.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args([
            "--edition",
            "2021",
            "-C",
            "target-feature=+crt-static",
            "-C",
            "opt-level=1",
        ])
        .args(["-C", "strip=symbols", "-A", "warnings", "-o"])
        .arg(to)
        .arg(source)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn make_base(tree: &Path, image: &Path) {
    for dir in [
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "etc",
        "usr/bin",
        "media/startos",
        "mnt",
    ] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    // As Debian's own: resolv.conf may be a link out of the tree.
    symlink("/run/elsewhere/resolv.conf", tree.join("etc/resolv.conf")).unwrap();
    pack(tree, image, &[]);
}

fn make_javascript(tree: &Path, image: &Path) {
    fs::create_dir_all(tree).unwrap();
    fs::write(tree.join("index.js"), "exports.manifest = {}\n").unwrap();
    pack(tree, image, &[]);
}

/// An image by somebody unfriendly: a device node, and `/etc/hosts` a link to a file outside.
fn make_image(tree: &Path, image: &Path) {
    for dir in ["etc", "srv", "proc"] {
        fs::create_dir_all(tree.join(dir)).unwrap();
    }
    fs::write(tree.join("srv/www-data"), "served\n").unwrap();
    chown(tree.join("srv/www-data"), Some(33), Some(33)).unwrap();
    symlink(
        "/../../../../../../tmp/coppice-hosts-must-not-exist",
        tree.join("etc/hosts"),
    )
    .unwrap();
    pack(tree, image, &["-p", "zero c 666 0 0 1 5"]);
}

fn pack(tree: &Path, image: &Path, more: &[&str]) {
    let mut arguments = vec![
        tree.to_str().unwrap(),
        image.to_str().unwrap(),
        "-quiet",
        "-no-progress",
        "-comp",
        "zstd",
    ];
    arguments.extend(more);
    run("/usr/bin/mksquashfs", &arguments);
}
