//! What a data node of a cluster is told besides: where other nodes reach it, what it keeps for them, how it compares
//! its shards with theirs. The keys are those of InfluxDB's clusters; `skywatch run` has no use for them.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use skywatch_meta::check_labels;
use skywatch_replication::{EntropySettings, ForgetSettings, MemberSettings, hints::HintSettings};
use skywatch_tls::ClientTlsConfig;

use super::{
    FileConfig, coordinator::CoordinatorSection, go_duration::GoDuration, influxdb::section,
    replication::ReplicationSettings,
};
use crate::{bind_address::BindAddress, byte_size::ByteSize, cli::DataArgs};

/// Where other nodes reach a data node unless told otherwise.
const PORT: u16 = 8088;

section! {
    /// `[hinted-handoff]`
    HintedHandoffSection "hinted-handoff"
    reads {
        enabled: Option<bool>,
        max_size: Option<ByteSize>,
        max_writes_pending: Option<u64>,
        max_age: Option<GoDuration>,
        retry_rate_limit: Option<ByteSize>,
        retry_interval: Option<GoDuration>,
        retry_max_interval: Option<GoDuration>,
        purge_interval: Option<GoDuration>,
        batch_size: Option<ByteSize>,
    }
    ignores { dir, retry_concurrency }
}

section! {
    /// `[anti-entropy]`
    AntiEntropySection "anti-entropy"
    reads {
        enabled: Option<bool>,
        check_interval: Option<GoDuration>,
        auto_repair_missing: Option<bool>,
        rate_limit: Option<ByteSize>,
        forget_deletes_after: Option<GoDuration>,
    }
    ignores { max_fetch, max_sync }
}

/// Certificates of the links between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeTls {
    /// The node's certificate, and the intermediate ones (PEM).
    pub(crate) certificate: PathBuf,
    /// Its key (PEM), if that is in a file of its own.
    pub(crate) private_key: Option<PathBuf>,
    /// Whose certificates are trusted (PEM); nodes then have to show one that is.
    pub(crate) ca: Option<PathBuf>,
    /// Any certificate will do: the link is encrypted, and not known to lead where it should.
    pub(crate) is_insecure: bool,
}

/// See the module's header.
#[derive(Debug, Clone)]
pub(crate) struct ClusterSettings {
    /// Where the node listens for other nodes.
    pub(crate) bind: BindAddress,
    /// The host's name for others; `None` leaves it to the system.
    pub(crate) hostname: Option<String>,
    /// See [`skywatch_meta::DataNode::labels`].
    pub(crate) labels: BTreeMap<String, String>,
    /// How it takes part.
    pub(crate) member: MemberSettings,
    /// How it compares its shards with those of others. Unlike in InfluxDB's clusters, it does unless told otherwise.
    pub(crate) entropy: EntropySettings,
    /// How what is written reaches owners.
    pub(crate) replication: ReplicationSettings,
    /// How long a write waits for owners.
    pub(crate) write_timeout: Duration,
    /// How long connecting may take.
    pub(crate) dial_timeout: Duration,
    /// How often it lets the meta nodes know that it is there.
    pub(crate) gossip_frequency: Duration,
    /// What nodes prove to each other to know.
    pub(crate) secret: Option<String>,
    /// Links between data nodes are plain without it.
    pub(crate) tls: Option<NodeTls>,
    /// Those to meta nodes are plain without it.
    pub(crate) meta_tls: Option<ClientTlsConfig>,
}

impl ClusterSettings {
    pub(super) fn merge(args: &DataArgs, file: &FileConfig) -> Result<Self> {
        let span = |key: Option<GoDuration>, default: Duration| key.map_or(default, |span| span.0);
        let (hints, built_in) = (&file.hinted_handoff, HintSettings::default());
        let member = MemberSettings {
            patience: span(file.coordinator.owner_timeout, MemberSettings::default().patience),
            suspect_after: suspect_after(file)?,
            allow_out_of_order_writes: file.coordinator.allow_out_of_order_writes.unwrap_or(false),
            hints: HintSettings {
                enabled: hints.enabled.unwrap_or(built_in.enabled),
                max_bytes: hints.max_size.map_or(built_in.max_bytes, |size| size.0),
                max_pending: hints.max_writes_pending.unwrap_or(built_in.max_pending).max(1),
                max_age: span(hints.max_age, built_in.max_age),
                retry_interval: span(hints.retry_interval, built_in.retry_interval),
                retry_max_interval: span(hints.retry_max_interval, built_in.retry_max_interval),
                rate_limit: hints.retry_rate_limit.map_or(built_in.rate_limit, |size| size.0),
                batch_bytes: hints.batch_size.map_or(built_in.batch_bytes, |size| size.0),
                purge_interval: span(hints.purge_interval, built_in.purge_interval),
            },
            forget: ForgetSettings {
                after: span(file.anti_entropy.forget_deletes_after, ForgetSettings::default().after),
                ..ForgetSettings::default()
            },
        };
        let (repairs, built_in) = (&file.anti_entropy, EntropySettings::default());
        let entropy = EntropySettings {
            enabled: repairs.enabled.unwrap_or(built_in.enabled),
            check_interval: span(repairs.check_interval, built_in.check_interval),
            bytes_per_sec: repairs.rate_limit.map_or(built_in.bytes_per_sec, |size| size.0),
            auto_repair_missing: repairs.auto_repair_missing.unwrap_or(built_in.auto_repair_missing),
            ..built_in
        };
        check_labels(&file.labels).context("[labels]")?;
        let bind = args.tcp_bind.clone().or_else(|| file.bind_address.clone());
        Ok(Self {
            bind: bind.unwrap_or_else(|| BindAddress::everywhere(PORT)),
            hostname: args.hostname.clone().or_else(|| file.hostname.clone()).filter(|name| !name.is_empty()),
            labels: file.labels.clone(),
            member,
            entropy,
            replication: ReplicationSettings::merge(&file.replication)?,
            write_timeout: span(file.coordinator.write_timeout, Duration::from_secs(10)),
            dial_timeout: span(file.coordinator.dial_timeout, Duration::from_secs(1)),
            gossip_frequency: span(file.gossip_frequency, Duration::from_secs(3))
                .max(Duration::from_millis(250)),
            secret: secret(args, file)?,
            tls: tls(&file.coordinator)?,
            meta_tls: meta_tls(file),
        })
    }
}

/// Asked ten times a second, a node that misses a few answers is not silent yet.
const SUSPECT_AFTER_MIN: Duration = Duration::from_millis(300);

fn suspect_after(file: &FileConfig) -> Result<Duration> {
    let after = file.coordinator.suspect_after.map_or(MemberSettings::default().suspect_after, |span| span.0);
    if after < SUSPECT_AFTER_MIN {
        bail!(
            "[coordinator] suspect-after is {after:?}: nodes would take each other for silent that are merely busy; set it to \
             {SUSPECT_AFTER_MIN:?} or more"
        );
    }
    Ok(after)
}

fn secret(args: &DataArgs, file: &FileConfig) -> Result<Option<String>> {
    let written = args.cluster_secret.clone().or_else(|| file.meta.meta_internal_shared_secret.clone());
    let secret = written.filter(|secret| !secret.is_empty());
    if file.meta.meta_auth_enabled == Some(true) && secret.is_none() {
        bail!(
            "[meta] meta-auth-enabled is true and meta-internal-shared-secret is empty: write there what the meta nodes \
             have as internal-shared-secret"
        );
    }
    Ok(secret)
}

fn tls(file: &CoordinatorSection) -> Result<Option<NodeTls>> {
    if file.https_enabled != Some(true) {
        return Ok(None);
    }
    let Some(certificate) = named(file.https_certificate.as_ref()) else {
        bail!(
            "[coordinator] https-enabled is true: https-certificate names the file of the node's certificate"
        );
    };
    Ok(Some(NodeTls {
        certificate,
        private_key: named(file.https_private_key.as_ref()),
        ca: named(file.https_ca.as_ref()),
        is_insecure: file.https_insecure_tls.unwrap_or(false),
    }))
}

fn meta_tls(file: &FileConfig) -> Option<ClientTlsConfig> {
    let own = &file.coordinator;
    (file.meta.meta_tls_enabled == Some(true)).then(|| ClientTlsConfig {
        authorities: named(own.https_ca.as_ref()),
        identity: named(own.https_certificate.as_ref())
            .map(|certificate| (certificate, named(own.https_private_key.as_ref()))),
        skip_verification: file.meta.meta_insecure_tls == Some(true),
    })
}

/// A file, if one is named: InfluxDB's files leave the name empty where there is none.
fn named(path: Option<&PathBuf>) -> Option<PathBuf> {
    path.filter(|path| !path.as_os_str().is_empty()).cloned()
}
