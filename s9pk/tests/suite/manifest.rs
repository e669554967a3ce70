//! Reading manifests, and names in them.

use coppice_s9pk::{ImageSource, LocaleString, Manifest, ManifestError, PackageId, VolumeId};
use serde_json::{Value, json};

use crate::package::manifest;

fn read(value: &Value) -> Result<Manifest, ManifestError> {
    Manifest::from_json(&serde_json::to_vec(value).unwrap())
}

fn field_of(value: &Value) -> String {
    match read(value) {
        Err(ManifestError::Field { field, .. }) => field,
        other => panic!("expected an error in a field, got {other:?}"),
    }
}

#[test]
fn absent_fields_have_their_defaults() {
    let manifest = read(&manifest("hello", "1.0:0")).unwrap();
    assert_eq!(manifest.package_repo.as_str(), "https://example.com/");
    assert_eq!(manifest.os_version.to_string(), "0.4.0");
    assert_eq!((manifest.git_hash, manifest.sdk_version), (None, None));
    assert!(!manifest.hardware_acceleration && !manifest.virtual_networking);
    assert!(manifest.plugins.is_empty() && manifest.satisfies.is_empty());
    assert!(manifest.dependencies.is_empty());
    assert_eq!(manifest.hardware_requirements, Default::default());
}

#[test]
fn unknown_fields_are_ignored() {
    let mut value = manifest("hello", "1.0:0");
    value["alerts"] = json!({"install": "careful"});
    read(&value).unwrap();
}

#[test]
fn checks_that_restart_the_service_are_marked_with_a_time_and_absent_otherwise() {
    let mut value = manifest("hello", "1.0:0");
    let plain = String::from_utf8(read(&value).unwrap().to_json()).unwrap();
    assert!(!plain.contains("restartOnFailedCheck"), "{plain}");
    value["restartOnFailedCheck"] = json!({ "web": 300 });
    let marked = read(&value).unwrap();
    assert_eq!(marked.restart_on_failed_check["web"], 300);
    assert_eq!(Manifest::from_json(&marked.to_json()).unwrap(), marked);
    value["restartOnFailedCheck"] = json!({ "web": "soon" });
    assert_eq!(field_of(&value), "restartOnFailedCheck.web");
}

#[test]
fn the_version_keeps_its_spelling() {
    let read = read(&manifest("hello", "01.2:0")).unwrap();
    assert_eq!(read.version.as_str(), "01.2:0");
}

#[test]
fn every_required_field_is_named_when_it_is_absent() {
    let complete = manifest("hello", "1.0:0");
    for name in complete.as_object().unwrap().keys() {
        let mut value = complete.clone();
        value.as_object_mut().unwrap().remove(name);
        let error = read(&value).unwrap_err();
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
        assert_eq!(error.code(), 12);
    }
}

#[test]
fn row_15_bad_values_are_refused_with_their_field() {
    let cases = [
        ("id", json!("Hello"), "id"),
        ("id", json!("../x"), "id"),
        ("version", json!("1.0"), "version"),
        ("canMigrateTo", json!("garbage"), "canMigrateTo"),
        ("volumes", json!(["main", "Main"]), "volumes[1]"),
        ("volumes", json!(["x_system"]), "volumes[0]"),
        ("plugins", json!(["url-v1"]), "plugins[0]"),
        ("satisfies", json!(["1"]), "satisfies[0]"),
        ("upstreamRepo", json!("example"), "upstreamRepo"),
        ("osVersion", json!("0.4.0:1"), "osVersion"),
        ("dependencies", json!({"friend": {}}), "dependencies.friend"),
        (
            "images",
            json!({"main": {"source": "packed", "arch": "x86_64"}}),
            "images.main.arch",
        ),
        (
            "images",
            json!({"main": {"source": "web", "arch": []}}),
            "images.main.source",
        ),
        (
            "hardwareRequirements",
            json!({"device": [{"description": "", "class": "display", "vendor": "("}]}),
            "hardwareRequirements.device[0].vendor",
        ),
    ];
    for (name, wrong, field) in cases {
        let mut value = manifest("hello", "1.0:0");
        value[name] = wrong;
        let found = field_of(&value);
        assert!(
            found.starts_with(field),
            "{name}: {found} instead of {field}"
        );
    }
}

#[test]
fn texts_that_are_not_a_manifest_are_refused() {
    for text in ["", "[]", "{", "null", "{} {}"] {
        assert_eq!(
            Manifest::from_json(text.as_bytes()).unwrap_err().code(),
            12,
            "{text}"
        );
    }
    assert_eq!(Manifest::from_json(b"\"\xff\"").unwrap_err().code(), 13);
}

#[test]
fn every_kind_of_image_source_is_read() {
    let mut value = manifest("hello", "1.0:0");
    value["images"] = json!({
        "a": {"source": "packed", "arch": []},
        "b": {"source": {"dockerTag": "x:1"}, "arch": []},
        "c": {"source": {"dockerBuild": {}}, "arch": []},
        "d": {"source": {"dockerBuild": {"workdir": ".", "dockerfile": "D",
            "buildArgs": {"A": "1", "B": {"env": "HOME"}}}}, "arch": []},
    });
    let manifest = read(&value).unwrap();
    let sources: Vec<_> = manifest
        .images
        .values()
        .map(|image| &image.source)
        .collect();
    assert!(matches!(
        sources[..],
        [
            ImageSource::Packed,
            ImageSource::DockerTag(_),
            ImageSource::DockerBuild(_),
            ImageSource::DockerBuild(_)
        ]
    ));
    let written = serde_json::to_value(&manifest.images).unwrap();
    assert_eq!(written["d"]["source"], value["images"]["d"]["source"]);
}

#[test]
fn a_text_is_localised_by_exact_then_language_then_first() {
    let text: LocaleString =
        serde_json::from_str(r#"{"es_ES": "hola", "en_GB": "hullo", "en_US": "hello"}"#).unwrap();
    let cases = [
        ("en_US", "hello"),
        ("en_AU", "hullo"),
        ("es_MX", "hola"),
        ("fr_FR", "hola"),
    ];
    for (locale, expected) in cases {
        assert_eq!(text.localised(locale), expected, "{locale}");
    }
    assert_eq!(text.localised("en"), "hullo");
    assert_eq!(LocaleString::from("x").localised("de_DE"), "x");
    assert_eq!(LocaleString::Translated(vec![]).localised("de_DE"), "");
    let again = serde_json::to_string(&text).unwrap();
    assert_eq!(again, r#"{"es_ES":"hola","en_GB":"hullo","en_US":"hello"}"#);
}

#[test]
fn ids_follow_their_pattern() {
    for good in ["a", "a-b", "hello-world", "0", "x-9"] {
        assert!(PackageId::new(good).is_ok(), "{good}");
        assert!(VolumeId::new(good).is_ok(), "{good}");
    }
    for bad in [
        "", "-", "a-", "-a", "a--b", "A", "a_b", "a.b", "a/b", "é", "a b", "a\n",
    ] {
        assert!(PackageId::new(bad).is_err(), "{bad}");
        assert!(VolumeId::new(bad).is_err(), "{bad}");
    }
    assert!(PackageId::new("x_system").is_ok() && VolumeId::new("x_system").is_err());
    assert!(VolumeId::new("BACKUP").is_ok() && PackageId::new("BACKUP").is_err());
    assert_eq!(PackageId::new("A").unwrap_err().code(), 30);
}
