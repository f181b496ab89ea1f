//! keepalived on the fronts: the address that they share is where HAProxy answers.
//!
//! Version 3 of VRRP, since version 2 counts in seconds and could not take over within three. It has no passwords (those of
//! version 2 were sent in the clear); instead only the other fronts are listened to, by address, and only over a single hop.

use crate::{
    cloud::{Cloud, Host, Role, VirtualAddress},
    file::{RenderedFile, head},
    haproxy::FITNESS_PORT,
    plan::Plan,
};

/// Where the configuration is.
const CONFIG: &str = "/etc/keepalived/keepalived.conf";
const CHECK: &str = "/etc/keepalived/check-haproxy";
const NOTIFY: &str = "/etc/keepalived/notify";
/// The webhook that notify posts to, if there is one.
const WEBHOOK: &str = "/etc/keepalived/discord-webhook";
/// Of the first front; each further one has so much less.
const PRIORITY: u8 = 150;
const PRIORITY_STEP: u8 = 10;

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let Some(shared) = &plan.cloud.virtual_address else { return Vec::new() };
    let fronts = plan.cloud.with(Role::Front);
    fronts.enumerate().flat_map(|(rank, host)| files(plan, shared, host, rank)).collect()
}

fn files(plan: &Plan, shared: &VirtualAddress, host: &Host, rank: usize) -> Vec<RenderedFile> {
    let cloud = &plan.cloud;
    let mut files = vec![
        RenderedFile::on(host, CONFIG, configuration(cloud, shared, host, rank)),
        RenderedFile::on(host, CHECK, check(cloud)).script(),
        RenderedFile::on(host, NOTIFY, notify(cloud)).script(),
    ];
    if let Some(webhook) = &cloud.alerts.discord_webhook {
        files.push(RenderedFile::on(host, WEBHOOK, format!("{webhook}\n")).secret());
    }
    files
}

fn configuration(cloud: &Cloud, shared: &VirtualAddress, host: &Host, rank: usize) -> String {
    let step = u8::try_from(rank).unwrap_or(u8::MAX).saturating_mul(PRIORITY_STEP);
    let others = cloud.with(Role::Front).filter(|other| other.name != host.name);
    let peers: String =
        others.map(|other| format!("        {} min_ttl 255 max_ttl 255\n", other.address())).collect();
    format!(
        "{head}
global_defs {{
    router_id {name}
    vrrp_version 3
    # Scripts that others than root could change are not run.
    enable_script_security
    script_user root
    # Neighbours are told again who has the address, should the first word have been lost.
    vrrp_garp_master_delay 1
    vrrp_garp_master_refresh 30
}}

# Whether HAProxy answers here, and reaches data nodes if the other front does. The script tries twice within 0.9 s.
vrrp_script haproxy {{
    script \"{CHECK}\"
    interval 1
    timeout 2
    fall 1
    rise 2
    user nobody nogroup
}}

vrrp_instance {cloud_name} {{
    # All begin as BACKUP, and whoever has the address keeps it: a front that comes back does not interrupt clients a second
    # time. To move it, stop keepalived where it is.
    state BACKUP
    nopreempt
    interface {interface}
    virtual_router_id {router}
    priority {priority}
    # A front that is gone is replaced after three of these and a little: below two seconds.
    advert_int 0.5
    unicast_src_ip {address}
    unicast_ttl 255
    check_unicast_src
    unicast_peer {{
{peers}    }}
    virtual_ipaddress {{
        {shared} dev {interface}
    }}
    track_script {{
        haproxy
    }}
    notify {NOTIFY}
}}
",
        head = head("#", &cloud.name, &format!("keepalived on {}: keepalived -t -f {CONFIG}", host.name)),
        name = host.name,
        cloud_name = cloud.name,
        interface = host.interface.as_deref().unwrap_or(&shared.interface),
        router = shared.router_id,
        priority = PRIORITY.saturating_sub(step).max(1),
        address = host.address(),
        shared = shared.network,
    )
}

fn check(cloud: &Cloud) -> String {
    format!(
        "#!/bin/bash
{head}
# Asks HAProxy twice before it says no: one slow answer on a busy host is no reason to move the address.
ask() {{
    exec 3<>/dev/tcp/127.0.0.1/{FITNESS_PORT} || return 1
    printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3
    IFS= read -r -t 0.4 line <&3 || return 1
    [[ $line == *' 200 '* ]]
}}

(ask) 2>/dev/null && exit 0
sleep 0.1
(ask) 2>/dev/null
",
        head = head("#", &cloud.name, "Whether this front should have the shared address."),
    )
}

fn notify(cloud: &Cloud) -> String {
    format!(
        "#!/bin/sh
{head}
# keepalived calls it with: INSTANCE NAME MASTER|BACKUP|FAULT|STOP PRIORITY. Told are the journal (or syslog), and Discord if
# {WEBHOOK} has a webhook. Executables in /etc/keepalived/notify.d are called with the same words.
state=$3
text=\"$(hostname): $2 is $state now\"
logger -t keepalived-notify \"$text\" 2>/dev/null || echo \"keepalived-notify: $text\" >&2
for hook in /etc/keepalived/notify.d/*; do
    [ -x \"$hook\" ] && \"$hook\" \"$@\"
done
if [ -r {WEBHOOK} ] && command -v curl >/dev/null; then
    # The webhook is a secret: it is read from a file and shows in no list of processes.
    printf 'url = \"%s\"\\n' \"$(cat {WEBHOOK})\" |
        curl --silent --show-error --max-time 10 --config - --header 'Content-Type: application/json' \\
            --data \"{{\\\"content\\\":\\\"$text\\\"}}\"
fi
exit 0
",
        head = head("#", &cloud.name, "Tells that the shared address comes to this front, or leaves it."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inventory, plan::Certificates, secrets::Secrets};

    fn files(text: &str) -> Vec<RenderedFile> {
        let (cloud, _) = inventory::read(text).unwrap();
        render(&Plan { cloud, secrets: Secrets::default(), certificates: Certificates::default() })
    }

    fn of<'f>(files: &'f [RenderedFile], front: &str, path: &str) -> &'f RenderedFile {
        files.iter().find(|file| file.path == format!("hosts/{front}{path}")).unwrap()
    }

    #[test]
    fn fronts_know_each_other_and_one_comes_first() {
        let files = files(inventory::EXAMPLE);
        for (front, own, other, priority) in
            [("front1", "10.10.0.31", "10.10.0.32", 150), ("front2", "10.10.0.32", "10.10.0.31", 140)]
        {
            let text = &of(&files, front, CONFIG).text;
            for line in [
                &format!("    unicast_src_ip {own}"),
                &format!("        {other} min_ttl 255 max_ttl 255"),
                &format!("    priority {priority}"),
                "    virtual_router_id 51",
                "        10.10.0.100/24 dev eth0",
            ] {
                assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
            }
            assert!(!text.contains(&format!("{own} min_ttl")), "nobody is its own neighbour");
            assert_eq!((of(&files, front, CHECK).mode, of(&files, front, NOTIFY).mode), (0o755, 0o755));
        }
    }

    #[test]
    fn the_webhook_is_rendered_where_there_is_one_and_for_root_alone() {
        let webhook = "https://discord.com/api/webhooks/1/a";
        let with =
            inventory::EXAMPLE.replace("[alerts]\n", &format!("[alerts]\ndiscord-webhook = \"{webhook}\"\n"));
        assert!(files(inventory::EXAMPLE).iter().all(|file| !file.path.ends_with("discord-webhook")));
        let files = files(&with);
        let file = of(&files, "front1", WEBHOOK);
        assert_eq!((file.text.as_str(), file.mode), (format!("{webhook}\n").as_str(), 0o600));
        assert!(!of(&files, "front1", NOTIFY).text.contains(webhook));
    }
}
