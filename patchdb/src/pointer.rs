//! JSON Pointers (RFC 6901), the only way to name a place in the document.
//!
//! Invariant: a [`Pointer`] holds the canonical escaped text, so two pointers name the same place
//! exactly when their texts are equal, and one contains another exactly when its text is a prefix
//! that ends at a `/`.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The deepest place a document may have. `serde_json` refuses to read below 128 levels; this
/// leaves room for the envelope around a value.
pub const MAX_DEPTH: usize = 100;

/// The longest pointer, in bytes of its escaped text.
pub const MAX_POINTER_BYTES: usize = 4096;

/// A place in the document: `""` is the root, `/public/ui` the member `ui` of the member `public`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pointer(Arc<str>);

/// Why a text is not a pointer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Neither empty nor starting with `/`.
    #[error("`{0}` is not a JSON Pointer: it must be empty or start with `/`")]
    NoSlash(String),
    /// A `~` that is not followed by `0` or `1`.
    #[error("`{0}` is not a JSON Pointer: write `~0` for `~` and `~1` for `/`")]
    BadEscape(String),
    /// Deeper than [`MAX_DEPTH`] or longer than [`MAX_POINTER_BYTES`].
    #[error(
        "the JSON Pointer `{0}…` is too long: at most {MAX_DEPTH} levels and {MAX_POINTER_BYTES} bytes"
    )]
    TooLong(String),
}

impl Pointer {
    /// The whole document.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Reads the escaped text form.
    ///
    /// # Errors
    /// [`PointerError`] when the text is not RFC 6901, or too long or deep for a document.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(PointerError::NoSlash(text.to_owned()));
        }
        let bytes = text.as_bytes();
        let mut depth = 0;
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'/' => depth += 1,
                b'~' if !matches!(bytes.get(at + 1), Some(b'0' | b'1')) => {
                    return Err(PointerError::BadEscape(text.to_owned()));
                }
                _ => {}
            }
        }
        Self::checked(text, depth)
    }

    /// Builds a pointer from unescaped segments: `["public", "a/b"]` is `/public/a~1b`.
    ///
    /// # Errors
    /// [`PointerError::TooLong`].
    pub fn from_segments<I>(segments: I) -> Result<Self, PointerError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut text = String::new();
        let mut depth = 0;
        for segment in segments {
            push_segment(&mut text, segment.as_ref());
            depth += 1;
        }
        Self::checked(&text, depth)
    }

    fn checked(text: &str, depth: usize) -> Result<Self, PointerError> {
        if depth > MAX_DEPTH || text.len() > MAX_POINTER_BYTES {
            return Err(PointerError::TooLong(text.chars().take(80).collect()));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The pointer of the member or element `segment` (unescaped) below this one. Limits are
    /// checked where a change is applied, not here.
    #[must_use]
    pub fn join(&self, segment: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + segment.len() + 1);
        text.push_str(&self.0);
        push_segment(&mut text, segment);
        Self(Arc::from(text))
    }

    /// The pointer that `below`, read from here, names.
    #[must_use]
    pub fn concat(&self, below: &Self) -> Self {
        if below.is_root() {
            return self.clone();
        }
        Self(Arc::from(format!("{}{}", self.0, below.0)))
    }

    /// The escaped text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this names the whole document.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// How many segments it has; the root has none.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.bytes().filter(|byte| *byte == b'/').count()
    }

    /// The unescaped segments, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = Cow<'_, str>> {
        self.0
            .get(1..)
            .map(|rest| rest.split('/'))
            .into_iter()
            .flatten()
            .map(unescape)
    }

    /// The place that holds this one, and this one's name in it; `None` for the root.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, Cow<'_, str>)> {
        let (parent, last) = self.0.rsplit_once('/')?;
        Some((Self(Arc::from(parent)), unescape(last)))
    }

    /// This pointer as seen from `ancestor`: `""` when equal, `None` when it lies elsewhere.
    #[must_use]
    pub fn relative_to(&self, ancestor: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(&*ancestor.0)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| Self(Arc::from(rest)))
    }

    /// Whether this is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0
            .strip_prefix(&*ancestor.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn push_segment(text: &mut String, segment: &str) {
    text.push('/');
    for character in segment.chars() {
        match character {
            '~' => text.push_str("~0"),
            '/' => text.push_str("~1"),
            other => text.push(other),
        }
    }
}

fn unescape(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') {
        // `~1` first: `~01` is the two characters `~1`.
        Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(segment)
    }
}

/// An array index as RFC 6901 writes it: decimal, no sign, no leading zero.
pub(crate) fn array_index(segment: &str) -> Option<usize> {
    let plain = segment.bytes().all(|byte| byte.is_ascii_digit())
        && (segment == "0" || !segment.starts_with('0'));
    if plain { segment.parse().ok() } else { None }
}

/// What a method that names a place accepts: a [`Pointer`], its text, or an array of unescaped
/// segments.
pub trait ToPointer {
    /// The pointer meant.
    ///
    /// # Errors
    /// [`PointerError`] when the text is not one.
    fn to_pointer(&self) -> Result<Pointer, PointerError>;
}

impl ToPointer for Pointer {
    fn to_pointer(&self) -> Result<Pointer, PointerError> {
        Ok(self.clone())
    }
}

impl ToPointer for str {
    fn to_pointer(&self) -> Result<Pointer, PointerError> {
        Pointer::parse(self)
    }
}

impl ToPointer for String {
    fn to_pointer(&self) -> Result<Pointer, PointerError> {
        Pointer::parse(self)
    }
}

impl<const N: usize> ToPointer for [&str; N] {
    fn to_pointer(&self) -> Result<Pointer, PointerError> {
        Pointer::from_segments(self)
    }
}

impl<T: ToPointer + ?Sized> ToPointer for &T {
    fn to_pointer(&self) -> Result<Pointer, PointerError> {
        (**self).to_pointer()
    }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        Self::parse(text)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Pointer {
        Pointer::parse(text).unwrap()
    }

    #[test]
    fn escapes_are_undone_in_the_order_of_the_rfc() {
        let segments: Vec<_> = p("/a~1b/~01/~0/").segments().map(Cow::into_owned).collect();
        assert_eq!(segments, ["a/b", "~1", "~", ""]);
        let back = Pointer::from_segments(&segments).unwrap();
        assert_eq!(back, p("/a~1b/~01/~0/"));
    }

    #[test]
    fn the_root_has_no_segments_and_a_slash_names_the_empty_member() {
        assert_eq!(Pointer::root().segments().count(), 0);
        assert_eq!(p("/").segments().collect::<Vec<_>>(), [""]);
        assert_eq!(p("/").depth(), 1);
    }

    #[test]
    fn a_sibling_with_a_longer_name_is_not_inside() {
        assert!(p("/a/b").is_within(&p("/a")));
        assert!(!p("/ab").is_within(&p("/a")));
        assert_eq!(p("/a/b").relative_to(&p("/a")), Some(p("/b")));
        assert_eq!(p("/ab").relative_to(&p("/a")), None);
    }

    #[test]
    fn bad_texts_are_refused() {
        assert!(matches!(Pointer::parse("a"), Err(PointerError::NoSlash(_))));
        assert!(matches!(
            Pointer::parse("/~2"),
            Err(PointerError::BadEscape(_))
        ));
        assert!(matches!(
            Pointer::parse("/~"),
            Err(PointerError::BadEscape(_))
        ));
        assert!(matches!(
            Pointer::parse(&"/a".repeat(MAX_DEPTH + 1)),
            Err(PointerError::TooLong(_))
        ));
    }

    #[test]
    fn array_indices_have_no_sign_and_no_leading_zero() {
        assert_eq!(array_index("0"), Some(0));
        assert_eq!(array_index("12"), Some(12));
        for bad in ["", "+1", "-", "01", "1 ", "99999999999999999999999"] {
            assert_eq!(array_index(bad), None, "{bad}");
        }
    }
}
