//! Files by patterns: `*` and `?` within a name, `**` across directories, `[a-z]`, `{a,b}`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Files found by one pattern, at most.
const FILES_MAX: usize = 100_000;
/// Directories below each other that `**` goes down, at most: links may lead in circles.
const DEPTH_MAX: usize = 64;

/// A pattern that has been read.
#[derive(Debug, Clone)]
pub(crate) struct PathGlob {
    pattern: String,
    /// `None` for a plain path.
    search: Option<Search>,
}

/// How the files of a pattern are found.
#[derive(Debug, Clone)]
struct Search {
    /// The directory that holds all of them.
    base: PathBuf,
    /// How many directories below it may hold some.
    depth: usize,
    /// What full paths have to match.
    matcher: GlobMatcher,
}

impl PathGlob {
    /// Reads a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        if !has_wildcard(pattern) {
            return Ok(Self { pattern: pattern.to_owned(), search: None });
        }
        let matcher = GlobBuilder::new(pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| format!("{pattern:?}: {error}"))?
            .compile_matcher();
        let base: PathBuf = Path::new(pattern)
            .components()
            .take_while(
                |part| !matches!(part, Component::Normal(name) if has_wildcard(&name.to_string_lossy())),
            )
            .collect();
        // Only `**` goes deeper than the pattern is long.
        let parts_below = Path::new(pattern).components().count() - base.components().count();
        let depth = if pattern.contains("**") { DEPTH_MAX } else { parts_below.saturating_sub(1) };
        let base = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base };
        Ok(Self { pattern: pattern.to_owned(), search: Some(Search { base, depth, matcher }) })
    }

    /// One file, whatever its name looks like.
    pub(crate) fn literal(path: &Path) -> Self {
        Self { pattern: path.to_string_lossy().into_owned(), search: None }
    }

    /// The pattern as it was written.
    pub(crate) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The files there are, sorted; a plain path is always one of them.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Some(Search { base, depth, matcher }) = &self.search else {
            return vec![PathBuf::from(&self.pattern)];
        };
        let mut found = Vec::new();
        let is_relative = !Path::new(&self.pattern).starts_with(base);
        walk(base, *depth, &mut |path| {
            let shown = if is_relative { path.strip_prefix(base).unwrap_or(path) } else { path };
            if matcher.is_match(shown) {
                found.push(shown.to_owned());
            }
            found.len() < FILES_MAX
        });
        found.sort();
        found
    }
}

fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// Visits every file below a directory until the visitor has enough. What cannot be read holds nothing.
fn walk(directory: &Path, depth: usize, visit: &mut impl FnMut(&Path) -> bool) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return true };
    for entry in entries.flatten() {
        let path = entry.path();
        // Links count as what they lead to.
        let go_on = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => depth == 0 || walk(&path, depth - 1, visit),
            Ok(_) => visit(&path),
            Err(_) => true,
        };
        if !go_on {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_by_patterns() {
        let dir = tempfile::tempdir().expect("temporary directory");
        for file in ["a.log", "b.txt", "x/c.log", "x/y/d.log"] {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "").expect("written");
        }
        let found = |pattern: &str| -> Vec<String> {
            let glob = PathGlob::new(&format!("{}/{pattern}", dir.path().display())).expect("valid");
            let files = glob.files();
            let shown = |path: &PathBuf| path.strip_prefix(dir.path()).expect("below").display().to_string();
            files.iter().map(shown).collect()
        };
        assert_eq!(found("*.log"), ["a.log"]);
        assert_eq!(found("**/*.log"), ["a.log", "x/c.log", "x/y/d.log"]);
        assert_eq!(found("*/?.log"), ["x/c.log"]);
        assert_eq!(found("x/{c,y/d}.log"), ["x/c.log", "x/y/d.log"]);
        assert_eq!(found("{a,b}.*"), ["a.log", "b.txt"]);
        assert_eq!(found("absent.log"), ["absent.log"], "a plain path is taken at its word");
        assert!(PathGlob::new("/a/[").is_err());
    }
}
