//! What the system of every host is told: users, names of the others, settings of the kernel, the host's certificate; and
//! the script that makes it take effect.

use crate::{
    cloud::{Cloud, Host, Role},
    file::{RenderedFile, head},
    plan::{Plan, paths},
};

const MARK: &str = "skywatch";

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let cloud = &plan.cloud;
    let names = names(cloud);
    let mut files = vec![
        RenderedFile::once("hosts", names.clone()),
        RenderedFile::beside("push.sh", push(cloud)).script(),
    ];
    for host in &cloud.hosts {
        files.push(RenderedFile::on(host, &format!("{}/hosts", paths::CONFIG), names.clone()));
        files.push(RenderedFile::on(host, &format!("{}/apply.sh", paths::CONFIG), apply(cloud)).script());
        files.push(RenderedFile::on(host, "/etc/sysusers.d/skywatch.conf", users(cloud, host)));
        files.extend(
            kernel(cloud, host).map(|text| RenderedFile::on(host, "/etc/sysctl.d/60-skywatch.conf", text)),
        );
        if let Some(identity) = plan.certificates.of(host) {
            files.push(RenderedFile::on(host, paths::CERTIFICATE, identity.certificate.clone()));
            files.push(RenderedFile::on(host, paths::KEY, identity.key.clone()).secret());
            files.push(RenderedFile::on(host, paths::AUTHORITY, plan.certificates.authority.clone()));
        }
    }
    files
}

/// Whose group may read secret files, by where they are; the others are for root alone.
const READERS: [(&str, &str); 5] = [
    ("/etc/skywatch/", "skywatch"),
    ("/etc/kafka/", "kafka"),
    ("/etc/zookeeper/", "kafka"),
    ("/etc/grafana/", "grafana"),
    ("/etc/telegraf/", "telegraf"),
];

/// Permissions and directories, of all files that others rendered for a host.
pub(crate) fn permissions(plan: &Plan, files: &[RenderedFile]) -> Vec<RenderedFile> {
    let cloud = &plan.cloud;
    let one = |host: &Host| {
        let mut text =
            head("#", &cloud.name, "Who may read what was copied to this host: systemd-tmpfiles --create");
        if host.has(Role::Kafka) || host.has(Role::Controller) {
            let data = cloud.kafka.as_ref().map_or("/var/lib/kafka", |kafka| &kafka.data);
            text += &format!("d {data} 0750 kafka kafka -\n");
        }
        if host.has(Role::ZooKeeper) {
            text += "d /var/lib/zookeeper 0750 kafka kafka -\n";
        }
        let root = format!("hosts/{}", host.name);
        for file in files.iter().filter(|file| file.mode & 0o077 == 0) {
            let Some(path) = file.path.strip_prefix(&root).filter(|path| path.starts_with('/')) else {
                continue;
            };
            let reader = READERS.iter().find(|(prefix, _)| path.starts_with(prefix));
            text += &match reader {
                Some((_, group)) => format!("z {path} 0640 root {group} -\n"),
                None => format!("z {path} 0600 root root -\n"),
            };
        }
        RenderedFile::on(host, "/etc/tmpfiles.d/skywatch.conf", text)
    };
    cloud.hosts.iter().map(one).collect()
}

fn names(cloud: &Cloud) -> String {
    let mut text = head("#", &cloud.name, "Names of the cloud, where DNS does not have them");
    let line = |address: String, name: &str| match &cloud.domain {
        Some(domain) => format!("{address:<16} {name}.{domain} {name}\n"),
        None => format!("{address:<16} {name}\n"),
    };
    for host in &cloud.hosts {
        for address in &host.addresses {
            text += &line(address.to_string(), &host.name);
        }
    }
    if let Some(shared) = &cloud.virtual_address {
        text += &line(shared.network.address.to_string(), &shared.name);
    }
    text
}

fn users(cloud: &Cloud, host: &Host) -> String {
    let mut text = head("#", &cloud.name, "Users of services: systemd-sysusers");
    text += "u skywatch - \"Skywatch\" /var/lib/skywatch\n";
    if [Role::Kafka, Role::ZooKeeper, Role::Controller].into_iter().any(|role| host.has(role)) {
        text += "u kafka - \"Apache Kafka\" /var/lib/kafka\n";
    }
    // Files for programs that may be installed later, or never, have a group all the same.
    text += "g telegraf -\n";
    if host.has(Role::Grafana) {
        text += "g grafana -\n";
    }
    text
}

/// Settings that the defaults of the kernel are too small for; `None` where they do.
fn kernel(cloud: &Cloud, host: &Host) -> Option<String> {
    let keeps_data = host.has(Role::Data) || host.has(Role::Kafka);
    if !keeps_data && !host.has(Role::Front) {
        return None;
    }
    let mut text =
        head("#", &cloud.name, "Settings of the kernel: sysctl --load /etc/sysctl.d/60-skywatch.conf");
    if keeps_data {
        text += "
# Files of data are mapped into memory, each segment and each index on its own.
vm.max_map_count = 262144
# What is mapped can be read again; what was written by processes cannot.
vm.swappiness = 1
# Writing out begins early and in small pieces, so that no fsync waits for gigabytes.
vm.dirty_background_bytes = 67108864
vm.dirty_bytes = 536870912
";
    }
    text += "
# Many clients may connect at one moment.
net.core.somaxconn = 4096
net.ipv4.tcp_max_syn_backlog = 4096
";
    if host.has(Role::Front) {
        text += "
# Every connection of a client is one more to a data node.
net.ipv4.ip_local_port_range = 10240 65000
net.ipv4.tcp_tw_reuse = 1
";
    }
    Some(text)
}

fn apply(cloud: &Cloud) -> String {
    format!(
        "#!/bin/sh
{head}# Makes what was copied to this host take effect: users, permissions, names, kernel, units. Restarts nothing; may be
# run again at any time.
set -eu
systemd-sysusers /etc/sysusers.d/skywatch.conf
systemd-tmpfiles --create /etc/tmpfiles.d/skywatch.conf

# Names go between two marks; the rest of /etc/hosts stays as it is.
new=$(mktemp)
trap 'rm -f \"$new\"' EXIT
sed '/^# BEGIN {MARK}$/,/^# END {MARK}$/d' /etc/hosts >\"$new\"
{{
    echo '# BEGIN {MARK}'
    cat {config}/hosts
    echo '# END {MARK}'
}} >>\"$new\"
# Written in place: in containers the file is mounted.
cmp -s \"$new\" /etc/hosts || cat \"$new\" >/etc/hosts

if [ -e /etc/sysctl.d/60-skywatch.conf ]; then
    sysctl --quiet --load /etc/sysctl.d/60-skywatch.conf
fi
# In an image that is only being made nobody listens.
[ ! -d /run/systemd/system ] || systemctl daemon-reload
",
        head = head("#", &cloud.name, "Applies what was copied"),
        config = paths::CONFIG,
    )
}

fn push(cloud: &Cloud) -> String {
    let hosts: Vec<_> = cloud.hosts.iter().map(|host| host.name.as_str()).collect();
    format!(
        "#!/bin/sh
{head}# Copies files to hosts as root, and makes them take effect; restarts nothing. Shows what changed.
#   ./push.sh {first}           one host, or several
#   ./push.sh all
#   RSYNC_RSH='ssh -i key' ./push.sh all
set -eu
cd \"$(dirname \"$0\")\"
[ $# -gt 0 ] || {{ echo 'usage: push.sh HOST... | all' >&2; exit 2; }}
[ \"$*\" != all ] || set -- {all}
for host in \"$@\"; do
    [ -d \"hosts/$host\" ] || {{ echo \"push.sh: no host $host here\" >&2; exit 1; }}
    address=$(awk -v name=\"$host\" '$NF == name {{ print $1; exit }}' cluster/hosts)
    case $address in *:*) target=\"[$address]\" ;; *) target=$address ;; esac
    echo \"== $host ($address)\"
    # What is there keeps its owner and permissions (apply.sh gives services theirs): a key that its service could not read
    # for a moment would be missed. New files get those that they have here.
    rsync -rlE --checksum --rsync-path='umask 022; rsync' --out-format='%o %n' \"hosts/$host/\" \"root@$target:/\"
    ${{RSYNC_RSH:-ssh}} \"root@$address\" sh {config}/apply.sh
done
",
        head = head("#", &cloud.name, "From here to the hosts"),
        first = hosts.first().copied().unwrap_or_default(),
        all = hosts.join(" "),
        config = paths::CONFIG,
    )
}
