//! HAProxy on the fronts: TLS towards clients and towards nodes, health checks that tell the truth, retries where they are
//! safe, limits, statistics.
//!
//! Servers are named by address, so that HAProxy starts without a name server, and have to show a certificate for their
//! name. Both fronts have the same file, but for whom they watch.

use crate::{
    cloud::{Cloud, Fronts, Host, Role, ports},
    file::{RenderedFile, head},
    plan::{Plan, paths},
};

/// Where the configuration is.
pub(crate) const CONFIG: &str = "/etc/haproxy/haproxy.cfg";
/// Certificate and key in one file, as HAProxy wants them.
const IDENTITY: &str = "/etc/haproxy/tls/host.pem";
/// Where keepalived asks whether this front should have the address; on loopback only.
pub(crate) const FITNESS_PORT: u16 = 8405;
/// The largest body of a write that data nodes take, in bytes.
const BODY_BYTES_MAX: u32 = 25_000_000;

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    plan.cloud.with(Role::Front).flat_map(|host| files(plan, host)).collect()
}

fn files(plan: &Plan, host: &Host) -> Vec<RenderedFile> {
    let mut files = vec![RenderedFile::on(host, CONFIG, configuration(plan, host)).secret()];
    if let Some(identity) = plan.certificates.of(host) {
        let both = format!("{}{}", identity.certificate, identity.key);
        files.push(RenderedFile::on(host, IDENTITY, both).secret());
    }
    files
}

fn configuration(plan: &Plan, host: &Host) -> String {
    let cloud = &plan.cloud;
    let mut text = head("#", &cloud.name, &format!("HAProxy on {}: haproxy -c -f {CONFIG}", host.name));
    text += &global(cloud.fronts);
    text += &api(cloud);
    if cloud.with(Role::Meta).next().is_some() {
        text += &meta(cloud);
    }
    text += &console(cloud);
    text += &statistics(plan);
    text += &fitness(cloud, host);
    text
}

fn global(fronts: Fronts) -> String {
    format!(
        "
global
    # To the journal; no syslog needed.
    log stdout format short daemon
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    # For the agent of this host and for operators; `expose-fd` lets a reload take the listening sockets along.
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
    maxconn {connections}
    # After a reload, queries that still run are let finish for so long.
    hard-stop-after 10m
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-server-options ssl-min-ver TLSv1.2

defaults
    mode http
    log global
    option httplog
    option dontlognull
    # Only what went wrong.
    option dontlog-normal
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client 60s
    timeout connect 2s
    timeout check 1500ms
    timeout queue 10s
    # A data node answers a write within 40 s, whatever happens: 30 s in its queue, 10 s for the owners.
    timeout server 45s
    # A host that is gone without a word is noticed within 20 s, also by who waits long for an answer.
    option srvtcpka
    srvtcpka-idle 10s
    srvtcpka-intvl 3s
    srvtcpka-cnt 3
    option clitcpka
    # A request that has not reached a server is given to another one. That is safe whatever it asks for; what has reached
    # one is not sent again, since nobody knows what it did there. (The same points written twice are the same points, but
    # those without a time get that of their arrival, and would be there twice.) Agents send again by themselves.
    retries 3
    retry-on conn-failure
    option redispatch 1
    # Two checks that fail, or three connections, and the server gets nothing more; two that succeed and it does.
    default-server check inter 1s fastinter 500ms downinter 500ms fall 2 rise 2 observe layer4 error-limit 3 on-error fastinter
    # The nodes' certificates are checked, and this host shows its own.
    default-server ssl verify required ca-file {authority} crt {IDENTITY}
    http-error status 429 content-type application/json hdr Retry-After 5 string '{{\"error\":\"too many requests\"}}'
    http-error status 502 content-type application/json hdr Retry-After 1 string '{{\"error\":\"the node went away before its answer was complete\"}}'
    http-error status 503 content-type application/json hdr Retry-After 1 string '{{\"error\":\"no node can serve this at the moment\"}}'
    http-error status 504 content-type application/json string '{{\"error\":\"the node takes too long to answer\"}}'
",
        authority = paths::AUTHORITY,
        connections = fronts.connections,
    )
}

/// A listening address: a certificate that a client shows has to be one of the cloud's; it need not show one, since the
/// nodes ask for users.
fn bind(port: u16, protocols: &str) -> String {
    format!("bind :{port} ssl crt {IDENTITY} ca-file {} verify optional alpn {protocols}", paths::AUTHORITY)
}

/// What every frontend keeps to.
fn limits(fronts: Fronts) -> String {
    format!(
        "    # Per client address: connections at a time, and requests in ten seconds.
    stick-table type ipv6 size 100k expire 2m store http_req_rate(10s),conn_cur
    tcp-request connection track-sc0 src
    tcp-request connection reject if {{ sc0_conn_cur gt {connections} }}
    http-request deny deny_status 429 if {{ sc0_http_req_rate gt {requests} }}
    http-request set-header X-Forwarded-For %[src]
",
        connections = fronts.connections_per_client,
        requests = fronts.requests_per_client,
    )
}

fn api(cloud: &Cloud) -> String {
    format!(
        "
# The HTTP API. Writes and queries are balanced apart: a node that catches up takes writes and answers no queries.
frontend api
    {bind}
{limits}    # Whether clients are served here: for what stands before or beside the fronts.
    http-request return status 200 content-type application/json string '{{\"status\":\"ready\"}}' if {{ path /ready }} {{ nbsrv(writes) gt 0 }} {{ nbsrv(queries) gt 0 }}
    http-request return status 503 content-type application/json string '{{\"status\":\"not ready\",\"message\":\"no data node takes writes, or none answers queries\"}}' if {{ path /ready }}
    acl is_write path /write /api/v2/write /api/v2/delete /api/v1/prom/write
    # Refused before it is sent; the nodes would refuse it too.
    http-request deny deny_status 413 content-type application/json string '{{\"error\":\"Request Entity Too Large\"}}' if is_write {{ req.hdr_val(content-length) gt {BODY_BYTES_MAX} }}
    # Where no node is sure of itself (the meta nodes are away, everything has just been started), any that runs is asked: what
    # it acknowledges it keeps.
    use_backend writes if is_write {{ nbsrv(writes) gt 0 }}
    use_backend writes-anyhow if is_write
    default_backend queries

backend writes
    balance roundrobin
{check_writes}{servers}
backend writes-anyhow
    balance roundrobin
{check_ping}{servers}
backend queries
    # They differ too much in length to be dealt out in turn.
    balance leastconn
    # Ten minutes is the longest that a data node lets a query run.
    timeout server 11m
    # Whoever has gone needs no answer: the node stops the query.
    option abortonclose
    # A GET only reads, so it may be asked again of another node, also when the first one went away in the middle.
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET
{check_reads}{servers}",
        bind = bind(ports::HTTP, "h2,http/1.1"),
        limits = limits(cloud.fronts),
        check_writes = check("/ready?for=writes"),
        check_ping = check("/ping").replace("status 200", "status 204"),
        check_reads = check("/ready?for=reads"),
        servers = servers(cloud, Role::Data, ports::HTTP, ""),
    )
}

/// Asks a node for a path; 200 is what it should say.
fn check(path: &str) -> String {
    format!(
        "    option httpchk
    http-check send meth GET uri {path} ver HTTP/1.1 hdr Host skywatch
    http-check expect status 200
"
    )
}

/// `server` lines; `more` may have `NAME` in it.
fn servers(cloud: &Cloud, role: Role, port: u16, more: &str) -> String {
    cloud.with(role).map(|host| server(cloud, host, port, &more.replace("NAME", &host.name))).collect()
}

fn server(cloud: &Cloud, host: &Host, port: u16, more: &str) -> String {
    let address = match host.address() {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    };
    let (name, known) = (&host.name, cloud.full_name(&host.name));
    format!("    server {name} {address}:{port} verifyhost {known} sni str({known}){more}\n")
}

fn meta(cloud: &Cloud) -> String {
    format!(
        "
# For `skywatch ctl`: of the meta nodes only the one that leads changes anything.
frontend meta
    {bind}
{limits}    default_backend meta

backend meta
{check}{servers}",
        bind = bind(ports::META, "http/1.1"),
        limits = limits(cloud.fronts),
        check = check("/leader"),
        servers = servers(cloud, Role::Meta, ports::META, ""),
    )
}

fn console(cloud: &Cloud) -> String {
    format!(
        "
# The console: a browser stays with its node while that answers queries.
frontend console
    {bind}
{limits}    default_backend console

backend console
    balance leastconn
    timeout server 11m
    cookie skywatch-node insert indirect nocache httponly secure attr \"SameSite=Lax\"
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr Host skywatch
    http-check expect rstatus ^[23]
{servers}",
        bind = bind(ports::CONSOLE, "h2,http/1.1"),
        limits = limits(cloud.fronts),
        servers = servers(cloud, Role::Data, ports::CONSOLE, " cookie NAME"),
    )
}

fn statistics(plan: &Plan) -> String {
    format!(
        "
userlist operators
    # secrets.toml: haproxy-stats
    user admin insecure-password {password}

# Statistics: a page at /, and /metrics for Prometheus.
frontend statistics
    {bind}
    # What the other front asks, to know whether it should step aside for this one.
    http-request return status 200 content-type text/plain string \"fit\" if {{ path /fit }} {{ nbsrv(writes) gt 0 }}
    http-request return status 503 content-type text/plain string \"no data node takes writes\" if {{ path /fit }}
    http-request auth realm HAProxy unless {{ http_auth(operators) }}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    stats enable
    stats uri /
    stats refresh 10s
    stats show-node
    stats hide-version
",
        password = plan.secrets.haproxy_stats,
        bind = bind(ports::HAPROXY_STATS, "h2,http/1.1"),
    )
}

/// What keepalived asks. A front that reaches no data node steps aside for one that does; if none does, the address stays
/// where it is, so that clients get an answer (503) and not silence.
fn fitness(cloud: &Cloud, host: &Host) -> String {
    let others: Vec<_> = cloud.with(Role::Front).filter(|other| other.name != host.name).collect();
    let mut text = format!(
        "
# What keepalived asks: whether this front should have the address.
frontend fitness
    bind 127.0.0.1:{FITNESS_PORT}
    http-request return status 200 content-type text/plain string \"fit\" if {{ nbsrv(writes) gt 0 }}
"
    );
    if others.is_empty() {
        text +=
            "    http-request return status 200 content-type text/plain string \"there is no other front\"\n";
        return text;
    }
    text += "    http-request return status 200 content-type text/plain string \"no other front is better\" if { nbsrv(other-fronts) eq 0 }
    http-request return status 503 content-type text/plain string \"another front reaches data nodes, this one none\"

backend other-fronts
";
    text += &check("/fit");
    text + &others.iter().map(|other| server(cloud, other, ports::HAPROXY_STATS, "")).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{inventory, plan::Certificates, plan::Identity, secrets::Secrets};

    fn plan(text: &str) -> Plan {
        let (cloud, _) = inventory::read(text).unwrap();
        let mut secrets = Secrets { haproxy_stats: "stats-password".into(), ..Secrets::default() };
        secrets.complete(&cloud);
        let identity = Identity { certificate: "CERTIFICATE\n".into(), key: "KEY\n".into() };
        let hosts = cloud.hosts.iter().map(|host| (host.name.clone(), identity.clone())).collect();
        Plan { cloud, secrets, certificates: Certificates { authority: "CA\n".into(), hosts } }
    }

    fn text<'f>(files: &'f [RenderedFile], path: &str) -> &'f str {
        &files.iter().find(|file| file.path == path).unwrap().text
    }

    #[test]
    fn every_front_knows_every_node_by_address_and_certificate() {
        let files = render(&plan(inventory::EXAMPLE));
        for (front, other) in [("front1", "front2"), ("front2", "front1")] {
            let text = text(&files, &format!("hosts/{front}/etc/haproxy/haproxy.cfg"));
            for (pool, servers) in [
                ("writes", &["data1", "data2"][..]),
                ("writes-anyhow", &["data1", "data2"]),
                ("queries", &["data1", "data2"]),
                ("console", &["data1", "data2"]),
                ("meta", &["meta1", "meta2", "meta3"]),
                ("other-fronts", &[other]),
            ] {
                let section =
                    text.split("\nbackend ").find(|part| part.starts_with(&format!("{pool}\n"))).unwrap();
                let section = section.split("\n\n").next().unwrap();
                let named = section.lines().filter_map(|line| line.trim().strip_prefix("server "));
                let named: Vec<_> = named.map(|line| line.split(' ').next().unwrap()).collect();
                assert_eq!(named, servers, "{pool} of {front}");
            }
            assert!(text.contains(
                "server data1 10.10.0.21:8086 verifyhost data1.cloud.example sni str(data1.cloud.example)"
            ));
            assert!(text.contains("user admin insecure-password stats-password"));
        }
    }

    #[test]
    fn limits_are_those_of_the_inventory() {
        let smaller = inventory::EXAMPLE
            .replace("connections = 8000", "connections = 321")
            .replace("connections-per-client = 500", "connections-per-client = 32")
            .replace("requests-per-client = 5000", "requests-per-client = 77");
        let files = render(&plan(&smaller));
        let text = text(&files, "hosts/front1/etc/haproxy/haproxy.cfg");
        assert!(text.contains("    maxconn 321\n"));
        for listening in ["api", "meta", "console"] {
            let section =
                text.split("\nfrontend ").find(|part| part.starts_with(&format!("{listening}\n"))).unwrap();
            assert!(
                section.contains("sc0_conn_cur gt 32 }") && section.contains("sc0_http_req_rate gt 77 }")
            );
        }
    }

    #[test]
    fn secrets_are_for_root_alone() {
        let files = render(&plan(inventory::EXAMPLE));
        assert_eq!(files.len(), 4);
        assert!(files.iter().all(|file| file.mode == 0o600), "{files:?}");
        assert_eq!(text(&files, "hosts/front2/etc/haproxy/tls/host.pem"), "CERTIFICATE\nKEY\n");
    }

    #[test]
    fn a_front_alone_has_nobody_to_step_aside_for() {
        let alone: String = inventory::EXAMPLE
            .lines()
            .filter(|line| !line.starts_with("front2"))
            .map(|line| format!("{line}\n"))
            .collect();
        let files = render(&plan(&alone));
        let text = text(&files, "hosts/front1/etc/haproxy/haproxy.cfg");
        assert!(text.contains("there is no other front") && !text.contains("other-fronts"), "{text}");
    }
}
