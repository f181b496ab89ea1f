//! Names of images and containers. Pure.

/// An image's name and version: `registry:5000/shop/web:1.2` is `registry:5000/shop/web` and `1.2`.
pub(super) fn name_and_version(image: &str) -> (&str, &str) {
    // A colon before the last slash is that of a registry's port.
    let path = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[path..].rfind(':') {
        Some(colon) => (&image[..path + colon], &image[path + colon + 1..]),
        None => (image, "unknown"),
    }
}

/// A container's own name among those it has: links from other containers hold a further slash.
pub(super) fn own_name<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let trimmed = names.into_iter().map(|name| name.strip_prefix('/').unwrap_or(name));
    trimmed.filter(|name| !name.is_empty() && !name.contains('/')).last()
}

/// The first twelve digits of an id, by which people know it.
pub(super) fn short_id(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images() {
        for (image, name, version) in [
            ("postgres", "postgres", "unknown"),
            ("postgres:16.1", "postgres", "16.1"),
            ("coreos/etcd", "coreos/etcd", "unknown"),
            ("quay.io:4443/coreos/etcd", "quay.io:4443/coreos/etcd", "unknown"),
            ("quay.io:4443/coreos/etcd:latest", "quay.io:4443/coreos/etcd", "latest"),
            ("", "", "unknown"),
        ] {
            assert_eq!(name_and_version(image), (name, version), "{image}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(own_name(["/web"]), Some("web"));
        assert_eq!(own_name(["/proxy/web", "/web"]), Some("web"));
        assert_eq!(own_name(["web"]), Some("web"), "podman");
        assert_eq!(own_name([]), None);
        assert_eq!(own_name(["/"]), None);
        assert_eq!(short_id("sha256:0c550c303953c918ee48"), "0c550c303953");
        assert_eq!(short_id("abc"), "abc");
    }
}
