//! Reading ranges from text.
//!
//! ```text
//! range  = atom *( [ "||" | "&&" ] atom )      no operator repeats the last one of its level, first AND
//! atom   = "(" range ")" | anchor | "!" atom | "*" | "!" | "#" flavor
//! anchor = [ op ] [ "#" flavor ":" ] ver [ ":" ver ]      no op means "^", no downstream 0
//! ```
//!
//! Alternatives are tried in this order and the first that matches wins. `&&` and `||` bind equally
//! and group from the left. Only spaces may be skipped, only between tokens, not before the first.
//!
//! Invariant: parentheses and `!` nest at most [`MAX_DEPTH`] deep, so no text can exhaust the stack.

use std::fmt;
use std::str::FromStr;

use crate::extended::{ExtendedVersion, Flavor};
use crate::range::{Operator, VersionRange};
use crate::version::{Segment, Version};

/// Far above what people write; recursion is bounded by it.
const MAX_DEPTH: usize = 64;

/// Atoms in one range. Evaluating, printing and dropping walk the formula recursively, and a chain
/// of operators nests to the left, so its length is bounded as well.
const MAX_ATOMS: usize = 1024;

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// The text does not begin with a range.
    #[error("`{0}` is not a version range; expected something like `>=1.2:0 && <2:0`")]
    NotARange(String),
    /// A range was read, but something follows it.
    #[error(
        "`{rest}` cannot follow in the version range `{text}`; combine parts with `&&` or `||`"
    )]
    Trailing {
        /// The whole text.
        text: String,
        /// What could not be read.
        rest: String,
    },
    /// The text nests deeper, or has more parts, than any real range.
    #[error("the version range is too complex: at most 64 levels of parentheses and 1024 parts")]
    TooComplex,
}

impl VersionRange {
    /// Reads the longest beginning of `text` that is a range and returns it with what follows.
    ///
    /// StartOS ignores whatever follows, so packages exist whose ranges have such a tail. Use this
    /// for manifests and registry data, and `FromStr` for what people type.
    ///
    /// # Errors
    /// [`RangeError::NotARange`] if not even a beginning can be read.
    pub fn parse_prefix(text: &str) -> Result<(Self, &str), RangeError> {
        let mut parser = Parser {
            rest: text,
            depth: 0,
            atoms: 0,
        };
        match parser.range() {
            Ok(range) => Ok((range, parser.rest)),
            Err(Stop::NoMatch) => Err(RangeError::NotARange(text.to_owned())),
            Err(Stop::TooComplex) => Err(RangeError::TooComplex),
        }
    }
}

impl FromStr for VersionRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let (range, rest) = Self::parse_prefix(text)?;
        if rest.trim_start_matches(' ').is_empty() {
            return Ok(range);
        }
        Err(RangeError::Trailing {
            text: text.to_owned(),
            rest: rest.to_owned(),
        })
    }
}

impl serde::Serialize for VersionRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for VersionRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = VersionRange;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a version range such as \">=1.2:0 <2:0\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<VersionRange, E> {
                let (range, rest) = VersionRange::parse_prefix(text).map_err(E::custom)?;
                if !rest.is_empty() {
                    tracing::warn!(%range, ignored = rest, "a version range has an unreadable tail");
                }
                Ok(range)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

enum Stop {
    /// This alternative does not match; another may.
    NoMatch,
    /// A limit was hit: no alternative can help.
    TooComplex,
}

type Parsed<T> = Result<T, Stop>;

#[derive(Clone, Copy)]
enum Joint {
    And,
    Or,
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
    atoms: usize,
}

impl<'a> Parser<'a> {
    /// Runs `alternative`; where it does not match, nothing was consumed.
    fn attempt<T>(
        &mut self,
        alternative: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<Option<T>> {
        let (rest, depth) = (self.rest, self.depth);
        match alternative(self) {
            Ok(value) => Ok(Some(value)),
            Err(Stop::NoMatch) => {
                (self.rest, self.depth) = (rest, depth);
                Ok(None)
            }
            Err(Stop::TooComplex) => Err(Stop::TooComplex),
        }
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(Stop::NoMatch)
        }
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().take_while(|b| wanted(*b)).count();
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn descend(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Stop::TooComplex);
        }
        Ok(())
    }

    fn range(&mut self) -> Parsed<VersionRange> {
        let mut range = self.atom()?;
        let mut joint = Joint::And;
        while let Some((next, atom)) = self.attempt(|p| {
            p.skip_spaces();
            let next = if p.eat("||") {
                Joint::Or
            } else if p.eat("&&") {
                Joint::And
            } else {
                joint
            };
            p.skip_spaces();
            Ok((next, p.atom()?))
        })? {
            joint = next;
            range = match joint {
                Joint::And => range.and(atom),
                Joint::Or => range.or(atom),
            };
        }
        Ok(range)
    }

    fn atom(&mut self) -> Parsed<VersionRange> {
        self.atoms += 1;
        if self.atoms > MAX_ATOMS {
            return Err(Stop::TooComplex);
        }
        if let Some(range) = self.attempt(Self::parenthesised)? {
            return Ok(range);
        }
        if let Some(range) = self.attempt(Self::anchor)? {
            return Ok(range);
        }
        if let Some(range) = self.attempt(Self::negated)? {
            return Ok(range);
        }
        if self.eat("*") {
            return Ok(VersionRange::any());
        }
        if self.eat("!") {
            return Ok(VersionRange::none());
        }
        self.expect("#")?;
        let name = self.take_while(|b| b.is_ascii_lowercase());
        Ok(VersionRange::flavor(Flavor::new(name).ok()))
    }

    fn parenthesised(&mut self) -> Parsed<VersionRange> {
        self.expect("(")?;
        self.descend()?;
        self.skip_spaces();
        let range = self.range()?;
        self.skip_spaces();
        self.expect(")")?;
        self.depth -= 1;
        Ok(range)
    }

    fn negated(&mut self) -> Parsed<VersionRange> {
        self.expect("!")?;
        self.descend()?;
        self.skip_spaces();
        let range = self.atom()?.not();
        self.depth -= 1;
        Ok(range)
    }

    fn anchor(&mut self) -> Parsed<VersionRange> {
        type Build = fn(ExtendedVersion) -> VersionRange;
        const OPERATORS: [(&str, Build); 8] = [
            (">=", |v| VersionRange::anchor(Operator::GreaterOrEqual, v)),
            ("<=", |v| VersionRange::anchor(Operator::LessOrEqual, v)),
            ("!=", |v| VersionRange::anchor(Operator::NotEqual, v)),
            ("=", |v| VersionRange::anchor(Operator::Equal, v)),
            ("<", |v| VersionRange::anchor(Operator::Less, v)),
            (">", |v| VersionRange::anchor(Operator::Greater, v)),
            ("^", VersionRange::caret),
            ("~", VersionRange::tilde),
        ];
        let found = OPERATORS.iter().find(|(symbol, _)| self.eat(symbol));
        if found.is_some() {
            self.skip_spaces();
        }
        let build: Build = found.map_or(VersionRange::caret, |(_, build)| *build);
        Ok(build(self.spec()?))
    }

    fn spec(&mut self) -> Parsed<ExtendedVersion> {
        let flavor = self.attempt(|p| {
            p.expect("#")?;
            let name = p.take_while(|b| b.is_ascii_lowercase());
            p.expect(":")?;
            Ok(Flavor::new(name).ok())
        })?;
        let upstream = self.version()?;
        let downstream = self.attempt(|p| {
            p.expect(":")?;
            p.version()
        })?;
        let downstream = downstream.unwrap_or_else(|| Version::new([0]));
        Ok(ExtendedVersion::new(flavor.flatten(), upstream, downstream))
    }

    fn version(&mut self) -> Parsed<Version> {
        let mut numbers = vec![self.number()?];
        while let Some(number) = self.attempt(|p| {
            p.expect(".")?;
            p.number()
        })? {
            numbers.push(number);
        }
        let prerelease = self.attempt(|p| {
            p.expect("-")?;
            let mut segments = vec![p.segment()?];
            while let Some(segment) = p.attempt(|p| {
                p.expect(".")?;
                p.segment()
            })? {
                segments.push(segment);
            }
            Ok(segments)
        })?;
        Ok(Version::with_prerelease(
            numbers,
            prerelease.unwrap_or_default(),
        ))
    }

    /// A zero ends the number: `01` is `0` followed by `1`, as the reference reads it.
    fn number(&mut self) -> Parsed<u64> {
        if self.eat("0") {
            return Ok(0);
        }
        let digits = self.take_while(|b| b.is_ascii_digit());
        digits.parse().map_err(|_| Stop::NoMatch)
    }

    fn segment(&mut self) -> Parsed<Segment> {
        let text = self.take_while(|b| b.is_ascii_alphanumeric() || b == b'-');
        Segment::parse(text).map_err(|_| Stop::NoMatch)
    }
}
