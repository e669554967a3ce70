//! The side files of an image: how its processes start.
//!
//! `images/<arch>/<id>.json` is an [`ImageStart`], `images/<arch>/<id>.env` an [`image_env`].

use serde::{Deserialize, Deserializer, Serialize};

/// How a process in an image starts when nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageStart {
    /// The folder it starts in; `/` if nothing is said.
    #[serde(default = "root_folder", deserialize_with = "folder")]
    pub workdir: String,
    /// The user it starts as, by name or number, with an optional `:group`; `root` if nothing is said.
    #[serde(default = "root_user", deserialize_with = "user")]
    pub user: String,
    /// The first words of its command line.
    #[serde(default)]
    pub entrypoint: Option<Vec<String>>,
    /// The rest of its command line.
    #[serde(default)]
    pub cmd: Option<Vec<String>>,
}

fn root_folder() -> String {
    "/".to_owned()
}

fn root_user() -> String {
    "root".to_owned()
}

fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    Ok(text.unwrap_or_else(root_folder))
}

fn user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    Ok(text.unwrap_or_else(root_user))
}

impl Default for ImageStart {
    fn default() -> Self {
        Self {
            workdir: root_folder(),
            user: root_user(),
            entrypoint: None,
            cmd: None,
        }
    }
}

impl ImageStart {
    /// Reads the `.json` of an image.
    ///
    /// # Errors
    /// What is wrong in the text, with its position.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Writes it in compact form.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        #[expect(
            clippy::unwrap_used,
            reason = "texts and lists of texts always serialise"
        )]
        serde_json::to_vec(self).unwrap()
    }
}

/// The variables in the `.env` of an image: `KEY=VALUE` lines without quoting. Lines without `=`, and
/// bytes that are not UTF-8, are skipped: nothing could be made of them.
#[must_use]
pub fn image_env(bytes: &[u8]) -> Vec<(String, String)> {
    let lines = bytes.split(|b| *b == b'\n');
    let texts = lines.filter_map(|line| std::str::from_utf8(line).ok());
    let pairs = texts.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
