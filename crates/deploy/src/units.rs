//! systemd's units of Skywatch's nodes: those that the Debian package ships, so that a host looks the same with and without
//! the package, and what a hypervisor's agent needs besides.

use crate::{
    cloud::Role,
    file::{RenderedFile, head},
    plan::Plan,
};

const META: &str = include_str!("../../../packaging/systemd/skywatch-meta.service");
const DATA: &str = include_str!("../../../packaging/systemd/skywatch-data.service");

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let cloud = &plan.cloud;
    let unit = |name: &str| format!("/etc/systemd/system/{name}");
    let mut files = Vec::new();
    for (role, name, text) in
        [(Role::Meta, "skywatch-meta.service", META), (Role::Data, "skywatch-data.service", DATA)]
    {
        let text = format!("{}\n{text}", head("#", &cloud.name, "As the package has it"));
        files.extend(cloud.with(role).map(|host| RenderedFile::on(host, &unit(name), text.clone())));
    }
    let libvirt = format!(
        "{}\n[Service]\nSupplementaryGroups=libvirt\n",
        head("#", &cloud.name, "The agent of a hypervisor reads libvirt's socket")
    );
    let hypervisors = cloud.with(Role::Hypervisor);
    files.extend(
        hypervisors.map(|host| {
            RenderedFile::on(host, &unit("skywatch-agent.service.d/libvirt.conf"), libvirt.clone())
        }),
    );
    files
}
