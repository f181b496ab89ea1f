use async_trait::async_trait;
use skywatch_meta::Catalogue;
use skywatch_model::SystemClock;
use skywatch_rpc::{Call, CallError, Reply};
use skywatch_storage::fs::OsFs;

use super::*;
use crate::follower::tests::keep;

const META: &str = "m1:8091";
const CLUSTER: u64 = 5;

/// Nobody has to be asked by a node that is somebody.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn call(&self, to: &str, _call: Call, _within: Duration) -> Result<Reply, CallError> {
        Err(CallError::Unreachable { to: to.to_owned(), reason: "nothing is there".to_owned() })
    }
}

fn profile() -> Profile {
    Profile {
        hostname: "d1".into(),
        tcp_bind: "0.0.0.0:8088".into(),
        tcp_addr: "d1:8088".into(),
        http_addr: "d1:8086".into(),
        https: false,
        labels: BTreeMap::new(),
        version: "1".into(),
    }
}

/// What a node answers that has joined `CLUSTER`, whose catalogue as it knows it names the node or does not any more.
async fn asked_to_join(is_named: bool, meta_addr: &str, cluster_id: u64) -> Result<NodeId, Failure> {
    asked(is_named, meta_addr, cluster_id).await.map(|(id, _)| id)
}

/// The same, and which meta nodes it knows from then on, also after a restart.
async fn asked(is_named: bool, meta_addr: &str, cluster_id: u64) -> Result<(NodeId, Vec<String>), Failure> {
    let mut catalogue = Catalogue::default();
    let mut commands = vec![
        Command::NameCluster { id: CLUSTER },
        Command::CreateMetaNode { http_addr: META.into(), raft_addr: "m1:8089".into() },
    ];
    if is_named {
        let Profile { tcp_addr, http_addr, https, labels, .. } = profile();
        commands.push(Command::CreateDataNode { tcp_addr, http_addr, https, labels });
    }
    for command in &commands {
        catalogue.apply(command).unwrap();
    }
    let node = NodeId(2);
    assert_eq!(catalogue.data_node(node).is_some(), is_named);
    let directory = tempfile::tempdir().unwrap();
    keep(directory.path(), &catalogue);
    let identity = Identity { node, meta_addrs: vec![META.into()] };
    std::fs::write(directory.path().join(FILE), serde_json::to_vec(&identity).unwrap()).unwrap();
    let (fs, clock) = (Arc::new(OsFs), Arc::new(SystemClock));
    let seat = Seat::open(fs, directory.path(), Arc::new(Nowhere), clock, profile()).unwrap();
    let question = JoinQuestion { meta_addrs: vec![meta_addr.to_owned()], cluster_id };
    let id = seat.join(question).await?.id;
    let meta_addrs = seat.follower().meta_addrs();
    let kept = std::fs::read(directory.path().join(FILE)).unwrap();
    assert_eq!(
        serde_json::from_slice::<Identity>(&kept).unwrap(),
        Identity { node, meta_addrs: meta_addrs.clone() }
    );
    Ok((id, meta_addrs))
}

#[tokio::test]
async fn a_member_goes_to_other_meta_nodes_of_its_own_cluster() {
    let (id, meta_addrs) = asked(true, "elsewhere:8091", CLUSTER).await.unwrap();
    assert_eq!((id, meta_addrs), (NodeId(2), vec!["elsewhere:8091".to_owned()]));
}

#[tokio::test]
async fn a_member_that_is_asked_again_says_who_it_is() {
    assert_eq!(asked_to_join(true, META, CLUSTER).await.unwrap(), NodeId(2));
    // Meta nodes of releases that do not say which cluster theirs is.
    let silent: JoinQuestion = serde_json::from_str(r#"{"meta_addrs":["m1:8091"]}"#).unwrap();
    assert_eq!(asked_to_join(true, META, silent.cluster_id).await.unwrap(), NodeId(2));
}

#[tokio::test]
async fn a_member_of_another_cluster_says_so_and_stays_there() {
    let told = async |is_named, meta_addr, cluster_id| {
        let failure = asked_to_join(is_named, meta_addr, cluster_id).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        failure.text
    };
    for cluster_id in [CLUSTER + 1, 0] {
        assert_eq!(told(true, "elsewhere:8091", cluster_id).await, "already joined to cluster");
    }
    let removed = told(false, "elsewhere:8091", CLUSTER).await;
    assert!(removed.starts_with("this node was removed as data node 2 without being asked"), "{removed}");
    // The meta nodes were set up anew at the same addresses.
    let anew = told(true, META, CLUSTER + 1).await;
    assert!(
        anew.starts_with("already joined to cluster: this node belongs to one that other meta nodes had"),
        "{anew}"
    );
    assert!(anew.contains("stop it, empty its directories, and start it before it is added"), "{anew}");
    let removed = told(false, META, CLUSTER).await;
    assert!(removed.starts_with("this node was removed as data node 2 without being asked"), "{removed}");
}
