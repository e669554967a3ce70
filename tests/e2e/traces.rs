//! What a server has made on its machine, in words, to be compared with what should be there.
//!
//! Everything is looked up from outside: files, mounts of its processes, loop devices, links,
//! cgroups, firewall rules, what its document shows.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{console::run, processes, server::Server};

/// Traces, each a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Traces(pub(crate) BTreeSet<String>);

impl Traces {
    pub(crate) fn of(server: &Server) -> Self {
        let mut found = BTreeSet::new();
        files(server, &mut found);
        mounts(server, &mut found);
        loop_devices(server, &mut found);
        links(server, &mut found);
        for group in
            processes::cgroups_named(|name| name.starts_with(&format!("coppice-{}", server.short)))
        {
            for entry in fs::read_dir(&group).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    found.insert(format!("cgroup {}", entry.path().display()));
                }
            }
        }
        for line in firewall(server).lines() {
            found.insert(format!("firewall {}", line.trim()));
        }
        for (id, _) in server.json(&["db", "dump", "/public/packageData"])["value"]
            .as_object()
            .into_iter()
            .flatten()
        {
            found.insert(format!("document /public/packageData/{id}"));
        }
        Self(found)
    }

    /// What is there now and was not before.
    pub(crate) fn since(&self, before: &Self) -> BTreeSet<String> {
        self.0.difference(&before.0).cloned().collect()
    }

    /// What names the service.
    pub(crate) fn naming(&self, id: &str) -> BTreeSet<String> {
        self.0
            .iter()
            .filter(|line| line.contains(id))
            .cloned()
            .collect()
    }
}

/// The server's firewall, without the numbers that count packets.
pub(crate) fn firewall(server: &Server) -> String {
    run(
        "nft",
        &[
            "--stateless",
            "list",
            "table",
            "inet",
            &format!("coppice_{}", server.short),
        ],
    )
}

fn files(server: &Server, found: &mut BTreeSet<String>) {
    for folder in ["store", "uploads", "services"] {
        walk(&server.data.join(folder), 3, found);
    }
    // What is in these comes and goes; the folders themselves are made once.
    for folder in ["lxc", "mnt/img", "mnt/stage", "services"] {
        walk(&server.run_folder().join(folder), 2, found);
    }
}

fn walk(folder: &Path, depth: usize, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.insert(format!("file {}", entry.path().display()));
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), depth - 1, found);
        }
    }
}

/// Mounts in the server's own processes. Those of a container go with it.
fn mounts(server: &Server, found: &mut BTreeSet<String>) {
    let (data, run) = (
        server.data.display().to_string(),
        server.run_folder().display().to_string(),
    );
    for role in ["core", "edge"] {
        let text =
            fs::read_to_string(format!("/proc/{}/mountinfo", server.child(role).pid)).unwrap();
        for target in text.lines().filter_map(|line| line.split(' ').nth(4)) {
            if target.starts_with(&data) || target.starts_with(&run) {
                found.insert(format!("mount {target}"));
            }
        }
    }
}

fn loop_devices(server: &Server, found: &mut BTreeSet<String>) {
    for block in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let file = fs::read_to_string(block.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(file.trim_end()).starts_with(&server.data) {
            found.insert(format!("loop device over {}", file.trim_end()));
        }
    }
}

/// The host ends of containers' links.
fn links(server: &Server, found: &mut BTreeSet<String>) {
    for link in nix::net::if_::if_nameindex().unwrap().iter() {
        let name = link.name().to_string_lossy().into_owned();
        if name.starts_with(&format!("v{}", server.short)) || name.starts_with("veth") {
            found.insert(format!("link {name}"));
        }
    }
}
