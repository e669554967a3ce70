//! What a list shows of a package: read without the rest of its entry, which is long.

use serde::Deserialize;

/// Where a package stands in its life, and in which version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Entry")]
pub struct PackageHead {
    /// The word of the wire for its state.
    pub state: String,
    /// The version that counts now; empty when its manifest names none.
    pub version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    state_info: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    state: String,
    /// What is there.
    manifest: Option<Manifest>,
    installing_info: Option<Coming>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Coming {
    new_manifest: Manifest,
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    version: String,
}

impl From<Entry> for PackageHead {
    fn from(entry: Entry) -> Self {
        let State {
            state,
            manifest,
            installing_info,
        } = entry.state_info;
        let coming = || installing_info.map(|coming| coming.new_manifest);
        let version = manifest.or_else(coming).map(|manifest| manifest.version);
        Self {
            state,
            version: version.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{InstallingInfo, PackageEntry, StateInfo};

    #[test]
    fn a_head_says_what_the_whole_entry_says() {
        let manifest = json!({ "id": "a", "version": "1:0" });
        let installing_info = InstallingInfo {
            new_manifest: json!({ "version": "2:0" }),
            progress: json!({}),
        };
        for state in [
            StateInfo::Installing {
                installing_info: installing_info.clone(),
            },
            StateInfo::Updating {
                manifest: manifest.clone(),
                installing_info,
            },
            StateInfo::Removing {
                manifest: json!({}),
            },
            StateInfo::Installed { manifest },
        ] {
            let entry = PackageEntry::bare(state);
            let whole = serde_json::to_value(&entry).unwrap();
            let expected = PackageHead {
                state: entry.state_info.name().to_owned(),
                version: entry.state_info.version().to_owned(),
            };
            assert_eq!(
                serde_json::from_value::<PackageHead>(whole).unwrap(),
                expected
            );
        }
    }
}
