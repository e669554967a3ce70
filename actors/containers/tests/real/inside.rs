//! What a running container sees of its mounts, and what it cannot do to them.

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
};

use coppice_clock::Mono;
use coppice_containers::{Backend, FileKind, IdMapping, OpError};

use crate::{
    host::{TestHost, guid},
    limits::until,
    suite::{segment, volume_mount},
};

fn sub(guid: &str) -> String {
    format!("/media/startos/subcontainers/{guid}")
}

pub(crate) async fn ids_on_disk_are_the_ids_inside(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("ids");
    let (_, mut inside) = host.start(&backend, &spec).await;
    inside.expect(
        &["write", "/media/startos/volumes/main/page", "x", "33"],
        "",
    );
    inside.expect(&["owner", "/media/startos/volumes/main/page"], "33:33");
    let on_disk = fs::metadata(spec.volumes[0].dir.join("page")).unwrap();
    assert_eq!((on_disk.uid(), on_disk.gid()), (33, 33));
    inside.expect(&["write", "/page", "x", "33"], "");
    let root = host.layout.data.join("services/ids/root/upper/page");
    assert_eq!(fs::metadata(root).unwrap().uid(), spec.id_base + 33);
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_subcontainer_is_seen_inside_and_goes_with_the_container(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("subs-real");
    let (_, mut inside) = host.start(&backend, &spec).await;
    let began = Mono::now();
    for name in ["one", "two"] {
        backend
            .create_subcontainer_fs(&spec.instance, &segment("main"), &guid(name))
            .await
            .unwrap();
    }
    println!(
        "  two subcontainer roots in {} ms",
        Mono::now().since(began).as_millis()
    );
    inside.expect(&["list", "/media/startos/subcontainers"], "one,two");
    inside.expect(&["owner", &sub("one")], "0:0");
    inside.expect(&["owner", &format!("{}/srv/www-data", sub("one"))], "33:33");
    inside.expect(
        &["read", &format!("{}/etc/hostname", sub("one"))],
        "subs-real\\n",
    );
    let hosts = inside
        .ask(&["read", &format!("{}/etc/hosts", sub("one"))])
        .unwrap();
    assert!(
        hosts.starts_with("127.0.0.1\\tlocalhost\\n127.0.1.1\\tsubs-real\\n"),
        "{hosts}"
    );
    inside.expect(
        &["write", &format!("{}/srv/mine", sub("one")), "x", "33"],
        "",
    );
    inside.expect(&["exists", &format!("{}/srv/mine", sub("two"))], "false");
    backend
        .destroy_subcontainer_fs(&spec.instance, &guid("one"))
        .await
        .unwrap();
    inside.expect(&["list", "/media/startos/subcontainers"], "two");
    assert!(!host.layout.data.join("services/subs-real/sub/one").exists());
    let host_mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(
        !host_mounts.contains("overlay"),
        "the host has none of it: {host_mounts}"
    );
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_subcontainer_that_goes_takes_nothing_with_it_that_was_bound_into_it(
    host: &TestHost,
) {
    let backend = host.backend();
    let spec = host.spec("binds");
    let (_, mut inside) = host.start(&backend, &spec).await;
    let copy = format!("{}/mnt", sub("one"));
    for words in [
        &["share-all"][..],
        &["mkdir", "/tmp/outer"],
        &["tmpfs", "/tmp/outer"],
        &["mkdir", "/tmp/outer/inner"],
        &["tmpfs", "/tmp/outer/inner"],
        &["write", "/tmp/outer/inner/file", "x", "0"],
    ] {
        inside.expect(words, "");
    }
    backend
        .create_subcontainer_fs(&spec.instance, &segment("main"), &guid("one"))
        .await
        .unwrap();
    inside.expect(&["mkdir", &copy], "");
    inside.expect(&["bind-all", "/tmp/outer", &copy], "");
    inside.expect(&["exists", &format!("{copy}/inner/file")], "true");
    backend
        .destroy_subcontainer_fs(&spec.instance, &guid("one"))
        .await
        .unwrap();
    inside.expect(&["list", "/media/startos/subcontainers"], "");
    inside.expect(&["exists", "/tmp/outer/inner/file"], "true");
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_subcontainers_leader_dies_with_its_root(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("leads");
    let (life, mut inside) = host.start(&backend, &spec).await;
    let main = segment("main");
    backend
        .create_subcontainer_fs(&spec.instance, &main, &guid("led"))
        .await
        .unwrap();
    inside.ask(&["lead", &sub("led")]).unwrap();
    let before = backend
        .usage(&spec.instance, None)
        .await
        .unwrap()
        .pids
        .unwrap();
    backend
        .destroy_subcontainer_fs(&spec.instance, &guid("led"))
        .await
        .unwrap();
    let after = backend
        .usage(&spec.instance, None)
        .await
        .unwrap()
        .pids
        .unwrap();
    assert_eq!(
        after,
        before - 1,
        "the leader, and only the leader, is gone"
    );
    inside.expect(&["exists", &sub("led")], "false");
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap().running(),
        Some(life.clone())
    );

    // A root that shows another pid 1, the container's own: it is not believed.
    backend
        .create_subcontainer_fs(&spec.instance, &main, &guid("lies"))
        .await
        .unwrap();
    inside.expect(&["mkdir", &format!("{}/proc", sub("lies"))], "");
    let planted = format!("{}/proc/1", sub("lies"));
    inside.expect(&["link", "/proc/1", &planted], "");
    backend
        .destroy_subcontainer_fs(&spec.instance, &guid("lies"))
        .await
        .unwrap();
    assert_eq!(
        backend.inspect(&spec.instance).await.unwrap().running(),
        Some(life)
    );
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn a_hostile_image_gains_nothing(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("hostile");
    let (_, mut inside) = host.start(&backend, &spec).await;
    backend
        .create_subcontainer_fs(&spec.instance, &segment("main"), &guid("evil"))
        .await
        .unwrap();
    assert!(!Path::new("/tmp/coppice-hosts-must-not-exist").exists());
    // The image holds a device node; opening it is refused wherever the image is mounted.
    for node in [
        format!("{}/zero", sub("evil")),
        "/media/startos/images/main/zero".to_owned(),
    ] {
        let error = inside.refused(&["open-device", &node]);
        assert!(error.contains("denied"), "{node}: {error}");
    }
    // A mount point that was swapped for a link ends up inside the container.
    inside.expect(&["mkdir", "/elsewhere"], "");
    inside.expect(&["link", "/../../../elsewhere", "/mnt/link"], "");
    backend
        .mount_into(&spec.instance, &volume_mount(&spec, "/mnt/link/deep"))
        .await
        .unwrap();
    inside.expect(&["exists", "/elsewhere/deep"], "true");
    assert!(!Path::new("/elsewhere").exists());
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn mounts_come_with_their_flags_locked(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("locked");
    fs::write(spec.volumes[0].dir.join("file"), "theirs").unwrap();
    let (_, mut inside) = host.start(&backend, &spec).await;
    backend
        .create_subcontainer_fs(&spec.instance, &segment("main"), &guid("sub"))
        .await
        .unwrap();
    let mut mount = volume_mount(&spec, "/mnt/readonly");
    mount.readonly = true;
    backend.mount_into(&spec.instance, &mount).await.unwrap();
    inside.expect(&["read", "/mnt/readonly/file"], "theirs");
    assert!(
        inside
            .refused(&["write", "/mnt/readonly/file", "x", "0"])
            .contains("Read-only")
    );
    let taken_in = ["/mnt/readonly".to_owned(), sub("sub")];
    let from_the_start = [
        "/media/startos/rpc",
        "/media/startos/images/main",
        "/media/startos/volumes/main",
        "/usr/lib/startos/package",
    ];
    for path in taken_in.iter().map(String::as_str).chain(from_the_start) {
        let error = inside.refused(&["take-flags-off", path]);
        assert!(error.contains("not permitted"), "{path}: {error}");
    }
    // What it was born with it cannot uncover; what came later it may unmount.
    inside.refused(&["unmount", "/media/startos/images/main"]);
    inside.expect(&["unmount", "/mnt/readonly"], "");
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn id_mappings_are_applied_to_a_mount(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("mapped");
    let volume = &spec.volumes[0].dir;
    for (name, uid) in [("zero", 0), ("thousand", 1000), ("web", 33)] {
        fs::write(volume.join(name), name).unwrap();
        std::os::unix::fs::chown(volume.join(name), Some(uid), Some(uid)).unwrap();
    }
    let (_, mut inside) = host.start(&backend, &spec).await;
    let mut mount = volume_mount(&spec, "/mnt/mapped");
    mount.idmap = vec![IdMapping {
        from_id: 0,
        to_id: 1000,
        range: 1,
    }];
    backend.mount_into(&spec.instance, &mount).await.unwrap();
    inside.expect(&["owner", "/mnt/mapped/zero"], "1000:1000");
    inside.expect(&["owner", "/mnt/mapped/thousand"], "65534:65534");
    inside.expect(&["owner", "/mnt/mapped/web"], "33:33");
    // Root inside is nobody on this mount; who 1000 is inside is root on disk.
    assert!(
        inside
            .refused(&["write", "/mnt/mapped/mine", "x", "0"])
            .contains("too large")
    );
    inside.expect(&["write-as", "/mnt/mapped/zero", "written", "1000"], "");
    until("the write is done", async || {
        fs::read_to_string(volume.join("zero")).unwrap() == "written"
    })
    .await;
    assert_eq!(fs::metadata(volume.join("zero")).unwrap().uid(), 0);
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn files_and_subpaths_are_mounted_and_replaced(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("subpaths");
    let volume = &spec.volumes[0].dir;
    let (_, mut inside) = host.start(&backend, &spec).await;
    let mut mount = volume_mount(&spec, "/mnt/a/b/target");
    mount.subpath = "/made/here".into();
    for _ in 0..2 {
        backend.mount_into(&spec.instance, &mount).await.unwrap();
    }
    inside.expect(&["owner", "/mnt/a/b/target"], "0:0");
    inside.expect(&["write", "/mnt/a/b/target/x", "x", "5"], "");
    assert_eq!(fs::metadata(volume.join("made/here/x")).unwrap().uid(), 5);
    inside.expect(&["unmount", "/mnt/a/b/target"], "");
    inside.expect(&["list", "/mnt/a/b/target"], "");

    let mut file = volume_mount(&spec, "/mnt/file");
    file.subpath = "settings".into();
    file.kind = FileKind::File;
    backend.mount_into(&spec.instance, &file).await.unwrap();
    fs::write(volume.join("settings"), "one").unwrap();
    inside.expect(&["read", "/mnt/file"], "one");
    backend.mount_into(&spec.instance, &file).await.unwrap();
    inside.expect(&["read", "/mnt/file"], "one");
    file.kind = FileKind::Directory;
    let refused = backend.mount_into(&spec.instance, &file).await;
    assert!(
        matches!(refused, Err(OpError::UnusablePath { .. })),
        "{refused:?}"
    );

    let mut absent = volume_mount(&spec, "/mnt/absent");
    absent.subpath = "nothing".into();
    absent.readonly = true;
    backend
        .mount_into(&spec.instance, &absent)
        .await
        .unwrap_err();
    assert!(
        !volume.join("nothing").exists(),
        "a read-only mount makes nothing"
    );
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn mounts_that_come_later_reach_processes_with_mounts_of_their_own(
    host: &TestHost,
) {
    let backend = host.backend();
    let spec = host.spec("follows");
    fs::write(spec.volumes[0].dir.join("file"), "x").unwrap();
    let (_, mut inside) = host.start(&backend, &spec).await;
    inside.expect(&["watch-in-slave", "/mnt/later/file"], "");
    until("it has its own mounts", async || {
        inside.ask(&["exists", "/tmp/watching"]).unwrap() == "true"
    })
    .await;
    backend
        .mount_into(&spec.instance, &volume_mount(&spec, "/mnt/later"))
        .await
        .unwrap();
    until("the mount has reached it", async || {
        inside.ask(&["exists", "/tmp/seen"]).unwrap() == "true"
    })
    .await;
    backend.destroy(&spec.instance).await.unwrap();
}

pub(crate) async fn links_in_a_volume_lead_nowhere_else(host: &TestHost) {
    let backend = host.backend();
    let spec = host.spec("links");
    let volume = &spec.volumes[0].dir;
    symlink("/etc", volume.join("out")).unwrap();
    symlink("../../../../../../etc", volume.join("up")).unwrap();
    let (_, mut inside) = host.start(&backend, &spec).await;
    for name in ["out", "up"] {
        let mut mount = volume_mount(&spec, "/mnt/x");
        mount.subpath = name.into();
        let outcome = backend.mount_into(&spec.instance, &mount).await;
        // The link's target is looked for inside the volume, where it is not.
        outcome.unwrap_err();
        inside.expect(&["exists", "/mnt/x/passwd"], "false");
    }
    backend.destroy(&spec.instance).await.unwrap();
}
