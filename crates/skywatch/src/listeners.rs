//! The listeners for other protocols than HTTP.

use anyhow::Result;
use skywatch_listeners::Listener;

use crate::config::ListenerSettings;

/// Takes the address of every listener.
pub(crate) async fn bind(settings: &ListenerSettings) -> Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for udp in &settings.udp {
        listeners.push(Listener::bind_udp(udp.clone()).await?);
    }
    for graphite in &settings.graphite {
        listeners.push(Listener::bind_graphite(graphite.clone()).await?);
    }
    for collectd in &settings.collectd {
        listeners.push(Listener::bind_collectd(collectd.clone()).await?);
    }
    for opentsdb in &settings.opentsdb {
        listeners.push(Listener::bind_opentsdb(opentsdb.clone()).await?);
    }
    Ok(listeners)
}

/// What listens where; `None` when nothing does.
pub(crate) fn describe(settings: &ListenerSettings) -> Option<String> {
    let udp = settings.udp.iter().map(|udp| format!("UDP {}", udp.bind));
    let graphite = settings.graphite.iter().map(|graphite| format!("Graphite {}", graphite.bind));
    let collectd = settings.collectd.iter().map(|collectd| format!("collectd {}", collectd.bind));
    let opentsdb = settings.opentsdb.iter().map(|opentsdb| format!("OpenTSDB {}", opentsdb.bind));
    let all: Vec<String> = udp.chain(graphite).chain(collectd).chain(opentsdb).collect();
    (!all.is_empty()).then(|| all.join(", "))
}
