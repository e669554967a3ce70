//! Packing project folders.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use coppice_s9pk::pack::{
    PackError, PackOptions, PackStep, Packed, SquashStyle, create_build_key, find_build_key, pack,
    read_build_key, squash,
};
use coppice_s9pk::{Arch, Archive, Digest, Expected, ImageStart, Store, image_env};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::package::{manifest, vector};
use crate::project::Project;

fn open(packed: &Packed) -> Archive<File> {
    let archive =
        Archive::open(File::open(&packed.path).unwrap(), Some(packed.commitment)).unwrap();
    archive.verify_all().unwrap();
    archive
}

#[test]
fn what_is_packed_can_be_inspected_installed_and_put_together_again() {
    let project = Project::new();
    let mut steps = Vec::new();
    let packed = pack(&project.options(), &mut |step| steps.push(step)).unwrap();
    assert!(packed.warnings.is_empty());
    assert_eq!(packed.path, project.path().join("hello.s9pk"));
    assert_eq!(steps[0], PackStep::Manifest);
    assert!(matches!(steps.last(), Some(PackStep::Writing(_))));

    let archive = open(&packed);
    let tree = [
        "LICENSE.md",
        "assets.squashfs",
        "icon.svg",
        "images/",
        "images/x86_64/",
        "images/x86_64/main.env",
        "images/x86_64/main.json",
        "images/x86_64/main.squashfs",
        "instructions.md",
        "javascript.squashfs",
        "manifest.json",
    ];
    assert_eq!(archive.file_tree(), tree);
    assert_eq!(archive.manifest().unwrap(), packed.manifest);

    let bytes = fs::read(&packed.path).unwrap();
    assert_eq!(bytes.len() as u64, packed.size);
    let store = Store::open(project.path().join("store")).unwrap();
    let expected = Expected {
        arch: "x86_64".parse().unwrap(),
        commitment: Some(packed.commitment),
        ..Expected::any()
    };
    let file = File::open(&packed.path).unwrap();
    let mut go_on = |_| ControlFlow::Continue(());
    let installed = store.ingest_file(&file, &expected, &mut go_on).unwrap();
    let mut again = Vec::new();
    store.reassemble(&installed.root, &mut again).unwrap();
    assert_eq!(again, bytes);
    let image = installed.entries["images/x86_64/main.squashfs"];
    let listed = Command::new("unsquashfs")
        .arg("-ll")
        .arg(store.path_of(&image.hash))
        .output();
    assert!(
        String::from_utf8(listed.unwrap().stdout)
            .unwrap()
            .contains("squashfs-root/bin/hello")
    );
}

#[test]
fn the_same_project_gives_the_same_bytes_whenever_it_is_packed() {
    let project = Project::new();
    let first = fs::read(project.pack().unwrap().path).unwrap();
    fs::remove_file(project.path().join("hello.s9pk")).unwrap();
    // Code and assets were checked out anew, by somebody with another umask.
    let script = project.path().join("javascript/index.js");
    let copy = fs::read(&script).unwrap();
    fs::remove_file(&script).unwrap();
    fs::write(&script, copy).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o600)).unwrap();
    let second = fs::read(project.pack().unwrap().path).unwrap();
    assert_eq!(Digest::of(&first), Digest::of(&second));
}

#[test]
fn the_references_projects_give_the_references_contents() {
    let key = read_build_key(&vector("signing-key.pem")).unwrap();
    for name in ["hello-min", "hello-full"] {
        let project = Project::of_vector(name);
        let options = PackOptions::new(project.path(), key.clone());
        let packed = pack(&options, &mut |_| ()).unwrap();
        let ours = open(&packed);
        let theirs =
            Archive::open(File::open(vector(&format!("{name}.s9pk"))).unwrap(), None).unwrap();
        assert_eq!(ours.signer_hex(), theirs.signer_hex());
        assert_eq!(ours.file_tree(), theirs.file_tree());
        for (path, entry, _) in theirs.root().files() {
            match path.as_str() {
                // Squashed by another tool.
                "javascript.squashfs" | "assets.squashfs" => continue,
                // Theirs was packed in a repository.
                "manifest.json" => {
                    let mut manifest = theirs.manifest().unwrap();
                    manifest.git_hash = None;
                    let written = ours.read(&path, 1 << 20).unwrap();
                    assert_eq!(
                        String::from_utf8(written),
                        String::from_utf8(manifest.to_json())
                    );
                }
                _ => assert_eq!(
                    ours.root().get(&path).unwrap().hash,
                    entry.hash,
                    "{name}: {path}"
                ),
            }
        }
    }
}

#[test]
fn the_commit_and_whether_the_tree_differs_is_noted() {
    let project = Project::new();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(project.path()).args(arguments);
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    };
    assert_eq!(project.pack().unwrap().manifest.git_hash, None);
    git(&["init", "-q"]);
    git(&["add", "LICENSE", "icon.svg"]);
    git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "commit",
        "-qm",
        "first",
    ]);
    let clean = project.pack().unwrap().manifest.git_hash.unwrap();
    assert_eq!(clean.len(), 40);
    project.write("LICENSE", "other");
    let differs = project.pack().unwrap().manifest.git_hash.unwrap();
    assert_eq!(differs, format!("{clean}-modified"));
}

#[test]
fn every_part_of_a_project_is_asked_for_by_name() {
    for (path, named) in [
        ("javascript/index.js", "javascript/index.js"),
        ("icon.svg", "icon"),
        ("LICENSE", "LICENSE"),
        ("instructions.md", "instructions.md"),
    ] {
        let project = Project::new();
        fs::remove_file(project.path().join(path)).unwrap();
        let error = project.refused();
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(error.code(), 23);
    }
}

#[test]
fn several_icons_and_licences_are_refused() {
    for name in ["Icon.png", "license.txt"] {
        let project = Project::new();
        project.write(name, "x");
        let error = project.refused();
        assert!(matches!(error, PackError::Several { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_icon_keeps_its_ending_and_loses_its_capitals() {
    let project = Project::new();
    fs::rename(
        project.path().join("icon.svg"),
        project.path().join("ICON.svg"),
    )
    .unwrap();
    assert!(open(&project.pack().unwrap()).root().has_file("icon.svg"));
}

#[test]
fn a_bundle_of_two_files_is_packed_also_where_the_project_says_that_its_code_is_of_modules() {
    let project = Project::new();
    project.write("package.json", r#"{ "type": "module" }"#);
    project.write(
        "javascript/index.js",
        "exports.manifest = require('./index.cjs')",
    );
    let second = format!("module.exports = {}", manifest("hello", "1.0:0"));
    project.write("javascript/index.cjs", second);
    project.pack().unwrap();
}

#[test]
fn code_that_fails_says_why() {
    let project = Project::new();
    project.write(
        "javascript/index.js",
        "throw new TypeError('the moon is full')",
    );
    let error = project.refused();
    assert!(
        error.to_string().contains("TypeError: the moon is full"),
        "{error}"
    );
    project.write("javascript/index.js", "exports.other = 1");
    assert!(
        project
            .refused()
            .to_string()
            .contains("it exports no `manifest`")
    );
    let mut options = project.options();
    options.node = PathBuf::from("/nonexistent/node");
    let error = pack(&options, &mut |_| ()).unwrap_err();
    assert!(matches!(error, PackError::NoNode { .. }));
}

#[test]
fn a_wrong_manifest_names_its_field() {
    let project = Project::new();
    let mut wrong = manifest("hello", "1.0:0");
    wrong["volumes"] = json!(["Main"]);
    project.manifest(&wrong);
    let error = project.refused();
    assert!(error.to_string().contains("volumes[0]"), "{error}");
    assert_eq!(error.code(), 12);
}

#[test]
fn an_image_that_was_not_prepared_is_asked_for() {
    let project = Project::new();
    let mut wanted = manifest("hello", "1.0:0");
    wanted["images"]["main"]["source"] = json!({"dockerTag": "nginx:1"});
    project.manifest(&wanted);
    // Prepared files are taken whatever the source says.
    assert_eq!(
        project
            .pack()
            .unwrap()
            .manifest
            .images
            .values()
            .next()
            .unwrap()
            .source,
        coppice_s9pk::ImageSource::Packed
    );
    fs::remove_file(project.path().join("hello.s9pk")).unwrap();
    fs::remove_dir_all(project.path().join("images")).unwrap();
    let error = project.refused();
    let text = error.to_string();
    assert!(
        text.contains("images/x86_64/main/") && text.contains("`nginx:1`"),
        "{text}"
    );
    wanted["images"]["main"]["source"] = json!({"dockerBuild": {}});
    project.manifest(&wanted);
    assert!(project.refused().to_string().contains("Dockerfile"));
}

#[test]
fn a_prepared_image_needs_its_side_files_and_a_folder_gets_usual_ones() {
    let project = Project::new();
    let archive = open(&project.pack().unwrap());
    let json = archive.read("images/x86_64/main.json", 1000).unwrap();
    assert_eq!(
        json,
        br#"{"workdir":"/","user":"root","entrypoint":null,"cmd":null}"#
    );
    assert_eq!(ImageStart::from_json(&json).unwrap(), ImageStart::default());
    let env = image_env(&archive.read("images/x86_64/main.env", 1000).unwrap());
    assert_eq!(env[0].0, "PATH");
    fs::remove_file(project.path().join("hello.s9pk")).unwrap();

    project.write(
        "images/x86_64/main.json",
        r#"{"workdir": "", "user": null, "cmd": ["/bin/hello"]}"#,
    );
    project.write("images/x86_64/main.env", "A=b=c\nnothing\nD=");
    let archive = open(&project.pack().unwrap());
    let json = archive.read("images/x86_64/main.json", 1000).unwrap();
    assert_eq!(
        json,
        br#"{"workdir":"/","user":"root","entrypoint":null,"cmd":["/bin/hello"]}"#
    );
    let env = image_env(&archive.read("images/x86_64/main.env", 1000).unwrap());
    assert_eq!(
        env,
        [("A".into(), "b=c".into()), ("D".into(), String::new())]
    );
    fs::remove_file(project.path().join("hello.s9pk")).unwrap();

    project.write("images/x86_64/main.squashfs", "image");
    fs::remove_file(project.path().join("images/x86_64/main.env")).unwrap();
    let error = project.refused();
    assert!(error.to_string().contains("main.env"), "{error}");
    project.write("images/x86_64/main.env", "");
    project.write("images/x86_64/main.json", r#"{"cmd": "one text"}"#);
    let error = project.refused();
    assert!(matches!(error, PackError::ImageJson { .. }), "{error}");
}

#[test]
fn a_package_can_be_narrowed_to_some_architectures() {
    let project = Project::new();
    let mut both = manifest("hello", "1.0:0");
    both["images"]["main"]["arch"] = json!(["x86_64", "aarch64"]);
    project.manifest(&both);
    project.write("images/aarch64/main/bin/hello", "other");
    let narrowed = |arches: &[&str]| {
        let mut options = project.options();
        options.arch = arches.iter().map(|arch| arch.parse().unwrap()).collect();
        pack(&options, &mut |_| ())
    };
    let arch = |name: &str| BTreeSet::from([name.parse::<Arch>().unwrap()]);
    let packed = narrowed(&["aarch64"]).unwrap();
    assert_eq!(
        packed.manifest.hardware_requirements.arch,
        Some(arch("aarch64"))
    );
    assert!(!open(&packed).root().has_file("images/x86_64/main.json"));
    // Nothing for riscv64: it runs the emulated one.
    let packed = narrowed(&["riscv64"]).unwrap();
    assert_eq!(
        packed.manifest.images.values().next().unwrap().arch,
        arch("x86_64")
    );

    both["hardwareRequirements"] = json!({"arch": ["x86_64"]});
    both["images"]["main"]["emulateMissingAs"] = Value::Null;
    project.manifest(&both);
    assert!(matches!(
        narrowed(&["riscv64"]),
        Err(PackError::NoArchLeft(_))
    ));
    both["hardwareRequirements"] = Value::Null;
    both.as_object_mut().unwrap().remove("hardwareRequirements");
    project.manifest(&both);
    assert!(matches!(
        narrowed(&["riscv64"]),
        Err(PackError::NoImageLeft { .. })
    ));
}

#[test]
fn metadata_of_dependencies_must_be_at_hand() {
    let project = Project::new();
    let cases = [
        (
            json!({"metadata": {"title": "F", "icon": "https://example.com/i.png"}}),
            "download",
        ),
        (json!({"s9pk": "http://example.com/f.s9pk"}), "download"),
        (
            json!({"metadata": {"title": "F", "icon": "icon.txt"}}),
            "ending",
        ),
        (
            json!({"metadata": {"title": "F", "icon": "data:image/png;base64,%%"}}),
            "base64",
        ),
        (
            json!({"metadata": {"title": "F", "icon": "absent.png"}}),
            "absent.png",
        ),
        (json!({"s9pk": "LICENSE"}), "cannot be used"),
    ];
    for (metadata, named) in cases {
        let mut dependent = manifest("hello", "1.0:0");
        dependent["dependencies"]["friend"] = metadata;
        dependent["dependencies"]["friend"]["optional"] = json!(true);
        project.manifest(&dependent);
        let error = project.refused();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn icons_of_dependencies_come_from_data_urls_of_both_kinds() {
    let project = Project::new();
    for (url, path, contents) in [
        ("data:image/jpeg;base64,aGk=", "icon.pjp", "hi"),
        ("data:image/svg+xml;utf8,%3Csvg/%3E", "icon.svg", "<svg/>"),
    ] {
        let mut dependent = manifest("hello", "1.0:0");
        dependent["dependencies"]["friend"] =
            json!({"optional": true, "metadata": {"title": {"en_US": "F"}, "icon": url}});
        project.manifest(&dependent);
        let archive = open(&project.pack().unwrap());
        let icon = archive
            .read(&format!("dependencies/friend/{path}"), 100)
            .unwrap();
        assert_eq!(icon, contents.as_bytes());
        let metadata = archive
            .read("dependencies/friend/metadata.json", 100)
            .unwrap();
        assert_eq!(metadata, br#"{"title":{"en_US":"F"}}"#);
        assert!(
            archive
                .manifest()
                .unwrap()
                .dependencies
                .values()
                .all(|d| d.metadata.is_none())
        );
    }
}

#[test]
fn without_assets_the_package_only_warns() {
    let project = Project::new();
    let mut options = project.options();
    options.no_assets = true;
    let packed = pack(&options, &mut |_| ()).unwrap();
    assert_eq!(packed.warnings, ["the package has no assets"]);
}

#[test]
fn a_build_key_is_found_above_made_once_and_read_back() {
    let folder = TempDir::new().unwrap();
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    let place = folder.path().join(".startos/build-key");
    assert_ne!(find_build_key(&below), Some(place.clone()));
    let made: SigningKey = create_build_key(&place).unwrap();
    assert_eq!(find_build_key(&below), Some(place.canonicalize().unwrap()));
    assert_eq!(read_build_key(&place).unwrap().to_bytes(), made.to_bytes());
    assert_eq!(
        place.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(create_build_key(&place).unwrap_err().code(), 2);

    let public = fs::read_to_string(vector("signing-key.pub.hex")).unwrap();
    let key = read_build_key(&vector("signing-key.pem")).unwrap();
    let hex: String = key
        .verifying_key()
        .as_bytes()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(hex, public.trim());
    fs::write(below.join("no-key"), "secret").unwrap();
    assert_eq!(
        read_build_key(&below.join("no-key")).unwrap_err().code(),
        60
    );
}

#[test]
fn a_root_filesystem_keeps_its_links_modes_and_owners() {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::write(root.join("usr/bin/su"), vec![7; 300_000]).unwrap();
    fs::set_permissions(root.join("usr/bin/su"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    fs::create_dir(root.join("tmp")).unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    nix::unistd::mkfifo(
        &root.join("pipe"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    fs::write(root.join("Főtanúsítvány.crt"), "").unwrap();

    let images = ["a", "b"].map(|name| folder.path().join(name));
    for image in &images {
        squash(&root, image, SquashStyle::Faithful).unwrap();
    }
    assert_eq!(fs::read(&images[0]).unwrap(), fs::read(&images[1]).unwrap());
    let listed = Command::new("unsquashfs")
        .arg("-lln")
        .arg(&images[0])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for (start, end) in [
        ("-rwsr-xr-x", "squashfs-root/usr/bin/su"),
        ("lrwxrwxrwx", "squashfs-root/bin -> usr/bin"),
        ("drwxrwxrwt", "squashfs-root/tmp"),
        ("prw-------", "squashfs-root/pipe"),
        ("-rw-r--r--", "Főtanúsítvány.crt"),
    ] {
        let found = listed
            .lines()
            .any(|line| line.starts_with(start) && line.ends_with(end));
        assert!(found, "{start} {end} in\n{listed}");
    }
    assert!(!listed.contains("socket"));
}
