//! Has every rendered file looked at by the program it is for, where that is installed: HAProxy, keepalived, systemd,
//! OpenSSL, the shell, Skywatch itself. They look at a copy, in which the files refer to each other where they lie, so that
//! nothing has to be installed and nothing is touched.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    file::RenderedFile,
    output::{self, OutputError},
    plan::paths,
};

/// No program needs as long to look at a file.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is shown of what a program says.
const LINES_MAX: usize = 12;

/// Who looks at which files, and how it is asked. `{file}` is the file, `{ca}` the authority's certificate beside it.
struct Checker {
    program: &'static str,
    is_for: fn(&str) -> bool,
    arguments: &'static [&'static str],
}

const CHECKERS: [Checker; 6] = [
    Checker {
        program: "skywatch",
        is_for: |path| {
            let is_telegraf = path.ends_with("/telegraf.conf");
            is_telegraf
                || path.starts_with("/etc/skywatch/") && (path.ends_with(".toml") || path.ends_with(".yaml"))
        },
        arguments: &["config", "check", "{file}"],
    },
    Checker {
        program: "haproxy",
        is_for: |path| path.ends_with("/haproxy.cfg"),
        arguments: &["-c", "-f", "{file}"],
    },
    Checker {
        program: "keepalived",
        is_for: |path| path.ends_with("/keepalived.conf"),
        arguments: &["--config-test", "--use-file={file}"],
    },
    Checker {
        program: "systemd-analyze",
        is_for: |path| path.ends_with(".service"),
        arguments: &["verify", "--man=no", "--recursive-errors=no", "{file}"],
    },
    Checker {
        program: "openssl",
        is_for: |path| path == paths::CERTIFICATE,
        arguments: &["verify", "-CAfile", "{ca}", "{file}"],
    },
    Checker { program: "sh", is_for: |path| path.ends_with(".sh"), arguments: &["-n", "{file}"] },
];

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No room for a copy.
    #[error("cannot make a directory for a copy of the files")]
    Directory(#[source] io::Error),
    /// The copy cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// What a program said of the files that are for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is not installed.
    pub is_missing: bool,
    /// Files it has nothing against.
    pub passed: usize,
    /// Files it refuses, and its words.
    pub refused: Vec<(String, String)>,
}

/// Has all files looked at; what each program says, by its name. `skywatch` is the binary that looks at its own files.
///
/// # Errors
/// When no copy can be made.
pub fn verify(
    files: &[RenderedFile],
    skywatch: &Path,
) -> Result<BTreeMap<&'static str, Verdict>, VerifyError> {
    let dir = tempfile::Builder::new().prefix("skywatch-verify").tempdir().map_err(VerifyError::Directory)?;
    copy(dir.path(), files)?;
    let mut verdicts = BTreeMap::new();
    for checker in &CHECKERS {
        let program =
            if checker.program == "skywatch" { Some(skywatch.to_path_buf()) } else { find(checker.program) };
        let verdict: &mut Verdict = verdicts.entry(checker.program).or_default();
        for file in files {
            let (root, path) = split(&file.path);
            if !(checker.is_for)(path) {
                continue;
            }
            let Some(program) = &program else {
                verdict.is_missing = true;
                continue;
            };
            let authority = dir.path().join(format!("{root}{}", paths::AUTHORITY));
            match run(program, checker.arguments, &dir.path().join(&file.path), &authority, dir.path()) {
                Ok(()) => verdict.passed += 1,
                Err(words) => verdict.refused.push((file.path.clone(), words)),
            }
        }
    }
    Ok(verdicts)
}

/// The directory of a host, and the path there.
fn split(path: &str) -> (&str, &str) {
    let host_len =
        path.strip_prefix("hosts/").and_then(|rest| rest.find('/')).map_or(0, |at| at + "hosts/".len());
    let (root, rest) = path.split_at(host_len);
    (root, if root.is_empty() { path } else { rest })
}

/// Copies the files; what a file says of another of its host leads to the copy.
fn copy(dir: &Path, files: &[RenderedFile]) -> Result<(), VerifyError> {
    let mut hosts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files {
        let (root, path) = split(&file.path);
        hosts.entry(root).or_default().push(path);
    }
    for paths in hosts.values_mut() {
        // A path may begin with another one.
        paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    }
    for file in files {
        let (root, path) = split(&file.path);
        let mut text = file.text.clone();
        if !root.is_empty() && !path.ends_with(".sh") {
            for other in &hosts[root] {
                text = text.replace(other, &dir.join(root).join(&other[1..]).to_string_lossy());
            }
        }
        if path.ends_with(".service") {
            text = with_programs(&text);
        }
        output::write_file(dir, &RenderedFile { text, ..file.clone() })?;
    }
    Ok(())
}

/// A unit whose programs are there: where they are installed is another host's matter.
fn with_programs(unit: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key @ ("ExecStart" | "ExecStartPre" | "ExecStop" | "ExecReload"), _)) => {
            format!("{key}=/bin/true\n")
        }
        _ => format!("{line}\n"),
    };
    unit.lines().map(line).collect()
}

/// A program of this machine; those for administrators are not in everybody's path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
}

/// Asks a program; `Err` is what it says against the file.
fn run(program: &Path, arguments: &[&str], file: &Path, authority: &Path, dir: &Path) -> Result<(), String> {
    let words = dir.join("words");
    let told = |error: io::Error| format!("{}: {error}", program.display());
    let out = File::create(&words).map_err(told)?;
    let arguments = arguments.iter().map(|argument| {
        argument.replace("{file}", &file.to_string_lossy()).replace("{ca}", &authority.to_string_lossy())
    });
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(out.try_clone().map_err(told)?)
        .stderr(out)
        .spawn()
        .map_err(told)?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(told)? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                child.kill().and_then(|()| child.wait()).map_err(told)?;
                return Err(format!("{} did not end within {} s", program.display(), PATIENCE.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let said = fs::read(&words).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    // keepalived 2.2 ends such a look by a SIGTERM to itself, whatever it found; but it is silent only if that is nothing.
    let is_fine = if program.ends_with("keepalived") { said.trim().is_empty() } else { status.success() };
    if is_fine {
        return Ok(());
    }
    let root = format!("{}/", dir.display());
    let lines: Vec<_> = said.lines().take(LINES_MAX).map(|line| line.replace(&root, "")).collect();
    Err(if lines.is_empty() { format!("{status}") } else { lines.join("\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_host() {
        assert_eq!(split("hosts/a/etc/x"), ("hosts/a", "/etc/x"));
        assert_eq!(split("cluster/join.sh"), ("", "cluster/join.sh"));
    }

    #[test]
    fn a_shell_refuses_what_is_no_script_and_others_go_on() {
        let files = [
            RenderedFile::once("good.sh", "#!/bin/sh\necho\n").script(),
            RenderedFile::once("bad.sh", "if true; then\n").script(),
        ];
        let verdicts = verify(&files, Path::new("/nonexistent")).unwrap();
        let shell = &verdicts["sh"];
        assert_eq!((shell.passed, shell.refused.len(), shell.is_missing), (1, 1, false));
        assert!(shell.refused[0].0.ends_with("bad.sh") && !shell.refused[0].1.is_empty(), "{shell:?}");
        assert_eq!(verdicts["haproxy"], Verdict::default());
    }

    #[test]
    fn files_refer_to_each_other_in_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| RenderedFile::beside(path, text);
        let files = [
            file("hosts/a/etc/x", "see /etc/y and /etc/z\n"),
            file("hosts/a/etc/y", ""),
            file("hosts/b/etc/z", ""),
        ];
        copy(dir.path(), &files).unwrap();
        let copied = fs::read_to_string(dir.path().join("hosts/a/etc/x")).unwrap();
        assert_eq!(copied, format!("see {}/hosts/a/etc/y and /etc/z\n", dir.path().display()));
    }
}
