//! Texts in several languages.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;

/// A text, or one text per locale (`en_US`, `de_DE`) in the order they were written.
///
/// The order matters: where no locale fits, the first one is shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash, ts_rs::TS)]
#[ts(type = "string | Record<string, string>")]
pub enum LocaleString {
    /// The same text everywhere.
    Plain(String),
    /// Locale and text, in the order they were written; no locale twice.
    Translated(Vec<(String, String)>),
}

impl LocaleString {
    /// The text for `locale`: the exact one, else the first of the same language, else the first.
    #[must_use]
    pub fn localised(&self, locale: &str) -> &str {
        let texts = match self {
            Self::Plain(text) => return text,
            Self::Translated(texts) => texts,
        };
        let language = match locale.find('_') {
            Some(at) => &locale[..=at],
            None => locale,
        };
        let exact = texts.iter().find(|(key, _)| key == locale);
        let same_language = || texts.iter().find(|(key, _)| key.starts_with(language));
        let best = exact.or_else(same_language).or_else(|| texts.first());
        best.map_or("", |(_, text)| text)
    }
}

impl From<&str> for LocaleString {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for LocaleString {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

impl serde::Serialize for LocaleString {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(text) => serializer.serialize_str(text),
            Self::Translated(texts) => {
                let mut map = serializer.serialize_map(Some(texts.len()))?;
                for (locale, text) in texts {
                    map.serialize_entry(locale, text)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> serde::Deserialize<'de> for LocaleString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = LocaleString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or an object of texts by locale")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<LocaleString, E> {
                Ok(text.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<LocaleString, A::Error> {
                let mut texts: Vec<(String, String)> = Vec::new();
                while let Some((locale, text)) = map.next_entry::<String, String>()? {
                    // As in any JSON object, a repeated key keeps its place and takes the last value.
                    match texts.iter_mut().find(|(known, _)| *known == locale) {
                        Some(entry) => entry.1 = text,
                        None => texts.push((locale, text)),
                    }
                }
                Ok(LocaleString::Translated(texts))
            }
        }
        deserializer.deserialize_any(Text)
    }
}
