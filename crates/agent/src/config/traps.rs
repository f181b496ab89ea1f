//! What works otherwise than people expect who know the original's sample files, or its documentation, and not its
//! code. Pure.

use super::Config;
use super::section::Section;

/// An option whose default is another than the sample file shows: plugin, option, default, sample.
const SAMPLES: [(&str, &str, &str, &str); 6] = [
    ("inputs.conntrack", "collect", "[]", "[\"all\", \"percpu\"]"),
    (
        "inputs.disk",
        "ignore_fs",
        "[]",
        "[\"tmpfs\", \"devtmpfs\", \"devfs\", \"iso9660\", \"overlay\", \"aufs\", \"squashfs\"]",
    ),
    ("inputs.nstat", "dump_zeros", "false", "true"),
    (
        "inputs.procstat",
        "properties",
        "[\"cpu\", \"memory\", \"mmap\"]",
        "[\"cpu\", \"limits\", \"memory\", \"mmap\"]",
    ),
    ("inputs.statsd", "percentiles", "[]", "[50.0, 90.0, 99.0, 99.9, 99.95, 100.0]"),
    ("outputs.file", "rotation_max_archives", "0", "5"),
];

/// Of a plugin's table, before its options are taken out: defaults that one may not expect.
pub(super) fn defaults(plugin: &str, section: &Section) -> Vec<String> {
    SAMPLES
        .iter()
        .filter(|(name, option, ..)| *name == plugin && !section.has(option))
        .map(|(name, option, default, sample)| {
            format!(
                "{}: [{name}] leaves out `{option}`, which then is {default}; Telegraf's sample file sets {sample}",
                section.place()
            )
        })
        .collect()
}

/// Selectors of inputs by tags that their metrics have only later.
pub(super) fn unseen_tags(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for input in &config.inputs {
        for tag in input.options.filter.selected_tags() {
            let is_own = input.options.tags.contains_key(tag);
            let is_global =
                config.global_tags.contains_key(tag) || (tag == "host" && !config.agent.omit_hostname);
            if is_own || is_global {
                let whose = if is_own { "its table `tags`" } else { "the global tags" };
                warnings.push(format!(
                    "{}: `tagpass` or `tagdrop` looks at `{tag}`, which comes from {whose}: it is not there yet when an \
                     input's metrics are selected, unless the input sets it itself; select at an output instead",
                    input.id
                ));
            }
        }
    }
    warnings
}
