//! What must hold for all versions and ranges.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic like tests")]

use coppice_exver::{ExtendedVersion, Flavor, Operator, Version, VersionRange, VersionString};
use proptest::prelude::*;

/// Few numbers, so that versions often meet.
fn any_version() -> impl Strategy<Value = Version> {
    let numbers = proptest::collection::vec(0u64..3, 1..4);
    let prerelease = proptest::option::of("(0|1|a|a-b)(\\.(0|1|a))?");
    (numbers, prerelease).prop_map(|(numbers, prerelease)| {
        let plain = Version::new(numbers).to_string();
        let text = prerelease.map_or(plain.clone(), |prerelease| format!("{plain}-{prerelease}"));
        text.parse().unwrap()
    })
}

fn any_flavor() -> impl Strategy<Value = Option<Flavor>> {
    proptest::option::weighted(0.5, "[ab]".prop_map(|name| Flavor::new(&name).unwrap()))
}

fn any_extended() -> impl Strategy<Value = ExtendedVersion> {
    (any_flavor(), any_version(), any_version()).prop_map(|(flavor, upstream, downstream)| {
        ExtendedVersion::new(flavor, upstream, downstream)
    })
}

fn any_range() -> impl Strategy<Value = VersionRange> {
    let operator = prop_oneof![
        Just(Operator::Equal),
        Just(Operator::NotEqual),
        Just(Operator::Less),
        Just(Operator::LessOrEqual),
        Just(Operator::Greater),
        Just(Operator::GreaterOrEqual),
    ];
    let leaf = prop_oneof![
        1 => Just(VersionRange::any()),
        1 => Just(VersionRange::none()),
        1 => any_flavor().prop_map(VersionRange::flavor),
        6 => (operator, any_extended()).prop_map(|(op, v)| VersionRange::anchor(op, v)),
        1 => any_extended().prop_map(VersionRange::caret),
        1 => any_extended().prop_map(VersionRange::tilde),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.prop_map(VersionRange::not),
        ]
    })
}

proptest! {
    #[test]
    fn versions_print_to_what_they_were(v in any_extended()) {
        let again: ExtendedVersion = v.to_string().parse().unwrap();
        prop_assert_eq!(&again, &v);
        prop_assert_eq!(again.to_string(), v.to_string());
    }

    #[test]
    fn the_order_of_versions_is_consistent(a in any_extended(), b in any_extended(), c in any_extended()) {
        prop_assert_eq!(a.partial_cmp(&b), b.partial_cmp(&a).map(std::cmp::Ordering::reverse));
        prop_assert_eq!(a == b, a.partial_cmp(&b) == Some(std::cmp::Ordering::Equal));
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        let (x, y) = (VersionString::from(a.clone()), VersionString::from(b.clone()));
        if let Some(order) = a.partial_cmp(&b) {
            prop_assert_eq!(x.cmp(&y), order);
        } else {
            prop_assert_ne!(x, y);
        }
    }

    #[test]
    fn ranges_print_to_what_they_were(r in any_range(), v in any_extended()) {
        let printed = r.to_string();
        let again: VersionRange = printed.parse().unwrap();
        prop_assert_eq!(again.contains(&v), r.contains(&v), "{}", printed);
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn and_or_and_not_mean_what_they_say(a in any_range(), b in any_range(), v in any_extended()) {
        let (in_a, in_b) = (a.contains(&v), b.contains(&v));
        prop_assert_eq!(a.clone().and(b.clone()).contains(&v), in_a && in_b);
        prop_assert_eq!(a.clone().or(b.clone()).contains(&v), in_a || in_b);
        prop_assert_eq!(a.not().contains(&v), !in_a);
    }

    #[test]
    fn the_laws_of_boolean_algebra_hold(a in any_range(), b in any_range(), c in any_range()) {
        let same = |x: VersionRange, y: VersionRange| prop_assert_eq_ok(&x, &y);
        same(a.clone().and(b.clone()), b.clone().and(a.clone()))?;
        same(a.clone().or(b.clone()), b.clone().or(a.clone()))?;
        same(a.clone().and(b.clone()).and(c.clone()), a.clone().and(b.clone().and(c.clone())))?;
        same(a.clone().or(b.clone()).or(c.clone()), a.clone().or(b.clone().or(c.clone())))?;
        same(
            a.clone().and(b.clone().or(c.clone())),
            a.clone().and(b.clone()).or(a.clone().and(c.clone())),
        )?;
        same(
            a.clone().or(b.clone().and(c.clone())),
            a.clone().or(b.clone()).and(a.clone().or(c)),
        )?;
        same(a.clone().and(b.clone()).not(), a.clone().not().or(b.clone().not()))?;
        same(a.clone().or(b.clone()).not(), a.clone().not().and(b.not()))?;
        same(a.clone().and(VersionRange::any()), a.clone())?;
        same(a.clone().or(VersionRange::none()), a.clone())?;
        same(a.clone().and(VersionRange::none()), VersionRange::none())?;
        same(a.clone().or(VersionRange::any()), VersionRange::any())?;
        same(a.clone().and(a.clone().not()), VersionRange::none())?;
        same(a.clone().or(a.clone().not()), VersionRange::any())?;
        same(a.clone().not().not(), a)?;
    }

    #[test]
    fn what_contains_a_version_is_satisfiable(r in any_range(), v in any_extended()) {
        if r.contains(&v) {
            prop_assert!(r.satisfiable());
        }
        prop_assert_eq!(r.satisfiable(), r.simplified() != VersionRange::none());
    }

    #[test]
    fn intersecting_is_symmetric_and_agrees_with_versions(
        a in any_range(), b in any_range(), v in any_extended()
    ) {
        prop_assert_eq!(a.intersects(&b), b.intersects(&a));
        if a.contains(&v) && b.contains(&v) {
            prop_assert!(a.intersects(&b));
        }
    }

    #[test]
    fn simplifying_changes_no_answer_and_happens_once(r in any_range(), v in any_extended()) {
        let simple = r.simplified();
        prop_assert_eq!(simple.contains(&v), r.contains(&v), "{} became {}", r, simple);
        prop_assert_eq!(simple.simplified(), simple);
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "[0-9a-z#:.<>=!^~()|& *-]{0,24}") {
        let _ = text.parse::<ExtendedVersion>();
        let _ = text.parse::<Version>();
        if let Ok((range, rest)) = VersionRange::parse_prefix(&text) {
            prop_assert!(text.ends_with(rest));
            prop_assert_eq!(range.to_string().parse::<VersionRange>().unwrap(), range);
        }
    }
}

/// Two ranges are the same set exactly when they simplify alike.
fn prop_assert_eq_ok(x: &VersionRange, y: &VersionRange) -> Result<(), TestCaseError> {
    prop_assert_eq!(x.simplified(), y.simplified(), "{} and {}", x, y);
    Ok(())
}
