//! What a range means: for every flavor, which stretches of the number line are in it.
//!
//! A *cut* is a place between versions: just below or just above one that the range names. A line
//! starts outside or inside and changes at every cut, so a set is its first state and its cuts:
//!
//! ```text
//! >=1:0 <2:0      out ──| 1:0 ── in ──| 2:0 ── out
//! !=1:0           in  ──| 1:0 |── in
//! ```
//!
//! Invariant: the cuts of a line are strictly increasing, so two lines are equal exactly when they
//! hold the same versions (the number line counts as dense), and a set is empty exactly when no line
//! has an inside.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::extended::{ExtendedVersion, Flavor};
use crate::range::{Formula, Operator, VersionRange};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Below,
    Above,
}

#[derive(Clone, Debug)]
struct Cut {
    version: ExtendedVersion,
    side: Side,
}

impl Cut {
    fn cmp(&self, other: &Self) -> Ordering {
        let versions = self.version.cmp_numbers(&other.version);
        versions.then_with(|| self.side.cmp(&other.side))
    }
}

#[derive(Clone, Debug)]
struct Line {
    starts_inside: bool,
    cuts: Vec<Cut>,
}

impl Line {
    fn constant(inside: bool) -> Self {
        Self {
            starts_inside: inside,
            cuts: Vec::new(),
        }
    }

    fn anchor(operator: Operator, version: &ExtendedVersion) -> Self {
        let cut = |side| Cut {
            version: version.clone(),
            side,
        };
        let (starts_inside, cuts) = match operator {
            Operator::Equal => (false, vec![cut(Side::Below), cut(Side::Above)]),
            Operator::NotEqual => (true, vec![cut(Side::Below), cut(Side::Above)]),
            Operator::Less => (true, vec![cut(Side::Below)]),
            Operator::LessOrEqual => (true, vec![cut(Side::Above)]),
            Operator::Greater => (false, vec![cut(Side::Above)]),
            Operator::GreaterOrEqual => (false, vec![cut(Side::Below)]),
        };
        Self {
            starts_inside,
            cuts,
        }
    }

    /// Walks both lines at once and keeps the places where `join` of the two states changes.
    fn merge(&self, other: &Self, join: fn(bool, bool) -> bool) -> Self {
        let (mut left, mut right) = (self.starts_inside, other.starts_inside);
        let mut state = join(left, right);
        let mut merged = Self::constant(state);
        let (mut a, mut b) = (self.cuts.iter().peekable(), other.cuts.iter().peekable());
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => return merged,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(x), Some(y)) => x.cmp(y),
            };
            let mut place = None;
            if order.is_le() {
                left = !left;
                place = a.next();
            }
            if order.is_ge() {
                right = !right;
                place = b.next().or(place);
            }
            if join(left, right) != state {
                state = !state;
                merged.cuts.extend(place.cloned());
            }
        }
    }

    fn inverted(mut self) -> Self {
        self.starts_inside = !self.starts_inside;
        self
    }

    fn is_empty(&self) -> bool {
        !self.starts_inside && self.cuts.is_empty()
    }

    fn is_full(&self) -> bool {
        self.starts_inside && self.cuts.is_empty()
    }

    /// The line as a range of one flavor.
    fn to_range(&self, flavor: Option<&Flavor>) -> VersionRange {
        if self.is_full() {
            return VersionRange::flavor(flavor.cloned());
        }
        let mut range = VersionRange::none();
        let mut lower: Option<&Cut> = None;
        let mut inside = self.starts_inside;
        for cut in &self.cuts {
            if inside {
                range = range.or(between(flavor, lower, Some(cut)));
            }
            inside = !inside;
            lower = Some(cut);
        }
        if inside {
            range = range.or(between(flavor, lower, None));
        }
        range
    }
}

fn between(flavor: Option<&Flavor>, lower: Option<&Cut>, upper: Option<&Cut>) -> VersionRange {
    // A cut carries the numbers of whichever anchor made it; the flavor is the line's.
    let anchor = |operator, cut: &Cut| {
        let (upstream, downstream) = (cut.version.upstream(), cut.version.downstream());
        let version = ExtendedVersion::new(flavor.cloned(), upstream.clone(), downstream.clone());
        VersionRange::anchor(operator, version)
    };
    if let (Some(lower), Some(upper)) = (lower, upper)
        && lower.version.cmp_numbers(&upper.version).is_eq()
    {
        return anchor(Operator::Equal, lower);
    }
    let lower = lower.map_or_else(VersionRange::any, |cut| match cut.side {
        Side::Below => anchor(Operator::GreaterOrEqual, cut),
        Side::Above => anchor(Operator::Greater, cut),
    });
    let upper = upper.map_or_else(VersionRange::any, |cut| match cut.side {
        Side::Below => anchor(Operator::Less, cut),
        Side::Above => anchor(Operator::LessOrEqual, cut),
    });
    lower.and(upper)
}

/// The versions of a range: a line for each flavor it names and for "no flavor", and one answer for
/// all flavors it does not name.
pub(crate) struct VersionSet {
    lines: BTreeMap<Option<Flavor>, Line>,
    other_flavors: bool,
}

impl VersionSet {
    pub(crate) fn of(range: &VersionRange) -> Self {
        let mut flavors = BTreeSet::from([None]);
        collect_flavors(&range.0, &mut flavors);
        let other_flavors = line(&range.0, None).starts_inside;
        let lines = flavors
            .into_iter()
            .map(|flavor| {
                let line = line(&range.0, Some(flavor.as_ref()));
                (flavor, line)
            })
            .collect();
        Self {
            lines,
            other_flavors,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.other_flavors && self.lines.values().all(Line::is_empty)
    }

    pub(crate) fn to_range(&self) -> VersionRange {
        if self.other_flavors {
            // "All the rest" can only be said by excluding what is not in the set.
            let excluded = |(flavor, line): (&Option<Flavor>, &Line)| {
                line.clone().inverted().to_range(flavor.as_ref())
            };
            let excluded = self.lines.iter().map(excluded);
            return excluded.fold(VersionRange::none(), VersionRange::or).not();
        }
        let lines = self.lines.iter();
        let ranges = lines.map(|(flavor, line)| line.to_range(flavor.as_ref()));
        ranges.fold(VersionRange::none(), VersionRange::or)
    }
}

fn collect_flavors(formula: &Formula, into: &mut BTreeSet<Option<Flavor>>) {
    match formula {
        Formula::Any | Formula::None => {}
        Formula::Flavor(flavor) => {
            into.insert(flavor.clone());
        }
        Formula::Anchor(_, version) => {
            into.insert(version.flavor().cloned());
        }
        Formula::And(a, b) | Formula::Or(a, b) => {
            collect_flavors(a, into);
            collect_flavors(b, into);
        }
        Formula::Not(inner) => collect_flavors(inner, into),
    }
}

/// The line of one flavor (`Some(None)` is "no flavor"), or with `None` that of a flavor the formula
/// does not name: there nothing compares, so the line has no cuts.
fn line(formula: &Formula, flavor: Option<Option<&Flavor>>) -> Line {
    match formula {
        Formula::Any => Line::constant(true),
        Formula::None => Line::constant(false),
        Formula::Flavor(named) => Line::constant(flavor == Some(named.as_ref())),
        Formula::Anchor(operator, version) if flavor == Some(version.flavor()) => {
            Line::anchor(*operator, version)
        }
        Formula::Anchor(operator, _) => Line::constant(*operator == Operator::NotEqual),
        Formula::And(a, b) => line(a, flavor).merge(&line(b, flavor), |x, y| x && y),
        Formula::Or(a, b) => line(a, flavor).merge(&line(b, flavor), |x, y| x || y),
        Formula::Not(inner) => line(inner, flavor).inverted(),
    }
}
