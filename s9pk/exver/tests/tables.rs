//! The tables of expected results, which are those of StartOS's own implementation.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use std::cmp::Ordering;

use coppice_exver::{ExtendedVersion, RangeError, Version, VersionRange, VersionString};

fn version(text: &str) -> ExtendedVersion {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// As packages are read: the longest beginning counts.
fn range(text: &str) -> VersionRange {
    VersionRange::parse_prefix(text)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .0
}

#[test]
fn versions_satisfy_ranges_as_expected() {
    let table = [
        ("1:0", "*", true),
        ("#foo:1:0", "*", true),
        ("1:0", "!", false),
        ("1.2.3:0", "=1.2.3", true),
        ("1.2.3:1", "=1.2.3", false),
        ("1.0.0:0", "=1", true),
        ("1.2:0", "=1.2.0:0.0", true),
        ("1.2.3:4.1", ">1.2.3:4", true),
        ("1.2.3:4", ">1.2.3:4", false),
        ("2-beta.123:0", ">1.2.3:4", true),
        ("2-beta.123:0", ">=2", false),
        ("2-beta.123:0", "<2", true),
        ("2-beta.1:0", "^1", true),
        ("1.9.9:7", "^1.2.3", true),
        ("2.0.0:0", "^1.2.3", false),
        ("1.2.2:9", "^1.2.3", false),
        ("1.9:0", "1.2.3", true),
        ("0.2.9:0", "^0.2.3", true),
        ("0.3.0:0", "^0.2.3", false),
        ("0.0.3:0", "^0.0.3", true),
        ("0.0.4:0", "^0.0.3", false),
        ("0.5:0", "^0", true),
        ("1:0", "^0", false),
        ("0.5:0", "^0.0", true),
        ("1.2.9:0", "~1.2.3", true),
        ("1.3:0", "~1.2.3", false),
        ("1.0.9:0", "~1", true),
        ("1.1:0", "~1", false),
        ("0.2.3:5", "~0.2.3", true),
        ("0.2.4:0", "~0.2.3", false),
        ("1.3:0", "!~1.2", true),
        ("1.2.1:0", "!~1.2", false),
        ("#foo:9:0", "!>1.2.3:4", true),
        ("#foo:9:0", ">1:0", false),
        ("#foo:9:0", "=1:0", false),
        ("#foo:9:0", "!=1:0", true),
        ("#foo:1.2:0", "#foo", true),
        ("1.2:0", "#foo", false),
        ("1.2:0", "#", true),
        ("#foo:1.2:0", "#", false),
        ("#foo:1.2:0", "!#foo", false),
        ("#foo:1.2:0", "^#foo:1", true),
        ("#bar:1.2:0", "^#foo:1", false),
        ("#knots:29.1:0", "^29 || ^#knots:29", true),
        ("29.1:0", "^29 || ^#knots:29", true),
        ("2:0", ">1 <=2", true),
        ("2.1:0", ">1 <=2", false),
        ("1.1:0", "<1 || =2", false),
        ("2:0", ">1 && =1.2 || =2", true),
        ("3:0", "<1.5 && >1 || >1.5 && <3", false),
        ("2:0", "<1.5 && >1 || >1.5 && <3", true),
        ("1:0", "=1 || =2 && =3", false),
        ("1:0", "=1 || (=2 && =3)", true),
        ("5:0", "=1 || =2 >4", true),
        ("1:0", "!(=1 || =2)", false),
        ("3:0", "!(=1 || =2)", true),
        ("1.2.3-beta.2:0", "^1.2.3-beta.1", true),
        ("2-beta.0:0", "^1.2.3-beta.1", true),
        ("1:0", ">= 1", true),
        ("1.2:0", ">1 garbage", true),
    ];
    for (v, r, expected) in table {
        assert_eq!(version(v).satisfies(&range(r)), expected, "{v} in {r}");
        assert_eq!(
            version(v).satisfies(&range(r).simplified()),
            expected,
            "{v} in simplified {r}"
        );
    }
}

#[test]
fn versions_compare_as_expected() {
    use Ordering::{Equal, Greater, Less};
    let table = [
        ("1:0", "1.0.0:0.0", Some(Equal)),
        ("1.2.3:0", "1.2.3:1", Some(Less)),
        ("1.10:0", "1.9:0", Some(Greater)),
        ("0.3.5.1:0", "0.3.5:9", Some(Greater)),
        ("1.2:0.1", "1.2:0", Some(Greater)),
        ("1.2.3-beta.1:0", "1.2.3:0", Some(Less)),
        ("1.2.3-beta.2:0", "1.2.3-beta.10:0", Some(Less)),
        ("1.2.3-1:0", "1.2.3-a:0", Some(Less)),
        ("1.2.3-alpha:0", "1.2.3-alpha.0:0", Some(Less)),
        ("1.2.3-A:0", "1.2.3-a:0", Some(Less)),
        ("1.2.3-a-b:0", "1.2.3-a:0", Some(Greater)),
        ("1.2.3:0-beta.0", "1.2.3:0", Some(Less)),
        ("1.2.3:0-beta.0", "1.2.3:0-alpha.9", Some(Greater)),
        ("#foo:1:0", "1:0", None),
        ("#foo:1:0", "#bar:1:0", None),
        ("#foo:1:0", "#foo:2:0", Some(Less)),
    ];
    for (a, b, expected) in table {
        assert_eq!(version(a).partial_cmp(&version(b)), expected, "{a} and {b}");
        let mirrored = expected.map(Ordering::reverse);
        assert_eq!(version(b).partial_cmp(&version(a)), mirrored, "{b} and {a}");
        assert_eq!(
            version(a) == version(b),
            expected == Some(Equal),
            "{a} and {b}"
        );
    }
}

#[test]
fn texts_that_are_no_versions_are_refused() {
    let wrong = [
        "1.2.3",
        "#Foo:1:0",
        "#foo-x:1:0",
        "#foo1:1:0",
        "1.2-01:0",
        "1.2-:0",
        "1.2-a_b:0",
        "1..3:0",
        "1:0:0",
        "v1:0",
        " 1:0",
        "18446744073709551616:0",
        "",
        ":",
        "1:",
        ":1",
        "+1:0",
        "1:0 ",
        "#foo:1",
        "#foo",
        "1.2-a..b:0",
        "1.2-18446744073709551616:0",
    ];
    for text in wrong {
        assert!(text.parse::<ExtendedVersion>().is_err(), "{text}");
    }
    assert!("1:0".parse::<Version>().is_err());
}

#[test]
fn odd_spellings_of_versions_are_read() {
    for (text, printed) in [
        ("1.2-beta.1:0-rc.2", "1.2-beta.1:0-rc.2"),
        ("01.2:0", "1.2:0"),
        ("#:1:0", "1:0"),
        ("1.0.0:0", "1.0.0:0"),
        ("18446744073709551615:0", "18446744073709551615:0"),
    ] {
        assert_eq!(version(text).to_string(), printed);
        assert_eq!(text.parse::<VersionString>().unwrap().to_string(), text);
    }
}

#[test]
fn an_error_says_what_is_wrong_with_which_part() {
    let said = |text: &str| text.parse::<ExtendedVersion>().unwrap_err().to_string();
    assert_eq!(
        said("1.2.3"),
        "`1.2.3` lacks its downstream version; add `:0`, as in `1.2.3:0`"
    );
    assert!(said("#Foo:1:0").starts_with("`Foo` is not a flavor"));
    assert!(said("1.x:0").starts_with("`x` is not a number"));
    assert!(said("1-01:0").starts_with("`01` is not a prerelease segment"));
}

#[test]
fn ranges_print_and_are_satisfiable_as_expected() {
    let table = [
        ("1", ">=1:0 <2:0", true),
        ("^1.2.3", ">=1.2.3:0 <2:0", true),
        ("~1.2.3", ">=1.2.3:0 <1.3:0", true),
        ("^0.0.0", ">=0.0.0:0 <1:0", true),
        ("^0.0.1", ">=0.0.1:0 <0.0.2:0", true),
        ("~0", ">=0:0 <0.1:0", true),
        ("~0.0.1", ">=0.0.1:0 <0.0.1.1:0", true),
        ("~1-rc.1", ">=1-rc.1:0 <1.1-rc.1:0", true),
        ("!(>=1 && <2)", "(!>=1:0) || (!<2:0)", true),
        ("!!=1", "=1:0", true),
        ("!*", "!", false),
        ("!!", "*", true),
        ("#foo && >=#foo:1", "(#foo) >=#foo:1:0", true),
        ("!#foo", "!(#foo)", true),
        ("=1 && =2", "=1:0 =2:0", false),
        ("#a && #b", "(#a) (#b)", false),
        ("* && >1", ">1:0", true),
        ("! || >1", ">1:0", true),
        (">=1 || <2 =3", "(>=1:0 || <2:0) || =3:0", true),
        ("=#:1", "=1:0", true),
    ];
    for (text, printed, satisfiable) in table {
        let range: VersionRange = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(range.to_string(), printed, "{text}");
        assert_eq!(range.satisfiable(), satisfiable, "{text}");
        assert_eq!(printed.parse::<VersionRange>().unwrap(), range, "{text}");
    }
}

#[test]
fn texts_that_are_no_ranges_are_refused() {
    for text in [
        "", " >=1", "garbage", "(", "(>1", "(>1 || )", ">", "^", "&&", "|| >1",
    ] {
        let error = VersionRange::parse_prefix(text).unwrap_err();
        assert!(matches!(error, RangeError::NotARange(_)), "{text}");
        assert!(text.parse::<VersionRange>().is_err(), "{text}");
    }
}

#[test]
fn trailing_text_is_refused_from_people_and_ignored_in_packages() {
    for (text, read, rest) in [
        (">1 garbage", ">1:0", " garbage"),
        (">=1\t&& <2", ">=1:0", "\t&& <2"),
        ("#Foo", "#", "Foo"),
        (">1 &&", ">1:0", " &&"),
        (">1)", ">1:0", ")"),
        ("=1:", "=1:0", ":"),
        ("=1-", "=1:0", "-"),
        ("=1.", "=1:0", "."),
    ] {
        let (range, left) = VersionRange::parse_prefix(text).unwrap();
        assert_eq!((range.to_string().as_str(), left), (read, rest), "{text}");
        let error = text.parse::<VersionRange>().unwrap_err();
        assert!(matches!(error, RangeError::Trailing { .. }), "{text}");
        let json = serde_json::to_string(text).unwrap();
        assert_eq!(
            serde_json::from_str::<VersionRange>(&json).unwrap(),
            range,
            "{text}"
        );
    }
    assert_eq!(">1 ".parse::<VersionRange>().unwrap(), range(">1"));
}

#[test]
fn a_leading_zero_ends_a_number_of_a_range() {
    assert_eq!(range(">=01").to_string(), ">=0:0 (>=1:0 <2:0)");
}

#[test]
fn endless_nesting_is_refused() {
    for text in [
        "(".repeat(100_000),
        "!".repeat(100_000) + "=1",
        "=1 ".repeat(100_000),
    ] {
        assert_eq!(
            VersionRange::parse_prefix(&text).unwrap_err(),
            RangeError::TooComplex
        );
    }
    let deep = format!("{}=1{}", "(".repeat(50), ")".repeat(50));
    assert_eq!(range(&deep), range("=1"));
}

#[test]
fn ranges_intersect_as_expected() {
    for (a, b, expected) in [
        ("^#knots:29:0", "<=29.3:10", false),
        (">=1", "<1", false),
        (">=1", "<=1", true),
        ("#", "^1", true),
        ("!#foo", "#bar", true),
    ] {
        assert_eq!(range(a).intersects(&range(b)), expected, "{a} and {b}");
        assert_eq!(range(b).intersects(&range(a)), expected, "{b} and {a}");
    }
    assert!(range(">1:0 && <1:0.0.1").satisfiable());
}

#[test]
fn simplification_finds_the_shortest_form() {
    for (text, simplified) in [
        (">=1 && >=2", ">=2:0"),
        ("=1 && =2", "!"),
        (">=1 || <1", "#"),
        ("!>1", "!>1:0"),
        ("# || !#", "*"),
        (">=1 <=1", "=1:0"),
        ("<1 || >1", "<1:0 || >1:0"),
        ("!=1", "!=1:0"),
        ("#a || ^#b:1", "(#a) || (>=#b:1:0 <#b:2:0)"),
        ("(>=1 <3) && (>=2 <4)", ">=2:0 <3:0"),
    ] {
        let expected: VersionRange = simplified.parse().unwrap();
        let found = range(text).simplified();
        // Two spellings of one set simplify alike, whatever the order of their parts.
        assert_eq!(found, expected.simplified(), "{text}: {found}");
    }
    assert_eq!(range(">=1 && >=2").simplified().to_string(), ">=2:0");
    assert_eq!(range("=1 && =2").simplified().to_string(), "!");
    assert_eq!(range("# || !#").simplified().to_string(), "*");
}

#[test]
fn system_versions_stand_in_ranges_without_flavor_and_downstream() {
    let version: Version = "0.4.0".parse().unwrap();
    assert!(version.satisfies(&range("=0.4")));
    assert!(!version.satisfies(&range(">0.4")));
    assert!(!version.satisfies(&range("#foo")));
}

#[test]
fn version_strings_keep_their_spelling_and_sort_totally() {
    let texts = ["1.0:0", "#b:1:0", "01:0", "#a:9:0", "0.9:0", "#b:0.9:0"];
    let mut versions: Vec<VersionString> = texts.iter().map(|t| t.parse().unwrap()).collect();
    versions.sort();
    let sorted: Vec<_> = versions.iter().map(VersionString::as_str).collect();
    assert_eq!(
        sorted,
        ["#a:9:0", "#b:0.9:0", "#b:1:0", "0.9:0", "1.0:0", "01:0"]
    );
    assert_eq!(versions[4], versions[5]);
}

#[test]
fn every_type_is_a_string_in_json() {
    let version: VersionString = serde_json::from_str("\"01.2:0\"").unwrap();
    assert_eq!(serde_json::to_string(&version).unwrap(), "\"01.2:0\"");
    let extended: ExtendedVersion = serde_json::from_str("\"01.2:0\"").unwrap();
    assert_eq!(serde_json::to_string(&extended).unwrap(), "\"1.2:0\"");
    let plain: Version = serde_json::from_str("\"1.2-rc.1\"").unwrap();
    assert_eq!(serde_json::to_string(&plain).unwrap(), "\"1.2-rc.1\"");
    let range: VersionRange = serde_json::from_str("\"^1.2\"").unwrap();
    assert_eq!(serde_json::to_string(&range).unwrap(), "\">=1.2:0 <2:0\"");
    assert!(serde_json::from_str::<ExtendedVersion>("7").is_err());
}
