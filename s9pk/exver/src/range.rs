//! Ranges: boolean formulas over comparisons and flavors.
//!
//! Invariant: the constructors simplify as they build, so a stored formula never holds `*` or `!`
//! below its root, nor NOT above `=`, `!=`, AND, OR or NOT. `^` and `~` exist only in text: they are
//! expanded while reading. Printing relies on both.

use std::cmp::Ordering;
use std::fmt;

use crate::extended::{ExtendedVersion, Flavor};
use crate::number_line::VersionSet;
use crate::version::Version;

/// How a version relates to the one a comparison names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`; also true for every other flavor.
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    fn holds(self, order: Option<Ordering>) -> bool {
        match (self, order) {
            (Self::NotEqual, None) => true,
            (_, None) => false,
            (Self::Equal, Some(order)) => order.is_eq(),
            (Self::NotEqual, Some(order)) => order.is_ne(),
            (Self::Less, Some(order)) => order.is_lt(),
            (Self::LessOrEqual, Some(order)) => order.is_le(),
            (Self::Greater, Some(order)) => order.is_gt(),
            (Self::GreaterOrEqual, Some(order)) => order.is_ge(),
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Formula {
    Any,
    None,
    Flavor(Option<Flavor>),
    Anchor(Operator, ExtendedVersion),
    And(Box<Formula>, Box<Formula>),
    Or(Box<Formula>, Box<Formula>),
    Not(Box<Formula>),
}

/// A set of versions, written as a formula such as `>=1.2:0 <2:0`.
///
/// Text is read in two ways: `FromStr` is strict, for what people type; [`VersionRange::parse_prefix`]
/// and serde read the longest valid beginning, as StartOS does with manifests and registry data.
///
/// ```
/// use coppice_exver::{ExtendedVersion, VersionRange};
/// let range: VersionRange = "^1.2.3".parse()?;
/// assert_eq!(range.to_string(), ">=1.2.3:0 <2:0");
/// assert!("1.9:0".parse::<ExtendedVersion>()?.satisfies(&range));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, ts_rs::TS)]
#[ts(type = "string")]
pub struct VersionRange(pub(crate) Formula);

impl VersionRange {
    /// `*`: every version of every flavor.
    #[must_use]
    pub fn any() -> Self {
        Self(Formula::Any)
    }

    /// `!`: no version.
    #[must_use]
    pub fn none() -> Self {
        Self(Formula::None)
    }

    /// Every version of one flavor, or (`None`) of the package without flavor.
    #[must_use]
    pub fn flavor(flavor: Option<Flavor>) -> Self {
        Self(Formula::Flavor(flavor))
    }

    /// One comparison.
    #[must_use]
    pub fn anchor(operator: Operator, version: ExtendedVersion) -> Self {
        Self(Formula::Anchor(operator, version))
    }

    /// `^version`: up to the next step of its first number that is not zero.
    #[must_use]
    pub fn caret(version: ExtendedVersion) -> Self {
        let mut bound = version.upstream().significant().to_vec();
        match bound.iter().position(|n| *n != 0) {
            Some(first) => bound.truncate(first + 1),
            None => bound = vec![0],
        }
        Self::up_to(version, bound)
    }

    /// `~version`: up to the next step of the number after its first number that is not zero.
    #[must_use]
    pub fn tilde(version: ExtendedVersion) -> Self {
        let mut bound = version.upstream().significant().to_vec();
        let first = bound.iter().position(|n| *n != 0).unwrap_or(0);
        bound.resize(first + 2, 0);
        Self::up_to(version, bound)
    }

    /// `>=version`, and below `bound` with its last number raised by one.
    fn up_to(version: ExtendedVersion, mut bound: Vec<u64>) -> Self {
        let next = bound.last().and_then(|n| n.checked_add(1));
        let upper = match (next, bound.last_mut()) {
            (Some(next), Some(last)) => {
                *last = next;
                // The prerelease stays on the bound, so `^1.2.3-beta.1` ends before `2-beta.1`.
                let upstream =
                    Version::with_prerelease(bound, version.upstream().prerelease().to_vec());
                let flavor = version.flavor().cloned();
                let bound = ExtendedVersion::new(flavor, upstream, Version::new([0]));
                Self::anchor(Operator::Less, bound)
            }
            // Nothing counts past the largest number: there is no upper bound to state.
            _ => Self::any(),
        };
        Self::anchor(Operator::GreaterOrEqual, version).and(upper)
    }

    /// Versions in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Formula::Any, x) | (x, Formula::Any) => x,
            (Formula::None, _) | (_, Formula::None) => Formula::None,
            (a, b) => Formula::And(Box::new(a), Box::new(b)),
        })
    }

    /// Versions in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Formula::Any, _) | (_, Formula::Any) => Formula::Any,
            (Formula::None, x) | (x, Formula::None) => x,
            (a, b) => Formula::Or(Box::new(a), Box::new(b)),
        })
    }

    /// Every version that is not in it, those of other flavors included.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads like `and` and `or`")]
    pub fn not(self) -> Self {
        Self(match self.0 {
            Formula::Any => Formula::None,
            Formula::None => Formula::Any,
            Formula::Anchor(Operator::Equal, v) => Formula::Anchor(Operator::NotEqual, v),
            Formula::Anchor(Operator::NotEqual, v) => Formula::Anchor(Operator::Equal, v),
            Formula::And(a, b) => return Self(*a).not().or(Self(*b).not()),
            Formula::Or(a, b) => return Self(*a).not().and(Self(*b).not()),
            Formula::Not(inner) => *inner,
            other => Formula::Not(Box::new(other)),
        })
    }

    /// Whether `version` is in the range. Prereleases get no special treatment.
    #[must_use]
    pub fn contains(&self, version: &ExtendedVersion) -> bool {
        fn holds(formula: &Formula, version: &ExtendedVersion) -> bool {
            match formula {
                Formula::Any => true,
                Formula::None => false,
                Formula::Flavor(flavor) => version.flavor() == flavor.as_ref(),
                Formula::Anchor(operator, anchor) => operator.holds(version.partial_cmp(anchor)),
                Formula::And(a, b) => holds(a, version) && holds(b, version),
                Formula::Or(a, b) => holds(a, version) || holds(b, version),
                Formula::Not(inner) => !holds(inner, version),
            }
        }
        holds(&self.0, version)
    }

    /// Whether any version is in the range.
    ///
    /// Exact over flavors and over the versions the range names; between two different versions there
    /// is always room for a third.
    #[must_use]
    pub fn satisfiable(&self) -> bool {
        !VersionSet::of(self).is_empty()
    }

    /// Whether some version is in both ranges.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.clone().and(other.clone()).satisfiable()
    }

    /// The same set in its shortest regular form: `>=1 && >=2` becomes `>=2:0`, an empty range `!`.
    ///
    /// Two ranges that contain the same versions simplify to equal values.
    #[must_use]
    pub fn simplified(&self) -> Self {
        VersionSet::of(self).to_range()
    }
}

impl ExtendedVersion {
    /// Whether `range` contains this version.
    #[must_use]
    pub fn satisfies(&self, range: &VersionRange) -> bool {
        range.contains(self)
    }
}

impl Version {
    /// Whether `range` contains this version, taken without flavor and with downstream 0.
    #[must_use]
    pub fn satisfies(&self, range: &VersionRange) -> bool {
        range.contains(&self.clone().into())
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::None => f.write_str("!"),
            Self::Flavor(None) => f.write_str("#"),
            Self::Flavor(Some(flavor)) => write!(f, "#{flavor}"),
            Self::Anchor(operator, version) => write!(f, "{}{version}", operator.symbol()),
            Self::And(a, b) => write!(f, "{} {}", Child(a), Child(b)),
            Self::Or(a, b) => write!(f, "{} || {}", Child(a), Child(b)),
            Self::Not(inner) => write!(f, "!{}", Child(inner)),
        }
    }
}

/// A formula inside another. Parentheses are needed even around NOT and flavors: `!a` followed by
/// ` b` and `#` followed by a letter would read differently.
struct Child<'a>(&'a Formula);

impl fmt::Display for Child<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Formula::Any | Formula::None | Formula::Anchor(..) => self.0.fmt(f),
            Formula::Flavor(_) | Formula::And(..) | Formula::Or(..) | Formula::Not(_) => {
                write!(f, "({})", self.0)
            }
        }
    }
}
