//! What the attempts aim at, told as `KEY=VALUE`.

use std::collections::BTreeMap;

/// See the module.
pub struct Targets(BTreeMap<String, String>);

impl Targets {
    pub fn of(words: &[&str]) -> Self {
        let pairs = words.iter().filter_map(|word| word.split_once('='));
        Self(
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    /// Empty when it was not told.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Of a list with commas.
    pub fn list(&self, key: &str) -> impl Iterator<Item = &str> {
        self.get(key).split(',').filter(|one| !one.is_empty())
    }

    /// Whether this is what stands in the host's file.
    pub fn is_found(&self, path: &str) -> bool {
        std::fs::read_to_string(path).is_ok_and(|text| text.trim() == self.get("word"))
    }

    /// The host's file, seen from a place from which it takes as many steps up as there may be.
    pub fn from(&self, place: &str) -> String {
        format!(
            "{place}/{}{}",
            "../".repeat(24),
            self.get("file").trim_start_matches('/')
        )
    }
}
