//! What makes an archive a package: rows 13 to 15 of the reject list, and the filter.

use coppice_s9pk::{Arch, ArchiveError, Contents, ContentsError};
use serde_json::json;

use crate::package::TestPackage;

fn check(package: &TestPackage, target: Option<&str>) -> Result<Contents, ContentsError> {
    let archive = package.open();
    let target: Option<Arch> = target.map(|arch| arch.parse().unwrap());
    match archive.contents(&archive.manifest().unwrap(), target.as_ref()) {
        Ok(contents) => Ok(contents),
        Err(ArchiveError::Contents(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

fn package() -> TestPackage {
    TestPackage::new("hello", "1.0:0")
}

#[test]
fn required_files_are_required() {
    for path in ["LICENSE.md", "javascript.squashfs"] {
        let error = check(&package().without(path), None).unwrap_err();
        assert_eq!(error, ContentsError::Lacks(path.into()));
        assert_eq!(error.code(), 18);
    }
    let error = check(&package().without("icon.png"), None).unwrap_err();
    assert!(matches!(error, ContentsError::Lacks(_)));
}

#[test]
fn instructions_and_assets_are_only_missed() {
    let package = package()
        .without("instructions.md")
        .without("assets.squashfs");
    let contents = check(&package, None).unwrap();
    assert_eq!(contents.warnings().len(), 2);
}

#[test]
fn an_assets_folder_stands_in_for_the_image() {
    let package = package()
        .without("assets.squashfs")
        .with("assets/a/b.txt", "b");
    let contents = check(&package, None).unwrap();
    assert!(contents.files().contains("assets/a/b.txt"));
    assert!(contents.warnings().is_empty());
}

#[test]
fn two_icons_are_an_error_and_other_endings_are_ignored() {
    let two = package().with("icon.svg", "<svg/>");
    let error = check(&two, None).unwrap_err();
    assert_eq!(
        error,
        ContentsError::TwoIcons("icon.png".into(), "icon.svg".into())
    );
    assert_eq!(error.code(), 18);

    let odd = package()
        .with("icon.txt", "no")
        .with("icon.PNG", "no")
        .with("icon-2.png", "no");
    let contents = check(&odd, None).unwrap();
    assert_eq!(contents.icon(), "icon.png");
    assert!(!contents.files().contains("icon-2.png"));
}

#[test]
fn a_huge_icon_is_refused() {
    let package = package()
        .without("icon.png")
        .with("icon.png", vec![0; (1 << 20) + 1]);
    assert!(matches!(
        check(&package, None),
        Err(ContentsError::IconTooLarge { .. })
    ));
}

#[test]
fn an_image_needs_all_three_files() {
    for part in ["json", "env"] {
        let path = format!("images/x86_64/main.{part}");
        let error = check(&package().without(&path), None).unwrap_err();
        let image = "main".parse().unwrap();
        assert_eq!(error, ContentsError::ImagePart { image, path });
        assert_eq!(error.code(), 18);
    }
}

#[test]
fn a_machine_gets_its_own_image_or_the_emulated_one() {
    let both = package()
        .field(
            "images",
            json!({"main": {"source": "packed", "arch": ["x86_64", "aarch64"],
            "emulateMissingAs": "x86_64"}}),
        )
        .with("images/aarch64/main.squashfs", "a")
        .with("images/aarch64/main.json", "a")
        .with("images/aarch64/main.env", "a");
    let files = |target| check(&both, target).unwrap().files().clone();
    assert!(files(Some("aarch64")).contains("images/aarch64/main.env"));
    assert!(!files(Some("aarch64")).contains("images/x86_64/main.env"));
    assert!(files(Some("riscv64")).contains("images/x86_64/main.env"));
    assert_eq!(
        files(None)
            .iter()
            .filter(|path| path.starts_with("images/"))
            .count(),
        6
    );
}

#[test]
fn an_image_that_may_not_be_emulated_must_exist() {
    let package = package().field(
        "images",
        json!({"main": {"source": "packed", "arch": ["x86_64"]}}),
    );
    let error = check(&package, Some("aarch64")).unwrap_err();
    assert!(
        matches!(error, ContentsError::ImageForArch { .. }),
        "{error}"
    );
    check(&package, Some("x86_64")).unwrap();
    let error = check(&package, None).unwrap_err();
    assert_eq!(error, ContentsError::ArchUnknown("main".parse().unwrap()));
    assert_eq!(error.code(), 18);
}

#[test]
fn the_emulated_architecture_must_be_one_of_the_image() {
    let package = package().field(
        "images",
        json!({"main": {"source": "packed", "arch": ["x86_64"], "emulateMissingAs": "aarch64"}}),
    );
    let error = check(&package, None).unwrap_err();
    assert!(matches!(error, ContentsError::EmulatedArch { .. }));
    assert_eq!(error.code(), 18);
}

#[test]
fn every_required_architecture_needs_the_image() {
    let package = package()
        .field(
            "images",
            json!({"main": {"source": "packed", "arch": ["x86_64"]}}),
        )
        .field(
            "hardwareRequirements",
            json!({"arch": ["x86_64", "aarch64"]}),
        );
    assert!(matches!(
        check(&package, None),
        Err(ContentsError::ImageForArch { .. })
    ));
    check(&package, Some("x86_64")).unwrap();
}

#[test]
fn a_package_for_other_machines_is_refused() {
    let package = package().field("hardwareRequirements", json!({"arch": ["x86_64"]}));
    let error = check(&package, Some("riscv64")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`hello` is made for x86_64, this machine is riscv64; look for a package for riscv64"
    );
    assert_eq!(error.code(), 24);
}

#[test]
fn metadata_counts_only_for_declared_dependencies() {
    let package = package()
        .field("dependencies", json!({"friend": {"optional": true}}))
        .with("dependencies/friend/metadata.json", "{}")
        .with("dependencies/friend/icon.svg", "<svg/>")
        .with("dependencies/friend/notes.txt", "no")
        .with("dependencies/stranger/metadata.json", "{}");
    let files = check(&package, None).unwrap().files().clone();
    assert!(files.contains("dependencies/friend/metadata.json"));
    assert!(files.contains("dependencies/friend/icon.svg"));
    assert!(!files.contains("dependencies/friend/notes.txt"));
    assert!(!files.contains("dependencies/stranger/metadata.json"));
}

#[test]
fn only_known_endings_make_an_icon() {
    assert_eq!(coppice_s9pk::icon_mime("pjp"), Some("image/jpeg"));
    assert_eq!(coppice_s9pk::icon_mime("svg"), Some("image/svg+xml"));
    assert_eq!(coppice_s9pk::icon_mime("PNG"), None);
    assert_eq!(coppice_s9pk::icon_mime("ico"), None);
}
