//! Finding processes: by files with their numbers, services, control groups, names, command lines and users.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::options::{Filter, FinderKind, Selector, Service};
use super::process::{Stat, command_line, uids};
use super::supervisor;
use crate::filter::glob::Globs;
use crate::input::{GatherError, read_text};
use crate::inputs::proc_dir::ProcDir;
use crate::inputs::systemd::Systemd;
use crate::inputs::users::Users;
use crate::paths::HostPaths;

/// Control groups a pattern may stand for, at most.
const CGROUPS_MAX: usize = 4096;

/// Processes found together, and the tags that tell how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) pids: Vec<i32>,
    pub(super) tags: Vec<(&'static str, String)>,
}

impl Group {
    fn one(pids: Vec<i32>, key: &'static str, value: &str) -> Vec<Self> {
        vec![Self { pids, tags: vec![(key, value.to_owned())] }]
    }
}

/// Looks for processes within one gather.
#[derive(Debug)]
pub(super) struct Finder<'a> {
    proc: &'a ProcDir,
    paths: &'a HostPaths,
    kind: FinderKind,
    /// Every process there is, read when first needed.
    all: Option<Vec<Candidate>>,
    bytes: Vec<u8>,
}

/// A process that may be meant.
#[derive(Debug, Clone)]
struct Candidate {
    pid: i32,
    ppid: i32,
    comm: String,
}

impl<'a> Finder<'a> {
    pub(super) fn new(proc: &'a ProcDir, paths: &'a HostPaths, kind: FinderKind) -> Self {
        Self { proc, paths, kind, all: None, bytes: Vec::new() }
    }

    /// The processes of a selector.
    pub(super) fn select(&mut self, selector: &Selector) -> Result<Vec<Group>, GatherError> {
        match selector {
            Selector::PidFile(file) => Ok(Group::one(vec![pid_of_file(file)?], "pidfile", file)),
            Selector::Exe(exe, regex) => {
                let pids = self.matching(|finder, process| regex.is_match(&finder.name(process)))?;
                Ok(Group::one(pids, "exe", exe))
            }
            Selector::Pattern(pattern, regex) => {
                let pids = self.matching(|finder, process| finder.command_line_matches(process, regex))?;
                Ok(Group::one(pids, "pattern", pattern))
            }
            Selector::User(user) => {
                let users = self.users();
                let effective = self.kind == FinderKind::Pgrep;
                let pids = self.matching(|finder, process| {
                    finder.uids(process.pid).is_some_and(|(real, of_effect)| {
                        let uid = if effective { of_effect } else { real };
                        users.name(uid) == *user || uid.to_string() == *user
                    })
                })?;
                Ok(Group::one(pids, "user", user))
            }
            Selector::SystemdUnit { unit, children } => self.systemd_unit(unit, *children),
            Selector::Cgroup(cgroup) => self.cgroup(cgroup),
            Selector::SupervisorUnits(units) => supervisor_units(units),
        }
    }

    /// The processes of a filter, their children behind them.
    pub(super) fn filter(&mut self, filter: &Filter) -> Result<Vec<Group>, GatherError> {
        let mut groups = match &filter.service {
            None => {
                let pids = self.all()?.iter().map(|process| process.pid).collect();
                vec![Group { pids, tags: Vec::new() }]
            }
            Some(service) => self.service(service)?,
        };
        let users = filter.users.as_ref().map(|_| self.users()).unwrap_or_default();
        for group in &mut groups {
            let mut pids = std::mem::take(&mut group.pids);
            pids.retain(|&pid| self.passes(pid, filter, &users));
            group.pids = pids;
        }
        groups.retain(|group| !group.pids.is_empty());
        if filter.recursion_depth != Some(0) {
            let children = self.children(&groups, filter.recursion_depth)?;
            groups.extend(children);
        }
        for group in &mut groups {
            group.tags.push(("filter", filter.name.clone()));
        }
        Ok(groups)
    }

    fn service(&mut self, service: &Service) -> Result<Vec<Group>, GatherError> {
        let mut groups = Vec::new();
        match service {
            Service::PidFiles(files) => {
                for file in files {
                    groups.extend(Group::one(vec![pid_of_file(file)?], "pidfile", file));
                }
            }
            Service::SystemdUnits(units) => {
                let mut systemd = Systemd::connect(self.paths)?;
                for unit in systemd.matching(units)? {
                    let pids = systemd.main_pid(&unit)?.into_iter().collect();
                    groups.extend(Group::one(pids, "systemd_unit", &unit));
                }
            }
            Service::SupervisorUnits(units) => return supervisor_units(units),
            Service::Cgroups(cgroups) => {
                for cgroup in cgroups {
                    groups.extend(self.cgroup(cgroup)?);
                }
            }
        }
        Ok(groups)
    }

    /// Whether a process passes every list that is given; what cannot be read does not.
    fn passes(&mut self, pid: i32, filter: &Filter, users: &Users) -> bool {
        if filter.process_names.is_none() && filter.patterns.is_empty() && filter.users.is_none() {
            return self.executable_passes(pid, filter);
        }
        let Some(process) = self.candidate(pid) else { return false };
        let name = || process.comm.clone();
        if filter.process_names.as_ref().is_some_and(|names| !names.matches(&name())) {
            return false;
        }
        if !filter.patterns.is_empty() {
            let line = self.command_line(pid);
            if !filter.patterns.iter().any(|pattern| pattern.is_match(&line)) {
                return false;
            }
        }
        let user = |finder: &mut Self| finder.uids(pid).map(|(real, _)| users.name(real));
        if let Some(globs) = &filter.users
            && !user(self).is_some_and(|user| globs.matches(&user))
        {
            return false;
        }
        self.executable_passes(pid, filter)
    }

    fn executable_passes(&self, pid: i32, filter: &Filter) -> bool {
        filter.executables.as_ref().is_none_or(|globs| {
            let path = fs::read_link(self.proc.path(pid, "exe"));
            path.is_ok_and(|path| globs.matches(&path.to_string_lossy()))
        })
    }

    /// The processes below those found, level by level; each a group of its own, since it is tagged with its parent.
    fn children(&mut self, groups: &[Group], depth: Option<u32>) -> Result<Vec<Group>, GatherError> {
        let mut found = Vec::new();
        let mut seen: BTreeSet<i32> = groups.iter().flat_map(|group| group.pids.iter().copied()).collect();
        let mut parents: Vec<(i32, &Group)> =
            groups.iter().flat_map(|group| group.pids.iter().map(move |pid| (*pid, group))).collect();
        let all = self.all()?;
        let mut level = 0_u32;
        while !parents.is_empty() && depth.is_none_or(|depth| level < depth) {
            level += 1;
            let mut next = Vec::new();
            for (parent, group) in parents {
                for child in all.iter().filter(|process| process.ppid == parent) {
                    if seen.insert(child.pid) {
                        found.push(child_group(child.pid, parent, level, &group.tags));
                        next.push((child.pid, group));
                    }
                }
            }
            parents = next;
        }
        Ok(found)
    }

    /// The main process of a unit; with `children` all others of its control group too.
    fn systemd_unit(&mut self, unit: &str, children: bool) -> Result<Vec<Group>, GatherError> {
        let mut systemd = Systemd::connect(self.paths)?;
        let units = if children { systemd.matching(&[unit.to_owned()])? } else { vec![unit.to_owned()] };
        let mut groups = Vec::new();
        for unit in units {
            let Some(main) = systemd.main_pid(&unit)? else { continue };
            groups.extend(Group::one(vec![main], "systemd_unit", &unit));
            if children && let Some(cgroup) = systemd.control_group(&unit)? {
                let tags = [("systemd_unit", unit)];
                for pid in self.pids_below(&cgroup).into_iter().filter(|&pid| pid != main) {
                    groups.push(child_group(pid, main, 1, &tags));
                }
            }
        }
        Ok(groups)
    }

    /// All processes of a control group as systemd names it, and of those inside.
    fn pids_below(&self, cgroup: &str) -> Vec<i32> {
        let relative = cgroup.trim_start_matches('/');
        // The unified hierarchy, systemd's own one of the older, and that beside the older ones.
        let roots = ["fs/cgroup", "fs/cgroup/systemd", "fs/cgroup/unified"].map(|root| self.paths.sys(root));
        let root =
            roots.iter().map(|root| root.join(relative)).find(|path| path.join("cgroup.procs").exists());
        let mut directories: Vec<PathBuf> = root.into_iter().collect();
        let mut pids = BTreeSet::new();
        while let Some(directory) = directories.pop() {
            pids.extend(pids_of_cgroup(&directory));
            directories.extend(subdirectories(&directory));
        }
        pids.into_iter().collect()
    }

    /// The control groups of a path below `/sys/fs/cgroup`, which may hold globs.
    fn cgroup(&self, cgroup: &str) -> Result<Vec<Group>, GatherError> {
        let root = self.paths.sys("fs/cgroup");
        let (start, pattern) = match cgroup.strip_prefix('/') {
            Some(absolute) => (PathBuf::from("/"), absolute),
            None => (root, cgroup),
        };
        let directories = matching_directories(start, pattern);
        if directories.is_empty() {
            let source = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such control group");
            return Err(GatherError::Read { path: self.paths.sys("fs/cgroup").join(cgroup), source });
        }
        let group = |directory: &PathBuf| Group {
            pids: pids_of_cgroup(directory),
            tags: vec![("cgroup", cgroup.to_owned()), ("cgroup_full", directory.display().to_string())],
        };
        Ok(directories.iter().map(group).collect())
    }

    fn matching(
        &mut self,
        mut wanted: impl FnMut(&mut Self, &Candidate) -> bool,
    ) -> Result<Vec<i32>, GatherError> {
        self.all()?;
        let all = self.all.take().unwrap_or_default();
        let pids = all.iter().filter(|process| wanted(self, process)).map(|process| process.pid).collect();
        self.all = Some(all);
        Ok(pids)
    }

    fn all(&mut self) -> Result<&[Candidate], GatherError> {
        if self.all.is_none() {
            let mut pids = Vec::new();
            self.proc.pids(&mut pids)?;
            self.all = Some(pids.into_iter().filter_map(|pid| self.candidate(pid)).collect());
        }
        Ok(self.all.as_deref().unwrap_or_default())
    }

    fn candidate(&mut self, pid: i32) -> Option<Candidate> {
        self.proc.read(pid, "stat", &mut self.bytes).ok()?;
        let stat = Stat::parse(&String::from_utf8_lossy(&self.bytes))?;
        Some(Candidate { pid, ppid: stat.ppid, comm: stat.comm })
    }

    /// The name as the finder compares it: the kernel cuts it to 15 bytes, the command line may have the rest.
    fn name(&mut self, process: &Candidate) -> String {
        const CUT: usize = 15;
        if self.kind == FinderKind::Native && process.comm.len() >= CUT {
            let line = self.command_line(process.pid);
            let program = line.split(' ').next().and_then(|path| path.rsplit('/').next());
            if let Some(whole) = program.filter(|program| program.starts_with(&process.comm)) {
                return whole.to_owned();
            }
        }
        process.comm.clone()
    }

    fn command_line_matches(&mut self, process: &Candidate, regex: &Regex) -> bool {
        let line = self.command_line(process.pid);
        // The kernel's own threads have none; pgrep takes their names then.
        let name = line.is_empty() && self.kind == FinderKind::Pgrep;
        regex.is_match(if name { &process.comm } else { &line })
    }

    fn command_line(&mut self, pid: i32) -> String {
        match self.proc.read(pid, "cmdline", &mut self.bytes) {
            Ok(()) => command_line(&self.bytes),
            Err(_) => String::new(),
        }
    }

    fn uids(&mut self, pid: i32) -> Option<(u32, u32)> {
        self.proc.read(pid, "status", &mut self.bytes).ok()?;
        uids(&String::from_utf8_lossy(&self.bytes))
    }

    fn users(&self) -> Users {
        Users::read(self.paths)
    }
}

fn child_group(pid: i32, parent: i32, level: u32, tags: &[(&'static str, String)]) -> Group {
    let mut tags = tags.to_vec();
    tags.push(("parent_pid", parent.to_string()));
    tags.push(("child_level", level.to_string()));
    tags.push(("level", level.to_string()));
    Group { pids: vec![pid], tags }
}

fn supervisor_units(units: &[String]) -> Result<Vec<Group>, GatherError> {
    let found = supervisor::pids(units)?.into_iter();
    Ok(found.flat_map(|(unit, pids)| Group::one(pids, "supervisor_unit", &unit)).collect())
}

fn pid_of_file(file: &str) -> Result<i32, GatherError> {
    let path = PathBuf::from(file);
    let text = read_text(&path)?;
    let pid = text.trim().parse();
    pid.map_err(|_| GatherError::Malformed { path, reason: format!("no process number: {:?}", text.trim()) })
}

fn pids_of_cgroup(directory: &Path) -> Vec<i32> {
    // It may be gone meanwhile, and then has no processes.
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

fn subdirectories(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let directories =
        entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<_> = directories.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn matching_directories(start: PathBuf, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![start];
    for name in pattern.split('/').filter(|name| !name.is_empty()) {
        let is_glob = name.contains(['*', '?', '[']);
        let globs = is_glob.then(|| Globs::compile(&[name.to_owned()], "").ok()).flatten();
        found = match globs {
            None => found.into_iter().map(|path| path.join(name)).filter(|path| path.is_dir()).collect(),
            Some(globs) => {
                let named =
                    |path: &PathBuf| path.file_name().is_some_and(|n| globs.matches(&n.to_string_lossy()));
                found.iter().flat_map(|path| subdirectories(path)).filter(named).collect()
            }
        };
        found.truncate(CGROUPS_MAX);
    }
    found
}
