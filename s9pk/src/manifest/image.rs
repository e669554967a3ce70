//! The images of a package: where they come from when it is packed, and for which machines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::id::Arch;

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct ImageConfig {
    /// How the packer gets it; always `packed` inside a package.
    pub source: ImageSource,
    /// The architectures it exists for.
    pub arch: BTreeSet<Arch>,
    /// The architecture to run under emulation on a machine that is not in `arch`.
    #[serde(default)]
    pub emulate_missing_as: Option<Arch>,
    /// Whether NVIDIA's libraries are mounted into it.
    #[serde(default)]
    pub nvidia_container: bool,
}

/// Where the packer gets an image from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub enum ImageSource {
    /// It lies prepared in `images/<arch>/`.
    Packed,
    /// It is built by a container engine.
    DockerBuild(DockerBuild),
    /// It is pulled by a container engine.
    DockerTag(String),
}

/// How a container engine builds an image. Coppice does not run one: it takes what was prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(rename_all = "camelCase")]
pub struct DockerBuild {
    /// The build's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub workdir: Option<String>,
    /// The file that describes the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub dockerfile: Option<String>,
    /// Arguments of the build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional)]
    pub build_args: Option<BTreeMap<String, BuildArg>>,
}

/// The value of a build argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ts_rs::TS)]
#[serde(untagged)]
pub enum BuildArg {
    /// As written.
    Value(String),
    /// Taken from the environment of the packer.
    FromEnv {
        /// The variable's name.
        env: String,
    },
}
