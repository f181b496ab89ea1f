//! What udev knows about a block device: its database entry `/run/udev/data/bMAJOR:MINOR`. Pure parsing.

use std::collections::BTreeMap;

use crate::paths::HostPaths;

/// The properties (`E:` lines) and links (`S:` lines, without `/dev/`) of a device.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) properties: BTreeMap<String, String>,
    pub(super) links: Vec<String>,
}

impl Device {
    /// Reads the entry of a device number; empty where there is none, as in a container.
    pub(super) fn read(paths: &HostPaths, major: u32, minor: u32) -> Self {
        std::fs::read_to_string(paths.run(format!("udev/data/b{major}:{minor}")))
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    fn parse(text: &str) -> Self {
        let mut device = Self::default();
        for line in text.lines() {
            if let Some((key, value)) = line.strip_prefix("E:").and_then(|rest| rest.split_once('=')) {
                device.properties.insert(key.to_owned(), value.to_owned());
            } else if let Some(link) = line.strip_prefix("S:") {
                device.links.push(link.to_owned());
            }
        }
        device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_and_links() {
        let device = Device::parse("S:disk/by-label/data\nW:2\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=a=b\nV:1\n");
        assert_eq!(device.properties["ID_FS_TYPE"], "ext4");
        assert_eq!(device.properties["ID_FS_LABEL"], "a=b");
        assert_eq!(device.links, ["disk/by-label/data"]);
    }
}
