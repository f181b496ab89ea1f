//! The options of the `docker` input.

use std::time::Duration;

use super::endpoint::Endpoint;
use super::engine::StorageObject;
use crate::config::{ConfigError, Section};
use crate::filter::glob::Globs;
use crate::net::tls::ClientTls;

/// The states a container can be in.
const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

/// What `[[inputs.docker]]` sets.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) endpoint: Endpoint,
    pub(super) tls: ClientTls,
    pub(super) services: bool,
    pub(super) source_tag: bool,
    pub(super) names: Pass,
    pub(super) states: Pass,
    /// Whether states are wanted that the engine lists only on request.
    pub(super) all_states: bool,
    pub(super) labels: Pass,
    pub(super) env_tags: Vec<String>,
    pub(super) per_device: Kinds,
    pub(super) total: Kinds,
    pub(super) storage: Vec<StorageObject>,
    pub(super) timeout: Duration,
    pub(super) podman_cache_ttl: Duration,
}

/// Which names pass: those included, or all, and not those excluded.
#[derive(Debug, Clone, Default)]
pub(super) struct Pass {
    include: Option<Globs>,
    exclude: Option<Globs>,
}

impl Pass {
    pub(super) fn passes(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.matches(name))
            && !self.exclude.as_ref().is_some_and(|globs| globs.matches(name))
    }
}

/// Kinds of devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) cpu: bool,
    pub(super) blkio: bool,
    pub(super) network: bool,
}

impl Options {
    pub(super) fn from_section(
        section: &mut Section,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let endpoint = section.string("endpoint")?.filter(|text| !text.is_empty());
        let mut tls = ClientTls::from_section(section)?;
        let endpoint = match endpoint.as_deref() {
            Some("ENV") => Endpoint::from_env(env, &mut tls),
            other => Endpoint::parse(other.unwrap_or("unix:///var/run/docker.sock"), tls.enabled),
        };
        let endpoint = endpoint.map_err(|why| section.bad("endpoint", why))?;
        let timeout = section.duration("timeout")?.unwrap_or(5_000_000_000).unsigned_abs();
        if timeout < 100_000_000 {
            return Err(section.bad("timeout", "must be 100ms at least"));
        }
        let podman_cache_ttl = section.duration("podman_cache_ttl")?.unwrap_or(60_000_000_000).unsigned_abs();
        let states = pass(section, "container_state_include", "container_state_exclude", &["running"])?;
        let all_states =
            STATES.iter().any(|state| states.passes(state) && !matches!(*state, "running" | "paused"));
        Ok(Self {
            endpoint,
            tls,
            services: section.boolean("gather_services")?.unwrap_or(false),
            source_tag: section.boolean("source_tag")?.unwrap_or(false),
            names: pass(section, "container_name_include", "container_name_exclude", &[])?,
            states,
            all_states,
            labels: pass(section, "docker_label_include", "docker_label_exclude", &[])?,
            env_tags: section.strings("tag_env")?.unwrap_or_default(),
            per_device: kinds(section, "perdevice_include", &["cpu"])?,
            total: kinds(section, "total_include", &["cpu", "blkio", "network"])?,
            storage: storage(section)?,
            timeout: Duration::from_nanos(timeout),
            podman_cache_ttl: Duration::from_nanos(podman_cache_ttl),
        })
    }
}

fn globs(section: &mut Section, key: &'static str, default: &[&str]) -> Result<Option<Globs>, ConfigError> {
    let patterns = section.strings(key)?.unwrap_or_else(|| default.iter().map(|&s| s.to_owned()).collect());
    if patterns.is_empty() {
        return Ok(None);
    }
    Globs::compile(&patterns, "").map(Some).map_err(|why| section.bad(key, why))
}

fn pass(
    section: &mut Section,
    include: &'static str,
    exclude: &'static str,
    default: &[&str],
) -> Result<Pass, ConfigError> {
    Ok(Pass { include: globs(section, include, default)?, exclude: globs(section, exclude, &[])? })
}

fn kinds(section: &mut Section, key: &'static str, default: &[&str]) -> Result<Kinds, ConfigError> {
    let names = section.strings(key)?.unwrap_or_else(|| default.iter().map(|&s| s.to_owned()).collect());
    let mut kinds = Kinds::default();
    for name in names {
        match name.as_str() {
            "cpu" => kinds.cpu = true,
            "blkio" => kinds.blkio = true,
            "network" => kinds.network = true,
            _ => return Err(section.bad(key, format!("{name:?} is none of cpu, blkio, network"))),
        }
    }
    Ok(kinds)
}

fn storage(section: &mut Section) -> Result<Vec<StorageObject>, ConfigError> {
    let names = section.strings("storage_objects")?.unwrap_or_default();
    let object = |name: &String| match name.as_str() {
        "container" => Ok(StorageObject::Container),
        "image" => Ok(StorageObject::Image),
        "volume" => Ok(StorageObject::Volume),
        _ => Err(section.bad("storage_objects", format!("{name:?} is none of container, image, volume"))),
    };
    names.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section_for_tests;

    fn read(text: &str) -> Result<Options, String> {
        let mut section = section_for_tests(text);
        let options = Options::from_section(&mut section, &|_| None).map_err(|error| error.to_string())?;
        section.finish().map_err(|errors| errors[0].to_string())?;
        Ok(options)
    }

    #[test]
    fn absent_means_the_originals() {
        let options = read("").expect("valid");
        assert_eq!(options.endpoint, Endpoint::Unix("/var/run/docker.sock".into()));
        assert_eq!(options.per_device, Kinds { cpu: true, ..Kinds::default() });
        assert_eq!(options.total, Kinds { cpu: true, blkio: true, network: true });
        assert!(options.states.passes("running") && !options.states.passes("paused") && !options.all_states);
        assert!(options.names.passes("any") && options.labels.passes("any") && options.storage.is_empty());
        assert_eq!(
            (options.timeout, options.podman_cache_ttl),
            (Duration::from_secs(5), Duration::from_secs(60))
        );
    }

    #[test]
    fn filters_take_globs() {
        let options = read(
            "container_name_include = ['web-*']\ncontainer_name_exclude = ['*-old']\n\
             container_state_include = ['*']\ncontainer_state_exclude = ['dead']\n\
             docker_label_include = ['com.*']\ndocker_label_exclude = ['com.docker.*']\n\
             perdevice_include = []\ntotal_include = ['network']\nstorage_objects = ['volume', 'image']",
        )
        .expect("valid");
        assert!(
            options.names.passes("web-1") && !options.names.passes("web-old") && !options.names.passes("db")
        );
        assert!(options.states.passes("exited") && !options.states.passes("dead") && options.all_states);
        assert!(options.labels.passes("com.shop") && !options.labels.passes("com.docker.x"));
        assert_eq!(options.per_device, Kinds::default());
        assert_eq!(options.storage, [StorageObject::Volume, StorageObject::Image]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, because) in [
            ("endpoint = 'npipe:////./pipe/docker'", "endpoint"),
            ("endpoint = 'unix://'", "path"),
            ("perdevice_include = ['disk']", "none of cpu, blkio, network"),
            ("total_include = ['all']", "none of cpu, blkio, network"),
            ("storage_objects = ['layer']", "none of container, image, volume"),
            ("container_name_include = ['[a']", "container_name_include"),
            ("timeout = '1ms'", "100ms at least"),
            ("container_names = ['x']", "container_names"),
        ] {
            let error = read(text).err().unwrap_or_else(|| panic!("{text} is taken"));
            assert!(error.contains(because), "{text}: {error}");
        }
    }
}
