//! The options of the `libvirt` input: the original's, and ours, without which its points are the original's.

use std::collections::BTreeSet;
use std::time::Duration;

use super::credentials::Credentials;
use super::points::PointOptions;
use super::uri;
use crate::config::{ConfigError, Section};
use crate::filter::glob::Globs;

/// Statistics groups and their bits in libvirt's mask.
const GROUPS: [(&str, u32); 10] = [
    ("state", virt::sys::VIR_DOMAIN_STATS_STATE),
    ("cpu_total", virt::sys::VIR_DOMAIN_STATS_CPU_TOTAL),
    ("balloon", virt::sys::VIR_DOMAIN_STATS_BALLOON),
    ("vcpu", virt::sys::VIR_DOMAIN_STATS_VCPU),
    ("interface", virt::sys::VIR_DOMAIN_STATS_INTERFACE),
    ("block", virt::sys::VIR_DOMAIN_STATS_BLOCK),
    ("perf", virt::sys::VIR_DOMAIN_STATS_PERF),
    ("iothread", virt::sys::VIR_DOMAIN_STATS_IOTHREAD),
    ("memory", virt::sys::VIR_DOMAIN_STATS_MEMORY),
    ("dirtyrate", virt::sys::VIR_DOMAIN_STATS_DIRTYRATE),
];

/// Statistics of the hypervisor itself, since libvirt 8.9; not every binding knows the constant.
const VM_GROUP: u32 = 1 << 10;
/// What `extra_tags` may name.
const EXTRA_TAGS: [&str; 6] = ["uuid", "title", "nova", "state", "device", "path"];

/// What `[[inputs.libvirt]]` sets.
#[derive(Debug, Clone)]
pub(super) struct Options {
    /// As it was written, for messages.
    pub(super) uri: String,
    /// As libvirt is to read it.
    pub(super) connect_uri: String,
    pub(super) credentials: Credentials,
    pub(super) selection: Selection,
    /// Bits of libvirt's statistics groups to be asked for.
    pub(super) groups: u32,
    /// Whether to read on which CPUs of the host the vCPUs may run.
    pub(super) vcpu_mapping: bool,
    /// How long a gather may take.
    pub(super) timeout: Duration,
    pub(super) points: PointOptions,
}

/// Which domains.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// Exact names; empty takes all.
    names: BTreeSet<String>,
    include: Option<Globs>,
    exclude: Option<Globs>,
    /// Only those that run or are paused.
    pub(super) active_only: bool,
}

impl Selection {
    /// Whether every name will do.
    pub(super) fn takes_all_names(&self) -> bool {
        self.names.is_empty() && self.include.is_none() && self.exclude.is_none()
    }

    /// Whether this name will do.
    pub(super) fn takes(&self, name: &str) -> bool {
        (self.names.is_empty() || self.names.contains(name))
            && self.include.as_ref().is_none_or(|globs| globs.matches(name))
            && !self.exclude.as_ref().is_some_and(|globs| globs.matches(name))
    }
}

impl Options {
    pub(super) fn from_section(section: &mut Section) -> Result<Self, ConfigError> {
        let uri = section.string("libvirt_uri")?.filter(|uri| !uri.is_empty());
        let uri = uri.unwrap_or_else(|| "qemu:///system".to_owned());
        let connect_uri = uri::checked(&uri).map_err(|why| section.bad("libvirt_uri", why))?;
        let mut text = |key| Ok::<_, ConfigError>(section.string(key)?.filter(|text| !text.is_empty()));
        let credentials = Credentials { username: text("username")?, password: text("password")? };
        let selection = selection(section)?;
        let wanted = groups(section)?;
        let vcpu_mapping = vcpu_mapping(section)?;
        if wanted == 0 && !vcpu_mapping {
            return Err(
                section.bad("statistics_groups", "nothing to collect: no group and no additional statistic")
            );
        }
        let timeout = section.duration("timeout")?.unwrap_or(8_000_000_000).unsigned_abs();
        if timeout < 100_000_000 {
            return Err(section.bad("timeout", "must be 100ms at least"));
        }
        let points = points(section, wanted)?;
        let mut groups = wanted;
        if points.extended {
            groups |= VM_GROUP;
        }
        // libvirt takes no group as all of them; and the tag wants the state.
        if groups == 0 || points.state_tag {
            groups |= virt::sys::VIR_DOMAIN_STATS_STATE;
        }
        Ok(Self {
            uri,
            connect_uri,
            credentials,
            selection,
            groups,
            vcpu_mapping,
            timeout: Duration::from_nanos(timeout),
            points,
        })
    }

    /// Whether anything is read of one domain after the other, besides statistics.
    pub(super) fn asks_each_domain(&self) -> bool {
        self.vcpu_mapping || self.reads_details()
    }

    /// Whether titles or metadata are to be tags.
    pub(super) fn reads_details(&self) -> bool {
        self.points.title_tag || self.points.nova_tags
    }
}

fn selection(section: &mut Section) -> Result<Selection, ConfigError> {
    let names = section.strings("domains")?.unwrap_or_default().into_iter().collect();
    let mut globs = |key| {
        let patterns = section.strings(key)?.filter(|patterns| !patterns.is_empty());
        let globs = patterns.map(|patterns| Globs::compile(&patterns, "")).transpose();
        globs.map_err(|why| section.bad(key, why))
    };
    let (include, exclude) = (globs("domains_include")?, globs("domains_exclude")?);
    Ok(Selection { names, include, exclude, active_only: section.boolean("active_only")?.unwrap_or(false) })
}

fn groups(section: &mut Section) -> Result<u32, ConfigError> {
    let Some(names) = section.strings("statistics_groups")? else {
        return Ok(GROUPS.iter().fold(0, |mask, (_, bit)| mask | bit));
    };
    let mut mask = 0;
    for name in names {
        let bit = GROUPS.iter().find(|(known, _)| *known == name).map(|(_, bit)| *bit).ok_or_else(|| {
            let known: Vec<_> = GROUPS.iter().map(|(known, _)| *known).collect();
            section.bad("statistics_groups", format!("{name:?} is none of {}", known.join(", ")))
        })?;
        if mask & bit != 0 {
            return Err(section.bad("statistics_groups", format!("{name:?} is given twice")));
        }
        mask |= bit;
    }
    Ok(mask)
}

fn vcpu_mapping(section: &mut Section) -> Result<bool, ConfigError> {
    let names = section.strings("additional_statistics")?.unwrap_or_default();
    match names.iter().find(|name| *name != "vcpu_mapping") {
        Some(unknown) => {
            Err(section.bad("additional_statistics", format!("{unknown:?} is not \"vcpu_mapping\"")))
        }
        None if names.len() > 1 => {
            Err(section.bad("additional_statistics", "\"vcpu_mapping\" is given twice"))
        }
        None => Ok(names.len() == 1),
    }
}

/// How the points are to differ from the original's.
fn points(section: &mut Section, groups: u32) -> Result<PointOptions, ConfigError> {
    let extra = section.strings("extra_tags")?.unwrap_or_default();
    if let Some(unknown) = extra.iter().find(|tag| !EXTRA_TAGS.contains(&tag.as_str())) {
        let reason = format!("{unknown:?} is none of {}", EXTRA_TAGS.join(", "));
        return Err(section.bad("extra_tags", reason));
    }
    let halted_as_text = match section.string("halted_format")?.as_deref() {
        None | Some("text") => true,
        Some("integer") => false,
        Some(other) => {
            return Err(
                section.bad("halted_format", format!("{other:?} is neither \"text\" nor \"integer\""))
            );
        }
    };
    let has = |tag: &str| extra.iter().any(|e| e == tag);
    Ok(PointOptions {
        uuid_tag: has("uuid"),
        title_tag: has("title"),
        nova_tags: has("nova"),
        state_tag: has("state"),
        device_tag: has("device"),
        path_tag: has("path"),
        halted_as_text,
        cpu_time_field: cpu_time_field(section)?.map(Into::into),
        extended: section.boolean("extended_statistics")?.unwrap_or(false),
        state_group: groups & virt::sys::VIR_DOMAIN_STATS_STATE != 0,
        vcpu_group: groups & virt::sys::VIR_DOMAIN_STATS_VCPU != 0,
    })
}

fn cpu_time_field(section: &mut Section) -> Result<Option<String>, ConfigError> {
    let name = section.string("cpu_time_field")?.filter(|name| !name.is_empty());
    let taken =
        ["time", "user", "system", "state", "wait", "delay", "halted", "halted_i", "cpu_id", "domain_name"];
    match name.as_deref().filter(|name| taken.contains(name)) {
        Some(name) => Err(section.bad("cpu_time_field", format!("{name:?} has a meaning already"))),
        None => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn read(text: &str) -> Result<Options, String> {
        let mut section = section_for_tests(text);
        let options = Options::from_section(&mut section).map_err(|error| error.to_string())?;
        section.finish().map_err(|errors| errors[0].to_string())?;
        Ok(options)
    }

    #[test]
    fn absent_means_the_originals() {
        let options = read("").expect("valid");
        assert_eq!(options.uri, "qemu:///system");
        assert_eq!(options.groups, 0b11_1111_1111, "all ten");
        assert!(options.selection.takes_all_names() && !options.selection.active_only);
        assert!(!options.asks_each_domain() && options.credentials.is_empty());
        assert!(options.points.halted_as_text && !options.points.extended);
    }

    #[test]
    fn groups_are_those_named() {
        assert_eq!(read("statistics_groups = ['vcpu', 'block']").expect("valid").groups, 8 | 32);
        let none = read("statistics_groups = []\nadditional_statistics = ['vcpu_mapping']").expect("valid");
        assert!(none.vcpu_mapping && !none.points.state_group && !none.points.vcpu_group);
        assert_eq!(none.groups, 1, "libvirt would take 0 as all");
        let tagged = read("statistics_groups = ['block']\nextra_tags = ['state']").expect("valid");
        assert!(tagged.groups == (1 | 32) && !tagged.points.state_group);
        let extended = read("statistics_groups = ['block']\nextended_statistics = true").expect("valid");
        assert_eq!(extended.groups, 32 | 1024);
    }

    #[test]
    fn names_and_globs_select_together() {
        let selects = |text: &str, name: &str| read(text).expect("valid").selection.takes(name);
        let text = "domains_include = ['web-*', 'db-?']\ndomains_exclude = ['*-2']";
        assert!(selects(text, "web-10") && selects(text, "db-1"));
        assert!(!selects(text, "web-2") && !selects(text, "db-10") && !selects(text, "mail"));
        assert!(
            selects("domains = ['a*']", "a*") && !selects("domains = ['a*']", "ab"),
            "exact, as the original"
        );
        assert!(!selects("domains = ['a', 'b']\ndomains_exclude = ['b']", "b"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, because) in [
            ("statistics_groups = []", "nothing to collect"),
            ("statistics_groups = ['cpu']", "\"cpu\" is none of state, cpu_total"),
            ("statistics_groups = ['vm']", "\"vm\" is none of"),
            ("statistics_groups = ['state', 'state']", "given twice"),
            ("additional_statistics = ['pins']", "is not \"vcpu_mapping\""),
            ("additional_statistics = ['vcpu_mapping', 'vcpu_mapping']", "given twice"),
            ("libvirt_uri = 'qemu+http:///system'", "none of libvirt's transports"),
            ("domains_include = ['[a']", "domains_include"),
            ("extra_tags = ['owner']", "none of uuid, title, nova"),
            ("halted_format = 'yes'", "halted_format"),
            ("cpu_time_field = 'time'", "has a meaning already"),
            ("timeout = '1ms'", "100ms at least"),
            ("domain = ['x']", "domain"),
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(because), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let options = read("username = 'me'\npassword = 'geheim'").expect("valid");
        let shown = format!("{options:?}");
        assert!(shown.contains("me") && !shown.contains("geheim"), "{shown}");
    }
}
