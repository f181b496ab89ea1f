//! The options of the `procstat` input.

use std::collections::BTreeSet;

use regex::Regex;

use super::sockets::Protocols;
use crate::config::{ConfigError, Section};
use crate::filter::glob::Globs;
use crate::go_regex;

/// What may be a tag instead of a field.
const TAGGABLE: [&str; 15] = [
    "child_level",
    "cmdline",
    "dest",
    "dest_port",
    "level",
    "name",
    "parent_pid",
    "pid",
    "ppid",
    "protocol",
    "src",
    "src_port",
    "state",
    "status",
    "user",
];

/// What `[[inputs.procstat]]` sets.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) choice: Choice,
    pub(super) finder: FinderKind,
    /// Instead of the kernel's name of a process.
    pub(super) process_name: Option<String>,
    /// Before the name of each field, with an underscore; or empty.
    pub(super) prefix: String,
    /// Whether a process that keeps all CPUs busy uses 100 % rather than 100 % of each.
    pub(super) share_of_all_cpus: bool,
    pub(super) tag_with: BTreeSet<String>,
    pub(super) properties: Properties,
    pub(super) socket_protocols: Protocols,
}

/// Which processes are meant.
#[derive(Debug)]
pub(super) enum Choice {
    /// By one option of the table.
    Selector(Selector),
    /// By filters, each on its own.
    Filters(Vec<Filter>),
}

/// The options that choose processes.
#[derive(Debug)]
pub(super) enum Selector {
    PidFile(String),
    /// On the name; as written and as read.
    Exe(String, Regex),
    /// On the command line; as written and as read.
    Pattern(String, Regex),
    User(String),
    SystemdUnit {
        unit: String,
        children: bool,
    },
    Cgroup(String),
    SupervisorUnits(Vec<String>),
}

impl Selector {
    /// What tells of which selector a lookup is.
    pub(super) fn lookup_tag(&self) -> (&'static str, String) {
        match self {
            Self::PidFile(file) => ("pidfile", file.clone()),
            Self::Exe(exe, _) => ("exe", exe.clone()),
            Self::Pattern(pattern, _) => ("pattern", pattern.clone()),
            Self::User(user) => ("user", user.clone()),
            Self::SystemdUnit { unit, .. } => ("systemd_unit", unit.clone()),
            Self::Cgroup(cgroup) => ("cgroup", cgroup.clone()),
            Self::SupervisorUnits(units) => ("supervisor_unit", units.join(" ")),
        }
    }
}

/// How names and users are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FinderKind {
    /// As pgrep does it: the name is cut to the kernel's 15 bytes, the user is the effective one.
    Pgrep,
    /// The whole name, the real user.
    Native,
}

impl FinderKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pgrep => "pgrep",
            Self::Native => "native",
        }
    }
}

/// `[[inputs.procstat.filter]]`. A process has to pass every list that is given.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) name: String,
    pub(super) service: Option<Service>,
    pub(super) patterns: Vec<Regex>,
    pub(super) users: Option<Globs>,
    pub(super) executables: Option<Globs>,
    pub(super) process_names: Option<Globs>,
    /// Of children that are taken along; `None` for all of them.
    pub(super) recursion_depth: Option<u32>,
}

/// Where a filter takes its processes from; without one from all there are.
#[derive(Debug)]
pub(super) enum Service {
    PidFiles(Vec<String>),
    SystemdUnits(Vec<String>),
    SupervisorUnits(Vec<String>),
    Cgroups(Vec<String>),
}

/// Which groups of fields are wanted besides those that always come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Properties {
    pub(super) cpu: bool,
    pub(super) memory: bool,
    pub(super) mmap: bool,
    pub(super) limits: bool,
    pub(super) sockets: bool,
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let tag_with = tag_with(section)?;
        let selector = selector(section)?;
        let filters = section.sections("filter", filter)?;
        let choice = match (selector, filters.is_empty()) {
            (Some(selector), true) => Choice::Selector(selector),
            (None, false) => Choice::Filters(filters),
            (Some(_), false) => {
                return Err(section.bad("filter", "filters and the older selectors do not go together"));
            }
            (None, true) => {
                return Err(section.bad(
                    "filter",
                    "which processes? give one of pid_file, exe, pattern, user, systemd_unit, cgroup and \
                     supervisor_units, or a [[inputs.procstat.filter]]",
                ));
            }
        };
        Ok(Self {
            choice,
            tag_with,
            finder: finder(section)?,
            process_name: section.string("process_name")?.filter(|name| !name.is_empty()),
            prefix: section
                .string("prefix")?
                .filter(|prefix| !prefix.is_empty())
                .map(|prefix| format!("{prefix}_"))
                .unwrap_or_default(),
            share_of_all_cpus: share_of_all_cpus(section)?,
            properties: properties(section)?,
            socket_protocols: protocols(section)?,
        })
    }
}

fn tag_with(section: &mut Section) -> Result<BTreeSet<String>, ConfigError> {
    let mut tags: BTreeSet<String> = section.strings("tag_with")?.unwrap_or_default().into_iter().collect();
    if let Some(unknown) = tags.iter().find(|tag| !TAGGABLE.contains(&tag.as_str())) {
        return Err(section.bad("tag_with", format!("{unknown:?} is none of {}", TAGGABLE.join(", "))));
    }
    // The options before there was `tag_with`.
    for (key, tag) in [("pid_tag", "pid"), ("cmdline_tag", "cmdline")] {
        if section.boolean(key)?.unwrap_or(false) {
            tags.insert(tag.to_owned());
        }
    }
    Ok(tags)
}

fn selector(section: &mut Section) -> Result<Option<Selector>, ConfigError> {
    let mut given: Vec<(&'static str, Selector)> = Vec::new();
    let children = section.boolean("include_systemd_children")?.unwrap_or(false);
    for key in ["pid_file", "exe", "pattern", "user", "systemd_unit", "cgroup"] {
        let Some(value) = section.string(key)?.filter(|value| !value.is_empty()) else { continue };
        let selector = match key {
            "pid_file" => Selector::PidFile(value),
            "exe" => {
                let regex = regex(section, key, &value)?;
                Selector::Exe(value, regex)
            }
            "pattern" => {
                let regex = regex(section, key, &value)?;
                Selector::Pattern(value, regex)
            }
            "user" => Selector::User(value),
            "systemd_unit" => Selector::SystemdUnit { unit: value, children },
            _ => Selector::Cgroup(value),
        };
        given.push((key, selector));
    }
    // The second name is the option's older one.
    for key in ["supervisor_units", "supervisor_unit"] {
        if let Some(units) = section.strings(key)?.filter(|units| !units.is_empty()) {
            given.push((key, Selector::SupervisorUnits(units)));
        }
    }
    if section.string("win_service")?.is_some_and(|service| !service.is_empty()) {
        return Err(section.bad("win_service", "this system has no Windows services"));
    }
    if let [(first, _), (second, _), ..] = given.as_slice() {
        return Err(section.bad(second, format!("{first} is given as well; choose by one of them")));
    }
    Ok(given.pop().map(|(_, selector)| selector))
}

fn regex(section: &Section, key: &'static str, text: &str) -> Result<Regex, ConfigError> {
    go_regex::compile(text).map_err(|why| section.bad(key, why))
}

fn filter(section: &mut Section) -> Result<Filter, ConfigError> {
    let name = section.string("name")?.filter(|name| !name.is_empty());
    let Some(name) = name else {
        return Err(section.bad("name", "a filter needs a name, which becomes its tag"));
    };
    let mut list = |key| Ok::<_, ConfigError>(section.strings(key)?.filter(|list| !list.is_empty()));
    let mut services = Vec::new();
    services.extend(list("pid_files")?.map(|list| ("pid_files", Service::PidFiles(list))));
    services.extend(list("systemd_units")?.map(|list| ("systemd_units", Service::SystemdUnits(list))));
    services
        .extend(list("supervisor_units")?.map(|list| ("supervisor_units", Service::SupervisorUnits(list))));
    services.extend(list("cgroups")?.map(|list| ("cgroups", Service::Cgroups(list))));
    let windows = list("win_services")?.is_some();
    let patterns = list("patterns")?.unwrap_or_default();
    let globs = [list("users")?, list("executables")?, list("process_names")?];
    if windows {
        return Err(section.bad("win_services", "this system has no Windows services"));
    }
    if let [(first, _), (second, _), ..] = services.as_slice() {
        return Err(section.bad(second, format!("{first} is given as well; a filter takes one of them")));
    }
    let patterns = patterns.iter().map(|text| regex(section, "patterns", text)).collect::<Result<_, _>>()?;
    let compile = |key, list: Option<Vec<String>>| {
        list.map(|list| Globs::compile(&list, "").map_err(|why| section.bad(key, why))).transpose()
    };
    let [users, executables, process_names] = globs;
    let (users, executables, process_names) = (
        compile("users", users)?,
        compile("executables", executables)?,
        compile("process_names", process_names)?,
    );
    let depth = section.integer("recursion_depth")?.unwrap_or(0);
    Ok(Filter {
        name,
        service: services.pop().map(|(_, service)| service),
        patterns,
        users,
        executables,
        process_names,
        recursion_depth: (depth >= 0).then(|| u32::try_from(depth).unwrap_or(u32::MAX)),
    })
}

fn finder(section: &mut Section) -> Result<FinderKind, ConfigError> {
    match section.string("pid_finder")?.as_deref() {
        None | Some("" | "pgrep") => Ok(FinderKind::Pgrep),
        Some("native") => Ok(FinderKind::Native),
        Some(other) => {
            Err(section.bad("pid_finder", format!("{other:?} is neither \"pgrep\" nor \"native\"")))
        }
    }
}

fn share_of_all_cpus(section: &mut Section) -> Result<bool, ConfigError> {
    match section.string("mode")?.as_deref() {
        None | Some("" | "irix") => Ok(false),
        Some("solaris") => Ok(true),
        Some(other) => Err(section.bad("mode", format!("{other:?} is neither \"irix\" nor \"solaris\""))),
    }
}

fn properties(section: &mut Section) -> Result<Properties, ConfigError> {
    let Some(names) = section.strings("properties")? else {
        return Ok(Properties { cpu: true, memory: true, mmap: true, ..Properties::default() });
    };
    let mut properties = Properties::default();
    for name in names {
        match name.as_str() {
            "cpu" => properties.cpu = true,
            "memory" => properties.memory = true,
            "mmap" => properties.mmap = true,
            "limits" => properties.limits = true,
            "sockets" => properties.sockets = true,
            other => {
                let reason = format!("{other:?} is none of cpu, memory, mmap, limits, sockets");
                return Err(section.bad("properties", reason));
            }
        }
    }
    Ok(properties)
}

fn protocols(section: &mut Section) -> Result<Protocols, ConfigError> {
    let names = section.strings("socket_protocols")?.filter(|names| !names.is_empty());
    let Some(names) = names else { return Ok(Protocols::ALL) };
    let mut protocols = Protocols::default();
    for name in names {
        match name.as_str() {
            "all" => protocols = Protocols::ALL,
            "tcp4" => protocols.tcp4 = true,
            "tcp6" => protocols.tcp6 = true,
            "udp4" => protocols.udp4 = true,
            "udp6" => protocols.udp6 = true,
            "unix" => protocols.unix = true,
            other => {
                let reason = format!("{other:?} is none of all, tcp4, tcp6, udp4, udp6, unix");
                return Err(section.bad("socket_protocols", reason));
            }
        }
    }
    Ok(protocols)
}
