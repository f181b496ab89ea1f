//! Probes that look at the host's files: what the kernel offers, and what leaves its traces there.

use std::fs;
use std::path::{Path, PathBuf};

use super::Host;
use super::finding::Finding;
use super::reach::Target;
use crate::config::default::quote;
use crate::input::read_text;
use crate::path_glob::PathGlob;

/// Where keepalived writes its number, below `/run`.
const KEEPALIVED_PIDS: [&str; 2] = ["keepalived.pid", "keepalived/keepalived.pid"];

/// keepalived runs, and takes signals of this user.
pub(super) fn keepalived(host: &Host) -> Finding {
    const NAME: &str = "keepalived";
    let pid = |path: &Path| read_text(path).ok()?.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    let toml =
        |path: &Path| format!("[[inputs.keepalived]]\n  pid_file = {}\n", quote(&path.to_string_lossy()));
    let files: Vec<PathBuf> = KEEPALIVED_PIDS.iter().map(|name| host.paths.run(name)).collect();
    let mut refused = None;
    for path in &files {
        let Some(pid) = pid(path) else { continue };
        match host.reach.may_signal(pid) {
            Ok(()) => {
                return Finding::found(NAME, format!("process {pid}, of {}", path.display()), toml(path));
            }
            Err(why) => {
                let note = format!("{} names process {pid}, which takes no signal: {why}", path.display());
                refused = Some(Finding::unusable(NAME, note, toml(path)));
            }
        }
    }
    let config = host.paths.etc("keepalived/keepalived.conf");
    match refused {
        Some(finding) => finding,
        None if config.exists() => {
            let note = format!("{} is there, and keepalived does not run", config.display());
            Finding::unusable(NAME, note, toml(&files[0]))
        }
        None => Finding::absent(NAME, format!("no {}, no {}", files[0].display(), config.display())),
    }
}

/// systemd is in charge, and D-Bus is there to ask it.
pub(super) fn systemd(host: &Host) -> Finding {
    const NAME: &str = "systemd";
    const TOML: &str = "[[inputs.systemd_units]]\n";
    let running = host.paths.run("systemd/system");
    if !running.is_dir() {
        return Finding::absent(NAME, format!("no {}", running.display()));
    }
    let address = host.paths.system_bus();
    let Some(socket) = address.strip_prefix("unix:path=") else {
        return Finding::found(NAME, format!("{}, by {address}", running.display()), TOML);
    };
    match host.reach.exchange(&Target::unix(socket), b"", |_| true) {
        Ok(_) => Finding::found(NAME, running.display().to_string(), TOML),
        Err(why) => {
            Finding::unusable(NAME, format!("it runs, and D-Bus does not answer at {socket}: {why}"), TOML)
        }
    }
}

/// The kernel tracks connections.
pub(super) fn conntrack(host: &Host) -> Finding {
    const NAME: &str = "connection tracking";
    let count = host.paths.proc("sys/net/netfilter/nf_conntrack_count");
    match read_text(&count) {
        Ok(_) => Finding::found(NAME, count.display().to_string(), "[[inputs.conntrack]]\n  collect = []\n"),
        Err(_) => Finding::absent(NAME, format!("no {}", count.display())),
    }
}

/// Sensors of temperatures that can be read.
pub(super) fn temperatures(host: &Host) -> Finding {
    const NAME: &str = "temperatures";
    match readings(host) {
        0 => Finding::absent(NAME, format!("none below {}", host.paths.sys("class/hwmon").display())),
        count => {
            let note = format!("{count} below {}", host.paths.sys("class/hwmon").display());
            Finding::found(NAME, note, "[[inputs.temp]]\n")
        }
    }
}

/// The program of lm-sensors, and something for it to read.
pub(super) fn sensors(host: &Host) -> Finding {
    const NAME: &str = "lm-sensors";
    let Some(program) = program(&host.programs, "sensors") else {
        return Finding::absent(NAME, "no `sensors` in PATH");
    };
    if readings(host) == 0 {
        return Finding::absent(NAME, format!("{} has no sensors to read", program.display()));
    }
    Finding::found(NAME, program.display().to_string(), "[[inputs.sensors]]\n")
}

/// How many sensors of temperatures tell something. Drivers before Linux 3.15 have them in `device`.
fn readings(host: &Host) -> usize {
    let class = host.paths.sys("class/hwmon");
    // The chips are links, which a pattern would have to follow.
    let chips = fs::read_dir(class).into_iter().flatten().flatten().map(|entry| entry.path());
    chips
        .flat_map(|chip| [chip.join("temp*_input"), chip.join("device/temp*_input")])
        .filter_map(|pattern| PathGlob::new(&pattern.to_string_lossy()).ok())
        .flat_map(|glob| glob.files())
        .filter(|path| read_text(path).is_ok())
        .count()
}

/// Where a program is; relative directories of `$PATH` are left out.
fn program(directories: &str, name: &str) -> Option<PathBuf> {
    let absolute = directories.split(':').filter(|directory| directory.starts_with('/'));
    absolute.map(|directory| Path::new(directory).join(name)).find(|path| path.is_file())
}
