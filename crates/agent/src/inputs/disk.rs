//! `disk`: how full the mounted file systems are.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::file_system::{Pending, Usage, may_hang};
use super::udev;
use crate::config::{ConfigError, Section};
use crate::context::Context;
use crate::input::{Accumulator, GatherError, Input, read_text};
use crate::metric::{Kind, Metric};
use crate::paths::HostPaths;

/// The input. All lists are matched exactly; an empty `mount_points` takes all.
#[derive(Debug)]
struct Disk {
    mount_points: Vec<String>,
    ignore_fs: Vec<String>,
    ignore_mount_opts: Vec<String>,
    paths: HostPaths,
    pending: Pending,
}

pub(crate) fn build(section: &mut Section, context: &Context) -> Result<Box<dyn Input>, ConfigError> {
    let mount_points = section.strings("mount_points")?.unwrap_or_default();
    // Its name before 0.10, still accepted.
    let legacy = section.strings("mountpoints")?.unwrap_or_default();
    Ok(Box::new(Disk {
        mount_points: if mount_points.is_empty() { legacy } else { mount_points },
        ignore_fs: section.strings("ignore_fs")?.unwrap_or_default(),
        ignore_mount_opts: section.strings("ignore_mount_opts")?.unwrap_or_default(),
        paths: context.paths.clone(),
        pending: Pending::default(),
    }))
}

impl Input for Disk {
    fn gather(&mut self, acc: &mut Accumulator) -> Result<(), GatherError> {
        // Process 1 sees the host's mounts even if this process lives in a namespace of its own.
        let text = match read_text(&self.paths.proc("1/mountinfo")) {
            Ok(text) => text,
            Err(_) => read_text(&self.paths.proc("self/mountinfo"))?,
        };
        let mounts: Vec<_> = parse_mountinfo(&text).into_iter().filter(|mount| self.wants(mount)).collect();
        self.pending.retain(|path| mounts.iter().any(|mount| mount.path == path));
        for mount in &mounts {
            let usage = match self.usage(mount) {
                Ok(usage) => usage,
                Err(source) if source.kind() == ErrorKind::TimedOut => {
                    acc.report(GatherError::Read { path: PathBuf::from(&mount.path), source });
                    continue;
                }
                // Gone meanwhile, or not to be asked by this user.
                Err(_) => continue,
            };
            // A pseudo file system, which holds nothing.
            if usage.total == 0 {
                continue;
            }
            let metric = acc.metric("disk").kind(Kind::Gauge);
            let metric = self.tags(metric, mount);
            acc.add(usage_fields(metric, &usage));
        }
        Ok(())
    }
}

impl Disk {
    fn usage(&mut self, mount: &Mount) -> io::Result<Usage> {
        let path = self.inside(&mount.path);
        if may_hang(&mount.fstype) {
            self.pending.ask(&mount.path, move || Usage::ask(&path))
        } else {
            Usage::ask(&path)
        }
    }

    fn wants(&self, mount: &Mount) -> bool {
        mount.fstype != "autofs"
            && !self.ignore_fs.contains(&mount.fstype)
            && (self.mount_points.is_empty() || self.mount_points.contains(&mount.path))
            && !mount.options.iter().any(|option| self.ignore_mount_opts.contains(option))
    }

    /// Where this process finds what the host has at `path`.
    fn inside(&self, path: &str) -> PathBuf {
        let prefix = self.paths.mount_prefix();
        if prefix.as_os_str().is_empty() || Path::new(path).starts_with(prefix) {
            PathBuf::from(path)
        } else {
            prefix.join(path.trim_start_matches('/'))
        }
    }

    fn tags(&self, metric: Metric, mount: &Mount) -> Metric {
        let prefix = self.paths.mount_prefix().to_string_lossy();
        let below = mount.path.strip_prefix(prefix.as_ref()).filter(|_| !prefix.is_empty());
        // "/hostfs2" is not below "/hostfs".
        let below = below.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = match below.unwrap_or(&mount.path) {
            "" => "/",
            path => path,
        };
        let mut metric = metric
            .tag("path", path)
            .tag("device", self.device(mount))
            .tag("fstype", mount.fstype.clone())
            .tag("mode", mount.mode());
        if let Some(label) = self.label(mount) {
            metric.set_tag("label", label);
        }
        metric
    }

    /// The device without `/dev/`; the kernel's own name for what device-mapper and `/dev/root` alias.
    fn device(&self, mount: &Mount) -> String {
        if mount.source == "none" {
            return mount.fstype.clone();
        }
        let aliased = mount.source.starts_with("/dev/mapper/") || mount.source == "/dev/root";
        if aliased
            && let Ok(target) = fs::read_link(self.paths.sys(format!("dev/block/{}", mount.device_number)))
            && let Some(name) = target.file_name()
        {
            return name.to_string_lossy().into_owned();
        }
        mount.source.strip_prefix("/dev/").unwrap_or(&mount.source).to_owned()
    }

    /// The device-mapper name, or the file system's label as udev read it.
    fn label(&self, mount: &Mount) -> Option<String> {
        let dm = self.paths.sys(format!("dev/block/{}/dm/name", mount.device_number));
        if let Ok(name) = fs::read_to_string(dm) {
            return Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        }
        let (major, minor) = mount.device_number.split_once(':')?;
        let device = udev::Device::read(&self.paths, major.parse().ok()?, minor.parse().ok()?);
        device.properties.get("ID_FS_LABEL").filter(|label| !label.is_empty()).cloned()
    }
}

/// A line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// `major:minor`.
    device_number: String,
    path: String,
    /// Of the mount; with the pseudo option `bind` if it shows a part of a file system only.
    options: Vec<String>,
    super_options: Vec<String>,
    fstype: String,
    source: String,
}

impl Mount {
    /// `ro` if the mount or its file system is.
    fn mode(&self) -> &'static str {
        let has = |option: &str| {
            [&self.options, &self.super_options].into_iter().any(|list| list.iter().any(|o| o == option))
        };
        match (has("ro"), has("rw")) {
            (true, _) => "ro",
            (false, true) => "rw",
            (false, false) => "unknown",
        }
    }
}

/// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`:
/// before the dash id, parent, device, root, mount point, options and optional fields.
fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_mount).collect()
}

fn parse_mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<_> = left.split(' ').collect();
    let [_, _, device_number, root, path, options, ..] = left.as_slice() else { return None };
    let mut right = right.split(' ');
    let (fstype, source) = (right.next()?, right.next()?);
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut options = list(options);
    // A subvolume of btrfs has a root too, and is a file system to its users all the same.
    if *root != "/" && fstype != "btrfs" {
        options.push("bind".to_owned());
    }
    Some(Mount {
        device_number: (*device_number).to_owned(),
        path: unescape(path),
        options,
        super_options: list(right.next().unwrap_or_default()),
        fstype: fstype.to_owned(),
        source: unescape(source),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn usage_fields(metric: Metric, usage: &Usage) -> Metric {
    let used = usage.total.saturating_sub(usage.free);
    let inodes_used = usage.inodes_total.saturating_sub(usage.inodes_free);
    // Of what an ordinary user can ever have, hence not of the total.
    let percent = |part: u64, whole: u64| if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    metric
        .field("total", usage.total)
        .field("free", usage.available)
        .field("used", used)
        .field("used_percent", percent(used, used + usage.available))
        .field("inodes_total", usage.inodes_total)
        .field("inodes_free", usage.inodes_free)
        .field("inodes_used", inodes_used)
        .field("inodes_used_percent", percent(inodes_used, usage.inodes_total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use skywatch_model::FieldValue::{Float, Unsigned};

    const MOUNTINFO: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
30 22 0:25 / /my\\040data ro,nosuid - tmpfs none rw,size=100k
31 22 254:1 /srv /mnt rw - ext4 /dev/sda1 rw
32 22 0:40 / /auto rw - autofs systemd-1 rw
33 22 0:41 / /snap rw shared:3 master:1 - xfs /dev/mapper/vg-snap ro
bad line
";

    fn disk(options: &str) -> Disk {
        let mut section = crate::config::section_for_tests(options);
        Disk {
            mount_points: section.strings("mount_points").expect("list").unwrap_or_default(),
            ignore_fs: section.strings("ignore_fs").expect("list").unwrap_or_default(),
            ignore_mount_opts: section.strings("ignore_mount_opts").expect("list").unwrap_or_default(),
            paths: HostPaths::from_env(&|name| {
                (name == "HOST_SYS" || name == "HOST_RUN").then(|| "/nonexistent".to_owned())
            }),
            pending: Pending::default(),
        }
    }

    #[test]
    fn mounts_are_parsed() {
        let mounts = parse_mountinfo(MOUNTINFO);
        assert_eq!(mounts.len(), 5);
        assert_eq!(mounts[0].path, "/");
        assert_eq!(mounts[1].path, "/my data");
        assert_eq!(mounts[1].mode(), "ro");
        assert_eq!(mounts[0].mode(), "rw");
        assert_eq!(mounts[4].mode(), "ro", "the superblock is");
        assert!(mounts[2].options.contains(&"bind".to_owned()));
    }

    #[test]
    fn lists_choose_exactly() {
        let wanted = |options: &str| {
            let disk = disk(options);
            parse_mountinfo(MOUNTINFO)
                .iter()
                .filter(|m| disk.wants(m))
                .map(|m| m.path.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(wanted(""), ["/", "/my data", "/mnt", "/snap"], "never autofs");
        assert_eq!(wanted("ignore_fs = ['tmpfs', 'x*']"), ["/", "/mnt", "/snap"]);
        assert_eq!(wanted("ignore_mount_opts = ['bind']"), ["/", "/my data", "/snap"]);
        assert_eq!(wanted("mount_points = ['/snap']"), ["/snap"]);
    }

    #[test]
    fn tags_name_mount_and_device() {
        let mounts = parse_mountinfo(MOUNTINFO);
        let disk = disk("");
        let tags = |mount: &Mount| {
            let metric = disk.tags(Metric::new("disk", 0), mount);
            metric.tags().iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()
        };
        assert_eq!(tags(&mounts[2]), ["device=sda1", "fstype=ext4", "mode=rw", "path=/mnt"]);
        assert_eq!(tags(&mounts[1]), ["device=tmpfs", "fstype=tmpfs", "mode=ro", "path=/my data"]);
        let mut host = disk;
        host.paths = HostPaths::from_env(&|name| (name == "HOST_MOUNT_PREFIX").then(|| "/hostfs".to_owned()));
        assert_eq!(host.inside("/var"), PathBuf::from("/hostfs/var"));
        assert_eq!(host.inside("/hostfs/var"), PathBuf::from("/hostfs/var"));
        let mount = Mount { path: "/hostfs".to_owned(), ..mounts[2].clone() };
        assert_eq!(host.tags(Metric::new("disk", 0), &mount).tag_value("path"), Some("/"));
        let mount = Mount { path: "/hostfs2".to_owned(), ..mount };
        assert_eq!(host.tags(Metric::new("disk", 0), &mount).tag_value("path"), Some("/hostfs2"));
    }

    #[test]
    fn shares_are_of_what_users_can_have() {
        let usage = Usage { total: 1000, free: 400, available: 300, inodes_total: 50, inodes_free: 40 };
        let m = usage_fields(Metric::new("disk", 0), &usage);
        assert_eq!(m.field_value("free"), Some(&Unsigned(300)));
        assert_eq!(m.field_value("used"), Some(&Unsigned(600)));
        let Some(Float(percent)) = m.field_value("used_percent") else { panic!("a float") };
        assert!((percent - 66.6666).abs() < 1e-3);
        assert_eq!(m.field_value("inodes_used_percent"), Some(&Float(20.0)));
    }

    #[test]
    fn this_machine_has_a_root() {
        let mut acc = Accumulator::new(0);
        let mut input = build(&mut crate::config::section_for_tests(""), &Context::default()).expect("valid");
        input.gather(&mut acc).expect("mountinfo is readable");
        let (metrics, _) = acc.into_parts();
        assert!(metrics.iter().any(|m| m.tag_value("path") == Some("/")), "{metrics:?}");
    }
}
