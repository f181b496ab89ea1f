//! Puts the built web app where the crate embeds it, each file beside its gzip.
//!
//! Without `console/dist` (nobody ran `npm run build`) a page saying so takes its place, so that the
//! crate compiles on a machine without Node.

use std::{
    env, fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

/// Below this size gzip's own header eats what it saves.
const GZIP_MIN_BYTES: usize = 512;

const PLACEHOLDER: &str = include_str!("placeholder.html");

fn main() -> io::Result<()> {
    let dist =
        PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../console/dist");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it")).join("web");

    // A watched path that does not exist makes cargo run this script on every build; an empty folder does not.
    let _best_effort = fs::create_dir_all(&dist);
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=placeholder.html");

    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    if dist.join("index.html").is_file() {
        copy_tree(&dist, &out)
    } else {
        fs::write(out.join("index.html"), PLACEHOLDER)
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_tree(&entry.path(), &target)?;
        } else {
            let content = fs::read(entry.path())?;
            fs::write(&target, &content)?;
            if content.len() >= GZIP_MIN_BYTES && compresses_well(&target) {
                write_gzip(&target, &content)?;
            }
        }
    }
    Ok(())
}

fn compresses_well(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    matches!(extension, "html" | "js" | "css" | "svg" | "json" | "txt")
}

fn write_gzip(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    fs::write(name, encoder.finish()?)
}
