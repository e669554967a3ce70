//! Verbs about package files. They need no server.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Subcommand;
use coppice_s9pk::{
    Archive,
    pack::{PackOptions, PackStep, create_build_key, find_build_key, pack, read_build_key},
};
use serde_json::json;

use super::{Common, progress::patiently};

/// Bytes that `cat` prints at most.
const CAT_LIMIT: u64 = 64 * 1024 * 1024;

/// Verbs of `s9pk`.
#[derive(Debug, Subcommand)]
pub enum S9pk {
    /// Make a signed .s9pk of a project folder.
    Pack {
        /// The project's folder.
        #[arg(default_value = ".")]
        project: PathBuf,
        /// Where the package goes; `<id>.s9pk` in the project's folder by default.
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// The signing key; the nearest `.startos/build-key` by default, made in the project's
        /// folder when there is none.
        #[arg(long)]
        key: Option<PathBuf>,
        /// Only for these architectures.
        #[arg(long)]
        arch: Vec<String>,
        /// The Node that evaluates the package's code.
        #[arg(long, default_value = "node")]
        node: PathBuf,
    },
    /// What a package says of itself.
    Inspect {
        /// The .s9pk.
        file: PathBuf,
        /// What to print.
        #[command(subcommand)]
        part: Option<Part>,
    },
    /// Check a package: signature, tables, and every byte of every file.
    Verify {
        /// The .s9pk.
        file: PathBuf,
    },
}

/// Parts of a package.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// The manifest.
    Manifest,
    /// The paths of all files.
    FileTree,
    /// What a registry signs.
    Commitment,
    /// One file, to standard output.
    Cat {
        /// Its path in the package.
        path: String,
    },
}

pub(super) async fn run(common: &Common, verb: S9pk) -> anyhow::Result<()> {
    match verb {
        S9pk::Pack {
            project,
            output,
            key,
            arch,
            node,
        } => {
            let key = match key.or_else(|| find_build_key(&project)) {
                Some(path) => read_build_key(&path)?,
                None => create_build_key(&project.join(".startos/build-key"))?,
            };
            let mut options = PackOptions::new(project, key);
            options.output = output;
            options.node = node;
            for arch in arch {
                options.arch.insert(
                    arch.parse()
                        .with_context(|| format!("`{arch}` is not an architecture"))?,
                );
            }
            let packed = pack(&options, &mut |step| {
                if !common.json && !common.quiet {
                    eprintln!("{}", doing(&step));
                }
            })?;
            for warning in &packed.warnings {
                eprintln!("note: {warning}");
            }
            if common.json {
                println!(
                    "{}",
                    json!({ "path": packed.path, "size": packed.size, "commitment": packed.commitment })
                );
            } else {
                println!("{} ({} bytes)", packed.path.display(), packed.size);
            }
        }
        S9pk::Inspect { file, part } => inspect(common, &file, part.unwrap_or(Part::Manifest))?,
        S9pk::Verify { file } => {
            let verifying = tokio::task::spawn_blocking(move || {
                let archive = open(&file)?;
                archive.verify_all()?;
                let manifest = archive.manifest()?;
                archive.contents(&manifest, None)?;
                anyhow::Ok((archive, manifest))
            });
            let (archive, manifest) = patiently(common, "reading every byte", verifying).await??;
            if common.json {
                println!(
                    "{}",
                    json!({ "valid": true, "id": manifest.id, "version": manifest.version, "signer": archive.signer_hex() })
                );
            } else {
                println!(
                    "{} {} is valid, signed by {}",
                    manifest.id,
                    manifest.version,
                    archive.signer_hex()
                );
            }
        }
    }
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Archive<File>> {
    let file =
        File::open(path).with_context(|| format!("`{}` cannot be opened", path.display()))?;
    Ok(Archive::open(file, None)?)
}

fn inspect(common: &Common, file: &Path, part: Part) -> anyhow::Result<()> {
    let archive = open(file)?;
    match part {
        Part::Manifest => println!("{:#}", serde_json::to_value(archive.manifest()?)?),
        Part::FileTree if common.json => println!("{}", json!(archive.file_tree())),
        Part::FileTree => println!("{}", archive.file_tree().join("\n")),
        Part::Commitment => println!("{}", json!(archive.commitment())),
        Part::Cat { path } => {
            use std::io::Write;
            std::io::stdout().write_all(&archive.read(&path, CAT_LIMIT)?)?;
        }
    }
    Ok(())
}

fn doing(step: &PackStep) -> String {
    match step {
        PackStep::Manifest => "reading the manifest from the package's code".to_owned(),
        PackStep::Squashing(what) => format!("squashing {what}"),
        PackStep::Image(id, arch) => format!("image {id} for {arch}"),
        PackStep::Writing(path) => format!("writing {}", path.display()),
        other => format!("{other:?}"),
    }
}
