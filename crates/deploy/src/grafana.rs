//! What Grafana is provisioned with: itself with TLS, data sources, dashboards, alert rules and whom they go to; and the
//! rules for data nodes, who evaluate them where there is no Grafana.

mod alerts;
mod board;
mod dashboards;
mod rules;

use crate::{
    cloud::{Cloud, GRAFANA, Role, ports},
    file::{RenderedFile, head},
    plan::{Plan, paths},
};

/// The data source that dashboards and rules ask.
const SOURCE: &str = "skywatch";
/// Where dashboards lie on Grafana's host.
const DASHBOARDS: &str = "/var/lib/grafana/dashboards/skywatch";
const PROVISIONING: &str = "/etc/grafana/provisioning";
/// Of dashboards and rules.
const FOLDER: &str = "Skywatch";

/// See the module's header.
pub(crate) fn render(plan: &Plan) -> Vec<RenderedFile> {
    let mut files = Vec::new();
    for host in plan.cloud.with(Role::Grafana) {
        let name = plan.cloud.full_name(&host.name);
        files.push(RenderedFile::on(host, "/etc/grafana/grafana.ini", settings(plan, &name)).secret());
        let place = |part: &str| format!("{PROVISIONING}/{part}/skywatch.yaml");
        files.push(RenderedFile::on(host, &place("datasources"), data_sources(plan)).secret());
        files.push(RenderedFile::on(host, &place("dashboards"), provider(&plan.cloud)));
        files.push(RenderedFile::on(host, &place("alerting"), alerts::of_grafana(plan)).secret());
        for (uid, board) in dashboards::all(&plan.cloud) {
            files.push(RenderedFile::on(host, &format!("{DASHBOARDS}/{uid}.json"), board));
        }
    }
    if plan.cloud.alerts.discord_webhook.is_some() {
        let place = format!("{}/alerts.yaml", paths::CONFIG);
        let rules = alerts::of_data_nodes(plan);
        let nodes = plan.cloud.with(Role::Data);
        files.extend(nodes.map(|host| RenderedFile::on(host, &place, rules.clone()).secret()));
    }
    files
}

/// Grafana's own file: what differs from its defaults.
fn settings(plan: &Plan, name: &str) -> String {
    format!(
        "{head}
[server]
protocol = https
http_port = {port}
domain = {name}
root_url = https://{name}:{port}/
cert_file = {certificate}
cert_key = {key}
min_tls_version = TLS1.2

[security]
# secrets.toml: grafana-admin
admin_user = admin
admin_password = {password}
cookie_secure = true
strict_transport_security = true

[users]
allow_sign_up = false

[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false
",
        head = head(
            ";",
            &plan.cloud.name,
            "Grafana; its user has to be able to read the key: adduser grafana skywatch"
        ),
        port = ports::GRAFANA,
        certificate = paths::CERTIFICATE,
        key = paths::KEY,
        password = plan.secrets.grafana_admin,
    )
}

/// One for each database, the agents' first and by default; and the agents' again for Flux.
fn data_sources(plan: &Plan) -> String {
    let cloud = &plan.cloud;
    let entrance = cloud.entrances().into_iter().next().unwrap_or_default();
    let mut text =
        format!("{}\napiVersion: 1\ndatasources:\n", head("#", &cloud.name, "Data sources of Grafana"));
    let own = cloud.agents.database.as_str();
    let others = cloud.databases.iter().map(|database| database.name.as_str()).filter(|name| *name != own);
    for database in std::iter::once(own).chain(others) {
        let is_own = database == own;
        let (uid, name) = match is_own {
            true => (SOURCE.to_owned(), "Skywatch".to_owned()),
            false => (format!("{SOURCE}-{database}"), format!("Skywatch {database}")),
        };
        text += &format!(
            "  - name: {name}
    uid: {uid}
    type: influxdb
    access: proxy
    url: {entrance}
    isDefault: {is_own}
    editable: false
    user: {GRAFANA}
    jsonData:
      version: InfluxQL
      dbName: {database}
      httpMode: POST
      timeInterval: {interval}
      tlsAuthWithCACert: true
    secureJsonData:
      password: {password}
      tlsCACert: $__file{{{ca}}}
",
            interval = cloud.agents.interval,
            password = plan.secrets.password(GRAFANA),
            ca = paths::AUTHORITY,
        );
    }
    text += &format!(
        "  # Asks in Flux, for which the servers have to speak it.
  - name: Skywatch (Flux)
    uid: {SOURCE}-flux
    type: influxdb
    access: proxy
    url: {entrance}
    editable: false
    jsonData:
      version: Flux
      organization: {cloud}
      defaultBucket: {own}
      timeInterval: {interval}
      tlsAuthWithCACert: true
    secureJsonData:
      token: {GRAFANA}:{password}
      tlsCACert: $__file{{{ca}}}
",
        cloud = cloud.name,
        interval = cloud.agents.interval,
        password = plan.secrets.password(GRAFANA),
        ca = paths::AUTHORITY,
    );
    text
}

fn provider(cloud: &Cloud) -> String {
    format!(
        "{head}
apiVersion: 1
providers:
  - name: skywatch
    folder: {FOLDER}
    type: file
    allowUiUpdates: false
    updateIntervalSeconds: 30
    options:
      path: {DASHBOARDS}
",
        head = head("#", &cloud.name, "Dashboards of Grafana: the files of a directory"),
    )
}
