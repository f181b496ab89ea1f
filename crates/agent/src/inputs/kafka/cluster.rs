//! Asking a cluster: the metadata of whichever broker answers first, then every broker for what only it knows. Each
//! broker has a deadline; one that is dead or slow is named and costs no other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use tokio::time::timeout;

use super::connection::Connection;
use super::options::Options;
use super::requests::{
    Broker, DESCRIBE_GROUPS, DESCRIBE_LOG_DIRS, EARLIEST, Group, LATEST, LIST_GROUPS, LIST_OFFSETS, LogDirs,
    METADATA, Metadata, OFFSET_FETCH, PartitionId, Topic, describe, describe_groups, describe_log_dirs,
    list_offsets, metadata, offset_fetch, read_committed, read_described, read_groups, read_log_dirs,
    read_metadata, read_offsets,
};
use super::wire::Writer;
use crate::net::stream::{Connector, HostPort};

/// Brokers that are asked at the same time, at most.
const AT_ONCE_MAX: usize = 64;

/// What a cluster said.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) metadata: Metadata,
    /// By the broker's number.
    pub(super) brokers: BTreeMap<i32, BrokerView>,
    pub(super) problems: Vec<String>,
}

/// What one broker said.
#[derive(Debug, Default)]
pub(super) struct BrokerView {
    /// How long connecting and the first answer took; none if there was no answer.
    pub(super) response: Option<Duration>,
    pub(super) low: BTreeMap<PartitionId, i64>,
    pub(super) high: BTreeMap<PartitionId, i64>,
    pub(super) groups: Vec<GroupView>,
    pub(super) log_dirs: Option<LogDirs>,
    pub(super) problems: Vec<String>,
}

/// A group and what it committed.
#[derive(Debug)]
pub(super) struct GroupView {
    pub(super) group: Group,
    pub(super) committed: Vec<(PartitionId, i64)>,
}

/// Asks the whole cluster. An error is that nobody answers.
pub(super) async fn view(options: &Options, tls: Option<&Connector>) -> Result<View, String> {
    let mut metadata = first_metadata(options, tls).await?;
    metadata.topics.retain(|topic| options.takes_topic(topic));
    let asked = metadata.brokers.iter().map(|broker| {
        let metadata = &metadata;
        async move {
            let mut view = BrokerView::default();
            let deadline = options.timeout;
            let asking = ask_broker(options, tls, broker, &metadata.topics, &mut view);
            match timeout(deadline, asking).await {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => view.problems.push(problem),
                Err(_) => view.problems.push(format!("no answer within {} ms", deadline.as_millis())),
            }
            (broker.id, view)
        }
    });
    // What a broker said before it failed is kept.
    let brokers: BTreeMap<_, _> = stream::iter(asked).buffer_unordered(AT_ONCE_MAX).collect().await;
    let mut problems = Vec::new();
    for broker in &metadata.brokers {
        for problem in brokers.get(&broker.id).map_or(&[][..], |view| view.problems.as_slice()) {
            problems.push(format!("broker {} ({}:{}): {problem}", broker.id, broker.host, broker.port));
        }
    }
    Ok(View { metadata, brokers, problems })
}

/// All brokers named are asked at once, and the first answer counts.
async fn first_metadata(options: &Options, tls: Option<&Connector>) -> Result<Metadata, String> {
    let mut asked: FuturesUnordered<_> = options
        .addresses
        .iter()
        .map(|address| async move {
            let asking = async {
                let mut connection = open(options, tls, address).await?;
                connection.ask(METADATA, metadata(), read_metadata).await
            };
            let answer = timeout(options.timeout, asking).await;
            answer
                .unwrap_or_else(|_| Err(format!("no answer within {} ms", options.timeout.as_millis())))
                .map_err(|why| format!("{}:{}: {why}", address.host, address.port))
        })
        .collect();
    let mut failures = Vec::new();
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(metadata) => return Ok(metadata),
            Err(failure) => failures.push(failure),
        }
    }
    failures.sort_unstable();
    Err(failures.join("; "))
}

async fn open(options: &Options, tls: Option<&Connector>, address: &HostPort) -> Result<Connection, String> {
    Connection::open(address, tls, &options.client.client_id, options.client.sasl.as_ref()).await
}

/// What only this broker knows: the offsets of the partitions it leads, the groups it coordinates, its disks.
async fn ask_broker(
    options: &Options,
    tls: Option<&Connector>,
    broker: &Broker,
    topics: &[Topic],
    view: &mut BrokerView,
) -> Result<(), String> {
    let port = u16::try_from(broker.port).map_err(|_| format!("{} is no port", broker.port))?;
    let address = HostPort { host: broker.host.clone(), port };
    let began = Instant::now();
    let mut connection = open(options, tls, &address).await?;
    let groups = connection.ask(LIST_GROUPS, Writer::default(), read_groups).await?;
    view.response = Some(began.elapsed());
    let led = led_by(broker.id, topics);
    if !led.is_empty() {
        view.low = connection
            .ask(LIST_OFFSETS, list_offsets(&led, EARLIEST), read_offsets)
            .await?
            .into_iter()
            .collect();
        view.high = connection
            .ask(LIST_OFFSETS, list_offsets(&led, LATEST), read_offsets)
            .await?
            .into_iter()
            .collect();
    }
    match groups {
        Ok(groups) => ask_groups(options, &mut connection, groups, view).await?,
        Err(error) => view.problems.push(format!("{}: {}", LIST_GROUPS.name, describe(error))),
    }
    if options.log_dirs {
        let dirs = connection.ask(DESCRIBE_LOG_DIRS, describe_log_dirs(), read_log_dirs).await?;
        if let Some(error) = dirs.error {
            view.problems.push(format!(
                "{} log directories cannot be used: {}",
                dirs.failed,
                describe(error)
            ));
        }
        view.log_dirs = Some(dirs);
    }
    Ok(())
}

async fn ask_groups(
    options: &Options,
    connection: &mut Connection,
    groups: Vec<(String, String)>,
    view: &mut BrokerView,
) -> Result<(), String> {
    let listed: BTreeSet<String> =
        groups.into_iter().map(|(id, _)| id).filter(|id| options.takes_group(id)).collect();
    let listed: Vec<String> = listed.into_iter().collect();
    if listed.is_empty() {
        return Ok(());
    }
    for group in connection.ask(DESCRIBE_GROUPS, describe_groups(&listed), read_described).await? {
        let committed = match connection.ask(OFFSET_FETCH, offset_fetch(&group.id), read_committed).await? {
            Ok(committed) => committed,
            Err(error) => {
                view.problems.push(format!("group {:?}: {}", group.id, describe(error)));
                Vec::new()
            }
        };
        view.groups.push(GroupView { group, committed });
    }
    Ok(())
}

fn led_by(broker: i32, topics: &[Topic]) -> Vec<(String, Vec<i32>)> {
    let led = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().filter(|partition| partition.leader == broker);
        (topic.name.clone(), partitions.map(|partition| partition.index).collect::<Vec<_>>())
    });
    led.filter(|(_, partitions)| !partitions.is_empty()).collect()
}
