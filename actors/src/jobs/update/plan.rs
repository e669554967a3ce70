//! Whether one version of a package may follow another, and which of the two turns the data into what the new
//! one expects: `service-abi.md` §3.2. Pure.

use coppice_exver::{ExtendedVersion, VersionRange};

/// One of the two versions: which it is, and what data it is ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) version: &'a ExtendedVersion,
    /// Of the installed one `canMigrateTo`, of the new one `canMigrateFrom`.
    pub(super) migrates: &'a VersionRange,
}

/// How the data gets from one version to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// What the installed package's `uninit` is told.
    pub(super) target: String,
    /// Only the installed package can do it, so it must be up to be asked.
    pub(super) by_old: bool,
}

/// Neither version can turn the data into what the new one expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{to} takes over data of {accepts}, there is data of {data}, and {from} turns it into {reaches} only; \
     install a version in between first"
)]
pub(super) struct CannotFollow {
    from: String,
    to: String,
    data: String,
    accepts: String,
    reaches: String,
}

/// Plans the way from `old` to `new`, with data of version `data`: a version or, in the midst of a migration, a
/// range.
pub(super) fn plan(
    data: Option<&str>,
    old: End<'_>,
    new: End<'_>,
) -> Result<Plan, Box<CannotFollow>> {
    let by = |target: String, by_old| Ok(Plan { target, by_old });
    let Some(data) = data else {
        return by(old.version.to_string(), false);
    };
    let accepted = match data.parse::<ExtendedVersion>() {
        Ok(version) => new.migrates.contains(&version),
        Err(_) => data
            .parse::<VersionRange>()
            .is_ok_and(|range| range.intersects(new.migrates)),
    };
    if accepted {
        return by(data.to_owned(), false);
    }
    if old.migrates.contains(new.version) {
        return by(new.version.to_string(), true);
    }
    let both = old.migrates.clone().and(new.migrates.clone());
    if both.satisfiable() {
        return by(both.to_string(), true);
    }
    Err(Box::new(CannotFollow {
        from: old.version.to_string(),
        to: new.version.to_string(),
        data: data.to_owned(),
        accepts: new.migrates.to_string(),
        reaches: old.migrates.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(
        data: Option<&str>,
        old: (&str, &str),
        new: (&str, &str),
    ) -> Result<(String, bool), String> {
        let parsed = |(version, range): (&str, &str)| {
            (
                version.parse::<ExtendedVersion>().unwrap(),
                range.parse::<VersionRange>().unwrap(),
            )
        };
        let (old, new) = (parsed(old), parsed(new));
        let end = |(version, migrates)| End { version, migrates };
        let plan = plan(data, end((&old.0, &old.1)), end((&new.0, &new.1)));
        plan.map(|plan| (plan.target, plan.by_old))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_data_version_the_installed_one_is_told_its_own() {
        let plan = planned(None, ("1.0:0", "!"), ("2.0:0", "!"));
        assert_eq!(plan.unwrap(), ("1.0:0".to_owned(), false));
    }

    #[test]
    fn data_that_the_new_version_takes_over_stays_as_it_is() {
        let plan = planned(Some("1.0:0"), ("1.0:0", "!"), ("2.0:0", ">=1.0:0"));
        assert_eq!(plan.unwrap(), ("1.0:0".to_owned(), false));
    }

    #[test]
    fn data_in_the_midst_of_a_migration_is_taken_over_where_the_ranges_meet() {
        let half = Some(">=1.0:0 <1.5:0");
        let plan = planned(half, ("1.5:0", "!"), ("2.0:0", ">=1.2:0"));
        assert_eq!(plan.unwrap(), (">=1.0:0 <1.5:0".to_owned(), false));
        planned(half, ("1.5:0", "!"), ("2.0:0", ">=1.6:0")).unwrap_err();
    }

    #[test]
    fn a_downgrade_goes_by_the_installed_version_where_that_allows_it() {
        let old = ("2.0:0", ">=1.0:0 <=2.0:0");
        let plan = planned(Some("2.0:0"), old, ("1.0:0", "<=1.0:0"));
        assert_eq!(plan.unwrap(), ("1.0:0".to_owned(), true));
    }

    #[test]
    fn where_only_a_version_in_between_suits_both_the_installed_one_is_told_the_range() {
        let old = ("3.0:0", "=2.0:0");
        let plan = planned(Some("3.0:0"), old, ("2.5:0", ">=1.0:0 <=2.0:0"));
        let (target, by_old) = plan.unwrap();
        assert!(by_old);
        let range: VersionRange = target.parse().unwrap();
        assert!(range.contains(&"2.0:0".parse().unwrap()));
        assert!(!range.contains(&"1.9:0".parse().unwrap()));
    }

    #[test]
    fn a_version_that_nothing_leads_to_is_refused_with_all_that_counts() {
        let refused = planned(Some("2.0:0"), ("2.0:0", "!"), ("1.0:0", "<=1.0:0")).unwrap_err();
        for named in [
            "1.0:0 takes over data of <=1.0:0",
            "data of 2.0:0",
            "into !",
        ] {
            assert!(refused.contains(named), "{named} is not in: {refused}");
        }
    }

    #[test]
    fn data_of_another_flavor_is_no_data_of_this_one() {
        planned(
            Some("#fork:1.0:0"),
            ("#fork:1.0:0", "!"),
            ("2.0:0", ">=1.0:0"),
        )
        .unwrap_err();
        let plan = planned(Some("#fork:1.0:0"), ("#fork:1.0:0", "!"), ("2.0:0", "*"));
        assert_eq!(plan.unwrap().0, "#fork:1.0:0");
    }
}
